/**
 * Every bound of the protocol, in one place: the numbers of `protocol/src/limits.rs`, compared with them through
 * `vectors/limits.json`. A peer, tracker or origin that sends more has misbehaved and is refused by name.
 */

/** Largest integer on the wire: what a number holds exactly. */
export const INTEGER_MAX = Number.MAX_SAFE_INTEGER;

/** Largest plain chunk a release may contain, in bytes. */
export const CHUNK_BYTES_MAX = 2 << 20;
/** Most chunk positions in one release; keeps a have-map at 64 KiB. */
export const CHUNKS_MAX = 1 << 19;
/** Largest payload of a signed root, in bytes. */
export const ROOT_BYTES_MAX = 64 << 10;
/** Largest plain manifest page, in bytes. */
export const PAGE_BYTES_MAX = 256 << 10;
/** Most pages that a root may name; more would not fit its byte limit. */
export const PAGES_MAX = 512;
/** Most entries (files, folders, links) in one page. */
export const PAGE_ENTRIES_MAX = 16 << 10;
/** Most entries of a whole release, so that a signed but hostile manifest cannot fill memory. */
export const ENTRIES_MAX = 4 << 20;
/** Most parts that a release may have. */
export const PARTS_MAX = 64;
/** Largest payload of a channel pointer, in bytes. */
export const POINTER_BYTES_MAX = 4 << 10;
/** Largest payload of a patch, in bytes. */
export const PATCH_BYTES_MAX = 64 << 10;
/** Most patches that a channel pointer may name. */
export const PATCHES_MAX = 16;
/** Most neighbouring chunks of an older release that one delta may need. */
export const DELTA_BASE_CHUNKS_MAX = 256;
/** Most bytes of an older release that one delta may need. */
export const DELTA_BASE_BYTES_MAX = 8 << 20;
/** Smallest chunk of a sealed release, in bytes. */
export const SEALED_CHUNK_BYTES_MIN = 256 << 10;
/** Longest head of a sealed file, in bytes. */
export const SEALED_HEAD_BYTES_MAX = 256 << 20;
/** Longest item in such a head, in bytes. */
export const SEALED_ITEM_BYTES_MAX = PAGE_BYTES_MAX;
/** Largest payload of a tenant's key document, in bytes. */
export const KEY_DOCUMENT_BYTES_MAX = 16 << 10;
/** Most keys in a key document. */
export const KEYS_MAX = 64;
/** Most signatures in one envelope. */
export const SIGNATURES_MAX = 8;
/** Most tracker or origin addresses in a pointer. */
export const URLS_MAX = 8;
/** Longest address in a pointer, in bytes. */
export const URL_BYTES_MAX = 256;
/** Longest time over which followers of a channel spread, in seconds. */
export const START_WINDOW_S_MAX = 7 * 24 * 3600;

/** Size of the pieces that segments of streams are cut into, in bytes; the last is what is left. */
export const PIECE_BYTES = 64 << 10;
/** Largest segment of a stream, in bytes. */
export const SEGMENT_BYTES_MAX = 64 << 20;
/** Largest entry of a segment, in bytes. */
export const SEGMENT_ENTRY_BYTES_MAX = 36 << 10;
/** Sequences that one page of entries is about. */
export const PAGE_SEQUENCES = 64;
/** Most entries in a page of entries: media, and the initialisations that it needs. */
export const ENTRY_PAGE_ENTRIES_MAX = 128;
/** Largest page of entries, in bytes. */
export const ENTRY_PAGE_BYTES_MAX = 5 << 20;
/** Largest entry that a tracker pushes, in bytes; larger ones are fetched. */
export const PUSHED_ENTRY_BYTES_MAX = 8 << 10;
/** Most bytes in an entry that are for later versions. */
export const ENTRY_EXTENSION_BYTES_MAX = 1024;

/** Longest path of a manifest entry, in bytes. */
export const PATH_BYTES_MAX = 1024;
/** Longest single name within a path, in bytes. */
export const NAME_BYTES_MAX = 255;
/** Longest content name, in bytes. */
export const CONTENT_BYTES_MAX = 128;
/** Longest version or channel name, in bytes. */
export const VERSION_BYTES_MAX = 64;

/** Longest body of one peer frame, in bytes. */
export const FRAME_BYTES_MAX = (64 << 10) + 64;
/** Most payload in one Data frame on a QUIC stream, in bytes. */
export const DATA_BYTES_MAX = 64 << 10;
/** Most payload in one Data frame on a WebRTC data channel, in bytes. */
export const DATA_CHANNEL_BYTES_MAX = 16 << 10;
/** Most ranges in one Have or Fetching frame. */
export const HAVE_RANGES_MAX = 1024;
/** Most releases that one link may name. */
export const LINK_RELEASES_MAX = 16;
/** Most requests a peer may leave unanswered on one link. */
export const LINK_REQUESTS_MAX = 64;
/** Longest agent name in a Hello, in bytes. */
export const AGENT_BYTES_MAX = 64;
/** Longest reason in a Bye, in bytes. */
export const BYE_BYTES_MAX = 128;
/** Longest signalling payload relayed between two peers, in bytes. */
export const SIGNAL_BYTES_MAX = 4 << 10;
/** Most peers in one Peers frame. */
export const PEERS_MAX = 16;
/** Largest ticket, in bytes. */
export const TICKET_BYTES_MAX = 1024;
/** Most swarms in one ticket. */
export const TICKET_SWARMS_MAX = 16;

/** Largest WebSocket message between client and tracker, in bytes. */
export const TRACKER_MESSAGE_BYTES_MAX = 16 << 10;
/** Longest name of a host in a welcome, in bytes: the longest that DNS knows. */
export const HOST_BYTES_MAX = 253;
/** Most candidate addresses in an announce or a pairing. */
export const ADDRESSES_MAX = 8;
/** Most addresses in an announce as a STUN service sees them: one of IPv4, and one of IPv6. */
export const MAPPED_MAX = 2;
/** A STUN service's word for an address, in bytes. */
export const ADDRESS_PROOF_BYTES = 24;
/** Most addresses in an announce that a client has in its own network. */
export const LOCAL_MAX = 2;
/** Most hashes of certificates in an announce or a pairing: the one in use and the next one. */
export const CERTIFICATES_MAX = 2;
/** Most shards that a release is divided into for first copies. */
export const SHARDS_MAX = 4096;
/** Fewest chunk positions in a shard. */
export const SHARD_CHUNKS_MIN = 4;
/** Most shards asked for or granted in one message. */
export const SHARDS_PER_MESSAGE_MAX = 256;
/** Most links a client may want from its tracker. */
export const LINKS_WANTED_MAX = 32;
/** Largest pack index of one page, in bytes. */
export const PACK_INDEX_BYTES_MAX = 512 << 10;
/** Most packs that the index of one page may name. */
export const PACK_INDEX_PACKS_MAX = 4096;
/** Least bytes that a client joins into one range of a pack, where so many neighbouring chunks are missing. */
export const RANGE_BYTES = 4 << 20;
