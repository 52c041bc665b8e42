/**
 * Ranges of positions, as Have and Fetching carry them: gaps and lengths, so that order and disjointness need no check
 * of their own. Whether a release has so many positions is for its reader to check.
 */
import { HAVE_RANGES_MAX, INTEGER_MAX } from "./limits.ts";
import { WireError, type Reader, type Writer } from "./wire.ts";

/** Positions from `start` up to, but not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Appends ascending, disjoint, non-empty own ranges; others are a fault of the caller (`RangeError`). */
export function putRanges(out: Writer, ranges: readonly Range[]): void {
  if (ranges.length > HAVE_RANGES_MAX) throw new RangeError("own ranges stay within a frame");
  out.varint(ranges.length);
  let last = 0;
  for (const { start, end } of ranges) {
    if (start < last || end <= start) throw new RangeError("own ranges ascend");
    out.varint(start - last).varint(end - start - 1);
    last = end;
  }
}

/** Reads ranges. Throws {@link WireError}. */
export function readRanges(reader: Reader): readonly Range[] {
  const count = reader.varintMax(HAVE_RANGES_MAX, "number of ranges");
  const ranges: Range[] = [];
  let last = 0;
  for (let at = 0; at < count; at += 1) {
    const start = last + reader.varintMax(INTEGER_MAX - last, "range start");
    const end = start + reader.varintMax(INTEGER_MAX - 1, "range length") + 1;
    if (end > INTEGER_MAX) throw new WireError("over-limit", "range end");
    ranges.push({ start, end });
    last = end;
  }
  return ranges;
}

/** Joins ascending positions into ranges. */
export function rangesOf(positions: Iterable<number>): readonly Range[] {
  const ranges: { start: number; end: number }[] = [];
  for (const position of positions) {
    const last = ranges.at(-1);
    if (last?.end === position) last.end += 1;
    else ranges.push({ start: position, end: position + 1 });
  }
  return ranges;
}
