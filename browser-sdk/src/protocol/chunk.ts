/** Chunks: the unit of transfer, verification, storage and deduplication. */
import { ProtocolError } from "./error.ts";
import { hashOf, type ChunkId, type Hash } from "./id.ts";

/** Bytes that did not hash to the id they were asked for by. */
export class Mismatch extends ProtocolError<"mismatch"> {
  /** The id asked for. */
  readonly wanted: ChunkId;
  /** The hash of what came. */
  readonly found: Hash;

  constructor(wanted: ChunkId, found: Hash) {
    super("chunk", "mismatch", wanted);
    this.wanted = wanted;
    this.found = found;
  }
}

/**
 * Bytes that match their id. Only {@link VerifiedChunk.check} makes one, so what takes a `VerifiedChunk` cannot be
 * handed anything unverified. Whoever passes bytes in must not write to them afterwards.
 */
export class VerifiedChunk {
  /** The chunk's id. */
  readonly id: ChunkId;
  readonly #bytes: Uint8Array;

  private constructor(id: ChunkId, bytes: Uint8Array) {
    this.id = id;
    this.#bytes = bytes;
  }

  /** The chunk's bytes. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Hashes `bytes` and compares. Throws {@link Mismatch}. */
  static async check(id: ChunkId, bytes: Uint8Array): Promise<VerifiedChunk> {
    const found = await hashOf(bytes);
    if (found !== id) throw new Mismatch(id, found);
    return new VerifiedChunk(id, bytes);
  }
}
