//! Looks regularly for what is older than the window.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::room::Room;
use crate::publish::unix_now;

/// Looks so often within a window.
const LOOKS: u32 = 4;
const EVERY_MIN: Duration = Duration::from_millis(250);
const EVERY_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run(room: Arc<Room>) {
    let mut every = tokio::time::interval((room.dvr() / LOOKS).clamp(EVERY_MIN, EVERY_MAX));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // The store may be back the next time.
        if let Err(error) = room.sweep(unix_now()).await {
            tracing::warn!(%error, "what is older than the window stays for now");
        }
    }
}
