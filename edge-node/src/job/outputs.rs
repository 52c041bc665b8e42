//! What the core says, carried out.

use freshet_protocol::{BlobKind, Frame};
use freshet_swarm::{DropReason, Output};

use crate::job::Job;
use crate::node::GetError;

impl Job {
    /// Carries out everything that the core has to say now.
    pub(super) fn carry_out(&mut self) -> Result<(), GetError> {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Request { link, request, chunk } => {
                    let wanted = *self.content.files.release.chunk(chunk);
                    if let Some(handle) = self.links.request(link, request, chunk) {
                        handle.request(request, BlobKind::Chunk, wanted.id.0, wanted.bytes);
                    }
                }
                Output::Cancel { request } => self.links.cancel(request),
                Output::FetchOrigin { fetch, first, count, reason } => {
                    tracing::debug!(?fetch, first, count, reason = reason.name(), "fetch from the origin");
                    let task = self.runs.start(fetch, first..first + count);
                    self.fetches.insert(fetch, task.abort_handle());
                }
                Output::CancelOrigin { fetch } => {
                    if let Some(task) = self.fetches.remove(&fetch) {
                        task.abort();
                    }
                }
                Output::SendHave { link, ranges } => {
                    let have = |release, ranges| Frame::Have { release, ranges };
                    self.spans.send_ranges(&self.links, link, &ranges, have);
                }
                Output::SendWithdraw { ranges } => {
                    let withdraw = |release, ranges| Frame::Withdraw { release, ranges };
                    self.spans.send_ranges(&self.links, None, &ranges, withdraw);
                }
                Output::SendFetching { ranges } => self.spans.send_fetching(&self.links, &ranges),
                Output::AskShards { want, done } => self.ask_shards(want, &done),
                Output::Serve { link, request, chunk } => self.serve(link, request, chunk),
                Output::Refuse { link, request, reason } => {
                    self.links.refuse(link, request, reason.into());
                }
                Output::DropLink { link, reason } => self.drop_link(link, reason),
                Output::Complete => self.standing_changed(),
            }
        }
        Ok(())
    }

    fn drop_link(&mut self, link: freshet_swarm::LinkId, reason: DropReason) {
        let banned = self.links.drop_link(link, reason);
        if let (Some(key), Some(network)) = (banned, &self.network) {
            network.transport.ban(key);
        }
    }
}
