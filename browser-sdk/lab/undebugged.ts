/**
 * A page's memory, in a browser without a debugger: with one, the renderer keeps what the network brings, so that it can
 * be shown.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHROMIUM, FLAGS } from "./browser.ts";
import { Running } from "./process.ts";
import { written } from "./written.ts";

export interface Memory {
  /** Resident now, and at its most, in KiB. */
  readonly resident_kib: number;
  readonly most_kib: number;
}

/** Opens a URL whose page writes the file `report` when it is done; its renderer's memory then, and the report. */
export async function memoryAt(url: string, report: string): Promise<Memory & { readonly report: string }> {
  const profile = await mkdtemp(join(tmpdir(), "freshet-lab-profile-"));
  const done = written(report);
  const browser = new Running(CHROMIUM, [...FLAGS, "--js-flags=--expose-gc", `--user-data-dir=${profile}`, url]);
  const ended = browser.ended.then((end) => {
    throw new Error(`the browser ended with ${end}: ${browser.stderr}`);
  });
  try {
    await Promise.race([done, ended]);
    const renderers = await renderersOf(profile);
    // A browser keeps a spare renderer, which has loaded nothing.
    const [largest] = renderers.sort((a, b) => b.most_kib - a.most_kib);
    if (largest === undefined) throw new Error("the browser has no renderer");
    return { ...largest, report: await readFile(report, "utf8") };
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    await rm(report, { force: true });
  }
}

/** Renderers name the profile of their browser on their command line. */
async function renderersOf(profile: string): Promise<Memory[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (!line.includes("--type=renderer") || !line.includes(profile)) return [];
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]);
      return [{ resident_kib: kib("VmRSS"), most_kib: kib("VmHWM") }];
    }),
  );
  return found.flat();
}
