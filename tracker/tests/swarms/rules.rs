//! Whatever clients do, the rules hold: no shard is leased beyond the rule, nobody has too many links, outputs are
//! bounded, and what is paired can be paired.

use std::collections::BTreeMap;

use freshet_protocol::{Announce, Base64, ClientMessage, HaveSummary, PairOutcome, ServerMessage};
use freshet_tracker::swarms::{Config, Output};
use proptest::prelude::*;

use super::{SECOND_US, World, content, fetcher, peer, root};

const CLIENTS: u64 = 12;
const SHARDS: u32 = 24;
const LINKS_MAX: u8 = 4;
/// Most outputs that one input may cause here: a ticket, an error, and for each client shards and pairs.
const OUTPUTS_PER_STEP_MAX: usize = 2 + CLIENTS as usize * (2 + LINKS_MAX as usize);

#[derive(Debug, Clone)]
enum Step {
    Announce { client: u64, links_wanted: u8, bits: [u8; 3], left: bool, sharing: bool },
    Leave { client: u64 },
    Reconnect { client: u64 },
    Lease { client: u64, want: u32, done: Vec<u32> },
    Outcome { client: u64, recent: usize, outcome: PairOutcome },
    Wait { us: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 1..=CLIENTS;
    let outcome = prop_oneof![
        Just(PairOutcome::Linked),
        Just(PairOutcome::Failed),
        Just(PairOutcome::Closed),
        Just(PairOutcome::Unknown)
    ];
    prop_oneof![
        4 => (client.clone(), 0..=8u8, any::<[u8; 3]>(), any::<bool>(), any::<bool>()).prop_map(
            |(client, links_wanted, bits, left, sharing)| {
                Step::Announce { client, links_wanted, bits, left, sharing }
            }
        ),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        1 => client.clone().prop_map(|client| Step::Reconnect { client }),
        6 => (client.clone(), 0..=8u32, prop::collection::vec(0..SHARDS + 2, 0..4))
            .prop_map(|(client, want, done)| Step::Lease { client, want, done }),
        3 => (client, 0..20usize, outcome)
            .prop_map(|(client, recent, outcome)| Step::Outcome { client, recent, outcome }),
        2 => (1..20 * SECOND_US).prop_map(|us| Step::Wait { us }),
    ]
}

/// What an observer of the messages knows.
#[derive(Default)]
struct Observer {
    /// Leases by shard, with the time of the grant.
    leases: BTreeMap<u32, Vec<(u64, u64)>>,
    pairs: Vec<(u64, u64)>,
}

impl Observer {
    fn see(&mut self, world: &mut World) -> Result<(), TestCaseError> {
        prop_assert!(world.outputs.len() <= OUTPUTS_PER_STEP_MAX, "{} outputs", world.outputs.len());
        let now_us = world.now_us;
        for output in std::mem::take(&mut world.outputs) {
            match output {
                Output::Send { client, message: ServerMessage::Shards { granted, .. } } => {
                    for shard in granted {
                        prop_assert!(shard < SHARDS);
                        self.lease(now_us, client.get(), shard)?;
                    }
                }
                Output::Send { client, message: ServerMessage::Pair { pair, peer, .. } } => {
                    prop_assert_ne!(client, peer);
                    self.pairs.push((client.get(), pair));
                }
                Output::Send { .. } | Output::IssueTicket { .. } | Output::Cluster { .. } => {}
            }
        }
        Ok(())
    }

    /// A further lease of a shard goes to another client, and only once the first is old.
    fn lease(&mut self, now_us: u64, client: u64, shard: u32) -> Result<(), TestCaseError> {
        let leases = self.leases.entry(shard).or_default();
        prop_assert!(leases.len() < 2, "shard {} has {:?}", shard, leases);
        if let Some(&(holder, since_us)) = leases.first() {
            prop_assert_ne!(holder, client);
            prop_assert!(now_us - since_us >= 5 * SECOND_US);
        }
        leases.push((client, now_us));
        Ok(())
    }

    /// A client has no lease any more: it left, went silent, or no longer spreads.
    fn forget_client(&mut self, client: u64) {
        self.leases.values_mut().for_each(|leases| leases.retain(|&(holder, _)| holder != client));
    }

