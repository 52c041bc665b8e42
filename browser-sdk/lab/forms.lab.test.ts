/** The forms of media that sites use, with the SDK. */
import { expect } from "vitest";
import { type MediaSpec } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { play } from "./played.ts";

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
    const report = await play(spec, { players: 2, join_interval_s: 1.5 });
    expect(report.offload, JSON.stringify(report.players.map(({ plug, origin }) => ({ plug, origin })))).toBeGreaterThan(0.1);
  });
}
