/** A tab that is put to sleep. */
import { setTimeout as wait } from "node:timers/promises";
import { type Tab } from "./browser.ts";

const TICK_MS = 100;

/**
 * Lets nothing of a page run for a time, as when its tab is frozen: no timer, no message, no event. Its network goes on
 * below it. By way of the debugger: Chromium freezes hidden pages only, and a page that is driven never counts as hidden.
 */
export async function sleep({ page }: Tab, ms: number): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Debugger.enable");
  const ticks = await page.evaluateHandle((every_ms) => {
    const counted = { ticks: 0, timer: setInterval(() => (counted.ticks += 1), every_ms) };
    return counted;
  }, TICK_MS);
  const paused = new Promise((resolve) => session.once("Debugger.paused", resolve));
  await session.send("Debugger.pause");
  await paused;
  await wait(ms);
  await session.send("Debugger.resume");
  await session.detach();
  const awake_ms = TICK_MS * (await ticks.evaluate(({ ticks: all, timer }) => (clearInterval(timer), all)));
  if (awake_ms > ms / 2) throw new Error(`the page slept badly: it ran for ${awake_ms} of ${ms} ms`);
}
