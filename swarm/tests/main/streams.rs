//! What an audience gets of a stream: most bytes from each other, nothing wrong, no standstill.

use freshet_swarm::{OriginReason, Policy};

use crate::audience::{Audience, Show};

const SECOND_US: u64 = 1_000_000;

/// Watches, and says what came of it in one line.
fn watch(show: &Show) -> (Audience, String) {
    let audience = Audience::watch(show.clone());
    let viewed = audience.viewed();
    let stalls: u32 = viewed.iter().map(|viewed| viewed.stalls).sum();
    let startups: Vec<u64> = viewed.iter().map(|viewed| viewed.startup_us / 1000).collect();
    let reasons = OriginReason::ALL.map(|reason| {
        let bytes: u64 =
            (0..show.viewers).map(|n| audience.core(n).totals().origin_bytes[reason as usize]).sum();
        format!("{} {}", reason.name(), bytes / 375_000)
    });
    let waste: u64 = (0..show.viewers).map(|n| audience.core(n).totals().waste_bytes).sum();
    let line = format!(
        "offload {} of 1000, {stalls} stalls, startup {startups:?} ms, waste {waste}, {}",
        audience.offload_permille(),
        reasons.join(" "),
    );
    (audience, line)
}

fn check(show: &Show, offload_permille: u64) -> Audience {
    let (audience, line) = watch(show);
    assert!(audience.offload_permille() >= offload_permille, "{line}");
    for viewed in audience.viewed() {
        assert!(viewed.is_finished && viewed.stalls == 0, "{viewed:?} {line}");
    }
    audience
}

#[test]
fn one_after_another() {
    check(&Show::default(), 765);
}

#[test]
fn all_at_once() {
    (1..5).for_each(|seed| drop(check(&Show { join_us: 0, seed, ..Show::default() }, 740)));
}

#[test]
fn live() {
    (1..5).for_each(|seed| {
        drop(check(&Show { is_live: true, join_us: SECOND_US, seed, ..Show::default() }, 700))
    });
}

#[test]
fn more_than_links() {
    check(&Show { viewers: 20, join_us: SECOND_US, ..Show::default() }, 900);
}

#[test]
fn a_poor_origin() {
    let show = Show { origin_bytes_s: 375_000, origin_delay_us: 100_000, ..Show::default() };
    let (audience, line) = watch(&show);
    assert!(audience.viewed().iter().all(|viewed| viewed.is_finished), "{line}");
}

#[test]
fn uplinks_that_do_not_suffice() {
    let show = Show { uplink_bytes_s: 100_000, ..Show::default() };
    check(&show, 150);
}

#[test]
fn a_liar_is_dropped_by_all_who_ask_it() {
    let show = Show { liar: Some(0), ..Show::default() };
    let audience = check(&show, 500);
    assert!(audience.wrong_bytes > 0);
    assert!(!audience.dropped.is_empty() && audience.dropped.iter().all(|&(_, other)| other == 0));
}

#[test]
fn without_peers_it_is_http() {
    let policy = Policy { p2p: false, ..Policy::default() };
    let audience = check(&Show { policy, ..Show::default() }, 0);
    assert_eq!(audience.offload_permille(), 0);
}
