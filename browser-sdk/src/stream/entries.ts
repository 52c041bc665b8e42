/** The signed entries of a stream: pushed by the tracker and peers, or fetched in pages from the origin. */
import { nowUs } from "../clock.ts";
import { small } from "../origin.ts";
import { decodeEntryPage } from "../protocol/entry_page.ts";
import { utf8 } from "../protocol/bytes.ts";
import { hashOf, type ContentName } from "../protocol/id.ts";
import type { PublicKey } from "../protocol/key.ts";
import { ENTRY_PAGE_BYTES_MAX, PAGE_SEQUENCES } from "../protocol/limits.ts";
import { contradicts, openSegment, type SegmentEntry } from "../protocol/segment.ts";

/** Most entries kept; those that were taken in first go first. */
const ENTRIES_MAX = 4096;
/** Most pages remembered; each covers minutes. */
const PAGES_MAX = 256;
/** Time for which a page that could not be had is not asked for again. */
const MISSING_US = 10_000_000;
/** Time between two looks at a page that is not full yet. */
const AGAIN_US = 900_000;

interface Page {
  /** Whether the page could be had. */
  done: Promise<boolean>;
  /** When it is worth asking again. */
  againUs: number;
}

export class Entries {
  readonly #stream: ContentName;
  readonly #base: string;
  readonly #keys: readonly PublicKey[];
  readonly #signal: AbortSignal;
  /** By place; of several epochs the newest. */
  readonly #entries = new Map<string, SegmentEntry>();
  /** Pages that are being fetched or were. */
  readonly #pages = new Map<string, Page>();
  /** Whoever waits for news. */
  readonly #waiting = new Set<() => void>();

  /** `base` is the URL of the stream at its origin, with `/` at the end; `keys` may sign its entries. */
  constructor(stream: ContentName, base: string, keys: readonly PublicKey[], signal: AbortSignal) {
    this.#stream = stream;
    this.#base = base;
    this.#keys = keys;
    this.#signal = signal;
  }

  /** The entry of a media segment, where it is known. */
  get(rendition: string, sequence: number): SegmentEntry | undefined {
    return this.#entries.get(placeOf(rendition, sequence));
  }

  /** Takes an entry in. Whether it was good, and news. Throws where it is not good. */
  async take(bytes: Uint8Array): Promise<boolean> {
    const entry = await openSegment(bytes, this.#stream, this.#keys);
    const { epoch, kind, rendition, sequence } = entry.place;
    if (kind !== "media") return false;
    const place = placeOf(rendition, sequence);
    const known = this.#entries.get(place);
    // The first word about a place counts; a later epoch is another place.
    if (known !== undefined && known.place.epoch >= epoch) {
      if (contradicts(known, entry)) throw new Error("a second entry for the same place");
      return false;
    }
    this.#entries.set(place, entry);
    dropOldest(this.#entries, ENTRIES_MAX);
    for (const wake of this.#waiting) wake();
    return true;
  }

  /** The entry of a segment, waited for until `untilUs` at most; `undefined` when there is none by then. */
  async find(rendition: string, sequence: number, untilUs: number): Promise<SegmentEntry | undefined> {
    for (;;) {
      const known = this.get(rendition, sequence);
      const leftMs = (untilUs - nowUs()) / 1000;
      if (known !== undefined || leftMs <= 0) return known;
      const news = this.#news(Math.min(leftMs, AGAIN_US / 1000));
      const page = this.#fetch(rendition, Math.floor(sequence / PAGE_SEQUENCES));
      const isSigned = await Promise.race([news.then(() => true), page]);
      if (this.get(rendition, sequence) !== undefined) continue;
      // Where the page cannot be had, nobody signs this rendition; where it lacks the entry, it may be about to come.
      if (!isSigned) return undefined;
      await news;
    }
  }

  /** Resolves when an entry was taken in, or after a time. */
  #news(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  async #fetch(rendition: string, page: number): Promise<boolean> {
    const key = placeOf(rendition, page);
    const known = this.#pages.get(key);
    if (known !== undefined && nowUs() < known.againUs) return known.done;
    const state: Page = { done: Promise.resolve(true), againUs: nowUs() + AGAIN_US };
    state.done = this.#load(rendition, page).then(
      (isFull) => {
        if (isFull) state.againUs = Infinity;
        return true;
      },
      () => {
        state.againUs = nowUs() + MISSING_US;
        return false;
      },
    );
    this.#pages.set(key, state);
    dropOldest(this.#pages, PAGES_MAX);
    return state.done;
  }

  async #load(rendition: string, page: number): Promise<boolean> {
    const url = `${this.#base}entries/${await hashOf(utf8(rendition))}/${page}`;
    const entries = decodeEntryPage(await small(url, ENTRY_PAGE_BYTES_MAX, this.#signal));
    await Promise.all(entries.map((entry) => this.take(entry).catch(() => false)));
    return entries.length >= PAGE_SEQUENCES;
  }
}

const placeOf = (rendition: string, sequence: number): string => `${sequence} ${rendition}`;

/** Keeps at most `count`; those that were added first go first. */
function dropOldest(map: Map<string, unknown>, count: number): void {
  const [oldest] = map.keys();
  if (map.size > count) map.delete(oldest as string);
}
