//! One stream and its swarm: one task drives the core, carries out what it says, and hands verified pieces to who reads.
//! Everything that happens becomes an input; nothing else decides.

mod links;
mod origin;
mod outputs;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::{ContentName, RootId, ServerMessage, SwarmId};
use freshet_swarm::{FetchId, Input, MediaConfig, MediaCore, PlayerInput, Policy, SegmentIndex};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::Ask;
use super::entries::Entries;
use super::library::Library;
use super::readers::Readers;
use super::said::Said;
use crate::clock::{Clock, sleep_until};
use crate::network::{Links, Network, Standing};
use crate::origin::{Origin, RunEvent};
use crate::release::Span;
use crate::report::{Report, SoFar};
use crate::store::Positions;
use crate::tracker_client::TrackerEvent;

/// Most bytes kept for peers and for who reads again, beside what is read right now.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// Events of origin fetches that wait.
const RUN_EVENTS_MAX: usize = 32;
/// How often it is seen who has left.
const TICK: Duration = Duration::from_millis(250);

/// What a session is made of.
pub(super) struct SessionConfig {
    pub(super) stream: ContentName,
    pub(super) network: Network,
    pub(super) entries: Arc<Entries>,
    pub(super) origin: Origin,
    pub(super) policies: watch::Receiver<Policy>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) stop: CancellationToken,
}

pub(super) struct Session {
    stream: ContentName,
    core: MediaCore,
    clock: Clock,
    library: Library,
    readers: Readers,
    links: Links<Said>,
    network: Network,
    entries: Arc<Entries>,
    origin: Origin,
    policy: Policy,
    policies: watch::Receiver<Policy>,
    asks: mpsc::Receiver<Ask>,
    fetches: BTreeMap<FetchId, (SegmentIndex, AbortHandle)>,
    runs: mpsc::Sender<RunEvent>,
    run_events: mpsc::Receiver<RunEvent>,
    stop: CancellationToken,
}

impl Session {
    pub(super) fn new(config: SessionConfig) -> Self {
        let SessionConfig { stream, network, entries, origin, mut policies, asks, stop } = config;
        let policy = *policies.borrow_and_update();
        let order = network.key().0.prefix32();
        let (runs, run_events) = mpsc::channel(RUN_EVENTS_MAX);
        Self {
            stream,
            core: MediaCore::new(0, MediaConfig { policy, order }),
            clock: Clock::start(),
            library: Library::new(KEPT_BYTES_MAX),
            readers: Readers::default(),
            links: Links::default(),
            network,
            entries,
            origin,
            policy,
            policies,
            asks,
            fetches: BTreeMap::new(),
            runs,
            run_events,
            stop,
        }
    }

    /// Runs until it is stopped, or nobody can ask any more; what was fetched and sent.
    pub(super) async fn run(mut self) -> Report {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.carry_out();
            let core_due = self.core.poll_timeout().map(|us| self.clock.at(us));
            let announce_due = self.network.due();
            tokio::select! {
                () = self.stop.cancelled() => break,
                ask = self.asks.recv() => match ask {
                    Some(Ask::Read(reading)) => self.read(reading),
                    // Who asked may be gone.
                    Some(Ask::SoFar(answer)) => drop(answer.send(self.so_far())),
                    None => break,
                },
                Some(event) = self.run_events.recv() => self.run_event(event),
                Some(event) = self.network.transport_events.recv() => {
                    let input = self.network.transport_event(&event);
                    self.of_tracker(input);
                    self.link_event(event);
                }
                Some(event) = self.network.tracker_events.recv() => self.tracker_event(event),
                Ok(()) = self.policies.changed() => self.policy_changed(),
                () = sleep_until(announce_due) => self.announce(),
                () = sleep_until(core_due) => self.core.handle_timeout(self.clock.now_us()),
                _ = tick.tick() => self.tick(),
            }
        }
        self.fetches.values().for_each(|(_, task)| task.abort());
        self.network.close().await;
        self.report()
    }

    fn tell(&mut self, input: Input) {
        self.core.handle_input(self.clock.now_us(), input);
    }

    fn player(&mut self, input: PlayerInput) {
        self.core.handle_player(self.clock.now_us(), input);
    }

    fn tick(&mut self) {
        let left = self.readers.left();
        left.into_iter().for_each(|segment| self.want(segment));
        self.drop_excess();
    }

    fn so_far(&self) -> SoFar {
        let Report { bytes, sent_bytes, .. } = self.report();
        SoFar { bytes, sent_bytes, links: self.links.count() as u32 }
    }

    fn report(&self) -> Report {
        Report::of(&self.core.totals(), self.links.tally().clone())
    }

    fn policy_changed(&mut self) {
        let policy = *self.policies.borrow_and_update();
        let before = std::mem::replace(&mut self.policy, policy);
        if before.sharing != policy.sharing {
            self.links.to(None).for_each(|link| self.introduce(&link.handle));
            self.network.announcer.changed();
        }
        self.tell(Input::Policy(policy));
    }

    fn tracker_event(&mut self, event: TrackerEvent) {
        if let TrackerEvent::Message(ServerMessage::Entry { content, entry }) = &event {
            if *content == self.stream {
                self.entry(&entry.0, None);
            }
            return;
        }
        let input = self.network.tracker_event(event);
        self.of_tracker(input);
    }

    /// The tracker must know of this node as soon as it answers; the core spreads no first copies.
    fn of_tracker(&mut self, input: Option<Input>) {
        if input == Some(Input::TrackerUp) {
            self.announce();
        }
    }

    fn announce(&mut self) {
        let SwarmId(swarm) = SwarmId::of_content(&self.stream);
        let standing = Standing {
            // Who watches a stream has no release.
            span: Span { id: RootId(swarm), positions: 0..0 },
            left_bytes: 1,
            sharing: self.policy.sharing,
            links: self.links.count(),
        };
        self.network.announce(&standing, &Positions::new(0));
    }
}
