//! The world: all state of a simulation, and the loop that hands each event to the part it belongs to.

use std::sync::Arc;

use freshet_swarm::{Core, Input};

use super::Options;
use super::idle::Idle;
use super::message::{Body, Message, Messages};
use super::net::{Net, Note};
use super::node::Node;
use super::origin::OriginSite;
use super::queue::{Event, Queue};
use super::series::Series;
use super::trace::Trace;
use super::tracker::TrackerSite;
use crate::plan::Plan;
use crate::report::Fed;

/// The origin's number among hosts.
pub(super) const ORIGIN: u32 = 0;
/// The tracker's number among hosts.
pub(super) const TRACKER: u32 = 1;
/// Number among hosts of the first node.
pub(super) const FIRST_NODE: u32 = 2;

/// The host of a node.
pub(super) fn host_of(node: u32) -> u32 {
    node + FIRST_NODE
}

/// All state of a simulation.
pub(super) struct World<'a> {
    pub(super) plan: Arc<Plan>,
    pub(super) options: Options<'a>,
    pub(super) chunk_bytes: Arc<[u32]>,
    pub(super) needed_bytes: u64,
    pub(super) queue: Queue,
    pub(super) net: Net,
    pub(super) messages: Messages,
    pub(super) nodes: Vec<Node>,
    pub(super) origin: OriginSite,
    pub(super) tracker: TrackerSite,
    pub(super) trace: Trace,
    pub(super) series: Series,
    pub(super) idle: Idle,
    pub(super) fed: Fed,
    pub(super) deliveries: u64,
    pub(super) violations: Vec<String>,
    /// Nodes with a job that is not over.
    pub(super) unsettled: u32,
}

/// Pause before a core is called again that asks for a time that is past.
const CORE_PAUSE_US: u64 = 1000;
/// Most violations that a report tells.
const VIOLATIONS_MAX: usize = 20;

