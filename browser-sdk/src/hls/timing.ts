/**
 * What an adaptive player may believe about the line. A segment that waits on purpose for a peer says nothing about the
 * bandwidth; the time in which its bytes came does.
 */

export class Timing {
  #firstMs: number | undefined;
  #lastMs = 0;
  #firstBytes = 0;
  #bytes = 0;

  /** A piece came in. */
  came(nowMs: number, bytes: number): void {
    this.#bytes += bytes;
    this.#lastMs = nowMs;
    if (this.#firstMs !== undefined) return;
    this.#firstMs = nowMs;
    this.#firstBytes = bytes;
  }

  /** Time in which all bytes came; `undefined` where too little is known, as when all were there already. */
  get activeMs(): number | undefined {
    const later = this.#bytes - this.#firstBytes;
    if (this.#firstMs === undefined || later === 0) return undefined;
    // How long the first piece took, its arrival does not say: as long as its share of the rest.
    return ((this.#lastMs - this.#firstMs) * this.#bytes) / later;
  }
}
