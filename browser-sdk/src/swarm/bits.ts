/** A fixed set of positions, one bit each. */
import { rangesOf, type Range } from "../protocol/ranges.ts";
import { quotient } from "./whole.ts";

/** Set of positions below a fixed length. Looked through in words of 64 positions, as in Rust. */
export class Bits {
  /** Halves of words, the lower one first. */
  readonly #halves: Uint32Array;
  readonly len: number;
  #count = 0;
  /** From the first word that is not empty to behind the last. */
  #first = 0;
  #end = 0;

  constructor(len: number) {
    this.#halves = new Uint32Array(2 * Math.ceil(len / 64));
    this.len = len;
  }

  get count(): number {
    return this.#count;
  }

  /** Number of words. */
  get words(): number {
    return this.#halves.length / 2;
  }

  /** Which words hold all that is in the set: few of them, where it lies close together. */
  get span(): Range {
    return { start: this.#first, end: this.#end };
  }

  /** How much of its length the set holds, in thousandths. */
  get permille(): number {
    return this.permilleOf(this.#count);
  }

  /** How much of the length `count` would be, in thousandths. */
  permilleOf(count: number): number {
    return quotient(count * 1000, Math.max(this.len, 1));
  }

  has(at: number): boolean {
    return at < this.len && ((this.#halves[at >>> 5] ?? 0) & (1 << (at & 31))) !== 0;
  }

  /** Whether the set changed. */
  add(at: number): boolean {
    if (at >= this.len || this.has(at)) return false;
    this.#flip(at);
    this.#count += 1;
    const word = at >>> 6;
    this.#first = this.#count === 1 ? word : Math.min(this.#first, word);
    this.#end = this.#count === 1 ? word + 1 : Math.max(this.#end, word + 1);
    return true;
  }

  /** Whether the set changed. */
  delete(at: number): boolean {
    if (!this.has(at)) return false;
    this.#flip(at);
    this.#count -= 1;
    while (this.#first < this.#end && this.#isEmpty(this.#first)) this.#first += 1;
    while (this.#first < this.#end && this.#isEmpty(this.#end - 1)) this.#end -= 1;
    return true;
  }

  /** All positions, ascending. */
  *[Symbol.iterator](): Generator<number> {
    for (let word = 0; word < this.words; word += 1) yield* this.inWord(word);
  }

  /** Positions of one word, ascending; those that `other` has too, where it is given. */
  *inWord(word: number, other?: Bits): Generator<number> {
    for (let half = 2 * word; half < 2 * word + 2; half += 1) {
      let bits = (this.#halves[half] ?? 0) & (other === undefined ? -1 : (other.#halves[half] ?? 0));
      while (bits !== 0) {
        const lowest = bits & -bits;
        yield half * 32 + 31 - Math.clz32(lowest);
        bits ^= lowest;
      }
    }
  }

  ranges(): readonly Range[] {
    return rangesOf(this);
  }

  /** First position at or after `from`, looking at no more than `wordsMax` words. */
  next(from: number, wordsMax: number): number | undefined {
    const first = from >>> 6;
    for (let word = first; word < Math.min(first + wordsMax, this.words); word += 1) {
      for (const position of this.inWord(word)) if (position >= from) return position;
    }
    return undefined;
  }

  #isEmpty(word: number): boolean {
    return this.#halves[2 * word] === 0 && this.#halves[2 * word + 1] === 0;
  }

  #flip(at: number): void {
    this.#halves[at >>> 5] = (this.#halves[at >>> 5] ?? 0) ^ (1 << (at & 31));
  }
}
