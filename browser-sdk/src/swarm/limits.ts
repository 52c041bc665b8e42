/** Every bound and time of the core: the numbers of `swarm/src/limits.rs`. Times are in microseconds. */
import { LINK_REQUESTS_MAX } from "../protocol/limits.ts";

/** Most links that a core uses; more are refused by `drop-link`. */
export const LINKS_MAX = 32;
/** Fewest requests outstanding on a link that has something to give. */
export const DEPTH_MIN = 2;
/** Most requests outstanding on a link. */
export const DEPTH_MAX = 32;
/** Time beyond the round trip that requests in flight should cover. */
export const DEPTH_COVER_US = 20_000;
/** Most own fetches from the origin at a time. */
export const FETCHES_MAX = 6;
/** Most requests of peers that wait on one link. */
export const ASKED_PER_LINK_MAX = LINK_REQUESTS_MAX;
/** Fewest chunks handed out at the same time. */
export const SLOTS_MIN = 2;
/** Most chunks handed out at the same time. */
export const SLOTS_MAX = 32;
/** Time of upload beyond the round trip that the slots should cover. */
export const SLOT_COVER_US = 100_000;
/** Time between two looks at stalls, the line and late requests. */
export const TICK_US = 100_000;
/** Least time between two announcements of what is held. */
export const ANNOUNCE_US = 100_000;
/** A job without progress for this long goes to the origin at once. */
export const STALL_US = 2_000_000;
/** How long the first decision waits for the tracker's word. */
export const TRACKER_WAIT_US = 500_000;
/** How long a job without a useful link waits before it fetches on its own. */
export const LONELY_US = 1_000_000;
/** How long a link that stalled or trickled rests; doubles each time in a row. */
export const REST_US = 3_000_000;
/** How often that doubles. */
export const REST_DOUBLINGS_MAX = 5;
/** A request that takes so many times what the median link needs, and has less than half of its bytes, is given up. */
export const TRICKLE_FACTOR = 4;
/** No request is given up for slowness before this age. */
export const TRICKLE_US_MIN = 3_000_000;
/** How long a busy peer is left alone. */
export const BUSY_US = 200_000;
/** Time between two questions to the tracker when it had nothing to give. */
export const ASK_AGAIN_US = 2_000_000;
/** Time after which unreported shards are reported. */
export const REPORT_US = 500_000;
/** First pause after a failed origin fetch; doubles up to {@link ORIGIN_REST_MAX_US}. */
export const ORIGIN_REST_US = 500_000;
/** Longest pause after a failed origin fetch. */
export const ORIGIN_REST_MAX_US = 15_000_000;
/** Longest pause that an origin may ask for; up to as long again is added. */
export const ORIGIN_WAIT_MAX_US = 300_000_000;
/** Most candidates that one pick compares. */
export const PICK_CANDIDATES_MAX = 1024;
/** Most words (of 64 positions) of a have-map that one pick looks at. */
export const PICK_WORDS_MAX = 1024;
/** Most granted positions kept, in ranges. */
export const LEASED_RANGES_MAX = 512;
/** Most bytes of a job fetched twice at its end, in thousandths of its size. */
export const DUPLICATES_PERMILLE = 15;
/** A request is late when it is older than this many times what another link needs. */
export const LATE_FACTOR = 2;
/** No request is late before this age. */
export const LATE_US_MIN = 300_000;
/** Smallest run of an origin fetch while peers are about, in bytes. */
export const RUN_BYTES_MIN = 512 << 10;
/** Smallest run of an origin fetch when little is missing, in bytes. */
export const RUN_BYTES_END = 256 << 10;
/** Time of the origin's rate that one run covers while peers are about. */
export const RUN_COVER_US = 250_000;
/** Time of the origin's rate that is kept in flight. */
export const ORIGIN_COVER_US = 200_000;
/** Least bytes in flight below which a further origin fetch starts, while peers are about. */
export const ORIGIN_FLIGHT_MIN = 128 << 10;
/** Most bytes in flight from the origin. */
export const ORIGIN_FLIGHT_MAX = 16 << 20;
/** Most positions remembered as corrupted by peers. */
export const CORRUPT_MAX = 1024;
/** How much longer a peer waits for each thousandth of the release that it is ahead of the slowest that waits. */
export const AHEAD_US = 25_000;
/** How much longer a request waits for each time that its chunk was handed out, so that the swarm has all of it soon. */
export const GIVEN_US = 500_000;
/** Most that a request waits longer for both; below {@link STALL_US}, or peers ahead of the others call the origin. */
export const HANDICAP_US_MAX = 1_900_000;
/** Who is ahead of its neighbours by so many thousandths of the release leaves the origin to others. */
export const SHARE_EVEN_PERMILLE = 50;
/** Time between two looks at stalls and deadlines of a stream. */
export const MEDIA_TICK_US = 50_000;
/** Most segments of a stream that are known at a time. */
export const SEGMENTS_MAX = 1024;
/** Most pieces of a segment; positions of segments are so far apart. */
export const PIECES_MAX = 1024;
/** How long a stream waits for its first link before it goes to the origin. */
export const JOIN_US = 150_000;
/** How long a new link's peer may be about to say what it has. */
export const SILENT_US = 150_000;
/** Time for one neighbour to see that another one fetches a segment. */
export const TURN_US = 150_000;
/** What an origin fetch is ahead of its deadline, beside half of the time that it needs. */
export const DEADLINE_MARGIN_US = 200_000;
/** How long peers that bring nothing are waited for when the origin would be late already. */
export const TRY_US = 100_000;
/** How long peers that bring something are waited for then. */
export const LATE_TRY_US_MAX = 150_000;
/** Time to the first byte from an origin that was not asked yet. */
export const ORIGIN_FIRST_BYTE_US = 100_000;
/** Rate of a link that has brought nothing yet, for comparing links, in bytes a second. */
export const UNKNOWN_BYTES_S = 1_000_000;
