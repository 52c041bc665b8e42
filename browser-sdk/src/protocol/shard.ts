/** Shards: equal runs of chunk positions, the unit in which a tracker spreads first copies over peers. */
import { SHARD_CHUNKS_MIN, SHARDS_MAX } from "./limits.ts";
import type { Range } from "./ranges.ts";

/** How a release of a given size is divided. Peers and trackers compute the same division from the chunk count alone. */
export class ShardMap {
  readonly #chunks: number;
  readonly #shardChunks: number;

  /** The smallest power of two of at least 4 positions a shard that gives at most 4096 shards. */
  constructor(chunks: number) {
    this.#chunks = chunks;
    this.#shardChunks = SHARD_CHUNKS_MIN;
    while (this.#shardChunks * SHARDS_MAX < chunks) this.#shardChunks *= 2;
  }

  /** Number of shards. */
  get count(): number {
    return Math.ceil(this.#chunks / this.#shardChunks);
  }

  /** The shard of a position. */
  shardOf(chunk: number): number {
    return Math.floor(chunk / this.#shardChunks);
  }

  /** The positions of a shard; empty for a shard beyond the last. */
  positions(shard: number): Range {
    const start = Math.min(shard * this.#shardChunks, this.#chunks);
    return { start, end: Math.min(start + this.#shardChunks, this.#chunks) };
  }
}
