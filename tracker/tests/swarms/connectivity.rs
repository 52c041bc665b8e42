//! A swarm stays in one piece, also where locality pulls it apart and half of it leaves.

use std::collections::{BTreeMap, BTreeSet};

use freshet_tracker::swarms::Config;

use super::{Paired, SECOND_US, World, address, fetcher};

const PEERS: u64 = 500;
const SEEDS: u64 = 100;

/// 500 peers of 25 lines come one after the other and want eight links each.
fn crowd(seed_value: u64) -> (World, BTreeSet<(u64, u64)>) {
    let mut world = World::new(Config::default(), seed_value);
    for n in 1..=PEERS {
        world.connect_from(n, address(n % 25));
        world.announce(n, fetcher(8));
        world.now_us += SECOND_US / 100;
    }
    let links = edges(&world.pairs());
    (world, links)
}

fn edges(pairs: &[Paired]) -> BTreeSet<(u64, u64)> {
    pairs.iter().map(|paired| (paired.to, paired.other)).collect()
}

fn is_one_piece(peers: &[u64], edges: &BTreeSet<(u64, u64)>) -> bool {
    let mut neighbours: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    edges.iter().for_each(|&(from, to)| neighbours.entry(from).or_default().push(to));
    let mut reached = BTreeSet::from([peers[0]]);
    let mut frontier = vec![peers[0]];
    while let Some(next) = frontier.pop() {
        for &neighbour in neighbours.get(&next).into_iter().flatten() {
            if reached.insert(neighbour) {
                frontier.push(neighbour);
            }
        }
    }
    peers.iter().all(|peer| reached.contains(peer))
}

#[test]
fn five_hundred_peers_with_eight_links_are_one_piece() {
    let mut whole = 0;
    for seed_value in 0..SEEDS {
        let (_, edges) = crowd(seed_value);
        whole += u64::from(is_one_piece(&(1..=PEERS).collect::<Vec<_>>(), &edges));
    }
    assert!(whole * 100 >= SEEDS * 99, "{whole} of {SEEDS} seeds");
}

#[test]
fn they_still_are_when_half_of_them_leave_at_once() {
    let crowds: Vec<_> = (0..20).map(|seed_value| crowd(seed_value).1).collect();
    let check = |what: &str, stays: &dyn Fn(u64) -> bool| {
        let peers: Vec<_> = (1..=PEERS).filter(|&n| stays(n)).collect();
        let left = |edges: &BTreeSet<(u64, u64)>| -> BTreeSet<_> {
            edges.iter().filter(|&&(from, to)| stays(from) && stays(to)).copied().collect()
        };
        let whole = crowds.iter().filter(|edges| is_one_piece(&peers, &left(edges))).count();
        assert!(whole >= 19, "{what}: {whole} of 20 swarms");
    };
    check("every second stays", &|n| n % 2 == 0);
    check("every second age stays", &|n| ((n - 1) / 25) % 2 == 0);
    check("every second line stays", &|n| (n % 25) % 2 == 0);
    check("the younger half stays", &|n| n > PEERS / 2);
    check("the older half stays", &|n| n <= PEERS / 2);
}
