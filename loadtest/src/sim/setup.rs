//! A world before its first event, and what is left after its last.

use std::sync::Arc;

use freshet_swarm::OriginReason;

use super::connection::Path;
use super::idle::Idle;
use super::message::Messages;
use super::net::{Net, Settings};
use super::node::{Announcer, Node, Stage};
use super::origin::OriginSite;
use super::positions::Positions;
use super::queue::{Event, Queue};
use super::series::Series;
use super::trace::Trace;
use super::tracker::TrackerSite;
use super::wire::Overhead;
use super::world::{ORIGIN, World, host_of};
use super::{Options, SERIES_US};
use crate::plan::{Behaviour, Group, Plan, bytes_s_of_mbit};
use crate::random::Random;
use crate::report::{Fed, NodeRun, OriginSent, Run, Source};

/// Lines of what is not to be the bottleneck: the tracker's, and the origin's downlink.
const WIDE_BYTES_S: u64 = 1_250_000_000;

impl<'a> World<'a> {
    pub(super) fn new(plan: &Plan, options: Options<'a>) -> Self {
        let mut random = Random::new(options.seed);
        let chunk_bytes: Arc<[u32]> = plan.content.chunk_bytes(&mut random).into();
        let mut net = Net::new(
            Settings {
                quantum_bytes: plan.quantum_bytes,
                buffer_us: u64::from(plan.buffer_ms) * 1000,
                loss_ppm: (plan.loss_permille * 1000.0).round() as u64,
            },
            Random::new(random.next_u64()),
        );
        let origin_rtt_us = (plan.origin.rtt_ms * 1000.0).round() as u64;
        net.add_host(bytes_s_of_mbit(plan.origin.up_mbit), WIDE_BYTES_S, origin_rtt_us);
        net.add_host(WIDE_BYTES_S, WIDE_BYTES_S, origin_rtt_us);
        let mut world = Self {
            tracker: TrackerSite::new(plan, random.next_u64()),
            origin: OriginSite::new(plan, chunk_bytes.len()),
            fed: Fed::new(plan.nodes()),
            plan: Arc::new(plan.clone()),
            options,
            needed_bytes: chunk_bytes.iter().map(|&bytes| u64::from(bytes)).sum(),
            chunk_bytes,
            queue: Queue::default(),
            net,
            messages: Messages::default(),
            nodes: Vec::with_capacity(plan.nodes() as usize),
            trace: Trace::default(),
            series: Series::default(),
            idle: Idle::default(),
            deliveries: 0,
            violations: Vec::new(),
            unsettled: 0,
        };
        for (number, group) in plan.groups.iter().enumerate() {
            (0..group.count).for_each(|_| world.add_node(number as u32, group, &mut random));
        }
        if let Some(at_ms) = plan.p2p_off_at_ms {
            world.queue.push(u64::from(at_ms) * 1000, Event::P2pOff);
        }
        world.queue.push(SERIES_US, Event::Sample);
        world
    }

    fn add_node(&mut self, group_number: u32, group: &Group, random: &mut Random) {
        let node = self.nodes.len() as u32;
        let rtt_us = (group.rtt_ms * 1000.0).round() as u64;
        self.net.add_host(bytes_s_of_mbit(group.up_mbit), bytes_s_of_mbit(group.down_mbit), rtt_us);
        let path = Path { from: ORIGIN, to: host_of(node), overhead: Overhead::Tcp, bytes_s_max: None };
        let origin_connection = self.net.connect(path);
        let start_us =
            u64::from(group.start_at_ms) * 1000 + random.below(u64::from(group.start_spread_ms) * 1000);
        let chunks = self.chunk_bytes.len() as u32;
        let is_counted = group.is_counted();
        let holds_all = group.seed && group.behaviour == Behaviour::Honest;
        self.nodes.push(Node {
            group: group_number,
            behaviour: group.behaviour,
            stage: Stage::Waiting,
            core: None,
            core_seed: random.next_u64() as u32,
            core_timer_us: None,
            held: if holds_all { Positions::all(chunks) } else { Positions::none(chunks) },
            origin_bytes: 0,
            links: Vec::new(),
            asked: Vec::new(),
            fetches: Vec::new(),
            serving: Vec::new(),
            origin_connection,
            announcer: Announcer::default(),
            banned: Vec::new(),
            run: NodeRun {
                group: group_number,
                is_counted,
                start_ms: start_us as f64 / 1000.0,
                ..NodeRun::default()
            },
        });
        if is_counted {
            self.unsettled += 1;
        }
        self.queue.push(start_us, Event::Start { node });
        if let Some(leave_ms) = group.leave_after_ms {
            self.queue.push(start_us + u64::from(leave_ms) * 1000, Event::Vanish { node });
        }
    }

    /// What was measured.
    pub(super) fn into_run(mut self) -> Run {
        (0..self.nodes.len() as u32).for_each(|node| self.settle(node));
        let nodes = self.nodes.into_iter().map(|node| node.run).collect();
        Run {
            source: Source::Sim,
            plan: (*self.plan).clone(),
            seed: Some(self.options.seed),
            trace: Some(self.trace.text()),
            chunks: self.chunk_bytes.len() as u32,
            needed_bytes: self.needed_bytes,
            deliveries: self.deliveries,
            end_ms: self.queue.now_us() as f64 / 1000.0,
            origin: OriginSent {
                bytes: self.net.payload_bytes(ORIGIN),
                manifest_bytes: self.origin.manifest_bytes,
                wire_bytes: self.net.uplink(ORIGIN).wire_bytes,
                requests: self.origin.requests,
                refused: self.origin.refused,
            },
            nodes,
            series: self.series.samples,
            fed: self.fed,
            violations: self.violations,
            cpu_s: None,
            live: None,
        }
    }

    /// Closes a node's accounts, and holds what its core believes against what really came.
    pub(super) fn settle(&mut self, node: u32) {
        let sent_bytes = self.net.payload_bytes(host_of(node));
        let place = &mut self.nodes[node as usize];
        place.run.sent_bytes = sent_bytes;
        let Some(core) = place.core.take() else { return };
        let (totals, is_complete) = (core.totals(), core.is_complete());
        let named = OriginReason::ALL.map(OriginReason::name).into_iter().zip(totals.origin_bytes);
        place.run.origin_bytes =
            named.filter(|&(_, bytes)| bytes > 0).map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        let counted = (totals.peer_bytes, totals.origin_bytes.iter().sum::<u64>());
        let came = (place.run.peer_bytes, place.origin_bytes);
        let unheld = core.held().into_iter().find(|range| !place.held.contains_all(range.clone()));
        let lacking = self.chunk_bytes.len() as u32 - place.held.count();
        if counted != came {
            self.violation(format!(
                "node {node} counts {counted:?} bytes from peers and origin where {came:?} came"
            ));
        }
        if let Some(range) = unheld {
            self.violation(format!(
                "node {node} believes to hold {range:?}, which never came whole and right"
            ));
        }
        if is_complete && lacking > 0 {
            self.violation(format!("node {node} says it is complete and lacks {lacking} chunks"));
        }
    }
}
