//! Holds reading or sending back to a rate, whoever does it: a leaky bucket as a queue, first come first served.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

/// What may be saved up while nobody reads.
const SAVED: Duration = Duration::from_millis(100);

/// A bound of all that is taken under it. Cheap to clone; clones share the bound.
#[derive(Debug, Clone)]
pub(crate) struct Limiter(Arc<State>);

#[derive(Debug)]
struct State {
    /// Bytes a second; none: no bound.
    rate: watch::Sender<Option<u64>>,
    saved: Duration,
    /// Whoever holds it waits for what is owed; the others wait for their turn.
    account: Mutex<Account>,
}

/// What is owed under a rate.
#[derive(Debug)]
struct Account {
    /// Bytes taken and not yet paid for by time; below zero, what is saved up.
    owed: f64,
    paid_at: Instant,
    /// The rate since then, in bytes a second; none: all is forgiven.
    rate: Option<u64>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::saving(SAVED)
    }
}

impl Limiter {
    /// Without a bound at first; under one, so much time of it may be saved up while nobody takes anything.
    pub(crate) fn saving(saved: Duration) -> Self {
        let account = Mutex::new(Account { owed: 0.0, paid_at: Instant::now(), rate: None });
        Self(Arc::new(State { rate: watch::Sender::new(None), saved, account }))
    }

    /// Sets the bound in bytes a second; it holds from now on, for those too that wait.
    pub(crate) fn set(&self, rate: Option<u64>) {
        let rate = rate.map(|rate| rate.max(1));
        self.0.rate.send_if_modified(|now| std::mem::replace(now, rate) != rate);
    }

    /// Whether there is a bound.
    pub(crate) fn is_set(&self) -> bool {
        self.0.rate.borrow().is_some()
    }

    /// Takes note of `bytes`, and waits until they are paid for.
    pub(crate) async fn take(&self, bytes: usize) {
        if !self.is_set() {
            return;
        }
        let mut rates = self.0.rate.subscribe();
        let mut account = self.0.account.lock().await;
        account.pay(self.0.saved);
        account.owed += bytes as f64;
        loop {
            account.rate = *rates.borrow_and_update();
            let Some(wait) = account.wait() else { return };
            // Under another rate the rest of the wait is another one.
            let _ = timeout(wait, rates.changed()).await;
            account.pay(self.0.saved);
        }
    }
}

impl Account {
    /// Lets the time since the last payment pay.
    fn pay(&mut self, saved: Duration) {
        let now = Instant::now();
        let time = now - std::mem::replace(&mut self.paid_at, now);
        self.owed = match self.rate {
            Some(rate) => {
                (self.owed - time.as_secs_f64() * rate as f64).max(-saved.as_secs_f64() * rate as f64)
            }
            None => 0.0,
        };
    }

    /// How long it takes to pay what is owed; none where nothing is.
    fn wait(&self) -> Option<Duration> {
        let rate = self.rate?;
        // A timer may fire a nanosecond early; what then is owed is no byte.
        (self.owed >= 1.0).then(|| Duration::from_secs_f64(self.owed / rate as f64))
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

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_stays_owed_under_another_bound() {
        let limiter = Limiter::default();
        limiter.set(Some(1_000));
        let begun = Instant::now();
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.take(10_100).await }
        });
        // Half is paid for by then, and the other half takes a tenth of the time.
        tokio::time::sleep(Duration::from_secs(5)).await;
        limiter.set(Some(10_000));
        waiting.await.expect("ends");
        let took = begun.elapsed().as_secs_f64();
        assert!((took - 5.51).abs() < 0.05, "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_goes_in_the_order_of_asking() {
        let limiter = Limiter::saving(Duration::ZERO);
        limiter.set(Some(1_000));
        let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let take = |number: usize| {
            let (limiter, order) = (limiter.clone(), std::sync::Arc::clone(&order));
            async move {
                limiter.take(100).await;
                order.lock().expect("nobody panics").push(number);
            }
        };
        futures_util::future::join_all((0..5).map(take)).await;
        assert_eq!(*order.lock().expect("nobody panics"), [0, 1, 2, 3, 4]);
    }
}
