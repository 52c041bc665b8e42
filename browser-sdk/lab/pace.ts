/** A line of one rate that everybody shares: bytes leave in lots, in the order of asking. */
import { setTimeout as wait } from "node:timers/promises";

/** Time that one lot takes at most, so that two viewers share a slow line evenly. */
const LOT_MS = 20;
/** A lot holds at least one packet and at most what a socket takes at once. */
const LOT_BYTES = { min: 1_400, max: 64 * 1024 };
/** What a timer may fire late without the line losing rate. */
const SLACK_MS = 4;

export class Pace {
  readonly rate_bytes_per_s: number;
  readonly lot_bytes: number;
  readonly #bytesPerMs: number;
  #freeAtMs = 0;

  constructor(rate_bytes_per_s: number) {
    if (!(rate_bytes_per_s > 0)) throw new RangeError(`a line of ${rate_bytes_per_s} bytes/s carries nothing`);
    this.rate_bytes_per_s = rate_bytes_per_s;
    this.#bytesPerMs = rate_bytes_per_s / 1_000;
    this.lot_bytes = Math.min(LOT_BYTES.max, Math.max(LOT_BYTES.min, Math.floor(this.#bytesPerMs * LOT_MS)));
  }

  /** Resolves when the line has carried these bytes. */
  async carry(bytes: number): Promise<void> {
    const now = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, now - SLACK_MS) + bytes / this.#bytesPerMs;
    if (this.#freeAtMs > now) await wait(this.#freeAtMs - now);
  }
}