impl World<'_> {
    pub(super) fn now_us(&self) -> u64 {
        self.queue.now_us()
    }

    /// Runs until every job is over, or the plan's time is.
    pub(super) fn run(&mut self) {
        let end_us = u64::from(self.plan.end_after_s) * 1_000_000;
        while self.unsettled > 0 {
            let Some(event) = self.queue.pop() else { break };
            if self.now_us() > end_us {
                break;
            }
            self.happen(event);
            while let Some(note) = self.net.poll_note() {
                self.heard(note);
            }
        }
        self.sample();
    }

    fn happen(&mut self, event: Event) {
        self.trace.add(self.queue.now_us());
        self.trace.add(word_of(event));
        match event {
            Event::Start { node } => self.start(node),
            Event::Vanish { node } => self.vanish(node),
            Event::Goodbye { node } => self.goodbye(node),
            Event::CoreTimer { node } => self.core_timer(node),
            Event::AnnounceTimer { node } => self.announce_timer(node),
            Event::TrackerTimer => self.tracker_timer(),
            Event::LinkUp { node, link } => self.link_up(node, link),
            Event::LinkDead { node, link } => self.link_down(node, link),
            Event::MessageAtLine { message } => self.message_at_line(message),
            Event::Message { message } => self.message(message),
            Event::Pump { host } => self.net.pump(&mut self.queue, host),
            Event::Resume { transfer } => self.net.resume(&mut self.queue, transfer),
            Event::Unblock { host } => self.net.unblock(&mut self.queue, host),
            Event::AtLine { transfer, host, payload_bytes } => {
                self.net.at_line(&mut self.queue, transfer, host, payload_bytes);
            }
            Event::Delivered { transfer, payload_bytes } => {
                self.net.delivered(&mut self.queue, transfer, payload_bytes);
            }
            Event::Acknowledged { transfer } => self.net.acknowledged(transfer),
            Event::P2pOff => self.p2p_off(),
            Event::Sample => self.sample_event(),
        }
    }

    fn heard(&mut self, note: Note) {
        match note {
            Note::Sent { purpose, payload_bytes } => self.sent(purpose, payload_bytes),
            Note::Came { purpose, payload_bytes, is_last } => self.came(purpose, payload_bytes, is_last),
        }
    }

    /// Sends a message over the lines of both hosts.
    pub(super) fn send(&mut self, from: u32, to: u32, wire_bytes: u64, body: Body) {
        let at_us = self.net.send_message(self.queue.now_us(), from, to, wire_bytes);
        let message = self.messages.put(Message { from, to, wire_bytes, body });
        self.queue.push(at_us, Event::MessageAtLine { message });
    }

    /// Lets a message be there at a set time, whatever the lines do.
    pub(super) fn send_at(&mut self, at_us: u64, from: u32, to: u32, body: Body) {
        let message = self.messages.put(Message { from, to, wire_bytes: 0, body });
        self.queue.push(at_us, Event::Message { message });
    }

    fn message_at_line(&mut self, message: u32) {
        let Some((to, wire_bytes)) = self.messages.line(message) else { return };
        let there_us = self.net.message_at_line(self.queue.now_us(), to, wire_bytes);
        if there_us <= self.queue.now_us() {
            self.message(message);
        } else {
            self.queue.push(there_us, Event::Message { message });
        }
    }

    fn message(&mut self, message: u32) {
        let Some(Message { from, to, body, .. }) = self.messages.take(message) else { return };
        match body {
            Body::Peer { link, message } => self.peer_message(to - FIRST_NODE, link, message),
            Body::Manifest => self.manifest_asked(from - FIRST_NODE),
            Body::Fetch { fetch, payload_bytes } => self.fetch_asked(from - FIRST_NODE, fetch, payload_bytes),
            Body::FetchRefused { fetch, after_s } => self.fetch_refused(to - FIRST_NODE, fetch, after_s),
            Body::FetchCancel { fetch } => self.fetch_cancelled(from - FIRST_NODE, fetch),
            Body::TrackerHello => self.tracker_hello(from - FIRST_NODE),
            Body::TrackerWelcome => self.tracker_welcome(to - FIRST_NODE),
            Body::TrackerGone => self.tracker_gone(from - FIRST_NODE),
            Body::ToTracker(message) => self.tracker_hears(from - FIRST_NODE, *message),
            Body::FromTracker(message) => self.tracker_says(to - FIRST_NODE, *message),
        }
    }

    /// Hands an input to a node's core and carries out what it says.
    pub(super) fn input(&mut self, node: u32, input: Input) {
        let now_us = self.now_us();
        let Some(core) = self.nodes[node as usize].core.as_mut() else { return };
        core.handle_input(now_us, input);
        self.drain(node);
    }

    fn core_timer(&mut self, node: u32) {
        let now_us = self.now_us();
        let place = &mut self.nodes[node as usize];
        if place.core_timer_us != Some(now_us) {
            return;
        }
        place.core_timer_us = None;
        let Some(core) = place.core.as_mut() else { return };
        if core.poll_timeout().is_some_and(|at_us| at_us <= now_us) {
            core.handle_timeout(now_us);
            if core.poll_timeout().is_some_and(|at_us| at_us <= now_us) {
                self.violation(format!(
                    "the core of node {node} has been called in time and asks for a time that is past"
                ));
            }
        }
        self.drain(node);
    }

    /// Carries out what a core says, until it has no more to say.
    pub(super) fn drain(&mut self, node: u32) {
        while let Some(output) = self.nodes[node as usize].core.as_mut().and_then(Core::poll_output) {
            self.carry_out(node, output);
        }
        let now_us = self.now_us();
        let place = &mut self.nodes[node as usize];
        let Some(at_us) = place.core.as_ref().and_then(Core::poll_timeout) else { return };
        // A core that asks for the past breaks its contract, which is noted; the run goes on at a bearable pace.
        let at_us = if at_us > now_us { at_us } else { now_us + CORE_PAUSE_US };
        if place.core_timer_us.is_none_or(|timer_us| at_us < timer_us) {
            place.core_timer_us = Some(at_us);
            self.queue.push(at_us, Event::CoreTimer { node });
        }
    }

    /// Notes what a sound run never shows.
    pub(super) fn violation(&mut self, text: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(format!("{:.3} s: {text}", self.now_us() as f64 / 1e6));
        }
    }
}

/// An event as a number, for the trace.
fn word_of(event: Event) -> u64 {
    let word = |kind: u64, a: u32, b: u32| kind << 60 ^ u64::from(a) << 30 ^ u64::from(b);
    match event {
        Event::Start { node } | Event::Vanish { node } | Event::Goodbye { node } => word(1, node, 0),
        Event::CoreTimer { node } | Event::AnnounceTimer { node } => word(2, node, 0),
        Event::TrackerTimer | Event::P2pOff | Event::Sample => word(3, 0, 0),
        Event::LinkUp { node, link } | Event::LinkDead { node, link } => word(4, node, link),
        Event::MessageAtLine { message } | Event::Message { message } => word(5, message, 0),
        Event::Pump { host } | Event::Unblock { host } => word(6, host, 0),
        Event::Resume { transfer } | Event::Acknowledged { transfer } => {
            word(7, transfer.slot, transfer.serial)
        }
        Event::AtLine { transfer, payload_bytes, .. } | Event::Delivered { transfer, payload_bytes } => {
            word(8, transfer.slot, payload_bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;

    #[test]
    fn violations_are_bounded() {
        let plan = read_plan("tiny", &[]).expect("built in");
        let mut world = World::new(&plan, Options::default());
        (0..=VIOLATIONS_MAX).for_each(|number| world.violation(number.to_string()));
        assert_eq!(world.into_run().violations.len(), VIOLATIONS_MAX);
    }
}
