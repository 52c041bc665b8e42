/**
 * Entries of streams: the signed word about one segment, so that its pieces can be taken from anybody (PROTOCOL.md 9).
 * Browsers read them; only origins write them.
 *
 *     entry = version:int(1) signer:hash stream:bytes epoch:int rendition:bytes kind:int sequence:int
 *             path:bytes offset:int bytes:int duration_us:int init:int piece:hash* extension:bytes signature:64
 */
import { concat, utf8 } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { IdError, parseContentName, type ChunkId, type ContentName, type KeyId } from "./id.ts";
import { isSigned, keyId, type PublicKey } from "./key.ts";
import {
  CONTENT_BYTES_MAX,
  ENTRY_EXTENSION_BYTES_MAX,
  INTEGER_MAX,
  PATH_BYTES_MAX,
  PIECE_BYTES,
  SEGMENT_BYTES_MAX,
  SEGMENT_ENTRY_BYTES_MAX,
} from "./limits.ts";
import { Reader, WireError, type WireCode } from "./wire.ts";

/** Why an entry was refused. */
export type SegmentCode = WireCode | "unsupported" | "untrusted" | "other";

/** An entry that was refused. */
export class SegmentError extends ProtocolError<SegmentCode> {
  constructor(code: SegmentCode, subject?: string) {
    super("entry", code, subject);
  }
}

/** What a segment is for: it is played, or prepares a decoder (`EXT-X-MAP`). */
export type SegmentKind = "media" | "init";

/** Where a segment stands in its stream. There is one entry for a place; a second one that says otherwise is refused. */
export interface SegmentPlace {
  /** Counts up when a publisher begins to number anew. */
  readonly epoch: number;
  /** Path of the rendition's playlist, as in {@link SegmentEntry.path}. */
  readonly rendition: string;
  /** What it is for. */
  readonly kind: SegmentKind;
  /** Media sequence number of the playlist; of initialisations, their number in the rendition. */
  readonly sequence: number;
}

/** The signed word about a segment. */
export interface SegmentEntry {
  /** The stream. */
  readonly stream: ContentName;
  /** Where it stands. */
  readonly place: SegmentPlace;
  /**
   * Path of its URL as the URL standard serialises it, without query: below the folder of the stream's first playlist,
   * or from `/` on where it lies elsewhere. So several hosts and tokens give one stream.
   */
  readonly path: string;
  /** First byte of the resource that belongs to it (`EXT-X-BYTERANGE`). */
  readonly offset: number;
  /** Its size, in bytes; at least one. */
  readonly bytes: number;
  /** How long it plays, in microseconds. */
  readonly duration_us: number;
  /** Sequence of the initialisation that it needs, of the same rendition. */
  readonly init?: number;
  /** Hashes of its pieces: `PIECE_BYTES` each, the last one what is left. */
  readonly pieces: readonly ChunkId[];
}

const ENTRY_VERSION = 1;
const SIGNED_PREFIX = utf8("freshet entry 1\n");
const SIGNATURE_BYTES = 64;
/** Pieces of the largest segment: the distance between two segments in {@link piecePosition}. */
const PIECES_PER_SEGMENT = SEGMENT_BYTES_MAX / PIECE_BYTES;
const KINDS: Readonly<Record<number, SegmentKind>> = { 0: "media", 2: "init" };

