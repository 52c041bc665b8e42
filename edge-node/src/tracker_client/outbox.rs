//! Messages that wait to be sent to the tracker: few, and the newest word of each announce only.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use freshet_protocol::ClientMessage;
use tokio::sync::Notify;

/// Messages that wait at once.
pub(super) const OUTBOX_MAX: usize = 256;

/// A bounded queue; full, it drops announces first, since each is outdated by the next.
#[derive(Debug, Default)]
struct Queue {
    is_open: bool,
    messages: VecDeque<ClientMessage>,
}

impl Queue {
    fn push(&mut self, message: ClientMessage) {
        if !self.is_open {
            return;
        }
        if let ClientMessage::Announce(new) = &message {
            let same = self
                .messages
                .iter_mut()
                .find(|old| matches!(old, ClientMessage::Announce(old) if old.content == new.content));
            if let Some(old) = same {
                *old = message;
                return;
            }
        }
        if self.messages.len() == OUTBOX_MAX {
            let announce = self.messages.iter().position(|old| matches!(old, ClientMessage::Announce(_)));
            self.messages.remove(announce.unwrap_or(0));
        }
        self.messages.push_back(message);
    }
}

/// The queue between the job and the client's task.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    pushed: Notify,
}

impl Outbox {
    /// Queues a message; without a tracker it is dropped, since a new one knows nothing of the old one's pairings.
    pub(super) fn push(&self, message: ClientMessage) {
        self.queue().push(message);
        self.pushed.notify_one();
    }

    /// From now on messages are taken.
    pub(super) fn open(&self) {
        self.queue().is_open = true;
    }

    /// From now on messages are dropped, as those that wait are.
    pub(super) fn shut(&self) {
        *self.queue() = Queue::default();
    }

    /// The next message to send. Safe to cancel.
    pub(super) async fn next(&self) -> ClientMessage {
        loop {
            if let Some(message) = self.queue().messages.pop_front() {
                return message;
            }
            self.pushed.notified().await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Announce, HaveSummary, RootId};

    use super::*;

    fn announce(content: &str, left_bytes: u64) -> ClientMessage {
        ClientMessage::Announce(Announce {
            content: content.parse().expect("name"),
            root: RootId::of(b""),
            chunks: 1,
            have: HaveSummary::None,
            left_bytes,
            sharing: true,
            links: 0,
            links_wanted: 1,
            candidates: vec![],
            mapped: Vec::new(),
            local: Vec::new(),
            certificates: vec![],
        })
    }

    fn signal(pair: u64) -> ClientMessage {
        ClientMessage::Signal { pair, data: String::new() }
    }

    fn check(
        pushed: impl IntoIterator<Item = ClientMessage>,
        expected: impl IntoIterator<Item = ClientMessage>,
    ) {
        let mut queue = Queue { is_open: true, messages: VecDeque::new() };
        pushed.into_iter().for_each(|message| queue.push(message));
        assert_eq!(queue.messages, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_newest_announce_of_a_content_counts() {
        check(
            [announce("a/a", 1), signal(1), announce("b/b", 2), announce("a/a", 3)],
            [announce("a/a", 3), signal(1), announce("b/b", 2)],
        );
    }

    #[test]
    fn a_full_queue_drops_announces_first() {
        let signals = |numbers: std::ops::Range<u64>| numbers.map(signal);
        let max = OUTBOX_MAX as u64;
        let full = signals(1..2).chain([announce("a/a", 1)]).chain(signals(2..max));
        check(full.chain([signal(max)]), signals(1..max + 1));
        check(signals(0..max + 1), signals(1..max + 1));
    }

    #[tokio::test]
    async fn a_shut_outbox_drops_what_it_gets() {
        let outbox = Outbox::default();
        outbox.push(signal(1));
        outbox.open();
        outbox.push(signal(2));
        assert_eq!(outbox.next().await, signal(2));
        outbox.push(signal(3));
        outbox.shut();
        outbox.open();
        outbox.push(signal(4));
        assert_eq!(outbox.next().await, signal(4));
    }
}
