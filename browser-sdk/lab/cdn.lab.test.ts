/** Media on a site's own CDNs, of which Freshet only signs the entries. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd } from "./crowd.ts";
import { media } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { allTold, expectPlayed, toldBy } from "./played.ts";
import { SDK } from "./sdk.ts";
import { StaticSite } from "./static_site.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

const SECONDS = 12;
const LAST = "360p_00005.ts";

/** A copy of the media whose playlist does not list its last segment yet. */
async function withoutLast(folder: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "freshet-lab-indexed-"));
  onTestFinished(() => rm(copy, { recursive: true }));
  await cp(folder, copy, { recursive: true });
  const playlist = await readFile(join(copy, "360p.m3u8"), "utf8");
  const shorter = playlist.replace(new RegExp(`#EXTINF:[^\\n]*\\n${LAST}\\n`), "");
  expect(shorter.length).toBeLessThan(playlist.length);
  await writeFile(join(copy, "360p.m3u8"), shorter);
  return copy;
}

/** More than any segment has, in bytes. */
const FIRST_BYTES_MAX = 700_000;

/** A CDN: each viewer needs a token of its own there. */
async function cdn(folder: string): Promise<StaticSite> {
  const line = { rate_bytes_per_s: 1_000_000 };
  const site = await StaticSite.start({ folders: { "/media/": folder }, isTokened: true, line });
  onTestFinished(() => site.close());
  return site;
}

swarmTest("viewers of two CDNs, each with its token, are one swarm; what nobody signed comes over HTTP", async () => {
  const { folder, master } = await media({ seconds: SECONDS, container: "ts", renditions: 1 });
  const swarm = await Swarm.start({ folder: await withoutLast(folder), isElsewhere: true });
  onTestFinished(() => swarm.close());
  const cdns = [await cdn(folder), await cdn(folder)] as const;
  const [first, second] = cdns.map(({ url }) => `${url}/media/${master}`) as [string, string];
  expect((await fetch(first)).status).toBe(403);
  const plan = {
    players: 3,
    join_interval_s: 2,
    limit_s: 40,
    page_script: SDK,
    script: { origin: swarm.site.url },
    media_url: `${first}?token=of-viewer-1`,
    overrides: { 1: { media_url: `${second}?token=of-viewer-2` }, 2: { media_url: `${first}?token=of-viewer-3` } },
  };
  const report = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  await expectPlayed(report, new Truth(folder, "/media/"), SECONDS);
  const told = allTold(report);
  const { size: last_bytes } = await (await fetch(`${first.replace(master, LAST)}?token=of-the-test`)).blob();
  for (const player of report.players) {
    const { stats } = toldBy(player);
    expect(stats.links, told).toBe(2);
    // On a busy machine the first segment may be wanted before its entry is there.
    expect(stats.origin_bytes["unlisted"], told).toBeGreaterThanOrEqual(last_bytes);
    expect(stats.origin_bytes["unlisted"], told).toBeLessThan(last_bytes + FIRST_BYTES_MAX);
  }
  // Who is alone on its CDN has most of what is signed from those of the other one.
  const { peer_bytes } = toldBy(report.players[1] as (typeof report.players)[number]).stats;
  expect(peer_bytes, told).toBeGreaterThan(800_000);
  expect(cdns[1].counts.all().segment.body_bytes, told).toBeLessThan(report.players[1]?.delivered_bytes ?? 0);
  expect(report.origin.segment.requests).toBe(0);
});
