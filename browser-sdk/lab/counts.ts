/** What a server has sent, by kind of document, by path and by viewer. */
import { CONFIG_PATH } from "./swarm_config.ts";

export const KINDS = ["page", "playlist", "entry", "segment", "other"] as const;
export type Kind = (typeof KINDS)[number];

export interface Tally {
  requests: number;
  /** Bodies. */
  body_bytes: number;
  /** Bodies and heads, as written to the socket. */
  sent_bytes: number;
}

export type TallyByKind = Readonly<Record<Kind, Readonly<Tally>>>;

/** One answered request. */
export interface Sent extends Omit<Tally, "requests"> {
  readonly path: string;
  readonly kind: Kind;
  /** From the query `v` of the request or of the page it came from. */
  readonly viewer: string | undefined;
}

/** Somebody who waits until the counts say something. */
interface Waiter {
  readonly isReached: (counts: Counts) => boolean;
  readonly resolve: () => void;
}

export class Counts {
  readonly #paths = new Map<string, Tally>();
  readonly #viewers = new Map<string, Record<Kind, Tally>>();
  readonly #all = none();
  readonly #waiters = new Set<Waiter>();

  add({ path, kind, viewer, body_bytes, sent_bytes }: Sent): void {
    const tallies = [this.#all[kind], entryOf(this.#paths, path, nothing)];
    if (viewer !== undefined) tallies.push(entryOf(this.#viewers, viewer, none)[kind]);
    for (const tally of tallies) {
      tally.requests += 1;
      tally.body_bytes += body_bytes;
      tally.sent_bytes += sent_bytes;
    }
    for (const waiter of this.#waiters) {
      if (!waiter.isReached(this)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** Fulfilled once what was answered meets a condition. */
  until(isReached: Waiter["isReached"]): Promise<void> {
    if (isReached(this)) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.add({ isReached, resolve }));
  }

  /** A copy of the sums so far. */
  all(): TallyByKind {
    return structuredClone(this.#all);
  }

  ofViewer(viewer: string): TallyByKind {
    return structuredClone(this.#viewers.get(viewer) ?? none());
  }

  ofPath(path: string): Readonly<Tally> {
    return { ...(this.#paths.get(path) ?? nothing()) };
  }

  paths(): readonly string[] {
    return [...this.#paths.keys()].sort();
  }
}

/** What came between two copies of the sums. */
export function difference(after: TallyByKind, before: TallyByKind): TallyByKind {
  return byKind((kind) => ({
    requests: after[kind].requests - before[kind].requests,
    body_bytes: after[kind].body_bytes - before[kind].body_bytes,
    sent_bytes: after[kind].sent_bytes - before[kind].sent_bytes,
  }));
}

const EXTENSIONS: readonly (readonly [RegExp, Kind])[] = [
  [/\.(m3u8|mpd)$/, "playlist"],
  [/\/entries\//, "entry"],
  [/\.(ts|m4s|mp4|m4a|m4v|aac|webm|vtt|bin)$/, "segment"],
  [/\.(html|js|css|map|ico)$/, "page"],
];

/** What kind of document a path names. */
export function kindOf(path: string): Kind {
  // A site writes into its pages what the lab's pages have to ask for.
  if (path === CONFIG_PATH) return "page";
  return EXTENSIONS.find(([form]) => form.test(path))?.[1] ?? "other";
}

function nothing(): Tally {
  return { requests: 0, body_bytes: 0, sent_bytes: 0 };
}

function none(): Record<Kind, Tally> {
  return byKind(nothing);
}

function byKind(make: (kind: Kind) => Tally): Record<Kind, Tally> {
  const [page, playlist, entry, segment, other] = KINDS.map(make) as [Tally, Tally, Tally, Tally, Tally];
  return { page, playlist, entry, segment, other };
}

function entryOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
