/** Published files through the service worker: media elements, images and WebAssembly, and pages that leave. */
import { randomFillSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { withBrowsers, type Browsers, type Tab } from "./browser.ts";
import { expected, get, stats } from "./files/drive.ts";
import { media } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { Published, type PublishedOptions } from "./published.ts";

/** `(module (func (export "answer") (result i32) i32.const 42))` */
const MODULE = Uint8Array.from(
  Buffer.from("0061736d010000000105016000017f03020100070a0106616e7377657200000a06010400412a0b", "hex"),
);
/** One pixel. */
const IMAGE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
const LARGE = randomFillSync(new Uint8Array(8 << 20));

async function published(options: Partial<PublishedOptions> = {}): Promise<Published> {
  const clip = await media({ seconds: 20, container: "fmp4", renditions: 1, byte_ranges: true });
  const video = await readFile(join(clip.folder, "360p.mp4"));
  const files = { "video.mp4": video, "game.wasm": MODULE, "dot.png": IMAGE, "large.bin": LARGE };
  const started = await Published.start({ files, ...options });
  onTestFinished(() => started.close());
  return started;
}

/** A page with a worker, and with a client unless it is to have none. */
async function open(browsers: Browsers, origin: Published, viewer: number, hasClient = true): Promise<Tab> {
  const tab = await browsers.open(origin.page(viewer));
  const { tracker, tenant_key } = origin;
  if (hasClient) await tab.page.evaluate((ask) => window.files.start(ask), { tracker, tenant_key });
  await tab.page.evaluate(() => window.files.work());
  return tab;
}

swarmTest("a video element gets its video from another page", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const url = origin.url("video.mp4");
    const first = await open(browsers, origin, 1);
    const { bytes } = await get(first, { url });
    const second = await open(browsers, origin, 2);
    expect(await get(second, { url: origin.url("game.wasm") })).toMatchObject(expected(MODULE));
    await expect.poll(async () => (await stats(second))?.links, { timeout: 10_000 }).toBe(1);
    expect(await second.page.evaluate((src) => window.files.play(src), url)).toBeCloseTo(20, 0);
    expect((await stats(second))?.peer_bytes).toBeGreaterThan(bytes * 0.6);
    // The first MiB is wanted at once, so the origin helps with it where the machine is busy.
    expect(origin.site.counts.ofViewer("2").segment.body_bytes).toBeLessThan(bytes * 0.4);
    expect([...first.problems, ...second.problems]).toEqual([]);
  });
});

swarmTest("WebAssembly, images and ranges come through the client", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const tab = await open(browsers, origin, 1);
    const ours = async () => Object.values((await stats(tab))?.origin_bytes ?? {}).reduce((sum, bytes) => sum + bytes, 0);
    expect(await tab.page.evaluate((url) => window.files.compute(url), origin.url("game.wasm"))).toBe(42);
    expect(await tab.page.evaluate((url) => window.files.show(url), origin.url("dot.png"))).toBe(1);
    expect(await ours()).toBe(MODULE.length + IMAGE.length);
    const range = { url: origin.url("large.bin"), range: "bytes=3000000-3999999", plain: true };
    expect(await get(tab, range)).toMatchObject({ status: 206, ...expected(LARGE.subarray(3_000_000, 4_000_000)) });
    expect(await ours()).toBeGreaterThan(1_000_000);
    expect(await get(tab, { url: origin.url("large.bin"), plain: true })).toMatchObject({ status: 200, ...expected(LARGE) });
    expect((await get(tab, { url: origin.url("none.bin"), plain: true })).status).toBe(404);
    expect(tab.problems.filter((problem) => !problem.includes("404"))).toEqual([]);
  });
});

swarmTest("a worker to which no page answers leaves everything to the network", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const tab = await open(browsers, origin, 1, false);
    const url = origin.url("large.bin");
    expect(await get(tab, { url, plain: true })).toMatchObject({ status: 200, ...expected(LARGE) });
    // A page that says that it has a client, and then says nothing more.
    await tab.page.evaluate(() => {
      navigator.serviceWorker.controller?.postMessage({ freshet: "here", base: `${location.origin}/` });
    });
    const range = "bytes=100-199";
    expect(await get(tab, { url, range, plain: true })).toMatchObject({ status: 206, ...expected(LARGE.subarray(100, 200)) });
  });
});

swarmTest("a worker that was stopped finds its pages again", async () => {
  const origin = await published();
  await withBrowsers({}, async (browsers) => {
    const tab = await open(browsers, origin, 1);
    const ask = { url: origin.url("large.bin"), plain: true };
    const asked = () => origin.site.counts.ofPath("/lab/build/files/1.0/large.bin").requests;
    expect(await get(tab, ask)).toMatchObject(expected(LARGE));
    const before = asked();
    const session = await tab.page.context().newCDPSession(tab.page);
    await session.send("ServiceWorker.enable");
    await session.send("ServiceWorker.stopAllWorkers");
    // What the client keeps needs no request.
    expect(await get(tab, ask)).toMatchObject(expected(LARGE));
    expect(asked()).toBe(before);
  });
});

swarmTest("what a page leaves unfinished is finished by the worker", async () => {
  const origin = await published({ line: { rate_bytes_per_s: 2_000_000 } });
  await withBrowsers({}, async (browsers) => {
    const helper = await open(browsers, origin, 1);
    // Of the same profile, so that one worker serves both.
    const page = await helper.page.context().newPage();
    await page.goto(origin.page(2));
    const reader: Tab = { page, problems: [], close: () => page.close() };
    const all = get(reader, { url: origin.url("large.bin"), plain: true });
    await expect.poll(() => page.evaluate(() => window.files.got()), { timeout: 20_000 }).toBeGreaterThan(1_000_000);
    expect(Object.values((await stats(helper))?.origin_bytes ?? {}).some((bytes) => bytes > 1_000_000)).toBe(true);
    await helper.page.close();
    // The network is asked again, too: a media element would not.
    origin.site.faults.add({ path: /large\.bin$/, fault: { kind: "status", status: 503 }, times: 1 });
    origin.site.faults.add({ path: /large\.bin$/, fault: { kind: "cut", after_bytes: 300_000 }, times: 1 });
    expect(await all).toMatchObject({ status: 200, ...expected(LARGE) });
  });
});
