/** What the core asks of the shell. Ranges are ascending and disjoint, and may be more than one frame's worth. */
import type { Range } from "../protocol/ranges.ts";

/** Why bytes come from the origin, in the order of metrics: operators ask "why origin?". */
export const ORIGIN_REASONS = [
  /** No peer is known to hold it: the swarm's first copy. */
  "first-copy",
  /** The peers would be late for play-out. */
  "deadline",
  /** There is no peer to ask. */
  "no-peers",
  /** The peers are slower than the origin would be, or stopped. */
  "slow-peers",
  /** Peers sent bytes that do not match. */
  "corrupt-peers",
  /** A segment without a signed entry. */
  "unlisted",
  /** P2P is off, or `speed` uses the origin as one more source. */
  "policy",
  /** A member of the control group. */
  "control-group",
] as const;
/** Why bytes come from the origin. */
export type OriginReason = (typeof ORIGIN_REASONS)[number];

/** Why a peer's request is not served. */
export type ServeRefusal = "not-held" | "busy" | "budget" | "not-sharing";
/** Why a link should be closed: wrong bytes, whose sender's key is banned, or a broken bound. */
export type DropReason = "corrupt" | "misbehaved";

/** Something to do. */
export type Output =
  /** Ask a peer for a chunk. */
  | { readonly output: "request"; readonly link: number; readonly request: number; readonly chunk: number }
  /** Take a request back. No input about it may follow. */
  | { readonly output: "cancel"; readonly request: number }
  /** Fetch neighbouring chunks from the origin; deliver each as it comes, then say that the fetch ended. */
  | {
      readonly output: "fetch-origin";
      readonly fetch: number;
      readonly first: number;
      readonly count: number;
      readonly reason: OriginReason;
    }
  /** Break off an origin fetch. No input about it may follow. */
  | { readonly output: "cancel-origin"; readonly fetch: number }
  /** Tell one peer, or all (`null`), what is held. Only sent while sharing. */
  | { readonly output: "send-have"; readonly link: number | null; readonly ranges: readonly Range[] }
  /** Tell all peers what is no longer held, or what is being fetched from the origin. */
  | { readonly output: "send-withdraw" | "send-fetching"; readonly ranges: readonly Range[] }
  /** Ask the tracker for shards, and report those held whole since the last time. */
  | { readonly output: "ask-shards"; readonly want: number; readonly done: readonly number[] }
  /** Hand a chunk to a peer, then say `sent`; say `lost` first where the bytes no longer match. */
  | { readonly output: "serve"; readonly link: number; readonly request: number; readonly chunk: number }
  | { readonly output: "refuse"; readonly link: number; readonly request: number; readonly reason: ServeRefusal }
  /** Close a link. `link-down` is understood. */
  | { readonly output: "drop-link"; readonly link: number; readonly reason: DropReason }
  /** Every wanted position is held. Comes once. */
  | { readonly output: "complete" };

/** Takes what the core says. */
export type Say = (output: Output) => void;
