/**
 * One swarm on this page: drives the core, carries out what it says, and hands verified bytes to who reads. Everything
 * that happens becomes an input; nothing else decides.
 */
import { nowUs } from "../clock.ts";
import { OriginError } from "../origin.ts";
import type { Request } from "../protocol/frame.ts";
import { prefix32, type KeyId } from "../protocol/id.ts";
import type { Range } from "../protocol/ranges.ts";
import type { Totals } from "../swarm/core.ts";
import type { FetchEnd, Input, Locality, RequestEnd } from "../swarm/input.ts";
import { PIECES_MAX, SEGMENTS_MAX } from "../swarm/limits.ts";
import { MediaCore } from "../swarm/media/core.ts";
import type { PlayerInput } from "../swarm/media/timeline.ts";
import type { Output } from "../swarm/output.ts";
import type { Policy } from "../swarm/policy.ts";
import type { Wire } from "../transport/wire.ts";
import { Library, localRange, type HttpSource, type PieceRef, type Segment, type Shelf, type Word } from "./library.ts";
import { Link, type LinkEvents } from "./link.ts";
import { Readers, type Delivery } from "./readers.ts";
import { fetchRun, verified, type RunEvents } from "./run.ts";

/** What a session tells its owner. */
export interface SessionEvents {
  /** A peer sent wrong bytes: nothing more of it is wanted. */
  banned(key: KeyId): void;
  /** A link is gone. */
  unlinked(link: Link): void;
  /** A peer passed on an entry. */
  entry(entry: Uint8Array): void;
  /** Bytes came in or went out. */
  moved(): void;
}

export class Session implements LinkEvents {
  readonly #core: MediaCore;
  readonly #library: Library;
  readonly #events: SessionEvents;
  readonly #links = new Map<number, Link>();
  #nextLink = 0;
  /** Links and positions of own requests. */
  readonly #requests = new Map<number, { readonly link: Link; readonly position: number }>();
  readonly #fetches = new Map<number, AbortController>();
  readonly #readers = new Readers();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #policy: Policy;
  #isCarrying = false;
  #isClosed = false;

  constructor(order: number, policy: Policy, keptBytesMax: number, events: SessionEvents) {
    this.#policy = policy;
    this.#core = new MediaCore(nowUs(), { policy, order });
    this.#library = new Library(keptBytesMax);
    this.#events = events;
  }

  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  totals(): Totals {
    return this.#core.totals();
  }

