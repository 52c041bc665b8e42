/** Own fetches from the origin: which runs of chunks, how many at a time, and what became of them. */
import { RANGE_BYTES } from "../protocol/limits.ts";
import { rangesOf, type Range } from "../protocol/ranges.ts";
import type { Assign } from "./assign.ts";
import type { Bits } from "./bits.ts";
import { ById } from "./by_id.ts";
import { Rate } from "./estimate.ts";
import type { Choice, Demand } from "./governor.ts";
import { within, type Ledger } from "./ledger.ts";
import {
  LATE_FACTOR,
  LEASED_RANGES_MAX,
  ORIGIN_COVER_US,
  ORIGIN_FLIGHT_MAX,
  ORIGIN_FLIGHT_MIN,
  PICK_CANDIDATES_MAX,
  PICK_WORDS_MAX,
  RUN_BYTES_END,
  RUN_BYTES_MIN,
  RUN_COVER_US,
  STALL_US,
} from "./limits.ts";
import { mix32 } from "./mix.ts";
import type { OriginReason, Say } from "./output.ts";
import type { Picker } from "./pick.ts";
import { Rest } from "./rest.ts";
import { clamp, quotient } from "./whole.ts";

/** A fetch under way. */
interface Fetch {
  readonly reason: OriginReason;
  /** Positions not delivered yet, in order. */
  readonly pending: number[];
  /** Bytes of the position that is coming in. */
  partialBytes: number;
  /** Last time that bytes came, or that it was started. */
  lastBytesUs: number;
}

/** Fewest bytes to have in flight. First copies start with little, so that the first chunk is on its way to peers soon. */
const FLIGHT_MIN: Record<Choice, number> = {
  sequential: RANGE_BYTES,
  leased: ORIGIN_FLIGHT_MIN,
  "own-order": RUN_BYTES_MIN,
  rarest: RUN_BYTES_MIN,
};

/** The origin as a source. */
export class Origin {
  readonly #fetches = new ById<Fetch>();
  #nextFetch = 0;
  /** Bytes asked for and not delivered. */
  flightBytes = 0;
  readonly #rate = new Rate();
  readonly rest: Rest;
  /** Granted positions not asked for yet. */
  readonly #leased: Range[] = [];
  /** Where the own order goes on. */
  #cursor: number;
  /** Where the order from the first to the last goes on: what is wanted in several places comes in turn. */
  #front = 0;

  constructor(len: number, seed: number) {
    const salt = mix32((seed ^ 0x6f726967) >>> 0);
    this.rest = new Rest(salt);
    this.#cursor = len === 0 ? 0 : salt % len;
  }

  get bytesS(): number | undefined {
    return this.#rate.bytesS;
  }

  get hasLease(): boolean {
    return this.#leased.length > 0;
  }

