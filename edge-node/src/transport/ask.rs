//! An own request: a stream with the Request, on which the answer comes back.

use std::sync::Arc;

use freshet_protocol::{Frame, Request};
use freshet_swarm::LinkId;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::answer::{Incoming, Received};
use super::event::{Answer, TransportEvent};
use super::limits::REQUEST_TIME;
use super::link::Ask;
use super::link_task::StreamEnd;
use super::switchboard::Switchboard;
use super::wire::{Receiving, Sending, Wire};

/// All that a request needs.
pub(super) struct AskTask<W> {
    pub(super) board: Arc<Switchboard>,
    pub(super) wire: W,
    pub(super) link: LinkId,
    pub(super) ask: Ask,
    pub(super) cancelled: CancellationToken,
}

impl<W: Wire> AskTask<W> {
    /// Asks, and tells the job the answer unless it is cancelled.
    pub(super) async fn run(self) -> StreamEnd<W::Sending> {
        let request = self.ask.request;
        let cancelled = self.cancelled.clone();
        let opened = tokio::select! {
            biased;
            () = cancelled.cancelled() => return StreamEnd::AskEnded(request),
            opened = self.wire.open(request.0) => opened,
        };
        let Ok((mut send, mut recv)) = opened else {
            self.answer(Answer::Failed { bytes: 0 }).await;
            return StreamEnd::AskEnded(request);
        };
        tokio::select! {
            biased;
            () = cancelled.cancelled() => {
                send.reset();
                recv.stop();
                StreamEnd::AskEnded(request)
            }
            end = self.exchange(&mut send, &mut recv) => end,
        }
    }

    async fn exchange(&self, send: &mut W::Sending, recv: &mut W::Receiving) -> StreamEnd<W::Sending> {
        let request = self.ask.request;
        let Ask { kind, hash, .. } = self.ask;
        let frame = Frame::Request(Request { request: request.0, kind, hash, offset: 0, encodings: 0 });
        let written = send.write(frame.encode().into()).await;
        if written.is_err() || send.finish().is_err() {
            self.answer(Answer::Failed { bytes: 0 }).await;
            return StreamEnd::AskEnded(request);
        }
        match Incoming::new(self.ask, recv).receive(self.link, &self.board.events, &self.board.limiter).await
        {
            Received::Answer(answer) => {
                let is_whole = matches!(answer, Answer::Verified(_) | Answer::Blob(_));
                self.answer(answer).await;
                if is_whole && !ends(recv).await {
                    return StreamEnd::Misbehaved("more bytes than it announced in an answer".to_owned());
                }
                StreamEnd::AskEnded(request)
            }
            Received::Misbehaved { why, bytes } => {
                self.answer(Answer::Failed { bytes }).await;
                StreamEnd::Misbehaved(why)
            }
        }
    }

    async fn answer(&self, answer: Answer) {
        let request = self.ask.request;
        // The link's own task sees that the job is gone.
        let _ = self.board.tell(TransportEvent::Answer { link: self.link, request, answer }).await;
    }
}

/// Whether the stream ends without further bytes. Its end comes with the last byte, so this waits for an unkind peer
/// only; but a stream dropped before its end is seen would tell a kind one that its answer was not wanted.
async fn ends(recv: &mut impl Receiving) -> bool {
    match tokio::time::timeout(REQUEST_TIME, recv.read_u8()).await {
        Ok(Ok(_)) => false,
        Ok(Err(_)) | Err(_) => true,
    }
}
