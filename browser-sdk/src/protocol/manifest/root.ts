/** The signed root of a release: what it is, how it was cut, and the index of its pages. */
import { utf8Length } from "../bytes.ts";
import { openDocument, type DocumentCode } from "../document.ts";
import { quote, type DocumentKind } from "../envelope.ts";
import { ProtocolError } from "../error.ts";
import { flag, list, orNone, parsed, record, text, u32, u64, type FormOf } from "../form.ts";
import { hashOf, parseContentName, parseHash, parseName, type RootId } from "../id.ts";
import type { PublicKey } from "../key.ts";
import {
  CHUNK_BYTES_MAX,
  CHUNKS_MAX,
  ENTRIES_MAX,
  INTEGER_MAX,
  PAGE_BYTES_MAX,
  PAGES_MAX,
  PARTS_MAX,
  PATH_BYTES_MAX,
  ROOT_BYTES_MAX,
} from "../limits.ts";

/** The root's payload type and limit. */
export const ROOT_KIND: DocumentKind = {
  payload_type: "application/vnd.freshet.root+json",
  bytes_max: ROOT_BYTES_MAX,
};
/** The schema that this program reads. */
export const ROOT_SCHEMA = 1;

/** What a release with parts requires of its readers. */
const PARTS_FEATURE = "parts";

/** Why a root was refused; `other`: it is not the one asked for. */
export type RootCode = DocumentCode | "other";

/** A root that was refused. */
export class RootError extends ProtocolError<RootCode> {
  constructor(code: RootCode, subject?: string) {
    super("root", code, subject);
  }
}

const CHUNKER = record({ algorithm: text, bytes_min: u32, bytes_avg: u32, bytes_max: u32 });
const PAGE_REF = record({ id: parsed(text, parseHash), bytes: u32, chunks: u32, first: text });
const PART = record({ name: parsed(text, parseName), default: flag, bytes: u64 });
const ROOT = record({
  schema: u32,
  content: parsed(text, parseContentName),
  version: parsed(text, parseName),
  chunker: CHUNKER,
  entries: u32,
  bytes: u64,
  chunks: u32,
  pages: list(PAGE_REF),
  parts: orNone(list(PART)),
  requires: orNone(list(text)),
});

/** How the files were cut into chunks; sizes in bytes. */
export type Chunker = FormOf<typeof CHUNKER>;
/** One page, as the root names it: hash and size of the plain page, its chunk positions, its first path. */
export type PageRef = FormOf<typeof PAGE_REF>;
/** The root of a release. It has no channel, sequence or expiry: those belong to the pointer. */
export type Root = FormOf<typeof ROOT>;

/** Opens a signed root and tells its id. Throws {@link RootError}. */
export async function openRoot(
  envelope: Uint8Array,
  trusted: readonly PublicKey[],
): Promise<{ readonly id: RootId; readonly root: Root }> {
  const { payload, value: root } = await openDocument(ROOT_KIND, ROOT, RootError, envelope, trusted);
  check(root);
  return { id: await hashOf(payload), root };
}

/** Opens a signed root that must be `wanted`. Throws {@link RootError}. */
export async function openRootAs(wanted: RootId, envelope: Uint8Array, trusted: readonly PublicKey[]): Promise<Root> {
  const { id, root } = await openRoot(envelope, trusted);
  if (id !== wanted) throw new RootError("other", id);
  return root;
}

function check(root: Root): void {
  const { chunker, pages, parts } = root;
  const feature = root.requires.find((one) => one !== PARTS_FEATURE);
  if (root.schema !== ROOT_SCHEMA) throw new RootError("unsupported", `schema ${root.schema}`);
  if (feature !== undefined) throw new RootError("unsupported", quote(feature));
  if (chunker.algorithm !== "fastcdc-2020") throw new RootError("unsupported", quote(chunker.algorithm));
  const { bytes_min, bytes_avg, bytes_max } = chunker;
  const checks: readonly (readonly [boolean, string])[] = [
    [0 < bytes_min && bytes_min <= bytes_avg && bytes_avg <= bytes_max, "chunk sizes are out of order"],
    [bytes_max <= CHUNK_BYTES_MAX, "chunks are larger than the limit"],
    [root.bytes <= INTEGER_MAX, "size is larger than 2^53-1"],
    [pages.length <= PAGES_MAX, "too many pages"],
    [root.chunks <= CHUNKS_MAX, "too many chunks"],
    [root.entries <= ENTRIES_MAX, "too many entries"],
    [pages.every((page) => page.bytes <= PAGE_BYTES_MAX), "a page is larger than the limit"],
    [pages.every((page) => utf8Length(page.first) <= PATH_BYTES_MAX), "a page's first path is too long"],
    [pages.reduce((sum, page) => sum + page.chunks, 0) === root.chunks, "page chunk counts do not add up"],
    [parts.length <= PARTS_MAX, "too many parts"],
    [new Set(parts.map((part) => part.name)).size === parts.length, "two parts have one name"],
    [(parts.length === 0) === (root.requires.length === 0), "parts are not required, or there are none"],
    [parts.reduce((sum, part) => sum + part.bytes, 0) <= root.bytes, "parts are larger than the release"],
  ];
  const failed = checks.find(([good]) => !good);
  if (failed) throw new RootError("inconsistent", failed[1]);
}
