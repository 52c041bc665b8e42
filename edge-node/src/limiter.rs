//! Holds reading back to a rate, whoever reads: virtual scheduling, as in the generic cell rate algorithm (ITU-T I.371).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What may be saved up while nobody reads.
const SAVED: Duration = Duration::from_millis(100);

/// A bound of all that is read under it. Cheap to clone; clones share the bound.
#[derive(Debug, Clone)]
pub(crate) struct Limiter(Arc<State>);

#[derive(Debug)]
struct State {
    /// Bytes a second; none: no bound.
    rate: watch::Sender<Option<u64>>,
    /// When all that was taken is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self(Arc::new(State { rate: watch::Sender::new(None), paid: Mutex::new(None) }))
    }
}

impl Limiter {
    /// Sets the bound in bytes a second; it holds from now on, for those too that wait.
    pub(crate) fn set(&self, rate: Option<u64>) {
        let rate = rate.map(|rate| rate.max(1));
        if *self.0.rate.borrow() != rate {
            *self.paid() = None;
            self.0.rate.send_replace(rate);
        }
    }

    /// Whether there is a bound.
    pub(crate) fn is_set(&self) -> bool {
        self.0.rate.borrow().is_some()
    }

    /// Takes note of `bytes` that were read, and waits until more may be.
    pub(crate) async fn take(&self, bytes: usize) {
        if !self.is_set() {
            return;
        }
        let mut rates = self.0.rate.subscribe();
        let Some(rate) = *rates.borrow_and_update() else { return };
        let now = Instant::now();
        let paid = {
            let mut paid = self.paid();
            let begin = paid.map_or(now, |paid| paid.max(now.checked_sub(SAVED).unwrap_or(now)));
            let paid = paid.insert(begin + Duration::from_secs_f64(bytes as f64 / rate as f64));
            *paid
        };
        let wait = paid.saturating_duration_since(now);
        // Under another bound what was read is forgiven.
        let _ = timeout(wait, rates.changed()).await;
    }

    fn paid(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.paid.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long `readers` take to read `bytes` each, in pieces of 10 kB.
    async fn read(limiter: &Limiter, readers: usize, bytes: usize) -> Duration {
        let begun = Instant::now();
        let read = |limiter: Limiter| async move {
            for _ in 0..bytes / 10_000 {
                limiter.take(10_000).await;
            }
        };
        futures_util::future::join_all((0..readers).map(|_| read(limiter.clone()))).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn all_readers_together_keep_to_the_rate() {
        let limiter = Limiter::default();
        assert_eq!(read(&limiter, 3, 1_000_000).await, Duration::ZERO);
        limiter.set(Some(1_000_000));
        for readers in [1, 2, 7] {
            let took = read(&limiter, readers, 1_000_000).await.as_secs_f64();
            assert!((took - readers as f64).abs() < 0.15, "{readers}: {took}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn little_is_saved_up() {
        let limiter = Limiter::default();
        limiter.set(Some(1_000_000));
        limiter.take(10_000).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let took = read(&limiter, 1, 1_000_000).await;
        assert!(took >= Duration::from_millis(890), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn another_bound_holds_at_once() {
        let limiter = Limiter::default();
        limiter.set(Some(100));
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.take(1_000_000).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        limiter.set(None);
        let begun = Instant::now();
        waiting.await.expect("ends");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
