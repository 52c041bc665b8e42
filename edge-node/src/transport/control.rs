//! Writes control frames in the order in which the job sent them.

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::Frame;
use freshet_protocol::limits::BYE_BYTES_MAX;
use tokio::sync::{mpsc, oneshot};

use super::link::LinkState;
use super::printable::cut;
use super::wire::{Gone, Sending};

/// The writing half of the control frames, and what is to be written.
pub(super) struct ControlWriter<S> {
    pub(super) sending: S,
    pub(super) frames: mpsc::Receiver<Bytes>,
    pub(super) state: Arc<LinkState>,
    /// The reason of the last frame, Bye, once the link closes.
    pub(super) bye: oneshot::Receiver<String>,
}

impl<S: Sending> ControlWriter<S> {
    /// Writes until Bye. An error means that the link is of no use any more.
    pub(super) async fn run(mut self) -> Result<(), Gone> {
        self.sending.go_first();
        loop {
            tokio::select! {
                bye = &mut self.bye => {
                    if let Ok(reason) = bye {
                        let bye = Frame::Bye { reason: cut(&reason, BYE_BYTES_MAX).to_owned() };
                        self.sending.write(bye.encode().into()).await?;
                    }
                    // Fails only where the peer is gone already.
                    let _ = self.sending.finish();
                    return Ok(());
                }
                Some(frame) = self.frames.recv() => {
                    let len = frame.len();
                    self.sending.write(frame).await?;
                    self.state.frame_written(len);
                }
            }
        }
    }
}
