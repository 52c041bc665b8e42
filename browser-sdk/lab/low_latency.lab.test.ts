/** Low-latency streams play as they do without the SDK: their parts come over HTTP, untouched. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd } from "./crowd.ts";
import { LowLatency } from "./low_latency.ts";
import { swarmTest } from "./needs.ts";
import { SDK } from "./sdk.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

const WATCHED_S = 8;
/** Less than three segments, which is where a player without parts would stay. */
const BEHIND_S_MAX = 5;

swarmTest("the parts of a low-latency stream come over HTTP, unharmed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "freshet-lab-parts-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const packager = await LowLatency.start(folder, 60);
  onTestFinished(() => packager.close());
  const swarm = await Swarm.start({ folder, isLive: true });
  onTestFinished(() => swarm.close());
  await swarm.ready();
  const plan = { players: 2, join_interval_s: 1, limit_s: 40, watch_s: WATCHED_S, page_script: SDK, media_url: swarm.mediaUrl };
  const { players } = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  const truth = new Truth(folder, Swarm.prefix);
  for (const player of players) {
    expect(player, JSON.stringify(player.errors)).toMatchObject({ end: "watched", problems: [] });
    // So near the edge a busy machine lets anybody's buffer run dry, and hls.js breaks off a load of its own then.
    expect(player.errors.filter(({ type, details }) => type === "networkError" && details !== "aborted")).toEqual([]);
    expect(await truth.wrong(player.loads)).toEqual([]);
    const inParts = player.loads.filter(({ url }) => /\/\d+\.\d+\.m4s/.test(url));
    expect(inParts.length).toBeGreaterThan(WATCHED_S);
    expect(player.latency?.median_s).toBeLessThan(BEHIND_S_MAX);
  }
});
