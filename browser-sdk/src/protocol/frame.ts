/**
 * Frames of the peer protocol, ALPN `freshet/1` (PROTOCOL.md 7).
 *
 *     frame = type:varint length:varint body
 *
 * Even types are critical: a reader that does not know one closes the link and names it. Odd types are optional and
 * skipped. On WebTransport the first bidirectional stream carries control frames, and each Request has a stream of its
 * own on which Data or Refuse answer; on a data channel all frames share the channel.
 */
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

/** How one value of a frame is written and read. */
interface Field<T> {
  write(out: Writer, value: T): void;
  /** Throws {@link WireError}. */
  read(reader: Reader): T;
}

const integer: Field<number> = { write: (out, value) => out.varint(value), read: (reader) => reader.varint() };

const octet: Field<number> = { write: (out, value) => out.byte(value), read: (reader) => reader.byte() };

const integerMax = (max: number, what: string): Field<number> => ({
  ...integer,
  read: (reader) => reader.varintMax(max, what),
});

/** So many bytes. */
const raw = (bytes: number): Field<Uint8Array> => ({
  write: (out, value) => out.raw(value),
  read: (reader) => reader.take(bytes),
});

/** All that is left. */
const restMax = (max: number, what: string): Field<Uint8Array> => ({
  ...raw(0),
  read: (reader) => {
    if (reader.remaining > max) throw new WireError("over-limit", what);
    return reader.rest();
  },
});

const bytesMax = (max: number, what: string): Field<Uint8Array> => ({
  write: (out, value) => out.bytes(value),
  read: (reader) => reader.bytesMax(max, what),
});

const text = (read: (reader: Reader) => string): Field<string> => ({ write: (out, value) => out.text(value), read });

/** One of `words`, by its place among them; a place beyond them is `other`, where there is one. */
const word = <T extends string>(place: Field<number>, words: readonly T[], what: string, other?: T): Field<T> => ({
  write: (out, value) => place.write(out, words.indexOf(value)),
  read: (reader) => {
    const value = words[place.read(reader)] ?? other;
    if (value === undefined) throw new WireError("invalid", what);
    return value;
  },
});

const hash: Field<Hash> = { write: (out, value) => out.raw(hashBytes(value)), read: (reader) => reader.hash() };

const sharing: Field<boolean> = {
  write: (out, value) => out.byte(Number(value)),
  read: (reader) => {
    const value = reader.byte();
    if (value > 1) throw new WireError("invalid", "sharing flag");
    return value === 1;
  },
};

const release = integerMax(LINK_RELEASES_MAX - 1, "release number");
const positions = { release, ranges: { write: putRanges, read: readRanges } };
const envelope = (payloadBytesMax: number, what: string): object => {
  // It is base64 around its payload, with signatures.
  return { envelope: restMax(payloadBytesMax * 2 + 4096, what) };
};

/** Types of frames, and their fields in order. */
const FRAMES: Readonly<Record<Frame["type"], readonly [number, object]>> = {
  hello: [
    0,
    {
      version_min: integer,
      version_max: integer,
      features: integer,
      nonce: raw(32),
      key: {
        write: (out: Writer, value: PublicKey) => out.raw(publicKeyBytes(value)),
        read: (reader: Reader) => publicKeyOfBytes(reader.take(32)),
      },
      ticket: bytesMax(TICKET_BYTES_MAX, "ticket"),
      agent: text((reader) => reader.textMax(AGENT_BYTES_MAX, "agent")),
    },
  ],
  proof: [2, { signature: raw(64) }],
  release: [4, { release, root: hash, chunks: integerMax(CHUNKS_MAX, "number of chunks"), sharing }],
  have: [6, positions],
  withdraw: [8, positions],
  request: [
    10,
    {
      request: integer,
      kind: word(octet, BLOB_KINDS, "blob kind"),
      hash,
      offset: integerMax(CHUNK_BYTES_MAX, "offset"),
      encodings: integer,
    },
  ],
  data: [
    12,
    {
      request: integer,
      encoding: word(integer, ENCODINGS, "encoding"),
      total: integerMax(CHUNK_BYTES_MAX, "answer size"),
      payload: restMax(DATA_BYTES_MAX, "data size"),
    },
  ],
  refuse: [14, { request: integer, reason: word(integer, REASONS, "reason", "other") }],
  cancel: [16, { request: integer }],
  bye: [18, { reason: text((reader) => reader.textMax(BYE_BYTES_MAX, "reason")) }],
  rendition: [
    20,
    {
      release,
      stream: text(readStream),
      epoch: integer,
      rendition: text((reader) => readUrlPath(reader, "rendition")),
      sharing,
    },
  ],
  fetching: [1, positions],
  pointer: [3, envelope(POINTER_BYTES_MAX, "pointer")],
  ticket: [5, { ticket: restMax(TICKET_BYTES_MAX, "ticket") }],
  keys: [7, envelope(KEY_DOCUMENT_BYTES_MAX, "key document")],
  entry: [9, { entry: restMax(SEGMENT_ENTRY_BYTES_MAX, "entry size") }],
};

