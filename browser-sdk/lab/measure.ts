/** Measures one scene: media, server, browsers, players, and the sum of it all. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withBrowsers, type BrowserOptions } from "./browser.ts";
import { crowd, type CrowdReport, type Plan } from "./crowd.ts";
import { Live } from "./live.ts";
import { media } from "./media.ts";
import { type Scene } from "./scenes.ts";
import { SDK } from "./sdk.ts";
import { StaticSite, type Line } from "./static_site.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

export interface Conditions extends Pick<Plan, "page_script" | "screenshots">, BrowserOptions {
  /** The origin's line. */
  readonly line?: Line;
  /** With the SDK in the players, a real origin and a real tracker. */
  readonly freshet?: boolean;
}

export interface Measured {
  readonly scene: string;
  readonly startup_ms: Spread;
  readonly rebuffers: number;
  readonly rebuffer_ms: number;
  /** Behind the live edge; nothing for recordings. */
  readonly latency_s: Spread | undefined;
  readonly requests_per_viewer: Spread;
  readonly origin_bytes: number;
  readonly delivered_bytes: number;
  readonly offload: number;
  readonly done: number;
  readonly players: number;
  /** Loads whose bytes were not those that were published. */
  readonly wrong: number;
  readonly errors: number;
  readonly frames_dropped: number;
  /** Of the machine's processors, over the whole scene. Below 0.2, times are the machine's. */
  readonly idle: number;
  readonly report: CrowdReport;
}

export interface Spread {
  readonly median: number;
  readonly max: number;
}

/** Paths of media on an origin without Freshet. */
const PREFIX = "/media/";
/** Segments that a live playlist shows before the first player comes. */
const LIVE_SEGMENTS = 4;

export async function measure(scene: Scene, conditions: Conditions): Promise<Measured> {
  const { freshet = false } = conditions;
  const line = { ...scene.line, ...conditions.line };
  const stage = await stageFor(scene, line, freshet);
  try {
    const { screenshots } = conditions;
    const page_script = freshet ? SDK : conditions.page_script;
    const plan: Plan = {
      ...scene.plan,
      media_url: `${stage.origin.url}${stage.prefix}master.m3u8`,
      ...(page_script === undefined ? {} : { page_script }),
      ...(screenshots === undefined ? {} : { screenshots }),
    };
    const before = await processorTimes();
    const report = await withBrowsers(conditions, (browsers) => crowd(plan, stage.origin, browsers));
    const after = await processorTimes();
    const truth = new Truth(stage.folder, stage.prefix);
    const wrong = await Promise.all(report.players.map(({ loads }) => truth.wrong(loads)));
    return {
      ...summary(scene.name, report),
      wrong: wrong.flat().length,
      idle: (after.idle - before.idle) / (after.all - before.all),
    };
  } finally {
    await stage.close();
  }
}

interface Stage {
  readonly folder: string;
  /** Of the media's paths. */
  readonly prefix: string;
  readonly origin: StaticSite;
  close(): Promise<void>;
}

async function stageFor({ media: what }: Scene, line: Line, freshet: boolean): Promise<Stage> {
  const prefix = PREFIX;
  if ("seconds" in what) {
    const { folder } = await media(what);
    if (freshet) {
      const swarm = await Swarm.start({ folder, line });
      return { folder, prefix: Swarm.prefix, origin: swarm.site, close: () => swarm.close() };
    }
    const origin = await StaticSite.start({ folders: { [PREFIX]: folder }, line });
    return { folder, prefix, origin, close: () => origin.close() };
  }
  const folder = await mkdtemp(join(tmpdir(), "freshet-lab-live-"));
  const live = new Live({ ...what, to: folder });
  const closing: (() => Promise<void>)[] = [() => rm(folder, { recursive: true }), () => live.close()];
  const close = async () => {
    for (let next = closing.pop(); next; next = closing.pop()) await next();
  };
  try {
    await live.ready(folder, LIVE_SEGMENTS);
    if (freshet) {
      const swarm = await Swarm.start({ folder, isLive: true, line });
      closing.push(() => swarm.close());
      await swarm.ready();
      return { folder, prefix: Swarm.prefix, origin: swarm.site, close };
    }
    const origin = await StaticSite.start({ folders: { [PREFIX]: folder }, line });
    closing.push(() => origin.close());
    return { folder, prefix, origin, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function summary(scene: string, report: CrowdReport): Omit<Measured, "wrong" | "idle"> {
  const { players, origin_bytes, delivered_bytes, offload } = report;
  const sum = (of: (player: CrowdReport["players"][number]) => number) => players.reduce((all, one) => all + of(one), 0);
  const latencies_s = players.flatMap(({ latency }) => latency ?? []);
  return {
    scene,
    startup_ms: spread(players.map(({ startup_ms }) => startup_ms ?? Number.POSITIVE_INFINITY)),
    rebuffers: sum(({ rebuffers }) => rebuffers),
    rebuffer_ms: sum(({ rebuffer_ms }) => rebuffer_ms),
    latency_s:
      latencies_s.length === 0
        ? undefined
        : {
            median: spread(latencies_s.map(({ median_s }) => median_s)).median,
            max: Math.max(...latencies_s.map(({ max_s }) => max_s)),
          },
    requests_per_viewer: spread(
      players.map(({ origin: { page: _, ...kinds } }) =>
        Object.values(kinds).reduce((all, { requests }) => all + requests, 0),
      ),
    ),
    origin_bytes,
    delivered_bytes,
    offload,
    done: players.filter(({ end }) => end === "ended" || end === "watched").length,
    players: players.length,
    errors: sum(({ errors_total, problems }) => errors_total + problems.length),
    frames_dropped: sum(({ frames_dropped }) => frames_dropped),
    report,
  };
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Of all processors since the machine started, in ticks. */
async function processorTimes(): Promise<{ readonly idle: number; readonly all: number }> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const [, , , idle = 0, waiting = 0] = ticks;
  return { idle: idle + waiting, all: ticks.reduce((sum, one) => sum + one, 0) };
}
