//! How far a peer is, and how it answers: what both cores know of a link, whatever the peer holds.

use freshet_protocol::Locality;

use crate::estimate::{Average, Rate};
use crate::limits::{
    DEPTH_COVER_US, DEPTH_MAX, DEPTH_MIN, REST_DOUBLINGS_MAX, REST_US, STALL_US, UNKNOWN_BYTES_S,
};

/// The pace of one link.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) locality: Locality,
    rtt_us: u64,
    /// Own requests not yet ended.
    pub(crate) outstanding: u32,
    rate: Rate,
    /// Time from asking to the end of a request.
    service_us: Average,
    /// Last time that bytes came, or that the first of several requests was made.
    last_bytes_us: u64,
    rest_until: u64,
    /// How often in a row the link let requests down; each time it rests twice as long.
    letdowns: u32,
    /// The peer hands out nothing more.
    pub(crate) is_exhausted: bool,
}

impl Pace {
    pub(crate) fn new(locality: Locality, rtt_us: u64, now: u64) -> Self {
        Self {
            locality,
            rtt_us,
            outstanding: 0,
            rate: Rate::default(),
            service_us: Average::default(),
            last_bytes_us: now,
            rest_until: 0,
            letdowns: 0,
            is_exhausted: false,
        }
    }

    pub(crate) fn rtt_us(&self) -> u64 {
        self.rtt_us
    }

    /// A request goes out.
    pub(crate) fn asked(&mut self, now: u64) {
        if self.outstanding == 0 {
            self.rate.begin(now);
            self.last_bytes_us = now;
        }
        self.outstanding += 1;
    }

    /// Bytes came in.
    pub(crate) fn received(&mut self, now: u64, bytes: u64) {
        self.rate.add(now, bytes);
        self.last_bytes_us = now;
    }

    /// A request is over; `served_us` after it was asked, where it was answered in full.
    pub(crate) fn ended(&mut self, served_us: Option<u64>) {
        self.outstanding -= 1;
        if let Some(served_us) = served_us {
            self.service_us.add(served_us);
            self.letdowns = 0;
        }
    }

    /// Leaves the link alone for a while.
    pub(crate) fn rest(&mut self, now: u64, time_us: u64) {
        self.rest_until = self.rest_until.max(now + time_us);
    }

    /// The link stalled or trickled: it rests, longer each time.
    pub(crate) fn let_down(&mut self, now: u64) {
        self.rest(now, REST_US << self.letdowns.min(REST_DOUBLINGS_MAX));
        self.letdowns += 1;
    }

    pub(crate) fn is_resting(&self, now: u64) -> bool {
        self.is_exhausted || now < self.rest_until
    }

    /// Whether any request may go out now.
    pub(crate) fn has_room(&self, now: u64, chunk_bytes: u64) -> bool {
        !self.is_resting(now) && self.outstanding < self.depth(chunk_bytes)
    }

    /// Requests that keep the path full: rate times round trip, and a little for turning around.
    fn depth(&self, chunk_bytes: u64) -> u32 {
        if self.letdowns > 0 {
            return 1;
        }
        let flight =
            self.rate.bytes_s().unwrap_or(0).saturating_mul(self.rtt_us + DEPTH_COVER_US) / 1_000_000;
        ((flight / chunk_bytes) as u32).saturating_add(DEPTH_MIN).min(DEPTH_MAX)
    }

    /// Time that one more request would take, as far as is known.
    pub(crate) fn expected_us(&self) -> u64 {
        self.service_us.get().unwrap_or(self.rtt_us + 500_000)
    }

    /// Time after which a further request for `bytes` would be answered, behind those that are out.
    pub(crate) fn expected_after_us(&self, bytes: u64) -> u64 {
        let rate = self.rate.bytes_s().unwrap_or(UNKNOWN_BYTES_S).max(1);
        self.rtt_us + (u64::from(self.outstanding) + 1).saturating_mul(bytes).saturating_mul(1_000_000) / rate
    }

    /// Mean time from asking to the end of a request, where one was answered.
    pub(crate) fn service_us(&self) -> Option<u64> {
        self.service_us.get()
    }

    /// Bytes a second, for comparing links.
    pub(crate) fn bytes_s(&self) -> u64 {
        self.rate.bytes_s().unwrap_or(0)
    }

    /// Whether requests are out and nothing comes, for longer than this link's own pace explains.
    pub(crate) fn is_stalled(&self, now: u64) -> bool {
        let patience_us = STALL_US.max(self.service_us.get().unwrap_or(0) * 4);
        self.outstanding > 0 && now.saturating_sub(self.last_bytes_us) >= patience_us
    }
}
