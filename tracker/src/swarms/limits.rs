//! Bounds of the pure part that are no knobs. Those that operators may turn are in [`super::Config`].

/// Most outputs that wait to be drained. A driver drains after each input; one that does not loses outputs, which the
/// clients recover from, and [`super::Stats::outputs_dropped`] counts them.
pub const OUTPUTS_MAX: usize = 1 << 16;
/// How long a pair that failed for the first time is not tried again, in microseconds.
pub(super) const PAIR_RETRY_FIRST_US: u64 = 5_000_000;
/// Most failed pairs remembered; the oldest is forgotten first.
pub const FAILED_PAIRS_MAX: usize = 1 << 16;
/// Most kinds of pairings whose outcomes are remembered; the one that came first is forgotten first.
pub const ODDS_MAX: usize = 4096;
/// Most failures of one client's pairings that count for such a kind until one of them has linked: one client alone must not
/// keep others apart.
pub(super) const CLIENT_FAILURES_MAX: u8 = 4;
/// Most signalling messages that one side of a pair may send to the other.
pub const PAIR_SIGNALS_MAX: u16 = 64;
/// Most peers looked at to choose partners for one; a larger swarm is sampled.
pub const SHORTLIST_MAX: usize = 64;
/// Most of the peers looked at that are there for sharing an area: as many for each of line, system and country.
pub(super) const SHORTLIST_NEAR_MAX: usize = 16;
/// One of so many links is chosen at random, to hold the swarm together: two of eight.
pub(super) const LINKS_PER_RANDOM: usize = 4;
/// Most draws for one random partner before the best one is taken instead.
pub(super) const RANDOM_DRAWS_MAX: usize = 16;
/// A peer with fewer links may take places that others keep for random links.
pub(super) const TOPPED_UP_LINKS: usize = 4;
/// Most releases of one content for which first copies are spread at a time.
pub const LEASED_RELEASES_MAX: usize = 8;
/// Most shards that one client may have on lease.
pub const CLIENT_LEASES_MAX: usize = 256;
/// Most clients for which a release remembers that they asked for more shards than they got.
pub const ASKS_MAX: usize = 1024;
/// Most clients that may hold a lease of the same shard.
pub(super) const LEASE_HOLDERS_MAX: usize = 2;
/// Most unasked Shards messages that one swarm sends in a sweep.
pub(super) const NOTICES_PER_SWEEP_MAX: usize = 512;
/// Time between two sweeps of one swarm, in microseconds.
pub(super) const NOTICE_SWEEP_US: u64 = 100_000;
/// Least time between two unasked Shards messages to one client, in microseconds.
pub(super) const NOTICE_INTERVAL_US: u64 = 1_000_000;
/// Least time between two looks at old leases for clients that wait, in microseconds.
pub(super) const ASK_SWEEP_US: u64 = 1_000_000;
/// Largest message between trackers of a cluster, in bytes.
pub const CLUSTER_MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Most other trackers of a cluster; further ones are not heard.
pub const CLUSTER_NODES_MAX: usize = 32;
/// Most peers in a digest.
pub const CARDS_MAX: usize = 16;
/// Most peers of other trackers that are known, over all swarms.
pub const REMOTE_CARDS_MAX: usize = 1 << 16;
/// Most releases of which a digest says which shards are taken.
pub const TAKEN_RELEASES_MAX: usize = 2;
/// Digests that a tracker sends a second in the long run, and at once.
pub(super) const DIGESTS_PER_S: u32 = 100;
pub(super) const DIGESTS_BURST: u32 = 50;
/// How soon others are told of news of a swarm, the least time between two digests of one, and how often there is one where
/// there is no news, in microseconds.
pub(super) const DIGEST_SOON_US: u64 = 50_000;
pub(super) const DIGEST_INTERVAL_MIN_US: u64 = 500_000;
pub(super) const DIGEST_INTERVAL_US: u64 = 10_000_000;
/// How long a digest counts that is not renewed, in microseconds. More swarms than the pace allows take longer to come round.
pub(super) const DIGEST_LIFE_US: u64 = 300_000_000;
/// Most waiting peers that are looked after when a digest comes.
pub(super) const DIGEST_TAKERS_MAX: usize = 16;
/// How often a tracker says that it is there, and the silence after which it is gone, in microseconds.
pub(super) const ALIVE_INTERVAL_US: u64 = 10_000_000;
pub(super) const NODE_SILENCE_US: u64 = 35_000_000;
/// Time over which all swarms are told to others when the broker answers, in microseconds.
pub(super) const REJOIN_SPREAD_US: u64 = 10_000_000;
/// How long another tracker may take to agree to a pair, in microseconds.
pub(super) const ASK_TIMEOUT_US: u64 = 2_000_000;
/// Most asks without an answer.
pub const PAIR_ASKS_MAX: usize = 1024;
/// How long shards are left to other trackers that have peers in the swarm when the first copies of a release begin, in
/// microseconds, unless they say themselves what they take.
pub(super) const PART_US: u64 = 3_000_000;
/// How long after its own part a tracker comes to the others', in microseconds: so that it has heard what is taken there.
pub(super) const UNITE_US: u64 = DIGEST_INTERVAL_MIN_US + 2 * DIGEST_SOON_US;
/// Most contents whose last pushed version is watched; the one that was pushed first is forgotten first.
pub const UPTAKES_MAX: usize = 256;
