//! Bounds of the pure part that are no knobs. Those that operators may turn are in [`super::Config`].

/// Most outputs that wait to be drained. A driver drains after each input; one that does not loses outputs, which the
/// clients recover from, and [`super::Stats::outputs_dropped`] counts them.
pub const OUTPUTS_MAX: usize = 1 << 16;
/// How long a pair that failed for the first time is not tried again, in microseconds.
pub(super) const PAIR_RETRY_FIRST_US: u64 = 5_000_000;
/// Most failed pairs remembered; the oldest is forgotten first.
pub const FAILED_PAIRS_MAX: usize = 1 << 16;
/// Most signalling messages that one side of a pair may send to the other.
pub const PAIR_SIGNALS_MAX: u16 = 64;
/// Most peers looked at to choose partners for one; a larger swarm is sampled.
pub const SHORTLIST_MAX: usize = 64;
/// Most of the peers looked at that are there for being near.
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
/// Most contents whose last pushed version is watched; the one that was pushed first is forgotten first.
pub const UPTAKES_MAX: usize = 256;
