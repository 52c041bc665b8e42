//! Sends content a little slower than the line carries it, so that the line's queue stays short: the small documents that
//! a newcomer needs before its first chunk then pass at once, however many others are being served.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::admission::Class;

/// Part of the line's rate that content may take, in thousandths: a full segment carries 1448 of 1514 bytes on Ethernet,
/// the rest is for documents and answers.
const CONTENT_PERMILLE: u64 = 945;
/// Part of the rate that media may take, in thousandths, so that bulk that was begun never stands still.
const MEDIA_PERMILLE: u32 = 950;
/// Bytes that one answer may send in a row. In smaller lots a receiver acknowledges more often.
pub const LOT_BYTES: u64 = 64 << 10;
/// Time not used that may be caught up with.
const CATCH_UP: Duration = Duration::from_millis(5);

/// The rate that content may take of a line.
pub(super) fn content_bytes_s(line_bytes_s: u64) -> u64 {
    line_bytes_s.saturating_mul(CONTENT_PERMILLE) / 1000
}

/// The line: gives each lot its time to leave, in the order of asking, and media before bulk. What bulk was told already
/// stays, so for as long as its queue the line may be asked for more than it should.
#[derive(Debug)]
pub(super) struct Pacer {
    bytes_s: u64,
    free: Mutex<Free>,
}

/// When the line is free for the next lot.
#[derive(Debug)]
struct Free {
    /// Behind everything.
    bulk_at: Instant,
    /// Behind other media.
    media_at: Instant,
}

impl Pacer {
    /// A line that is free from `now` on.
    pub(super) fn new(now: Instant, bytes_s: u64) -> Self {
        Self { bytes_s: bytes_s.max(1), free: Mutex::new(Free { bulk_at: now, media_at: now }) }
    }

    /// Time that so many bytes take.
    pub(super) fn takes(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.bytes_s)
    }

    /// How long bulk, and media, would wait for its turn.
    pub(super) fn waits(&self, now: Instant) -> (Duration, Duration) {
        let free = self.free.lock().expect("nothing panics while it is held");
        (free.bulk_at.saturating_duration_since(now), free.media_at.saturating_duration_since(now))
    }

    /// When so many bytes may leave. Documents may at once, and are only counted.
    fn turn(&self, now: Instant, class: Class, bytes: u64) -> Instant {
        let takes = self.takes(bytes);
        let not_before = now.checked_sub(CATCH_UP).unwrap_or(now);
        let mut free = self.free.lock().expect("nothing panics while it is held");
        let bulk_turn = free.bulk_at.max(not_before);
        free.bulk_at = bulk_turn + takes;
        match class {
            Class::Bulk => bulk_turn,
            Class::Media => {
                let turn = free.media_at.max(not_before);
                free.media_at = turn + takes * 1000 / MEDIA_PERMILLE;
                turn
            }
            Class::Document => now,
        }
    }
}

/// One answer on its way through the line.
#[derive(Debug)]
pub(super) struct Pace {
    pacer: Arc<Pacer>,
    class: Class,
    /// Bytes that may leave at once.
    granted: u64,
    /// Bytes of the answer that no turn was asked for yet.
    left: u64,
}

impl Pace {
    pub(super) fn new(pacer: Arc<Pacer>, class: Class, length: u64) -> Self {
        Self { pacer, class, granted: 0, left: length }
    }

    /// When the next piece may leave; none where it belongs to a lot whose time has come.
    pub(super) fn turn(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let bytes = bytes as u64;
        let mut turn = None;
        if self.granted < bytes {
            let lot = LOT_BYTES.min(self.left).max(bytes - self.granted);
            turn = Some(self.pacer.turn(now, self.class, lot));
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
    use Class::{Bulk, Document, Media};

    /// A line that carries 1000 bytes a millisecond.
    fn line(now: Instant) -> Arc<Pacer> {
        Arc::new(Pacer::new(now, 1_000_000))
    }

    fn pace(pacer: &Arc<Pacer>, class: Class, length: u64) -> Pace {
        Pace::new(pacer.clone(), class, length)
    }

    fn ms(from: Instant, to: Option<Instant>) -> u128 {
        to.expect("a new lot").duration_since(from).as_millis()
    }

    #[test]
    fn answers_take_turns_lot_by_lot() {
        let now = Instant::now();
        let pacer = line(now);
        let [mut first, mut second] = [(); 2].map(|()| pace(&pacer, Bulk, 200_000));
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
        pace(&pacer, Bulk, 10_000).turn(now, 10_000);
        assert_eq!(ms(now, pace(&pacer, Bulk, 10_000).turn(now, 1)), 10);
    }

    #[test]
    fn a_piece_larger_than_a_lot_passes_whole() {
        let now = Instant::now();
        let pacer = line(now);
        let mut large = pace(&pacer, Bulk, 1_000_000);
        assert_eq!(ms(now, large.turn(now, 900_000)), 0);
        assert_eq!(ms(now, large.turn(now, 100_000)), 900);
        assert_eq!(ms(now, pace(&pacer, Bulk, 1).turn(now, 1)), 1000);
    }

    #[test]
    fn an_idle_line_saves_up_a_moment_and_no_more() {
        let start = Instant::now();
        let pacer = line(start);
        let now = start + Duration::from_secs(60);
        let mut paces = (0..3).map(|_| pace(&pacer, Bulk, 4_000).turn(now, 4_000));
        let mut next = || paces.next().flatten().expect("a new lot");
        assert_eq!(now - next(), CATCH_UP);
        assert_eq!(now - next(), Duration::from_millis(1));
        assert!(next() > now);
    }

    #[test]
    fn media_passes_bulk_and_leaves_it_a_little() {
        let now = Instant::now();
        let pacer = line(now);
        let turn = |class, bytes: usize| ms(now, pace(&pacer, class, bytes as u64).turn(now, bytes));
        let waits = || {
            let (bulk, media) = pacer.waits(now);
            (bulk.as_millis(), media.as_millis())
        };
        assert_eq!(turn(Bulk, 50_000), 0);
        assert_eq!(turn(Bulk, 50_000), 50);
        assert_eq!(waits(), (100, 0));
        assert_eq!((turn(Media, 19_000), turn(Media, 19_000)), (0, 20));
        assert_eq!(turn(Document, 1_000), 0);
        assert_eq!(waits(), (139, 40), "bulk waits for all, media for media and a twentieth more");
        assert_eq!(turn(Bulk, 1), 139);
    }
}