  /** The tracker grants positions. More than the bound are left for others. */
  lease(positions: Range): void {
    if (this.#leased.length < LEASED_RANGES_MAX && positions.start < positions.end) this.#leased.push(positions);
  }

  /** Granted bytes not asked for yet, as far as `enough`. */
  leasedBytes(ledger: Ledger, enough: number): number {
    let bytes = 0;
    for (const chunk of within(ledger.len, this.#leased)) {
      if (ledger.isFree(chunk)) bytes += ledger.bytes(chunk);
      if (bytes >= enough) break;
    }
    return bytes;
  }

  /** Bytes in flight below which a further fetch starts. */
  flightWanted(choice: Choice): number {
    return clamp(this.#cover(ORIGIN_COVER_US), FLIGHT_MIN[choice], ORIGIN_FLIGHT_MAX);
  }

  /** Time in which the origin would bring `bytes` more than what is in flight, as far as is known. */
  nextUs(bytes: number): number {
    return this.#timeUs(this.flightBytes + bytes);
  }

  /** Whether so little is in flight that another fetch should start. */
  hasRoom(choice: Choice): boolean {
    return this.flightBytes < this.flightWanted(choice);
  }

  /** Whether another fetch may start now at all. */
  hasSlot(now: number): boolean {
    return this.#fetches.size < this.rest.fetchesMax(now);
  }

  /** Starts a fetch as demanded, of about `most` chunks where it is not for the whole; the bytes asked for, or none where nothing fits. */
  start(
    now: number,
    demand: Demand,
    most: number,
    ledger: Ledger,
    assign: Assign,
    picker: Picker,
    say: Say,
  ): number | undefined {
    if (!this.hasRoom(demand.choice)) return undefined;
    const run = this.#run(demand.choice, most, ledger, assign, picker);
    if (run === undefined) return undefined;
    const fetch = this.#nextFetch;
    this.#nextFetch += 1;
    const pending = [...within(ledger.len, [run])];
    for (const chunk of pending) ledger.ask(chunk);
    if (this.#fetches.size === 0) this.#rate.begin(now);
    const bytes = bytesOf(ledger, pending);
    this.flightBytes += bytes;
    const { reason } = demand;
    this.#fetches.add(fetch, { reason, pending, partialBytes: 0, lastBytesUs: now });
    say({ output: "fetch-origin", fetch, first: run.start, count: run.end - run.start, reason });
    return bytes;
  }

  /** Bytes of a fetch came in; why it runs, unless it is not known. */
  progress(now: number, id: number, bytes: number): OriginReason | undefined {
    const fetch = this.#fetches.get(id);
    if (fetch === undefined) return undefined;
    fetch.partialBytes += bytes;
    fetch.lastBytesUs = now;
    this.#rate.add(now, bytes);
    return fetch.reason;
  }

  /** A chunk of a fetch came in; why it was fetched, unless it was not asked for. */
  delivered(now: number, ledger: Ledger, id: number, chunk: number): OriginReason | undefined {
    const fetch = this.#fetches.get(id);
    const at = fetch?.pending.indexOf(chunk) ?? -1;
    if (fetch === undefined || at < 0) return undefined;
    fetch.pending.splice(at, 1);
    fetch.lastBytesUs = now;
    const bytes = ledger.bytes(chunk);
    const early = Math.min(fetch.partialBytes, bytes);
    fetch.partialBytes -= early;
    if (fetch.pending.length === 0) this.#fetches.take(id);
    this.flightBytes -= bytes;
    this.#rate.add(now, bytes - early);
    return fetch.reason;
  }

  /**
   * A fetch ended, or is broken off, with something not delivered: that is free again. Whether it was known; one that
   * delivered all is over by that.
   */
  ended(ledger: Ledger, assign: Assign, id: number): boolean {
    const fetch = this.#fetches.take(id);
    if (fetch === undefined) return false;
    ledger.waste(fetch.partialBytes);
    // Nobody else was granted it, so the others wait for this peer.
    if (fetch.reason === "first-copy") for (const run of rangesOf(fetch.pending)) this.lease(run);
    this.flightBytes -= bytesOf(ledger, fetch.pending);
    for (const chunk of fetch.pending) assign.giveUp(ledger, chunk);
    return true;
  }

  /** Breaks off fetches that stand still although peers hold what they should bring, and lets the origin rest. */
  dropStalled(now: number, ledger: Ledger, assign: Assign, say: Say): void {
    const stalled = this.#fetches.idsWhere(({ lastBytesUs, pending }) => {
      return now - lastBytesUs >= STALL_US && pending.some((chunk) => ledger.holders(chunk) > 0);
    });
    this.#drop(stalled, ledger, assign, say);
    if (stalled.length > 0) this.rest.failed(now, null);
  }

  /** Breaks off fetches of which nothing more is missing. */
  dropNeedless(ledger: Ledger, assign: Assign, say: Say): void {
    const needless = this.#fetches.idsWhere(({ pending }) => pending.every((chunk) => ledger.isHeld(chunk)));
    this.#drop(needless, ledger, assign, say);
  }

  /** Breaks off everything. */
  dropAll(ledger: Ledger, assign: Assign, say: Say): void {
    this.#drop([...this.#fetches.ids()], ledger, assign, say);
  }

  /** The position under way that the origin will bring last, of those that a link could bring in half the time. */
  latestOf(ledger: Ledger, has: Bits, linkUs: number): number | undefined {
    for (const { pending, partialBytes } of this.#fetches.values()) {
      const share = bytesOf(ledger, pending) * this.#fetches.size;
      if (this.#timeUs(Math.max(share - partialBytes, 0)) <= linkUs * LATE_FACTOR) continue;
      let latest: number | undefined;
      for (const chunk of pending) if (has.has(chunk) && ledger.sources(chunk) === 1) latest = chunk;
      if (latest !== undefined) return latest;
    }
    return undefined;
  }

  /** What is being fetched now. */
  fetching(): readonly Range[] {
    const positions = new Set(this.#fetches.values().flatMap(({ pending }) => pending));
    return rangesOf([...positions].sort((a, b) => a - b));
  }

  #drop(fetches: readonly number[], ledger: Ledger, assign: Assign, say: Say): void {
    for (const fetch of fetches) {
      this.ended(ledger, assign, fetch);
      say({ output: "cancel-origin", fetch });
    }
  }

  /** What the origin brings in a time at its rate. */
  #cover(timeUs: number): number {
    return quotient((this.bytesS ?? 0) * timeUs, 1_000_000);
  }

  /** Time in which the origin brings so many bytes at its rate; very long while that is not known. */
  #timeUs(bytes: number): number {
    return quotient(bytes * 1_000_000, Math.max(this.bytesS ?? 0, 1));
  }

  #run(choice: Choice, most: number, ledger: Ledger, assign: Assign, picker: Picker): Range | undefined {
    const runBytes = Math.min(this.#runBytes(ledger), most * ledger.meanBytes);
    if (choice === "leased") return this.#nextLeased(ledger, runBytes);
    if (choice === "own-order") return this.#nextOwn(ledger, assign, runBytes);
    if (choice === "sequential") return this.#nextFront(ledger, RANGE_BYTES);
    const first = picker.pick(ledger);
    return first === undefined ? undefined : freeRun(ledger, first, runBytes);
  }

  /** Size of a run while peers are about: a part of a second of the origin's rate, less towards the end. */
  #runBytes(ledger: Ledger): number {
    const end = Math.max(quotient(ledger.missingBytes, 16), RUN_BYTES_END);
    return Math.min(clamp(this.#cover(RUN_COVER_US), RUN_BYTES_MIN, RANGE_BYTES), end);
  }

  /** The next run from the first to the last, and from the first again. */
  #nextFront(ledger: Ledger, bytesMax: number): Range | undefined {
    const first = ledger.free.next(this.#front, Infinity) ?? ledger.free.next(0, Infinity);
    if (first === undefined) return undefined;
    const run = freeRun(ledger, first, bytesMax);
    this.#front = run.end;
    return run;
  }

  /** The next granted run that is still free and that no neighbour holds. */
  #nextLeased(ledger: Ledger, bytesMax: number): Range | undefined {
    const wanted = (chunk: number): boolean => ledger.isFree(chunk) && ledger.holders(chunk) === 0;
    for (;;) {
      const range = this.#leased.shift();
      if (range === undefined) return undefined;
      let start = range.start;
      while (start < range.end && !wanted(start)) start += 1;
      if (start === range.end) continue;
      const run = runWhile(ledger, { start, end: range.end }, bytesMax, wanted);
      this.#leased.unshift({ start: run.end, end: range.end });
      return run;
    }
  }

  /** The next run in the own order that no neighbour holds or fetches; a bounded look. */
  #nextOwn(ledger: Ledger, assign: Assign, bytesMax: number): Range | undefined {
    const wanted = (chunk: number): boolean =>
      ledger.isFree(chunk) && ledger.holders(chunk) === 0 && !assign.isFetchedNearby(chunk);
    let wrapped = false;
    for (let look = 0; look < PICK_CANDIDATES_MAX; look += 1) {
      const candidate = ledger.free.next(this.#cursor, PICK_WORDS_MAX);
      if (candidate === undefined) {
        if (wrapped) return undefined;
        wrapped = true;
        this.#cursor = 0;
      } else if (wanted(candidate)) {
        const run = runWhile(ledger, { start: candidate, end: ledger.len }, bytesMax, wanted);
        this.#cursor = run.end;
        return run;
      } else {
        this.#cursor = candidate + 1;
      }
    }
    return undefined;
  }
}

const bytesOf = (ledger: Ledger, chunks: readonly number[]): number =>
  chunks.reduce((sum, chunk) => sum + ledger.bytes(chunk), 0);

/** Free positions from `first` on, until `bytesMax` is reached. */
function freeRun(ledger: Ledger, first: number, bytesMax: number): Range {
  return runWhile(ledger, { start: first, end: ledger.len }, bytesMax, (chunk) => ledger.isFree(chunk));
}

/** The longest run at the front of `range` of wanted positions; ends where `bytesMax` is reached. */
function runWhile(ledger: Ledger, range: Range, bytesMax: number, wanted: (chunk: number) => boolean): Range {
  let bytes = 0;
  let end = range.start;
  while (end < range.end && bytes < bytesMax && wanted(end)) {
    bytes += ledger.bytes(end);
    end += 1;
  }
  return { start: range.start, end };
}
