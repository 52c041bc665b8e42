/** What the shell tells the core. Ranges are ascending and disjoint; times are microseconds. */
import type { Range } from "../protocol/ranges.ts";
import type { Policy } from "./policy.ts";

/** How near a peer is, nearest first. */
export const LOCALITIES = ["same-address", "same-as", "same-country", "any"] as const;
/** How near a peer is. */
export type Locality = (typeof LOCALITIES)[number];

/** Why a peer said no: the chunk is gone, ask later, or nothing more from this peer. */
export type Refusal = "not-held" | "busy" | "exhausted";
/** How a request to a peer ended. A chunk comes from one source, so a corrupt one has its culprit. */
export type RequestEnd = "verified" | "corrupt" | "failed" | { readonly refused: Refusal };
/** How a fetch from the origin ended; with the origin's own word on when to come back, where it gave one. */
export type FetchEnd = "complete" | { readonly failed: { readonly retry_after_us: number | null } };

/** Something that happened. Links are numbered by the shell, requests and fetches by the core; none is used again. */
export type Input =
  /** A link is up: its Hello is done. */
  | { readonly input: "link-up"; readonly link: number; readonly locality: Locality; readonly rtt_us: number }
  /** A link is gone. Its requests end by this; no `request-ended` follows for them. */
  | { readonly input: "link-down"; readonly link: number }
  /** The peer holds these positions and hands them out; or no longer; or fetches them from the origin now. */
  | { readonly input: "have" | "withdraw" | "fetching"; readonly link: number; readonly ranges: readonly Range[] }
  /** Bytes of a request came in since the last such input, not yet verified. */
  | { readonly input: "progress"; readonly request: number; readonly bytes: number }
  | { readonly input: "request-ended"; readonly request: number; readonly end: RequestEnd }
  /** Bytes of an origin fetch came in since the last such input, not yet verified. */
  | { readonly input: "origin-progress"; readonly fetch: number; readonly bytes: number }
  /** One chunk of an origin fetch came in whole. */
  | { readonly input: "origin-chunk"; readonly fetch: number; readonly chunk: number; readonly verified: boolean }
  | { readonly input: "origin-ended"; readonly fetch: number; readonly end: FetchEnd }
  /** These positions are held now without having been fetched. */
  | { readonly input: "found"; readonly ranges: readonly Range[] }
  /** These positions are wanted, too: what was to be made of others could not be. */
  | { readonly input: "want"; readonly ranges: readonly Range[] }
  /** A held position no longer matches its hash: it is withdrawn, and not fetched again. */
  | { readonly input: "lost"; readonly chunk: number }
  /** The tracker answers: first copies to fetch, peers that still fetch, and what the origin may send to all of them. */
  | {
      readonly input: "shards";
      readonly granted: readonly number[];
      readonly active_jobs: number;
      readonly origin_budget_bytes_s: number | null;
    }
  | { readonly input: "tracker-up" | "tracker-down" }
  /** A peer asks for a chunk, under its own number. */
  | { readonly input: "peer-request"; readonly link: number; readonly request: number; readonly chunk: number }
  /** A peer takes a request back, or its stream broke. */
  | { readonly input: "peer-cancel"; readonly link: number; readonly request: number }
  /** A chunk was handed to a peer, whole or in part. */
  | { readonly input: "sent"; readonly link: number; readonly request: number; readonly bytes: number }
  | ({ readonly input: "policy" } & Policy);
