//! Pushes new entries and pointers to a tracker, which passes them on to everybody in the swarm (PROTOCOL.md 8). Without a
//! tracker players find entries in pages and pointers at the origin, so nothing here ever makes a publication fail.

mod outbox;
mod session;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::limits::PUSHED_ENTRY_BYTES_MAX;
use freshet_protocol::{Base64, ClientMessage, ContentName, SigningKey};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::jitter::jitter;
use crate::keys::StreamKey;
use outbox::Outbox;

/// Longest first wait before the tracker is tried again.
const WAIT: Duration = Duration::from_millis(500);
/// How long a tracker may take to take a pointer.
const PUSH_TIME: Duration = Duration::from_secs(2);
/// Longest wait of all.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the last entries may take to leave.
const FINISH_TIME: Duration = Duration::from_secs(2);
/// A session that lasted so long was a good one: after it, waiting starts anew.
const STEADY: Duration = Duration::from_secs(10);

/// Pushes entries of one stream to one tracker. Dropped, it stops.
#[derive(Debug)]
pub(crate) struct Pusher {
    content: ContentName,
    outbox: Arc<Outbox>,
    _stop: DropGuard,
}

impl Pusher {
    /// Starts to connect to the tracker at `url`, which must know the key as a publisher's.
    pub(crate) fn start(url: String, content: ContentName, key: &StreamKey) -> Self {
        let (outbox, stop) = (Arc::<Outbox>::default(), CancellationToken::new());
        let session = session::Session { url, key: key.shared(), outbox: outbox.clone() };
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = keep_up(&session) => {}
            }
        });
        Self { content, outbox, _stop: stop.drop_guard() }
    }

    /// Pushes an entry, when the tracker takes it. Returns at once. Entries too large to be pushed are left out.
    pub(crate) fn push(&self, entry: &Bytes) {
        if entry.len() <= PUSHED_ENTRY_BYTES_MAX {
            let entry = Base64(entry.to_vec());
            self.outbox.push(ClientMessage::Entry { content: self.content.clone(), entry }.encode());
        }
    }

    /// Waits a moment for the last entries to leave.
    pub(crate) async fn finish(self) {
        tokio::time::timeout(FINISH_TIME, self.outbox.drained()).await.ok();
    }
}

/// Pushes a channel's new pointer to all trackers that it names, which must know the key as a publisher's. Who is not told
/// so asks the origin, later.
pub(crate) async fn push_pointer(
    trackers: &[String],
    content: &ContentName,
    key: &SigningKey,
    pointer: &[u8],
) {
    let message = &ClientMessage::Pointer { content: content.clone(), pointer: Base64(pointer.to_vec()) };
    let push = async |url: &String| match timeout(PUSH_TIME, session::say(url, key, message)).await {
        Ok(Ok(())) => tracing::debug!(url, "the new version is pushed to the tracker"),
        Ok(Err(error @ session::SessionError::Refused { .. })) => tracing::info!(
            url, %error,
            "followers hear of the new version later; a tracker started with --publisher {} tells them at once",
            key.public()
        ),
        Ok(Err(error)) => tracing::info!(url, %error, "followers hear of the new version later"),
        Err(_) => tracing::info!(url, "the tracker does not answer; followers hear of the new version later"),
    };
    join_all(trackers.iter().map(push)).await;
}

/// Connects again and again, with exponential backoff and full jitter.
async fn keep_up(session: &session::Session) {
    let mut wait = WAIT;
    let mut is_told = false;
    loop {
        let started = Instant::now();
        let error = session.run().await;
        // Once for each time that it goes away, however long it stays away.
        let lasted = started.elapsed();
        if lasted >= STEADY {
            (wait, is_told) = (WAIT, false);
        }
        match is_told {
            false => tracing::warn!(url = session.url, %error, "news are not pushed to the tracker"),
            true => tracing::debug!(url = session.url, %error, "the tracker does not answer"),
        }
        is_told = true;
        tokio::time::sleep(jitter(wait)).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_too_large_is_left_to_pages() {
        let folder = tempfile::tempdir().expect("folder");
        let seed = StreamKey::default_path(folder.path());
        StreamKey::create(&seed).expect("made");
        let key = StreamKey::load(&seed).expect("key");
        // Nobody listens there, so what is taken waits.
        let pusher = Pusher::start("ws://127.0.0.1:9/".to_owned(), "site/show".parse().expect("name"), &key);
        pusher.push(&Bytes::from(vec![0; PUSHED_ENTRY_BYTES_MAX + 1]));
        pusher.push(&Bytes::from(vec![1; PUSHED_ENTRY_BYTES_MAX]));
        let entry = Base64(vec![1; PUSHED_ENTRY_BYTES_MAX]);
        let message = ClientMessage::Entry { content: "site/show".parse().expect("name"), entry };
        assert_eq!(pusher.outbox.next().await, message.encode());
    }
}
