//! Writes control frames in the order in which the job sent them.

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::Frame;
use freshet_protocol::limits::BYE_BYTES_MAX;
use quinn::{SendStream, WriteError};
use tokio::sync::{mpsc, oneshot};

use crate::transport::link::LinkState;
use crate::transport::printable::cut;

/// Streams of requests have 0.
const PRIORITY: i32 = 1;

/// The writing half of the control stream, and what is to be written.
pub(super) struct ControlWriter {
    pub(super) stream: SendStream,
    pub(super) frames: mpsc::Receiver<Bytes>,
    pub(super) state: Arc<LinkState>,
    /// The reason of the last frame, Bye, once the link closes.
    pub(super) bye: oneshot::Receiver<String>,
}

impl ControlWriter {
    /// Writes until Bye. An error means that the link is of no use any more.
    pub(super) async fn run(mut self) -> Result<(), WriteError> {
        // Before all data. Fails only for a stream that is closed already.
        let _ = self.stream.set_priority(PRIORITY);
        loop {
            tokio::select! {
                bye = &mut self.bye => {
                    if let Ok(reason) = bye {
                        let bye = Frame::Bye { reason: cut(&reason, BYE_BYTES_MAX).to_owned() };
                        self.stream.write_chunk(bye.encode().into()).await?;
                    }
                    // Fails only for a stream that is closed already.
                    let _ = self.stream.finish();
                    return Ok(());
                }
                Some(frame) = self.frames.recv() => {
                    let len = frame.len();
                    self.stream.write_chunk(frame).await?;
                    self.state.frame_written(len);
                }
            }
        }
    }
}
