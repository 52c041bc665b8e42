//! Tells when the origin is beyond hope: gone for too long while nobody else delivers, or sending wrong bytes again and
//! again.

use std::collections::BTreeMap;
use std::time::Duration;

use freshet_swarm::limits::ORIGIN_REST_MAX_US;
use tokio::time::Instant;

use crate::node::GetError;
use crate::origin::{OriginError, OriginFault};

/// How much longer than one that cannot be reached an origin is waited for that takes requests and is silent: in a crowd it
/// may be at work for others.
const SILENT_TIMES: u32 = 10;
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
    /// Until when the origin told to wait, with what is added to that.
    told_until: Instant,
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
            told_until: Instant::now(),
            is_failing: false,
            wrong: BTreeMap::new(),
            wrong_run: 0,
        }
    }

    /// A chunk came from wherever, or a part of one: in a crowd a whole one may take longer than a job waits. Or something is wanted
    /// after a time in which nothing was.
    pub(super) fn progressed(&mut self) {
        self.last_progress = Instant::now();
        self.last_error = None;
    }

    /// A fetch failed. An origin that tells when to come back is alive, and who does as told gives nothing up.
    pub(super) fn failed(&mut self, error: OriginError) {
        if let Some(wait) = error.retry_after {
            // The core waits for up to twice as long, and longer where it is told so again and again.
            let waits_max = (2 * wait).max(Duration::from_micros(ORIGIN_REST_MAX_US));
            self.told_until = self.told_until.max(Instant::now() + waits_max);
        }
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
        let is_silent = |error: &OriginError| matches!(error.fault, OriginFault::Stalled(_));
        let patience = match &self.last_error {
            None => return Ok(()),
            Some(error) if is_silent(error) => self.give_up_after.saturating_mul(SILENT_TIMES),
            Some(_) => self.give_up_after,
        };
        if self.last_progress.max(self.told_until).elapsed() < patience {
            return Ok(());
        }
        match self.last_error.take() {
            Some(error) => Err(GetError::Origin(format!(
                "nothing came for {} s: {error}, and none of {links} peers delivers",
                patience.as_secs()
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::OriginFault;

    const S: Duration = Duration::from_secs(1);

    fn failure(fault: OriginFault, retry_after: Option<Duration>) -> OriginError {
        OriginError { url: "http://h/x".to_owned(), fault, retry_after }
    }

    async fn check(error: OriginError, gives_up_after: Duration) {
        let said = error.to_string();
        let mut watch = OriginWatch::new(30 * S);
        watch.failed(error);
        tokio::time::advance(gives_up_after - S).await;
        assert!(watch.check(0).is_ok(), "{said}");
        tokio::time::advance(S).await;
        assert!(matches!(watch.check(0), Err(GetError::Origin(_))), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_may_be_at_work_for_others() {
        check(failure(OriginFault::Unreachable("refused".to_owned()), None), 30 * S).await;
        check(failure(OriginFault::Stalled(10 * S), None), 300 * S).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_to_wait_gives_nothing_up() {
        let failure = |retry_after| failure(OriginFault::Status(503), retry_after);
        check(failure(None), 30 * S).await;
        check(failure(Some(S)), 45 * S).await;
        check(failure(Some(300 * S)), 630 * S).await;
        // As often as it is told.
        let mut watch = OriginWatch::new(30 * S);
        for _ in 0..100 {
            watch.failed(failure(Some(20 * S)));
            tokio::time::advance(40 * S).await;
            assert!(watch.check(0).is_ok());
        }
    }
}
