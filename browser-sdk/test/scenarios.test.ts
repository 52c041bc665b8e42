/** Replays the scenarios of the core that Rust and TypeScript share (`swarm/tests/main/scenarios.rs`). */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LINK_REQUESTS_MAX } from "../src/protocol/limits.ts";
import { Core, type CoreConfig, type Totals } from "../src/swarm/core.ts";
import type { Input } from "../src/swarm/input.ts";
import * as limits from "../src/swarm/limits.ts";
import { MediaCore, type MediaConfig } from "../src/swarm/media/core.ts";
import type { PlayerInput } from "../src/swarm/media/timeline.ts";
import type { Output } from "../src/swarm/output.ts";

type Said = readonly [at: number, output: Output];

/** Time moves to `at`, through every timeout on the way; then the input, if any, is handed in. */
interface Step<I> {
  readonly at: number;
  readonly input?: I;
  /** What the core says since the step before, with the time of saying it. */
  readonly expect: readonly Said[];
}

interface Scenario<C, I> {
  readonly what: string;
  readonly config: C;
  readonly steps: readonly Step<I>[];
  /** Counts at the end. */
  readonly totals: Totals;
}

type AnyCore = Pick<Core, "pollOutput" | "pollTimeout" | "handleTimeout" | "totals">;

const FOLDER = new URL("../../swarm/scenarios/", import.meta.url);
const MEDIA_FOLDER = new URL("media/", FOLDER);
const files = (folder: URL): string[] => readdirSync(folder).filter((file) => file.endsWith(".json"));

function drain(core: AnyCore, now: number, said: Said[]): void {
  for (let output = core.pollOutput(); output !== undefined; output = core.pollOutput()) said.push([now, output]);
}

function replay<C, I, T extends AnyCore>(
  url: URL,
  begin: (config: C) => T,
  handle: (core: T, now: number, input: I) => void,
): void {
  const scenario = JSON.parse(readFileSync(url, "utf8")) as Scenario<C, I>;
  const core = begin(scenario.config);
  let said: Said[] = [];
  drain(core, 0, said);
  scenario.steps.forEach((step, number) => {
    for (let due = core.pollTimeout(); due !== undefined && due <= step.at; due = core.pollTimeout()) {
      core.handleTimeout(due);
      drain(core, due, said);
    }
    if (step.input !== undefined) handle(core, step.at, step.input);
    drain(core, step.at, said);
    expect(said, `step ${number}: ${scenario.what}`).toEqual(step.expect);
    said = [];
  });
  expect(core.totals()).toEqual(scenario.totals);
}

const beginBulk = (config: CoreConfig): Core => new Core(0, config);
const beginMedia = (config: MediaConfig): MediaCore => new MediaCore(0, config);

test.each(files(FOLDER))("bulk: %s", (file) => {
  replay(new URL(file, FOLDER), beginBulk, (core, now, input: Input) => core.handleInput(now, input));
});

test.each(files(MEDIA_FOLDER))("stream: %s", (file) => {
  replay(new URL(file, MEDIA_FOLDER), beginMedia, (core, now, input: Input | PlayerInput) => {
    if ("player" in input) core.handlePlayer(now, input);
    else core.handleInput(now, input);
  });
});

test("there are scenarios", () => {
  for (const folder of [FOLDER, MEDIA_FOLDER]) expect(files(folder).length).toBeGreaterThanOrEqual(10);
});

test("limits are those of Rust", () => {
  const source = readFileSync(new URL("../src/limits.rs", FOLDER), "utf8");
  const constants = [...source.matchAll(/^pub const (\w+): \w+ = ([\d_]+)(?: << (\d+))?;$/gm)];
  const expected = constants.map(([, name, digits, shift]) => {
    return [name, Number(digits?.replaceAll("_", "")) * 2 ** Number(shift ?? 0)];
  });
  expect({ ...limits }).toEqual({ ASKED_PER_LINK_MAX: LINK_REQUESTS_MAX, ...Object.fromEntries(expected) });
});
