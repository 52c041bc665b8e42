//! Asks the origin now and then whether a channel shows something else, for those who hear of it from nobody.

use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{ContentName, Name};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::origin::Origin;
use crate::random::random_bytes;

/// Which channel, and how often to ask.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) content: ContentName,
    pub(crate) channel: Name,
    /// On average: each wait is half to one and a half of it, so that many nodes spread.
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
    let mut tag = None;
    loop {
        tokio::time::sleep(jittered(watch.every, u32::from_be_bytes(random_bytes()))).await;
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

/// Half to one and a half of `every`.
fn jittered(every: Duration, random: u32) -> Duration {
    every.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_spread_around_the_average() {
        let check = |random, expected| {
            assert_eq!(jittered(Duration::from_secs(10), random), Duration::from_secs(expected));
        };
        check(0, 5);
        check(u32::MAX, 15);
    }
}
