//! Who is paired with whom, and who is not.

use std::collections::BTreeSet;

use freshet_protocol::{
    Announce, Candidate, ClientMessage, HaveSummary, Locality, PairOutcome, RootId, ServerMessage, Transport,
};
use freshet_tracker::swarms::{Config, Network, Output, System};

use super::{SECOND_US, World, address, content, degrees, fetcher, leech, peer, root, seed};

/// Two peers announce one after the other; how many Pair messages each gets.
fn check(first: Announce, second: Announce, expected: usize) {
    let mut world = World::new(Config::default(), 1);
    let what = format!("{first:?} {second:?}");
    world.join(1, first);
    world.join(2, second);
    let pairs = world.pairs();
    assert_eq!(pairs.len(), expected * 2, "{what}");
    assert_eq!(pairs.iter().filter(|paired| paired.dial).count(), expected, "one side dials: {what}");
}

#[test]
fn a_pair_needs_one_that_shares_and_one_that_fetches() {
    let idle = || Announce { left_bytes: 0, ..leech(8) };
    let empty_seed = || Announce { have: HaveSummary::None, ..seed(8) };
    check(fetcher(8), fetcher(8), 1);
    check(seed(8), fetcher(8), 1);
    check(seed(8), leech(8), 1);
    check(fetcher(8), leech(8), 1);
    check(seed(8), seed(8), 0);
    check(leech(8), leech(8), 0);
    check(idle(), fetcher(8), 0);
    check(idle(), seed(8), 0);
    check(empty_seed(), fetcher(8), 0);
}

#[test]
fn another_release_helps_where_it_holds_something() {
    let other = |announce: Announce| Announce { root: RootId::of(b"older"), ..announce };
    check(other(seed(8)), fetcher(8), 1);
    check(other(fetcher(8)), fetcher(8), 0);
}

#[test]
fn a_partial_seed_helps_who_lacks_its_shards() {
    let holding = |byte: u8, announce: Announce| Announce {
        have: HaveSummary::Shards(freshet_protocol::Base64(vec![byte])),
        ..announce
    };
    check(holding(1, seed(8)), holding(2, leech(8)), 1);
    check(holding(1, seed(8)), holding(1, leech(8)), 0);
    check(holding(1, seed(8)), holding(3, leech(8)), 0);
}

#[test]
fn nobody_is_paired_unasked() {
    check(fetcher(0), fetcher(0), 0);
    check(fetcher(0), fetcher(1), 1);
    check(fetcher(1), fetcher(0), 1);
}

#[test]
fn who_cannot_link_is_not_paired() {
    let with = |transport, address: &str| Announce {
        candidates: vec![Candidate { transport, address: address.parse().expect("address") }],
        ..fetcher(8)
    };
    let own = "0.0.0.0:7";
    let foreign = "203.0.113.9:7";
    check(with(Transport::Quic, own), with(Transport::Quic, foreign), 1);
    check(with(Transport::Quic, foreign), with(Transport::Quic, foreign), 0);
    check(with(Transport::Quic, own), with(Transport::WebRtc, own), 0);
    check(with(Transport::WebRtc, "0.0.0.0:0"), with(Transport::WebRtc, "0.0.0.0:0"), 1);
}

#[test]
fn both_sides_hear_of_each_other_and_who_cannot_be_dialled_dials() {
    let mut world = World::new(Config::default(), 1);
    let hidden = Announce { candidates: Vec::new(), ..fetcher(8) };
    world.join(1, fetcher(8));
    world.join(2, hidden);
    let mut messages = Vec::new();
    for output in &world.outputs {
        if let Output::Send {
            client,
            message: ServerMessage::Pair { peer, candidates, dial, locality, .. },
        } = output
        {
            messages.push((client.get(), peer.get(), candidates.len(), *dial, *locality));
        }
    }
    messages.sort_unstable_by_key(|&(client, ..)| client);
    assert_eq!(messages, [(1, 2, 0, false, Locality::SameAs), (2, 1, 1, true, Locality::SameAs)]);
}

#[test]
fn a_ticket_comes_before_the_first_pair_and_again_at_half_its_life() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(8));
    world.outputs.clear();
    world.join(2, fetcher(8));
    assert!(matches!(world.outputs[0], Output::IssueTicket { client, .. } if client == peer(2)));
    world.outputs.clear();
    world.announce(2, fetcher(8));
    world.advance(299 * SECOND_US);
    let tickets = |world: &World| {
        world.outputs.iter().filter(|output| matches!(output, Output::IssueTicket { .. })).count()
    };
    assert_eq!(tickets(&world), 0);
    world.advance(2 * SECOND_US);
    assert_eq!(tickets(&world), 2);
    world.disconnect(1);
    world.say(2, ClientMessage::Leave { content: content() });
    world.outputs.clear();
    world.advance(900 * SECOND_US);
    assert_eq!(tickets(&world), 0, "who is in no swarm needs no ticket");
}

