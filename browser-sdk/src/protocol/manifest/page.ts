/**
 * A manifest page: entries in path order, each file with its chunks. Binary, at most 256 KiB plain (PROTOCOL.md 4.3).
 *
 *     page   = version:varint(1) entries:varint entry*
 *     entry  = kind:varint length:varint body      even kinds are critical, odd ones may be skipped
 *     body   = (file | folder | link) part:varint?
 *     file   = path flags:byte size offset chunks:varint (id:32 bytes:varint)*      kind 0; flags: 1 = executable
 *     folder = path                                                                 kind 2; only folders that are empty
 *     link   = path target                                                          kind 4
 *
 * `part` is the number of the part that an entry belongs to; without it, the entry is in every installation.
 * A file larger than a page continues in the next one under the same path with a larger `offset`.
 */
import { Mismatch, VerifiedChunk } from "../chunk.ts";
import { ProtocolError } from "../error.ts";
import { hashBytes, type ChunkId } from "../id.ts";
import { CHUNK_BYTES_MAX, INTEGER_MAX, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PARTS_MAX, PATH_BYTES_MAX } from "../limits.ts";
import { checkLinkTarget, comparePaths, parsePath, PathError, type RelPath } from "../path.ts";
import { Reader, WireError, Writer, type WireCode } from "../wire.ts";
import type { PageRef } from "./root.ts";

/** Why a page was refused. */
export type PageCode = WireCode | "mismatch" | "path" | "unknown-kind" | "inconsistent";

/** A page that was refused; for `path`, `subject` is what is wrong with the path. */
export class PageError extends ProtocolError<PageCode> {
  constructor(code: PageCode, subject?: string) {
    super("page", code, subject);
  }
}

/** A chunk within a file. */
export interface ChunkRef {
  /** Hash of the chunk. */
  readonly id: ChunkId;
  /** Size, in bytes. */
  readonly bytes: number;
}

/** A file, or the extent of it that this page describes. */
export interface FileExtent {
  readonly type: "file";
  /** Where it goes. */
  readonly path: RelPath;
  /** Number of the part that it belongs to, by its place in the root. */
  readonly part?: number;
  /** Whether the owner may run it. */
  readonly executable: boolean;
  /** Size of the whole file, in bytes. */
  readonly size: number;
  /** Where this extent starts, in bytes. */
  readonly offset: number;
  /** The chunks of this extent, in order. */
  readonly chunks: readonly ChunkRef[];
}

/** One entry of a page: a file or an extent of one, an empty folder, or a symbolic link. */
export type Entry =
  | FileExtent
  | { readonly type: "folder"; readonly path: RelPath; readonly part?: number }
  | { readonly type: "link"; readonly path: RelPath; readonly part?: number; readonly target: string };

/** A page of a manifest. */
export interface Page {
  /** The entries in path order. */
  readonly entries: readonly Entry[];
}

const PAGE_VERSION = 1;
const KIND_FILE = 0;
const KIND_FOLDER = 2;
const KIND_LINK = 4;
const FLAG_EXECUTABLE = 1;
/** More chunk records than this do not fit a page: an id of 32 bytes and a size of at least one. */
const PAGE_CHUNKS_MAX = Math.floor(PAGE_BYTES_MAX / 33);

/** All chunks of a page in order: their place here, counted on from the pages before, is their position. */
export function chunksOf(page: Page): readonly ChunkRef[] {
  return page.entries.flatMap((entry) => (entry.type === "file" ? entry.chunks : []));
}

/** The plain bytes of a page. */
export function encodePage(page: Page): Uint8Array<ArrayBuffer> {
  const out = new Writer().varint(PAGE_VERSION).varint(page.entries.length);
  for (const entry of page.entries) {
    const body = new Writer();
    const kind = putEntry(body, entry);
    if (entry.part !== undefined) body.varint(entry.part);
    out.varint(kind).bytes(body.finish());
  }
  return out.finish();
}

function putEntry(out: Writer, entry: Entry): number {
  out.text(entry.path);
  switch (entry.type) {
    case "file":
      out.byte(entry.executable ? FLAG_EXECUTABLE : 0).varint(entry.size).varint(entry.offset);
      out.varint(entry.chunks.length);
      for (const chunk of entry.chunks) out.raw(hashBytes(chunk.id)).varint(chunk.bytes);
      return KIND_FILE;
    case "folder":
      return KIND_FOLDER;
    case "link":
      out.text(entry.target);
      return KIND_LINK;
  }
}

/** Reads a page that `expected` names, checking hash, size and chunk count. Throws {@link PageError}. */
export function openPage(expected: PageRef, bytes: Uint8Array): Promise<Page> {
  return openAs(expected, bytes, decodePage);
}

/** As {@link openPage}, for those who only compare paths with others and write none to a disk. */
export function openComparedPage(expected: PageRef, bytes: Uint8Array): Promise<Page> {
  return openAs(expected, bytes, (plain) => decodeAs(plain, COMPARED));
}

