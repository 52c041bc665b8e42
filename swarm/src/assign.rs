//! Which link is asked for what; `late` decides when a request is given up, moved or doubled.

mod late;

use std::collections::VecDeque;
use std::ops::Range;

use freshet_protocol::Locality;

use crate::by_id::ById;
use crate::input::{ChunkIndex, LinkId, Refusal, RequestEnd, RequestId};
use crate::ledger::{Ledger, State};
use crate::limits::{BUSY_US, LINKS_MAX};
use crate::link::Link;
use crate::output::Output;
use crate::pace::Pace;
use crate::pick::Picker;
use crate::requests::{PeerRequest, Requests};
use crate::upload::{Neighbours, Shelf};

/// All links and the requests on them.
#[derive(Debug)]
pub(crate) struct Assign {
    links: ById<LinkId, Link>,
    /// Links that may be asked for more than at the last look, each once.
    dirty: Vec<LinkId>,
    rtt_us_max: u64,
    requests: Requests,
    duplicate_bytes: u64,
}

impl Assign {
    pub(crate) fn new() -> Self {
        Self {
            links: ById::default(),
            dirty: Vec::new(),
            rtt_us_max: 0,
            requests: Requests::default(),
            duplicate_bytes: 0,
        }
    }

    /// Whether the link could be taken.
    pub(crate) fn link_up(
        &mut self,
        now: u64,
        link: LinkId,
        len: u32,
        locality: Locality,
        rtt_us: u64,
    ) -> bool {
        if self.links.len() >= LINKS_MAX || self.links.contains(link) {
            return false;
        }
        self.links.insert(link, Link::new(len, Pace::new(locality, rtt_us, now)));
        self.rtt_us_max = self.rtt_us_max.max(rtt_us);
        true
    }

    pub(crate) fn link_down(&mut self, ledger: &mut Ledger, link: LinkId) {
        let Some(gone) = self.links.remove(link) else { return };
        self.dirty.retain(|&dirty| dirty != link);
        self.rtt_us_max = self.links.values().map(|link| link.pace.rtt_us()).max().unwrap_or(0);
        gone.has.iter().for_each(|chunk| ledger.remove_holder(chunk));
        for request in self.requests_on(link) {
            self.drop_request(ledger, request);
        }
    }

    pub(crate) fn has_link(&self, link: LinkId) -> bool {
        self.links.contains(link)
    }

    /// Mean of how far the peers are, in thousandths of the release; none without links.
    pub(crate) fn mean_progress(&self) -> Option<u64> {
        self.links.values().map(|link| link.has.permille()).sum::<u64>().checked_div(self.links.len() as u64)
    }

    /// Whether any link could be asked, now or soon.
    pub(crate) fn has_useful_link(&self, now: u64) -> bool {
        self.links.values().any(|link| !link.pace.is_resting(now) && link.has.count() > 0)
    }

    pub(crate) fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    pub(crate) fn request_count(&self) -> u64 {
        self.requests.values().count() as u64
    }

    /// Whether some neighbour fetches the position from the origin.
    pub(crate) fn is_fetched_nearby(&self, chunk: ChunkIndex) -> bool {
        self.links.values().any(|link| link.fetching.iter().any(|range| range.contains(&chunk)))
    }

    pub(crate) fn have(&mut self, ledger: &mut Ledger, link: LinkId, ranges: &[Range<u32>]) {
        let Some(entry) = self.links.get_mut(link) else { return };
        let mut has_free = false;
        for chunk in within(entry.has.len(), ranges) {
            if entry.has.insert(chunk) {
                ledger.add_holder(chunk);
                has_free |= ledger.free().contains(chunk);
            }
        }
        if has_free {
            mark(&mut self.dirty, link);
        }
    }

    pub(crate) fn withdraw(&mut self, ledger: &mut Ledger, link: LinkId, ranges: &[Range<u32>]) {
        let Some(link) = self.links.get_mut(link) else { return };
        for chunk in within(link.has.len(), ranges) {
            if link.has.remove(chunk) {
                ledger.remove_holder(chunk);
            }
        }
    }

    pub(crate) fn fetching(&mut self, link: LinkId, ranges: Vec<Range<u32>>) {
        if let Some(link) = self.links.get_mut(link) {
            link.fetching = ranges;
        }
    }

    pub(crate) fn progress(&mut self, now: u64, request: RequestId, bytes: u32) {
        let Some(request) = self.requests.progress(request, bytes) else { return };
        if let Some(link) = self.links.get_mut(request.link) {
            link.pace.received(now, u64::from(bytes));
        }
    }

    /// A request ended. The link and position it was about, unless it is not known (any more).
    pub(crate) fn ended(
        &mut self,
        now: u64,
        ledger: &mut Ledger,
        request: RequestId,
        end: RequestEnd,
    ) -> Option<(LinkId, ChunkIndex)> {
        let PeerRequest { link: link_id, chunk, asked_us, received } = self.requests.ended(request)?;
        mark(&mut self.dirty, link_id);
        let link = self.links.get_mut(link_id).expect("requests end with their link");
        let whole = ledger.bytes(chunk);
        match end {
            RequestEnd::Verified => {
                link.pace.received(now, u64::from(whole.saturating_sub(received)));
                link.pace.ended(Some(now - asked_us));
                return Some((link_id, chunk));
            }
            RequestEnd::Corrupt => {
                link.pace.ended(None);
                ledger.waste_corrupt(u64::from(whole));
            }
            RequestEnd::Failed => {
                link.pace.ended(None);
                link.pace.rest(now, BUSY_US);
                ledger.waste(u64::from(received));
            }
            RequestEnd::Refused(refusal) => {
                link.pace.ended(None);
                match refusal {
                    Refusal::Busy => link.pace.rest(now, BUSY_US),
                    Refusal::Exhausted => link.pace.is_exhausted = true,
                    Refusal::NotHeld => {
                        if link.has.remove(chunk) {
                            ledger.remove_holder(chunk);
                        }
                    }
                }
            }
        }
        self.give_up(ledger, chunk);
        Some((link_id, chunk))
    }

