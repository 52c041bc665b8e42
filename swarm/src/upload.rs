//! Which requests of peers are served, in what order, and within which budget.

use std::collections::{BTreeMap, VecDeque};

use crate::estimate::Rate;
use crate::input::{ChunkIndex, LinkId};
use crate::limits::{
    AHEAD_US, ASKED_PER_LINK_MAX, GIVEN_US, HANDICAP_US_MAX, SLOT_COVER_US, SLOTS_MAX, SLOTS_MIN,
};
use crate::output::{Output, ServeRefusal};
use crate::policy::Policy;

/// What is held here.
pub(crate) trait Shelf {
    fn is_held(&self, chunk: ChunkIndex) -> bool;
    fn bytes(&self, chunk: ChunkIndex) -> u32;
    /// Size of a usual chunk, in bytes.
    fn mean_bytes(&self) -> u64;
}

/// What is known of those who ask.
pub(crate) trait Neighbours {
    /// How far a peer is, in thousandths of the release.
    fn progress_of(&self, link: LinkId) -> u64;
    /// Longest round trip of all links, microseconds.
    fn rtt_us_max(&self) -> u64;
}

/// A request of a peer.
#[derive(Debug, Clone, Copy)]
struct Asked {
    request: u64,
    chunk: ChunkIndex,
    at_us: u64,
}

/// Requests of one peer that wait.
#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Asked>,
}

/// The serving side.
#[derive(Debug)]
pub(crate) struct Upload {
    waiting: BTreeMap<LinkId, Waiting>,
    /// Requests being served, and the bytes promised to each.
    serving: BTreeMap<(LinkId, u64), u32>,
    /// How often each position was handed out: what was given least goes first, so that the swarm has all of it soon.
    /// Positions beyond it share a count.
    given: Vec<u8>,
    rate: Rate,
    pub(crate) sent_bytes: u64,
    promised_bytes: u64,
    /// What may be sent now under the rate cap, in bytes; below zero where the last chunk went ahead of it.
    tokens: i64,
    /// Time up to which tokens were earned.
    filled_us: u64,
}

impl Upload {
    /// Counts `len` positions by themselves, at least one.
    pub(crate) fn new(len: u32, now: u64) -> Self {
        Self {
            waiting: BTreeMap::new(),
            serving: BTreeMap::new(),
            given: vec![0; len.max(1) as usize],
            rate: Rate::default(),
            sent_bytes: 0,
            promised_bytes: 0,
            tokens: 1,
            filled_us: now,
        }
    }

    /// A peer asks. What cannot be served is refused at once.
    pub(crate) fn asked(
        &mut self,
        now: u64,
        policy: &Policy,
        shelf: &impl Shelf,
        (link, request): (LinkId, u64),
        chunk: ChunkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let waiting = self.waiting.entry(link).or_default();
        let refusal = if !policy.sharing {
            Some(ServeRefusal::NotSharing)
        } else if !shelf.is_held(chunk) {
            Some(ServeRefusal::NotHeld)
        } else if waiting.queue.len() >= ASKED_PER_LINK_MAX {
            Some(ServeRefusal::Busy)
        } else {
            None
        };
        match refusal {
            Some(reason) => outputs.push_back(Output::Refuse { link, request, reason }),
            None => waiting.queue.push_back(Asked { request, chunk, at_us: now }),
        }
    }

    pub(crate) fn cancelled(&mut self, link: LinkId, request: u64) {
        if let Some(waiting) = self.waiting.get_mut(&link) {
            waiting.queue.retain(|asked| asked.request != request);
        }
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.waiting.remove(&link);
        let gone: Vec<_> = self.serving.range((link, 0)..=(link, u64::MAX)).map(|(&key, _)| key).collect();
        for (link, request) in gone {
            self.sent(0, link, request, 0);
        }
    }

    pub(crate) fn sent(&mut self, now: u64, link: LinkId, request: u64, bytes: u32) {
        let Some(promised) = self.serving.remove(&(link, request)) else { return };
        self.promised_bytes -= u64::from(promised);
        self.sent_bytes += u64::from(bytes);
        if now > 0 {
            self.rate.add(now, u64::from(bytes));
        }
    }

    /// Refuses all that waits, when the owner no longer shares.
    pub(crate) fn stop(&mut self, outputs: &mut VecDeque<Output>) {
        for (&link, waiting) in &mut self.waiting {
            for Asked { request, .. } in waiting.queue.drain(..) {
                outputs.push_back(Output::Refuse { link, request, reason: ServeRefusal::NotSharing });
            }
        }
    }

