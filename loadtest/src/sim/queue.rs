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
    /// All are told that peers are used no longer.
    P2pOff,
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

/// Time that a slot of the queue covers, as a shift of microseconds: about a millisecond.
const SLOT_SHIFT: u32 = 10;
/// Slots ahead, in all about four seconds; what is later waits apart.
const SLOTS: u64 = 4096;

/// What is yet to happen: a calendar queue (Brown 1988). Only the events of the slot that time is in are kept in order; a
/// heap of all of them is tens of thousands deep in a large swarm, and a fifth of the simulator's work.
#[derive(Debug)]
pub(super) struct Queue {
    /// Events of the slots before `next_slot`.
    due: BinaryHeap<Due>,
    /// Events of `next_slot` and those after it, by slot number modulo [`SLOTS`], unordered.
    slots: Vec<Vec<Due>>,
    /// Room of slots that are over, for the next ones: where each kept its own, that was two thirds of the memory of a
    /// large swarm.
    spare: Vec<Vec<Due>>,
    next_slot: u64,
    later: BinaryHeap<Due>,
    waiting: usize,
    now_us: u64,
    pushed: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            due: BinaryHeap::new(),
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            spare: Vec::new(),
            next_slot: 0,
            later: BinaryHeap::new(),
            waiting: 0,
            now_us: 0,
            pushed: 0,
        }
    }
}

impl Queue {
    /// The time, in microseconds since the start of the run.
    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Lets `event` happen at `at_us`, or now if that is past. Events of one time happen in the order of pushing.
    pub(super) fn push(&mut self, at_us: u64, event: Event) {
        self.pushed += 1;
        self.waiting += 1;
        let order = u128::from(at_us.max(self.now_us)) << 64 | u128::from(self.pushed);
        self.sort_in(Due { order, event });
    }

    /// The next event; the clock moves to its time.
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.waiting = self.waiting.checked_sub(1)?;
        while self.due.is_empty() {
            self.open_slot();
        }
        let Due { order, event } = self.due.pop().expect("a slot was opened until one came");
        self.now_us = (order >> 64) as u64;
        Some(event)
    }

    fn sort_in(&mut self, due: Due) {
        let slot = due.slot();
        if slot < self.next_slot {
            self.due.push(due);
        } else if slot < self.next_slot + SLOTS {
            let events = &mut self.slots[(slot % SLOTS) as usize];
            if events.capacity() == 0 {
                *events = self.spare.pop().unwrap_or_default();
            }
            events.push(due);
        } else {
            self.later.push(due);
        }
    }

    /// The next slot's events become due, and the slot after the last one takes its place.
    fn open_slot(&mut self) {
        let mut events = std::mem::take(&mut self.slots[(self.next_slot % SLOTS) as usize]);
        self.due.extend(events.drain(..));
        if events.capacity() > 0 {
            self.spare.push(events);
        }
        self.next_slot += 1;
        while self.later.peek().is_some_and(|due| due.slot() < self.next_slot + SLOTS) {
            let due = self.later.pop().expect("it was just seen");
            self.sort_in(due);
        }
    }
}

impl Due {
    fn slot(&self) -> u64 {
        (self.order >> 64) as u64 >> SLOT_SHIFT
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

    #[test]
    fn near_and_far_events_come_in_order() {
        let mut queue = Queue::default();
        let span_us = SLOTS << SLOT_SHIFT;
        let mut random = crate::random::Random::new(1);
        let mut times: Vec<u64> = (0..10_000).map(|_| random.below(5 * span_us)).collect();
        times.iter().for_each(|&at_us| queue.push(at_us, Event::Sample));
        times.sort_unstable();
        for at_us in times {
            assert!(queue.pop().is_some());
            assert_eq!(queue.now_us(), at_us);
        }
        assert_eq!(queue.pop(), None);
        queue.push(0, Event::Sample);
        assert!(queue.pop().is_some());
    }
}
