/**
 * Frames of the peer protocol, ALPN `freshet/1` (PROTOCOL.md 7).
 *
 *     frame = type:varint length:varint body
 *
 * Even types are critical: a reader that does not know one closes the link and names it. Odd types are optional and
 * skipped. On WebTransport the first bidirectional stream carries control frames, and each Request has a stream of its
 * own on which Data or Refuse answer; on a data channel all frames share the channel.
 */
import { utf8 } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { hashBytes, type ContentName, type Hash, type RootId } from "./id.ts";
import { publicKeyBytes, publicKeyOfBytes, type PublicKey } from "./key.ts";
import {
  AGENT_BYTES_MAX,
  BYE_BYTES_MAX,
  CHUNK_BYTES_MAX,
  CHUNKS_MAX,
  DATA_BYTES_MAX,
  FRAME_BYTES_MAX,
  KEY_DOCUMENT_BYTES_MAX,
  LINK_RELEASES_MAX,
  POINTER_BYTES_MAX,
  SEGMENT_ENTRY_BYTES_MAX,
  TICKET_BYTES_MAX,
} from "./limits.ts";
import { putRanges, readRanges, type Range } from "./ranges.ts";
import { readStream, readUrlPath } from "./segment.ts";
import { Reader, WireError, Writer, type WireCode } from "./wire.ts";

/** The protocol version that this program speaks. */
export const PEER_VERSION = 1;

/** Why a frame was refused. */
export type FrameCode = WireCode | "unknown-critical";

/** A frame that was refused; `kind` is its type, where its head could be read. */
export class FrameError extends ProtocolError<FrameCode> {
  readonly kind: number | undefined;

  constructor(code: FrameCode, subject?: string, kind?: number) {
    super(kind === undefined ? "frame head" : `frame of type ${kind}`, code, subject);
    this.kind = kind;
  }
}

/** Opens each link, on both sides. */
export interface Hello {
  readonly type: "hello";
  /** Lowest version spoken. */
  readonly version_min: number;
  /** Highest version spoken. */
  readonly version_max: number;
  /** Feature bits; unknown ones are ignored. */
  readonly features: number;
  /** 32 fresh random bytes, which the other's Proof signs. */
  readonly nonce: Uint8Array;
  /** The peer's signing key. */
  readonly key: PublicKey;
  /** The tracker's word for that key. */
  readonly ticket: Uint8Array;
  /** Program and version, for people. */
  readonly agent: string;
}

const BLOB_KINDS = ["chunk", "page", "root"] as const;
/** Kinds of blobs that can be asked for by hash: a chunk, a plain manifest page, a root's envelope. */
export type BlobKind = (typeof BLOB_KINDS)[number];

const ENCODINGS = ["identity", "zstd", "gzip"] as const;
/** How payload bytes are encoded; every peer offers `identity`. */
export type Encoding = (typeof ENCODINGS)[number];

const REASONS = ["not-held", "busy", "budget", "not-sharing", "other"] as const;
/** Why a request is not answered; `other` also stands for reasons of a later version. */
export type RefuseReason = (typeof REASONS)[number];

/** Positions of a release, by its number on this link. */
interface Positions {
  /** Number of the release. */
  readonly release: number;
  /** Ascending, disjoint ranges. */
  readonly ranges: readonly Range[];
}

/** Asks for a blob. */
export interface Request {
  readonly type: "request";
  /** Number of the request, unique on its link. */
  readonly request: number;
  readonly kind: BlobKind;
  readonly hash: Hash;
  /** Where to start, in bytes of the plain blob. */
  readonly offset: number;
  /** Sum of {@link encodingBit}s that the asker can read beside identity. */
  readonly encodings: number;
}

/** Bytes of a blob. Several follow each other until `total` is reached. */
export interface Data {
  readonly type: "data";
  /** Number of the request. */
  readonly request: number;
  /** Encoding of the whole answer. */
  readonly encoding: Encoding;
  /** Size of the whole answer as encoded, in bytes. */
  readonly total: number;
  readonly payload: Uint8Array;
}

/** Names a rendition of a stream by a short number, out of those that releases have too; see `piecePosition`. */
export interface Rendition {
  readonly type: "rendition";
  /** The number, below 16. */
  readonly release: number;
  readonly stream: ContentName;
  readonly epoch: number;
  /** Path of the rendition's playlist, as in `SegmentEntry.path`. */
  readonly rendition: string;
  /** Whether the sender hands out pieces of it. */
  readonly sharing: boolean;
}

/** Names a release by a short number for the frames that follow on this link. */
export interface Release {
  readonly type: "release";
  /** The number, below 16. */
  readonly release: number;
  readonly root: RootId;
  /** Its number of chunk positions. */
  readonly chunks: number;
  /** Whether the sender hands out chunks of it. */
  readonly sharing: boolean;
}

