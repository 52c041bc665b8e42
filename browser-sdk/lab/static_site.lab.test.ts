/** The server itself: what it serves, counts, slows down and spoils. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { StaticSite, type SiteOptions } from "./static_site.ts";

const BODY = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 256);

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "freshet-lab-site-"));
  onTestFinished(() => rm(made, { recursive: true }));
  await writeFile(join(made, "a.ts"), BODY);
  return made;
}

async function site(options: SiteOptions = {}): Promise<StaticSite> {
  const started = await StaticSite.start({ folders: { "/m/": await folder() }, ...options });
  onTestFinished(() => started.close());
  return started;
}

async function bytesOf(answer: Response): Promise<Uint8Array> {
  return new Uint8Array(await answer.arrayBuffer());
}

test("ranges", async () => {
  const { url } = await site();
  const check = async (range: string, status: number, start: number, end: number) => {
    const answer = await fetch(`${url}/m/a.ts`, { headers: { range } });
    expect([range, answer.status]).toEqual([range, status]);
    expect(await bytesOf(answer)).toEqual(BODY.subarray(start, end));
  };
  await check("bytes=0-9", 206, 0, 10);
  await check("bytes=199990-", 206, 199_990, 200_000);
  await check("bytes=199990-300000", 206, 199_990, 200_000);
  await check("bytes=-5", 206, 199_995, 200_000);
  await check("bytes=200000-", 416, 0, 0);
  await check("lines=1-2", 200, 0, 200_000);
});

test("what is not below a folder is not there", async () => {
  const { url } = await site();
  const status = (path: string) =>
    new Promise((resolve) => {
      request(url, { path }, (answer) => resolve(answer.resume().statusCode)).end();
    });
  const check = async (path: string, expected: number) => expect([path, await status(path)]).toEqual([path, expected]);
  await check("/m/a.ts", 200);
  await check("/m/b.ts", 404);
  await check("/m/", 404);
  await check("/m/../../etc/passwd", 404);
  await check("/m/%2e%2e/%2e%2e/etc/passwd", 404);
  await check("/m/%", 404);
});

test("who waits for a count is told when it is reached", async () => {
  const { url, counts } = await site();
  let isReached = false;
  const reached = counts.until(() => counts.ofPath("/m/a.ts").requests >= 2).then(() => (isReached = true));
  await bytesOf(await fetch(`${url}/m/a.ts`));
  await bytesOf(await fetch(`${url}/m/b.ts`));
  expect(isReached).toBe(false);
  await bytesOf(await fetch(`${url}/m/a.ts`));
  await reached;
  await counts.until(() => true);
});

test("requests and bytes are counted by viewer, path and kind", async () => {
  const origin = await site({ documents: { "/list.m3u8": "#EXTM3U\n" } });
  await Promise.all(["1", "2"].map(async (viewer) => bytesOf(await fetch(`${origin.url}/m/a.ts?v=${viewer}`))));
  const referrer = { referer: "http://127.0.0.1:1/page.html?v=2" };
  await bytesOf(await fetch(`${origin.url}/list.m3u8`, { headers: referrer }));
  await bytesOf(await fetch(`${origin.url}/none`));
  expect(origin.counts.ofViewer("1").segment).toMatchObject({ requests: 1, body_bytes: 200_000 });
  expect(origin.counts.ofViewer("2")).toMatchObject({ segment: { requests: 1 }, playlist: { requests: 1, body_bytes: 8 } });
  expect(origin.counts.ofPath("/m/a.ts")).toMatchObject({ requests: 2, body_bytes: 400_000 });
  expect(origin.counts.all().other).toMatchObject({ requests: 1, body_bytes: 0 });
  const { sent_bytes } = origin.counts.all().segment;
  expect(sent_bytes).toBeGreaterThan(400_200);
  expect(sent_bytes).toBeLessThan(401_500);
});

test("a line has its rate in all, and its round trip", async () => {
  const origin = await site({ line: { rate_bytes_per_s: 800_000, latency_ms: 80 } });
  const begun = performance.now();
  await Promise.all([1, 2].map(async () => bytesOf(await fetch(`${origin.url}/m/a.ts`))));
  const took_ms = performance.now() - begun;
  // Two round trips for a new connection, and half a second for 400 kB.
  expect(took_ms).toBeGreaterThan(640);
  expect(took_ms).toBeLessThan(1_000);
  origin.line = {};
  const again = performance.now();
  await bytesOf(await fetch(`${origin.url}/m/a.ts`));
  expect(performance.now() - again).toBeLessThan(80);
});

test("faults", async () => {
  const origin = await site();
  const path = /a\.ts$/;
  origin.faults.add({ path, fault: { kind: "status", status: 503 }, times: 1 });
  expect((await fetch(`${origin.url}/m/a.ts`)).status).toBe(503);
  expect((await fetch(`${origin.url}/m/a.ts`)).status).toBe(200);

  origin.faults.add({ path, fault: { kind: "corrupt" } });
  const corrupted = await bytesOf(await fetch(`${origin.url}/m/a.ts`));
  expect(corrupted.length).toBe(BODY.length);
  expect([...corrupted.keys()].filter((i) => corrupted[i] !== BODY[i])).toEqual([100_000]);

  origin.faults.clear();
  origin.faults.add({ path, fault: { kind: "cut", after_bytes: 1_000 } });
  await expect(fetch(`${origin.url}/m/a.ts`).then(bytesOf)).rejects.toThrow();

  origin.faults.clear();
  origin.faults.add({ path, fault: { kind: "stall", after_bytes: 1_000 } });
  const leaving = new AbortController();
  const answer = await fetch(`${origin.url}/m/a.ts`, { signal: leaving.signal });
  const reader = answer.body?.getReader();
  expect((await reader?.read())?.value?.length).toBe(1_000);
  const more = reader?.read();
  leaving.abort();
  await expect(more).rejects.toThrow("aborted");
});

test("files can be put where that is allowed", async () => {
  const into = await folder();
  const open = await site({ folders: { "/m/": into }, writable: true });
  const put = { method: "PUT", body: "new" };
  expect((await fetch(`${open.url}/m/sub/b.ts`, put)).status).toBe(201);
  expect(await readFile(join(into, "sub/b.ts"), "utf8")).toBe("new");
  expect((await fetch(`${open.url}/elsewhere`, put)).status).toBe(403);
  const shut = await site();
  expect((await fetch(`${shut.url}/m/b.ts`, put)).status).toBe(405);
});

test("what another server sends is passed on and counted", async () => {
  const behind = await site({ csp: "default-src 'self'" });
  const front = await site({ folders: {}, upstream: behind.url });
  const answer = await fetch(`${front.url}/m/a.ts`, { headers: { range: "bytes=10-19" } });
  expect(answer.status).toBe(206);
  expect(answer.headers.get("content-range")).toBe("bytes 10-19/200000");
  expect(answer.headers.get("content-security-policy")).toBe("default-src 'self'");
  expect(await bytesOf(answer)).toEqual(BODY.subarray(10, 20));
  expect(front.counts.ofPath("/m/a.ts")).toMatchObject({ requests: 1, body_bytes: 10 });
});
