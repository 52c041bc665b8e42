/** The releases of a content: finds and opens the signed documents that say where the chunks of a file are. */
import { nowS } from "../clock.ts";
import { open, read, small } from "../origin.ts";
import { envelopeBytesMax } from "../protocol/envelope.ts";
import { parseHash, parseName, type ContentName, type Name, type PageId, type RootId } from "../protocol/id.ts";
import { keysFor, type KeyDocument } from "../protocol/key_document.ts";
import { openComparedPage, type Page } from "../protocol/manifest/page.ts";
import { openRootAs, ROOT_KIND, type PageRef, type Root } from "../protocol/manifest/root.ts";
import { textOf } from "../protocol/bytes.ts";
import { comparePaths, type RelPath } from "../protocol/path.ts";
import { checkCurrent, openPointer, POINTER_KIND } from "../protocol/pointer.ts";
import type { PlacedPart } from "./file.ts";

/** A release that may be read. */
export interface Release {
  readonly id: RootId;
  readonly root: Root;
}

/** Most versions remembered, and most pages; those that were opened first go first. */
const VERSIONS_MAX = 16;
const PAGES_MAX = 8;
/** Longest answer that names a version's root: 64 digits, and room for an end of line. */
const VERSION_BYTES_MAX = 80;

export class Releases {
  readonly #content: ContentName;
  readonly #base: string;
  readonly #keys: KeyDocument;
  readonly #signal: AbortSignal;
  readonly #roots = new Map<RootId, Promise<Root>>();
  readonly #versions = new Map<Name, Promise<RootId>>();
  readonly #pages = new Map<PageId, Promise<Page>>();
  /** Sequences of channels. */
  readonly #seen = new Map<Name, number>();

  /** `base` is the URL of the content at its origin, with `/` at the end. */
  constructor(content: ContentName, base: string, keys: KeyDocument, signal: AbortSignal) {
    this.#content = content;
    this.#base = base;
    this.#keys = keys;
    this.#signal = signal;
  }

  /** The release of a version, or of a channel where `name` begins with `@`. Rejects where there is no good one. */
  async open(name: string): Promise<Release> {
    if (name.startsWith("@")) return this.#shown(parseName(name.slice(1)));
    const version = parseName(name);
    const id = await remembered(this.#versions, version, VERSIONS_MAX, async () => {
      const bytes = await small(`${this.#base}versions/${version}`, VERSION_BYTES_MAX, this.#signal);
      return parseHash((textOf(bytes) ?? "").trim());
    });
    return this.#release(id, version);
  }

  /** The part of a file that holds a byte, or its last part. Rejects where the release has no such file. */
  async part({ root }: Release, path: RelPath, byte: number): Promise<PlacedPart> {
    const order = root.pages.map(({ first }) => comparePaths(first as RelPath, path));
    // A file may begin in a page that begins with another one, and goes on in pages that begin with it.
    let low = Math.max(order.filter((one) => one < 0).length - 1, 0);
    let high = order.filter((one) => one <= 0).length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const part = await this.#partIn(root, middle, path);
      if (part !== undefined && part.offset <= byte) low = middle;
      else high = middle - 1;
    }
    const part = await this.#partIn(root, low, path);
    if (part === undefined) throw new Error("no such file");
    return part;
  }

  async #shown(channel: Name): Promise<Release> {
    const envelope = await small(`${this.#base}channels/${channel}`, envelopeBytesMax(POINTER_KIND), this.#signal);
    const pointer = await openPointer(envelope, keysFor(this.#keys, "pointer", nowS()));
    checkCurrent(pointer, this.#seen.get(channel), nowS());
    if (pointer.content !== this.#content || pointer.channel !== channel) throw new Error("a pointer for another channel");
    this.#seen.set(channel, pointer.sequence);
    return this.#release(pointer.root, pointer.version);
  }

  async #release(id: RootId, version: Name): Promise<Release> {
    const root = await remembered(this.#roots, id, VERSIONS_MAX, async () => {
      const envelope = await small(`${this.#base}roots/${id}`, envelopeBytesMax(ROOT_KIND), this.#signal);
      return openRootAs(id, envelope, keysFor(this.#keys, "root", nowS()));
    });
    // The answer that named the root is not signed.
    if (root.content !== this.#content || root.version !== version) throw new Error("the root of another version");
    return { id, root };
  }

  async #partIn({ pages }: Root, number: number, path: RelPath): Promise<PlacedPart | undefined> {
    const ref = pages[number];
    if (ref === undefined) return undefined;
    const { entries } = await remembered(this.#pages, ref.id, PAGES_MAX, () => this.#page(ref));
    let position = pages.slice(0, number).reduce((sum, { chunks }) => sum + chunks, 0);
    for (const entry of entries) {
      if (entry.type !== "file") continue;
      if (entry.path === path) return { ...entry, position };
      position += entry.chunks.length;
    }
    return undefined;
  }

  /** A page, which is unpacked no further than to the size that was signed. */
  async #page(ref: PageRef): Promise<Page> {
    const { body } = await open(`${this.#base}pages/${ref.id}.gz`, undefined, this.#signal);
    const bytes = new Uint8Array(ref.bytes);
    let filled = 0;
    await read(new Response(body?.pipeThrough(new DecompressionStream("gzip"))), (part) => {
      bytes.set(part, filled);
      filled += part.length;
    });
    return openComparedPage(ref, bytes.subarray(0, filled));
  }
}

/** What was made for a key, or is being made now; made anew after a failure. At most `count` are kept. */
function remembered<K, V>(known: Map<K, Promise<V>>, key: K, count: number, make: () => Promise<V>): Promise<V> {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  const [oldest] = known.keys();
  if (known.size >= count) known.delete(oldest as K);
  known.set(key, made);
  made.catch(() => known.delete(key));
  return made;
}
