//! Asks the origin now and then whether a channel shows something else, for those who hear of it from nobody.

use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{ContentName, Name};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::backoff::jitter;
use crate::origin::Origin;

/// Shortest and longest average wait.
const EVERY_MIN: Duration = Duration::from_millis(100);
const EVERY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Which channel, and how often to ask.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) content: ContentName,
    pub(crate) channel: Name,
    /// On average, 100 ms to 30 days: each wait is half to one and a half of it, so that many nodes spread.
    pub(crate) every: Duration,
}

/// The pointers that the origin shows, unchecked; each change once.
pub(super) struct ChannelWatch {
    pub(super) pointers: mpsc::Receiver<Bytes>,
    _asking: AbortOnDropHandle<()>,
}

impl ChannelWatch {
    pub(super) fn start(watch: Watch, origin: Origin) -> Self {
        let (sender, pointers) = mpsc::channel(1);
        Self { pointers, _asking: AbortOnDropHandle::new(tokio::spawn(ask(watch, origin, sender))) }
    }
}

async fn ask(watch: Watch, origin: Origin, sender: mpsc::Sender<Bytes>) {
    let (every, mut tag) = (watch.every.clamp(EVERY_MIN, EVERY_MAX), None);
    loop {
        tokio::time::sleep(every / 2 + jitter(every)).await;
        match origin.changed_pointer(&watch.content, &watch.channel, &mut tag).await {
            Ok(None) => {}
            Ok(Some(pointer)) => {
                if sender.send(pointer).await.is_err() {
                    return;
                }
            }
            // It is asked again.
            Err(error) => tracing::debug!(%error, "the origin does not tell what the channel shows"),
        }
    }
}
