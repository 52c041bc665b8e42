/**
 * A loader for hls.js: segments come from the swarm where they can, everything else and every doubt over plain HTTP.
 * Nothing that goes wrong with peers reaches the player.
 */
import { nowUs } from "../clock.ts";
import { isWrongBytes, open, OriginError, read } from "../origin.ts";
import { concat } from "../protocol/bytes.ts";
import type { SegmentAsk, Stream } from "../stream/stream.ts";
import { streamPath } from "../stream/path.ts";
import type { OriginReason } from "../swarm/output.ts";
import type { Playhead } from "./playhead.ts";
import { Timing } from "./timing.ts";
import type { Fragment, LoaderCallbacks, LoaderConfiguration, LoaderContext, LoaderStats } from "./types.ts";

/** How long a segment without an entry is waited for at most, and how much of the time until it is needed. */
const ENTRY_WAIT_S_MAX = 2;
const ENTRY_WAIT_SHARE = 0.5;
/** It is waited for so long also by who has nothing to play: without it, the segment would come over a line as slow. */
const ENTRY_WAIT_S_MIN = 0.5;
/** Between the request for a segment and its first byte, as the player is told. */
const FIRST_BYTE_MS = 5;
/** A timer that is so late ran in a page that slept. */
const ASLEEP_MS = 1000;

/** One presentation: what the loaders of one player share. */
export interface Presentation {
  readonly playhead: Playhead;
  /** URL of the first playlist, which paths are taken from. */
  firstPlaylist: string | undefined;
  /** The stream, where peers may be asked now. */
  stream(firstPlaylist: string): Promise<Stream | undefined>;
  /** Bytes that came over HTTP outside of the swarm. */
  passed(bytes: number, reason: OriginReason): void;
}

/** Makes the loader class of one presentation. */
export function loaderOf(presentation: Presentation): new (config?: unknown) => Loader {
  return class extends Loader {
    constructor() {
      super(presentation);
    }
  };
}

export class Loader {
  context: LoaderContext | null = null;
  stats: LoaderStats = freshStats();
  readonly #presentation: Presentation;
  #abort = new AbortController();
  #callbacks: LoaderCallbacks | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #response: Response | undefined;
  #expires: (() => void) | undefined;

  constructor(presentation: Presentation) {
    this.#presentation = presentation;
  }

