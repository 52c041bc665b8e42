/**
 * What is known and kept of a swarm: shelves (a rendition of a stream, or a release), the segments on them, and the bytes
 * of verified pieces within a bound. It translates between positions of the core and those on the wire.
 */
import type { VerifiedChunk } from "../protocol/chunk.ts";
import type { Frame } from "../protocol/frame.ts";
import type { ChunkId } from "../protocol/id.ts";
import { LINK_RELEASES_MAX } from "../protocol/limits.ts";
import { rangesOf, type Range } from "../protocol/ranges.ts";
import { PIECES_MAX } from "../swarm/limits.ts";

/** A piece, as it is signed. */
export interface PieceRef {
  readonly id: ChunkId;
  readonly bytes: number;
}

/** A rendition or release. */
export interface Shelf {
  /** The number by which this side names it on all links. */
  readonly number: number;
  /** What it has in common on both sides of a link. */
  readonly key: string;
  /** The frame that names it. */
  frame(sharing: boolean): Frame;
}

/** What a peer says of the shelf with a key. */
export interface Word {
  readonly key: string;
  readonly ranges: readonly Range[];
}

/** Where bytes of a segment come from over HTTP. */
export interface HttpSource {
  url: string;
  /** First byte of the segment in the resource. */
  readonly offset: number;
  /** Whether the segment is the whole resource. */
  readonly isWhole: boolean;
}

export interface Segment {
  /** Its number in the core. */
  readonly number: number;
  readonly shelf: Shelf;
  /** Wire position of its first piece. */
  readonly start: number;
  readonly pieces: readonly PieceRef[];
  readonly source: HttpSource;
  readonly kept: (Uint8Array | undefined)[];
  keptBytes: number;
  /** Whether the origin once answered with other bytes than those that were signed. */
  wasWrong: boolean;
  /** Last time that the player wanted it. */
  usedUs: number;
}

export class Library {
  readonly #bytesMax: number;
  readonly #shelves = new Map<string, Shelf>();
  readonly #segments = new Map<number, Segment>();
  readonly #places = new Map<string, Segment>();
  readonly #positions = new Map<ChunkId, number>();
  #nextSegment = 0;
  #bytes = 0;

  /** Keeps at most `bytesMax` bytes, beside what is wanted right now. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get shelves(): readonly Shelf[] {
    return [...this.#shelves.values()];
  }

  /** A shelf for a key that has none; `undefined` when there are too many. */
  addShelf(key: string, frame: (number: number, sharing: boolean) => Frame): Shelf | undefined {
    const number = this.#shelves.size;
    if (number >= LINK_RELEASES_MAX) return undefined;
    const shelf = { number, key, frame: (sharing: boolean) => frame(number, sharing) };
    this.#shelves.set(key, shelf);
    return shelf;
  }

  shelfOf(key: string): Shelf | undefined {
    return this.#shelves.get(key);
  }

  find(shelf: Shelf, start: number): Segment | undefined {
    return this.#places.get(`${shelf.number} ${start}`);
  }

  segment(number: number): Segment | undefined {
    return this.#segments.get(number);
  }

  add(shelf: Shelf, start: number, pieces: readonly PieceRef[], source: HttpSource, nowUs: number): Segment {
    const number = this.#nextSegment;
    this.#nextSegment += 1;
    const kept = pieces.map(() => undefined);
    const segment = { number, shelf, start, pieces, source, kept, keptBytes: 0, wasWrong: false, usedUs: nowUs };
    this.#segments.set(number, segment);
    this.#places.set(`${shelf.number} ${start}`, segment);
    return segment;
  }

  piece(position: number): PieceRef | undefined {
    return this.#segments.get(Math.floor(position / PIECES_MAX))?.pieces[position % PIECES_MAX];
  }

  bytes(position: number): Uint8Array | undefined {
    return this.#segments.get(Math.floor(position / PIECES_MAX))?.kept[position % PIECES_MAX];
  }

  /** Position of a piece that is kept. */
  positionOf(id: ChunkId): number | undefined {
    return this.#positions.get(id);
  }

  /** Keeps a piece. Its segment, where that is still known. */
  put(position: number, chunk: VerifiedChunk): Segment | undefined {
    const segment = this.#segments.get(Math.floor(position / PIECES_MAX));
    const piece = position % PIECES_MAX;
    if (segment === undefined || segment.kept[piece] !== undefined) return segment;
    segment.kept[piece] = chunk.bytes;
    segment.keptBytes += chunk.bytes.length;
    this.#bytes += chunk.bytes.length;
    this.#positions.set(chunk.id, position);
    return segment;
  }

  /** Drops a segment and its bytes. */
  drop({ number, shelf, start, pieces, keptBytes }: Segment): void {
    this.#bytes -= keptBytes;
    this.#segments.delete(number);
    this.#places.delete(`${shelf.number} ${start}`);
    for (const [piece, { id }] of pieces.entries()) {
      if (this.#positions.get(id) === number * PIECES_MAX + piece) this.#positions.delete(id);
    }
  }

  /** Segments to be dropped, so that the rest stays within the bound: those not used for longest, but none in `wanted`. */
  excess(wanted: ReadonlySet<number>, segmentsMax: number): readonly Segment[] {
    let bytes = this.#bytes - this.#bytesMax;
    let count = this.#segments.size - segmentsMax;
    if (bytes <= 0 && count <= 0) return [];
    const oldest = [...this.#segments.values()].filter(({ number }) => !wanted.has(number));
    oldest.sort((a, b) => a.usedUs - b.usedUs);
    return oldest.filter(({ keptBytes }) => {
      const isExcess = count > 0 || (bytes > 0 && keptBytes > 0);
      bytes -= isExcess ? keptBytes : 0;
      count -= isExcess ? 1 : 0;
      return isExcess;
    });
  }

  /** The core's ranges by shelf, as they go on the wire. */
  toWire(ranges: readonly Range[]): ReadonlyMap<Shelf, readonly Range[]> {
    const positions = new Map<Shelf, number[]>();
    for (const { start, end } of ranges) {
      for (let at = start; at < end; at += 1) {
        const segment = this.#segments.get(Math.floor(at / PIECES_MAX));
        if (segment === undefined) continue;
        const of = positions.get(segment.shelf) ?? [];
        of.push(segment.start + (at % PIECES_MAX));
        positions.set(segment.shelf, of);
      }
    }
    return new Map([...positions].map(([shelf, all]) => [shelf, rangesOf(all.sort((a, b) => a - b))]));
  }

  /** What a peer says of a shelf, in the core's positions as far as segments are known, in any order. */
  fromWire({ key, ranges }: Word): readonly Range[] {
    const own = [...this.#segments.values()].filter(({ shelf }) => shelf.key === key);
    return ranges.flatMap((range) => own.flatMap((segment) => localRange(segment, range)));
  }
}

/** The part of a wire range that lies in a segment, in the core's positions. */
export function localRange({ number, start, pieces }: Segment, range: Range): readonly Range[] {
  const first = Math.max(range.start - start, 0);
  const last = Math.min(range.end - start, pieces.length);
  const base = number * PIECES_MAX;
  return first < last ? [{ start: base + first, end: base + last }] : [];
}