#[test]
fn pairs_are_given_once() {
    let mut world = World::new(Config::default(), 1);
    (1..=6).for_each(|n| world.join(n, fetcher(0)));
    world.outputs.clear();
    world.announce(1, fetcher(3));
    assert_eq!(degrees(&world.pairs())[&1], 3);
    world.announce(1, fetcher(3));
    assert_eq!(world.pairs(), [], "pairs without an outcome count as given");
    world.announce(1, fetcher(5));
    let more = world.pairs();
    assert_eq!(degrees(&more)[&1], 2);
    assert_eq!(world.swarms.stats().pairs_pending, 5);
}

#[test]
fn two_of_eight_links_are_random() {
    for seed_value in 0..20 {
        let mut world = World::new(Config::default(), seed_value);
        (1..=40).for_each(|n| world.join(n, fetcher(0)));
        world.outputs.clear();
        world.announce(1, fetcher(8));
        let mine: Vec<_> = world.pairs().into_iter().filter(|paired| paired.to == 1).collect();
        assert_eq!(mine.len(), 8);
        assert_eq!(mine.iter().filter(|paired| paired.random).count(), 2);
    }
}

#[test]
fn near_peers_come_first_and_random_ones_from_anywhere() {
    let mut world = World::new(Config::default(), 3);
    for n in 1..=200 {
        // Twenty lines of ten peers each.
        world.connect_from(n, address(n / 10));
        world.announce(n, fetcher(0));
    }
    world.connect_from(500, address(7));
    world.outputs.clear();
    world.announce(500, fetcher(8));
    let mine: Vec<_> = world.pairs().into_iter().filter(|paired| paired.to == 500).collect();
    let chosen: BTreeSet<_> = mine.iter().filter(|paired| !paired.random).map(|p| p.other / 10).collect();
    assert_eq!(chosen, BTreeSet::from([7]), "all that are not random share the line");
    assert_eq!(mine.iter().filter(|paired| paired.random).count(), 2);
}

#[test]
fn line_then_system_then_country() {
    // Of each sort fewer than the six links that are not random, and many more from elsewhere.
    let network = |n: u64| match n {
        1..=2 => (7, Some(1), b"KR"),
        3..=4 => (n + 1000, Some(1), b"KR"),
        5..=6 => (n + 1000, Some(2), b"KR"),
        _ => (n + 1000, Some(n as u32), b"JP"),
    };
    for seed_value in 0..20 {
        let mut world = World::new(Config::default(), seed_value);
        let connect = |world: &mut World, n: u64, (line, system, country): (u64, Option<u32>, &[u8; 2])| {
            let system = system.map(System::Autonomous);
            world.connect_in(n, address(line), Network { system, country: Some(*country) });
        };
        for n in 1..=300 {
            connect(&mut world, n, network(n));
            world.announce(n, fetcher(0));
        }
        connect(&mut world, 500, (7, Some(1), b"KR"));
        world.outputs.clear();
        world.announce(500, fetcher(8));
        let mine: Vec<_> = world.pairs().into_iter().filter(|paired| paired.to == 500).collect();
        let near = |wanted| mine.iter().filter(|p| p.locality == wanted && !p.random).count();
        let random = mine.iter().filter(|paired| paired.random).count();
        let found = [Locality::SameAddress, Locality::SameAs, Locality::SameCountry, Locality::Any].map(near);
        // What a random draw has taken of them is not taken twice.
        assert!(
            found[3] <= random && found.iter().sum::<usize>() == 6 && random == 2,
            "{seed_value}: {found:?}"
        );
    }
}

#[test]
fn kinds_that_never_link_are_hardly_tried() {
    let mut world = World::new(Config { pair_burst: 4096, ..Config::default() }, 5);
    let system = |n: u64| Network { system: Some(System::Autonomous((n % 2) as u32)), country: None };
    let mut failed = 0;
    for n in 1..=200 {
        world.connect_in(n, address(n), system(n));
        world.announce(n, fetcher(8));
        for paired in world.pairs().into_iter().filter(|paired| paired.to == n) {
            let is_across = paired.other % 2 != n % 2;
            failed += usize::from(is_across);
            world.outcome(n, paired.pair, if is_across { PairOutcome::Failed } else { PairOutcome::Linked });
        }
        world.outputs.clear();
    }
    assert_eq!(world.swarms.stats().kinds_hopeless, 1);
    // Without the odds it would be half of all pairings, a thousand times and more.
    assert!((17..300).contains(&failed), "{failed} tries across");
}

