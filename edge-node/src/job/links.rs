//! What happens on links: peers come and go, tell what they hold, answer and ask.

use std::sync::Arc;

use freshet_protocol::{BlobKind, ChunkId, Frame, RefuseReason, Request};
use freshet_swarm::{Input, LinkId, RequestId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use crate::event::Event;
use crate::job::Job;
use crate::job::spans::Misbehaved;
use crate::network::News;
use crate::release::TrustError;
use crate::transport::{Answer, TransportEvent};

impl Job {
    pub(super) fn link_event(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::LinkUp { link, handle, peer } => {
                let transport = peer.transport_name();
                tracing::debug!(peer = %peer.peer, transport, address = %peer.address, agent = %peer.agent, "link up");
                if self.config.policy.sharing {
                    self.documents.frames().into_iter().for_each(|frame| handle.send(frame));
                }
                let (locality, rtt_us) = (peer.locality, peer.rtt.as_micros() as u64);
                let said = self.spans.introduce(&handle);
                self.links.up(link, handle, peer, said);
                self.tell(Input::LinkUp { link, locality, rtt_us });
            }
            TransportEvent::Frame { link, frame } => self.frame(link, frame),
            TransportEvent::Progress { request, bytes, .. } => {
                if self.links.is_open(request) {
                    self.origin_watch.progressed();
                    self.tell(Input::Progress { request, bytes });
                }
            }
            TransportEvent::Answer { request, answer, .. } => self.answer(request, answer),
            TransportEvent::Asked { link, asked } => self.asked(link, asked),
            TransportEvent::AskCancelled { link, request } => {
                self.links.settle(link, request);
                if !self.documents_sent.remove(&(link, request)) {
                    self.tell_if_linked(link, Input::PeerCancel { link, request });
                }
            }
            TransportEvent::Sent { link, request, bytes } => {
                self.links.sent(link, bytes);
                if self.documents_sent.remove(&(link, request)) {
                    self.progress.document_bytes_sent += u64::from(bytes);
                } else {
                    self.tell_if_linked(link, Input::Sent { link, request, bytes });
                }
            }
            TransportEvent::LinkDown { link, reason } => {
                self.documents_sent.retain(|(owner, _)| *owner != link);
                if let Some(gone) = self.links.down(link) {
                    tracing::debug!(peer = %gone.peer.peer, %reason, "link down");
                    self.tell(Input::LinkDown { link });
                }
            }
            // The network has seen to these.
            TransportEvent::DialFailed { .. }
            | TransportEvent::Signal { .. }
            | TransportEvent::Outside(_) => {}
        }
    }

    fn tell_if_linked(&mut self, link: LinkId, input: Input) {
        if self.links.get(link).is_some() {
            self.tell(input);
        }
    }

    fn frame(&mut self, link: LinkId, frame: Frame) {
        let taken = match frame {
            Frame::Keys { envelope } => self.documents.take_keys(&envelope).map(drop),
            Frame::Pointer { envelope } => self.pointer(&envelope),
            other => {
                let Some(entry) = self.links.get_mut(link) else { return };
                match self.spans.frame(link, entry, other) {
                    Ok(Some(input)) => self.tell(input),
                    Ok(None) => {}
                    Err(misbehaved) => self.misbehaved(link, misbehaved),
                }
                return;
            }
        };
        if let Err(error) = taken {
            // Old peers know old documents: no fault, and no use.
            tracing::debug!(%error, "a peer's document is of no use");
        }
    }

    /// Takes a pointer, and passes on what is new, once: so all of a swarm know it soon after the first one.
    pub(super) fn pointer(&mut self, envelope: &[u8]) -> Result<(), TrustError> {
        let Some(News { root, version, start_window_s, preload }) = self.documents.take_pointer(envelope)?
        else {
            return Ok(());
        };
        if self.config.policy.sharing {
            let pointer = || Frame::Pointer { envelope: envelope.to_vec() };
            self.links.to(None).for_each(|link| link.handle.send(pointer()));
        }
        if root != self.content.files.release.id {
            let version = version.to_string();
            self.untold = Some(Event::NewVersion { version, start_window_s });
            self.tell_news();
        } else if preload.is_some() {
            self.preloading.look_at = Some(Instant::now());
            self.tell_preload();
        }
        Ok(())
    }

    /// Tells what is new; where nobody has time to listen, it is tried again.
    pub(super) fn tell_news(&mut self) {
        if let Some(event) = self.untold.take()
            && let Err(TrySendError::Full(event)) = self.config.events.try_send(event)
        {
            self.untold = Some(event);
        }
    }

    fn misbehaved(&mut self, link: LinkId, Misbehaved(how): Misbehaved) {
        if let Some(gone) = self.links.down(link) {
            tracing::warn!(peer = %gone.peer.peer, how, "peer broke the protocol");
            gone.handle.close(how);
            self.tell(Input::LinkDown { link });
        }
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        // An answer to what was cancelled meanwhile is of no interest to the core.
        let Some((_, end)) = self.links.answered(request, &answer) else { return };
        let Answer::Verified(chunk) = answer else { return self.tell(Input::RequestEnded { request, end }) };
        let release = Arc::clone(&self.content.files.release);
        let positions: Vec<u32> = release.positions_of(chunk.id()).collect();
        self.keep(chunk);
        self.tell(Input::RequestEnded { request, end });
        if let Some(&position) = positions.first() {
            self.found(position);
        }
        positions.iter().for_each(|&position| self.take_delta(position));
    }

    fn asked(&mut self, link: LinkId, asked: Request) {
        if !self.links.asked(link, asked) {
            return;
        }
        match asked.kind {
            BlobKind::Chunk => {
                let release = &self.content.files.release;
                let positions = || release.positions_of(ChunkId(asked.hash));
                let held = positions().find(|&position| self.content.held().contains(position));
                // In memory it may be already, and not yet on disk.
                match held.or_else(|| positions().next()) {
                    Some(chunk) => self.tell(Input::PeerRequest { link, request: asked.request, chunk }),
                    None => self.links.refuse(link, asked.request, RefuseReason::NotHeld),
                }
            }
            BlobKind::Page | BlobKind::Root if !self.config.policy.sharing => {
                self.links.refuse(link, asked.request, RefuseReason::NotSharing);
            }
            BlobKind::Page | BlobKind::Root => self.read_document(link, asked),
        }
    }
}
