//! Tells when the origin is beyond hope: gone for too long while nobody else delivers, or sending wrong bytes again and
//! again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::node::GetError;
use crate::origin::OriginError;

/// Wrong copies of one chunk after which the origin is given up, when there is no peer to ask.
const WRONG_COPIES_MAX: u32 = 3;
/// Wrong chunks one after the other after which the origin is given up, when there is no peer to ask.
const WRONG_RUN_MAX: u32 = 16;
/// Wrong copies of one chunk after which it is given up though peers may still help.
const WRONG_COPIES_WITH_PEERS_MAX: u32 = 20;

pub(super) struct OriginWatch {
    give_up_after: Duration,
    last_progress: Instant,
    last_error: Option<OriginError>,
    is_failing: bool,
    wrong: BTreeMap<u32, u32>,
    /// Wrong chunks since the last good one.
    wrong_run: u32,
}

impl OriginWatch {
    pub(super) fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            last_progress: Instant::now(),
            last_error: None,
            is_failing: false,
            wrong: BTreeMap::new(),
            wrong_run: 0,
        }
    }

    /// A verified chunk came, from wherever, or one is wanted after a time in which none was.
    pub(super) fn progressed(&mut self) {
        self.last_progress = Instant::now();
        self.last_error = None;
    }

    pub(super) fn failed(&mut self, error: OriginError) {
        self.last_error = Some(error);
        self.is_failing = true;
    }

    /// The origin delivered a good chunk.
    pub(super) fn succeeded(&mut self) {
        self.is_failing = false;
        self.wrong_run = 0;
    }

    /// Whether it has failed and delivered nothing since.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// # Errors
    /// When the origin sent wrong bytes for the same chunk too often.
    pub(super) fn wrong_chunk(&mut self, position: u32, what: &str, links: usize) -> Result<(), GetError> {
        let times = self.wrong.entry(position).or_default();
        *times += 1;
        let times = *times;
        self.wrong_run += 1;
        let is_beyond_hope = match links {
            0 => times >= WRONG_COPIES_MAX || self.wrong_run >= WRONG_RUN_MAX,
            _ => times >= WRONG_COPIES_WITH_PEERS_MAX,
        };
        if !is_beyond_hope {
            return Ok(());
        }
        Err(GetError::Forged(format!(
            "the origin sends bytes for {what:?} that do not match the signed manifest (chunk {position}, {times} times); nothing of it was kept, tell the publisher"
        )))
    }

    /// # Errors
    /// When the origin fails, and nothing came from anyone for too long.
    pub(super) fn check(&mut self, links: usize) -> Result<(), GetError> {
        if self.last_progress.elapsed() < self.give_up_after {
            return Ok(());
        }
        match self.last_error.take() {
            Some(error) => Err(GetError::Origin(format!(
                "nothing came for {} s: {error}, and none of {links} peers delivers",
                self.give_up_after.as_secs()
            ))),
            None => Ok(()),
        }
    }
}
