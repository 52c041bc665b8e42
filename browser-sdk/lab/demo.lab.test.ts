/** `make demo-watch` as a user meets it: each of its pages in two tabs, until it is stopped. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { withBrowsers, type Browsers, type Tab } from "./browser.ts";
import { swarmTest } from "./needs.ts";

/** Bytes that a tab has to get from the other. */
const PEER_MB = 0.5;
const LIMIT_MS = 40_000;

interface Demo {
  /** URLs of the pages. */
  readonly pages: readonly string[];
  /** As Ctrl-C does; resolves with the exit code. */
  stop(): Promise<unknown>;
}

async function demo(): Promise<Demo> {
  const program = fileURLToPath(new URL("demo.ts", import.meta.url));
  const hooks = fileURLToPath(new URL("typescript.mjs", import.meta.url));
  const child = spawn(process.execPath, ["--import", hooks, program], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close").then(([code]) => code as unknown);
  // Killed, it could not end what it started.
  onTestFinished(async () => {
    child.kill("SIGINT");
    await ended;
  });
  const pages: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    const url = /http:\S+/.exec(line)?.[0];
    if (url !== undefined) pages.push(url);
    if (line.startsWith("Ctrl-C")) break;
  }
  // Nobody reads on: what it still says must not stop it.
  child.stdout.resume();
  return {
    pages,
    stop: () => {
      child.kill("SIGINT");
      return ended;
    },
  };
}

async function agreed(browsers: Browsers, url: string): Promise<Tab> {
  const tab = await browsers.open(url);
  if (url.endsWith("download.html")) await tab.page.getByRole("button", { name: "Download" }).click();
  await tab.page.getByRole("button", { name: "Allow" }).click();
  return tab;
}

/** Waits until the page's table says that so much came from other viewers. */
async function takesFromPeers({ page }: Tab): Promise<void> {
  await page.waitForFunction(
    (least) => {
      const row = [...document.querySelectorAll("#sources tr")].find((one) => one.textContent?.startsWith("From other"));
      return Number(/([\d.]+) MB/.exec(row?.textContent ?? "")?.[1] ?? 0) >= least;
    },
    PEER_MB,
    { timeout: LIMIT_MS },
  );
}

swarmTest("on each page of the demo a tab takes from another, and nothing is left running", { timeout: 180_000 }, async () => {
  const { pages, stop } = await demo();
  expect(pages.map((url) => new URL(url).pathname.split("/").pop())).toEqual([
    "watch.html",
    "watch.html",
    "dash.html",
    "download.html",
  ]);
  await withBrowsers({}, async (browsers) => {
    for (const url of pages) {
      const first = await agreed(browsers, url);
      const second = await agreed(browsers, url);
      // At the edge of a live stream either may be the one who fetches first.
      await Promise.any([first, second].map(takesFromPeers));
      expect([...first.problems, ...second.problems]).toEqual([]);
      await Promise.all([first.close(), second.close()]);
    }
  });
  expect(await stop()).toBe(0);
  const [address = ""] = pages;
  await expect(fetch(address)).rejects.toThrow("fetch failed");
});
