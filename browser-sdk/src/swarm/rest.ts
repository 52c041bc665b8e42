/** When the origin may be asked again after it failed or refused. Peers that failed together do not come back together. */
import { FETCHES_MAX, ORIGIN_REST_MAX_US, ORIGIN_REST_US, ORIGIN_WAIT_MAX_US } from "./limits.ts";
import { mix32 } from "./mix.ts";
import { clamp } from "./whole.ts";

/** The origin's rest, as one peer keeps it. */
export class Rest {
  #untilUs = 0;
  /** Failures in a row. */
  #failures = 0;
  /** The peer's own. */
  readonly #salt: number;

  constructor(salt: number) {
    this.#salt = salt;
  }

  /** How many fetches there may be: none while the origin rests, and one after a failure, which tries whether it works. */
  fetchesMax(now: number): number {
    if (now < this.#untilUs) return 0;
    return this.#failures === 0 ? FETCHES_MAX : 1;
  }

  /** The origin works: the next failure starts again with a short pause. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * The origin failed: it is left alone for as long as it tells, longer with each failure, and up to as long again. What
   * fails while it rests was begun before: that is one failure.
   */
  failed(now: number, retryAfterUs: number | null): void {
    if (now >= this.#untilUs) this.#failures += 1;
    const grownUs = Math.min((ORIGIN_REST_US / 4) * 2 ** this.#failures, ORIGIN_REST_MAX_US / 2);
    const leastUs = clamp(retryAfterUs ?? 0, grownUs, ORIGIN_WAIT_MAX_US);
    const jitterUs = mix32(this.#salt ^ this.#failures) % (leastUs + 1);
    this.#untilUs = Math.max(this.#untilUs, now + leastUs + jitterUs);
  }
}
