//! Who is served when more is asked for than may be sent, and who is told to come back, and when. Without a clock and IO, so
//! that the simulator asks the same.
//!
//! Bulk is refused first and media last. Who is refused is booked in, one behind the other and with twice the time that the
//! answer would take: so a crowd that was refused in one moment does not come back in one, and half of the line is left to
//! those who come back and go on. Fewer requests are refused by that than are served, however many ask.

/// What a request is for. Those further down are refused later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Packs and files: a download can wait.
    Bulk,
    /// Segments of streams: somebody watches.
    Media,
    /// What is needed before anything else, and is small: pointers, keys, manifests, playlists, entries.
    Document,
}

/// What an origin may send at most. Without caps it refuses only what its line, where its rate is known, would keep waiting for
/// seconds, and for want of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// Body bytes a second.
    pub bytes_s_max: Option<u64>,
    /// Requests a second, refused ones not counted.
    pub requests_s_max: Option<u64>,
}

/// What the origin is doing when a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How long bulk that is being sent waits for its turn on the line.
    pub bulk_wait_us: u64,
    /// How long media does.
    pub media_wait_us: u64,
    /// Part of the requests that may be answered at once which more could be, in thousandths.
    pub places_free_permille: u64,
}

/// A refusal: come back after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComeBack {
    /// At least 1.
    pub after_s: u64,
}

/// How long an answer may wait for its turn when bulk, or media, is still let in. Each bulk answer gets 64 KiB in that time,
/// 2 Mbit/s; with more of them each would get too little to be of use.
const BULK_WAIT_US_MAX: u64 = 250_000;
const MEDIA_WAIT_US_MAX: u64 = 1_000_000;
/// The same where there is no cap, but a line whose rate is known: after 10 s of silence a client takes the origin for dead.
const LINE_WAIT_US_MAX: u64 = 6_000_000;
/// Requests ahead of their rate, as time, when bulk, media and documents are still let in.
const AHEAD_US_MAX: [u64; CLASSES] = [500_000, 1_000_000, 2_000_000];
/// Part of the places that is kept from bulk, and from media, in thousandths.
const PLACES_KEPT_PERMILLE: [u64; CLASSES] = [250, 60, 0];
/// Who comes back is booked in with so many times what the answer takes.
const BOOKED_FACTOR: u64 = 2;
/// Least time that one refusal is booked in with.
const BOOKED_US_MIN: u64 = 1_000;
/// Most bytes that one refusal is booked in with: who wants more comes in ranges, or at its own pace.
const BOOKED_BYTES_MAX: u64 = 4 << 20;
/// The last time that anybody is booked in for.
const AFTER_US_MAX: u64 = 300_000_000;

const CLASSES: usize = 3;

/// Decides about each request.
#[derive(Debug, Default)]
pub struct Admission {
    caps: Caps,
    /// Rate of the line, where it is known.
    line_bytes_s: Option<u64>,
    /// When the requests that were let in would all have come, at the rate that they may come at.
    requests_until_us: u64,
    /// When the last one refused is booked in, by class.
    booked_until_us: [u64; CLASSES],
}

impl Admission {
    /// Nothing was asked for yet. The line's rate, in bytes a second, where it is known.
    pub fn new(caps: Caps, line_bytes_s: Option<u64>) -> Self {
        Self { caps, line_bytes_s, ..Self::default() }
    }

    /// Lets a request for about so many bytes in, or says when to come back.
    ///
    /// # Errors
    /// [`ComeBack`] where its class has to wait.
    pub fn admit(&mut self, now_us: u64, class: Class, bytes: u64, load: &Load) -> Result<(), ComeBack> {
        if self.is_full(now_us, class, load) {
            return Err(self.book(now_us, class, bytes));
        }
        if let Some(requests_s) = self.caps.requests_s_max {
            self.requests_until_us = self.requests_until_us.max(now_us) + 1_000_000 / requests_s.max(1);
        }
        Ok(())
    }

    fn is_full(&self, now_us: u64, class: Class, load: &Load) -> bool {
        let [bulk_us_max, media_us_max] = match (self.caps.bytes_s_max, self.line_bytes_s) {
            (Some(_), _) => [BULK_WAIT_US_MAX, MEDIA_WAIT_US_MAX],
            (None, Some(_)) => [LINE_WAIT_US_MAX; 2],
            (None, None) => [u64::MAX; 2],
        };
        let is_line_full = match class {
            Class::Bulk => load.bulk_wait_us > bulk_us_max,
            Class::Media => load.media_wait_us > media_us_max,
            Class::Document => false,
        };
        let ahead_us = self.requests_until_us.saturating_sub(now_us);
        let is_rate_full = self.caps.requests_s_max.is_some() && ahead_us > AHEAD_US_MAX[class as usize];
        is_line_full || is_rate_full || load.places_free_permille <= PLACES_KEPT_PERMILLE[class as usize]
    }

