//! One direction between two hosts: its latency, its slow start, and a cap.

use super::wire::{self, Overhead};

/// A direction between two hosts.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) one_way_us: u64,
    pub(super) overhead: Overhead,
    /// Bytes sent so far, which is what slow start has opened.
    window_bytes: u64,
    /// Nothing more goes before this time.
    pub(super) next_at_us: u64,
    bytes_s_max: Option<u64>,
}

/// What a new connection is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) overhead: Overhead,
    /// A cap of the sender's own, in bytes a second.
    pub(super) bytes_s_max: Option<u64>,
}

impl Connection {
    pub(super) fn new(path: Path, one_way_us: u64) -> Self {
        let Path { from, to, overhead, bytes_s_max } = path;
        let window_bytes = overhead.first_window_bytes();
        Self { from, to, one_way_us, overhead, window_bytes, next_at_us: 0, bytes_s_max }
    }

    /// Counts bytes against the window and the cap, and sets when the next may go.
    pub(super) fn sent(&mut self, now_us: u64, wire_bytes: u64) {
        let mut pause_us = 0;
        if self.window_bytes < wire::WINDOW_BYTES_OPEN {
            // A window that doubles each round trip is a rate of window x ln 2 / round trip.
            pause_us = wire_bytes * 2 * self.one_way_us * 1000 / (self.window_bytes * 693);
            self.window_bytes += wire_bytes;
        }
        if let Some(bytes_s) = self.bytes_s_max {
            pause_us = pause_us.max(wire_bytes * 1_000_000 / bytes_s);
        }
        self.next_at_us = now_us + pause_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_double_each_round_trip_and_caps_hold() {
        let check = |one_way_us, bytes_s_max, wire_bytes: u64, expected_us: std::ops::Range<u64>| {
            let path = Path { from: 0, to: 1, overhead: Overhead::Tcp, bytes_s_max };
            let mut connection = Connection::new(path, one_way_us);
            let mut now_us = 0;
            for _ in 0..wire_bytes / 1000 {
                connection.sent(now_us, 1000);
                now_us = connection.next_at_us;
            }
            assert!(expected_us.contains(&now_us), "{one_way_us} {bytes_s_max:?} {wire_bytes}: {now_us}");
        };
        // From 14.7 kB a window reaches 16 times its size, 235 kB, in four round trips.
        check(50_000, None, 221_000, 380_000..420_000);
        check(0, None, 221_000, 0..1);
        check(0, Some(100_000), 221_000, 2_210_000..2_210_001);
        // An open window no longer holds back: the last of the 40 MB go at once.
        check(50_000, None, 40_000_000, 780_000..830_000);
    }
}
