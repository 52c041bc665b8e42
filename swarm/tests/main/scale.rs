//! A 60 GB release: 480,000 chunks on 30 links. Counts work, not seconds: time is `make bench`'s.

use freshet_swarm::RequestEnd;

use crate::world::{World, config};

#[test]
fn a_large_release_is_planned_on_thirty_links() {
    const CHUNKS: u32 = 480_000;
    let mut world = World::new(config(CHUNKS, 7), 7);
    for link in 0..30_u32 {
        world.link(vec![link * 10_000..CHUNKS]);
    }
    for _ in 0..5_000 {
        world.advance(1_000);
        let request = *world.requests.keys().next().expect("links hold plenty");
        world.end_request(request, RequestEnd::Verified);
    }
    assert!(world.core.totals().held_chunks >= 5_000);
}
