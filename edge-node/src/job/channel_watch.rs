//! Asks the origin now and then whether a channel shows something else, for those who hear of it from nobody.

use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{ContentName, Name};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::origin::Origin;
use crate::random::random_bytes;

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

/// Half to one and a half of `every`, within its bounds.
fn jittered(every: Duration, random: u32) -> Duration {
    every.clamp(EVERY_MIN, EVERY_MAX).mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_spread_around_the_average() {
        let second = Duration::from_secs(1);
        let check = |every, random, expected| assert_eq!(jittered(every, random), expected);
        check(10 * second, 0, 5 * second);
        check(10 * second, u32::MAX, 15 * second);
        check(Duration::ZERO, 0, EVERY_MIN / 2);
        check(Duration::MAX, 0, EVERY_MAX / 2);
    }
}