    fn forget_shards(&mut self, shards: impl IntoIterator<Item = u32>) {
        shards.into_iter().for_each(|shard| drop(self.leases.remove(&shard)));
    }
}

fn run(steps: Vec<Step>, seed_value: u64) -> Result<(), TestCaseError> {
    // Silence is tested elsewhere: here it would only blur what the observer knows.
    let config = Config { links_max: LINKS_MAX, lease_fresh_us: 86_400 * SECOND_US, ..Config::default() };
    let mut world = World::new(config, seed_value);
    let mut observer = Observer::default();
    (1..=CLIENTS).for_each(|n| world.connect(n));
    for step in steps {
        match step {
            Step::Announce { client, links_wanted, bits, left, sharing } => {
                let have = HaveSummary::Shards(Base64(bits.to_vec()));
                let left_bytes = u64::from(left);
                let announce =
                    Announce { chunks: SHARDS * 4, have, left_bytes, sharing, ..fetcher(links_wanted) };
                if sharing {
                    observer
                        .forget_shards((0..SHARDS).filter(|s| bits[(s / 8) as usize] >> (s % 8) & 1 == 1));
                }
                if !(sharing && left) {
                    observer.forget_client(client);
                }
                world.announce(client, announce);
            }
            Step::Leave { client } => {
                observer.forget_client(client);
                world.say(client, ClientMessage::Leave { content: content() });
            }
            Step::Reconnect { client } => {
                observer.forget_client(client);
                world.disconnect(client);
                world.connect(client);
            }
            Step::Lease { client, want, done } => {
                observer.forget_shards(done.iter().copied());
                world.say(client, ClientMessage::Lease { content: content(), root: root(), want, done });
            }
            Step::Outcome { client, recent, outcome } => {
                if let Some(&(_, pair)) = observer.pairs.iter().rev().nth(recent) {
                    world.outcome(client, pair, outcome);
                }
            }
            Step::Wait { us } => world.advance_seeing(us, &mut observer)?,
        }
        observer.see(&mut world)?;
        check_state(&world)?;
    }
    (1..=CLIENTS).for_each(|n| world.disconnect(n));
    let stats = world.swarms.stats();
    prop_assert_eq!((stats.clients, stats.swarms, stats.pairs_pending, stats.pairs_linked), (0, 0, 0, 0));
    prop_assert_eq!(world.swarms.poll_timeout(), None, "nothing is left to do");
    Ok(())
}

fn check_state(world: &World) -> Result<(), TestCaseError> {
    let stats = world.swarms.stats();
    let pairs = stats.pairs_pending + stats.pairs_linked;
    prop_assert!(pairs * 2 <= CLIENTS as usize * usize::from(LINKS_MAX));
    prop_assert!(stats.leases <= SHARDS as usize * 2);
    prop_assert_eq!(stats.outputs_dropped, 0);
    Ok(())
}

impl World {
    /// As `advance`, with the observer looking after each timer.
    fn advance_seeing(&mut self, by_us: u64, observer: &mut Observer) -> Result<(), TestCaseError> {
        let end_us = self.now_us + by_us;
        while let Some(due_us) = self.swarms.poll_timeout().filter(|&due_us| due_us <= end_us) {
            let step_us = due_us.saturating_sub(self.now_us);
            self.advance(step_us);
            observer.see(self)?;
        }
        self.advance(end_us - self.now_us);
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_rules_hold(steps in prop::collection::vec(step(), 1..120), seed_value in any::<u64>()) {
        run(steps, seed_value)?;
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 1..40), seed_value in any::<u64>()) {
        let outputs = || {
            let mut world = World::new(Config::default(), seed_value);
            (1..=CLIENTS).for_each(|n| world.connect(n));
            for step in &steps {
                match step {
                    Step::Announce { client, links_wanted, .. } => world.announce(*client, fetcher(*links_wanted)),
                    Step::Lease { client, want, done } => {
                        let done = done.clone();
                        world.say(*client, ClientMessage::Lease { content: content(), root: root(), want: *want, done });
                    }
                    Step::Reconnect { client } => {
                        world.swarms.disconnected(world.now_us, peer(*client));
                        world.connect(*client);
                    }
                    Step::Wait { us } => world.advance(*us),
                    Step::Leave { .. } | Step::Outcome { .. } => {}
                }
            }
            world.outputs
        };
        prop_assert_eq!(outputs(), outputs());
    }
}
