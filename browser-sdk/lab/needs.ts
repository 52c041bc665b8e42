/** What a test needs and this machine may not have. */
import { test } from "vitest";
import { hasChromium } from "./browser.ts";

/** A test with a browser. Without one it is told as not run, which is a failure where `CI` is set. */
export const browserTest = hasChromium() ? test : notRun("chromium (Debian package chromium, or FRESHET_CHROMIUM)");

function notRun(what: string): typeof test.skip {
  const told = `NOT RUN: needs ${what}`;
  if (process.env["CI"] !== undefined) throw new Error(told);
  process.stderr.write(`${told}\n`);
  return test.skip;
}
