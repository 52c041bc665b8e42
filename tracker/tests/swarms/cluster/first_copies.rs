//! First copies that are spread by several trackers.

use std::collections::BTreeSet;

use freshet_protocol::ClientMessage;

use super::super::{SECOND_US, World, content, fetcher, root};
use super::Trackers;

/// Shards of the release.
const SHARDS: u32 = 400;
const PEERS: u64 = 8;

/// Shards granted to peers that each hold what they were granted `fetch_us` later, at so many trackers. Every peer asks for
/// eight at a time.
fn granted(trackers: usize, fetch_us: u64) -> u32 {
    let mut cluster = Trackers::new(trackers);
    for n in 0..PEERS * trackers as u64 {
        cluster.join(n as usize % trackers, 1 + n, fetcher(0));
    }
    cluster.advance(SECOND_US);
    let (mut count, mut seen) = (0, BTreeSet::new());
    let mut fetching: Vec<Vec<u32>> = vec![Vec::new(); (PEERS * trackers as u64) as usize];
    for _ in 0..200 {
        for n in 0..fetching.len() {
            let done = std::mem::take(&mut fetching[n]);
            let ask = ClientMessage::Lease { content: content(), root: root(), want: 8, done };
            cluster.at(n % trackers, |world| world.say(1 + n as u64, ask));
            for (client, granted, _) in cluster.worlds.iter_mut().flat_map(World::shards) {
                count += granted.len() as u32;
                seen.extend(granted.iter().copied());
                fetching[client as usize - 1].extend(granted);
            }
        }
        cluster.advance(fetch_us);
    }
    assert_eq!(seen.len() as u32, SHARDS, "every shard was granted");
    count
}

#[test]
fn copies_do_not_grow_with_the_number_of_trackers() {
    let check = |trackers, fetch_us, at_most: u32| {
        let found = granted(trackers, fetch_us);
        assert!(found <= at_most, "{trackers} trackers, {fetch_us} us: {found} of {SHARDS}");
    };
    check(1, 500_000, SHARDS);
    check(2, 500_000, SHARDS * 103 / 100);
    check(3, 500_000, SHARDS * 103 / 100);
    // An origin that is faster than the trackers are with their news.
    check(3, 50_000, SHARDS * 115 / 100);
}

#[test]
fn what_a_tracker_had_is_free_when_it_is_gone() {
    let mut cluster = Trackers::new(2);
    cluster.join(0, 1, fetcher(0));
    cluster.join(1, 2, fetcher(0));
    cluster.advance(SECOND_US);
    let theirs = cluster.at(1, |world| world.lease(2, 8, &[]));
    assert_eq!(theirs.len(), 8);
    cluster.advance(SECOND_US);
    let mut own = BTreeSet::new();
    for _ in 0..20 {
        let done: Vec<u32> = own.iter().copied().collect();
        let done = done[done.len().saturating_sub(256)..].to_vec();
        let ask = ClientMessage::Lease { content: content(), root: root(), want: 64, done };
        cluster.at(0, |world| world.say(1, ask));
        cluster.advance(SECOND_US);
        own.extend(cluster.at(0, World::shards).into_iter().flat_map(|(_, granted, _)| granted));
    }
    assert_eq!(own.len() as u32, SHARDS - 8, "all but those");
    cluster.kill(1);
    cluster.advance(60 * SECOND_US);
    assert_eq!(cluster.at(0, |world| world.lease(1, 64, &[])), theirs);
}
