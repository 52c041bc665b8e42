//! A peer's request: read off its stream, and answered there.

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::{Data, Decoded, Encoding, Frame, RefuseReason, Request};
use tokio::sync::oneshot;

use super::event::TransportEvent;
use super::frames::{FrameReadError, FrameReader};
use super::limits::REQUEST_TIME;
use super::link::{LinkState, Reply};
use super::link_task::StreamEnd;
use super::switchboard::Switchboard;
use super::wire::{Gone, Receiving, Sending, Wire};
use crate::uplink::UplinkShare;

/// Reads the one Request on a fresh stream.
pub(super) async fn read_request<S: Sending>(send: S, recv: impl Receiving) -> StreamEnd<S> {
    let mut reader = FrameReader::new(recv);
    match tokio::time::timeout(REQUEST_TIME, only_frame(&mut reader)).await {
        Ok(Ok(Some(Frame::Request(asked)))) => StreamEnd::Asked { asked, send },
        Ok(Ok(Some(_))) => StreamEnd::Misbehaved("another frame came instead of a request".to_owned()),
        Ok(Err(FrameReadError::Frame(error))) => StreamEnd::Misbehaved(error.to_string()),
        // Taken back before it was whole, or never written.
        Ok(Ok(None) | Err(FrameReadError::Io(_) | FrameReadError::Truncated)) | Err(_) => StreamEnd::Nothing,
    }
}

/// The frame of a stream that holds one beside optional ones, which together are no more than a few.
async fn only_frame(reader: &mut FrameReader<impl Receiving>) -> Result<Option<Frame>, FrameReadError> {
    const SKIPPED_FRAMES_MAX: usize = 16;
    let mut only = None;
    for _ in 0..SKIPPED_FRAMES_MAX {
        match reader.next().await? {
            Some(frame) => match (frame.decoded, &only) {
                (Decoded::Frame(frame), None) => only = Some(frame),
                // Two frames: whatever they are, not one request.
                (Decoded::Frame(_), Some(_)) => return Ok(Some(Frame::Bye { reason: String::new() })),
                (Decoded::Skipped(_), _) => {}
            },
            None => return Ok(only),
        }
    }
    Ok(None)
}

/// All that an answer needs.
pub(super) struct ServeTask<W: Wire> {
    pub(super) board: Arc<Switchboard>,
    pub(super) wire: W,
    pub(super) state: Arc<LinkState>,
    /// What the answer leaves through; none where it need not yield.
    pub(super) uplink: Option<Arc<UplinkShare>>,
    pub(super) asked: Request,
    pub(super) send: W::Sending,
    /// What the job says.
    pub(super) reply: oneshot::Receiver<Reply>,
    /// Payload bytes taken by the connection; none before the job has said to serve.
    pub(super) sent: Option<u32>,
}

impl<W: Wire> ServeTask<W> {
    /// Waits for the job's word and carries it out; tells the job how that ended.
    pub(super) async fn run(mut self) -> StreamEnd<W::Sending> {
        let state = Arc::clone(&self.state);
        let (link, request) = (state.link(), self.asked.request);
        tokio::select! {
            biased;
            _ = state.closing() => {
                // What is still queued would keep the last frame of the link waiting.
                self.send.reset();
            }
            () = self.answer() => {}
        }
        if let Some(bytes) = self.sent {
            // The link's own task sees that the job is gone.
            let _ = self.board.tell(TransportEvent::Sent { link, request, bytes }).await;
        }
        StreamEnd::ServeEnded(request)
    }

    async fn answer(&mut self) {
        let reply = tokio::select! {
            biased;
            reply = &mut self.reply => Some(reply),
            () = self.send.stopped() => None,
        };
        match reply {
            Some(Ok(Reply::Serve(bytes))) => self.serve(bytes).await,
            Some(Ok(Reply::Refuse(reason))) => self.refuse(reason).await,
            // The link ends.
            Some(Err(_)) => {}
            None => {
                // When the whole link is gone, LinkDown says so.
                if self.wire.close_reason().is_none() {
                    let (link, request) = (self.state.link(), self.asked.request);
                    let _ = self.board.tell(TransportEvent::AskCancelled { link, request }).await;
                }
            }
        }
    }

    async fn serve(&mut self, bytes: Bytes) {
        if self.write(bytes).await.is_ok() && self.send.finish().is_ok() {
            // Until all is acknowledged, or the peer wants no more: only then is the place free for the next.
            self.send.stopped().await;
        }
    }

    /// Writes the answer in Data frames. An answer that yields goes in small ones, each when the line has room for it: what
    /// the connection has taken leaves as a burst, which stands in the line's buffer.
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Gone> {
        let (request, total) = (self.asked.request, bytes.len() as u32);
        let sent = self.sent.insert(0);
        loop {
            let piece = self.uplink.as_ref().map_or(usize::MAX, |uplink| uplink.piece_bytes());
            let payload = bytes.split_to(bytes.len().min(piece).min(W::Sending::DATA_BYTES_MAX));
            if let Some(uplink) = &self.uplink {
                uplink.let_go(payload.len()).await;
            }
            let data = Data { request, encoding: Encoding::Identity, total, payload };
            self.send.write_data(data, sent).await?;
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    async fn refuse(&mut self, reason: RefuseReason) {
        let refuse = Frame::Refuse { request: self.asked.request, reason };
        let written = self.send.write(refuse.encode().into()).await;
        if written.is_err() || self.send.finish().is_err() {
            // It was taken back meanwhile.
            self.send.reset();
        }
    }
}
