/**
 * The service worker's side: requests for published files are answered by a page that has a client. Where none answers
 * in time they go to the network, and what a page leaves unfinished is finished from there.
 *
 * Bytes come part by part over a port, each when the one before was taken: this holds back the page in all browsers, and
 * unlike a transferred stream it shows when the page is gone.
 */
import type { FileAsked, Head, Here, Part, Who } from "./messages.ts";
import { scope, type FetchEvent, type WorkerClient } from "./scope.ts";

/** How long a page may take to say that it is there, and to find the file. */
const ANSWER_MS = 300;
const HEAD_MS = 4000;
/** How long it may be silent after that, and how often is looked whether it is still there. */
const SILENT_MS = 10_000;
const LOOK_MS = 500;
/** Pauses before the network is asked again for what it did not give. */
const PAUSES_MS = [300, 1200];
/** Most pages remembered; those that came first go first. */
const PAGES_MAX = 64;
/** The end of the URLs that clients fetch themselves (`OWN` in release/address.ts). */
const OWN = "#freshet";

/** Base URLs by the ids of pages that have a client. */
const pages = new Map<string, string>();
let isFresh = true;
let stopWaiting: () => void;
/** Over once a page has said that it is there, or none did in time after the worker began. */
const began = new Promise<void>((resolve) => {
  stopWaiting = () => {
    isFresh = false;
    resolve();
  };
});
setTimeout(() => stopWaiting(), ANSWER_MS);

scope.addEventListener("message", ({ data, source }) => {
  const { freshet, base } = (data ?? {}) as Partial<Here>;
  if (freshet !== "here" || typeof base !== "string" || source === null) return;
  pages.delete(source.id);
  pages.set(source.id, base);
  for (const oldest of pages.keys()) if (pages.size > PAGES_MAX) pages.delete(oldest);
  stopWaiting();
});
void scope.clients.matchAll().then((all) => {
  for (const client of all) client.postMessage({ freshet: "who" } satisfies Who);
});

export interface HandleOptions {
  /** Base URLs of origins; those that pages name need not be said. */
  readonly prefixes?: readonly string[];
}

/**
 * Answers a request where it is for a published file; whether it does. Everything else is left to the network, or to the
 * site's own worker.
 */
export function handle(event: FetchEvent, { prefixes = [] }: HandleOptions = {}): boolean {
  const { method, mode, url } = event.request;
  const isFile = method === "GET" && mode !== "navigate" && /\/files\/[^/]+\/./.test(url) && !url.endsWith(OWN);
  const bases = [...prefixes, ...pages.values()];
  const isOurs = bases.length === 0 ? isFresh : bases.some((base) => url.startsWith(base));
  if (!isFile || !isOurs || (pages.size === 0 && !isFresh)) return false;
  // A worker is stopped when nothing is under way, and a stream does not count.
  const streamed = new Promise<void>((done) => event.respondWith(answer(event, done)));
  event.waitUntil(streamed);
  return true;
}

async function answer({ request, clientId }: FetchEvent, done: () => void): Promise<Response> {
  if (pages.size === 0) await began;
  // The page that asks, or else another one.
  for (const id of [clientId, ...pages.keys()]) {
    const client = pages.has(id) ? await scope.clients.get(id) : undefined;
    if (client === undefined) {
      pages.delete(id);
      continue;
    }
    const response = await new Asked(client, done).answer(request);
    if (response !== undefined) return response;
    break;
  }
  done();
  return fetch(request);
}

/** A request that was handed to a page. */
class Asked implements UnderlyingDefaultSource<Uint8Array> {
  readonly #page: WorkerClient;
  readonly #port: MessagePort;
  readonly #theirs: MessagePort;
  readonly #done: () => void;
  #take: (data: unknown) => void = () => undefined;
  #since = 0;
  #watch: ReturnType<typeof setInterval> | undefined;
  #url = "";
  /** Next byte of the file, and the one after the last. */
  #at = 0;
  #end = 0;
  /** The page gave up, and the network goes on. */
  #isLeft = false;
  #rest: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(page: WorkerClient, done: () => void) {
    const { port1, port2 } = new MessageChannel();
    this.#page = page;
    this.#port = port1;
    this.#theirs = port2;
    this.#done = done;
    port1.onmessage = ({ data }) => this.#take(data);
  }

  /** The page's answer; `undefined` where the network has to give it. */
  async answer({ url, headers: asked }: Request): Promise<Response | undefined> {
    const message: FileAsked = { freshet: "file", url, range: asked.get("Range") };
    this.#page.postMessage(message, [this.#theirs]);
    if ((await this.#next(ANSWER_MS)) !== true) pages.delete(this.#page.id);
    const head = pages.has(this.#page.id) ? ((await this.#next(HEAD_MS)) as Head | null | undefined) : undefined;
    if (head === null || head === undefined) {
      this.#finish();
      return undefined;
    }
    const headers = new Headers(head.headers as [string, string][]);
    this.#url = head.url;
    this.#at = Number(/^bytes (\d+)/.exec(headers.get("Content-Range") ?? "")?.[1] ?? 0);
    this.#end = this.#at + Number(headers.get("Content-Length"));
    if (this.#at < this.#end) {
      this.#watch = setInterval(() => void this.#look(), LOOK_MS);
      return new Response(new ReadableStream(this, { highWaterMark: 0 }), { status: head.status, headers });
    }
    this.#finish();
    return new Response(null, { status: head.status, headers });
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      const part = await this.#part();
      this.#at += part.length;
      controller.enqueue(part);
      if (this.#at < this.#end) return;
      controller.close();
    } catch (error) {
      controller.error(error);
    }
    this.#finish();
  }

  cancel(reason: unknown): void {
    this.#rest?.cancel(reason).catch(() => undefined);
    this.#finish();
  }

  async #part(): Promise<Uint8Array> {
    if (!this.#isLeft) {
      const part = (await this.#next(SILENT_MS, 1)) as Part | undefined;
      if (part === "wrong") throw new TypeError("the origin sends wrong bytes");
      if (part instanceof Uint8Array) return part;
      this.#isLeft = true;
    }
    // A media element ends at the first failure, so there is none before the network was asked more than once.
    for (const pauseMs of PAUSES_MS) {
      try {
        return await this.#plain();
      } catch {
        this.#rest = undefined;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
    return this.#plain();
  }

  async #plain(): Promise<Uint8Array> {
    if (this.#rest === undefined) {
      const range = `bytes=${this.#at}-${this.#end - 1}`;
      const { status, body } = await fetch(this.#url, { headers: { Range: range } });
      if (status !== 206 || body === null) throw new TypeError(`the origin answers ${status}`);
      this.#rest = body.getReader();
    }
    const { value } = await this.#rest.read();
    if (value === undefined) throw new TypeError("the answer is shorter than it should be");
    return value;
  }

  /** The next message of the page, asked for or not; `undefined` when it does not come in time. */
  async #next(timeMs: number, ask?: 1): Promise<unknown> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.#since = Date.now();
    const message = await new Promise((resolve) => {
      this.#take = resolve;
      timer = setTimeout(() => resolve(undefined), timeMs);
      if (ask !== undefined) this.#port.postMessage(ask);
    });
    clearTimeout(timer);
    this.#since = Infinity;
    return message;
  }

  async #look(): Promise<void> {
    const isWaiting = Date.now() - this.#since >= LOOK_MS;
    if (isWaiting && (await scope.clients.get(this.#page.id)) === undefined) this.#take(undefined);
  }

  #finish(): void {
    clearInterval(this.#watch);
    this.#port.postMessage(0);
    this.#port.close();
    this.#done();
  }
}
