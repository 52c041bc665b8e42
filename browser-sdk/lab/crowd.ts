/** Runs a crowd of players against an origin, and counts what the origin sent for it. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Browsers, type Tab } from "./browser.ts";
import { difference, KINDS, type TallyByKind } from "./counts.ts";
import { bundle, playerPages } from "./pages.ts";
import { type PlayerConfig, type PlayerReport } from "./player/report.ts";
import { StaticSite, type Line } from "./static_site.ts";
import { throttle } from "./throttle.ts";

/** What may differ from player to player. */
export interface PlayerPlan {
  readonly media_url: string;
  /** hls.js's configuration, as far as it is JSON. */
  readonly hls?: Readonly<Record<string, unknown>>;
  /** For live streams: the player is done when it has played this much. */
  readonly watch_s?: number;
  /** A script's source file, which is bundled and run in the page before the player starts: it may set `freshetLab`. */
  readonly page_script?: string | undefined;
  /** JavaScript that runs before all scripts of the page. */
  readonly before?: string;
  /** What the page's script is told. */
  readonly script?: Readonly<Record<string, unknown>>;
  /** The viewer's own line. */
  readonly line?: Line;
  /** What its viewer does while it plays. */
  readonly acts?: (tab: Tab) => Promise<void>;
  /** Leaves when it is done. Without it, a player stays until the last one is done, and may serve others. */
  readonly leaves?: boolean;
}

export interface Plan extends PlayerPlan {
  readonly players: number;
  /** Between the starts of two players. Their pages are open before the first one starts. */
  readonly join_interval_s: number;
  readonly overrides?: Readonly<Record<number, Partial<PlayerPlan>>>;
  /** From the first start; who is not done by then is reported as it stands. */
  readonly limit_s: number;
  /** `Content-Security-Policy` of the players' page. */
  readonly csp?: string;
  /** Where a picture of each page at its end goes. */
  readonly screenshots?: string;
}

export interface PlayerOutcome extends PlayerReport {
  /** From the start of the first player. */
  readonly joined_ms: number;
  /** What the origin counted for this player. */
  readonly origin: TallyByKind;
  /** Errors on the console and in the page, crashes. */
  readonly problems: readonly string[];
}

export interface CrowdReport {
  readonly players: readonly PlayerOutcome[];
  readonly origin: TallyByKind;
  /** All that the origin sent for media, with playlists, entries and heads. */
  readonly origin_bytes: number;
  /** Media that loaders handed to players. */
  readonly delivered_bytes: number;
  /** 1 - origin bytes / delivered bytes. */
  readonly offload: number;
}

interface Player {
  readonly plan: PlayerPlan;
  readonly viewer: string;
  readonly tab: Tab;
}

export async function crowd(plan: Plan, origin: StaticSite, browsers: Browsers): Promise<CrowdReport> {
  const plans = Array.from({ length: plan.players }, (_, i) => ({ ...plan, ...plan.overrides?.[i] }));
  const scripts = new Map(plans.flatMap(({ page_script: file }) => (file === undefined ? [] : [[file, pathOf(file)]])));
  const pages = await StaticSite.start({
    documents: { ...(await playerPages()), ...(await bundled(scripts)) },
    ...(plan.csp === undefined ? {} : { csp: plan.csp }),
  });
  try {
    const before = origin.counts.all();
    const players = await Promise.all(
      plans.map(async (one, i) => {
        const tab = await browsers.open(`${pages.url}/lab/player.html?v=${i + 1}`, one.before);
        const script = one.page_script === undefined ? undefined : scripts.get(one.page_script);
        await tab.page.evaluate((url) => window.lab.warm(url), "/lab/warm.mp4");
        if (one.line !== undefined) await throttle(tab, one.line);
        if (script !== undefined) await tab.page.addScriptTag({ url: script, type: "module" });
        return { plan: one, viewer: String(i + 1), tab };
      }),
    );
    const outcomes = await playAll(players, plan, origin);
    return summed(outcomes, difference(origin.counts.all(), before));
  } finally {
    await pages.close();
  }
}

/** The script's path on the site. */
function pathOf(file: string): string {
  return `/lab/scripts/${encodeURIComponent(file)}.js`.replaceAll("%", "-");
}

async function bundled(scripts: ReadonlyMap<string, string>): Promise<Readonly<Record<string, Uint8Array>>> {
  const made = await Promise.all([...scripts].map(async ([file, path]) => [path, await bundle(file)] as const));
  return Object.fromEntries(made);
}

async function playAll(
  players: readonly Player[],
  plan: Plan,
  origin: StaticSite,
): Promise<readonly PlayerOutcome[]> {
  const begun = performance.now();
  const over = new AbortController();
  const limit = wait(plan.limit_s * 1_000, undefined, { signal: over.signal }).catch(() => undefined);
  const outcome = async (player: Player, joined_ms: number): Promise<PlayerOutcome> => {
    const { tab, viewer } = player;
    if (plan.screenshots !== undefined) {
      await mkdir(plan.screenshots, { recursive: true });
      await tab.page.screenshot({ path: join(plan.screenshots, `player-${viewer}.png`) });
    }
    const report = await tab.page.evaluate(() => window.lab.result());
    await tab.close();
    return { ...report, joined_ms, origin: origin.counts.ofViewer(viewer), problems: tab.problems };
  };
  try {
    const stayed = await Promise.all(
      players.map(async (player, i) => {
        await wait(i * plan.join_interval_s * 1_000);
        const joined_ms = performance.now() - begun;
        await play(player, limit);
        const left = player.plan.leaves ? await outcome(player, joined_ms) : undefined;
        return () => left ?? outcome(player, joined_ms);
      }),
    );
    return await Promise.all(stayed.map((report) => report()));
  } finally {
    over.abort();
  }
}

async function play({ plan, viewer, tab }: Player, limit: Promise<unknown>): Promise<void> {
  const { media_url, hls, watch_s, script } = plan;
  const config: PlayerConfig = {
    media_url,
    viewer,
    ...(hls === undefined ? {} : { hls }),
    ...(watch_s === undefined ? {} : { watch_s }),
    ...(script === undefined ? {} : { script }),
  };
  await tab.page.evaluate((given) => window.lab.start(given), config);
  await Promise.race([limit, Promise.all([plan.acts?.(tab), tab.page.evaluate(() => window.lab.done)])]);
}

function summed(players: readonly PlayerOutcome[], origin: TallyByKind): CrowdReport {
  const origin_bytes = KINDS.reduce((sum, kind) => sum + (kind === "page" ? 0 : origin[kind].sent_bytes), 0);
  const delivered_bytes = players.reduce((sum, player) => sum + player.delivered_bytes, 0);
  return { players, origin, origin_bytes, delivered_bytes, offload: 1 - origin_bytes / delivered_bytes };
}
