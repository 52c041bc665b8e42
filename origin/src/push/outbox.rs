//! Messages that wait for a tracker: few, and the newest ones. Players find older entries in pages.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Messages that wait at once: the entries of a few segments of all renditions.
pub(super) const WAITING_MAX: usize = 256;

/// The queue between publishing and the tracker's task.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<String>>,
    pushed: Notify,
    /// One has been taken and is not sent yet.
    is_sending: AtomicBool,
    sent: Notify,
}

impl Outbox {
    /// Queues a message at once; a full queue drops the oldest one.
    pub(super) fn push(&self, message: String) {
        let mut waiting = self.waiting();
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(message);
        drop(waiting);
        self.pushed.notify_one();
    }

    /// The next message to send. Safe to cancel.
    pub(super) async fn next(&self) -> String {
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            self.pushed.notified().await;
        }
    }

    /// The message that was taken last is sent, or lost.
    pub(super) fn done(&self) {
        self.is_sending.store(false, SeqCst);
        self.sent.notify_waiters();
    }

    /// Waits until nothing waits any more.
    pub(super) async fn drained(&self) {
        loop {
            let sent = self.sent.notified();
            if self.is_drained() {
                return;
            }
            sent.await;
        }
    }

    fn is_drained(&self) -> bool {
        let waiting = self.waiting();
        waiting.is_empty() && !self.is_sending.load(SeqCst)
    }

    fn take(&self) -> Option<String> {
        let mut waiting = self.waiting();
        let entry = waiting.pop_front()?;
        // Under the lock, so that nobody sees it neither waiting nor on its way.
        self.is_sending.store(true, SeqCst);
        Some(entry)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_drops_the_oldest() {
        let outbox = Outbox::default();
        let entry = |n: usize| n.to_string();
        (0..=WAITING_MAX).for_each(|n| outbox.push(entry(n)));
        assert_eq!(outbox.waiting().len(), WAITING_MAX);
        assert_eq!(outbox.next().await, entry(1));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_drained_once_the_last_entry_is_sent() {
        let outbox = Outbox::default();
        outbox.drained().await;
        outbox.push("1".to_owned());
        let is_drained =
            async || tokio::time::timeout(std::time::Duration::from_secs(1), outbox.drained()).await.is_ok();
        assert!(!is_drained().await);
        outbox.next().await;
        assert!(!is_drained().await);
        outbox.done();
        assert!(is_drained().await);
    }
}
