//! Decides how the socket notices datagrams: by the system's event queue, or by the clock.

use std::time::Duration;

use tokio::time::Instant;

/// How long datagrams gather. It adds to the round-trip time, so it is small against those of homes, 5 to 50 ms.
pub(super) const GATHER_TIME: Duration = Duration::from_millis(2);
/// Most that may come in that time: above it, systems' smallest receive buffers (208 KiB, less their own heads) could
/// overflow.
const GATHER_BYTES_MAX: usize = 64 << 10;
/// How long the queue's wake-ups are counted.
const COUNT_TIME: Duration = Duration::from_millis(20);
/// So many in that time are too many.
const WAKE_UPS_MAX: u32 = 8;
/// Readings by the clock in a row, with nothing received or sent since the last, before the socket counts as quiet.
const EMPTY_MAX: u32 = 4;

/// By what the next datagram is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// At once, at the price of a wake-up.
    Queue,
    /// Up to [`GATHER_TIME`] later, together with those that come meanwhile.
    Clock,
}

/// What came lately.
#[derive(Debug)]
pub(super) struct Gather {
    by: By,
    /// Start of the count.
    since: Instant,
    /// Receives and sends since then, or since the last reading by the clock. The queue wakes for both.
    wake_ups: u32,
    /// Bytes received since then, or since the last reading by the clock.
    bytes: usize,
    empty: u32,
}

impl Gather {
    pub(super) fn new(now: Instant) -> Self {
        Self { by: By::Queue, since: now, wake_ups: 0, bytes: 0, empty: 0 }
    }

    pub(super) fn by(&self) -> By {
        self.by
    }

    /// So many bytes came at once, and so many sends were made since the last call.
    pub(super) fn received(&mut self, bytes: usize, sends: u32, now: Instant) {
        self.bytes += bytes;
        self.wake_ups += sends;
        if self.by == By::Clock {
            return;
        }
        self.wake_ups += 1;
        let counted = now - self.since;
        if counted < COUNT_TIME {
            return;
        }
        let often = self.wake_ups > WAKE_UPS_MAX && counted < COUNT_TIME * 2;
        // Half of what gathering ends at, so that a steady rate does not go to and fro.
        let bytes_max = GATHER_BYTES_MAX as u128 * counted.as_nanos() / GATHER_TIME.as_nanos() / 2;
        let by = if often && self.bytes as u128 <= bytes_max { By::Clock } else { By::Queue };
        *self = Self { by, ..Self::new(now) };
    }

    /// A reading by the clock has found the socket empty, at first or in the end; so many sends were made meanwhile.
    pub(super) fn emptied(&mut self, sends: u32, now: Instant) {
        let is_quiet = self.bytes == 0 && self.wake_ups + sends == 0;
        self.empty = if is_quiet { self.empty + 1 } else { 0 };
        if self.empty >= EMPTY_MAX || self.bytes > GATHER_BYTES_MAX {
            *self = Self::new(now);
        }
        (self.bytes, self.wake_ups) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Datagrams of 1200 bytes through the queue, `per_s` a second for a second, with so many sends for each; by what
    /// the next is noticed.
    fn after(per_s: u32, sends: u32) -> By {
        let start = Instant::now();
        let mut gather = Gather::new(start);
        for number in 1..=per_s {
            if gather.by() == By::Queue {
                gather.received(1200, sends, start + Duration::from_secs(1) * number / per_s);
            }
        }
        gather.by()
    }

    fn gathering() -> Gather {
        Gather { by: By::Clock, ..Gather::new(Instant::now()) }
    }

    #[test]
    fn what_comes_steadily_gathers() {
        assert_eq!(after(100, 0), By::Queue);
        assert_eq!(after(100, 10), By::Clock, "each send that leaves wakes as well");
        assert_eq!(after(2_000, 0), By::Clock);
        assert_eq!(after(10_000, 0), By::Clock);
        assert_eq!(after(50_000, 0), By::Queue, "60 MB/s gather by themselves");
    }

    #[test]
    fn a_quiet_socket_answers_at_once() {
        let mut gather = gathering();
        let now = Instant::now();
        gather.received(1200, 0, now);
        gather.emptied(0, now);
        for _ in 1..EMPTY_MAX {
            gather.emptied(0, now);
            assert_eq!(gather.by(), By::Clock);
        }
        gather.emptied(0, now);
        assert_eq!(gather.by(), By::Queue);
    }

    #[test]
    fn a_datagram_now_and_then_keeps_it_gathering() {
        let mut gather = gathering();
        let now = Instant::now();
        for _ in 0..100 {
            (1..EMPTY_MAX).for_each(|_| gather.emptied(0, now));
            gather.received(1200, 0, now);
            gather.emptied(0, now);
        }
        (0..100).for_each(|_| gather.emptied(1, now));
        assert_eq!(gather.by(), By::Clock);
    }

    #[test]
    fn a_fast_socket_is_not_kept_waiting() {
        let mut gather = gathering();
        let now = Instant::now();
        gather.received(GATHER_BYTES_MAX, 0, now);
        gather.emptied(0, now);
        assert_eq!(gather.by(), By::Clock);
        gather.received(GATHER_BYTES_MAX + 1, 0, now);
        gather.emptied(0, now);
        assert_eq!(gather.by(), By::Queue);
    }
}
