/** Replays the scenarios of the core that Rust and TypeScript share (`swarm/tests/main/scenarios.rs`). */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LINK_REQUESTS_MAX } from "../src/protocol/limits.ts";
import { Core, type CoreConfig, type Totals } from "../src/swarm/core.ts";
import type { Input } from "../src/swarm/input.ts";
import * as limits from "../src/swarm/limits.ts";
import type { Output } from "../src/swarm/output.ts";

type Said = readonly [at: number, output: Output];

/** Time moves to `at`, through every timeout on the way; then the input, if any, is handed in. */
interface Step {
  readonly at: number;
  readonly input?: Input;
  /** What the core says since the step before, with the time of saying it. */
  readonly expect: readonly Said[];
}

interface Scenario {
  readonly what: string;
  readonly config: CoreConfig;
  readonly steps: readonly Step[];
  /** Counts at the end. */
  readonly totals: Totals;
}

const FOLDER = new URL("../../swarm/scenarios/", import.meta.url);
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith(".json"));

function drain(core: Core, now: number, said: Said[]): void {
  for (let output = core.pollOutput(); output !== undefined; output = core.pollOutput()) said.push([now, output]);
}

test.each(FILES)("%s", (file) => {
  const scenario = JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")) as Scenario;
  const core = new Core(0, scenario.config);
  let said: Said[] = [];
  drain(core, 0, said);
  scenario.steps.forEach((step, number) => {
    for (let due = core.pollTimeout(); due !== undefined && due <= step.at; due = core.pollTimeout()) {
      core.handleTimeout(due);
      drain(core, due, said);
    }
    if (step.input !== undefined) core.handleInput(step.at, step.input);
    drain(core, step.at, said);
    expect(said, `step ${number}: ${scenario.what}`).toEqual(step.expect);
    said = [];
  });
  expect(core.totals()).toEqual(scenario.totals);
});

test("there are scenarios", () => expect(FILES.length).toBeGreaterThanOrEqual(10));

test("limits are those of Rust", () => {
  const source = readFileSync(new URL("../src/limits.rs", FOLDER), "utf8");
  const constants = [...source.matchAll(/^pub const (\w+): \w+ = ([\d_]+)(?: << (\d+))?;$/gm)];
  const expected = constants.map(([, name, digits, shift]) => {
    return [name, Number(digits?.replaceAll("_", "")) * 2 ** Number(shift ?? 0)];
  });
  expect({ ...limits }).toEqual({ ASKED_PER_LINK_MAX: LINK_REQUESTS_MAX, ...Object.fromEntries(expected) });
});
