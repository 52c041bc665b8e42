/** The segments that are known, and each piece in exactly one state. */
import { rangesOf, type Range } from "../../protocol/ranges.ts";
import { PIECE_BYTES } from "../../protocol/limits.ts";
import { ById } from "../by_id.ts";
import type { Source } from "../ledger.ts";
import { PIECES_MAX, SEGMENTS_MAX } from "../limits.ts";
import { ORIGIN_REASONS } from "../output.ts";
import type { Shelf } from "../upload.ts";
import { quotient } from "../whole.ts";

/** What the player's side tells. Segments are numbered by the shell; times are microseconds. */
export type PlayerInput =
  /**
   * A segment is known by its signed entry: the first four bytes of its first piece's id, an evenly spread value that is
   * the same for all peers, and the sizes of its 1 to 1024 pieces.
   */
  | {
      readonly player: "segment";
      readonly segment: number;
      readonly order: number;
      readonly piece_bytes: readonly number[];
    }
  /** The player needs a segment, or needs it at another time; play stands still without it at `deadline_us`. */
  | { readonly player: "want"; readonly segment: number; readonly deadline_us: number }
  /** The player no longer needs a segment; or its bytes are no longer kept. */
  | { readonly player: "unwant" | "forget"; readonly segment: number }
  /** The place of a link's peer among its neighbours: the first four bytes of its key id. */
  | { readonly player: "peer-order"; readonly link: number; readonly order: number };

/** What is known of a piece. */
export interface Piece {
  readonly bytes: number;
  isHeld: boolean;
  /** Requests to peers that are out for it. */
  asked: number;
  /** Whether an origin fetch will bring it. */
  isFetched: boolean;
  /** Peers got it wrong: the origin's next copy of it is for that reason. */
  isCorrupt: boolean;
}

/** The player's wish for a segment. */
export interface Want {
  deadlineUs: number;
  readonly sinceUs: number;
  /** Last time that bytes of it came. */
  progressUs: number;
}

export interface Segment {
  readonly order: number;
  readonly pieces: readonly Piece[];
  want: Want | undefined;
}

/** The position of a piece. */
export const position = (segment: number, piece: number): number => segment * PIECES_MAX + piece;

/** The segment of a position. */
export const segmentAt = (chunk: number): number => quotient(chunk, PIECES_MAX);

/** Bytes that are not held. */
export function missingBytes({ pieces }: Segment): number {
  return pieces.reduce((sum, { isHeld, bytes }) => (isHeld ? sum : sum + bytes), 0);
}

const isWhole = ({ pieces }: Segment): boolean => pieces.every(({ isHeld }) => isHeld);

export class Timeline implements Shelf {
  readonly meanBytes = PIECE_BYTES;
  readonly #segments = new ById<Segment>();
  /** Segments that are wanted and not held, by deadline. */
  #wanted: { readonly deadlineUs: number; readonly segment: number }[] = [];
  peerBytes = 0;
  /** By reason, in the order of {@link ORIGIN_REASONS}. */
  readonly originBytes: number[] = ORIGIN_REASONS.map(() => 0);
  wasteBytes = 0;
  corruptBytes = 0;

