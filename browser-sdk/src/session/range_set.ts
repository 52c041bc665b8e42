/** What a peer says it holds: ascending, disjoint ranges of wire positions, bounded. */
import type { Range } from "../protocol/ranges.ts";
import { firstPlace } from "../swarm/search.ts";

/** Most ranges kept; a peer that splinters its word further is believed less. */
const RANGES_MAX = 4096;

export class RangeSet {
  readonly #ranges: Range[] = [];

  add({ start, end }: Range): void {
    // What it touches becomes one with it.
    const from = firstPlace(this.#ranges, (range) => range.end >= start);
    const to = firstPlace(this.#ranges, (range) => range.start > end);
    if (from === to && this.#ranges.length >= RANGES_MAX) return;
    const union = {
      start: Math.min(start, this.#ranges[from]?.start ?? start),
      end: Math.max(end, this.#ranges[to - 1]?.end ?? end),
    };
    this.#ranges.splice(from, to - from, union);
  }

  remove({ start, end }: Range): void {
    const from = firstPlace(this.#ranges, (range) => range.end > start);
    const to = firstPlace(this.#ranges, (range) => range.start >= end);
    const left = this.#ranges.slice(from, to).flatMap((range) =>
      [
        { start: range.start, end: Math.min(range.end, start) },
        { start: Math.max(range.start, end), end: range.end },
      ].filter((part) => part.start < part.end),
    );
    this.#ranges.splice(from, to - from, ...left);
    if (this.#ranges.length > RANGES_MAX) this.#ranges.pop();
  }

  /** The parts that lie within a range. */
  within({ start, end }: Range): readonly Range[] {
    const from = firstPlace(this.#ranges, (range) => range.end > start);
    const to = firstPlace(this.#ranges, (range) => range.start >= end);
    return this.#ranges
      .slice(from, to)
      .map((range) => ({ start: Math.max(range.start, start), end: Math.min(range.end, end) }));
  }
}
