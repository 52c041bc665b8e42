/** Nothing connects before a viewer agrees, all of it is gone within a second when that is taken back, and play goes on. */
import { expect, onTestFinished } from "vitest";
import { withBrowsers, type Tab } from "./browser.ts";
import { crowd } from "./crowd.ts";
import { media } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { expectPlayed } from "./played.ts";
import { SDK } from "./sdk.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

const SECONDS = 16;
const GONE_MS = 1_000;

/** Counts a page's peer connections, and those that are not closed. */
const COUNTING = `
  globalThis.connections = [];
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) { super(...given); connections.push(this); }
  };
`;
const connections = ({ page }: Tab): Promise<number> => page.evaluate("connections.length") as Promise<number>;
const open = ({ page }: Tab): Promise<number> =>
  page.evaluate("connections.filter(({ connectionState }) => connectionState !== 'closed').length") as Promise<number>;

swarmTest("a viewer is asked, agrees, takes it back, and leaves", async () => {
  const { folder } = await media({ seconds: SECONDS, container: "ts", renditions: 1 });
  const swarm = await Swarm.start({ folder, line: { rate_bytes_per_s: 1_000_000 } });
  onTestFinished(() => swarm.close());
  const acts = async (tab: Tab): Promise<void> => {
    const { page } = tab;
    const sockets: { isClosed(): boolean }[] = [];
    page.on("websocket", (socket) => sockets.push(socket));
    const diagnose = () => page.evaluate(() => window.freshetClient?.diagnose());
    const links = (wanted: number, limit_ms: number) =>
      page
        .waitForFunction((count) => window.freshetClient?.stats().links === count, wanted, { timeout: limit_ms, polling: 20 })
        .catch(async (error: unknown) => expect.fail(`${String(error)} ${JSON.stringify(await diagnose())}`));
    const gone = () =>
      expect
        .poll(async () => [await open(tab), sockets.filter((socket) => !socket.isClosed()).length], { timeout: GONE_MS })
        .toEqual([0, 0]);
    await page.evaluate(() => window.lab.at(3));
    expect([sockets.length, await connections(tab)]).toEqual([0, 0]);

    await page.evaluate(() => window.freshetAnswer?.("granted"));
    await links(1, 5_000);
    await page.evaluate(() => window.lab.at(7));
    const diagnosis = await diagnose();
    expect(diagnosis).toMatchObject({ consent: "granted", tracker_up: true, wires: [{ kind: "web-rtc" }] });
    expect(["none", "endpoint-independent", "endpoint-dependent", "udp-blocked"]).toContain(diagnosis?.nat);
    expect(JSON.stringify(diagnosis)).not.toMatch(/127\.0\.0\.1|localhost|\.local\b/);

    await page.evaluate(() => window.freshetClient?.setConsent("denied"));
    await links(0, GONE_MS);
    await gone();
    const peerBytes = () => page.evaluate(() => window.freshetClient?.stats().peer_bytes);
    const before = await peerBytes();
    expect(before).toBeGreaterThan(200_000);
    await page.evaluate(() => window.lab.at(12));
    expect(await peerBytes()).toBe(before);

    await page.evaluate(() => window.freshetClient?.setConsent("granted"));
    await links(1, 5_000);
    await page.evaluate(() => window.freshetClient?.close());
    await gone();
  };
  const plan = {
    players: 2,
    join_interval_s: 2,
    limit_s: 40,
    page_script: SDK,
    media_url: swarm.mediaUrl,
    overrides: { 1: { script: { consent: "ask" }, before: COUNTING, acts, hls: { maxBufferLength: 4, maxMaxBufferLength: 4 } } },
  };
  const report = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  await expectPlayed(report, new Truth(folder, Swarm.prefix), SECONDS);
});
