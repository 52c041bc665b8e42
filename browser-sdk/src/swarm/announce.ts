/** What peers are told, and when: of bulk haves in batches, at most every 100 ms; of media at once. */
import { rangesOf, type Range } from "../protocol/ranges.ts";
import type { Say } from "./output.ts";

export class Announce {
  /** Least time between two announcements. */
  readonly #everyUs: number;
  #pending: number[] = [];
  #nextUs = 0;
  #isFetchingStale = false;

  constructor(everyUs: number) {
    this.#everyUs = everyUs;
  }

  held(chunk: number): void {
    this.#pending.push(chunk);
  }

  /** A position is not held any more: who was not told of it shall not be. */
  lost(chunk: number): void {
    this.#pending = this.#pending.filter((pending) => pending !== chunk);
  }

  /** Positions held that peers were not told of yet. */
  get waiting(): number {
    return this.#pending.length;
  }

  fetchingChanged(): void {
    this.#isFetchingStale = true;
  }

  /** When something waits to be told. */
  get timeout(): number | undefined {
    return this.#pending.length > 0 || this.#isFetchingStale ? this.#nextUs : undefined;
  }

  /** Forgets what waits: nobody is to be told. */
  clear(): void {
    this.#pending = [];
    this.#isFetchingStale = false;
  }

  /** Tells what waits, if it is time; `fetching` is asked for only where it changed. */
  flush(now: number, fetching: () => readonly Range[], say: Say): void {
    if (this.timeout === undefined || now < this.timeout) return;
    this.#nextUs = now + this.#everyUs;
    if (this.#pending.length > 0) {
      this.#pending.sort((a, b) => a - b);
      say({ output: "send-have", link: null, ranges: rangesOf(this.#pending) });
      this.#pending = [];
    }
    if (this.#isFetchingStale) say({ output: "send-fetching", ranges: fetching() });
    this.#isFetchingStale = false;
  }
}
