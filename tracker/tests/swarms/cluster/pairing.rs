//! Peers of different trackers.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::{ClientMessage, PairOutcome, ServerMessage};
use freshet_tracker::swarms::{
    CLUSTER_NODES_MAX, ClusterMessage, Config, Digest, NodeId, Output, PAIR_ASKS_MAX, REMOTE_CARDS_MAX, To,
};

use super::super::{SECOND_US, World, degrees, fetcher, seed};
use super::{Trackers, ask};

/// Two trackers with a peer each, and the pair's number once they are paired.
fn two() -> (Trackers, u64) {
    let mut trackers = Trackers::new(2);
    trackers.join(0, 1, fetcher(4));
    trackers.join(1, 2, seed(0));
    trackers.advance(SECOND_US);
    let pairs = trackers.pairs();
    assert_eq!(pairs.len(), 2, "{pairs:?}");
    assert_eq!(pairs[0].pair, pairs[1].pair);
    assert_eq!((pairs[0].to, pairs[0].other, pairs[1].to, pairs[1].other), (1, 2, 2, 1));
    assert!(pairs[0].dial != pairs[1].dial);
    (trackers, pairs[0].pair)
}

#[test]
fn peers_of_two_trackers_meet_within_a_second() {
    let (trackers, _) = two();
    for at in [0, 1] {
        let stats = trackers.stats(at);
        assert_eq!((stats.pairs_across, stats.pairs_across_total, stats.trackers), (1, 1, 1));
    }
}

#[test]
fn both_trackers_hear_how_it_ends() {
    let check = |outcomes: &[(usize, PairOutcome)], linked: usize, left: usize, failed: u64| {
        let (mut trackers, pair) = two();
        for &(at, outcome) in outcomes {
            trackers.at(at, |world| world.outcome(at as u64 + 1, pair, outcome));
            trackers.advance(10_000);
        }
        for at in [0, 1] {
            let stats = trackers.stats(at);
            let found = (stats.pairs_linked, stats.pairs_across, stats.pairs_failed_total);
            assert_eq!(found, (linked, left, failed), "{outcomes:?} at {at}");
        }
    };
    use PairOutcome::{Closed, Failed, Linked};
    check(&[(0, Linked)], 1, 1, 0);
    check(&[(1, Linked)], 1, 1, 0);
    check(&[(0, Linked), (1, Linked)], 1, 1, 0);
    check(&[(0, Failed)], 0, 0, 1);
    check(&[(1, Linked), (0, Closed)], 0, 0, 0);
}

#[test]
fn who_leaves_is_gone_everywhere() {
    let (mut trackers, _) = two();
    trackers.at(1, |world| world.disconnect(2));
    trackers.advance(10_000);
    assert_eq!([0, 1].map(|at| trackers.stats(at).pairs_across), [0, 0]);
    assert_eq!(trackers.stats(0).remote_peers, 0, "a swarm without peers is told");
}

#[test]
fn signalling_passes_between_trackers_and_is_bounded() {
    let (mut trackers, pair) = two();
    let signal = |data: &str| ClientMessage::Signal { pair, data: data.to_owned() };
    trackers.at(0, |world| world.say(1, signal("offer")));
    trackers.advance(10_000);
    let heard = |world: &World| {
        let is_signal =
            |output: &&Output| matches!(output, Output::Send { message: ServerMessage::Signal { .. }, .. });
        world.outputs.iter().filter(is_signal).count()
    };
    let expected = ServerMessage::Signal { pair, data: "offer".to_owned() };
    let message = Output::Send { client: super::peer(2), message: expected };
    assert!(trackers.worlds[1].outputs.contains(&message));
    for _ in 0..100 {
        trackers.at(0, |world| world.say(1, signal("more")));
    }
    trackers.advance(10_000);
    assert_eq!(heard(&trackers.worlds[1]), 64);
    assert!(trackers.worlds[0].errors().contains(&"too-many-signals".to_owned()));
}

#[test]
fn own_clients_come_first() {
    let mut trackers = Trackers::new(2);
    (10..30).for_each(|n| trackers.join(1, n, fetcher(0)));
    (1..4).for_each(|n| trackers.join(0, n, fetcher(0)));
    trackers.advance(SECOND_US);
    assert_eq!(trackers.pairs(), []);
    trackers.at(0, |world| world.announce(1, fetcher(3)));
    trackers.advance(SECOND_US);
    let others: Vec<u64> = trackers.pairs().iter().filter(|p| p.to == 1).map(|p| p.other).collect();
    assert_eq!(others.len(), 3);
    assert_eq!(others.iter().filter(|&&other| other < 10).count(), 2, "{others:?}");
}

