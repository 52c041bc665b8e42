//! Each bound of `limits.rs` is reached.

use freshet_protocol::Locality;
use freshet_swarm::limits::{ASKED_PER_LINK_MAX, DEPTH_MAX, FETCHES_MAX, LINKS_MAX, SLOTS_MAX};
use freshet_swarm::{DropReason, Input, LinkId, Output, RequestEnd, ServeRefusal};

use crate::world::{CHUNK_BYTES, World, config};

#[test]
fn links_beyond_the_bound_are_dropped() {
    let mut core = freshet_swarm::Core::new(0, config(4, 1));
    for link in 0..=LINKS_MAX as u64 {
        core.handle_input(0, Input::LinkUp { link: LinkId(link), locality: Locality::Any, rtt_us: 0 });
    }
    let dropped: Vec<Output> =
        std::iter::from_fn(|| core.poll_output()).filter(|o| matches!(o, Output::DropLink { .. })).collect();
    let link = LinkId(LINKS_MAX as u64);
    assert_eq!(dropped, [Output::DropLink { link, reason: DropReason::Misbehaved }]);
}

#[test]
fn a_fast_link_reaches_the_full_depth() {
    let mut world = World::new(config(4000, 1), 1);
    world.link(vec![0..4000]);
    let mut deepest = 0;
    for _ in 0..2000 {
        world.advance(100);
        if let Some(&request) = world.requests.keys().next() {
            world.end_request(request, RequestEnd::Verified);
        }
        deepest = deepest.max(world.requests.len());
    }
    assert_eq!(deepest, DEPTH_MAX as usize);
}

#[test]
fn a_fast_origin_reaches_all_fetches() {
    let mut config = config(20_000, 1);
    config.policy.p2p = false;
    let mut world = World::new(config, 1);
    let mut most = 0;
    for _ in 0..10_000 {
        world.advance(300);
        most = most.max(world.fetches.len());
        if let Some(&fetch) = world.fetches.keys().next() {
            world.serve_origin(fetch, true);
        }
    }
    assert!(most > 2 && most <= FETCHES_MAX, "{most}");
}

#[test]
fn waiting_requests_are_bounded_and_slots_grow() {
    let mut config = config(1000, 1);
    config.held = vec![0..1000];
    let mut world = World::new(config, 1);
    let link = world.link(Vec::new());
    let mut next = 0;
    let mut ask = |world: &mut World| {
        world.input(Input::PeerRequest { link, request: next, chunk: next as u32 % 1000 });
        next += 1;
    };
    (0..200).for_each(|_| ask(&mut world));
    let busy = world.refused.values().filter(|&&reason| reason == ServeRefusal::Busy).count();
    assert_eq!(200 - busy - world.serving.len(), ASKED_PER_LINK_MAX);
    for _ in 0..4000 {
        world.advance(200);
        if let Some(&(link, request)) = world.serving.iter().next() {
            world.serving.remove(&(link, request));
            world.input(Input::Sent { link, request, bytes: CHUNK_BYTES });
        }
        ask(&mut world);
    }
    assert_eq!(world.serving.len(), SLOTS_MAX as usize);
}