  /** Adds a segment; one too many, one that is known or has a bad number of pieces is left out. */
  add(segment: number, order: number, pieceBytes: readonly number[]): void {
    const isGood =
      pieceBytes.length > 0 &&
      pieceBytes.length <= PIECES_MAX &&
      segment < quotient(0xffff_ffff, PIECES_MAX) &&
      this.#segments.size < SEGMENTS_MAX;
    if (!isGood || this.#segments.has(segment)) return;
    const pieces = pieceBytes.map((bytes) => ({ bytes, isHeld: false, asked: 0, isFetched: false, isCorrupt: false }));
    this.#segments.add(segment, { order, pieces, want: undefined });
  }

  forget(segment: number): Segment | undefined {
    this.unwant(segment);
    return this.#segments.take(segment);
  }

  want(now: number, segment: number, deadlineUs: number): void {
    const known = this.#segments.get(segment);
    if (known === undefined) return;
    known.want ??= { deadlineUs, sinceUs: now, progressUs: now };
    known.want.deadlineUs = deadlineUs;
    this.#unlist(segment);
    if (isWhole(known)) return;
    this.#wanted.push({ deadlineUs, segment });
    this.#wanted.sort((a, b) => a.deadlineUs - b.deadlineUs || a.segment - b.segment);
  }

  unwant(segment: number): void {
    const known = this.#segments.get(segment);
    if (known === undefined) return;
    known.want = undefined;
    this.#unlist(segment);
  }

  /** Segments that are wanted and not held, the most urgent first. */
  wanted(): number[] {
    return this.#wanted.map(({ segment }) => segment);
  }

  get hasWanted(): boolean {
    return this.#wanted.length > 0;
  }

  segment(segment: number): Segment | undefined {
    return this.#segments.get(segment);
  }

  piece(chunk: number): Piece | undefined {
    return this.#segments.get(segmentAt(chunk))?.pieces[chunk % PIECES_MAX];
  }

  /** Positions of `ranges` that are known; looks at known segments alone. */
  known(ranges: readonly Range[]): number[] {
    return ranges.flatMap(({ start, end }) => {
      const segments = this.#segments.ids().filter((id) => position(id, 0) < end && position(id + 1, 0) > start);
      return segments.flatMap((id) => this.positions(id).filter((chunk) => chunk >= start && chunk < end));
    });
  }

  /** Positions of all pieces of a segment. */
  positions(segment: number): number[] {
    return (this.#segments.get(segment)?.pieces ?? []).map((_, piece) => position(segment, piece));
  }

  /** Bytes of a piece came in. */
  progress(now: number, chunk: number): void {
    const want = this.#segments.get(segmentAt(chunk))?.want;
    if (want !== undefined) want.progressUs = now;
  }

  /** A piece came in verified. Whether it was news; if not, its bytes are waste. */
  hold(now: number, chunk: number, source: Source): boolean {
    const piece = this.piece(chunk);
    if (piece === undefined) return false;
    if (piece.isHeld) {
      this.wasteBytes += piece.bytes;
      return false;
    }
    piece.isHeld = true;
    if (source === "peer") this.peerBytes += piece.bytes;
    else if (source !== "local") (this.originBytes[ORIGIN_REASONS.indexOf(source.origin)] as number) += piece.bytes;
    this.progress(now, chunk);
    const segment = segmentAt(chunk);
    if (isWhole(this.#segments.get(segment) as Segment)) this.#unlist(segment);
    return true;
  }

  /** A held piece is gone. */
  lose(chunk: number): boolean {
    const piece = this.piece(chunk);
    const wasHeld = piece?.isHeld === true;
    if (piece !== undefined) piece.isHeld = false;
    return wasHeld;
  }

  /** Ranges of all that is held. */
  held(): readonly Range[] {
    return rangesOf(this.#heldPositions());
  }

  /** Number of pieces that are held, and those that are wanted and not held. */
  counts(): { readonly held: number; readonly missing: readonly Piece[] } {
    const missing = this.wanted().flatMap((id) => this.#segments.get(id)?.pieces.filter(({ isHeld }) => !isHeld) ?? []);
    return { held: this.#heldPositions().length, missing };
  }

  isHeld(chunk: number): boolean {
    return this.piece(chunk)?.isHeld === true;
  }

  bytes(chunk: number): number {
    return this.piece(chunk)?.bytes ?? 0;
  }

  #heldPositions(): number[] {
    return this.#segments.ids().flatMap((id) => this.positions(id).filter((chunk) => this.isHeld(chunk)));
  }

  #unlist(segment: number): void {
    this.#wanted = this.#wanted.filter((wanted) => wanted.segment !== segment);
  }
}

/** Whether nobody was asked for a piece. */
export const isFree = ({ isHeld, asked, isFetched }: Piece): boolean => !isHeld && asked === 0 && !isFetched;
