/** A file of a release: which part of it is asked for, and the runs of chunks that are segments to the core. */
import type { ChunkRef, FileExtent } from "../protocol/manifest/page.ts";
import type { Range } from "../protocol/ranges.ts";

/** What a page lists of a file, and the position of its first chunk in the release. */
export interface PlacedPart extends FileExtent {
  readonly position: number;
}

/** Neighbouring chunks that are read together. */
export interface Run {
  /** Position of the first chunk in the release. */
  readonly position: number;
  /** First byte in the file. */
  readonly start: number;
  /** The byte after the last. */
  readonly end: number;
  readonly chunks: readonly ChunkRef[];
}

/** A run ends where the next chunk would make it larger than this. */
const RUN_BYTES_MAX = 1 << 20;
const RUN_CHUNKS_MAX = 32;

/**
 * The run that holds a byte of the file, unless that byte lies elsewhere. Runs are counted from the beginning of the
 * part, whatever is asked for, so that no two of them overlap.
 */
export function runAt({ position, offset, chunks }: PlacedPart, byte: number): Run | undefined {
  let run = { position, start: offset, end: offset, chunks: [] as ChunkRef[] };
  for (const chunk of chunks) {
    const isFull = run.end - run.start + chunk.bytes > RUN_BYTES_MAX || run.chunks.length === RUN_CHUNKS_MAX;
    if (isFull && run.chunks.length > 0) {
      if (byte < run.end) break;
      run = { position: run.position + run.chunks.length, start: run.end, end: run.end, chunks: [] };
    }
    run.chunks.push(chunk);
    run.end += chunk.bytes;
  }
  return run.start <= byte && byte < run.end ? run : undefined;
}

/**
 * What the header `Range` asks for of `size` bytes: nothing where there is none, or one that need not be followed (RFC
 * 9110, 14.2); an empty range where the file has no such bytes.
 */
export function rangeOf(header: string | null, size: number): Range | undefined {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  const isSuffix = first === "";
  if ((isSuffix && last === "") || (!isSuffix && last !== "" && Number(last) < Number(first))) return undefined;
  const start = isSuffix ? Math.max(size - Number(last), 0) : Math.min(Number(first), size);
  return { start, end: isSuffix || last === "" ? size : Math.min(Number(last) + 1, size) };
}
