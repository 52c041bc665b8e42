/** Browsers that lack something: they play and download all the same. */
import { randomFillSync } from "node:crypto";
import { expect, onTestFinished } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd, type PlayerOutcome } from "./crowd.ts";
import { expected, get } from "./files/drive.ts";
import { media } from "./media.ts";
import { MISSING, type Missing } from "./missing.ts";
import { swarmTest } from "./needs.ts";
import { allTold, expectPlayed, toldBy } from "./played.ts";
import { Published } from "./published.ts";
import { SDK } from "./sdk.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

const SECONDS = 8;

/** Whether who lacks it still finds peers. */
const HAS_PEERS: Readonly<Record<Missing, boolean>> = {
  RTCPeerConnection: false,
  WebTransport: true,
  WebSocket: false,
  "service workers": true,
  Ed25519: true,
  "media source extensions": true,
};
const ALL = Object.keys(HAS_PEERS) as Missing[];

swarmTest("a player plays whatever its browser lacks", async () => {
  const { folder } = await media({ seconds: SECONDS, container: "ts", renditions: 1 });
  const swarm = await Swarm.start({ folder, line: { rate_bytes_per_s: 2_000_000 } });
  onTestFinished(() => swarm.close());
  // Without media source extensions there is no hls.js.
  const lacking = ALL.filter((missing) => missing !== "media source extensions");
  const plan = {
    players: lacking.length,
    join_interval_s: 0.5,
    limit_s: 40,
    page_script: SDK,
    media_url: swarm.mediaUrl,
    overrides: lacking.map((missing) => ({ before: MISSING[missing] })),
  };
  const report = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  await expectPlayed(report, new Truth(folder, Swarm.prefix), SECONDS);
  const linked = lacking.filter((_, at) => toldBy(report.players[at] as PlayerOutcome).stats.links > 0);
  // In so few seconds not everybody meets, on a busy machine; but some do, and nobody who cannot.
  expect(linked.length, allTold(report)).toBeGreaterThanOrEqual(2);
  expect(linked.filter((missing) => !HAS_PEERS[missing]), allTold(report)).toEqual([]);
});

swarmTest("a file comes whatever the browser lacks", async () => {
  const bytes = randomFillSync(new Uint8Array(2 << 20));
  const origin = await Published.start({ files: { "data.bin": bytes } });
  onTestFinished(() => origin.close());
  await withBrowsers({}, async (browsers) => {
    const { tracker, tenant_key } = origin;
    await Promise.all(
      ALL.map(async (missing, at) => {
        const tab = await browsers.open(origin.page(at + 1), MISSING[missing]);
        await tab.page.evaluate((ask) => window.files.start(ask), { tracker, tenant_key });
        await tab.page.evaluate(() => window.files.serve());
        const report = await get(tab, { url: origin.url("data.bin") });
        expect([missing, report]).toMatchObject([missing, { status: 200, ...expected(bytes) }]);
        expect([missing, tab.problems]).toEqual([missing, []]);
        const isUp = async () => (await tab.page.evaluate(() => window.files.diagnose()))?.tracker_up;
        await expect.poll(isUp, { message: missing, timeout: 10_000 }).toBe(missing !== "WebSocket");
      }),
    );
  });
});