#[test]
fn one_client_alone_keeps_nobody_apart() {
    let mut world = World::new(Config { pair_burst: 4096, ..Config::default() }, 5);
    let system = |number| Network { system: Some(System::Autonomous(number)), country: None };
    (2..=100).for_each(|n| {
        world.connect_in(n, address(n), system(2));
        world.announce(n, fetcher(0));
    });
    world.connect_in(1, address(1), system(1));
    for _ in 0..20 {
        world.announce(1, fetcher(8));
        for paired in world.pairs().into_iter().filter(|paired| paired.to == 1) {
            world.outcome(1, paired.pair, PairOutcome::Failed);
        }
        world.outputs.clear();
        world.advance(10 * SECOND_US);
    }
    assert!(world.swarms.stats().pairs_failed_total > 50);
    assert_eq!(world.swarms.stats().kinds_hopeless, 0);
}

#[test]
fn load_comes_before_locality() {
    let mut world = World::new(Config::default(), 3);
    let busy = Announce { links: 12, ..fetcher(0) };
    world.connect_from(1, address(9));
    world.announce(1, busy);
    world.join(2, fetcher(0));
    world.connect_from(3, address(9));
    world.outputs.clear();
    world.announce(3, fetcher(1));
    assert_eq!(world.pairs().iter().find(|paired| paired.to == 3).map(|paired| paired.other), Some(2));
}

#[test]
fn small_groups_are_topped_up_with_whoever_is_there() {
    let mut world = World::new(Config::default(), 1);
    (1..=4).for_each(|n| world.join(n, Announce { root: RootId::of(b"older"), ..seed(0) }));
    (5..=6).for_each(|n| world.join(n, fetcher(0)));
    world.outputs.clear();
    world.join(7, fetcher(8));
    assert_eq!(degrees(&world.pairs())[&7], 6);
}

#[test]
fn wants_are_remembered_until_partners_come() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(3));
    world.join(2, seed(8));
    assert_eq!(world.pairs().len(), 2);
    (3..=4).for_each(|n| world.join(n, fetcher(0)));
    let degrees = degrees(&world.pairs());
    assert_eq!((degrees[&1], degrees[&2]), (2, 2), "who waited gets the new ones, unasked by those");
    world.join(5, fetcher(0));
    assert_eq!(world.pairs().iter().filter(|paired| paired.to == 1).count(), 0, "peer 1 has its three");
}

#[test]
fn nobody_has_more_links_than_the_bound() {
    let config = Config { links_max: 5, ..Config::default() };
    let mut world = World::new(config, 1);
    (1..=30).for_each(|n| world.join(n, fetcher(32)));
    let pairs = world.pairs();
    let degrees = degrees(&pairs);
    assert!(degrees.values().all(|&degree| degree <= 5), "{degrees:?}");
    assert!(degrees.values().filter(|&&degree| degree == 5).count() >= 25, "{degrees:?}");
    let unique: BTreeSet<_> = pairs.iter().map(|paired| (paired.to, paired.other)).collect();
    assert_eq!(unique.len(), pairs.len(), "no two are paired twice");
}

#[test]
fn links_that_the_tracker_does_not_know_count() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, Announce { links: 16, ..fetcher(8) });
    world.join(2, Announce { links: 8, ..fetcher(0) });
    world.join(3, fetcher(8));
    assert_eq!(
        world.pairs().iter().map(|p| (p.to, p.other)).collect::<BTreeSet<_>>(),
        [(2, 3), (3, 2)].into()
    );
}

#[test]
fn failed_pairs_are_replaced_and_not_repeated_for_a_while() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(1));
    world.join(2, fetcher(0));
    let pair = world.pairs()[0].pair;
    world.outcome(1, pair, PairOutcome::Failed);
    assert_eq!(world.pairs(), []);
    world.join(3, fetcher(0));
    assert_eq!(world.pairs().iter().find(|p| p.to == 1).map(|p| p.other), Some(3), "the want was remembered");
    world.announce(1, fetcher(2));
    assert_eq!(world.pairs(), [], "peer 2 has just failed");
    let mut waited = Vec::new();
    for _ in 0..6 {
        let mut seconds = 0;
        let again = loop {
            world.advance(SECOND_US);
            seconds += 1;
            world.announce(1, fetcher(2));
            if let Some(pair) = world.pairs().iter().find(|p| (p.to, p.other) == (1, 2)) {
                break pair.pair;
            }
        };
        waited.push(seconds);
        world.outcome(1, again, PairOutcome::Failed);
    }
    assert_eq!(waited, [5, 10, 20, 40, 80, 120], "it is tried again, and ever more rarely");
}

