//! Trackers, or the broker, that come and go.

use freshet_protocol::{Announce, PairOutcome};

use super::super::{SECOND_US, fetcher, seed};
use super::Trackers;

#[test]
fn a_lost_broker_leaves_links_and_local_pairs() {
    let mut trackers = Trackers::new(2);
    trackers.join(0, 1, fetcher(4));
    trackers.join(1, 2, seed(0));
    trackers.advance(SECOND_US);
    let pair = trackers.pairs()[0].pair;
    trackers.at(0, |world| world.outcome(1, pair, PairOutcome::Linked));
    trackers.advance(10_000);
    trackers.broker_down();
    for at in [0, 1] {
        let stats = trackers.stats(at);
        assert_eq!((stats.pairs_linked, stats.remote_peers, stats.trackers), (1, 0, 0), "at {at}");
    }
    // Here and now, without a wait for those who are gone.
    trackers.join(0, 3, fetcher(4));
    assert_eq!(trackers.pairs().len(), 2);
    trackers.advance(60 * SECOND_US);
    assert_eq!(trackers.pairs(), [], "nobody of the other tracker is named");

    trackers.broker_up();
    trackers.advance(15 * SECOND_US);
    let across = trackers.pairs();
    assert_eq!(across.len(), 2, "peer 3 meets the seed: {across:?}");
    assert!(across.iter().all(|pair| [2, 3].contains(&pair.to)), "{across:?}");
}

#[test]
fn an_ask_that_the_broker_took_away_costs_no_time() {
    let mut trackers = Trackers::new(2);
    trackers.join(1, 2, seed(0));
    trackers.join(0, 3, seed(0));
    trackers.advance(SECOND_US);
    // The ask is on its way when the broker dies.
    trackers.join(0, 1, fetcher(4));
    assert_eq!(trackers.stats(0).pairs_across, 1);
    trackers.pairs();
    trackers.broker_down();
    assert_eq!(trackers.stats(0).pairs_across, 0);
    trackers.join(0, 4, fetcher(1));
    assert!(!trackers.pairs().is_empty());
}

#[test]
fn a_dead_tracker_is_left() {
    let mut trackers = Trackers::new(3);
    trackers.join(1, 2, seed(0));
    trackers.join(2, 3, seed(0));
    trackers.join(0, 9, fetcher(0));
    trackers.advance(SECOND_US);
    trackers.kill(1);
    trackers.at(0, |world| world.announce(9, fetcher(2)));
    trackers.advance(3 * SECOND_US);
    let pairs = trackers.pairs();
    assert!(pairs.iter().any(|pair| (pair.to, pair.other) == (9, 3)), "{pairs:?}");
    assert_eq!(trackers.stats(0).pairs_across, 1, "the ask to the dead one has ended");
    trackers.advance(60 * SECOND_US);
    assert_eq!(trackers.stats(0).trackers, 1);
    // Its client has come to another tracker meanwhile.
    trackers.join(2, 22, seed(0));
    trackers.advance(15 * SECOND_US);
    assert!(trackers.pairs().iter().any(|pair| (pair.to, pair.other) == (9, 22)));
}

/// Messages a second of two trackers with 1500 swarms each, while all is calm, and in the worst second after the broker has
/// come back.
#[test]
fn a_broker_that_comes_back_makes_no_storm() {
    const SWARMS: u64 = 1500;
    let mut trackers = Trackers::new(2);
    for at in 0..2 {
        for n in 0..SWARMS {
            let id = 1 + n * 2 + at;
            let content = format!("game/n{n}").parse().expect("name");
            trackers.at(at as usize, |world| {
                world.connect(id);
                world.announce(id, Announce { content, ..fetcher(0) });
            });
        }
    }
    let worst = |trackers: &mut Trackers, seconds: u64| {
        (0..seconds)
            .map(|_| {
                let before = trackers.sent;
                trackers.advance(SECOND_US);
                trackers.sent - before
            })
            .max()
            .unwrap_or_default()
    };
    trackers.advance(15 * SECOND_US);
    let calm = worst(&mut trackers, 15);
    trackers.broker_down();
    let alone = trackers.sent;
    trackers.advance(60 * SECOND_US);
    assert_eq!(trackers.sent, alone, "nothing is said to nobody");
    trackers.broker_up();
    let back = worst(&mut trackers, 30);
    // A hundred digests a second each, and the fifty that have been saved up.
    assert!(back <= 2 * (100 + 50 + 2), "{back}, calm {calm}");
    assert!(back <= 2 * calm, "{back}, calm {calm}");
    assert!((0..2).all(|at| trackers.stats(at).trackers == 1));
    // With more swarms than the pace allows to tell of in its interval, the last comes later.
    trackers.advance(90 * SECOND_US);
    let known: Vec<usize> = (0..2).map(|at| trackers.stats(at).remote_peers).collect();
    assert!(known.iter().all(|&known| known as u64 == SWARMS), "{known:?}");
}