    fn book(&mut self, now_us: u64, class: Class, bytes: u64) -> ComeBack {
        let bytes = bytes.min(BOOKED_BYTES_MAX);
        let rate = self.caps.bytes_s_max.or(self.line_bytes_s);
        let line_us = rate.map_or(0, |bytes_s| bytes * 1_000_000 / bytes_s.max(1));
        let rate_us = self.caps.requests_s_max.map_or(0, |requests_s| 1_000_000 / requests_s.max(1));
        let takes_us = line_us.max(rate_us).max(BOOKED_US_MIN);
        let booked = &mut self.booked_until_us[class as usize];
        *booked = ((*booked).max(now_us) + BOOKED_FACTOR * takes_us).min(now_us + AFTER_US_MAX);
        ComeBack { after_s: (*booked - now_us).div_ceil(1_000_000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Bulk, Document, Media};

    const IDLE: Load = Load { bulk_wait_us: 0, media_wait_us: 0, places_free_permille: 1000 };
    const MB: u64 = 1_000_000;

    #[test]
    fn bulk_is_refused_first_and_media_last() {
        let caps = Caps { bytes_s_max: Some(MB), requests_s_max: None };
        let check_line = |caps, line_bytes_s, load: Load, served: &[Class]| {
            for class in [Bulk, Media, Document] {
                let result = Admission::new(caps, line_bytes_s).admit(7 * MB, class, 1000, &load);
                assert_eq!(result.is_ok(), served.contains(&class), "{class:?} {load:?}");
            }
        };
        let check = |caps, load, served: &[Class]| check_line(caps, None, load, served);
        let line = |bulk_wait_us, media_wait_us| Load { bulk_wait_us, media_wait_us, ..IDLE };
        let places = |places_free_permille| Load { places_free_permille, ..IDLE };
        check(caps, IDLE, &[Bulk, Media, Document]);
        check(caps, line(BULK_WAIT_US_MAX, 0), &[Bulk, Media, Document]);
        check(caps, line(BULK_WAIT_US_MAX + 1, 0), &[Media, Document]);
        check(caps, line(u64::MAX, MEDIA_WAIT_US_MAX), &[Media, Document]);
        check(caps, line(u64::MAX, MEDIA_WAIT_US_MAX + 1), &[Document]);
        check(Caps::default(), line(u64::MAX, u64::MAX), &[Bulk, Media, Document]);
        let long = LINE_WAIT_US_MAX;
        check_line(Caps::default(), Some(MB), line(long, long), &[Bulk, Media, Document]);
        check_line(Caps::default(), Some(MB), line(long + 1, long), &[Media, Document]);
        check_line(Caps::default(), Some(MB), line(long + 1, long + 1), &[Document]);
        check_line(caps, Some(MB), line(BULK_WAIT_US_MAX + 1, 0), &[Media, Document]);
        check(Caps::default(), places(251), &[Bulk, Media, Document]);
        check(Caps::default(), places(250), &[Media, Document]);
        check(Caps::default(), places(60), &[Document]);
        check(Caps::default(), places(0), &[]);
    }

    #[test]
    fn requests_have_a_rate_with_a_reserve_for_each_class() {
        let mut admission = Admission::new(Caps { bytes_s_max: None, requests_s_max: Some(100) }, None);
        let mut check = |now_us, class, expected: usize| {
            let served = (0..1000).take_while(|_| admission.admit(now_us, class, 0, &IDLE).is_ok()).count();
            assert_eq!(served, expected, "{class:?} at {now_us}");
        };
        check(0, Bulk, 51);
        check(0, Bulk, 0);
        check(0, Media, 50);
        check(0, Document, 100);
        check(0, Document, 0);
        // As time passes there is room again.
        check(MB, Media, 0);
        check(MB + 10_000, Media, 1);
        check(3 * MB, Bulk, 51);
    }

    #[test]
    fn who_is_refused_comes_back_one_after_the_other() {
        let check = |caps: Caps, bytes, nth: usize, expected_s| {
            let mut admission = Admission::new(caps, None);
            let full = Load { places_free_permille: 0, ..IDLE };
            let mut refused = || admission.admit(5 * MB, Bulk, bytes, &full).expect_err("full").after_s;
            for _ in 1..nth {
                refused();
            }
            assert_eq!(refused(), expected_s, "{caps:?} {bytes} {nth}");
        };
        let line = |bytes_s| Caps { bytes_s_max: Some(bytes_s), requests_s_max: None };
        let rate = |requests_s| Caps { bytes_s_max: None, requests_s_max: Some(requests_s) };
        check(line(MB), 1, 1, 1);
        check(line(MB), 500_000, 1, 1);
        check(line(MB), 500_000, 2, 2);
        check(line(MB), 500_000, 100, 100);
        check(line(MB), u64::MAX, 1, 9);
        check(line(MB), 500_000, 10_000, 300);
        check(line(0), u64::MAX, 3, 300);
        check(rate(10), u64::MAX, 10, 2);
        check(rate(10), u64::MAX, 100, 20);
        check(Caps::default(), u64::MAX, 1, 1);
        check(Caps::default(), u64::MAX, 1000, 2);
    }

    #[test]
    fn bookings_are_worked_off_and_each_class_has_its_own() {
        let caps = Caps { bytes_s_max: Some(MB), requests_s_max: None };
        let mut admission = Admission::new(caps, None);
        let full = Load { places_free_permille: 0, ..IDLE };
        let mut after_s =
            |now_us, class| admission.admit(now_us, class, MB, &full).expect_err("full").after_s;
        assert_eq!((after_s(0, Bulk), after_s(0, Bulk), after_s(0, Media)), (2, 4, 2));
        assert_eq!((after_s(3 * MB, Bulk), after_s(60 * MB, Bulk)), (3, 2));
    }
}
