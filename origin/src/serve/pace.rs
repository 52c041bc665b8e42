//! Sends content a little slower than the line carries it, so that the line's queue stays short: the small documents that
//! a newcomer needs before its first chunk then pass at once, however many others are being served.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// Part of the line's rate that content may take, in thousandths: a full segment carries 1448 of 1514 bytes on Ethernet,
/// the rest is for documents and answers.
const CONTENT_PERMILLE: u64 = 945;
/// Bytes that one answer may send in a row. In smaller lots a receiver acknowledges more often.
const LOT_BYTES: u64 = 64 << 10;
/// Time not used that may be caught up with.
const CATCH_UP: Duration = Duration::from_millis(5);

/// The line: gives each lot its time to leave, in the order of asking.
#[derive(Debug)]
pub(super) struct Pacer {
    bytes_s: u64,
    free_at: Mutex<Instant>,
}

impl Pacer {
    /// A line that is free from `now` on.
    pub(super) fn new(now: Instant, line_bytes_s: u64) -> Self {
        let bytes_s = (line_bytes_s.saturating_mul(CONTENT_PERMILLE) / 1000).max(1);
        Self { bytes_s, free_at: Mutex::new(now) }
    }

    /// When so many bytes may leave.
    fn turn(&self, now: Instant, bytes: u64) -> Instant {
        let takes = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.bytes_s);
        let mut free_at = self.free_at.lock().expect("nothing panics while it is held");
        let turn = (*free_at).max(now.checked_sub(CATCH_UP).unwrap_or(now));
        *free_at = turn + takes;
        turn
    }
}

/// One answer on its way through the line.
#[derive(Debug)]
pub(super) struct Pace {
    pacer: Arc<Pacer>,
    /// Bytes that may leave at once.
    granted: u64,
    /// Bytes of the answer that no turn was asked for yet.
    left: u64,
}

impl Pace {
    pub(super) fn new(pacer: Arc<Pacer>, length: u64) -> Self {
        Self { pacer, granted: 0, left: length }
    }

    /// When the next piece may leave; none where it belongs to a lot whose time has come.
    pub(super) fn turn(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let bytes = bytes as u64;
        let mut turn = None;
        if self.granted < bytes {
            let lot = LOT_BYTES.min(self.left).max(bytes - self.granted);
            turn = Some(self.pacer.turn(now, lot));
            self.granted += lot;
            self.left = self.left.saturating_sub(lot);
        }
        self.granted -= bytes;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line on which content may take 1000 bytes a millisecond.
    fn line(now: Instant) -> Arc<Pacer> {
        Arc::new(Pacer::new(now, 1_000_000 * 1000 / CONTENT_PERMILLE + 1))
    }

    fn ms(from: Instant, to: Option<Instant>) -> u128 {
        to.expect("a new lot").duration_since(from).as_millis()
    }

    #[test]
    fn answers_take_turns_lot_by_lot() {
        let now = Instant::now();
        let pacer = line(now);
        let [mut first, mut second] = [(); 2].map(|()| Pace::new(pacer.clone(), 200_000));
        let piece = LOT_BYTES as usize / 2;
        assert_eq!(ms(now, first.turn(now, piece)), 0);
        assert_eq!(first.turn(now, piece), None, "the lot holds two");
        assert_eq!(ms(now, second.turn(now, piece)), 65);
        assert_eq!(ms(now, first.turn(now, piece)), 131);
    }

    #[test]
    fn nothing_is_granted_beyond_the_end() {
        let now = Instant::now();
        let pacer = line(now);
        Pace::new(pacer.clone(), 10_000).turn(now, 10_000);
        assert_eq!(ms(now, Pace::new(pacer, 10_000).turn(now, 1)), 10);
    }

    #[test]
    fn a_piece_larger_than_a_lot_passes_whole() {
        let now = Instant::now();
        let pacer = line(now);
        let mut pace = Pace::new(pacer.clone(), 1_000_000);
        assert_eq!(ms(now, pace.turn(now, 900_000)), 0);
        assert_eq!(ms(now, pace.turn(now, 100_000)), 900);
        assert_eq!(ms(now, Pace::new(pacer, 1).turn(now, 1)), 1000);
    }

    #[test]
    fn an_idle_line_saves_up_a_moment_and_no_more() {
        let start = Instant::now();
        let pacer = line(start);
        let now = start + Duration::from_secs(60);
        let mut paces = (0..3).map(|_| Pace::new(pacer.clone(), 4_000).turn(now, 4_000));
        let mut next = || paces.next().flatten().expect("a new lot");
        assert_eq!(now - next(), CATCH_UP);
        assert_eq!(now - next(), Duration::from_millis(1));
        assert!(next() > now);
    }
}
