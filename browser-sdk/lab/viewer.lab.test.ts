/** What viewers do while they watch: they jump, forward and back, and leave a tab alone. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { withBrowsers, type Tab } from "./browser.ts";
import { crowd, type PlayerOutcome } from "./crowd.ts";
import { Live } from "./live.ts";
import { media } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { allTold, toldBy } from "./played.ts";
import { SDK } from "./sdk.ts";
import { sleep } from "./sleep.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

/** How long a tab sleeps: longer than its buffer lasts, and than a player waits for a load. */
const ASLEEP_S = Number(process.env["ASLEEP_S"] ?? 11);

/** hls.js tells that a jump broke off a load, and that its buffer ran dry while it slept, with and without the SDK. */
const UNAVOIDED = new Set(["aborted", "bufferStalledError"]);
const errorsOf = ({ errors }: PlayerOutcome) => errors.filter(({ details }) => !UNAVOIDED.has(details));
const at = ({ page }: Tab, position_s: number): Promise<void> => page.evaluate((s) => window.lab.at(s), position_s);
const seek = ({ page }: Tab, to_s: number): Promise<void> => page.evaluate((s) => window.lab.seek(s), to_s);

swarmTest("viewers jump forward and back out of the buffer, and one's tab sleeps meanwhile", async () => {
  const { folder } = await media({ seconds: 16, container: "ts", renditions: 1 });
  const swarm = await Swarm.start({ folder, line: { rate_bytes_per_s: 1_000_000 } });
  onTestFinished(() => swarm.close());
  const plan = {
    players: 3,
    join_interval_s: 1,
    limit_s: 35 + ASLEEP_S,
    page_script: SDK,
    media_url: swarm.mediaUrl,
    // What is jumped to is then not there yet, or not any more.
    hls: { maxBufferLength: 4, maxMaxBufferLength: 4, backBufferLength: 0 },
    overrides: {
      0: {
        acts: async (tab: Tab) => {
          await at(tab, 2);
          await sleep(tab, ASLEEP_S * 1_000);
          await seek(tab, 11);
        },
      },
      1: {
        acts: async (tab: Tab) => {
          await at(tab, 2);
          await seek(tab, 12);
          await at(tab, 13);
          await seek(tab, 5);
          await at(tab, 6);
          await seek(tab, 14);
        },
      },
    },
  };
  const { players, ...report } = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  const truth = new Truth(folder, Swarm.prefix);
  const told = allTold({ players, ...report });
  const [asleep, jumping, watching] = players as [PlayerOutcome, PlayerOutcome, PlayerOutcome];
  for (const player of players) {
    expect(player, told).toMatchObject({ problems: [], end: "ended" });
    expect(errorsOf(player)).toEqual([]);
    expect(await truth.wrong(player.loads)).toEqual([]);
    expect(toldBy(player).told).toEqual({});
  }
  // Who sleeps stands still alone.
  expect([jumping.rebuffers, watching.rebuffers], told).toEqual([0, 0]);
  expect([asleep.seeks_ms.length, jumping.seeks_ms.length]).toEqual([1, 3]);
  expect(toldBy(watching).stats.peer_bytes, told).toBeGreaterThan(500_000);
}, (60 + ASLEEP_S) * 1_000);

swarmTest("a viewer of a live stream jumps back in its window", async () => {
  const folder = await mkdtemp(join(tmpdir(), "freshet-lab-live-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const live = new Live({ layout: { container: "ts", renditions: 1 }, to: folder, window_segments: 20 });
  onTestFinished(() => live.close());
  await live.ready(folder, 4);
  const swarm = await Swarm.start({ folder, isLive: true });
  onTestFinished(() => swarm.close());
  await swarm.ready();
  const plan = {
    players: 2,
    join_interval_s: 0.5,
    limit_s: 30,
    page_script: SDK,
    media_url: swarm.mediaUrl,
    hls: { liveSyncDurationCount: 2 },
    watch_s: 3,
    overrides: {
      1: {
        acts: async (tab: Tab) => {
          await at(tab, 2);
          await seek(tab, 0.5);
        },
      },
    },
  };
  const { players, ...report } = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  const told = allTold({ players, ...report });
  const truth = new Truth(folder, Swarm.prefix);
  for (const player of players) {
    expect(player, told).toMatchObject({ problems: [], rebuffers: 0, end: "watched" });
    expect(errorsOf(player)).toEqual([]);
    expect(await truth.wrong(player.loads)).toEqual([]);
  }
  const [, jumping] = players as [PlayerOutcome, PlayerOutcome];
  expect(jumping.seeks_ms).toHaveLength(1);
  // From before where it began.
  expect(jumping.loads.some(({ url }) => url.endsWith("_00000.ts"))).toBe(true);
});
