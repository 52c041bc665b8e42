//! What the core says, carried out.

use std::ops::Range;

use freshet_protocol::{BlobKind, RefuseReason};
use freshet_swarm::{Input, LinkId, Output};

use super::Session;
use crate::stream::said::{self, Word};

impl Session {
    /// Carries out everything that the core has to say now.
    pub(super) fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Request { link, request, chunk } => {
                    if let Some(piece) = self.library.piece(chunk)
                        && let Some(handle) = self.links.request(link, request, chunk)
                    {
                        handle.request(request, BlobKind::Chunk, piece.id.0, piece.bytes);
                    }
                }
                Output::Cancel { request } => self.links.cancel(request),
                Output::FetchOrigin { fetch, first, count, .. } => self.fetch(fetch, first, count),
                Output::CancelOrigin { fetch } => {
                    if let Some((_, task)) = self.fetches.remove(&fetch) {
                        task.abort();
                    }
                }
                Output::SendHave { link, ranges } => self.send(Word::Have, link, &ranges),
                Output::SendWithdraw { ranges } => self.send(Word::Withdraw, None, &ranges),
                Output::SendFetching { ranges } => self.send(Word::Fetching, None, &ranges),
                Output::Serve { link, request, chunk } => self.serve(link, request, chunk),
                Output::Refuse { link, request, reason } => self.links.refuse(link, request, reason.into()),
                Output::DropLink { link, reason } => {
                    if let Some(key) = self.links.drop_link(link, reason) {
                        self.network.transport.ban(key);
                    }
                }
                // A stream has neither shards nor an end.
                Output::AskShards { .. } | Output::Complete => {}
            }
        }
    }

    fn send(&self, word: Word, to: Option<LinkId>, ranges: &[Range<u32>]) {
        let by_shelf = self.library.on_wire(ranges);
        for link in self.links.to(to) {
            for (shelf, ranges) in by_shelf.iter().enumerate() {
                // An empty word about what is fetched ends the one before; to a new link it says that nothing is held.
                if !ranges.is_empty() || word == Word::Fetching || to.is_some() {
                    said::send(&link.handle, word, shelf as u64, ranges);
                }
            }
        }
    }

    fn serve(&mut self, link: LinkId, request: u64, chunk: u32) {
        if !self.links.is_waiting(link, request) {
            // Taken back meanwhile; the core has been told.
            return;
        }
        match self.library.bytes(chunk) {
            Some(bytes) => self.links.hand_over(link, request, bytes),
            None => {
                self.links.refuse(link, request, RefuseReason::NotHeld);
                self.tell(Input::Sent { link, request, bytes: 0 });
            }
        }
    }
}
