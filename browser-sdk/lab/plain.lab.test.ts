/** The plain player, hls.js alone, against a plain origin. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd, type CrowdReport, type Plan, type PlayerOutcome } from "./crowd.ts";
import { Live } from "./live.ts";
import { media, type MediaSpec } from "./media.ts";
import { browserTest } from "./needs.ts";
import { StaticSite, type SiteOptions } from "./static_site.ts";
import { Truth } from "./truth.ts";

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (let close = closing.pop(); close; close = closing.pop()) await close();
});

async function site(options: SiteOptions): Promise<StaticSite> {
  const started = await StaticSite.start(options);
  closing.push(() => started.close());
  return started;
}

function play(plan: Plan, origin: StaticSite): Promise<CrowdReport> {
  return withBrowsers({}, (browsers) => crowd(plan, origin, browsers));
}

/** What a player is to report where nothing goes wrong. */
const FAULTLESS = { errors: [], problems: [], rebuffers: 0 } satisfies Partial<PlayerOutcome>;

browserTest("three players of a recording finish, and the origin sends all of it to each", async () => {
  const { folder, master } = await media({ seconds: 20, container: "ts", renditions: 1 });
  const origin = await site({ folders: { "/media/": folder } });
  const plan = { players: 3, join_interval_s: 0.5, media_url: `${origin.url}/media/${master}`, limit_s: 40 };
  const { players, ...report } = await play(plan, origin);
  const truth = new Truth(folder, "/media/");
  for (const player of players) {
    expect(player).toMatchObject({ ...FAULTLESS, end: "ended", level_switches: 0 });
    expect(player.startup_ms).toBeGreaterThan(0);
    expect(player.played_s).toBeGreaterThan(19.5);
    expect(player.appended_bytes).toBeGreaterThan(player.delivered_bytes * 0.9);
    expect(await truth.wrong(player.loads)).toEqual([]);
    expect(player.origin.segment).toMatchObject({ requests: 10, body_bytes: player.delivered_bytes });
    expect(player.origin.playlist.requests).toBe(2);
  }
  expect(report.origin.segment.requests).toBe(30);
  // Heads and playlists make a little more than what was delivered.
  expect(report.offload).toBeLessThan(0);
  expect(report.offload).toBeGreaterThan(-0.005);
});

/** Layouts that sites use; each is played from the first to the last second. */
const FORMS: readonly MediaSpec[] = [
  { seconds: 8, container: "ts", renditions: 3 },
  { seconds: 8, container: "fmp4", renditions: 3 },
  { seconds: 8, container: "fmp4", renditions: 2, separate_audio: true },
  { seconds: 8, container: "ts", renditions: 1, byte_ranges: true },
  { seconds: 8, container: "fmp4", renditions: 1, byte_ranges: true },
  { seconds: 8, container: "ts", renditions: 1, encrypted: true },
  { seconds: 8, container: "ts", renditions: 2, discontinuity: true },
  { seconds: 8, container: "fmp4", renditions: 1, separate_audio: true, discontinuity: true },
];

browserTest("every form of media plays to its end", async () => {
  const made = await Promise.all(FORMS.map(media));
  const prefixes = made.map((_, i) => `/form-${i}/`);
  const origin = await site({ folders: Object.fromEntries(made.map(({ folder }, i) => [prefixes[i], folder])) });
  const overrides = made.map(({ master }, i) => ({ media_url: `${origin.url}${prefixes[i]}${master}` }));
  const { players } = await play({ players: 8, join_interval_s: 0.5, media_url: "", overrides, limit_s: 40 }, origin);
  for (const [i, player] of players.entries()) {
    const truth = new Truth(made[i]?.folder ?? "", prefixes[i] ?? "");
    // All at once they make a machine busy: hls.js may wait a moment, or take a segment of a lower level instead.
    const errors = player.errors.filter(({ fatal }) => fatal);
    expect({ form: FORMS[i], end: player.end, errors }).toEqual({
      form: FORMS[i],
      end: "ended",
      errors: [],
    });
    expect(player.played_s).toBeGreaterThan(7.5);
    expect(await truth.wrong(player.loads)).toEqual([]);
  }
  expect(players[5]?.loads.filter(({ type }) => type === "key")).toHaveLength(1);
});