/**
 * A frame. Beside those above: `proof`, a signature over `proofMessage`; `have`, `withdraw`, `fetching`, positions that
 * the sender holds, no longer holds, or fetches from the origin now; `refuse` and `cancel` of a request; `pointer`,
 * `keys` and `ticket`, the newest envelope or ticket that the sender has; `entry`, a signed entry of a segment; `bye`, why the link closes.
 */
export type Frame =
  | Hello
  | { readonly type: "proof"; readonly signature: Uint8Array }
  | Release
  | Rendition
  | (Positions & { readonly type: "have" | "withdraw" | "fetching" })
  | Request
  | Data
  | { readonly type: "refuse"; readonly request: number; readonly reason: RefuseReason }
  | { readonly type: "cancel"; readonly request: number }
  | { readonly type: "pointer" | "keys"; readonly envelope: Uint8Array }
  | { readonly type: "entry"; readonly entry: Uint8Array }
  | { readonly type: "ticket"; readonly ticket: Uint8Array }
  | { readonly type: "bye"; readonly reason: string };

/** An optional frame of a type that this version does not know. */
export interface Skipped {
  readonly type: "skipped";
  readonly kind: number;
}

/** What {@link decodeFrame} found at the front of the bytes. */
export interface Decoded {
  readonly frame: Frame | Skipped;
  /** Number of bytes that it takes. */
  readonly length: number;
}

const TYPES: Readonly<Record<Frame["type"], number>> = {
  hello: 0,
  proof: 2,
  release: 4,
  have: 6,
  withdraw: 8,
  request: 10,
  data: 12,
  refuse: 14,
  cancel: 16,
  bye: 18,
  rendition: 20,
  fetching: 1,
  pointer: 3,
  ticket: 5,
  keys: 7,
  entry: 9,
};
const NAMES: ReadonlyMap<number, Frame["type"]> = new Map(
  Object.entries(TYPES).map(([name, kind]) => [kind, name as Frame["type"]]),
);

const HASH_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** An envelope is base64 around its payload, with signatures. */
const POINTER_ENVELOPE_BYTES_MAX = POINTER_BYTES_MAX * 2 + 4096;
const KEYS_ENVELOPE_BYTES_MAX = KEY_DOCUMENT_BYTES_MAX * 2 + 4096;

/** The highest version that both sides speak. */
export function commonVersion(hello: Hello, ownMin: number, ownMax: number): number | undefined {
  const version = Math.min(hello.version_max, ownMax);
  return version >= Math.max(hello.version_min, ownMin) ? version : undefined;
}

/** The bit of an encoding in {@link Request.encodings}. */
export function encodingBit(encoding: Encoding): number {
  return 1 << ENCODINGS.indexOf(encoding);
}

/** The bytes of an own frame; one that is over a limit is a fault of the caller (`RangeError`). */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const body = new Writer();
  putBody(body, frame);
  const bytes = body.finish();
  if (bytes.length > FRAME_BYTES_MAX) throw new RangeError("own frames stay within the limit");
  return new Writer().varint(TYPES[frame.type]).bytes(bytes).finish();
}

function putBody(out: Writer, frame: Frame): void {
  switch (frame.type) {
    case "hello":
      out.varint(frame.version_min).varint(frame.version_max).varint(frame.features).raw(frame.nonce);
      out.raw(publicKeyBytes(frame.key)).bytes(frame.ticket).text(frame.agent);
      break;
    case "proof":
      out.raw(frame.signature);
      break;
    case "release":
      out.varint(frame.release).raw(hashBytes(frame.root)).varint(frame.chunks).byte(frame.sharing ? 1 : 0);
      break;
    case "rendition":
      out.varint(frame.release).text(frame.stream).varint(frame.epoch).text(frame.rendition);
      out.byte(frame.sharing ? 1 : 0);
      break;
    case "have":
    case "withdraw":
    case "fetching":
      putRanges(out.varint(frame.release), frame.ranges);
      break;
    case "request":
      out.varint(frame.request).byte(BLOB_KINDS.indexOf(frame.kind)).raw(hashBytes(frame.hash));
      out.varint(frame.offset).varint(frame.encodings);
      break;
    case "data":
      out.varint(frame.request).varint(ENCODINGS.indexOf(frame.encoding)).varint(frame.total).raw(frame.payload);
      break;
    case "refuse":
      out.varint(frame.request).varint(REASONS.indexOf(frame.reason));
      break;
    case "cancel":
      out.varint(frame.request);
      break;
    case "pointer":
    case "keys":
      out.raw(frame.envelope);
      break;
    case "entry":
      out.raw(frame.entry);
      break;
    case "ticket":
      out.raw(frame.ticket);
      break;
    case "bye":
      out.bytes(utf8(frame.reason));
  }
}

/**
 * Reads one frame off the front of `bytes`; `undefined` when more bytes are needed. Payloads are views of `bytes`. Throws
 * {@link FrameError} when what is there can never become a good frame.
 */
