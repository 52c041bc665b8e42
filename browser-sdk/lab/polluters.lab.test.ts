/** Viewers who hand out what was not signed. */
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { WayName } from "./fixtures/polluter.ts";
import { type MediaSpec } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { allTold, play, toldBy, type Told } from "./played.ts";

const POLLUTER = fileURLToPath(new URL("fixtures/polluter.ts", import.meta.url));
const RECORDING: MediaSpec = { seconds: 12, container: "ts", renditions: 1 };

/** What a viewer may do with what others ask of it (`fixtures/polluter.ts`), and who bans it for that. */
const WAYS: readonly (readonly [WayName, "banned by all" | "banned by who asks again" | "banned by nobody"])[] = [
  ["a wrong bit", "banned by all"],
  ["other bytes", "banned by all"],
  ["an old piece under a new name", "banned by all"],
  ["good, then silent, then wrong", "banned by who asks again"],
  // A line may be as bad as that without anybody's fault.
  ["good, then silent", "banned by nobody"],
];

for (const [way, fate] of WAYS) {
  swarmTest(`who answers with ${way} is ${fate}, and nobody plays a wrong byte`, async () => {
    const overrides = { 0: { page_script: POLLUTER, script: { way }, hls: {} } };
    // The others go on asking while they play, so that they meet it in each of its moods.
    const hls = { maxBufferLength: 4 };
    const report = await play(RECORDING, { overrides, hls }, { mayStall: way.includes("silent") });
    const [, second, third] = report.players.map(toldBy) as [Told, Told, Told];
    const told = allTold(report);
    const bans = [second, third].map(({ told: { banned = [] } }) => banned);
    const least = { "banned by all": 2, "banned by who asks again": 1, "banned by nobody": 0 }[fate];
    expect(bans.flat().length, told).toBeGreaterThanOrEqual(least);
    if (least === 0) expect(bans.flat(), told).toEqual([]);
    // It is the same one, and nobody else.
    expect(new Set(bans.flat()).size, told).toBe(Math.min(least, 1));
    for (const [at, { stats }] of [second, third].entries()) expect(stats.links, told).toBe(2 - (bans[at]?.length ?? 0));
    // The two others go on with each other.
    expect(third.stats.peer_bytes, told).toBeGreaterThan(300_000);
  });
}
