/** The body of an answer: verified bytes in order, wanted from the swarm a little ahead of who takes them. */
import { nowUs } from "../clock.ts";
import { isWrongBytes, OriginError } from "../origin.ts";
import type { Range } from "../protocol/ranges.ts";
import type { Delivery } from "../session/readers.ts";
import type { Run } from "./file.ts";

/** How far ahead of the reader runs are wanted. */
const AHEAD_BYTES = 8 << 20;
/**
 * Bounds of the pace at which a reader is taken to go on, in bytes a second. Who takes all that comes is served by peers
 * that bring about as much as the upper one; slower ones are helped by the origin.
 */
const PACE_BYTES_S_MAX = 1 << 20;
const PACE_BYTES_S_MIN = 256 << 10;
/** What peers are given on top of it for what lies ahead: time to find each other. */
const SLACK_US = 4_000_000;

/** How often the origin may tell the reader of a plain answer to come back later. */
const TOLD_MAX = 20;

/** How long the origin told to wait; parts of the SDK have error classes of their own. */
const toldUs = (error: unknown): number => (error as OriginError).retryAfterUs ?? 0;

/** Where the bytes come from. */
export interface Source {
  /** The run that holds a byte. */
  run(byte: number): Promise<Run>;
  read(run: Run, deadlineUs: number, signal: AbortSignal, delivery: Delivery): Promise<void>;
  /** The same bytes over plain HTTP, as a page without peers would get them. */
  plain(range: Range, signal: AbortSignal): Promise<Response>;
  /** Bytes came over plain HTTP. */
  passed(bytes: number): void;
}

/** A run that is being read. */
interface Reading {
  /** Byte of the file with which the next piece begins. */
  at: number;
  readonly pieces: Uint8Array[];
  end: "ended" | { readonly failure: unknown } | undefined;
}

export class Body implements UnderlyingDefaultSource<Uint8Array> {
  readonly #source: Source;
  readonly #end: number;
  /** Next byte to be handed on. */
  #at: number;
  /** First byte that is not wanted yet. */
  #wanted: number;
  readonly #readings: Reading[] = [];
  #rest: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #close = new AbortController();
  /** Of what is read from the swarm. */
  readonly #leave = new AbortController();
  #wake: () => void = () => undefined;
  /** What the reader took, the time it had for that, and since when it has the last of it. */
  #takenBytes = 0;
  #takenUs = 0;
  #handedUs: number | undefined;

  private constructor(source: Source, { start, end }: Range, signal: AbortSignal | null | undefined) {
    this.#source = source;
    this.#at = start;
    this.#wanted = start;
    this.#end = end;
    this.#close.signal.addEventListener("abort", () => this.#leave.abort(this.#close.signal.reason));
    if (signal?.aborted) this.#close.abort(signal.reason);
    signal?.addEventListener("abort", () => this.#close.abort(signal.reason), { signal: this.#close.signal });
  }

  static stream(source: Source, range: Range, signal: AbortSignal | null | undefined): ReadableStream<Uint8Array> {
    // What is ahead waits here and not in the stream: there it would be a copy.
    return new ReadableStream(new Body(source, range, signal), { highWaterMark: 0 });
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { signal } = this.#close;
    signal.addEventListener("abort", () => controller.error(signal.reason));
    return this.#want();
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#handedUs !== undefined) this.#takenUs += nowUs() - this.#handedUs;
    try {
      const bytes = await this.#next();
      this.#at += bytes.length;
      this.#takenBytes += bytes.length;
      controller.enqueue(bytes);
    } catch (error) {
      return this.#close.abort(error);
    }
    this.#handedUs = nowUs();
    if (this.#at < this.#end) return;
    controller.close();
    this.#close.abort();
  }

  cancel(reason: unknown): void {
    this.#close.abort(reason);
    this.#rest?.cancel(reason).catch(() => undefined);
  }

  async #next(): Promise<Uint8Array> {
    for (;;) {
      if (this.#rest !== undefined) return this.#fromRest(this.#rest);
      await this.#want();
      const [reading] = this.#readings;
      if (reading === undefined) throw new Error("the file ends early");
      const piece = reading.pieces.shift();
      if (piece !== undefined) {
        const begin = reading.at;
        reading.at += piece.length;
        // A copy: peers are given the same bytes, whatever the reader does with its own.
        const bytes = piece.slice(Math.max(this.#at - begin, 0), Math.max(this.#end - begin, 0));
        if (bytes.length > 0) return bytes;
      } else if (reading.end === "ended") this.#readings.shift();
      else if (reading.end !== undefined) await this.#goPlain(reading.end.failure);
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Wants runs as far ahead as may be. */
  async #want(): Promise<void> {
    while (this.#wanted < this.#end && this.#wanted < this.#at + AHEAD_BYTES) {
      const reading: Reading = { at: this.#wanted, pieces: [], end: undefined };
      this.#readings.push(reading);
      const ended = (end: Reading["end"]): void => {
        reading.end = end;
        this.#wake();
      };
      try {
        const run = await this.#source.run(this.#wanted);
        reading.at = run.start;
        this.#wanted = run.end;
        const take = (piece: Uint8Array): void => {
          reading.pieces.push(piece);
          this.#wake();
        };
        const delivery = { came: () => undefined, piece: take };
        this.#source.read(run, this.#deadlineUs(run), this.#leave.signal, delivery).then(
          () => ended("ended"),
          (failure: unknown) => ended({ failure }),
        );
      } catch (failure) {
        this.#wanted = this.#end;
        ended({ failure });
      }
    }
  }

  /** When the reader comes to a run, if it goes on as before. */
  #deadlineUs({ start }: Run): number {
    const measured = (this.#takenBytes * 1e6) / Math.max(this.#takenUs, 1);
    const pace = this.#takenBytes === 0 ? PACE_BYTES_S_MAX : Math.max(measured, PACE_BYTES_S_MIN);
    const ahead = start - this.#at;
    return nowUs() + (ahead > 0 ? SLACK_US + Math.floor((ahead * 1e6) / Math.min(pace, PACE_BYTES_S_MAX)) : 0);
  }

  /**
   * The swarm gave up, and the origin may still answer a plain request, once the time that it told is over. Wrong bytes are
   * not tried again unverified.
   */
  async #goPlain(failure: unknown, told = 0): Promise<void> {
    if (isWrongBytes(failure) || told > TOLD_MAX) throw failure;
    this.#leave.abort();
    this.#readings.length = 0;
    const { signal } = this.#close;
    // Up to as long again, so that not all come back at once.
    const ms = (toldUs(failure) / 1000) * (1 + Math.random());
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.onabort = () => clearTimeout(timer);
    });
    try {
      const { body } = await this.#source.plain({ start: this.#at, end: this.#end }, signal);
      this.#rest = body?.getReader();
    } catch (error) {
      if (!toldUs(error)) throw error;
      await this.#goPlain(error, told + 1);
    }
  }

  async #fromRest(rest: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array> {
    const { value } = await rest.read();
    if (value === undefined) throw new OriginError(0, null, "the answer is shorter than it should be");
    this.#source.passed(value.length);
    return value.subarray(0, this.#end - this.#at);
  }
}
