//! What stalls, trickles, waits elsewhere or is late: given up, moved to who would be done sooner, or asked for twice.

use std::collections::{BTreeSet, VecDeque};

use crate::assign::{Assign, mark};
use crate::input::{ChunkIndex, LinkId, RequestId};
use crate::ledger::{Ledger, State};
use crate::limits::{DUPLICATES_PERMILLE, LATE_FACTOR, LATE_US_MIN, TRICKLE_FACTOR, TRICKLE_US_MIN};
use crate::origin::Origin;
use crate::output::Output;
use crate::requests::PeerRequest;
use crate::upload::Shelf;

impl Assign {
    /// Gives up what stalls, and doubles what is late while links are idle. Called at each tick. Who reads no faster than
    /// `bytes_s_max` waits longer for a large chunk.
    pub(crate) fn look_after(
        &mut self,
        now: u64,
        bytes_s_max: Option<u64>,
        ledger: &mut Ledger,
        origin: &Origin,
        outputs: &mut VecDeque<Output>,
    ) {
        let mut failing: BTreeSet<LinkId> =
            self.links.iter().filter(|(_, link)| link.pace.is_stalled(now)).map(|(id, _)| id).collect();
        let is_slow = |request: &PeerRequest, patience_us: u64| {
            let bytes = ledger.bytes(request.chunk);
            let own_us = bytes_s_max.map_or(0, |rate| u64::from(bytes) * 2_000_000 / rate.max(1));
            now - request.asked_us >= patience_us.max(own_us) && request.received < bytes / 2
        };
        // What the links need is looked up only where somebody waited for the least that counts.
        if self.requests.values().any(|request| is_slow(request, TRICKLE_US_MIN)) {
            let patience_us = self.patience_us();
            let trickling = self.requests.values().filter(|request| is_slow(request, patience_us));
            failing.extend(trickling.map(|request| request.link));
        }
        for link in failing {
            let requests = self.requests_on(link);
            self.cancel(ledger, &requests, outputs);
            self.links.get_mut(link).expect("it was just found").pace.let_down(now);
            mark(&mut self.dirty, link);
        }
        if ledger.free().count() == 0 {
            self.double_late(now, ledger, origin, outputs);
        }
    }

    /// How long a request may take before its link counts as trickling: many times what the median link needs.
    fn patience_us(&self) -> u64 {
        let mut services: Vec<u64> = self.links.values().filter_map(|link| link.pace.service_us()).collect();
        services.sort_unstable();
        let median = services.get(services.len() / 2).copied().unwrap_or(0);
        (median * TRICKLE_FACTOR).max(TRICKLE_US_MIN)
    }

    /// End game: an idle link is asked for what waits at another one, or for what another link or the origin will bring
    /// much later than this one would.
    fn double_late(
        &mut self,
        now: u64,
        ledger: &mut Ledger,
        origin: &Origin,
        outputs: &mut VecDeque<Output>,
    ) {
        let chunk_bytes = ledger.mean_bytes();
        let idle: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.pace.outstanding == 0 && link.pace.has_room(now, chunk_bytes))
            .map(|(id, _)| id)
            .collect();
        for id in idle {
            let link = self.links.get(id).expect("it was just found");
            let holds = |chunk| link.has.contains(chunk);
            if let Some((waiting, chunk)) = self.last_waiting(now, ledger, link.pace.expected_us(), holds) {
                self.cancel(ledger, &[waiting], outputs);
                self.ask(now, ledger, id, chunk, outputs);
                continue;
            }
            let late_us = LATE_US_MIN.max(link.pace.expected_us() * LATE_FACTOR);
            let late = self.requests.values().find(|request| {
                now - request.asked_us >= late_us
                    && link.has.contains(request.chunk)
                    && ledger.state(request.chunk) == State::Asked(1)
            });
            let late = late.map(|request| request.chunk);
            let late = late
                .or_else(|| origin.latest_of(ledger, &link.has, link.pace.expected_us().max(LATE_US_MIN)));
            let Some(chunk) = late else { continue };
            let bytes = u64::from(ledger.bytes(chunk));
            if self.duplicate_bytes + bytes > ledger.job_bytes * DUPLICATES_PERMILLE / 1000 {
                return;
            }
            self.duplicate_bytes += bytes;
            self.ask(now, ledger, id, chunk, outputs);
        }
    }

    /// Makes room for the origin where everything missing is asked for: takes back what it would bring sooner, in
    /// `origin_us`. Whether there was such a request.
    pub(crate) fn take_back_last(
        &mut self,
        now: u64,
        ledger: &mut Ledger,
        origin_us: u64,
        outputs: &mut VecDeque<Output>,
    ) -> bool {
        let Some((waiting, _)) = self.last_waiting(now, ledger, origin_us, |_| true) else { return false };
        self.cancel(ledger, &[waiting], outputs);
        true
    }

    /// The request made last of those that wait for their turn at a link, and that another source which `holds` the chunk
    /// would answer sooner, in `other_us`.
    fn last_waiting(
        &self,
        now: u64,
        ledger: &Ledger,
        other_us: u64,
        holds: impl Fn(ChunkIndex) -> bool,
    ) -> Option<(RequestId, ChunkIndex)> {
        let waits = |request: &PeerRequest| {
            let link = self.links.get(request.link).expect("requests end with their link");
            let expected_us = link.pace.expected_us();
            request.received == 0
                && ledger.state(request.chunk) == State::Asked(1)
                && now - request.asked_us + other_us < expected_us
                && holds(request.chunk)
        };
        let last = self.requests.iter().rev().find(|(_, request)| waits(request));
        last.map(|(id, request)| (id, request.chunk))
    }
}
