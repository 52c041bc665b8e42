/** A run of neighbouring pieces, fetched from the origin in one request and checked piece by piece. */
import { open, OriginError, read, WRONG_BYTES } from "../origin.ts";
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
  let piece = begin;
  let filled = 0;
  let buffer = new Uint8Array(pieces[piece]?.bytes ?? 0);
  await read(response, (part) => {
    if (signal.aborted) return;
    events.progress(part.length);
    let rest = part;
    while (rest.length > 0) {
      // More than was asked for: the resource is not what was signed.
      if (piece >= begin + count) throw wrong("the answer is longer than it should be");
      const taken = rest.subarray(0, buffer.length - filled);
      buffer.set(taken, filled);
      filled += taken.length;
      rest = rest.subarray(taken.length);
      if (filled < buffer.length) continue;
      checks.push(check(piece, buffer));
      piece += 1;
      filled = 0;
      buffer = new Uint8Array(pieces[piece]?.bytes ?? 0);
    }
  });
  const areGood = await Promise.all(checks);
  // However many pieces are wrong, it is one answer that is.
  if (areGood.includes(false)) throw wrong("the origin sends wrong bytes");
  if (piece < begin + count) throw new OriginError(0, null, "the answer is shorter than it should be");
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

const wrong = (text: string): OriginError => new OriginError(WRONG_BYTES, null, text);
