/** What a page and the service worker say to each other. Both are bundled by themselves: names here are their protocol. */

/** A page: it has a client, for files below this URL. */
export interface Here {
  readonly freshet: "here";
  readonly base: string;
}

/** The worker, to all pages: who has a client? A worker is stopped and started again, and forgets. */
export interface Who {
  readonly freshet: "who";
}

/** The worker, to one page, with a port for the answer. */
export interface FileAsked {
  readonly freshet: "file";
  readonly url: string;
  readonly range: string | null;
}

/**
 * Over the port, from the page: first `true`, so that the worker knows that it lives; then the head, or `null` where the
 * network has to answer; then one part for each `1` of the worker. A `0` of the worker ends it.
 */
export interface Head {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** Where the same bytes are over plain HTTP. */
  readonly url: string;
}

/** Bytes; `null`: they broke off; `"wrong"`: the origin's are not those that were signed. */
export type Part = Uint8Array<ArrayBuffer> | null | "wrong";
