//! Every bound and time of the core. Times are in microseconds.

/// Most links that a core uses; more are refused by `DropLink`.
pub const LINKS_MAX: usize = 32;
/// Fewest requests outstanding on a link that has something to give.
pub const DEPTH_MIN: u32 = 2;
/// Most requests outstanding on a link.
pub const DEPTH_MAX: u32 = 32;
/// Time beyond the round trip that requests in flight should cover.
pub const DEPTH_COVER_US: u64 = 20_000;
/// Most own fetches from the origin at a time.
pub const FETCHES_MAX: usize = 6;
/// Most requests of peers that wait on one link.
pub const ASKED_PER_LINK_MAX: usize = freshet_protocol::limits::LINK_REQUESTS_MAX;
/// Fewest chunks handed out at the same time.
pub const SLOTS_MIN: u32 = 2;
/// Most chunks handed out at the same time.
pub const SLOTS_MAX: u32 = 32;
/// Time of upload beyond the round trip that the slots should cover.
pub const SLOT_COVER_US: u64 = 100_000;
/// Time between two looks at stalls, the line and late requests.
pub const TICK_US: u64 = 100_000;
/// Least time between two announcements of what is held.
pub const ANNOUNCE_US: u64 = 100_000;
/// A job without progress for this long goes to the origin at once.
pub const STALL_US: u64 = 2_000_000;
/// How long the first decision waits for the tracker's word.
pub const TRACKER_WAIT_US: u64 = 500_000;
/// How long a job without a useful link waits before it fetches on its own.
pub const LONELY_US: u64 = 1_000_000;
/// How long a link that stalled or trickled rests; doubles each time in a row.
pub const REST_US: u64 = 3_000_000;
/// How often that doubles.
pub const REST_DOUBLINGS_MAX: u32 = 5;
/// A request that takes so many times what the median link needs, and has less than half of its bytes, is given up.
pub const TRICKLE_FACTOR: u64 = 4;
/// No request is given up for slowness before this age.
pub const TRICKLE_US_MIN: u64 = 3_000_000;
/// How long a busy peer is left alone.
pub const BUSY_US: u64 = 200_000;
/// Time between two questions to the tracker when it had nothing to give.
pub const ASK_AGAIN_US: u64 = 2_000_000;
/// Time after which unreported shards are reported.
pub const REPORT_US: u64 = 500_000;
/// First pause after a failed origin fetch; doubles up to [`ORIGIN_REST_MAX_US`].
pub const ORIGIN_REST_US: u64 = 500_000;
/// Longest pause after a failed origin fetch.
pub const ORIGIN_REST_MAX_US: u64 = 15_000_000;
/// Longest pause that an origin may ask for; up to as long again is added.
pub const ORIGIN_WAIT_MAX_US: u64 = 300_000_000;
/// Most candidates that one pick compares.
pub const PICK_CANDIDATES_MAX: u32 = 1024;
/// Most words of a have-map that one pick looks at.
pub const PICK_WORDS_MAX: u32 = 1024;
/// Most granted positions kept, in ranges.
pub const LEASED_RANGES_MAX: usize = 512;
/// Most bytes of a job fetched twice at its end, in thousandths of its size.
pub const DUPLICATES_PERMILLE: u64 = 15;
/// A request is late when it is older than this many times what another link needs.
pub const LATE_FACTOR: u64 = 2;
/// No request is late before this age.
pub const LATE_US_MIN: u64 = 300_000;
/// Smallest run of an origin fetch while peers are about, in bytes.
pub const RUN_BYTES_MIN: u64 = 512 << 10;
/// Smallest run of an origin fetch when little is missing, in bytes.
pub const RUN_BYTES_END: u64 = 256 << 10;
/// Time of the origin's rate that one run covers while peers are about.
pub const RUN_COVER_US: u64 = 250_000;
/// Time of the origin's rate that is kept in flight.
pub const ORIGIN_COVER_US: u64 = 200_000;
/// Least bytes in flight below which a further origin fetch starts, while peers are about.
pub const ORIGIN_FLIGHT_MIN: u64 = 128 << 10;
/// Most bytes in flight from the origin.
pub const ORIGIN_FLIGHT_MAX: u64 = 16 << 20;
/// Most positions remembered as corrupted by peers.
pub const CORRUPT_MAX: usize = 1024;
/// How much longer a peer waits for each thousandth of the release that it is ahead of the slowest that waits.
pub const AHEAD_US: u64 = 25_000;
/// How much longer a request waits for each time that its chunk was handed out, so that the swarm has all of it soon.
pub const GIVEN_US: u64 = 500_000;
/// Most that a request waits longer for both; below [`STALL_US`], or peers ahead of the others would call the origin.
pub const HANDICAP_US_MAX: u64 = 1_900_000;
/// Who is ahead of its neighbours by so many thousandths of the release leaves the origin to others.
pub const SHARE_EVEN_PERMILLE: i64 = 50;

/// Time between two looks at stalls and deadlines of a stream.
pub const MEDIA_TICK_US: u64 = 50_000;
/// Most segments of a stream that are known at a time.
pub const SEGMENTS_MAX: usize = 1024;
/// Most pieces of a segment; positions of segments are so far apart.
pub const PIECES_MAX: u32 = 1024;
/// How long a stream waits for its first link before it goes to the origin.
pub const JOIN_US: u64 = 150_000;
/// How long a new link's peer may be about to say what it has.
pub const SILENT_US: u64 = 150_000;
/// Time for one neighbour to see that another one fetches a segment.
pub const TURN_US: u64 = 150_000;
/// What an origin fetch is ahead of its deadline, beside half of the time that it needs.
pub const DEADLINE_MARGIN_US: u64 = 200_000;
/// How long peers that bring nothing are waited for when the origin would be late already.
pub const TRY_US: u64 = 100_000;
/// How long peers that bring something are waited for then.
pub const LATE_TRY_US_MAX: u64 = 150_000;
/// Time to the first byte from an origin that was not asked yet.
pub const ORIGIN_FIRST_BYTE_US: u64 = 100_000;
/// Rate of a link that has brought nothing yet, for comparing links, in bytes a second.
pub const UNKNOWN_BYTES_S: u64 = 1_000_000;