export function decodeFrame(bytes: Uint8Array): Decoded | undefined {
  const head = readHead(bytes);
  if (head === undefined) return undefined;
  const { kind, start, end } = head;
  const name = NAMES.get(kind);
  if (name === undefined && kind % 2 === 0) throw new FrameError("unknown-critical", String(kind), kind);
  if (end > bytes.length) return undefined;
  if (name === undefined) return { frame: { type: "skipped", kind }, length: end };
  try {
    const reader = new Reader(bytes.subarray(start, end));
    const frame = readBody(name, reader);
    reader.finish();
    return { frame, length: end };
  } catch (error) {
    if (error instanceof WireError) throw new FrameError(error.code, error.subject, kind);
    throw error;
  }
}

/** Type and place of the body; `undefined` when more bytes are needed. */
function readHead(bytes: Uint8Array): { kind: number; start: number; end: number } | undefined {
  const reader = new Reader(bytes);
  try {
    const kind = reader.varint();
    const length = reader.varintMax(FRAME_BYTES_MAX, "frame size");
    return { kind, start: reader.position, end: reader.position + length };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (error.code === "truncated") return undefined;
    throw new FrameError(error.code, error.subject);
  }
}

function readBody(type: Frame["type"], reader: Reader): Frame {
  switch (type) {
    case "hello":
      return readHello(reader);
    case "proof":
      return { type, signature: reader.take(SIGNATURE_BYTES) };
    case "release":
      return readReleaseFrame(reader);
    case "rendition":
      return readRendition(reader);
    case "have":
    case "withdraw":
    case "fetching":
      return { type, release: readRelease(reader), ranges: readRanges(reader) };
    case "request":
      return readRequest(reader);
    case "data":
      return readData(reader);
    case "refuse":
      return { type, request: reader.varint(), reason: REASONS[reader.varint()] ?? "other" };
    case "cancel":
      return { type, request: reader.varint() };
    case "pointer":
      return { type, envelope: restMax(reader, POINTER_ENVELOPE_BYTES_MAX, "pointer") };
    case "keys":
      return { type, envelope: restMax(reader, KEYS_ENVELOPE_BYTES_MAX, "key document") };
    case "entry":
      return { type, entry: restMax(reader, SEGMENT_ENTRY_BYTES_MAX, "entry size") };
    case "ticket":
      return { type, ticket: restMax(reader, TICKET_BYTES_MAX, "ticket") };
    case "bye":
      return { type, reason: reader.textMax(BYE_BYTES_MAX, "reason") };
  }
}

function readHello(reader: Reader): Hello {
  const hello: Hello = {
    type: "hello",
    version_min: reader.varint(),
    version_max: reader.varint(),
    features: reader.varint(),
    nonce: reader.take(HASH_BYTES),
    key: publicKeyOfBytes(reader.take(HASH_BYTES)),
    ticket: reader.bytesMax(TICKET_BYTES_MAX, "ticket"),
    agent: reader.textMax(AGENT_BYTES_MAX, "agent"),
  };
  // A later version may add fields: what follows is theirs.
  reader.rest();
  if (hello.version_min > hello.version_max) throw new WireError("invalid", "version range");
  return hello;
}

function readRelease(reader: Reader): number {
  return reader.varintMax(LINK_RELEASES_MAX - 1, "release number");
}

function readReleaseFrame(reader: Reader): Release {
  const release = readRelease(reader);
  const root = reader.hash();
  const chunks = reader.varintMax(CHUNKS_MAX, "number of chunks");
  return { type: "release", release, root, chunks, sharing: readSharing(reader) };
}

function readRendition(reader: Reader): Rendition {
  const release = readRelease(reader);
  const stream = readStream(reader);
  const epoch = reader.varint();
  const rendition = readUrlPath(reader, "rendition");
  return { type: "rendition", release, stream, epoch, rendition, sharing: readSharing(reader) };
}

function readSharing(reader: Reader): boolean {
  const sharing = reader.byte();
  if (sharing > 1) throw new WireError("invalid", "sharing flag");
  return sharing === 1;
}

function readRequest(reader: Reader): Request {
  const request = reader.varint();
  const kind = BLOB_KINDS[reader.byte()];
  if (kind === undefined) throw new WireError("invalid", "blob kind");
  const hash = reader.hash();
  const offset = reader.varintMax(CHUNK_BYTES_MAX, "offset");
  return { type: "request", request, kind, hash, offset, encodings: reader.varint() };
}

function readData(reader: Reader): Data {
  const request = reader.varint();
  const encoding = ENCODINGS[reader.varint()];
  if (encoding === undefined) throw new WireError("invalid", "encoding");
  const total = reader.varintMax(CHUNK_BYTES_MAX, "answer size");
  if (reader.remaining > DATA_BYTES_MAX || reader.remaining > total) throw new WireError("over-limit", "data size");
  return { type: "data", request, encoding, total, payload: reader.rest() };
}

function restMax(reader: Reader, max: number, what: string): Uint8Array {
  if (reader.remaining > max) throw new WireError("over-limit", what);
  return reader.rest();
}