#[test]
fn those_who_want_each_other_are_paired_once() {
    for count in 1..6 {
        let mut trackers = Trackers::new(3);
        for n in 0..3 * count {
            trackers.join(n as usize % 3, 1 + n, fetcher(8));
        }
        trackers.advance(30 * SECOND_US);
        let pairs = trackers.pairs();
        let mut seen = BTreeMap::new();
        for pair in &pairs {
            let key = (pair.to.min(pair.other), pair.to.max(pair.other));
            seen.entry(key).or_insert_with(Vec::new).push(pair);
        }
        for sides in seen.values() {
            assert_eq!(sides.len(), 2, "{sides:?}");
            assert_eq!(sides[0].pair, sides[1].pair);
            assert!(sides[0].dial != sides[1].dial);
        }
        // So few that all of them want all others.
        if count <= 3 {
            let all = 3 * count * (3 * count - 1) / 2;
            assert_eq!(seen.len() as u64, all, "of {} peers", 3 * count);
        }
    }
}

#[test]
fn a_key_that_comes_back_by_another_tracker_is_not_paired_with_itself() {
    let mut trackers = Trackers::new(2);
    trackers.join(0, 1, fetcher(4));
    // The same key under another peer id, as after a reconnect.
    let client = freshet_tracker::swarms::Client {
        peer: super::peer(2),
        key: freshet_protocol::KeyId::of(&1_u64.to_be_bytes()),
        address: super::super::address(1),
        network: freshet_tracker::swarms::Network::default(),
    };
    let now_us = trackers.now_us;
    trackers.at(1, |world| {
        world.swarms.connected(now_us, client).expect("there is room");
        world.announce(2, fetcher(4));
    });
    trackers.advance(30 * SECOND_US);
    assert_eq!(trackers.pairs(), []);
}

#[test]
fn large_swarms_hold_together_by_random_links() {
    const EACH: u64 = 60;
    let mut trackers = Trackers::new(3);
    for n in 0..3 * EACH {
        trackers.join(n as usize % 3, 1 + n, fetcher(8));
        trackers.advance(50_000);
    }
    trackers.advance(20 * SECOND_US);
    let pairs = trackers.pairs();
    let tracker_of = |n: u64| (n - 1) % 3;
    let across = pairs.iter().filter(|pair| tracker_of(pair.to) != tracker_of(pair.other)).count();
    assert!(across * 20 > pairs.len(), "{across} of {}", pairs.len());
    assert!(across * 2 < pairs.len(), "{across} of {}", pairs.len());
    let max = degrees(&pairs).into_values().max();
    assert!(max <= Some(16), "{max:?}");
    // All in one piece.
    let (mut reached, mut next) = (BTreeSet::from([1]), vec![1]);
    while let Some(n) = next.pop() {
        for pair in pairs.iter().filter(|pair| pair.to == n) {
            if reached.insert(pair.other) {
                next.push(pair.other);
            }
        }
    }
    assert_eq!(reached.len() as u64, 3 * EACH);
}

#[test]
fn what_is_asked_for_can_be_refused() {
    let mut world = World::new(Config { links_max: 4, ..Config::default() }, 0);
    world.swarms.cluster_up(world.now_us, NodeId(1));
    world.join(7, fetcher(0));
    let answer = |world: &mut World, message: ClusterMessage| {
        world.outputs.clear();
        world.swarms.cluster_message(world.now_us, NodeId(99), message);
        world.drain();
        world.outputs.iter().find_map(|output| match output {
            Output::Cluster { to: To::Node(NodeId(99)), message: ClusterMessage::Grant { .. } } => Some(true),
            Output::Cluster { to: To::Node(NodeId(99)), message: ClusterMessage::Deny { .. } } => Some(false),
            _ => None,
        })
    };
    assert_eq!(answer(&mut world, ask(100, 1, 8)), Some(false), "it is not here");
    assert_eq!(answer(&mut world, ask(100, 1, 7)), Some(true));
    assert_eq!(answer(&mut world, ask(101, 1, 7)), Some(false), "they are paired");
    assert_eq!(answer(&mut world, ask(100, 2, 7)), Some(false), "the number is taken");
    for n in 2..5 {
        assert_eq!(answer(&mut world, ask(100 + n, n, 7)), Some(true), "{n}");
    }
    assert_eq!(answer(&mut world, ask(105, 5, 7)), Some(false), "it is full");
}

