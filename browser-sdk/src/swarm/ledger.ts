/** The ledger: each chunk in exactly one state, each byte counted once. */
import type { Range } from "../protocol/ranges.ts";
import { ShardMap } from "../protocol/shard.ts";
import { Bits } from "./bits.ts";
import { ORIGIN_REASONS, type OriginReason } from "./output.ts";
import { quotient } from "./whole.ts";

/** Where bytes came from; the origin's by their reason. */
export type Source = "peer" | "local" | { readonly origin: OriginReason };

/** Not part of this job, and not held. */
const UNWANTED = 0;
/** Wanted, and asked of nobody. */
const FREE = 1;
const HELD = 2;
/** Asked of so many sources more. */
const ASKED = 2;

/** All positions of `ranges` below `len`. */
export function* within(len: number, ranges: Iterable<Range>): Generator<number> {
  for (const { start, end } of ranges) for (let at = start; at < Math.min(end, len); at += 1) yield at;
}

export class Ledger {
  /** {@link UNWANTED}, {@link FREE}, {@link HELD}, or {@link ASKED} and the number of sources asked. */
  readonly #states: Uint8Array;
  readonly #bytes: readonly number[];
  readonly free: Bits;
  readonly held: Bits;
  /** How many links hold each position. */
  readonly #holders: Uint8Array;
  /** The positions that shards divide. */
  readonly #leased: Range;
  readonly #shards: ShardMap;
  readonly #shardMissing: number[] = [];
  #shardsDone: number[] = [];
  /** Mean size of a chunk, in bytes. */
  readonly meanBytes: number;
  jobBytes = 0;
  missingChunks = 0;
  missingBytes = 0;
  peerBytes = 0;
  /** By reason, in the order of {@link ORIGIN_REASONS}. */
  readonly originBytes: number[] = ORIGIN_REASONS.map(() => 0);
  wasteBytes = 0;
  corruptBytes = 0;

  constructor(bytes: readonly number[], leased: Range, wanted: readonly Range[], held: readonly Range[]) {
    const len = bytes.length;
    this.#states = new Uint8Array(len);
    this.#bytes = bytes;
    this.free = new Bits(len);
    this.held = new Bits(len);
    this.#holders = new Uint8Array(len);
    this.#leased = { start: Math.min(leased.start, len), end: Math.min(leased.end, len) };
    const spread = bytes.slice(this.#leased.start, this.#leased.end);
    this.#shards = new ShardMap(spread.length);
    for (let shard = 0; shard < this.#shards.count; shard += 1) {
      const { start, end } = this.#shards.positions(shard);
      this.#shardMissing.push(end - start);
    }
    const total = spread.reduce((sum, one) => sum + one, 0);
    this.meanBytes = Math.max(quotient(total, Math.max(spread.length, 1)), 1);
    for (const chunk of within(len, wanted)) this.want(chunk);
    for (const chunk of within(len, held)) this.hold(chunk, "local");
    this.jobBytes = this.missingBytes;
    this.#shardsDone = [];
  }

  /** Bytes of all that was ever wanted and is not missing. */
  get gotBytes(): number {
    return this.jobBytes - this.missingBytes;
  }

  /** Positions of a shard. */
  shardPositions(shard: number): Range {
    const { start, end } = this.#shards.positions(shard);
    return { start: start + this.#leased.start, end: end + this.#leased.start };
  }

  /** The shard that a position belongs to, if any. */
  #shardOf(chunk: number): number | undefined {
    const { start, end } = this.#leased;
    return chunk >= start && chunk < end ? this.#shards.shardOf(chunk - start) : undefined;
  }

  get len(): number {
    return this.#bytes.length;
  }

  isFree(chunk: number): boolean {
    return this.free.has(chunk);
  }

  isHeld(chunk: number): boolean {
    return this.held.has(chunk);
  }

  /** How many sources are asked. */
  sources(chunk: number): number {
    return Math.max(this.#state(chunk) - ASKED, 0);
  }

  bytes(chunk: number): number {
    return this.#bytes[chunk] ?? 0;
  }

  holders(chunk: number): number {
    return this.#holders[chunk] ?? 0;
  }

  addHolder(chunk: number): void {
    this.#holders[chunk] = this.holders(chunk) + 1;
  }

  removeHolder(chunk: number): void {
    this.#holders[chunk] = this.holders(chunk) - 1;
  }

  /** A source is asked for a chunk that is missing. */
  ask(chunk: number): void {
    const state = this.#state(chunk);
    if (state === UNWANTED || state === HELD) throw new Error("only missing chunks are asked for");
    this.free.delete(chunk);
    this.#states[chunk] = state === FREE ? ASKED + 1 : Math.min(state + 1, 255);
  }

  /** A source that was asked is out of it. */
  giveUp(chunk: number): void {
    const sources = this.sources(chunk);
    if (sources === 1) {
      this.#states[chunk] = FREE;
      this.free.add(chunk);
    } else if (sources > 1) {
      this.#states[chunk] = ASKED + sources - 1;
    }
  }

  /** A chunk came in verified. Whether it was news; if not, its bytes are waste. */
  hold(chunk: number, source: Source): boolean {
    const bytes = this.bytes(chunk);
    const before = this.#state(chunk);
    if (before === HELD) {
      if (source !== "local") this.wasteBytes += bytes;
      return false;
    }
    if (before !== UNWANTED) {
      this.missingChunks -= 1;
      this.missingBytes -= bytes;
    }
    this.free.delete(chunk);
    this.#states[chunk] = HELD;
    this.held.add(chunk);
    const shard = this.#shardOf(chunk);
    if (shard !== undefined) {
      const missing = (this.#shardMissing[shard] ?? 0) - 1;
      this.#shardMissing[shard] = missing;
      if (missing === 0) this.#shardsDone.push(shard);
    }
    if (source === "peer") {
      this.peerBytes += bytes;
    } else if (source !== "local") {
      const at = ORIGIN_REASONS.indexOf(source.origin);
      this.originBytes[at] = (this.originBytes[at] ?? 0) + bytes;
    }
    return true;
  }

  /** A held chunk is gone. It is not wanted again: its owner changed it. */
  lose(chunk: number): boolean {
    const wasHeld = this.held.delete(chunk);
    if (wasHeld) {
      this.#states[chunk] = UNWANTED;
      const shard = this.#shardOf(chunk);
      if (shard !== undefined) {
        this.#shardMissing[shard] = (this.#shardMissing[shard] ?? 0) + 1;
        this.#shardsDone = this.#shardsDone.filter((done) => done !== shard);
      }
    }
    return wasHeld;
  }

  waste(bytes: number): void {
    this.wasteBytes += bytes;
  }

  wasteCorrupt(bytes: number): void {
    this.wasteBytes += bytes;
    this.corruptBytes += bytes;
  }

  get hasShardsDone(): boolean {
    return this.#shardsDone.length > 0;
  }

  /** Shards held whole since the last call, at most `max`. */
  takeShardsDone(max: number): readonly number[] {
    return this.#shardsDone.splice(0, max);
  }

  #state(chunk: number): number {
    return this.#states[chunk] ?? UNWANTED;
  }

  want(chunk: number): void {
    if (this.#states[chunk] !== UNWANTED) return;
    this.#states[chunk] = FREE;
    this.free.add(chunk);
    this.missingChunks += 1;
    this.missingBytes += this.bytes(chunk);
    this.jobBytes += this.bytes(chunk);
  }
}
