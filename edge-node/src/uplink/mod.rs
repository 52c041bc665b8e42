//! The way out of this node's line: all answers on all links pass here, so that they leave no faster than the line takes
//! beside what else its owner does with it.
//!
//! It is a bound of the node and not of a link, since what fills a household's buffer is the sum of all links, whichever
//! transport they run on; and it meters what is handed to the connections in small pieces, since congestion control
//! below fills buffers with whatever it is given. It lies here and not in the core, which knows chunks and no packets:
//! what it needs is measured by the connections, and differs by transport.

mod base;
#[cfg(test)]
mod line;
mod yielding;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limiter::Limiter;
use yielding::Yielding;

/// What leaves in one piece, as time of the line: as much is added to the queue at once.
const PIECE_US: u64 = 5_000;
/// Least size of a piece, in bytes: a full packet and a little.
const PIECE_BYTES_MIN: u64 = 2 << 10;
/// What may be saved up while a timer is late.
const SAVED: Duration = Duration::from_millis(5);

/// How uploads share the line with its other traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharePriority {
    /// Less than best effort: they take what is left, and keep the queue before the line short.
    #[default]
    Yield,
    /// As any download of the web: for machines whose line is there for this.
    Fair,
}

/// The way out. Cheap to clone; clones share the line.
#[derive(Debug, Clone)]
pub(crate) struct Uplink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limiter: Limiter,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    yielding: Yielding,
    next_link: u64,
}

/// One link's share in it.
#[derive(Debug)]
pub(crate) struct UplinkShare {
    uplink: Uplink,
    link: u64,
}

impl Default for Uplink {
    fn default() -> Self {
        let state = Mutex::new(State { yielding: Yielding::new(), next_link: 0 });
        Self(Arc::new(Shared { limiter: Limiter::saving(SAVED), begun: Instant::now(), state }))
    }
}

impl Uplink {
    /// A link begins to use it.
    pub(crate) fn join(&self) -> UplinkShare {
        let mut state = self.state();
        let link = state.next_link;
        state.next_link += 1;
        UplinkShare { uplink: self.clone(), link }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UplinkShare {
    /// Most bytes to let go at once.
    pub(crate) fn piece_bytes(&self) -> usize {
        (self.uplink.state().yielding.bytes_s() * PIECE_US / 1_000_000).max(PIECE_BYTES_MIN) as usize
    }

    /// Waits until so many bytes may go.
    pub(crate) async fn let_go(&self, bytes: usize) {
        let bytes_s = {
            let mut state = self.uplink.state();
            state.yielding.used(bytes);
            state.yielding.bytes_s()
        };
        self.uplink.0.limiter.set(Some(bytes_s));
        self.uplink.0.limiter.take(bytes).await;
    }

    /// Takes note of the link's mean round trip since this was last told.
    pub(crate) fn measured(&self, rtt: Duration) {
        let now_us = self.uplink.0.begun.elapsed().as_micros() as u64;
        let bytes_s = {
            let mut state = self.uplink.state();
            state.yielding.measured(now_us, self.link, rtt.as_micros() as u64);
            state.yielding.bytes_s()
        };
        self.uplink.0.limiter.set(Some(bytes_s));
    }
}

impl Drop for UplinkShare {
    fn drop(&mut self) {
        self.uplink.state().yielding.left(self.link);
    }
}
