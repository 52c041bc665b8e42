/** A run of neighbouring pieces, fetched from the origin in one request and checked piece by piece. */
import { filler, type Filled } from "../filler.ts";
import { moving, open, OriginError, WRONG_BYTES } from "../origin.ts";
import { Mismatch, VerifiedChunk } from "../protocol/chunk.ts";
import type { PieceRef, Segment } from "./library.ts";

/** What is told while a run comes in. */
export interface RunEvents {
  progress(bytes: number): void;
  /** A piece came whole, by its number in the segment; without a chunk its bytes do not match. */
  piece(number: number, chunk: VerifiedChunk | undefined): void;
}

/** Fetches `count` pieces from `begin` on. Throws {@link OriginError}. */
export async function fetchRun(
  segment: Segment,
  begin: number,
  count: number,
  signal: AbortSignal,
  events: RunEvents,
): Promise<void> {
  const { pieces, source } = segment;
  const start = source.offset + bytesOf(pieces.slice(0, begin));
  const range = { start, end: start + bytesOf(pieces.slice(begin, begin + count)) };
  const isWhole = source.isWhole && count === pieces.length;
  const response = await open(source.url, isWhole ? undefined : range, signal, segment.wasWrong ? "reload" : "default");
  const checks: Promise<boolean>[] = [];
  const check = async (number: number, bytes: Uint8Array): Promise<boolean> => {
    const chunk = await verified((pieces[number] as PieceRef).id, bytes);
    // The browser may have kept what was wrong, and must not be asked for it again.
    if (chunk === undefined) segment.wasWrong = true;
    events.piece(number, chunk);
    return chunk !== undefined;
  };
  const body = filler(response.body ?? new Blob().stream());
  const fill = (filled: Filled): Promise<Filled | undefined> => moving(body.read(filled), body.cancel);
  for (let piece = begin; piece < begin + count; piece += 1) {
    let filled = { buffer: new Uint8Array((pieces[piece] as PieceRef).bytes), bytes: 0 };
    while (filled.bytes < filled.buffer.length) {
      const more = await fill(filled);
      if (signal.aborted) return;
      if (more === undefined) throw new OriginError(0, null, "the answer is shorter than it should be");
      events.progress(more.bytes - filled.bytes);
      filled = more;
    }
    checks.push(check(piece, filled.buffer));
  }
  // More than was asked for: the resource is not what was signed.
  const isLonger = (await fill({ buffer: new Uint8Array(1), bytes: 0 })) !== undefined;
  const areGood = await Promise.all(checks);
  // However many pieces are wrong, it is one answer that is.
  if (isLonger || areGood.includes(false)) throw new OriginError(WRONG_BYTES, null, "the origin sends wrong bytes");
}

/** The bytes as a chunk; `undefined` where they do not match. */
export async function verified(id: PieceRef["id"], bytes: Uint8Array): Promise<VerifiedChunk | undefined> {
  try {
    return await VerifiedChunk.check(id, bytes);
  } catch (error) {
    if (error instanceof Mismatch) return undefined;
    throw error;
  }
}

const bytesOf = (pieces: readonly PieceRef[]): number => pieces.reduce((sum, { bytes }) => sum + bytes, 0);
