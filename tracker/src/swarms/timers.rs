//! When which part wants to be woken.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::PeerId;

/// Who set a timer; each has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A pair without an outcome.
    Pair(u64),
    /// The next ticket of a client.
    Ticket(PeerId),
    /// Leases and notices of a swarm.
    Swarm(u64),
    /// The next digest of a swarm for other trackers.
    Digest(u64),
    /// The next sign of life for other trackers.
    Alive,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(u64, Timer)>,
    due: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets, moves or (with `None`) clears a timer.
    pub(super) fn set(&mut self, timer: Timer, due_us: Option<u64>) {
        if self.due.get(&timer).copied() == due_us {
            return;
        }
        if let Some(old) = self.due.remove(&timer) {
            self.queue.remove(&(old, timer));
        }
        if let Some(due) = due_us {
            self.due.insert(timer, due);
            self.queue.insert((due, timer));
        }
    }

    /// When a timer ends.
    pub(super) fn due(&self, timer: Timer) -> Option<u64> {
        self.due.get(&timer).copied()
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.queue.first().map(|&(due, _)| due)
    }

    /// Takes the first timer that is due at `now_us`.
    pub(super) fn pop(&mut self, now_us: u64) -> Option<Timer> {
        let &(due, timer) = self.queue.first()?;
        if due > now_us {
            return None;
        }
        self.set(timer, None);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_movable() {
        let mut timers = Timers::default();
        timers.set(Timer::Pair(1), Some(30));
        timers.set(Timer::Pair(2), Some(20));
        timers.set(Timer::Swarm(1), Some(10));
        timers.set(Timer::Swarm(1), None);
        timers.set(Timer::Pair(2), Some(40));
        assert_eq!(timers.next(), Some(30));
        assert_eq!(timers.pop(29), None);
        assert_eq!(timers.pop(40), Some(Timer::Pair(1)));
        assert_eq!(timers.pop(40), Some(Timer::Pair(2)));
        assert_eq!(timers.pop(40), None);
    }
}
