//! First copies: every shard once, none lost with a client, nobody takes all.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::{Announce, Base64, ClientMessage, HaveSummary, RootId};
use freshet_tracker::swarms::{CLIENT_LEASES_MAX, Config, LEASED_RELEASES_MAX};

use super::{SECOND_US, World, content, fetcher, leech, root, seed};

/// `count` fetchers of a release of `shards` shards.
fn fetchers(count: u64, shards: u32, seed_value: u64) -> World {
    let mut world = World::new(Config::default(), seed_value);
    (1..=count).for_each(|n| world.join(n, of_shards(shards, fetcher(0))));
    world
}

fn of_shards(shards: u32, announce: Announce) -> Announce {
    Announce { chunks: shards * 4, ..announce }
}

#[test]
fn twenty_clients_in_any_order_cover_all_shards_exactly_once() {
    for order in 0..10u64 {
        let mut world = fetchers(20, 400, order);
        let mut granted: BTreeMap<u32, u64> = BTreeMap::new();
        let mut turn = order;
        while granted.len() < 400 {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let client = 1 + (turn >> 33) % 20;
            for shard in world.lease(client, 8, &[]) {
                let other = granted.insert(shard, client);
                assert_eq!(other, None, "shard {shard} went to {client} too (order {order})");
            }
        }
        assert!((1..=20).all(|client| world.lease(client, 8, &[]).is_empty()), "nothing is left");
    }
}

#[test]
fn clients_get_long_runs_far_apart() {
    let mut world = fetchers(8, 512, 1);
    let mut shards: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for _ in 0..64 {
        for client in 1..=8 {
            shards.entry(client).or_default().extend(world.lease(client, 1, &[]));
        }
    }
    let runs: usize = shards
        .values()
        .map(|shards| shards.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() + 1)
        .sum();
    assert_eq!(shards.values().map(Vec::len).sum::<usize>(), 512);
    assert!(runs <= 16, "{runs} runs for 8 clients: {shards:?}");
}

#[test]
fn nobody_gets_more_than_its_fair_share() {
    let check = |clients, shards, want, expected| {
        let mut world = fetchers(clients, shards, 1);
        assert_eq!(
            world.lease(1, want, &[]).len(),
            expected,
            "{clients} clients, {shards} shards, want {want}"
        );
    };
    check(20, 400, 256, 20);
    check(20, 401, 256, 21);
    check(20, 400, 7, 7);
    check(20, 10, 256, 1);
    check(1, 400, 256, 256);
    check(1, 400, 0, 0);
    check(1, 0, 256, 0);
}

#[test]
fn one_client_holds_a_bounded_number() {
    let mut world = fetchers(1, 1000, 1);
    let first = world.lease(1, 256, &[]);
    assert_eq!(first.len(), CLIENT_LEASES_MAX);
    assert!(world.lease(1, 256, &[]).is_empty());
    assert_eq!(world.lease(1, 256, &first[..3]).len(), 3, "what is done makes room");
}

#[test]
fn what_is_held_is_not_leased() {
    let mut world = fetchers(2, 16, 1);
    world.announce(2, of_shards(16, Announce { have: shards_of(&[0xff, 0x0f]), ..fetcher(0) }));
    let granted: BTreeSet<_> = (0..20).flat_map(|n| world.lease(1 + n % 2, 1, &[])).collect();
    assert_eq!(granted, (12..16).collect());
    world.join(3, of_shards(16, seed(0)));
    assert_eq!(world.swarms.stats().leases, 0, "a whole copy is there");
    world.outputs.clear();
    world.disconnect(3);
    let told: Vec<_> =
        world.shards().into_iter().map(|(client, granted, _)| (client, granted.len())).collect();
    assert_eq!(told, [(1, 1), (2, 1)], "it left, and both had asked in vain for one more");
    assert_eq!(world.lease(1, 16, &[]).len(), 1, "a fair share of what is left");
}

#[test]
fn only_who_fetches_and_shares_spreads_first_copies() {
    let check = |announce: Announce, expected: usize| {
        let mut world = World::new(Config::default(), 1);
        world.join(1, announce);
        assert_eq!(world.lease(1, 4, &[]).len(), expected);
    };
    check(fetcher(0), 4);
    check(leech(0), 0);
    check(Announce { have: HaveSummary::None, ..seed(0) }, 0);
    check(Announce { root: RootId::of(b"other"), ..fetcher(0) }, 0);
    let mut world = World::new(Config::default(), 1);
    world.connect(1);
    assert!(world.lease(1, 4, &[]).is_empty(), "answered also before the first announce");
}

#[test]
fn a_dead_holders_leases_return_and_those_who_wait_hear_of_it() {
    let mut world = fetchers(2, 8, 1);
    let first = world.lease(1, 8, &[]);
    let second: BTreeSet<_> = (0..8).flat_map(|_| world.lease(2, 8, &[])).collect();
    assert_eq!((first.len(), second.len()), (4, 4));
    assert!(world.lease(2, 2, &[]).is_empty());
    world.outputs.clear();
    world.disconnect(1);
    let (client, granted, jobs) = world.shards().remove(0);
    assert_eq!((client, granted.len(), jobs), (2, 2, 1));
    assert!(granted.iter().all(|shard| first.contains(shard)));
    assert_eq!(world.lease(2, 8, &[]).len(), 2, "the rest for who asks again");
}

