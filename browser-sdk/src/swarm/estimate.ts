/** Integer estimates of rates and times: exponentially weighted moving averages with a weight of 1/4. */
import { quotient } from "./whole.ts";

/** Samples shorter than this are joined, so that a burst is not taken for a rate. */
const SAMPLE_US = 100_000;

/** A moving average; nothing until the first sample. */
export class Average {
  #value: number | undefined;

  get value(): number | undefined {
    return this.#value;
  }

  add(sample: number): void {
    this.#value = this.#value === undefined ? sample : quotient(this.#value * 3 + sample, 4);
  }
}

/** Rate of a source, measured over the time in which it was asked for something. */
export class Rate {
  readonly #average = new Average();
  #bytes = 0;
  #sinceUs = 0;

  /** Bytes a second. */
  get bytesS(): number | undefined {
    return this.#average.value;
  }

  /** The source is asked after it had nothing to do: time begins to count. */
  begin(now: number): void {
    this.#bytes = 0;
    this.#sinceUs = now;
  }

  /** Bytes came in. */
  add(now: number, bytes: number): void {
    this.#bytes += bytes;
    const elapsed = Math.max(now - this.#sinceUs, 0);
    if (elapsed >= SAMPLE_US || (this.bytesS === undefined && elapsed > 0 && this.#bytes > 0)) {
      this.#average.add(quotient(this.#bytes * 1_000_000, elapsed));
      if (elapsed >= SAMPLE_US) this.begin(now);
    }
  }
}
