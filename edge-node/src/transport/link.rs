//! A link as the job holds it: calls that return at once, and a mailbox from which the link's task takes them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{BlobKind, Frame, Hash, RefuseReason};
use freshet_swarm::{LinkId, RequestId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::limits::{CONTROL_QUEUE_BYTES_MAX, CONTROL_QUEUE_FRAMES_MAX, LINK_COMMANDS_MAX};

/// Drives a link. Cheap to clone; all calls return at once, and do nothing once the link is down. A queue that
/// overflows closes the link.
#[derive(Debug, Clone)]
pub struct LinkHandle {
    commands: mpsc::Sender<Command>,
    frames: mpsc::Sender<Bytes>,
    state: Arc<LinkState>,
}

/// What the handle and the link's task both see.
#[derive(Debug)]
pub(super) struct LinkState {
    link: LinkId,
    /// Bytes handed to `frames` and not yet written to the connection.
    queued_bytes: AtomicUsize,
    rtt_us: AtomicU64,
    closing: CancellationToken,
    close_reason: OnceLock<String>,
}

/// What the job wants of a link.
#[derive(Debug)]
pub(super) enum Command {
    /// Ask for a blob.
    Request(Ask),
    /// Take an own request back.
    Cancel(RequestId),
    /// Answer the peer's request.
    Reply { request: u64, reply: Reply },
}

/// An own request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) request: RequestId,
    pub(super) kind: BlobKind,
    pub(super) hash: Hash,
    /// Expected size; of a root, the largest allowed.
    pub(super) bytes: u32,
}

/// The answer to a peer's request.
#[derive(Debug)]
pub(super) enum Reply {
    /// The bytes from the asked offset on.
    Serve(Bytes),
    /// No.
    Refuse(RefuseReason),
}

/// The other end of a [`LinkHandle`], owned by the link's tasks.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) commands: mpsc::Receiver<Command>,
    /// Encoded control frames in the order of sending.
    pub(super) frames: mpsc::Receiver<Bytes>,
    pub(super) state: Arc<LinkState>,
}

impl LinkHandle {
    pub(super) fn new(link: LinkId) -> (Self, Mailbox) {
        let (commands_in, commands) = mpsc::channel(LINK_COMMANDS_MAX);
        let (frames_in, frames) = mpsc::channel(CONTROL_QUEUE_FRAMES_MAX);
        let state = Arc::new(LinkState {
            link,
            queued_bytes: AtomicUsize::new(0),
            rtt_us: AtomicU64::new(0),
            closing: CancellationToken::new(),
            close_reason: OnceLock::new(),
        });
        let handle = Self { commands: commands_in, frames: frames_in, state: Arc::clone(&state) };
        (handle, Mailbox { commands, frames, state })
    }

    /// The link that this drives.
    pub fn link(&self) -> LinkId {
        self.state.link
    }

    /// Sends a control frame.
    ///
    /// # Panics
    /// When the frame is over a limit of the protocol, as [`Frame::encode`].
    pub fn send(&self, frame: Frame) {
        let encoded = frame.encode();
        let len = encoded.len();
        if self.state.queued_bytes.fetch_add(len, Ordering::Relaxed) + len > CONTROL_QUEUE_BYTES_MAX {
            return self.close("the peer does not read its control frames");
        }
        match self.frames.try_send(encoded.into()) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.close("the peer does not read its control frames");
            }
        }
    }

    /// Asks the peer for a blob. `bytes` is its size from the signed manifest, any other answer is corrupt; of a root
    /// it is the largest size allowed. The end comes as [`super::Answer`].
    pub fn request(&self, request: RequestId, kind: BlobKind, hash: Hash, bytes: u32) {
        self.command(Command::Request(Ask { request, kind, hash, bytes }));
    }

    /// Takes an own request back: its stream is reset. An answer already on its way to the job may still come.
    pub fn cancel(&self, request: RequestId) {
        self.command(Command::Cancel(request));
    }

    /// Answers a peer's request with verified bytes, from the asked offset on.
    pub fn serve(&self, request: u64, bytes: Bytes) {
        self.command(Command::Reply { request, reply: Reply::Serve(bytes) });
    }

    /// Refuses a peer's request.
    pub fn refuse(&self, request: u64, reason: RefuseReason) {
        self.command(Command::Reply { request, reply: Reply::Refuse(reason) });
    }

    /// Closes the link, telling the peer `reason`; the first reason counts.
    pub fn close(&self, reason: &str) {
        self.state.close(reason);
    }

    /// Round-trip time as last measured.
    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.state.rtt_us.load(Ordering::Relaxed))
    }

    fn command(&self, command: Command) {
        match self.commands.try_send(command) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.close("the link cannot keep up with its commands")
            }
        }
    }
}

impl LinkState {
    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    pub(super) fn close(&self, reason: &str) {
        self.close_reason.get_or_init(|| reason.to_owned());
        self.closing.cancel();
    }

    /// Waits for [`LinkState::close`], then tells its reason.
    pub(super) async fn closing(&self) -> &str {
        self.closing.cancelled().await;
        self.close_reason.get().map_or("closed", String::as_str)
    }

    pub(super) fn frame_written(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn measured(&self, rtt: Duration) {
        self.rtt_us.store(rtt.as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(mailbox: &Mailbox) -> bool {
        mailbox.state.closing.is_cancelled()
    }

    #[test]
    fn too_many_commands_close_the_link() {
        let (handle, mailbox) = LinkHandle::new(LinkId(1));
        (0..LINK_COMMANDS_MAX as u64).for_each(|request| handle.cancel(RequestId(request)));
        assert!(!is_closed(&mailbox));
        handle.cancel(RequestId(0));
        assert!(is_closed(&mailbox));
    }

    #[test]
    fn too_many_queued_frames_close_the_link() {
        let (handle, mailbox) = LinkHandle::new(LinkId(1));
        let frame = Frame::Ticket { ticket: vec![] };
        (0..CONTROL_QUEUE_FRAMES_MAX).for_each(|_| handle.send(frame.clone()));
        assert!(!is_closed(&mailbox));
        handle.send(frame);
        assert!(is_closed(&mailbox));
    }

    #[test]
    fn too_many_queued_bytes_close_the_link() {
        let (handle, mailbox) = LinkHandle::new(LinkId(1));
        let frame = Frame::Pointer { envelope: vec![0; 8 << 10] };
        let len = frame.encode().len();
        (0..CONTROL_QUEUE_BYTES_MAX / len).for_each(|_| handle.send(frame.clone()));
        assert!(!is_closed(&mailbox));
        handle.send(frame);
        assert!(is_closed(&mailbox));
    }

    #[tokio::test]
    async fn the_first_reason_counts() {
        let (handle, mailbox) = LinkHandle::new(LinkId(1));
        handle.close("first");
        handle.close("second");
        assert_eq!(mailbox.state.closing().await, "first");
    }
}