browserTest("a live player holds its distance to the edge", async () => {
  const folder = await mkdtemp(join(tmpdir(), "freshet-lab-live-"));
  closing.push(() => rm(folder, { recursive: true }));
  const origin = await site({ folders: { "/live/": folder }, writable: true });
  const layout = { container: "ts", renditions: 1 } as const;
  const live = new Live({ layout, to: `${origin.url}/live`, window_segments: 6 });
  closing.push(() => live.close());
  await live.ready(folder, 4);
  const plan = { players: 1, join_interval_s: 0, media_url: `${origin.url}/live/master.m3u8`, watch_s: 10, limit_s: 40 };
  const { players, offload } = await play(plan, origin);
  const [player] = players;
  expect(player).toMatchObject({ ...FAULTLESS, end: "watched", target_latency_s: 6 });
  for (const latency of [player?.latency, player?.behind_clock]) {
    if (!latency) throw new Error("a live player tells its latency");
    expect(latency.samples).toBeGreaterThanOrEqual(10);
    // Three segments, up to one more that is being made, and what a busy machine needs to start.
    expect(latency.median_s).toBeGreaterThan(4);
    expect(latency.median_s).toBeLessThan(11);
    expect(latency.max_s - latency.median_s).toBeLessThan(1);
  }
  expect(await new Truth(folder, "/live/").wrong(player?.loads ?? [])).toEqual([]);
  expect(offload).toBeGreaterThan(-0.02);
});

browserTest("a script plugs its loader into the player, also where a policy allows little", async () => {
  const { folder, master } = await media({ seconds: 4, container: "ts", renditions: 1 });
  const origin = await site({ folders: { "/media/": folder } });
  const plan = {
    players: 1,
    join_interval_s: 0,
    media_url: `${origin.url}/media/${master}`,
    limit_s: 20,
    page_script: fileURLToPath(new URL("fixtures/plug.ts", import.meta.url)),
    leaves: true,
    csp: `default-src 'self'; connect-src ${origin.url}; media-src 'self' blob:; worker-src blob:; img-src data:`,
  };
  const [player] = (await play(plan, origin)).players;
  expect(player).toMatchObject({ ...FAULTLESS, end: "ended", plug: { loads: 4, attached: true } });
  expect(await new Truth(folder, "/media/").wrong(player?.loads ?? [])).toEqual([]);
});

browserTest("what an origin does wrong is noticed, and named", async () => {
  const { folder, master } = await media({ seconds: 8, container: "ts", renditions: 1 });
  const origin = await site({ folders: { "/media/": folder } });
  origin.faults.add({ path: /_00002\.ts$/, viewer: "1", fault: { kind: "corrupt" } });
  origin.faults.add({ path: /_00001\.ts$/, viewer: "2", fault: { kind: "status", status: 404 } });
  origin.faults.add({ path: /_00001\.ts$/, viewer: "3", fault: { kind: "stall", after_bytes: 1_000 } });
  const plan = { players: 3, join_interval_s: 0, media_url: `${origin.url}/media/${master}`, limit_s: 8 };
  const [corrupted, missing, stalled] = (await play(plan, origin)).players;
  const wrong = await new Truth(folder, "/media/").wrong(corrupted?.loads ?? []);
  expect(new Set(wrong.map(({ url }) => url))).toEqual(new Set([`${origin.url}/media/360p_00002.ts`]));
  expect(missing?.errors[0]).toMatchObject({ type: "networkError", details: "fragLoadError" });
  expect(missing?.problems[0]).toContain("404");
  expect(stalled).toMatchObject({ end: "open", rebuffers: 1 });
  expect(stalled?.rebuffer_ms).toBeGreaterThan(2_000);
});
