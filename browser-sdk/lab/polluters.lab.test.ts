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
    const report = await play(RECORDING, { overrides, hls });
    const [, second, third] = report.players.map(toldBy) as [Told, Told, Told];
    const told = allTold(report);
    for (const { stats } of [second, third]) expect(stats.links, told).toBe(fate === "banned" ? 1 : 2);
    expect(second.told["banned"]?.length ?? 0, told).toBe(fate === "banned" ? 1 : 0);
    // It is the same one; the two others go on with each other.
    expect(third.told["banned"], told).toEqual(second.told["banned"]);
    expect(third.stats.peer_bytes, told).toBeGreaterThan(300_000);
  });
}
