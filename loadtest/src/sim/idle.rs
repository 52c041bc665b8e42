//! Where time goes: each second the use of every uplink, and why idle ones are idle.

use super::node::LinkState;
use super::world::{ORIGIN, World, host_of};

/// Why an uplink of a node that shares carries nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It is busy.
    Busy,
    /// It has chunks to hand out that wait for the receivers' lines or windows.
    HeldBack,
    /// No link is up.
    NoLinks,
    /// Neighbours lack what it holds, and requests for some of it are on their way.
    Coming,
    /// Neighbours lack what it holds, and none has asked.
    Unasked,
    /// No neighbour lacks anything it holds.
    NothingNew,
}

const REASONS: [(Reason, &str); 6] = [
    (Reason::Busy, "busy"),
    (Reason::HeldBack, "held-back"),
    (Reason::NoLinks, "no-links"),
    (Reason::Coming, "asked-soon"),
    (Reason::Unasked, "unasked"),
    (Reason::NothingNew, "nothing-new"),
];

/// Moments looked at in each second.
const LOOKS: u64 = 10;

/// Counts since the last line.
#[derive(Debug, Default)]
pub(super) struct Idle {
    looks: u64,
    counts: [u64; REASONS.len()],
    asked: u64,
    fetching: u64,
    busy_us: Vec<u64>,
    at_us: u64,
}

impl World<'_> {
    /// Looks once, and writes a line each second.
    pub(super) fn watch(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            if let Some(reason) = self.reason(node) {
                self.idle.counts[reason as usize] += 1;
            }
            let place = &self.nodes[node as usize];
            self.idle.asked += place.asked.len() as u64;
            self.idle.fetching +=
                place.fetches.iter().map(|fetch| u64::from(fetch.end - fetch.next)).sum::<u64>();
        }
        self.idle.looks += 1;
        if self.idle.looks == LOOKS {
            self.write_second();
        }
    }

    /// Why a node's uplink is idle; none for who does not share.
    fn reason(&self, node: u32) -> Option<Reason> {
        let place = &self.nodes[node as usize];
        let group = &self.plan.groups[place.group as usize];
        if !place.is_running() || place.core.is_none() || !group.sharing {
            return None;
        }
        let host = host_of(node);
        if self.net.uplink(host).backlog_us(self.now_us()) > 0 || self.net.ready(host) > 0 {
            return Some(Reason::Busy);
        }
        if !place.serving.is_empty() {
            return Some(Reason::HeldBack);
        }
        let mut reason = Reason::NoLinks;
        for end in place.links.iter().filter(|end| end.state == LinkState::Up) {
            let peer = &self.nodes[end.peer as usize];
            let lacks = peer.core.is_some() && place.held.has_beyond(&peer.held);
            if peer.asked.iter().any(|asked| asked.link == end.peer_link) {
                return Some(Reason::Coming);
            }
            match (lacks, reason) {
                (true, _) => reason = Reason::Unasked,
                (false, Reason::NoLinks) => reason = Reason::NothingNew,
                (false, _) => {}
            }
        }
        Some(reason)
    }

    fn write_second(&mut self) {
        let now_us = self.now_us();
        let past_us = (now_us - self.idle.at_us).max(1);
        let nodes = self.nodes.len();
        let hosts = (0..nodes as u32).map(host_of).chain([ORIGIN]);
        let busy_us: Vec<u64> = hosts.map(|host| self.net.uplink(host).busy_us(now_us)).collect();
        self.idle.busy_us.resize(nodes + 1, 0);
        let percent: Vec<u64> = busy_us
            .iter()
            .zip(&self.idle.busy_us)
            .map(|(after, before)| (after - before) * 100 / past_us)
            .collect();
        let idle = std::mem::replace(&mut self.idle, Idle { busy_us, at_us: now_us, ..Idle::default() });
        let looks = (idle.looks * nodes as u64).max(1) as f64;
        let seen = idle.counts.iter().sum::<u64>().max(1);
        let reasons: Vec<String> = REASONS
            .iter()
            .filter(|(reason, _)| idle.counts[*reason as usize] > 0)
            .map(|(reason, name)| format!("{name} {} %", idle.counts[*reason as usize] * 100 / seen))
            .collect();
        let held = self.series.samples.last().map_or(0.0, |sample| sample.completion * 100.0);
        let done = self.nodes.iter().filter(|node| node.run.finish_ms.is_some()).count();
        let links: usize = self.nodes.iter().map(super::node::Node::links_open).sum();
        let line = format!(
            "{:6.1} s  held {held:5.1} %  done {done:3}  origin {:3} %  links {:4.1}  asked {:4.1}  from origin {:4.1}  uplinks: {}\n          {}\n",
            now_us as f64 / 1e6,
            percent[nodes],
            links as f64 / nodes as f64,
            idle.asked as f64 / looks,
            idle.fetching as f64 / looks,
            reasons.join(", "),
            percent[..nodes].iter().map(|percent| format!("{percent:3}")).collect::<Vec<_>>().join(" "),
        );
        if let Some(out) = &mut self.options.verbose {
            // Whoever watches may stop watching; the run goes on.
            let _ = out.write_all(line.as_bytes());
        }
    }
}
