//! The virtual clock: events in a total order of time and sequence number.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that happens at a set time. Small and `Copy`: a run has tens of millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A node starts.
    Start { node: u32 },
    /// A node vanishes without a word.
    Vanish { node: u32 },
    /// A node says goodbye.
    Goodbye { node: u32 },
    /// A core asked to be called.
    CoreTimer { node: u32 },
    /// A node may have to announce itself.
    AnnounceTimer { node: u32 },
    /// The tracker asked to be called.
    TrackerTimer,
    /// Both ends of a link are up.
    LinkUp { node: u32, link: u32 },
    /// A link's peer has not been heard of for too long.
    LinkDead { node: u32, link: u32 },
    /// A message has come to its receiver's line.
    MessageAtLine { message: u32 },
    /// A message is there.
    Message { message: u32 },
    /// A host's uplink takes the next quanta.
    Pump { host: u32 },
    /// A transfer that its connection's window held back goes on.
    Resume { transfer: TransferId },
    /// Transfers that a full downlink held back go on.
    Unblock { host: u32 },
    /// A quantum has come to its receiver's line.
    AtLine { transfer: TransferId, host: u32, payload_bytes: u32 },
    /// A quantum is there.
    Delivered { transfer: TransferId, payload_bytes: u32 },
    /// A chunk's sender hears that it came.
    Acknowledged { transfer: TransferId },
    /// Time to note how things stand.
    Sample,
}

/// Names a transfer; a serial number tells it from others that had its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TransferId {
    pub(super) slot: u32,
    pub(super) serial: u32,
}

/// An event and its place in the order: the time, then the sequence number, as one number since a heap compares a lot.
#[derive(Debug, Clone, Copy)]
struct Due {
    order: u128,
    event: Event,
}

impl Ord for Due {
    /// The earliest is the greatest, as `BinaryHeap` wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        other.order.cmp(&self.order)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Due {}

/// What is yet to happen.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Due>,
    now_us: u64,
    pushed: u64,
}

impl Queue {
    /// The time, in microseconds since the start of the run.
    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Lets `event` happen at `at_us`, or now if that is past. Events of one time happen in the order of pushing.
    pub(super) fn push(&mut self, at_us: u64, event: Event) {
        self.pushed += 1;
        let order = u128::from(at_us.max(self.now_us)) << 64 | u128::from(self.pushed);
        self.heap.push(Due { order, event });
    }

    /// The next event; the clock moves to its time.
    pub(super) fn pop(&mut self) -> Option<Event> {
        let Due { order, event } = self.heap.pop()?;
        self.now_us = (order >> 64) as u64;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_then_of_pushing() {
        let mut queue = Queue::default();
        for (at_us, node) in [(5, 1), (3, 2), (5, 3), (3, 4)] {
            queue.push(at_us, Event::Start { node });
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop().map(|event| (queue.now_us(), event))).collect();
        let expected = [(3, 2), (3, 4), (5, 1), (5, 3)].map(|(at_us, node)| (at_us, Event::Start { node }));
        assert_eq!(order, expected);
        queue.push(1, Event::Sample);
        queue.pop();
        assert_eq!(queue.now_us(), 5, "the clock never goes back");
    }
}
