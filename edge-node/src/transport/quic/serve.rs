//! A peer's request: read off its stream, and answered there.

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::limits::DATA_BYTES_MAX;
use freshet_protocol::{Data, Decoded, Encoding, Frame, RefuseReason, Request};
use quinn::{Connection, RecvStream, SendStream, WriteError};
use tokio::sync::oneshot;

use super::CODE_CANCELLED;
use super::link::StreamEnd;
use crate::transport::event::TransportEvent;
use crate::transport::frames::{FrameReadError, FrameReader};
use crate::transport::limits::REQUEST_TIME;
use crate::transport::link::{LinkState, Reply};
use crate::transport::switchboard::Switchboard;

/// Reads the one Request on a fresh stream.
pub(super) async fn read_request(send: SendStream, recv: RecvStream) -> StreamEnd {
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
async fn only_frame(reader: &mut FrameReader<RecvStream>) -> Result<Option<Frame>, FrameReadError> {
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
pub(super) struct ServeTask {
    pub(super) board: Arc<Switchboard>,
    pub(super) connection: Connection,
    pub(super) state: Arc<LinkState>,
    pub(super) asked: Request,
    pub(super) send: SendStream,
    /// What the job says.
    pub(super) reply: oneshot::Receiver<Reply>,
    /// Payload bytes taken by the connection; none before the job has said to serve.
    pub(super) sent: Option<u32>,
}

impl ServeTask {
    /// Waits for the job's word and carries it out; tells the job how that ended.
    pub(super) async fn run(mut self) -> StreamEnd {
        let state = Arc::clone(&self.state);
        let (link, request) = (state.link(), self.asked.request);
        tokio::select! {
            biased;
            _ = state.closing() => {
                // What is still queued would keep the last frame of the link waiting.
                let _ = self.send.reset(CODE_CANCELLED);
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
        let taken_back = self.send.stopped();
        tokio::select! {
            biased;
            reply = &mut self.reply => match reply {
                Ok(Reply::Serve(bytes)) => self.serve(bytes).await,
                Ok(Reply::Refuse(reason)) => self.refuse(reason).await,
                // The link ends.
                Err(_) => {}
            },
            _ = taken_back => {
                // When the whole link is gone, LinkDown says so.
                if self.connection.close_reason().is_none() {
                    let (link, request) = (self.state.link(), self.asked.request);
                    let _ = self.board.tell(TransportEvent::AskCancelled { link, request }).await;
                }
            }
        }
    }

    async fn serve(&mut self, bytes: Bytes) {
        if self.write(bytes).await.is_ok() && self.send.finish().is_ok() {
            // Until all is acknowledged, or the peer wants no more: only then is the place free for the next.
            let _ = self.send.stopped().await;
        }
    }

    /// Writes the answer in Data frames.
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        let (request, total) = (self.asked.request, bytes.len() as u32);
        let sent = self.sent.insert(0);
        loop {
            let payload = bytes.split_to(bytes.len().min(DATA_BYTES_MAX));
            let data = Data { request, encoding: Encoding::Identity, total, payload };
            self.send.write_chunk(data.head().into()).await?;
            let mut pieces = [data.payload];
            while !pieces[0].is_empty() {
                *sent += self.send.write_chunks(&mut pieces).await?.bytes as u32;
            }
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    async fn refuse(&mut self, reason: RefuseReason) {
        let refuse = Frame::Refuse { request: self.asked.request, reason };
        let written = self.send.write_chunk(refuse.encode().into()).await;
        if written.is_err() || self.send.finish().is_err() {
            // It was taken back meanwhile.
            let _ = self.send.reset(CODE_CANCELLED);
        }
    }
}