    /// Serves while slots and budget last.
    pub(crate) fn fill(
        &mut self,
        now: u64,
        policy: &Policy,
        shelf: &impl Shelf,
        neighbours: &impl Neighbours,
        outputs: &mut VecDeque<Output>,
    ) {
        self.fill_tokens(now, policy);
        let slots = self.slots(shelf.mean_bytes(), neighbours.rtt_us_max());
        while (self.serving.len() as u32) < slots {
            let Some(link) = self.next_link(neighbours) else { return };
            if self.is_over_rate(policy) {
                return;
            }
            let waiting = self.waiting.get_mut(&link).expect("it was just found");
            let Asked { request, chunk, .. } = waiting.queue.pop_front().expect("it has a request");
            self.serve(now, policy, shelf, (link, request), chunk, outputs);
        }
    }

    /// When the rate cap lets the next chunk go, if something waits for it.
    pub(crate) fn timeout(&self, policy: &Policy) -> Option<u64> {
        let rate = policy.upload_bytes_s_max?;
        let waits = self.waiting.values().any(|waiting| !waiting.queue.is_empty());
        let owed = self.tokens.min(0).unsigned_abs() + 1;
        (waits && self.is_over_rate(policy))
            .then(|| self.filled_us + owed.saturating_mul(1_000_000).div_ceil(rate.max(1)))
    }

    fn serve(
        &mut self,
        now: u64,
        policy: &Policy,
        shelf: &impl Shelf,
        (link, request): (LinkId, u64),
        chunk: ChunkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let bytes = shelf.bytes(chunk);
        let budget = policy.upload_bytes_max.unwrap_or(u64::MAX);
        let refusal = if !shelf.is_held(chunk) {
            Some(ServeRefusal::NotHeld)
        } else if self.sent_bytes + self.promised_bytes + u64::from(bytes) > budget {
            Some(ServeRefusal::Budget)
        } else {
            None
        };
        if let Some(reason) = refusal {
            outputs.push_back(Output::Refuse { link, request, reason });
            return;
        }
        if self.serving.is_empty() {
            self.rate.begin(now);
        }
        let given = self.given_place(chunk);
        self.given[given] = self.given[given].saturating_add(1);
        self.promised_bytes += u64::from(bytes);
        self.tokens -= i64::from(bytes);
        self.serving.insert((link, request), bytes);
        outputs.push_back(Output::Serve { link, request, chunk });
    }

    /// The link to serve next: first come, first served, but what was given before and who is ahead of the others wait a
    /// little longer. The handicap is bounded, so that nobody starves.
    fn next_link(&self, neighbours: &impl Neighbours) -> Option<LinkId> {
        let waiting =
            || self.waiting.iter().filter_map(|(&link, waiting)| Some((link, waiting.queue.front()?)));
        let slowest = waiting().map(|(link, _)| neighbours.progress_of(link)).min()?;
        let rank = |(link, asked): (LinkId, &Asked)| {
            let ahead_us = (neighbours.progress_of(link) - slowest) * AHEAD_US;
            let given_us = u64::from(self.given[self.given_place(asked.chunk)]) * GIVEN_US;
            (asked.at_us + (ahead_us + given_us).min(HANDICAP_US_MAX), link)
        };
        waiting().map(rank).min().map(|(_, link)| link)
    }

    fn given_place(&self, chunk: ChunkIndex) -> usize {
        chunk as usize % self.given.len()
    }

    /// Chunks under way that keep the uplink busy, and not many more: what is beyond it only fills the line's buffer. Of
    /// each, half is still to go on average; and its place is free again a round trip after its last byte has left.
    fn slots(&self, chunk_bytes: u64, rtt_us: u64) -> u32 {
        let flight = self.rate.bytes_s().unwrap_or(0).saturating_mul(SLOT_COVER_US + rtt_us) / 1_000_000;
        let count = flight / (chunk_bytes / 2).max(1);
        u32::try_from(count).unwrap_or(SLOTS_MAX).saturating_add(SLOTS_MIN).min(SLOTS_MAX)
    }

    /// A token bucket of a quarter of a second. A chunk may go ahead of its tokens, which the next ones wait for.
    fn fill_tokens(&mut self, now: u64, policy: &Policy) {
        let Some(rate) = policy.upload_bytes_s_max else { return };
        let earned = rate.saturating_mul(now.saturating_sub(self.filled_us)) / 1_000_000;
        if earned > 0 {
            self.tokens = self.tokens.saturating_add_unsigned(earned).min((rate / 4 + 1) as i64);
            self.filled_us = now;
        }
    }

    fn is_over_rate(&self, policy: &Policy) -> bool {
        policy.upload_bytes_s_max.is_some() && self.tokens <= 0
    }
}