async function openAs(expected: PageRef, bytes: Uint8Array, decode: (bytes: Uint8Array) => Page): Promise<Page> {
  if (bytes.length !== expected.bytes) throw new PageError("mismatch", expected.id);
  const page = decode((await verified(expected, bytes)).bytes);
  if (chunksOf(page).length !== expected.chunks) {
    throw new PageError("inconsistent", "chunk count differs from the root's");
  }
  return page;
}

async function verified(expected: PageRef, bytes: Uint8Array): Promise<VerifiedChunk> {
  try {
    return await VerifiedChunk.check(expected.id, bytes);
  } catch (error) {
    if (error instanceof Mismatch) throw new PageError("mismatch", expected.id);
    throw error;
  }
}

/** Reads the plain bytes of a page. Throws {@link PageError}. */
export function decodePage(bytes: Uint8Array): Page {
  try {
    return decodeAs(bytes, { path: parsePath, target: checkLinkTarget });
  } catch (error) {
    if (error instanceof PathError) throw new PageError("path", error.code);
    throw error;
  }
}

/** What is asked of paths and of where links lead. */
interface PathRules {
  path(text: string): RelPath;
  target(link: RelPath, target: string): void;
}

const COMPARED: PathRules = { path: (text) => text as RelPath, target: () => undefined };

function decodeAs(bytes: Uint8Array, rules: PathRules): Page {
  try {
    return readPage(bytes, rules);
  } catch (error) {
    if (error instanceof WireError) throw new PageError(error.code, error.subject);
    throw error;
  }
}

function readPage(bytes: Uint8Array, rules: PathRules): Page {
  if (bytes.length > PAGE_BYTES_MAX) throw new WireError("over-limit", "page size");
  const reader = new Reader(bytes);
  if (reader.varint() !== PAGE_VERSION) throw new WireError("invalid", "page version");
  const count = reader.varintMax(PAGE_ENTRIES_MAX, "number of entries");
  const entries: Entry[] = [];
  for (let at = 0; at < count; at += 1) {
    const entry = readEntry(reader.varint(), new Reader(reader.bytesMax(PAGE_BYTES_MAX, "entry size")), rules);
    if (entry) entries.push(entry);
  }
  reader.finish();
  const isInOrder = entries.every((entry, at) => {
    const before = entries[at - 1];
    return before === undefined || comparePaths(before.path, entry.path) < 0;
  });
  if (!isInOrder) throw new PageError("inconsistent", "entries are not in path order");
  return { entries };
}

/** Reads an entry of `kind`; `undefined` for an optional one that this version does not know. */
function readEntry(kind: number, body: Reader, rules: PathRules): Entry | undefined {
  switch (kind) {
    case KIND_FILE:
      return readFile(body, rules);
    case KIND_FOLDER: {
      const path = readPath(body, rules);
      return { type: "folder", path, ...readPart(body) };
    }
    case KIND_LINK:
      return readLink(body, rules);
    default:
      if (kind % 2 === 0) throw new PageError("unknown-kind", String(kind));
      return undefined;
  }
}

function readPath(reader: Reader, rules: PathRules): RelPath {
  return rules.path(reader.textMax(PATH_BYTES_MAX, "path"));
}

/** The end of an entry: its part, if it is of any. */
function readPart(reader: Reader): { readonly part?: number } {
  const part = reader.remaining > 0 ? { part: reader.varintMax(PARTS_MAX - 1, "part number") } : {};
  reader.finish();
  return part;
}

function readFile(reader: Reader, rules: PathRules): FileExtent {
  const path = readPath(reader, rules);
  const flags = reader.byte();
  if ((flags & ~FLAG_EXECUTABLE) !== 0) throw new WireError("invalid", "file flags");
  const size = reader.varintMax(INTEGER_MAX, "file size");
  const offset = reader.varintMax(size, "file offset");
  const count = reader.varintMax(PAGE_CHUNKS_MAX, "number of chunks");
  const chunks: ChunkRef[] = [];
  let left = size - offset;
  for (let at = 0; at < count; at += 1) {
    const id = reader.hash();
    const bytes = reader.varintMax(CHUNK_BYTES_MAX, "chunk size");
    if (bytes === 0) throw new WireError("invalid", "chunk size");
    left -= bytes;
    chunks.push({ id, bytes });
  }
  const part = readPart(reader);
  if (left < 0) throw new PageError("inconsistent", "chunks reach beyond the end of their file");
  return { type: "file", path, ...part, executable: (flags & FLAG_EXECUTABLE) !== 0, size, offset, chunks };
}

function readLink(reader: Reader, rules: PathRules): Entry {
  const path = readPath(reader, rules);
  const target = reader.textMax(PATH_BYTES_MAX, "link target");
  const part = readPart(reader);
  rules.target(path, target);
  return { type: "link", path, ...part, target };
}
