//! What peers are told, and when: of bulk haves in batches, at most every 100 ms; of media at once.

use std::collections::VecDeque;

use crate::input::ChunkIndex;
use crate::limits::ANNOUNCE_US;
use crate::output::Output;

#[derive(Debug)]
pub(crate) struct Announce {
    /// Least time between two announcements.
    every_us: u64,
    pending: Vec<ChunkIndex>,
    next_us: u64,
    is_fetching_stale: bool,
}

impl Announce {
    /// Tells of what is held in batches.
    pub(crate) fn in_batches() -> Self {
        Self { every_us: ANNOUNCE_US, pending: Vec::new(), next_us: 0, is_fetching_stale: false }
    }

    /// Tells of what is held as soon as it is.
    pub(crate) fn at_once() -> Self {
        Self { every_us: 0, ..Self::in_batches() }
    }

    pub(crate) fn held(&mut self, chunk: ChunkIndex) {
        self.pending.push(chunk);
    }

    /// A position is not held any more: who was not told of it shall not be.
    pub(crate) fn lost(&mut self, chunk: ChunkIndex) {
        self.pending.retain(|&pending| pending != chunk);
    }

    /// Positions held that peers were not told of yet.
    pub(crate) fn waiting(&self) -> u32 {
        self.pending.len() as u32
    }

    pub(crate) fn fetching_changed(&mut self) {
        self.is_fetching_stale = true;
    }

    /// When something waits to be told.
    pub(crate) fn timeout(&self) -> Option<u64> {
        (!self.pending.is_empty() || self.is_fetching_stale).then_some(self.next_us)
    }

    /// Forgets what waits: nobody is to be told.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.is_fetching_stale = false;
    }

    /// Tells what waits, if it is time; `fetching` is asked for only where it changed.
    pub(crate) fn flush(
        &mut self,
        now: u64,
        fetching: impl FnOnce() -> Vec<std::ops::Range<ChunkIndex>>,
        outputs: &mut VecDeque<Output>,
    ) {
        if self.timeout().is_none_or(|at| now < at) {
            return;
        }
        self.next_us = now + self.every_us;
        if !self.pending.is_empty() {
            self.pending.sort_unstable();
            let ranges = freshet_protocol::ranges_of(self.pending.drain(..));
            outputs.push_back(Output::SendHave { link: None, ranges });
        }
        if std::mem::take(&mut self.is_fetching_stale) {
            outputs.push_back(Output::SendFetching { ranges: fetching() });
        }
    }
}
