//! Why the origin did not deliver.

use std::time::Duration;

use freshet_swarm::FetchEnd;

/// What was wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OriginFault {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("answered {0}")]
    Status(u16),
    #[error("sent nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("sent more than {0} bytes, which is too much for what was asked")]
    TooLong(u64),
    #[error("sent something else than what was asked: {0}")]
    Wrong(String),
}

/// A failed fetch: the origin is the guilty side, or the network before it.
#[derive(Debug, thiserror::Error)]
#[error("{url} {fault}")]
pub(crate) struct OriginError {
    pub(crate) url: String,
    pub(crate) fault: OriginFault,
    /// The origin's own word on when to come back.
    pub(crate) retry_after: Option<Duration>,
}

impl OriginError {
    /// What a core hears of it.
    pub(crate) fn fetch_end(&self) -> FetchEnd {
        FetchEnd::Failed { retry_after_us: self.retry_after.map(|wait| wait.as_micros() as u64) }
    }

    /// Whether the same fetch may work later.
    pub(crate) fn may_pass(&self) -> bool {
        match self.fault {
            OriginFault::Unreachable(_) | OriginFault::Stalled(_) => true,
            OriginFault::Status(status) => status >= 500 || status == 429 || status == 408,
            OriginFault::TooLong(_) | OriginFault::Wrong(_) => false,
        }
    }

    /// Whether the origin was there and said that it has no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.fault, OriginFault::Status(404 | 410))
    }
}
