/** Who reads what of a swarm: each gets the verified pieces of a segment in order. */
import type { OriginError } from "../origin.ts";
import type { Segment } from "./library.ts";

/** Origin fetches of a segment that may fail before its reader is told. */
const FAILURES_MAX = 2;

/** Takes what is read. */
export interface Delivery {
  /** A piece came in, in any order. */
  came(bytes: number): void;
  /** The next piece in order. */
  piece(bytes: Uint8Array): void;
}

/** Somebody who reads a segment. */
interface Reader {
  readonly segment: Segment;
  readonly deadlineUs: number;
  /** Pieces that were handed on, from the first on. */
  handed: number;
  failures: number;
  readonly delivery: Delivery;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

export class Readers {
  readonly #readers = new Set<Reader>();

  /** Numbers of the segments that somebody reads. */
  get segments(): ReadonlySet<number> {
    return new Set([...this.#readers].map(({ segment }) => segment.number));
  }

  /** When the first of its readers needs a segment; `undefined` where nobody reads it. */
  deadlineUs(segment: Segment): number | undefined {
    const deadlines = this.#of(segment).map(({ deadlineUs }) => deadlineUs);
    return deadlines.length === 0 ? undefined : Math.min(...deadlines);
  }

  /** Begins at once, and resolves when all was handed on. Rejects when the origin fails too often, or `signal` aborts. */
  async read(segment: Segment, deadlineUs: number, signal: AbortSignal, delivery: Delivery): Promise<void> {
    let reader!: Reader;
    const done = new Promise<void>((resolve, reject) => {
      reader = { segment, deadlineUs, handed: 0, failures: 0, delivery, resolve, reject };
    });
    this.#readers.add(reader);
    // A signal may live for many segments: what waits for it is taken back below.
    const onAbort = (): void => reader.reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort);
    this.#handOn(segment);
    try {
      await done;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#readers.delete(reader);
    }
  }

  /** A piece of so many bytes was verified and is kept. */
  arrived(segment: Segment, bytes: number): void {
    for (const { delivery } of this.#of(segment)) delivery.came(bytes);
    this.#handOn(segment);
  }

  /** The origin did not give what it was asked for. Who is told when to come back does so, and asks peers meanwhile. */
  failed(segment: Segment, failure: OriginError): void {
    if (failure.retryAfterUs !== null) return;
    for (const reader of this.#of(segment)) {
      reader.failures += 1;
      if (reader.failures >= FAILURES_MAX) reader.reject(failure);
    }
  }

  close(): void {
    for (const reader of this.#readers) reader.reject(new Error("closed"));
  }

  #of({ number }: Segment): readonly Reader[] {
    return [...this.#readers].filter(({ segment }) => segment.number === number);
  }

  #handOn(segment: Segment): void {
    const { kept } = segment;
    for (const reader of this.#of(segment)) {
      for (let bytes = kept[reader.handed]; bytes !== undefined; bytes = kept[reader.handed]) {
        reader.handed += 1;
        reader.delivery.piece(bytes);
      }
      if (reader.handed < kept.length) continue;
      this.#readers.delete(reader);
      reader.resolve();
    }
  }
}
