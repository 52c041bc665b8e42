//! When files that may have changed are looked at, and when what is new in them is due.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

/// Least time between two looks.
const EVERY_MIN: Duration = Duration::from_millis(1);

/// What was found so far.
pub(super) struct Changes {
    /// What was last taken or refused.
    judged: [u8; 32],
    /// What the last look found.
    seen: [u8; 32],
}

impl Changes {
    pub(super) fn since(judged: [u8; 32]) -> Self {
        Self { judged, seen: judged }
    }

    /// Whether `found` is to be judged now: it is new, and was there at the last look too or somebody asks for it.
    pub(super) fn is_due(&mut self, found: [u8; 32], is_asked: bool) -> bool {
        let is_settled = found == self.seen || is_asked;
        self.seen = found;
        let is_due = is_settled && found != self.judged;
        if is_due {
            self.judged = found;
        }
        is_due
    }
}

/// When to look.
pub(super) struct Looks {
    ticks: Interval,
    hangup: Hangup,
}

impl Looks {
    pub(super) fn new(every: Duration) -> Self {
        // An interval of nothing would panic.
        let mut ticks = tokio::time::interval(every.max(EVERY_MIN));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, hangup: Hangup::new() }
    }

    /// Waits for the next look; true when somebody asks for it by SIGHUP.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.ticks.tick() => false,
            () = self.hangup.received() => true,
        }
    }
}

/// SIGHUP, where there is one.
#[cfg(unix)]
struct Hangup(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Hangup {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let signal = signal(SignalKind::hangup());
        Self(signal.inspect_err(|error| tracing::warn!(%error, "cannot listen for SIGHUP")).ok())
    }

    async fn received(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

#[cfg(not(unix))]
struct Hangup;

#[cfg(not(unix))]
impl Hangup {
    fn new() -> Self {
        Self
    }

    async fn received(&mut self) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_due_once_it_has_settled() {
        let check = |found: &[u8], due: &[bool]| {
            let mut changes = Changes::since([0; 32]);
            let judged: Vec<_> = found.iter().map(|&byte| changes.is_due([byte; 32], false)).collect();
            assert_eq!(judged, due, "{found:?}");
        };
        check(&[0, 0, 0], &[false, false, false]);
        check(&[1, 1, 1], &[false, true, false]);
        check(&[1, 2, 2], &[false, false, true]);
        check(&[1, 0, 0], &[false, false, false]);
        check(&[1, 1, 0, 0, 1, 1], &[false, true, false, true, false, true]);
        check(&[1, 2, 3, 4], &[false, false, false, false]);
    }

    #[test]
    fn who_asks_does_not_wait() {
        let mut changes = Changes::since([0; 32]);
        assert!(!changes.is_due([0; 32], true), "nothing is new");
        assert!(changes.is_due([1; 32], true));
        assert!(!changes.is_due([1; 32], true), "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_come_at_their_time() {
        let start = tokio::time::Instant::now();
        let mut looks = Looks::new(Duration::from_secs(3));
        for expected in [0, 3, 6] {
            assert!(!looks.next().await, "nobody asked");
            assert_eq!(start.elapsed().as_secs(), expected);
        }
        let mut looks = Looks::new(Duration::ZERO);
        for _ in 0..3 {
            assert!(!looks.next().await, "no time is too short");
        }
    }
}