#[test]
fn nobody_can_speak_about_pairs_of_others() {
    let (mut trackers, pair) = two();
    let now_us = trackers.now_us;
    let stranger = NodeId(77);
    trackers.at(0, |world| {
        world.swarms.cluster_message(now_us, stranger, ClusterMessage::Alive);
        world.drain();
        world.outputs.clear();
        for message in [
            ClusterMessage::Outcome { pair, outcome: freshet_tracker::swarms::Outcome::Closed },
            ClusterMessage::Deny { pair },
            ClusterMessage::Signal { pair, data: "offer".to_owned() },
        ] {
            world.swarms.cluster_message(now_us, stranger, message);
        }
        world.drain();
        assert_eq!(world.outputs, []);
    });
    assert_eq!(trackers.stats(0).pairs_across, 1);
}

#[test]
fn memory_of_others_is_bounded() {
    let mut world = World::new(Config::default(), 0);
    world.swarms.cluster_up(world.now_us, NodeId(1));
    world.join(7, fetcher(0));
    for node in 0..CLUSTER_NODES_MAX as u64 + 5 {
        world.swarms.cluster_message(world.now_us, NodeId(100 + node), ClusterMessage::Alive);
    }
    assert_eq!(world.swarms.stats().trackers, CLUSTER_NODES_MAX);

    // As many cards as there may be, 512 of one swarm: each of its 32 trackers tells of 16 peers.
    let ClusterMessage::Ask { asker, .. } = ask(1, 1, 2) else { panic!("not an ask") };
    let card = serde_json::to_value(&asker).expect("JSON");
    let cards: Vec<_> = (0..16_u64)
        .map(|n| {
            let mut card = card.clone();
            card["peer"] = (1000 + n).into();
            serde_json::from_value(card).expect("a card")
        })
        .collect();
    let contents = REMOTE_CARDS_MAX / 512 + 1;
    for number in 0..contents as u64 {
        let content: freshet_protocol::ContentName = format!("game/n{number}").parse().expect("name");
        world.connect(10_000 + number);
        world
            .announce(10_000 + number, freshet_protocol::Announce { content: content.clone(), ..fetcher(0) });
        for node in 0..CLUSTER_NODES_MAX as u64 {
            let digest = Digest {
                content: content.clone(),
                open: 16,
                jobs: 16,
                cards: cards.clone(),
                taken: Vec::new(),
            };
            world.swarms.cluster_message(world.now_us, NodeId(100 + node), ClusterMessage::Digest(digest));
        }
    }
    assert_eq!(world.swarms.stats().remote_peers, REMOTE_CARDS_MAX);
    world.swarms.cluster_message(world.now_us, NodeId(100), ClusterMessage::Bye);
    assert_eq!(world.swarms.stats().remote_peers, REMOTE_CARDS_MAX - 16 * (contents - 1));
    world.swarms.cluster_down(world.now_us);
    assert_eq!((world.swarms.stats().remote_peers, world.swarms.stats().trackers), (0, 0));
}

#[test]
fn asks_without_an_answer_are_bounded() {
    let mut world = World::new(Config::default(), 0);
    world.swarms.cluster_up(world.now_us, NodeId(1));
    let ClusterMessage::Ask { asker, .. } = ask(1, 1, 2) else { panic!("not an ask") };
    let card = serde_json::to_value(&asker).expect("JSON");
    let mut asks = 0;
    for number in 0..PAIR_ASKS_MAX as u64 + 10 {
        let content: freshet_protocol::ContentName = format!("game/n{number}").parse().expect("name");
        world.connect(10_000 + number);
        world
            .announce(10_000 + number, freshet_protocol::Announce { content: content.clone(), ..fetcher(1) });
        let mut card = card.clone();
        card["peer"] = (1000 + number).into();
        let cards = vec![serde_json::from_value(card).expect("a card")];
        let digest = Digest { content, open: 1, jobs: 1, cards, taken: Vec::new() };
        world.swarms.cluster_message(world.now_us, NodeId(100), ClusterMessage::Digest(digest));
        world.drain();
        let is_ask =
            |output: &&Output| matches!(output, Output::Cluster { message: ClusterMessage::Ask { .. }, .. });
        asks += world.outputs.iter().filter(is_ask).count();
        world.outputs.clear();
    }
    assert_eq!(asks, PAIR_ASKS_MAX);
    // Nobody answers: all of them end.
    world.advance(3 * SECOND_US);
    assert_eq!(world.swarms.stats().pairs_across, 0);
}
