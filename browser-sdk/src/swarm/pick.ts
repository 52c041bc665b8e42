/** Which chunk to ask a link for: rarest first (Legout et al., "Rarest First and Choke Algorithms Are Enough", 2006). */
import type { Bits } from "./bits.ts";
import type { Ledger } from "./ledger.ts";
import { PICK_CANDIDATES_MAX, PICK_WORDS_MAX } from "./limits.ts";
import { mix32 } from "./mix.ts";

/** Chooses chunks. Equal rarity is decided by an order of this peer's own, so that peers do not all want the same. */
export class Picker {
  readonly #salt: number;
  /** Counts picks: each starts at another place of large releases. */
  #picks = 0;

  constructor(seed: number) {
    this.#salt = mix32(seed);
  }

  /**
   * The rarest free chunk, of those in `has` where that is given. Looks at a bounded part of large releases, a
   * different one each time.
   */
  pick(ledger: Ledger, has?: Bits): number | undefined {
    this.#picks = (this.#picks + 1) >>> 0;
    const span = ledger.free.span;
    const words = span.end - span.start;
    const start = mix32((this.#salt ^ this.#picks) >>> 0) % Math.max(words, 1);
    let best: { readonly chunk: number; readonly holders: number; readonly order: number } | undefined;
    let candidates = 0;
    for (let step = 0; step < Math.min(words, PICK_WORDS_MAX); step += 1) {
      for (const chunk of ledger.free.inWord(span.start + ((start + step) % words), has)) {
        if (candidates === PICK_CANDIDATES_MAX) return best?.chunk;
        candidates += 1;
        const holders = ledger.holders(chunk);
        const order = mix32((chunk ^ this.#salt) >>> 0);
        if (best === undefined || holders < best.holders || (holders === best.holders && order < best.order)) {
          best = { chunk, holders, order };
        }
      }
    }
    return best?.chunk;
  }
}
