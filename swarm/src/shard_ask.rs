//! Talking with the tracker about first copies: which shards are wanted, and which are held whole.

use std::collections::VecDeque;

use freshet_protocol::limits::SHARDS_PER_MESSAGE_MAX;

use crate::governor::{Choice, Tracker};
use crate::ledger::Ledger;
use crate::limits::{ASK_AGAIN_US, REPORT_US};
use crate::origin::Origin;
use crate::output::Output;
use crate::policy::Policy;
use crate::upload::Shelf;

#[derive(Debug, Default)]
pub(crate) struct ShardAsk {
    /// A question is out.
    is_asked: bool,
    /// No question before this time: the tracker had nothing to give.
    again_us: u64,
    /// Last time that anything was said.
    said_us: u64,
}

impl ShardAsk {
    pub(crate) fn answered(&mut self, now: u64, is_empty: bool) {
        // Reports are answered too, with nothing: only the answer to a question says that there is none to give.
        if !is_empty {
            self.again_us = now;
        } else if self.is_asked {
            self.again_us = now + ASK_AGAIN_US;
        }
        self.is_asked = false;
    }

    pub(crate) fn tracker_down(&mut self) {
        self.is_asked = false;
        self.again_us = 0;
    }

    /// When shards held whole must be reported; never by who does not share, and so has nothing to say.
    pub(crate) fn report_timeout(&self, ledger: &Ledger, tracker: Tracker, policy: &Policy) -> Option<u64> {
        let is_told = tracker == Tracker::Up && policy.p2p && policy.sharing;
        (is_told && ledger.has_shards_done()).then_some(self.said_us + REPORT_US)
    }

    /// Asks in time, so that the origin is never idle for want of a grant, and reports what is held.
    pub(crate) fn ask(
        &mut self,
        now: u64,
        tracker: Tracker,
        policy: &Policy,
        ledger: &mut Ledger,
        origin: &Origin,
        outputs: &mut VecDeque<Output>,
    ) {
        if tracker != Tracker::Up || !policy.sharing {
            return;
        }
        let want = self.want(now, ledger, origin);
        let must_report = self.report_timeout(ledger, tracker, policy).is_some_and(|at| now >= at);
        if want == 0 && !must_report {
            return;
        }
        self.is_asked |= want > 0;
        self.said_us = now;
        let done = ledger.take_shards_done(SHARDS_PER_MESSAGE_MAX);
        outputs.push_back(Output::AskShards { want, done });
    }

    /// Enough for twice what should be in flight.
    fn want(&self, now: u64, ledger: &Ledger, origin: &Origin) -> u32 {
        if self.is_asked || now < self.again_us || ledger.free().count() == 0 {
            return 0;
        }
        let wanted = origin.flight_wanted(Choice::Leased) * 2;
        let leased = origin.leased_bytes(ledger, wanted);
        if leased >= wanted {
            return 0;
        }
        let shard_bytes = ledger.mean_bytes() * ledger.shard_positions(0).len().max(1) as u64;
        ((wanted - leased).div_ceil(shard_bytes) as u32).min(SHARDS_PER_MESSAGE_MAX as u32)
    }
}
