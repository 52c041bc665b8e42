/** More is asked of the origin than it may send, and there are no peers: downloads wait, and viewers do not. */
import { randomBytes } from "node:crypto";
import { expect, onTestFinished } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd } from "./crowd.ts";
import { media } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { expectPlayed } from "./played.ts";
import { SDK } from "./sdk.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

const SECONDS = 20;
/** Three viewers at 1.5 Mbit/s fit into it. */
const MBIT_MAX = 20;
const VIEWERS = 3;
const DOWNLOADS = 8;
const DOWNLOAD_BYTES = 8_000_000;

swarmTest("a flood of downloads completes, and nobody's picture stands still", async () => {
  const { folder } = await media({ seconds: SECONDS, container: "ts", renditions: 1 });
  const swarm = await Swarm.start({ folder, mbit_max: MBIT_MAX });
  onTestFinished(() => swarm.close());
  await swarm.publish("game.bin", randomBytes(DOWNLOAD_BYTES));
  await swarm.killTracker();
  const begun = performance.now();
  const downloads = Promise.all(Array.from({ length: DOWNLOADS }, (_, i) => swarm.download(`game-${i}`)));
  const plan = { players: VIEWERS, join_interval_s: 2, limit_s: 50, page_script: SDK, media_url: swarm.mediaUrl };
  const report = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  await expectPlayed(report, new Truth(folder, Swarm.prefix), SECONDS);
  await downloads;
  const took_s = (performance.now() - begun) / 1_000;
  const { pack, media: segments } = await swarm.counted();
  const told = JSON.stringify({ took_s, pack, segments });
  expect(took_s, told).toBeGreaterThan((DOWNLOADS * DOWNLOAD_BYTES * 8) / (MBIT_MAX * 1e6));
  expect(segments.refused, told).toBe(0);
  expect(pack.refused, told).toBeGreaterThan(0);
  expect(pack.requests, told).toBeLessThan(2 * (pack.requests - pack.refused));
}, 120_000);
