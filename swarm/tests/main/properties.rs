//! Properties under random worlds. A failure prints the seed that repeats it.

use freshet_swarm::{Goal, Input};
use proptest::prelude::*;

use crate::world::{CHUNK_BYTES, World, config};

proptest! {
    /// Whatever happens, the job ends whole, each byte is counted once, and the world's own checks hold.
    #[test]
    fn every_job_ends_and_every_byte_is_counted(seed: u64, chunks in 1_u32..200, speed: bool, tracker: bool) {
        let mut config = config(chunks, seed as u32);
        config.policy.goal = if speed { Goal::Speed } else { Goal::Offload };
        config.has_tracker = tracker;
        let mut world = World::new(config, seed);
        if tracker && seed % 3 > 0 {
            world.input(Input::TrackerUp);
        }
        let steps = (0..60_000).find(|_| { world.step(chunks); world.is_complete });
        prop_assert!(steps.is_some(), "not complete: {:?}", world.core.totals());
        let totals = world.core.totals();
        prop_assert_eq!((totals.missing_chunks, totals.held_chunks), (0, chunks));
        let used = totals.peer_bytes + totals.origin_bytes.iter().sum::<u64>();
        prop_assert_eq!(used, u64::from(chunks) * u64::from(CHUNK_BYTES));
        prop_assert_eq!(used + totals.waste_bytes, world.received_bytes);
    }

    /// Inputs about things the core never heard of change nothing and never panic.
    #[test]
    fn foreign_inputs_are_harmless(seed: u64, bytes: u32, at: u32) {
        use freshet_swarm::{FetchEnd, FetchId, LinkId, RequestEnd, RequestId};
        let mut world = World::new(config(20, seed as u32), seed);
        let before = world.core.totals();
        let (link, request, fetch) = (LinkId(900), RequestId(900), FetchId(900));
        for input in [
            Input::LinkDown { link },
            Input::Have { link, ranges: vec![at..u32::MAX] },
            Input::Progress { request, bytes },
            Input::RequestEnded { request, end: RequestEnd::Corrupt },
            Input::OriginProgress { fetch, bytes },
            Input::OriginChunk { fetch, chunk: at, verified: true },
            Input::OriginEnded { fetch, end: FetchEnd::Complete },
            Input::PeerRequest { link, request: 1, chunk: at },
            Input::PeerCancel { link, request: 1 },
            Input::Sent { link, request: 1, bytes },
            Input::Lost { chunk: at },
            Input::Shards { granted: vec![at], active_jobs: 0, origin_budget_bytes_s: Some(0) },
        ] {
            world.input(input);
        }
        prop_assert_eq!(before, world.core.totals());
        let link = world.link(vec![0..1]);
        world.input(Input::Have { link, ranges: vec![at..u32::MAX] });
    }
}
