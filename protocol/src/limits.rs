//! Every bound of the protocol, in one place.
//!
//! A limit here is normative (PROTOCOL.md 2): a peer, tracker or origin that sends more has misbehaved, and the
//! receiver refuses by name instead of growing. TypeScript reads the same numbers from `vectors/limits.json`.

/// Largest integer on the wire: what a JavaScript number holds exactly.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Largest plain chunk a release may contain, in bytes.
pub const CHUNK_BYTES_MAX: u32 = 2 << 20;
/// Most chunk positions in one release; keeps a have-map at 64 KiB.
pub const CHUNKS_MAX: u32 = 1 << 19;
/// Largest payload of a signed root, in bytes.
pub const ROOT_BYTES_MAX: usize = 64 << 10;
/// Largest plain manifest page, in bytes.
pub const PAGE_BYTES_MAX: usize = 256 << 10;
/// Most pages that a root may name; more would not fit its byte limit.
pub const PAGES_MAX: usize = 512;
/// Most entries (files, folders, links) in one page.
pub const PAGE_ENTRIES_MAX: usize = 16 << 10;
/// Most entries of a whole release, so that a signed but hostile manifest cannot fill memory.
pub const ENTRIES_MAX: usize = 4 << 20;
/// Most parts that a release may have.
pub const PARTS_MAX: usize = 64;
/// Largest payload of a channel pointer, in bytes.
pub const POINTER_BYTES_MAX: usize = 4 << 10;
/// Largest payload of a patch, in bytes.
pub const PATCH_BYTES_MAX: usize = 64 << 10;
/// Most patches that a channel pointer may name.
pub const PATCHES_MAX: usize = 16;
/// Most neighbouring chunks of an older release that one delta may need.
pub const DELTA_BASE_CHUNKS_MAX: u32 = 256;
/// Most bytes of an older release that one delta may need.
pub const DELTA_BASE_BYTES_MAX: u64 = 8 << 20;
/// Smallest chunk of a sealed release, in bytes; all of its chunks have one size, a power of two.
pub const SEALED_CHUNK_BYTES_MIN: u32 = 256 << 10;
/// Longest head of a sealed file, in bytes.
pub const SEALED_HEAD_BYTES_MAX: u64 = 256 << 20;
/// Longest item in such a head, in bytes: a page.
pub const SEALED_ITEM_BYTES_MAX: usize = PAGE_BYTES_MAX;
/// Largest payload of a tenant's key document, in bytes.
pub const KEY_DOCUMENT_BYTES_MAX: usize = 16 << 10;
/// Most keys in a key document.
pub const KEYS_MAX: usize = 64;
/// Most signatures in one envelope.
pub const SIGNATURES_MAX: usize = 8;
/// Most tracker or origin addresses in a pointer.
pub const URLS_MAX: usize = 8;
/// Longest address in a pointer, in bytes.
pub const URL_BYTES_MAX: usize = 256;
/// Longest time over which followers of a channel spread, in seconds.
pub const START_WINDOW_S_MAX: u32 = 7 * 24 * 3600;

/// Size of the pieces that segments of streams are cut into, in bytes; the last is what is left.
pub const PIECE_BYTES: u32 = 64 << 10;
/// Largest segment of a stream, in bytes.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Largest entry of a segment, in bytes.
pub const SEGMENT_ENTRY_BYTES_MAX: usize = 36 << 10;
/// Sequences that one page of entries is about.
pub const PAGE_SEQUENCES: u64 = 64;
/// Most entries in a page of entries: media, and the initialisations that it needs.
pub const ENTRY_PAGE_ENTRIES_MAX: usize = 128;
/// Largest page of entries, in bytes.
pub const ENTRY_PAGE_BYTES_MAX: usize = 5 << 20;
/// Largest entry that a tracker pushes, in bytes; larger ones are fetched.
pub const PUSHED_ENTRY_BYTES_MAX: usize = 8 << 10;
/// Most bytes in an entry that are for later versions.
pub const ENTRY_EXTENSION_BYTES_MAX: usize = 1024;

/// Longest path of a manifest entry, in bytes.
pub const PATH_BYTES_MAX: usize = 1024;
/// Longest single name within a path, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest content name, in bytes.
pub const CONTENT_BYTES_MAX: usize = 128;
/// Longest version or channel name, in bytes.
pub const VERSION_BYTES_MAX: usize = 64;

/// Longest body of one peer frame, in bytes.
pub const FRAME_BYTES_MAX: usize = (64 << 10) + 64;
/// Most payload in one Data frame on a QUIC stream, in bytes.
pub const DATA_BYTES_MAX: usize = 64 << 10;
/// Most payload in one Data frame on a WebRTC data channel, in bytes.
pub const DATA_CHANNEL_BYTES_MAX: usize = 16 << 10;
/// Most ranges in one Have or Fetching frame.
pub const HAVE_RANGES_MAX: usize = 1024;
/// Most releases that one link may name.
pub const LINK_RELEASES_MAX: usize = 16;
/// Most requests a peer may leave unanswered on one link.
pub const LINK_REQUESTS_MAX: usize = 64;
/// Longest agent name in a Hello, in bytes.
pub const AGENT_BYTES_MAX: usize = 64;
/// Longest reason in a Bye, in bytes.
pub const BYE_BYTES_MAX: usize = 128;
/// Longest signalling payload relayed between two peers, in bytes.
pub const SIGNAL_BYTES_MAX: usize = 4 << 10;
/// Most peers in one Peers frame.
pub const PEERS_MAX: usize = 16;
/// Largest ticket, in bytes.
pub const TICKET_BYTES_MAX: usize = 1024;
/// Most swarms in one ticket.
pub const TICKET_SWARMS_MAX: usize = 16;

/// Largest WebSocket message between client and tracker, in bytes.
pub const TRACKER_MESSAGE_BYTES_MAX: usize = 16 << 10;
/// Longest name of a host in a welcome, in bytes: the longest that DNS knows.
pub const HOST_BYTES_MAX: usize = 253;
/// Most candidate addresses in an announce or a pairing.
pub const ADDRESSES_MAX: usize = 8;
/// Most addresses in an announce as a STUN service sees them: one of IPv4, and one of IPv6.
pub const MAPPED_MAX: usize = 2;
/// A STUN service's word for an address, in bytes.
pub const ADDRESS_PROOF_BYTES: usize = 24;
/// Most addresses in an announce that a client has in its own network.
pub const LOCAL_MAX: usize = 2;
/// Most hashes of certificates in an announce or a pairing: the one in use and the next one.
pub const CERTIFICATES_MAX: usize = 2;
/// Most shards that a release is divided into for first copies.
pub const SHARDS_MAX: u32 = 4096;
/// Fewest chunk positions in a shard.
pub const SHARD_CHUNKS_MIN: u32 = 4;
/// Most shards asked for or granted in one message.
pub const SHARDS_PER_MESSAGE_MAX: usize = 256;
/// Most links a client may want from its tracker.
pub const LINKS_WANTED_MAX: u8 = 32;
/// Largest pack index of one page, in bytes.
pub const PACK_INDEX_BYTES_MAX: usize = 512 << 10;
/// Most packs that the index of one page may name.
pub const PACK_INDEX_PACKS_MAX: usize = 4096;
/// Least bytes that a client joins into one range of a pack, where so many neighbouring chunks are missing.
pub const RANGE_BYTES: u64 = 4 << 20;
