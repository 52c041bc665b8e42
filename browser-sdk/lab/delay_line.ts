/** One direction of a line: what goes in comes out in order, later, and no faster than the line's rate. */

export interface LineOptions {
  readonly delay_ms: number;
  /** Without it, only the delay. */
  readonly rate_bytes_per_s?: number;
  /** What waits before the line at most, in time; what is offered beyond is dropped. */
  readonly queue_ms: number;
}

interface Due {
  readonly at_ms: number;
  readonly bytes: number;
  readonly deliver: () => void;
}

/** How much faster than the line what a late timer has held back follows. */
const CATCH_UP = 1.5;
/** What comes out at once at most, in time on the line: a timer that was late makes no burst that no real line has. */
const BURST_MS = 1.5;
/** Delivered items at the queue's front that are kept before the array is cut. */
const DELIVERED_MAX = 1_024;

export class DelayLine {
  dropped = 0;
  readonly #options: LineOptions;
  readonly #bytesPerMs: number;
  #queue: Due[] = [];
  #delivered = 0;
  /** When the line has sent all that waits before it. */
  #freeAt_ms = 0;
  /** What may come out now, as of `#creditAt_ms`. */
  #credit_bytes: number;
  #creditAt_ms = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#bytesPerMs = (options.rate_bytes_per_s ?? Number.POSITIVE_INFINITY) / 1_000;
    this.#credit_bytes = this.#bytesPerMs * BURST_MS;
  }

  /** Puts something onto the line if there is room. */
  offer(bytes: number, deliver: () => void): void {
    if (this.#freeAt_ms - performance.now() > this.#options.queue_ms) this.dropped += 1;
    else this.put(bytes, deliver);
  }

  /** Puts something onto the line. The caller has its own bound for what it has there. */
  put(bytes: number, deliver: () => void): void {
    const now = performance.now();
    this.#freeAt_ms = Math.max(now, this.#freeAt_ms) + bytes / this.#bytesPerMs;
    this.#queue.push({ at_ms: this.#freeAt_ms + this.#options.delay_ms, bytes, deliver });
    this.#arm(now);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }

  #arm(now: number): void {
    const next = this.#queue[this.#delivered];
    if (this.#timer !== undefined || next === undefined) return;
    this.#timer = setTimeout(() => this.#deliverDue(), Math.max(1, next.at_ms - now));
  }

  #deliverDue(): void {
    this.#timer = undefined;
    const now = performance.now();
    const earned_bytes = Math.max(now - this.#creditAt_ms, 0.001) * this.#bytesPerMs * CATCH_UP;
    this.#credit_bytes = Math.min(this.#credit_bytes + earned_bytes, BURST_MS * this.#bytesPerMs);
    this.#creditAt_ms = now;
    for (
      let next = this.#queue[this.#delivered];
      next && next.at_ms <= now && this.#credit_bytes > 0;
      next = this.#queue[this.#delivered]
    ) {
      this.#delivered += 1;
      this.#credit_bytes -= next.bytes;
      next.deliver();
    }
    if (this.#delivered >= DELIVERED_MAX) {
      this.#queue = this.#queue.slice(this.#delivered);
      this.#delivered = 0;
    }
    this.#arm(now);
  }
}