    /// A chunk came in: other requests for it are taken back.
    pub(crate) fn take_back(
        &mut self,
        ledger: &mut Ledger,
        chunk: ChunkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let others = self.requests.ids_where(|request| request.chunk == chunk);
        self.cancel(ledger, &others, outputs);
    }

    /// Takes back everything.
    pub(crate) fn take_back_all(&mut self, ledger: &mut Ledger, outputs: &mut VecDeque<Output>) {
        let all = self.requests.ids_where(|_| true);
        self.cancel(ledger, &all, outputs);
    }

    /// Asks each link that has room, one chunk a round and `most` in all, nearest and fastest links first.
    pub(crate) fn fill(
        &mut self,
        now: u64,
        mut most: u64,
        ledger: &mut Ledger,
        picker: &mut Picker,
        outputs: &mut VecDeque<Output>,
    ) {
        if self.dirty.is_empty() || most == 0 {
            return;
        }
        let rank = |id| {
            let link = self.links.get(id).expect("links are unmarked when they go");
            (link.pace.locality, u64::MAX - link.pace.bytes_s(), id)
        };
        let mut order: Vec<(Locality, u64, LinkId)> = self.dirty.drain(..).map(rank).collect();
        order.sort_unstable();
        let chunk_bytes = ledger.mean_bytes();
        while !order.is_empty() {
            order.retain(|&(_, _, id)| {
                if most == 0 {
                    self.dirty.push(id);
                    return false;
                }
                let link = self.links.get_mut(id).expect("the list is of links");
                let picked =
                    link.pace.has_room(now, chunk_bytes).then(|| picker.pick(ledger, &link.has)).flatten();
                let Some(chunk) = picked else {
                    // A resting link is looked at again by the tick.
                    if link.pace.is_resting(now) && !link.pace.is_exhausted {
                        self.dirty.push(id);
                    }
                    return false;
                };
                self.ask(now, ledger, id, chunk, outputs);
                most -= 1;
                true
            });
        }
    }

    fn ask(
        &mut self,
        now: u64,
        ledger: &mut Ledger,
        id: LinkId,
        chunk: ChunkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        ledger.ask(chunk);
        self.links.get_mut(id).expect("asked links are up").pace.asked(now);
        let request = self.requests.asked(now, id, chunk);
        outputs.push_back(Output::Request { link: id, request, chunk });
    }

    fn cancel(&mut self, ledger: &mut Ledger, requests: &[RequestId], outputs: &mut VecDeque<Output>) {
        for &request in requests {
            if let Some(link) = self.drop_request(ledger, request) {
                mark(&mut self.dirty, link);
                self.links.get_mut(link).expect("requests end with their link").pace.ended(None);
                outputs.push_back(Output::Cancel { request });
            }
        }
    }

    fn drop_request(&mut self, ledger: &mut Ledger, request: RequestId) -> Option<LinkId> {
        let PeerRequest { link, chunk, received, .. } = self.requests.ended(request)?;
        ledger.waste(u64::from(received));
        self.give_up(ledger, chunk);
        Some(link)
    }

    /// A chunk is wanted, too.
    pub(crate) fn want(&mut self, ledger: &mut Ledger, chunk: ChunkIndex) {
        ledger.want(chunk);
        self.offer(ledger, chunk);
    }

    /// A source that was asked for a chunk is out of it.
    pub(crate) fn give_up(&mut self, ledger: &mut Ledger, chunk: ChunkIndex) {
        ledger.give_up(chunk);
        self.offer(ledger, chunk);
    }

    /// A chunk may be free: links that hold it are looked at.
    fn offer(&mut self, ledger: &Ledger, chunk: ChunkIndex) {
        if ledger.state(chunk) == State::Free {
            let dirty = &mut self.dirty;
            let holders = self.links.iter().filter(|(_, link)| link.has.contains(chunk));
            holders.for_each(|(id, _)| mark(dirty, id));
        }
    }

    fn requests_on(&self, link: LinkId) -> Vec<RequestId> {
        self.requests.ids_where(|request| request.link == link)
    }
}

impl Neighbours for Assign {
    fn progress_of(&self, link: LinkId) -> u64 {
        self.links.get(link).map_or(0, |link| link.has.permille())
    }

    fn rtt_us_max(&self) -> u64 {
        self.rtt_us_max
    }
}

/// Notes that a link may be asked for more.
fn mark(dirty: &mut Vec<LinkId>, link: LinkId) {
    if !dirty.contains(&link) {
        dirty.push(link);
    }
}

/// The positions of `ranges` that exist.
fn within(len: u32, ranges: &[Range<u32>]) -> impl Iterator<Item = u32> {
    ranges.iter().flat_map(move |range| range.start.min(len)..range.end.min(len))
}
