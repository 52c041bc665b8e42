/** The page's side of the tests with files: a client, and fetches that tell what came. */
import { createClient, type Client } from "../../src/index.ts";

/** The lines of a laboratory are nobody's home. */
const UNLIMITED = { rateBytesS: null, ratioPermille: null, totalBytes: null };

/** What a fetch is asked for. */
export interface FileAsk {
  readonly url: string;
  readonly range?: string;
  /** With the browser's own `fetch`, which a service worker may answer. */
  readonly plain?: boolean;
  /** Breaks off once so many bytes have come. */
  readonly abort_after?: number;
}

/** What came of it. */
export interface FileReport {
  readonly status: number;
  readonly type: string | null;
  readonly length: string | null;
  readonly content_range: string | null;
  readonly etag: string | null;
  readonly bytes: number;
  /** Sum of the body's bytes in its even and odd places, which is cheap for long ones. */
  readonly sums: readonly [number, number];
  readonly took_ms: number;
  /** Name of the error that ended it. */
  readonly error: string | null;
}

export interface ClientAsk {
  readonly tracker: string;
  readonly tenant_key: string;
  readonly consent?: "granted" | "denied";
}

/** What a page does by itself. */
export interface AutoAsk {
  readonly client: ClientAsk;
  readonly urls: readonly string[];
  /** Where the reports are put. */
  readonly report: string;
}

declare global {
  interface Window {
    files: typeof files;
  }
}

let client: Client | undefined;
/** Bytes of the body that is read now. */
let got = 0;

const files = {
  start({ tracker, tenant_key, consent = "granted" }: ClientAsk): void {
    client = createClient({ tracker, origin: location.origin, tenantKey: tenant_key, consent, limits: UNLIMITED });
  },
  stats: () => client?.stats(),
  diagnose: () => client?.diagnose(),
  serve: () => client?.serve(),
  got: () => got,
  close: () => client?.close(),
  /** Has the ready-made service worker between this page and the network; the client of this page serves it. */
  async work(): Promise<void> {
    client?.serve();
    await navigator.serviceWorker.register("/freshet-worker.js");
    if (navigator.serviceWorker.controller !== null) return;
    await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  },
  /** Plays a video to its end; how long it is, in seconds. */
  async play(url: string): Promise<number> {
    const video = document.createElement("video");
    video.muted = true;
    video.playbackRate = 4;
    video.src = url;
    document.body.append(video);
    const ended = new Promise((resolve, reject) => {
      video.addEventListener("ended", resolve);
      video.addEventListener("error", async () => {
        const { code, message } = video.error ?? {};
        reject(new Error(`${code} ${message} at ${video.currentTime} s; ${JSON.stringify(await client?.diagnose())}`));
      });
    });
    await video.play();
    await ended;
    return video.currentTime;
  },
  /** Runs the function `answer` of a WebAssembly module that is compiled while it comes. */
  async compute(url: string): Promise<number> {
    const { instance } = await WebAssembly.instantiateStreaming(fetch(url));
    return (instance.exports["answer"] as () => number)();
  },
  /** Width of an image. */
  async show(url: string): Promise<number> {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image.naturalWidth;
  },
  async fetch({ url, range, plain = false, abort_after }: FileAsk): Promise<FileReport> {
    if (client === undefined && !plain) throw new Error("this page has no client yet");
    const begun = performance.now();
    const abort = new AbortController();
    const headers: HeadersInit = range === undefined ? {} : { Range: range };
    const init = { headers, signal: abort.signal };
    const response = await (client === undefined || plain ? fetch(url, init) : client.fetch(url, init));
    const sums: [number, number] = [0, 0];
    let bytes = 0;
    let error: string | null = null;
    try {
      const reader = response.body?.getReader();
      for (;;) {
        const { value } = (await reader?.read()) ?? {};
        if (value === undefined) break;
        for (let at = 0; at < value.length; at += 1) (sums[(bytes + at) % 2] as number) += value[at] as number;
        bytes += value.length;
        got = bytes;
        if (abort_after !== undefined && bytes >= abort_after) abort.abort();
      }
    } catch (cause) {
      error = (cause as Error).name;
    }
    const header = (name: string): string | null => response.headers.get(name);
    return {
      status: response.status,
      type: header("Content-Type"),
      length: header("Content-Length"),
      content_range: header("Content-Range"),
      etag: header("ETag"),
      bytes,
      sums,
      took_ms: performance.now() - begun,
      error,
    };
  },
};

window.files = files;

// Without anybody to drive the page, its URL says what it is to do.
const auto = new URL(location.href).searchParams.get("auto");
if (auto !== null) void drive(JSON.parse(auto) as AutoAsk);

async function drive({ client: ask, urls, report }: AutoAsk): Promise<void> {
  files.start(ask);
  const reports: FileReport[] = [];
  for (const url of urls) reports.push(await files.fetch({ url }));
  // What nobody holds any more is not this page's memory.
  await (globalThis as { gc?(options: object): Promise<void> }).gc?.({ execution: "async", type: "major" });
  await fetch(report, { method: "PUT", body: JSON.stringify(reports) });
}
