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
  /** Pages that are being fetched or were; few, since each covers minutes. */
  readonly #pages = new Map<string, Page>();
  readonly #waiters = new Map<string, (() => void)[]>();

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
    if (this.#entries.size >= ENTRIES_MAX) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(place, entry);
    for (const wake of this.#waiters.get(place) ?? []) wake();
    this.#waiters.delete(place);
    return true;
  }

  /** The entry of a segment, waited for until `untilUs` at most; `undefined` when there is none by then. */
  async find(rendition: string, sequence: number, untilUs: number): Promise<SegmentEntry | undefined> {
    for (;;) {
      const known = this.get(rendition, sequence);
      const leftMs = (untilUs - nowUs()) / 1000;
      if (known !== undefined || leftMs <= 0) return known;
      const place = placeOf(rendition, sequence);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const pushed = new Promise<void>((resolve) => {
        this.#waiters.set(place, [...(this.#waiters.get(place) ?? []), resolve]);
        timer = setTimeout(resolve, Math.min(leftMs, AGAIN_US / 1000));
      });
      const isThere = await Promise.race([pushed, this.#fetch(rendition, Math.floor(sequence / PAGE_SEQUENCES))]);
      // Where the page cannot be had, nobody signs this rendition; where it lacks the entry, it may be about to come.
      const isSigned = isThere !== false || this.get(rendition, sequence) !== undefined;
      if (isThere === true && this.get(rendition, sequence) === undefined) await pushed;
      clearTimeout(timer);
      if (!isSigned) return undefined;
    }
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
