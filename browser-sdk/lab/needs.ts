/** What tests with browsers need and this machine may not have. */
import { spawnSync } from "node:child_process";
import { test } from "vitest";
import { hasChromium } from "./browser.ts";
import { programs } from "./servers.ts";

/** A test with a browser. Where it cannot run it says so, which is a failure where `CI` is set. */
export const browserTest = hasChromium() && hasFfmpeg() ? test : notRun("chromium and ffmpeg (scripts/setup.sh all)");

/** A test with a browser, a real origin and a real tracker. */
export const swarmTest =
  programs() === undefined
    ? notRun("freshet-origin, freshet-tracker and freshet-node in target/ or FRESHET_BIN_DIR (cargo build)")
    : browserTest;

function hasFfmpeg(): boolean {
  return spawnSync("ffmpeg", ["-version"]).status === 0;
}

function notRun(what: string): typeof test.skip {
  const told = `NOT RUN: needs ${what}`;
  if (process.env["CI"] !== undefined) throw new Error(told);
  process.stderr.write(`${told}\n`);
  return test.skip;
}
