/** What a peer says it holds: ascending, disjoint ranges of wire positions, bounded. */
import type { Range } from "../protocol/ranges.ts";

/** Most ranges kept; a peer that splinters its word further is believed less. */
const RANGES_MAX = 4096;

export class RangeSet {
  #ranges: Range[] = [];

  add({ start, end }: Range): void {
    const touches = (range: Range): boolean => range.start <= end && range.end >= start;
    const joined = this.#ranges.filter(touches);
    const union = {
      start: Math.min(start, ...joined.map((range) => range.start)),
      end: Math.max(end, ...joined.map((range) => range.end)),
    };
    const others = this.#ranges.filter((range) => !touches(range));
    if (others.length === RANGES_MAX) return;
    const at = others.findIndex((range) => range.start > union.start);
    others.splice(at < 0 ? others.length : at, 0, union);
    this.#ranges = others;
  }

  remove({ start, end }: Range): void {
    const left = this.#ranges.flatMap((range) =>
      [
        { start: range.start, end: Math.min(range.end, start) },
        { start: Math.max(range.start, end), end: range.end },
      ].filter((part) => part.start < part.end),
    );
    this.#ranges = left.slice(0, RANGES_MAX);
  }

  /** The parts that lie within a range. */
  within({ start, end }: Range): readonly Range[] {
    return this.#ranges
      .map((range) => ({ start: Math.max(range.start, start), end: Math.min(range.end, end) }))
      .filter((part) => part.start < part.end);
  }
}