  setPolicy(policy: Policy): void {
    const wasSharing = this.#policy.sharing;
    this.#policy = policy;
    if (wasSharing !== policy.sharing) for (const link of this.#links.values()) this.#introduceShelves(link);
    this.#input({ input: "policy", ...policy });
  }

  /** A rendition or release that is spoken of on links; `undefined` when there are too many. */
  shelf(key: string, frame: Parameters<Library["addShelf"]>[1]): Shelf | undefined {
    const known = this.#library.shelfOf(key);
    if (known !== undefined) return known;
    const shelf = this.#library.addShelf(key, frame);
    if (shelf !== undefined) for (const { wire } of this.#links.values()) wire.send(shelf.frame(this.#policy.sharing));
    return shelf;
  }

  /** A segment whose pieces are signed; added where it is not known yet. */
  segment(shelf: Shelf, start: number, pieces: readonly PieceRef[], source: HttpSource): Segment {
    const known = this.#library.find(shelf, start);
    if (known !== undefined) {
      known.source.url = source.url;
      return known;
    }
    this.#dropExcess();
    const segment = this.#library.add(shelf, start, pieces, source, nowUs());
    const [first] = pieces;
    const order = first === undefined ? 0 : prefix32(first.id);
    const piece_bytes = pieces.map(({ bytes }) => bytes);
    this.#player({ player: "segment", segment: segment.number, order, piece_bytes });
    // What neighbours said before was about a segment that was unknown then.
    const whole = { start, end: start + pieces.length };
    for (const link of this.#links.values()) {
      const ranges = link.holds(shelf.key, whole).flatMap((range) => localRange(segment, range));
      if (ranges.length > 0) this.#input({ input: "have", link: link.id, ranges });
    }
    return segment;
  }

  /**
   * Reads a segment by a deadline: its pieces are delivered as they are verified. Several may read the same one. Rejects
   * when the origin fails and nobody else has it, or when `signal` aborts.
   */
  async read(segment: Segment, deadlineUs: number, signal: AbortSignal, delivery: Delivery): Promise<void> {
    signal.throwIfAborted();
    if (this.#isClosed) throw new Error("closed");
    segment.usedUs = nowUs();
    const reading = this.#readers.read(segment, deadlineUs, signal, delivery);
    this.#want(segment);
    try {
      await reading;
    } finally {
      this.#want(segment);
      this.#dropExcess();
    }
  }

  /** Wants a segment for the reader who needs it first, or no longer. */
  #want(segment: Segment): void {
    const { number } = segment;
    const deadline_us = this.#readers.deadlineUs(segment);
    if (deadline_us === undefined) this.#player({ player: "unwant", segment: number });
    else this.#player({ player: "want", segment: number, deadline_us });
  }

  /** A wire whose other side has proved its key. */
  link(wire: Wire, key: KeyId, locality: Locality, rttUs: number): Link {
    const link = new Link(this.#nextLink, key, wire, this);
    this.#nextLink += 1;
    this.#links.set(link.id, link);
    this.#introduceShelves(link);
    this.#input({ input: "link-up", link: link.id, locality, rtt_us: rttUs });
    this.#player({ player: "peer-order", link: link.id, order: prefix32(key) });
    return link;
  }

  /** Sends an entry that is new to all peers. */
  passOn(entry: Uint8Array, from?: Link): void {
    for (const link of this.#links.values()) if (link !== from) link.wire.send({ type: "entry", entry });
  }

  /** Closes all links; what is being read goes on over HTTP. */
  unlink(reason: string): void {
    for (const link of this.links) link.close(reason);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.unlink("the page leaves");
    for (const abort of this.#fetches.values()) abort.abort();
    this.#readers.close();
  }

  // What links say.

  positions(link: Link, input: "have" | "withdraw" | "fetching", words: readonly Word[]): void {
    this.#input({ input, link: link.id, ranges: words.flatMap((word) => this.#library.fromWire(word)) });
  }

  received(link: Link, request: number, bytes: number, whole: Uint8Array | undefined): void {
    this.#events.moved();
    if (whole === undefined) return this.#input({ input: "progress", request, bytes });
    const position = this.#requests.get(request)?.position;
    const id = position === undefined ? undefined : this.#library.piece(position)?.id;
    if (position === undefined || id === undefined) return this.ended(link, request, "failed");
    verified(id, whole).then((chunk) => {
      // It may have been taken back while it was hashed; good bytes are kept all the same.
      if (chunk !== undefined) this.#library.put(position, chunk);
      this.#end(request, chunk === undefined ? "corrupt" : "verified");
      if (chunk !== undefined) this.#arrived(position);
    }, () => this.#end(request, "failed"));
  }

  ended(_link: Link, request: number, why: "failed" | "not-held" | "busy" | "exhausted"): void {
    this.#end(request, why === "failed" ? why : { refused: why });
  }

  asked(link: Link, { request, kind, hash }: Request): void {
    const chunk = kind === "chunk" ? this.#library.positionOf(hash) : undefined;
    if (chunk === undefined) return link.refuse({ type: "refuse", request, reason: "not-held" });
    this.#input({ input: "peer-request", link: link.id, request, chunk });
  }

  cancelled(link: Link, request: number): void {
    this.#input({ input: "peer-cancel", link: link.id, request });
  }

  entry(_link: Link, entry: Uint8Array): void {
    this.#events.entry(entry);
  }

  closed(link: Link): void {
    if (!this.#links.delete(link.id)) return;
    for (const [request, { link: of }] of this.#requests) if (of === link) this.#requests.delete(request);
    this.#input({ input: "link-down", link: link.id });
    this.#events.unlinked(link);
  }

  // Into the core, and out of it.

  #input(input: Input): void {
    if (this.#isClosed) return;
    this.#core.handleInput(nowUs(), input);
    this.#carryOut();
  }

  #player(input: PlayerInput): void {
    if (this.#isClosed) return;
    this.#core.handlePlayer(nowUs(), input);
    this.#carryOut();
  }

  #end(request: number, end: RequestEnd): void {
    if (this.#requests.delete(request)) this.#input({ input: "request-ended", request, end });
  }

  #carryOut(): void {
    // Carrying out may cause inputs, whose outputs the loop below takes too.
    if (this.#isCarrying) return;
    this.#isCarrying = true;
    for (let output = this.#core.pollOutput(); output !== undefined; output = this.#core.pollOutput()) {
      this.#output(output);
    }
    this.#isCarrying = false;
    clearTimeout(this.#timer);
    const due = this.#core.pollTimeout();
    if (due === undefined || this.#isClosed) return;
    this.#timer = setTimeout(
      () => {
        this.#core.handleTimeout(nowUs());
        this.#carryOut();
      },
      Math.max((due - nowUs()) / 1000, 0),
    );
  }

  #output(output: Output): void {
    switch (output.output) {
      case "request":
        return this.#ask(output.link, output.request, output.chunk);
      case "cancel":
        this.#requests.get(output.request)?.link.cancel(output.request);
        this.#requests.delete(output.request);
        return;
      case "fetch-origin":
        return this.#fetch(output.fetch, output.first, output.count);
      case "cancel-origin":
        this.#fetches.get(output.fetch)?.abort();
        this.#fetches.delete(output.fetch);
        return;
      case "send-have":
        return this.#send("have", output.ranges, output.link);
      case "send-withdraw":
        return this.#send("withdraw", output.ranges, null);
      case "send-fetching":
        return this.#send("fetching", output.ranges, null);
      case "serve":
        return this.#serve(output.link, output.request, output.chunk);
      case "refuse":
        this.#links.get(output.link)?.refuse({ type: "refuse", request: output.request, reason: output.reason });
        return;
      case "drop-link":
        return this.#dropLink(output.link, output.reason === "corrupt");
      case "ask-shards":
      case "complete":
    }
  }

  #ask(id: number, request: number, position: number): void {
    const link = this.#links.get(id);
    const piece = this.#library.piece(position);
    if (link === undefined || piece === undefined) return;
    this.#requests.set(request, { link, position });
    link.ask({ type: "request", request, kind: "chunk", hash: piece.id, offset: 0, encodings: 0 }, piece.bytes);
  }

  #send(type: "have" | "withdraw" | "fetching", ranges: readonly Range[], id: number | null): void {
    const links = id === null ? this.#links.values() : [this.#links.get(id)];
    const byShelf = this.#library.toWire(ranges);
    for (const link of links) {
      for (const shelf of this.#library.shelves) {
        const of = byShelf.get(shelf) ?? [];
        // An empty word about what is fetched ends the one before; to a new link it says that nothing is held.
        if (of.length > 0 || type === "fetching" || id !== null) link?.sendPositions(type, shelf, of);
      }
    }
  }

  #serve(id: number, request: number, position: number): void {
    const link = this.#links.get(id);
    const bytes = this.#library.bytes(position);
    const sent = link === undefined || bytes === undefined ? Promise.resolve(0) : link.answer(request, bytes);
    sent.then((count) => {
      this.#input({ input: "sent", link: id, request, bytes: count });
      this.#events.moved();
    });
  }

  #dropLink(id: number, isCorrupt: boolean): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    if (isCorrupt) this.#events.banned(link.key);
    link.close(isCorrupt ? "sent wrong bytes" : "no place for another link");
    this.closed(link);
  }

  #introduceShelves({ wire }: Link): void {
    for (const shelf of this.#library.shelves) wire.send(shelf.frame(this.#policy.sharing));
  }

  // The origin.

  #fetch(fetch: number, first: number, count: number): void {
    const abort = new AbortController();
    this.#fetches.set(fetch, abort);
    const segment = this.#library.segment(Math.floor(first / PIECES_MAX));
    const ended = (end: FetchEnd): void => {
      if (this.#fetches.delete(fetch)) this.#input({ input: "origin-ended", fetch, end });
    };
    if (segment === undefined) return ended("complete");
    const events: RunEvents = {
      progress: (bytes) => {
        this.#input({ input: "origin-progress", fetch, bytes });
        this.#events.moved();
      },
      piece: (number, piece) => {
        const position = segment.number * PIECES_MAX + number;
        if (piece !== undefined) this.#library.put(position, piece);
        this.#input({ input: "origin-chunk", fetch, chunk: position, verified: piece !== undefined });
        if (piece !== undefined) this.#arrived(position);
      },
    };
    fetchRun(segment, first % PIECES_MAX, count, abort.signal, events).then(
      () => ended("complete"),
      (error: unknown) => {
        const failure = error instanceof OriginError ? error : new OriginError(0, null, String(error));
        ended({ failed: { retry_after_us: failure.retryAfterUs } });
        if (abort.signal.aborted) return;
        // What still comes of the answer is of no use.
        abort.abort();
        this.#readers.failed(segment, failure);
      },
    );
  }

  #arrived(position: number): void {
    const segment = this.#library.segment(Math.floor(position / PIECES_MAX));
    if (segment === undefined) return;
    this.#readers.arrived(segment, segment.pieces[position % PIECES_MAX]?.bytes ?? 0);
  }

  #dropExcess(): void {
    for (const segment of this.#library.excess(this.#readers.segments, SEGMENTS_MAX - 1)) {
      this.#player({ player: "forget", segment: segment.number });
      this.#library.drop(segment);
    }
  }
}
