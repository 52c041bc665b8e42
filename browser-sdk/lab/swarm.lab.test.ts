/** The SDK in real players: a real origin, a real tracker, peers over WebRTC. */
import { fileURLToPath } from "node:url";
import { afterEach, expect } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd, type CrowdReport, type Plan } from "./crowd.ts";
import type { WayName } from "./fixtures/polluter.ts";
import { media, type MediaSpec } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { allTold, expectPlayed, toldBy, type Told } from "./played.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

const SDK = fileURLToPath(new URL("fixtures/freshet.ts", import.meta.url));
const POLLUTER = fileURLToPath(new URL("fixtures/polluter.ts", import.meta.url));
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (let close = closing.pop(); close; close = closing.pop()) await close();
});

interface Played {
  readonly swarm: Swarm;
  readonly report: CrowdReport;
}

/** Plays, and checks what holds always. */
async function play(spec: MediaSpec, plan: Partial<Plan>, during?: (swarm: Swarm) => Promise<void>): Promise<Played> {
  const { folder } = await media(spec);
  // A line that is no faster than a viewer's: peers are then there before everything has come over HTTP.
  const swarm = await Swarm.start({ folder, line: { rate_bytes_per_s: 1_000_000 } });
  closing.push(() => swarm.close());
  const whole = { players: 3, join_interval_s: 2, limit_s: 50, page_script: SDK, media_url: swarm.mediaUrl, ...plan };
  const meanwhile = during?.(swarm);
  const report = await withBrowsers({}, (browsers) => crowd(whole, swarm.site, browsers));
  await expectPlayed(report, new Truth(folder, Swarm.prefix), spec.seconds);
  await meanwhile;
  return { swarm, report };
}

const RECORDING: MediaSpec = { seconds: 20, container: "ts", renditions: 1 };

swarmTest("three viewers of a recording take most of it from each other", async () => {
  const { report } = await play(RECORDING, {});
  expect(report.offload).toBeGreaterThan(0.3);
  for (const player of report.players) expect(toldBy(player).stats.links).toBe(2);
  const later = report.players.slice(1).map((player) => toldBy(player).stats.peer_bytes);
  for (const bytes of later) expect(bytes).toBeGreaterThan(2_000_000);
  // Fewer requests than a player makes without peers: 10 segments, 2 playlists.
  for (const { origin } of report.players.slice(1)) {
    expect(origin.segment.requests + origin.playlist.requests + origin.entry.requests).toBeLessThan(12);
  }
});

/** Layouts that sites use, each played through by two viewers. */
const FORMS: readonly MediaSpec[] = [
  { seconds: 8, container: "fmp4", renditions: 2 },
  { seconds: 8, container: "fmp4", renditions: 2, separate_audio: true },
  { seconds: 8, container: "ts", renditions: 1, byte_ranges: true },
  { seconds: 8, container: "ts", renditions: 1, encrypted: true },
  { seconds: 8, container: "ts", renditions: 1, discontinuity: true },
];

for (const spec of FORMS) {
  swarmTest(`two viewers of ${JSON.stringify(spec)}`, async () => {
    const { report } = await play(spec, { players: 2, join_interval_s: 1.5 });
    expect(report.offload, JSON.stringify(report.players.map(({ plug, origin }) => ({ plug, origin })))).toBeGreaterThan(0.1);
  });
}

/** What a viewer may do with what others ask of it (`fixtures/polluter.ts`), and who bans it for that. */
const WAYS: readonly (readonly [WayName, "banned" | "kept"])[] = [
  ["a wrong bit", "banned"],
  ["other bytes", "banned"],
  ["an old piece under a new name", "banned"],
  ["good, then silent, then wrong", "banned"],
  // A line may be as bad as that without anybody's fault.
  ["good, then silent", "kept"],
];

for (const [way, fate] of WAYS) {
  swarmTest(`who answers with ${way} is ${fate} by all, and nobody plays a wrong byte`, async () => {
    const overrides = { 0: { page_script: POLLUTER, script: { way }, hls: {} } };
    // The others go on asking while they play, so that they meet it in each of its moods.
    const hls = { maxBufferLength: 4 };
    const { report } = await play({ ...RECORDING, seconds: 12 }, { overrides, hls });
    const [, second, third] = report.players.map(toldBy) as [Told, Told, Told];
    const told = allTold(report);
    for (const { stats } of [second, third]) expect(stats.links, told).toBe(fate === "banned" ? 1 : 2);
    expect(second.told["banned"]?.length ?? 0, told).toBe(fate === "banned" ? 1 : 0);
    // It is the same one; the two others go on with each other.
    expect(third.told["banned"], told).toEqual(second.told["banned"]);
    expect(third.stats.peer_bytes, told).toBeGreaterThan(300_000);
  });
}

swarmTest("nobody notices that the tracker is gone", async () => {
  const { report } = await play(RECORDING, {}, (swarm) => {
    // The first two have met by then, and the last one has just begun.
    const { counts } = swarm.site;
    return counts.until(() => counts.ofViewer("3").playlist.requests >= 2).then(() => swarm.killTracker());
  });
  expect(report.offload).toBeGreaterThan(0.1);
});

swarmTest("without a tracker it is plain HTTP", async () => {
  const { report } = await play({ ...RECORDING, seconds: 8 }, { players: 2 }, (swarm) => swarm.killTracker());
  expect(report.offload).toBeLessThan(0.01);
});