#[test]
fn a_pair_without_outcome_counts_as_failed() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(1));
    world.join(2, fetcher(0));
    world.pairs();
    world.advance(29 * SECOND_US);
    assert_eq!(world.swarms.stats().pairs_pending, 1);
    world.advance(2 * SECOND_US);
    let stats = world.swarms.stats();
    assert_eq!((stats.pairs_pending, stats.pairs_failed_total), (0, 1));
}

#[test]
fn a_link_stays_and_its_end_frees_the_place() {
    let config = Config { links_max: 1, ..Config::default() };
    let mut world = World::new(config, 1);
    world.join(1, fetcher(1));
    world.join(2, fetcher(1));
    let pair = world.pairs()[0].pair;
    world.outcome(1, pair, PairOutcome::Linked);
    world.outcome(2, pair, PairOutcome::Linked);
    world.advance(600 * SECOND_US);
    assert_eq!(world.swarms.stats().pairs_linked, 1);
    world.join(3, fetcher(1));
    assert_eq!(world.pairs(), [], "both are full");
    world.outcome(2, pair, PairOutcome::Closed);
    let pairs = world.pairs();
    assert_eq!(pairs.len(), 2, "the one who waits gets one of them");
    assert!(pairs.iter().any(|paired| paired.to == 3));
    world.outcome(1, pair, PairOutcome::Closed);
    assert_eq!(world.pairs(), [], "the later report of the same end changes nothing");
}

#[test]
fn who_leaves_is_not_offered_any_more() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(0));
    world.join(2, fetcher(0));
    world.say(1, ClientMessage::Leave { content: content() });
    world.disconnect(2);
    world.join(3, fetcher(8));
    assert_eq!(world.pairs(), []);
    let stats = world.swarms.stats();
    assert_eq!((stats.clients, stats.swarms, stats.peers), (2, 1, 1));
}

#[test]
fn nobody_collects_addresses_by_failing() {
    let mut world = World::new(Config::default(), 1);
    (2..=300).for_each(|n| world.join(n, fetcher(0)));
    world.connect(1);
    world.outputs.clear();
    world.announce(1, fetcher(16));
    let mut seen = BTreeSet::new();
    loop {
        let pairs: Vec<_> = world.pairs().into_iter().filter(|paired| paired.to == 1).collect();
        if pairs.is_empty() {
            break;
        }
        for paired in pairs {
            seen.insert(paired.other);
            world.say(1, ClientMessage::Paired { pair: paired.pair, outcome: PairOutcome::Failed });
        }
    }
    assert_eq!(seen.len(), 64, "the burst, until time has passed");
    world.advance(10 * SECOND_US);
    world.announce(1, fetcher(16));
    assert_eq!(world.pairs().iter().filter(|paired| paired.to == 1).count(), 10, "one more a second");
}

#[test]
fn signals_go_to_the_other_side_of_a_pair_only() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(1));
    world.join(2, fetcher(0));
    world.join(3, fetcher(0));
    let pair = world.pairs()[0].pair;
    let signal = |pair| ClientMessage::Signal { pair, data: "offer".to_owned() };
    world.say(1, signal(pair));
    let relayed =
        Output::Send { client: peer(2), message: ServerMessage::Signal { pair, data: "offer".to_owned() } };
    assert_eq!(std::mem::take(&mut world.outputs), [relayed]);
    world.say(3, signal(pair));
    assert_eq!(world.errors(), ["unknown-pair"], "not a side of the pair");
    world.outcome(1, pair, PairOutcome::Linked);
    world.say(2, signal(pair));
    assert_eq!(world.outputs.len(), 1, "a link may be signalled about too");
    world.outcome(1, pair, PairOutcome::Closed);
    world.outputs.clear();
    world.say(2, signal(pair));
    assert_eq!(world.errors(), ["unknown-pair"], "the pair is gone");
}

#[test]
fn the_same_key_is_not_paired_with_itself() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(8));
    let twin = freshet_tracker::swarms::Client {
        peer: peer(2),
        key: freshet_protocol::KeyId::of(&1u64.to_be_bytes()),
        address: address(1),
        network: freshet_tracker::swarms::Network::default(),
    };
    world.swarms.connected(world.now_us, twin).expect("there is room");
    world.announce(2, Announce { root: root(), ..fetcher(8) });
    assert_eq!(world.pairs(), []);
}