interface Parsed {
  readonly entry: SegmentEntry;
  readonly signer: KeyId;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads an entry of `stream` signed by one of `trusted`. Throws {@link SegmentError}. */
export async function openSegment(
  bytes: Uint8Array,
  stream: ContentName,
  trusted: readonly PublicKey[],
): Promise<SegmentEntry> {
  const { entry, signer, signed, signature } = parse(bytes);
  const ids = await Promise.all(trusted.map(keyId));
  const key = trusted[ids.indexOf(signer)];
  if (key === undefined || !(await isSigned(key, concat(SIGNED_PREFIX, signed), signature))) {
    throw new SegmentError("untrusted");
  }
  if (entry.stream !== stream) throw new SegmentError("other", entry.stream);
  return entry;
}

/**
 * Position of a piece among all pieces of its rendition, as Have and Fetching count them; `undefined` for a sequence that
 * is too large to be announced.
 */
export function piecePosition(sequence: number, piece: number): number | undefined {
  const position = sequence * PIECES_PER_SEGMENT + piece;
  return position < INTEGER_MAX ? position : undefined;
}

/** Sequence and piece of a position. */
export function pieceAt(position: number): { readonly sequence: number; readonly piece: number } {
  return { sequence: Math.floor(position / PIECES_PER_SEGMENT), piece: position % PIECES_PER_SEGMENT };
}

/** Size of a piece, in bytes; 0 for one that is not there. */
export function pieceBytes({ bytes }: SegmentEntry, piece: number): number {
  return Math.min(Math.max(bytes - piece * PIECE_BYTES, 0), PIECE_BYTES);
}

/** Whether both are about one place and say different things: one is a fraud, or the publisher's mistake. */
export function contradicts(one: SegmentEntry, other: SegmentEntry): boolean {
  return placeText(one) === placeText(other) && wordText(one) !== wordText(other);
}

function placeText({ stream, place: { epoch, rendition, kind, sequence } }: SegmentEntry): string {
  return [stream, epoch, rendition, kind, sequence].join("\n");
}

function wordText({ path, offset, bytes, duration_us, init, pieces }: SegmentEntry): string {
  return [path, offset, bytes, duration_us, init, ...pieces].join("\n");
}

function parse(bytes: Uint8Array): Parsed {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof WireError) throw new SegmentError(error.code, error.subject);
    throw error;
  }
}

function read(bytes: Uint8Array): Parsed {
  if (bytes.length > SEGMENT_ENTRY_BYTES_MAX) throw new WireError("over-limit", "entry size");
  const reader = new Reader(bytes);
  const version = reader.varint();
  if (version !== ENTRY_VERSION) throw new SegmentError("unsupported", `version ${version}`);
  const signer = reader.hash();
  const entry = readEntry(reader);
  reader.bytesMax(ENTRY_EXTENSION_BYTES_MAX, "extension");
  const signed = bytes.subarray(0, reader.position);
  const signature = reader.take(SIGNATURE_BYTES);
  reader.finish();
  check(entry);
  return { entry, signer, signed, signature };
}

function readEntry(reader: Reader): SegmentEntry {
  const stream = readStream(reader);
  const epoch = reader.varint();
  const rendition = readUrlPath(reader, "rendition");
  const kindNumber = reader.varint();
  const kind = KINDS[kindNumber];
  if (kind === undefined) throw new SegmentError("unsupported", `kind ${kindNumber}`);
  const sequence = reader.varint();
  const path = readUrlPath(reader, "path");
  const offset = reader.varint();
  const bytes = reader.varintMax(SEGMENT_BYTES_MAX, "segment size");
  const duration_us = reader.varint();
  const init = reader.varint();
  const pieces = Array.from({ length: Math.ceil(bytes / PIECE_BYTES) }, () => reader.hash());
  const place = { epoch, rendition, kind, sequence };
  return { stream, place, path, offset, bytes, duration_us, ...(init > 0 && { init: init - 1 }), pieces };
}

/** Reads the name of a stream. Throws {@link WireError}. */
export function readStream(reader: Reader): ContentName {
  const text = reader.textMax(CONTENT_BYTES_MAX, "stream");
  try {
    return parseContentName(text);
  } catch (error) {
    if (error instanceof IdError) throw new WireError("invalid", "stream");
    throw error;
  }
}

function check({ place, offset, bytes, init }: SegmentEntry): void {
  if (offset + bytes > INTEGER_MAX) throw new WireError("integer-too-large");
  if (bytes === 0) throw new WireError("invalid", "segment size");
  if (place.kind === "init" && init !== undefined) throw new WireError("invalid", "init");
}

/** Visible ASCII without `?`, `#` and `\`, as the URL standard serialises a path. */
const URL_PATH = /^[!-~]+$/;
const REFUSED_CHARACTER = /[?#\\]/;

/** Reads a path as the URL standard serialises one. Throws {@link WireError}. */
export function readUrlPath(reader: Reader, what: string): string {
  const path = reader.textMax(PATH_BYTES_MAX, what);
  const hasDots = path.split("/").some((part) => part === "." || part === "..");
  if (hasDots || !URL_PATH.test(path) || REFUSED_CHARACTER.test(path)) throw new WireError("invalid", what);
  return path;
}
