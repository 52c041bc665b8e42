/** What is known of one link. */
import type { Range } from "../protocol/ranges.ts";
import { Bits } from "./bits.ts";
import type { Pace } from "./pace.ts";

/** A link of a release. */
export class Link {
  /** What the peer holds. */
  readonly has: Bits;
  /** What the peer fetches from the origin now. */
  fetching: readonly Range[] = [];
  readonly pace: Pace;

  /** A link to a peer of which nothing is heard yet, for a release of `len` positions. */
  constructor(len: number, pace: Pace) {
    this.has = new Bits(len);
    this.pace = pace;
  }
}
