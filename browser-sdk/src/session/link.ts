/** A link to a peer: what it says it holds, and requests both ways. */
import type { Data, Frame, Request } from "../protocol/frame.ts";
import type { KeyId } from "../protocol/id.ts";
import { HAVE_RANGES_MAX, LINK_REQUESTS_MAX } from "../protocol/limits.ts";
import type { Range } from "../protocol/ranges.ts";
import type { Wire } from "../transport/wire.ts";
import type { Shelf, Word } from "./library.ts";
import { RangeSet } from "./range_set.ts";

type Positions = "have" | "withdraw" | "fetching";

/** What to make of refusals: the position is not there, the peer is busy, or it hands out nothing more. */
const REFUSED = {
  "not-held": "not-held",
  busy: "busy",
  other: "busy",
  budget: "exhausted",
  "not-sharing": "exhausted",
} as const;

/** A shelf as the peer speaks of it, with what it holds of it, and fetches. */
interface Named extends Word {
  readonly held: RangeSet;
  ranges: readonly Range[];
}

/** What a link tells its session. Positions are those of the wire. */
export interface LinkEvents {
  /** What is fetched is told of all shelves together. */
  positions(link: Link, type: Positions, words: readonly Word[]): void;
  /** Bytes of an answer came; `whole` once all did. */
  received(link: Link, request: number, bytes: number, whole: Uint8Array | undefined): void;
  ended(link: Link, request: number, why: "failed" | "not-held" | "busy" | "exhausted"): void;
  asked(link: Link, request: Request): void;
  cancelled(link: Link, request: number): void;
  entry(link: Link, entry: Uint8Array): void;
  closed(link: Link): void;
}

const ALL: Range = { start: 0, end: Infinity };

/** An own request, and what came of it. */
interface Pending {
  readonly total: number;
  received: number;
  /** Where the answer gathers, unless the wire has it. */
  bytes: Uint8Array | undefined;
}

export class Link {
  readonly id: number;
  readonly key: KeyId;
  readonly wire: Wire;
  receivedBytes = 0;
  sentBytes = 0;
  readonly #events: LinkEvents;
  /** Shelves by the numbers that the peer gave them, which are few. */
  readonly #shelves = new Map<number, Named>();
  readonly #pending = new Map<number, Pending>();
  /** Requests of the peer that wait. */
  readonly #asked = new Set<number>();

  constructor(id: number, key: KeyId, wire: Wire, events: LinkEvents) {
    this.id = id;
    this.key = key;
    this.wire = wire;
    this.#events = events;
  }

  /** What the peer said it holds of a range of a shelf. */
  holds(key: string, range: Range): readonly Range[] {
    return [...this.#shelves.values()].flatMap((shelf) => (shelf.key === key ? shelf.held.within(range) : []));
  }

  /** Sends ranges in as many frames as they need. */
  sendPositions(type: Positions, shelf: Shelf, ranges: readonly Range[]): void {
    for (let at = 0; at === 0 || at < ranges.length; at += HAVE_RANGES_MAX) {
      this.wire.send({ type, release: shelf.number, ranges: ranges.slice(at, at + HAVE_RANGES_MAX) });
    }
  }

  ask(request: Request, bytes: number): void {
    this.#pending.set(request.request, { total: bytes, received: 0, bytes: undefined });
    this.wire.ask(request, bytes);
  }

  cancel(request: number): void {
    if (this.#pending.delete(request)) this.wire.cancel(request);
  }

  /** Hands bytes to the peer; how many it took. */
  async answer(request: number, bytes: Uint8Array): Promise<number> {
    const sent = this.#asked.has(request) ? await this.wire.answer(request, bytes) : 0;
    this.#asked.delete(request);
    this.sentBytes += sent;
    return sent;
  }

  refuse(frame: Extract<Frame, { readonly type: "refuse" }>): void {
    this.#asked.delete(frame.request);
    this.wire.refuse(frame);
  }

  close(reason: string): void {
    this.wire.send({ type: "bye", reason });
    this.wire.close();
  }

  /** A frame of the link itself. */
  frame(frame: Frame): void {
    switch (frame.type) {
      case "rendition":
        this.#name(frame.release, `${frame.stream} ${frame.epoch} ${frame.rendition}`);
        break;
      case "release":
        this.#name(frame.release, frame.root);
        break;
      case "have":
      case "withdraw":
      case "fetching":
        this.#positions(frame.type, frame.release, frame.ranges);
        break;
      case "entry":
        this.#events.entry(this, frame.entry);
        break;
      case "bye":
        this.wire.close();
    }
  }

  answered(frame: Data | Extract<Frame, { readonly type: "refuse" }>, gathered?: Uint8Array): void {
    const pending = this.#pending.get(frame.request);
    // It was taken back a moment ago.
    if (pending === undefined) return;
    if (frame.type === "refuse") {
      this.#pending.delete(frame.request);
      return this.#events.ended(this, frame.request, REFUSED[frame.reason]);
    }
    const { payload } = frame;
    const end = pending.received + payload.length;
    if (frame.encoding !== "identity" || frame.total !== pending.total || end > frame.total) {
      return this.broken(frame.request);
    }
    const bytes = gathered ?? (pending.bytes ??= new Uint8Array(pending.total));
    if (gathered === undefined) bytes.set(payload, pending.received);
    pending.received = end;
    this.receivedBytes += payload.length;
    const isWhole = end === frame.total;
    if (isWhole) this.#pending.delete(frame.request);
    this.#events.received(this, frame.request, payload.length, isWhole ? bytes : undefined);
  }

  broken(request: number): void {
    if (this.#pending.delete(request)) this.#events.ended(this, request, "failed");
  }

  asked(request: Request): void {
    if (this.#asked.size >= LINK_REQUESTS_MAX || this.#asked.has(request.request)) {
      return this.wire.refuse({ type: "refuse", request: request.request, reason: "busy" });
    }
    this.#asked.add(request.request);
    this.#events.asked(this, request);
  }

  cancelled(request: number): void {
    if (this.#asked.delete(request)) this.#events.cancelled(this, request);
  }

  closed(): void {
    this.#events.closed(this);
  }

  #name(release: number, key: string): void {
    const before = this.#shelves.get(release);
    if (before?.key === key) return;
    this.#shelves.set(release, { key, held: new RangeSet(), ranges: [] });
    if (before !== undefined) this.#events.positions(this, "withdraw", [{ ...before, ranges: [ALL] }]);
  }

  #positions(type: Positions, release: number, ranges: readonly Range[]): void {
    const shelf = this.#shelves.get(release);
    if (shelf === undefined) return;
    for (const range of ranges) {
      if (type === "have") shelf.held.add(range);
      else if (type === "withdraw") shelf.held.remove(range);
    }
    let words: readonly Word[] = [{ ...shelf, ranges }];
    if (type === "fetching") {
      shelf.ranges = ranges;
      words = [...this.#shelves.values()];
    }
    this.#events.positions(this, type, words);
  }
}