#[test]
fn a_shard_whose_only_holder_leaves_is_free_again() {
    let mut world = fetchers(2, 8, 1);
    let first = world.lease(1, 8, &[]);
    assert!(world.lease(1, 0, &first).is_empty());
    world.disconnect(1);
    let all: BTreeSet<_> = world.lease(2, 8, &[]).into_iter().collect();
    assert_eq!(all.len(), 8);
}

#[test]
fn old_leases_go_to_a_second_client_and_no_third() {
    let mut world = fetchers(3, 3, 1);
    let slow = world.lease(1, 1, &[]);
    let others: Vec<_> = [2, 3].into_iter().flat_map(|n| world.lease(n, 1, &[])).collect();
    world.advance(4 * SECOND_US);
    assert!(world.lease(2, 1, &others[..1]).is_empty(), "not old yet");
    world.advance(9 * SECOND_US);
    // One lease was done in 4 s, so a lease is old after 12 s.
    let again = world.lease(2, 1, &[]);
    assert_eq!(again.len(), 1);
    let third = world.lease(3, 1, &[]);
    assert!(world.lease(3, 1, &[]).is_empty());
    assert_eq!(world.lease(1, 1, &[]).len(), usize::from(again == slow), "never its own, never to a third");
    assert!(again != third);
}

#[test]
fn who_waits_gets_old_leases_without_asking_again() {
    let mut world = fetchers(2, 1, 1);
    assert_eq!(world.lease(1, 1, &[]), [0]);
    assert!(world.lease(2, 1, &[]).is_empty());
    world.outputs.clear();
    world.advance(6 * SECOND_US);
    assert_eq!(world.shards(), [(2, vec![0], 2)]);
}

#[test]
fn a_silent_client_loses_its_leases() {
    let mut world = fetchers(2, 4, 1);
    let first = world.lease(1, 4, &[]);
    assert_eq!(first.len(), 2);
    world.advance(40 * SECOND_US);
    world.announce(1, of_shards(4, fetcher(0)));
    world.advance(40 * SECOND_US);
    assert_eq!(world.swarms.stats().leases, 2, "an announce is a sign of life");
    world.advance(6 * SECOND_US);
    assert_eq!(world.swarms.stats().leases, 0);
}

#[test]
fn clients_hear_when_the_number_of_jobs_changes_by_a_tenth() {
    let mut world = fetchers(20, 400, 1);
    (1..=20).for_each(|n| drop(world.lease(n, 1, &[])));
    world.advance(2 * SECOND_US);
    world.outputs.clear();
    world.join(21, fetcher(0));
    world.join(22, fetcher(0));
    world.advance(2 * SECOND_US);
    assert_eq!(world.shards(), [], "a tenth is not more than a tenth");
    world.join(23, fetcher(0));
    world.advance(2 * SECOND_US);
    let told: BTreeSet<_> = world.shards().into_iter().map(|(client, _, jobs)| (client, jobs)).collect();
    assert_eq!(told, (1..=20).map(|n| (n, 23)).collect());
}

#[test]
fn a_client_hears_of_jobs_at_most_once_a_second() {
    let mut world = fetchers(1, 400, 1);
    world.lease(1, 1, &[]);
    world.outputs.clear();
    for n in 2..200 {
        world.join(n, fetcher(0));
        world.advance(SECOND_US / 20);
    }
    let told = world.shards().len();
    assert!((5..=10).contains(&told), "{told} messages in ten seconds");
}

#[test]
fn the_budget_and_the_release_are_named() {
    let config = Config { origin_budget_bytes_s: Some(5_000_000), ..Config::default() };
    let mut world = World::new(config, 1);
    world.join(1, fetcher(0));
    world.lease(1, 1, &[]);
    let expected = freshet_protocol::ServerMessage::Shards {
        content: content(),
        root: root(),
        granted: vec![0],
        active_jobs: 1,
        origin_budget_bytes_s: Some(5_000_000),
    };
    assert!(world.outputs.iter().any(|output| matches!(
        output,
        freshet_tracker::swarms::Output::Send { message, .. } if *message == expected
    )));
}

#[test]
fn too_many_releases_leave_first_copies_to_the_largest() {
    let mut world = World::new(Config::default(), 1);
    let release = |n: u64| RootId::of(&n.to_be_bytes());
    let lease = |world: &mut World, n: u64, root: RootId| {
        world.outputs.clear();
        world.say(n, ClientMessage::Lease { content: content(), root, want: 1, done: Vec::new() });
        world.shards().remove(0).1.len()
    };
    for n in 1..=LEASED_RELEASES_MAX as u64 {
        world.join(n, Announce { root: release(n), ..fetcher(0) });
        assert_eq!(lease(&mut world, n, release(n)), 1);
    }
    world.join(100, Announce { root: release(100), ..fetcher(0) });
    assert_eq!(lease(&mut world, 100, release(100)), 0, "no larger than the others");
    world.join(101, Announce { root: release(100), ..fetcher(0) });
    assert_eq!(lease(&mut world, 100, release(100)), 1, "larger than one of the others");
}

fn shards_of(bits: &[u8]) -> HaveSummary {
    HaveSummary::Shards(Base64(bits.to_vec()))
}
