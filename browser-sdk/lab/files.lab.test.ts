/** Published files through `client.fetch`: a real origin, a real tracker, real pages. */
import { randomFillSync } from "node:crypto";
import { expect, onTestFinished } from "vitest";
import { withBrowsers, type Browsers, type Tab } from "./browser.ts";
import { expected, get, stats } from "./files/drive.ts";
import type { AutoAsk, ClientAsk } from "./files/page.ts";
import { swarmTest } from "./needs.ts";
import { Published, type PublishedOptions } from "./published.ts";
import { memoryAt } from "./undebugged.ts";

const LARGE = randomFillSync(new Uint8Array(12 << 20));
const SMALL = new TextEncoder().encode('{"small":true}');

async function published(options: Partial<PublishedOptions> = {}): Promise<Published> {
  const files = { "data/large file.bin": LARGE, "small.json": SMALL, "empty.txt": new Uint8Array() };
  const started = await Published.start({ files, ...options });
  onTestFinished(() => started.close());
  return started;
}

const LARGE_PATH = "data/large%20file.bin";

/** A page with a client. */
async function join(browsers: Browsers, origin: Published, viewer: number, asks: Partial<ClientAsk> = {}): Promise<Tab> {
  const tab = await browsers.open(origin.page(viewer));
  const { tracker, tenant_key } = origin;
  await tab.page.evaluate((ask) => window.files.start(ask), { tracker, tenant_key, ...asks });
  return tab;
}

swarmTest("a second page gets a file from the first", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const first = await join(browsers, origin, 1);
    const whole = { status: 200, length: String(LARGE.length), type: "application/octet-stream", ...expected(LARGE) };
    expect(await get(first, { url: origin.url(LARGE_PATH) })).toMatchObject(whole);
    const second = await join(browsers, origin, 2);
    expect(await get(second, { url: origin.url("small.json") })).toMatchObject(expected(SMALL));
    await expect.poll(async () => (await stats(second))?.links, { timeout: 10_000 }).toBe(1);
    expect(await get(second, { url: origin.url(LARGE_PATH) })).toMatchObject(whole);
    expect((await stats(second))?.peer_bytes).toBeGreaterThan(LARGE.length * 0.9);
    const { body_bytes } = origin.site.counts.ofViewer("2").other;
    expect(body_bytes).toBeLessThan(LARGE.length * 0.1);
    expect([...first.problems, ...second.problems]).toEqual([]);
  });
});

swarmTest("answers are those of the origin: ranges, types, tags, small and empty files", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const tab = await join(browsers, origin, 1);
    const check = async (url: string, range: string | undefined, bytes: Uint8Array) => {
      const report = await get(tab, { url, ...(range === undefined ? {} : { range }) });
      const { status, headers } = await fetch(url, { headers: range === undefined ? {} : { range } });
      expect([range, report]).toMatchObject([
        range,
        {
          status,
          type: status === 416 ? report.type : headers.get("content-type"),
          etag: status === 416 ? report.etag : headers.get("etag"),
          content_range: headers.get("content-range"),
          ...expected(bytes),
        },
      ]);
    };
    const large = origin.url(LARGE_PATH);
    await check(large, "bytes=0-0", LARGE.subarray(0, 1));
    await check(large, "bytes=5000000-5999999", LARGE.subarray(5_000_000, 6_000_000));
    await check(large, "bytes=-1000", LARGE.subarray(-1000));
    await check(large, "bytes=12582000-99999999", LARGE.subarray(12_582_000));
    await check(large, "bytes=99999999-", new Uint8Array());
    await check(origin.url("small.json"), undefined, SMALL);
    await check(origin.url("small.json"), "bytes=2-6", SMALL.subarray(2, 7));
    await check(origin.url("empty.txt"), undefined, new Uint8Array());
    const onChannel = await get(tab, { url: origin.url("small.json", "@live") });
    expect(onChannel).toMatchObject({ status: 200, type: "application/json", ...expected(SMALL) });
  });
});

swarmTest("what is not published, or not signed for us, comes over plain HTTP", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const tab = await join(browsers, origin, 1);
    expect((await get(tab, { url: `${origin.site.url}/lab/files.html` })).status).toBe(200);
    expect((await get(tab, { url: origin.url("none.txt") })).status).toBe(404);
    const strange = await join(browsers, origin, 2, { tenant_key: `ed25519:${"A".repeat(43)}` });
    expect(await get(strange, { url: origin.url(LARGE_PATH) })).toMatchObject({ status: 200, ...expected(LARGE) });
    const denied = await join(browsers, origin, 3, { consent: "denied" });
    expect(await get(denied, { url: origin.url(LARGE_PATH) })).toMatchObject({ status: 200, ...expected(LARGE) });
  });
});

