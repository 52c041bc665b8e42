/** Freshet in the browser. Today: the twin of the native `protocol` crate; no clock, randomness, IO or timers in it. */

// Faults: every refusal of remote input is a ProtocolError with a `code` out of a closed set.
/** Base of all refusals of remote input. */
export { ProtocolError } from "./protocol/error.ts";
/** Bytes of a binary form that were refused. */
export { WireError, type WireCode } from "./protocol/wire.ts";

// Names, ids and keys.
/** Hashes, ids and names, and how they are read. */
export {
  hashOf,
  IdError,
  parseContentName,
  parseHash,
  parseName,
  parsePeerId,
  peerIdText,
  swarmOfContent,
  tenantOf,
  type ChunkId,
  type ContentName,
  type Hash,
  type IdCode,
  type KeyId,
  type Name,
  type PageId,
  type PeerId,
  type RootId,
  type SwarmId,
} from "./protocol/id.ts";
/** Ed25519 keys, and signatures by WebCrypto. */
export { keyId, KeyError, parsePublicKey, SigningKey, verify, type KeyCode, type PublicKey } from "./protocol/key.ts";
/** Chunks that match their id. */
export { Mismatch, VerifiedChunk } from "./protocol/chunk.ts";
/** Paths inside a release. */
export {
  checkLinkTarget,
  folded,
  parentsOf,
  parsePath,
  PathError,
  type PathCode,
  type RelPath,
} from "./protocol/path.ts";

// Signed documents.
/** Reasons for which any signed document may be refused. */
export type { DocumentCode } from "./protocol/document.ts";
/** Roots of releases. */
export {
  openRoot,
  openRootAs,
  RootError,
  type Chunker,
  type PageRef,
  type Root,
  type RootCode,
} from "./protocol/manifest/root.ts";
/** Manifest pages. */
export {
  chunksOf,
  decodePage,
  encodePage,
  openPage,
  PageError,
  type ChunkRef,
  type Entry,
  type FilePart,
  type Page,
  type PageCode,
} from "./protocol/manifest/page.ts";
/** Channel pointers. */
export { checkCurrent, openPointer, PointerError, type Pointer, type PointerCode } from "./protocol/pointer.ts";
/** Key documents of tenants. */
export {
  keysFor,
  KeyDocumentError,
  openKeyDocument,
  type Grant,
  type KeyDocument,
  type Role,
} from "./protocol/key_document.ts";
/** Entries of streams. */
export {
  contradicts,
  openSegment,
  pieceBytes,
  SegmentError,
  type SegmentCode,
  type SegmentEntry,
  type SegmentKind,
  type SegmentPlace,
} from "./protocol/segment.ts";
/** Where chunks lie in the origin's packs. */
export { decodePackIndex, parsePackId, type PackId, type PackIndex, type Place } from "./protocol/pack_index.ts";

// Links between peers.
/** Tickets, and what the peers of a link sign. */
export {
  checkTicket,
  openTicket,
  proofMessage,
  RIGHT_RECEIVE,
  RIGHT_SEND,
  TicketError,
  type LinkBinding,
  type Nonces,
  type Side,
  type Ticket,
  type TicketCode,
  type TicketUse,
} from "./protocol/ticket.ts";
/** Frames of the peer protocol. */
export {
  commonVersion,
  decodeFrame,
  encodeFrame,
  encodingBit,
  FrameError,
  PEER_VERSION,
  type BlobKind,
  type Data,
  type Decoded,
  type Encoding,
  type Frame,
  type FrameCode,
  type Hello,
  type RefuseReason,
  type Release,
  type Request,
  type Skipped,
} from "./protocol/frame.ts";
/** Ranges of chunk positions. */
export { rangesOf, type Range } from "./protocol/ranges.ts";
/** Shards of a release. */
export { ShardMap } from "./protocol/shard.ts";

// Trackers.
/** Messages between a client and its tracker. */
export {
  decodeClientMessage,
  decodeServerMessage,
  encodeClientMessage,
  encodeServerMessage,
  TRACKER_VERSION,
  trackerProofMessage,
  TrackerMessageError,
  type Announce,
  type Candidate,
  type ClientMessage,
  type HaveSummary,
  type ServerMessage,
  type TrackerMessageCode,
  type Transport,
} from "./protocol/tracker.ts";
/** IP addresses with ports. */
export { parseSocketAddress, type SocketAddress } from "./protocol/socket_address.ts";
