//! Which requests of peers are served, in what order, and within which budget.

use std::collections::{BTreeMap, VecDeque};

use crate::estimate::Rate;
use crate::input::{ChunkIndex, LinkId};
use crate::ledger::Ledger;
use crate::limits::{ASKED_PER_LINK_MAX, SLOT_COVER_US, SLOTS_MAX, SLOTS_MIN};
use crate::output::{Output, ServeRefusal};
use crate::policy::Policy;

/// Requests of one peer that wait.
#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<(u64, ChunkIndex)>,
    /// When the peer was last served, as a count.
    served_at: u64,
}

/// The serving side.
#[derive(Debug)]
pub(crate) struct Upload {
    waiting: BTreeMap<LinkId, Waiting>,
    /// Requests being served, and the bytes promised to each.
    serving: BTreeMap<(LinkId, u64), u32>,
    /// How often each position was handed out: what was given least goes first, so that the swarm has all of it soon.
    given: Vec<u16>,
    serves: u64,
    rate: Rate,
    pub(crate) sent_bytes: u64,
    promised_bytes: u64,
    /// What may be sent now under the rate cap, in bytes; below zero where the last chunk went ahead of it.
    tokens: i64,
    /// Time up to which tokens were earned.
    filled_us: u64,
}

impl Upload {
    pub(crate) fn new(len: u32, now: u64) -> Self {
        Self {
            waiting: BTreeMap::new(),
            serving: BTreeMap::new(),
            given: vec![0; len as usize],
            serves: 0,
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
        policy: &Policy,
        ledger: &Ledger,
        (link, request): (LinkId, u64),
        chunk: ChunkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let waiting = self.waiting.entry(link).or_default();
        let refusal = if !policy.sharing {
            Some(ServeRefusal::NotSharing)
        } else if !ledger.is_held(chunk) {
            Some(ServeRefusal::NotHeld)
        } else if waiting.queue.len() >= ASKED_PER_LINK_MAX {
            Some(ServeRefusal::Busy)
        } else {
            None
        };
        match refusal {
            Some(reason) => outputs.push_back(Output::Refuse { link, request, reason }),
            None => waiting.queue.push_back((request, chunk)),
        }
    }

    pub(crate) fn cancelled(&mut self, link: LinkId, request: u64) {
        if let Some(waiting) = self.waiting.get_mut(&link) {
            waiting.queue.retain(|&(waiting, _)| waiting != request);
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
            for (request, _) in waiting.queue.drain(..) {
                outputs.push_back(Output::Refuse { link, request, reason: ServeRefusal::NotSharing });
            }
        }
    }

    /// Serves while slots and budget last.
    pub(crate) fn fill(
        &mut self,
        now: u64,
        policy: &Policy,
        ledger: &Ledger,
        outputs: &mut VecDeque<Output>,
    ) {
        self.fill_tokens(now, policy);
        while (self.serving.len() as u32) < self.slots(ledger.mean_bytes()) {
            let Some(link) = self.next_link() else { return };
            if self.is_over_rate(policy) {
                return;
            }
            let waiting = self.waiting.get_mut(&link).expect("it was just found");
            let (request, chunk) = waiting.queue.pop_front().expect("it has a request");
            self.serve(now, policy, ledger, (link, request), chunk, outputs);
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
        ledger: &Ledger,
        (link, request): (LinkId, u64),
        chunk: ChunkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let bytes = ledger.bytes(chunk);
        let budget = policy.upload_bytes_max.unwrap_or(u64::MAX);
        let refusal = if !ledger.is_held(chunk) {
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
        self.serves += 1;
        self.waiting.entry(link).or_default().served_at = self.serves;
        self.given[chunk as usize] = self.given[chunk as usize].saturating_add(1);
        self.promised_bytes += u64::from(bytes);
        self.tokens -= i64::from(bytes);
        self.serving.insert((link, request), bytes);
        outputs.push_back(Output::Serve { link, request, chunk });
    }

    /// The link whose next request is for what was given least; among equals, the one that waited longest.
    fn next_link(&self) -> Option<LinkId> {
        let next = |(&link, waiting): (&LinkId, &Waiting)| {
            let &(_, chunk) = waiting.queue.front()?;
            Some((self.given[chunk as usize], waiting.served_at, link))
        };
        self.waiting.iter().filter_map(next).min().map(|(_, _, link)| link)
    }

    /// Chunks under way that keep the uplink busy.
    fn slots(&self, chunk_bytes: u64) -> u32 {
        let flight = self.rate.bytes_s().unwrap_or(0).saturating_mul(SLOT_COVER_US) / 1_000_000;
        ((flight / chunk_bytes) as u32).saturating_add(SLOTS_MIN).min(SLOTS_MAX)
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