swarmTest("an aborted fetch ends, and asks the origin for nothing more", async () => {
  const origin = await published({ line: { rate_bytes_per_s: 4_000_000 } });
  await withBrowsers({}, async (browsers) => {
    const tab = await join(browsers, origin, 1);
    const { bytes, error } = await get(tab, { url: origin.url(LARGE_PATH), abort_after: 100_000 });
    expect(error).toBe("AbortError");
    expect(bytes).toBeLessThan(4_000_000);
    // The next one has the line for itself.
    const { took_ms } = await get(tab, { url: origin.url("small.json") });
    expect(took_ms).toBeLessThan(2_000);
    expect(origin.site.counts.all().other.body_bytes).toBeLessThan(6_000_000);
  });
});

swarmTest("what a CDN spoils is fetched again, and never handed on", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const path = /large file\.bin$/;
    origin.site.faults.add({ path, fault: { kind: "corrupt" }, times: 1 });
    const tab = await join(browsers, origin, 1);
    expect(await get(tab, { url: origin.url(LARGE_PATH) })).toMatchObject(expected(LARGE));
    origin.site.faults.add({ path, fault: { kind: "corrupt" } });
    const other = await join(browsers, origin, 2, { tracker: "ws://127.0.0.1:9/" });
    const { error, bytes } = await get(other, { url: origin.url(LARGE_PATH) });
    expect(error).toBe("OriginError");
    expect(bytes).toBeLessThan(LARGE.length);
  });
});

swarmTest("a file comes without a tracker, and past failures of the origin", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const tab = await join(browsers, origin, 1, { tracker: "ws://127.0.0.1:9/" });
    const path = /large file\.bin$/;
    origin.site.faults.add({ path, fault: { kind: "status", status: 503 }, times: 2 });
    origin.site.faults.add({ path, fault: { kind: "cut", after_bytes: 300_000 }, times: 2 });
    expect(await get(tab, { url: origin.url(LARGE_PATH) })).toMatchObject({ status: 200, ...expected(LARGE) });
  });
});

/** Growth of a renderer over one that has fetched next to nothing, when garbage is collected. */
const GROWTH_MIB_MAX = 96;

swarmTest("a large file leaves the renderer small", { timeout: 240_000 }, async () => {
  const bytes = randomFillSync(new Uint8Array(200 << 20));
  const origin = await published({ files: { "large.bin": bytes, "small.json": SMALL } });
  const { tracker, tenant_key } = origin;
  const memoryWith = async (consent: "granted" | "denied", files: Readonly<Record<string, Uint8Array>>) => {
    const urls = Object.keys(files).map((path) => origin.url(path));
    const auto: AutoAsk = { client: { tracker, tenant_key, consent }, urls, report: "/reports/done.json" };
    const url = `${origin.page(1)}&auto=${encodeURIComponent(JSON.stringify(auto))}`;
    const { report, ...memory } = await memoryAt(url, origin.report("done.json"));
    expect(JSON.parse(report)).toMatchObject(Object.values(files).map(expected));
    return memory;
  };
  const idle = await memoryWith("granted", { "small.json": SMALL });
  const plain = await memoryWith("denied", { "small.json": SMALL, "large.bin": bytes });
  const ours = await memoryWith("granted", { "small.json": SMALL, "large.bin": bytes });
  const grown = (kib: number) => Math.round((kib - idle.resident_kib) / 1024);
  // The most is garbage that the browser lets come together; a plain fetch shows how much of that is its own.
  process.stdout.write(
    `renderer: ${grown(ours.resident_kib)} MiB more after a client's fetch, ${grown(ours.most_kib)} at its most; ` +
      `${grown(plain.resident_kib)} after a plain one, ${grown(plain.most_kib)} at its most\n`,
  );
  expect(grown(ours.resident_kib)).toBeLessThan(GROWTH_MIB_MAX);
});

swarmTest("a file whose chunks are listed on several pages", { timeout: 120_000 }, async () => {
  const bytes = randomFillSync(new Uint8Array(160 << 20));
  const origin = await published({ files: { "a.txt": SMALL, "large.bin": bytes, "z.txt": SMALL }, chunk_avg: "16K" });
  await withBrowsers({}, async (browsers) => {
    const tab = await join(browsers, origin, 1);
    const pages = () => origin.site.counts.paths().filter((path) => path.endsWith(".gz")).length;
    const range = `bytes=${bytes.length - 500_000}-`;
    expect(await get(tab, { url: origin.url("large.bin"), range })).toMatchObject(expected(bytes.subarray(-500_000)));
    expect(pages()).toBeGreaterThan(1);
    expect(await get(tab, { url: origin.url("large.bin") })).toMatchObject(expected(bytes));
    expect(await get(tab, { url: origin.url("z.txt") })).toMatchObject(expected(SMALL));
  });
});
