//! Each bound of the pure part is reached; what is beyond is refused by name.

use freshet_protocol::{Announce, ClientMessage};
use freshet_tracker::swarms::{Client, Config, Network, OUTPUTS_MAX, PAIR_SIGNALS_MAX, Refused};

use super::{World, address, fetcher, peer};

#[test]
fn clients() {
    let mut world = World::new(Config { clients_max: 2, ..Config::default() }, 1);
    let client = |n: u64| Client {
        peer: peer(n),
        key: freshet_protocol::KeyId::of(b"k"),
        address: address(n),
        network: Network::default(),
    };
    assert_eq!(world.swarms.connected(0, client(1)), Ok(()));
    assert_eq!(world.swarms.connected(0, client(1)), Err(Refused::InUse));
    assert_eq!(world.swarms.connected(0, client(2)), Ok(()));
    assert_eq!(world.swarms.connected(0, client(3)), Err(Refused::Full));
    world.disconnect(1);
    assert_eq!(world.swarms.connected(0, client(3)), Ok(()));
}

fn in_swarm(n: usize) -> Announce {
    Announce { content: format!("game/{n}").parse().expect("name"), ..fetcher(0) }
}

#[test]
fn swarms_of_a_client() {
    let mut world = World::new(Config { client_swarms_max: 3, ..Config::default() }, 1);
    world.connect(1);
    (0..3).for_each(|n| world.announce(1, in_swarm(n)));
    assert!(world.errors().is_empty());
    world.announce(1, in_swarm(3));
    assert_eq!(world.errors(), ["too-many-swarms"]);
    world.announce(1, in_swarm(2));
    world.say(1, ClientMessage::Leave { content: in_swarm(0).content });
    world.announce(1, in_swarm(3));
    assert!(world.errors().is_empty());
}

#[test]
fn swarms_of_a_tracker() {
    let mut world = World::new(Config { swarms_max: 2, ..Config::default() }, 1);
    (0..2).for_each(|n| world.join(n as u64, in_swarm(n)));
    world.join(9, in_swarm(9));
    assert_eq!(world.errors(), ["tracker-full"]);
    world.disconnect(0);
    world.announce(9, in_swarm(9));
    assert!(world.errors().is_empty());
}

#[test]
fn peers_of_a_swarm() {
    let mut world = World::new(Config { swarm_peers_max: 2, ..Config::default() }, 1);
    (1..=2).for_each(|n| world.join(n, fetcher(0)));
    world.join(3, fetcher(0));
    assert_eq!(world.errors(), ["swarm-full"]);
    world.announce(1, fetcher(0));
    assert!(world.errors().is_empty(), "who is in stays in");
}

#[test]
fn signals_of_a_pair() {
    let mut world = World::new(Config::default(), 1);
    world.join(1, fetcher(1));
    world.join(2, fetcher(0));
    let pair = world.pairs()[0].pair;
    let signal = || ClientMessage::Signal { pair, data: String::new() };
    (0..PAIR_SIGNALS_MAX).for_each(|_| world.say(1, signal()));
    assert!(world.errors().is_empty());
    world.say(1, signal());
    assert_eq!(world.errors(), ["too-many-signals"]);
    world.say(2, signal());
    assert!(world.errors().is_empty(), "the other side has a count of its own");
}

#[test]
fn outputs_that_nobody_drains() {
    let mut world = World::new(Config::default(), 1);
    world.connect(1);
    let lost = ClientMessage::Signal { pair: 0, data: String::new() };
    for _ in 0..OUTPUTS_MAX + 5 {
        world.swarms.message(0, peer(1), lost.clone());
    }
    assert_eq!(world.swarms.stats().outputs_dropped, 5);
}
