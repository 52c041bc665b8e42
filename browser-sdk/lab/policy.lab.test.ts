/** The whole SDK in a page that allows nothing but what `docs/EMBED.md` lists. */
import { randomFillSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { withBrowsers, type Browsers, type Tab } from "./browser.ts";
import { media } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { bundle } from "./pages.ts";
import type { SiteConfig } from "./policy/page.ts";
import { sdkScripts } from "./sdk.ts";
import { StaticSite } from "./static_site.ts";
import { Swarm } from "./swarm.ts";

const SECONDS = 8;
const FILE = randomFillSync(new Uint8Array(3 << 20));

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The scripts of the SDK, and those of the page. */
async function scripts(): Promise<Readonly<Record<string, Uint8Array>>> {
  return {
    ...(await sdkScripts()),
    "/hls.min.js": await readFile(here("../node_modules/hls.js/dist/hls.min.js")),
    "/page.js": await bundle(here("policy/page.ts"), "iife"),
  };
}

async function site(options: Parameters<typeof StaticSite.start>[0]): Promise<StaticSite> {
  const started = await StaticSite.start(options);
  onTestFinished(() => started.close());
  return started;
}

/** Opens the page, agrees when it is asked, and sees the stream to its end. */
async function watch(browsers: Browsers, url: string, config: SiteConfig): Promise<Tab> {
  const tab = await browsers.open(url);
  const played = tab.page.evaluate((given) => window.site.play(given), config);
  await tab.page.getByRole("button", { name: "Allow" }).click();
  expect(await played).toBeGreaterThan(SECONDS - 0.5);
  return tab;
}

swarmTest("a page whose policy lists what the documents say breaks it nowhere", async () => {
  const { folder } = await media({ seconds: SECONDS, container: "ts", renditions: 1 });
  const swarm = await Swarm.start({ folder, line: { rate_bytes_per_s: 1_000_000 } });
  onTestFinished(() => swarm.close());
  const file_url = await swarm.publish("data.bin", FILE);
  const cdn = await site({ documents: await scripts() });
  const { tracker, tenantKey: tenant_key } = swarm.config;
  const csp = [
    "default-src 'none'",
    // What EMBED.md lists.
    `script-src ${cdn.url}`,
    `connect-src ${[swarm.site.url, ...tracker.map((url) => new URL(url).origin)].join(" ")}`,
    "worker-src 'self'",
    // What the page and its player need.
    "media-src blob:",
    "img-src data:",
    "require-trusted-types-for 'script'",
    "trusted-types site",
  ].join("; ");
  const html = (await readFile(here("policy/page.html"), "utf8")).replaceAll("CDN", cdn.url);
  const worker = await bundle(here("../src/worker/main.ts"), "iife");
  const pages = await site({ documents: { "/page.html": html, "/freshet-worker.js": worker }, csp });
  const config = { tracker, tenant_key, origin: `${swarm.site.url}/`, media_url: swarm.mediaUrl, file_url };
  await withBrowsers({}, async (browsers) => {
    const url = `${pages.url}/page.html`;
    const tabs = await Promise.all([watch(browsers, url, config), watch(browsers, url, config)]);
    for (const { page } of tabs) {
      const asked = (): number => swarm.site.counts.ofPath(new URL(file_url).pathname).requests;
      expect(await page.evaluate((file) => window.site.fetch(file), file_url)).toBe(FILE.length);
      const before = asked();
      expect(await page.evaluate((file) => window.site.fetchThrough(file), file_url)).toBe(FILE.length);
      // The client answered its worker with what it keeps.
      expect(asked()).toBe(before);
    }
    const reports = await Promise.all(tabs.map(({ page }) => page.evaluate(() => window.site.report())));
    for (const report of reports) expect(report).toMatchObject({ violations: [], consent: "granted" });
    for (const { problems } of tabs) expect(problems).toEqual([]);
    const peer_bytes = reports.reduce((sum, { stats }) => sum + (stats?.peer_bytes ?? 0), 0);
    expect(peer_bytes, JSON.stringify(reports)).toBeGreaterThan(100_000);
    // The policy is no empty word: what it does not list is refused, and noted.
    const [{ page }] = tabs as [Tab, Tab];
    await page.evaluate(() => fetch("/page.html").catch(() => undefined));
    expect((await page.evaluate(() => window.site.report())).violations).toHaveLength(1);
  });
});
