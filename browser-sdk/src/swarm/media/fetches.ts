/** Own fetches from the origin, and what they say about its pace. */
import type { Range } from "../../protocol/ranges.ts";
import { ById } from "../by_id.ts";
import { Average, Rate } from "../estimate.ts";
import { ORIGIN_FIRST_BYTE_US } from "../limits.ts";
import type { OriginReason, Say } from "../output.ts";
import { quotient } from "../whole.ts";
import { segmentAt, type Timeline } from "./timeline.ts";

interface Fetch {
  readonly chunks: Range;
  readonly reason: OriginReason;
  readonly startedUs: number;
  hasBytes: boolean;
  received: number;
}

export class Fetches {
  readonly #fetches = new ById<Fetch>();
  #nextFetch = 0;
  readonly #rate = new Rate();
  readonly #firstByteUs = new Average();

  /** Fetches under way. */
  get size(): number {
    return this.#fetches.size;
  }

  /** Time that the origin needs for so many bytes, as far as is known. */
  needsUs(bytes: number, bytesSFloor: number): number {
    const rate = Math.max(this.#rate.bytesS ?? bytesSFloor, 1);
    return (this.#firstByteUs.value ?? ORIGIN_FIRST_BYTE_US) + quotient(bytes * 1_000_000, rate);
  }

  start(now: number, timeline: Timeline, chunks: Range, reason: OriginReason, say: Say): void {
    if (this.#fetches.size === 0) this.#rate.begin(now);
    const fetch = this.#nextFetch;
    this.#nextFetch += 1;
    setFetched(timeline, chunks, true);
    this.#fetches.add(fetch, { chunks, reason, startedUs: now, hasBytes: false, received: 0 });
    say({ output: "fetch-origin", fetch, first: chunks.start, count: chunks.end - chunks.start, reason });
  }

  /** Bytes came in; a position that they are of. */
  progress(now: number, id: number, bytes: number): number | undefined {
    const fetch = this.#fetches.get(id);
    if (fetch === undefined) return undefined;
    if (!fetch.hasBytes) {
      fetch.hasBytes = true;
      this.#firstByteUs.add(now - fetch.startedUs);
      this.#rate.begin(now);
    }
    fetch.received += bytes;
    this.#rate.add(now, bytes);
    return fetch.chunks.start;
  }

  /** A piece came in whole; why it was fetched, unless the fetch is not known (any more). */
  delivered(timeline: Timeline, id: number, chunk: number): OriginReason | undefined {
    const fetch = this.#fetches.get(id);
    const piece = timeline.piece(chunk);
    if (fetch === undefined || piece === undefined) return undefined;
    if (chunk < fetch.chunks.start || chunk >= fetch.chunks.end) return undefined;
    piece.isFetched = false;
    fetch.received = Math.max(fetch.received - piece.bytes, 0);
    return fetch.reason;
  }

  /** A fetch is over. Whether it was known. */
  ended(timeline: Timeline, id: number): boolean {
    const fetch = this.#fetches.take(id);
    if (fetch === undefined) return false;
    timeline.wasteBytes += fetch.received;
    setFetched(timeline, fetch.chunks, false);
    return true;
  }

  /** Breaks off the fetches of a segment. */
  cancelSegment(timeline: Timeline, segment: number, say: Say): void {
    for (const fetch of this.#fetches.idsWhere(({ chunks }) => segmentAt(chunks.start) === segment)) {
      this.ended(timeline, fetch);
      say({ output: "cancel-origin", fetch });
    }
  }

  /** What is being fetched now. */
  fetching(): readonly Range[] {
    return this.#fetches
      .values()
      .map(({ chunks }) => chunks)
      .sort((a, b) => a.start - b.start);
  }
}

function setFetched(timeline: Timeline, { start, end }: Range, isFetched: boolean): void {
  for (let chunk = start; chunk < end; chunk += 1) {
    const piece = timeline.piece(chunk);
    if (piece !== undefined) piece.isFetched = isFetched;
  }
}

/** The first run of pieces of a segment that `isMeant` is true for. */
export function firstRun(timeline: Timeline, segment: number, isMeant: (chunk: number) => boolean): Range | undefined {
  const chunks = timeline.positions(segment);
  const start = chunks.find(isMeant);
  if (start === undefined) return undefined;
  const end = chunks.find((chunk) => chunk > start && !isMeant(chunk));
  return { start, end: end ?? (chunks.at(-1) as number) + 1 };
}
