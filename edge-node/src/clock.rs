//! The time of a core, microseconds since it began, and that of the world.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    /// It begins now.
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.us_of(Instant::now())
    }

    /// 0 for what was before it began.
    pub(crate) fn us_of(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_micros() as u64
    }

    pub(crate) fn at(&self, us: u64) -> Instant {
        self.began + Duration::from_micros(us)
    }
}

/// Seconds since 1970 by this machine's clock; 0 before.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Sleeps until then, if ever.
pub(crate) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