  load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks): void {
    this.context = context;
    this.#callbacks = callbacks;
    this.stats.loading.start = performance.now();
    const { maxLoadTimeMs = config.timeout ?? 0, maxTimeToFirstByteMs = 0 } = config.loadPolicy ?? {};
    const expires = (): void => this.#finish(() => callbacks.onTimeout(this.stats, context, this.#response ?? null));
    this.#expires = expires;
    this.#arm(Math.min(maxTimeToFirstByteMs || Infinity, maxLoadTimeMs || Infinity));
    this.#load(context, maxLoadTimeMs).catch((error: unknown) => {
      const code = error instanceof OriginError ? error.status : 0;
      const text = error instanceof Error ? error.message : String(error);
      this.#finish(() => callbacks.onError({ code, text }, context, this.#response ?? null, this.stats));
    });
  }

  abort(): void {
    const { context } = this;
    const callbacks = this.#callbacks;
    if (context === null || callbacks === undefined) return;
    this.stats.aborted = true;
    this.#finish(() => callbacks.onAbort?.(this.stats, context, this.#response ?? null));
  }

  destroy(): void {
    this.#finish(() => undefined);
    this.context = null;
  }

  getCacheAge(): number | null {
    const age = this.#response?.headers.get("Age") ?? null;
    return age === null ? null : Number.parseFloat(age);
  }

  getResponseHeader(name: string): string | null {
    return this.#response?.headers.get(name) ?? null;
  }

  async #load(context: LoaderContext, maxLoadTimeMs: number): Promise<void> {
    const { frag, part, url, type } = context;
    if (frag === undefined) {
      if (type === "manifest") {
        this.#presentation.firstPlaylist = undefined;
        // Peers are looked for while the playlists come.
        void this.#presentation.stream(url);
      }
      await this.#pass(context, maxLoadTimeMs, undefined);
      this.#presentation.firstPlaylist ??= type === undefined ? undefined : (this.#response?.url ?? url);
      return;
    }
    // Parts of low-latency streams and initialisations are small and due at once.
    const isSegment = frag.sn !== "initSegment" && (part === null || part === undefined);
    const reason = isSegment ? await this.#fromSwarm(context, frag) : "policy";
    if (reason !== undefined && !this.#abort.signal.aborted) await this.#pass(context, maxLoadTimeMs, reason);
  }

  /** Takes a segment from the swarm; where that cannot be, why it comes over plain HTTP. */
  async #fromSwarm(context: LoaderContext, frag: Fragment): Promise<OriginReason | undefined> {
    const { firstPlaylist, playhead } = this.#presentation;
    const { signal } = this.#abort;
    const first = firstPlaylist ?? frag.baseurl;
    const stream = await this.#presentation.stream(first);
    if (stream === undefined) return "policy";
    const { url, rangeEnd } = context;
    const aheadS = playhead.aheadS(frag.start);
    const now = nowUs();
    const ask: SegmentAsk = {
      rendition: streamPath(first, frag.baseurl),
      sequence: frag.sn as number,
      path: streamPath(first, url),
      url,
      range: rangeEnd ? { start: context.rangeStart ?? 0, end: rangeEnd } : undefined,
      deadlineUs: now + Math.floor(aheadS * 1e6),
    };
    const waitS = Math.max(Math.min(aheadS * ENTRY_WAIT_SHARE, ENTRY_WAIT_S_MAX), ENTRY_WAIT_S_MIN);
    const entry = await stream.find(ask, now + waitS * 1e6);
    if (entry === undefined || signal.aborted) return "unlisted";
    const timing = new Timing();
    const whole = new Uint8Array(entry.bytes);
    this.stats.total = entry.bytes;
    try {
      await stream.read(entry, ask, signal, {
        came: (bytes) => timing.came(performance.now(), bytes),
        piece: (bytes) => {
          whole.set(bytes, this.stats.loaded);
          this.#progress(bytes);
        },
      });
    } catch (error) {
      // What was handed on is verified, but a player cannot take half a segment: it comes anew.
      if (this.#callbacks?.onProgress !== undefined && this.stats.loaded > 0) throw new OriginError(0, null, "broken off");
      this.stats.loaded = 0;
      return isWrongBytes(error) ? "unlisted" : "no-peers";
    }
    const end = performance.now();
    const { start } = this.stats.loading;
    // Waiting for a peer on purpose says nothing about the line.
    const activeMs = timing.activeMs;
    this.stats.loading.start = activeMs === undefined ? start : Math.max(end - activeMs - FIRST_BYTE_MS, start);
    this.stats.loading.first = this.stats.loading.start + FIRST_BYTE_MS;
    playhead.handed(frag.start, frag.duration);
    this.#succeed(context, whole, url, 200);
    return undefined;
  }

  /** Plain HTTP, as hls.js does it. */
  async #pass(context: LoaderContext, maxLoadTimeMs: number, reason: OriginReason | undefined): Promise<void> {
    const { url, rangeStart, rangeEnd, frag } = context;
    const range = rangeEnd ? { start: rangeStart ?? 0, end: rangeEnd } : undefined;
    const response = await open(url, range, this.#abort.signal);
    this.#response = response;
    this.stats.loading.first = performance.now();
    this.#arm(maxLoadTimeMs - (this.stats.loading.first - this.stats.loading.start));
    this.stats.total = Number(response.headers.get("Content-Length"));
    const parts: Uint8Array[] = [];
    await read(response, (part) => {
      if (frag !== undefined) this.#progress(part);
      else this.stats.loaded += part.length;
      parts.push(part);
    });
    if (this.#abort.signal.aborted) return;
    if (reason !== undefined) {
      this.#presentation.passed(this.stats.loaded, reason);
      if (frag !== undefined) this.#presentation.playhead.handed(frag.start, frag.duration);
    }
    this.#succeed(context, concat(...parts), response.url || url, response.status);
  }

  #progress(bytes: Uint8Array): void {
    const { context, stats } = this;
    if (context === null || this.#abort.signal.aborted) return;
    stats.loading.first ||= performance.now();
    stats.loaded += bytes.length;
    stats.chunkCount += 1;
    this.#callbacks?.onProgress?.(stats, context, bytes.slice().buffer as ArrayBuffer, this.#response ?? null);
  }

  #succeed(context: LoaderContext, bytes: Uint8Array<ArrayBuffer>, url: string, code: number): void {
    const callbacks = this.#callbacks;
    const isHanded = callbacks?.onProgress !== undefined && context.frag !== undefined;
    const whole = isHanded ? new ArrayBuffer(0) : bytes.buffer;
    const data =
      context.responseType === "arraybuffer" ? whole : textOrJson(new TextDecoder().decode(whole), context.responseType);
    this.stats.loading.end = Math.max(performance.now(), this.stats.loading.first);
    this.stats.total ||= this.stats.loaded;
    this.#finish(() => callbacks?.onSuccess({ url, data, code }, this.stats, context, this.#response ?? null));
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#expires === undefined || !(ms < Infinity)) return;
    const dueMs = performance.now() + Math.max(ms, 0);
    const expire = (): void => {
      // A page that slept hears of its timers before it hears what came meanwhile.
      if (performance.now() - dueMs > ASLEEP_MS) this.#arm(ms);
      else this.#expires?.();
    };
    this.#timer = setTimeout(expire, Math.max(ms, 0));
  }

  /** Tells the player once how it ended. */
  #finish(tell: () => void): void {
    if (this.#callbacks === undefined) return;
    clearTimeout(this.#timer);
    tell();
    this.#callbacks = undefined;
    this.#abort.abort();
  }
}

function textOrJson(text: string, responseType: string): string | object {
  return responseType === "json" ? (JSON.parse(text) as object) : text;
}

function freshStats(): LoaderStats {
  const none = { start: 0, first: 0, end: 0 };
  return {
    aborted: false,
    loaded: 0,
    retry: 0,
    total: 0,
    chunkCount: 0,
    bwEstimate: 0,
    loading: { ...none },
    parsing: { start: 0, end: 0 },
    buffering: { ...none },
  };
}
