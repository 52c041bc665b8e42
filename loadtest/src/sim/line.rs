//! One direction of a host's access line: it carries bytes at its rate, one after the other.

/// A line that is busy until `free_at_us`.
#[derive(Debug, Clone)]
pub(super) struct Line {
    bytes_s: u64,
    /// What rounding to microseconds left over, so that long runs carry exactly the line's rate.
    carry: u64,
    free_at_us: u64,
    busy_us: u64,
    pub(super) wire_bytes: u64,
}

impl Line {
    pub(super) fn new(bytes_s: u64) -> Self {
        Self { bytes_s: bytes_s.max(1), carry: 0, free_at_us: 0, busy_us: 0, wire_bytes: 0 }
    }

    /// Time that `wire_bytes` occupy the line, in microseconds.
    pub(super) fn time_us(&self, wire_bytes: u64) -> u64 {
        wire_bytes * 1_000_000 / self.bytes_s
    }

    /// How long the queue in front of the line is, in microseconds.
    pub(super) fn backlog_us(&self, now_us: u64) -> u64 {
        self.free_at_us.saturating_sub(now_us)
    }

    /// When the line is free.
    pub(super) fn free_at_us(&self) -> u64 {
        self.free_at_us
    }

    /// How long the line was busy until `now_us`, in microseconds.
    pub(super) fn busy_us(&self, now_us: u64) -> u64 {
        self.busy_us - self.backlog_us(now_us)
    }

    /// Puts bytes at the end of the queue; returns when their last bit is through. They may have begun to come in at
    /// `from_us`, which lies in the past where a slower line feeds this one.
    pub(super) fn carry(&mut self, from_us: u64, wire_bytes: u64) -> u64 {
        let scaled = wire_bytes * 1_000_000 + self.carry;
        let time_us = scaled / self.bytes_s;
        self.carry = scaled % self.bytes_s;
        self.free_at_us = self.free_at_us.max(from_us) + time_us;
        self.busy_us += time_us;
        self.wire_bytes += wire_bytes;
        self.free_at_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_exactly_its_rate() {
        let mut line = Line::new(3_000_007);
        for _ in 0..30_000 {
            line.carry(0, 1000);
        }
        assert_eq!(line.free_at_us(), 30_000_000_u64 * 1_000_000 / 3_000_007);
        assert_eq!(line.busy_us(line.free_at_us()), line.free_at_us());
    }

    #[test]
    fn bytes_queue_behind_each_other() {
        let mut line = Line::new(1_000_000);
        assert_eq!(line.carry(10, 100), 110);
        assert_eq!(line.carry(10, 100), 210);
        assert_eq!(line.backlog_us(60), 150);
        assert_eq!(line.busy_us(60), 50);
        assert_eq!(line.carry(500, 100), 600);
    }
}
