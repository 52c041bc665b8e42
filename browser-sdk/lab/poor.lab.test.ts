/** An origin whose line is too slow for its viewers, first with hls.js alone and then with the SDK. */
import { expect } from "vitest";
import { measure, type Measured } from "./measure.ts";
import { swarmTest } from "./needs.ts";
import { allTold } from "./played.ts";
import { POOR_LINE, type Scene } from "./scenes.ts";

const POOR3: Scene = {
  name: "poor3",
  about: "three viewers of a recording at 1.5 Mbit/s from an origin with a line for two",
  media: { seconds: 8, container: "ts", renditions: 1 },
  plan: { players: 3, join_interval_s: 1, limit_s: 25 },
  line: POOR_LINE,
};

/** Which of them has to wait first is chance. */
const NOISE = 1.5;

const stills = ({ rebuffers, rebuffer_ms }: Measured): string => `${rebuffers} in ${rebuffer_ms.toFixed(0)} ms`;

swarmTest("viewers of a poor origin all play, and stand still no longer than without peers", async () => {
  const plain = await measure(POOR3, {});
  const ours = await measure(POOR3, { freshet: true });
  const seen = `plain: ${stills(plain)}, with peers: ${stills(ours)}: ${allTold(ours.report)}`;
  expect(ours, seen).toMatchObject({ done: 3, wrong: 0 });
  expect(plain.rebuffers, seen).toBeGreaterThan(0);
  // In so few seconds there is little to be had from each other: `poor5` measures a minute.
  expect(ours.rebuffer_ms, seen).toBeLessThanOrEqual(plain.rebuffer_ms * NOISE);
});
