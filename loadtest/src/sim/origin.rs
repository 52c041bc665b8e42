//! The origin's site: it sends what is asked for, sharing its line among all transfers.

use std::collections::BTreeMap;
use std::ops::Range;

use freshet_origin::{Admission, Caps, Class, LOT_BYTES, Load};
use freshet_swarm::{ChunkIndex, FetchEnd, FetchId, Input};

use super::message::Body;
use super::net::Purpose;
use super::node::Fetch;
use super::queue::TransferId;
use super::wire;
use super::world::{ORIGIN, World, host_of};
use crate::plan::{Plan, bytes_s_of_mbit};

/// Requests that the origin answers at once.
const PLACES: usize = 2048;

/// What the origin keeps.
#[derive(Debug)]
pub(super) struct OriginSite {
    /// Transfers under way, by node and fetch.
    sending: BTreeMap<(u32, u64), TransferId>,
    /// Bytes of root and pages.
    prelude_bytes: u64,
    pub(super) manifest_bytes: u64,
    pub(super) requests: u64,
    /// Of these, told to come back later.
    pub(super) refused: u64,
    /// Whom it lets in, where it refuses what its line does not carry.
    admission: Option<Admission>,
}

impl OriginSite {
    pub(super) fn new(plan: &Plan, chunks: usize) -> Self {
        let caps = Caps { bytes_s_max: Some(bytes_s_of_mbit(plan.origin.up_mbit)), requests_s_max: None };
        Self {
            sending: BTreeMap::new(),
            prelude_bytes: wire::ROOT_BYTES + wire::PAGE_BYTES_PER_CHUNK * chunks as u64,
            manifest_bytes: 0,
            requests: 0,
            refused: 0,
            admission: plan.origin.refuses.then(|| Admission::new(caps, None)),
        }
    }
}

impl World<'_> {
    pub(super) fn manifest_asked(&mut self, node: u32) {
        let bytes = self.origin.prelude_bytes;
        self.origin.manifest_bytes += bytes;
        let connection = self.nodes[node as usize].origin_connection;
        self.net.start(&mut self.queue, connection, bytes, Purpose::Manifest { node });
    }

    /// A core wants a run of chunks from the origin.
    pub(super) fn fetch_origin(&mut self, node: u32, fetch: FetchId, run: Range<ChunkIndex>) {
        let payload_bytes = run.clone().map(|chunk| u64::from(self.chunk_bytes[chunk as usize])).sum();
        let (next, end) = (run.start, run.end);
        self.nodes[node as usize].fetches.push(Fetch { fetch: fetch.0, next, end, come_bytes: 0 });
        let body = Body::Fetch { fetch: fetch.0, payload_bytes };
        self.send(host_of(node), ORIGIN, wire::HTTP_REQUEST_BYTES, body);
    }

    pub(super) fn cancel_origin(&mut self, node: u32, fetch: FetchId) {
        self.nodes[node as usize].fetches.retain(|known| known.fetch != fetch.0);
        self.send(host_of(node), ORIGIN, wire::small_bytes(), Body::FetchCancel { fetch: fetch.0 });
    }

    pub(super) fn fetch_asked(&mut self, node: u32, fetch: u64, payload_bytes: u64) {
        if !self.nodes[node as usize].is_running() {
            return;
        }
        self.origin.requests += 1;
        let now_us = self.now_us();
        if let Err(after_s) = self.admit(payload_bytes) {
            self.origin.refused += 1;
            let body = Body::FetchRefused { fetch, after_s };
            return self.send(ORIGIN, host_of(node), wire::HTTP_HEAD_BYTES, body);
        }
        self.net.send_message(now_us, ORIGIN, host_of(node), wire::HTTP_HEAD_BYTES);
        let connection = self.nodes[node as usize].origin_connection;
        let purpose = Purpose::Fetch { node, fetch };
        let transfer = self.net.start(&mut self.queue, connection, payload_bytes, purpose);
        self.origin.sending.insert((node, fetch), transfer);
    }

    /// Lets a request in, or tells after how many seconds to come back.
    fn admit(&mut self, bytes: u64) -> Result<(), u64> {
        let now_us = self.now_us();
        let lots_bytes = self.net.ready(ORIGIN) as u64 * LOT_BYTES;
        let wait_us = self.net.uplink(ORIGIN).time_us(lots_bytes);
        let Some(admission) = &mut self.origin.admission else { return Ok(()) };
        let free = PLACES.saturating_sub(self.origin.sending.len());
        let load = Load {
            bulk_wait_us: wait_us,
            media_wait_us: 0,
            places_free_permille: (free * 1000 / PLACES) as u64,
        };
        admission.admit(now_us, Class::Bulk, bytes, &load).map_err(|come_back| come_back.after_s)
    }

    /// A node is told when to come back.
    pub(super) fn fetch_refused(&mut self, node: u32, fetch: u64, after_s: u64) {
        if self.find_fetch(node, fetch).is_none() {
            return;
        }
        self.nodes[node as usize].fetches.retain(|known| known.fetch != fetch);
        let end = FetchEnd::Failed { retry_after_us: Some(after_s * 1_000_000) };
        self.input(node, Input::OriginEnded { fetch: FetchId(fetch), end });
    }

    pub(super) fn fetch_cancelled(&mut self, node: u32, fetch: u64) {
        if let Some(transfer) = self.origin.sending.remove(&(node, fetch)) {
            self.net.stop(transfer);
        }
    }

    pub(super) fn fetch_sent(&mut self, node: u32, fetch: u64) {
        self.origin.sending.remove(&(node, fetch));
    }

    /// Bytes of a fetch came in: whole chunks go to the core as they are complete.
    pub(super) fn fetch_came(&mut self, node: u32, fetch: u64, payload_bytes: u32) {
        self.nodes[node as usize].run.waste_bytes += u64::from(payload_bytes);
        let Some(known) = self.find_fetch(node, fetch) else { return };
        known.come_bytes += u64::from(payload_bytes);
        self.input(node, Input::OriginProgress { fetch: FetchId(fetch), bytes: payload_bytes });
        while let Some(chunk) = self.next_whole_chunk(node, fetch) {
            self.hold(node, chunk, None);
            self.input(node, Input::OriginChunk { fetch: FetchId(fetch), chunk, verified: true });
        }
        let is_done = self.find_fetch(node, fetch).is_some_and(|known| known.next == known.end);
        if is_done {
            self.nodes[node as usize].fetches.retain(|known| known.fetch != fetch);
            self.input(node, Input::OriginEnded { fetch: FetchId(fetch), end: FetchEnd::Complete });
        }
    }

    fn find_fetch(&mut self, node: u32, fetch: u64) -> Option<&mut Fetch> {
        self.nodes[node as usize].fetches.iter_mut().find(|known| known.fetch == fetch)
    }

    /// Takes the next chunk off a fetch whose bytes have all come.
    fn next_whole_chunk(&mut self, node: u32, fetch: u64) -> Option<ChunkIndex> {
        let chunk_bytes = self.chunk_bytes.clone();
        let known = self.find_fetch(node, fetch).filter(|known| known.next < known.end)?;
        let bytes = u64::from(chunk_bytes[known.next as usize]);
        if known.come_bytes < bytes {
            return None;
        }
        known.come_bytes -= bytes;
        known.next += 1;
        Some(known.next - 1)
    }
}