const fieldsOf = (type: Frame["type"]): readonly (readonly [string, Field<unknown>])[] => Object.entries(FRAMES[type][1]);
const NAMES = new Map(Object.entries(FRAMES).map(([name, [kind]]) => [kind, name as Frame["type"]]));

/** The highest version that both sides speak. */
export function commonVersion(hello: Hello, ownMin: number, ownMax: number): number | undefined {
  const version = Math.min(hello.version_max, ownMax);
  return version >= Math.max(hello.version_min, ownMin) ? version : undefined;
}

/** The bit of an encoding in {@link Request.encodings}. */
export function encodingBit(encoding: Encoding): number {
  return 1 << ENCODINGS.indexOf(encoding);
}

/** Room for type and length, at their longest. */
const NO_HEAD = new Uint8Array(5);

/**
 * The bytes of an own frame; one that is over a limit is a fault of the caller (`RangeError`). `laterBytes` more belong to
 * it, which the caller sends after these.
 */
export function encodeFrame(frame: Frame, laterBytes = 0): Uint8Array<ArrayBuffer> {
  // The head says how long the body is and stands before it, so it has room left there: a payload is copied once.
  const out = new Writer(frame.type === "data" ? frame.payload.length + 32 : 64).raw(NO_HEAD);
  for (const [name, field] of fieldsOf(frame.type)) field.write(out, frame[name as keyof Frame]);
  const bytes = out.finish();
  const length = bytes.length - NO_HEAD.length + laterBytes;
  if (length > FRAME_BYTES_MAX) throw new RangeError("own frames stay within the limit");
  const head = new Writer().varint(FRAMES[frame.type][0]).varint(length).finish();
  const start = NO_HEAD.length - head.length;
  bytes.set(head, start);
  return bytes.subarray(start);
}

/**
 * Reads one frame off the front of `bytes`; `undefined` when more bytes are needed. Payloads are views of `bytes`. Throws
 * {@link FrameError} when what is there can never become a good frame.
 *
 * Where `isEager`, Data needs no more than its head: its payload is what is there of it, and `length` that of all of it.
 */
export function decodeFrame(bytes: Uint8Array, isEager = false): Decoded | undefined {
  const head = readHead(bytes);
  if (head === undefined) return undefined;
  const { kind, start, end } = head;
  const name = NAMES.get(kind);
  if (name === undefined && kind % 2 === 0) throw new FrameError("unknown-critical", String(kind), kind);
  const isCut = end > bytes.length;
  if (isCut && !(isEager && name === "data")) return undefined;
  if (name === undefined) return { frame: { type: "skipped", kind }, length: end };
  try {
    const reader = new Reader(bytes.subarray(start, end));
    const frame = readBody(name, reader);
    reader.finish();
    return { frame, length: end };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (isCut && error.code === "truncated") return undefined;
    throw new FrameError(error.code, error.subject, kind);
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
  const frame = Object.fromEntries([["type", type], ...fieldsOf(type).map(([name, { read }]) => [name, read(reader)])]) as Frame;
  if (frame.type === "hello") {
    // A later version may add fields: what follows is theirs.
    reader.rest();
    if (frame.version_min > frame.version_max) throw new WireError("invalid", "version range");
  }
  if (frame.type === "data" && frame.payload.length > frame.total) throw new WireError("over-limit", "data size");
  return frame;
}
