//! A stream whose swarm this node takes part in, for the local gateway: the native twin of a page's session. Segments whose
//! entries are signed come from peers and the origin, piece by piece, and are kept in memory for a while for others.

mod entries;
mod library;
mod range_set;
mod readers;
mod said;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::{ContentName, PublicKey, SegmentEntry};
use freshet_swarm::Policy;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::network::Network;
use crate::origin::Origin;
use crate::report::{Report, SoFar};
use entries::Entries;
use session::{Session, SessionConfig};

/// Readers' questions that wait for the session.
const ASKS_MAX: usize = 64;

/// What a stream is joined with.
pub(crate) struct Joining {
    pub(crate) stream: ContentName,
    /// Keys that may sign its entries.
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) network: Network,
    pub(crate) origin: Origin,
    pub(crate) policies: watch::Receiver<Policy>,
    pub(crate) stop: CancellationToken,
}

/// A joined stream: finds entries, and reads segments from the swarm.
#[derive(Debug)]
pub(crate) struct Stream {
    entries: Arc<Entries>,
    asks: mpsc::Sender<Ask>,
}

/// What is asked of the session.
#[derive(Debug)]
enum Ask {
    /// A reader asks for a segment.
    Read(Reading),
    /// How do things stand?
    SoFar(oneshot::Sender<SoFar>),
}

/// A segment that is to be read.
#[derive(Debug)]
struct Reading {
    entry: SegmentEntry,
    /// Where its resource is at the origin, below the base URL.
    url: String,
    deadline: Instant,
    pieces: mpsc::UnboundedSender<Bytes>,
}

impl Stream {
    /// Joins; the future is the session, which runs until it is stopped or the stream is dropped.
    pub(crate) fn join(joining: Joining) -> (Self, impl Future<Output = Report> + Send + 'static) {
        let Joining { stream, keys, network, origin, policies, stop } = joining;
        let entries = Arc::new(Entries::new(stream.clone(), keys, origin.clone()));
        let (asks_in, asks) = mpsc::channel(ASKS_MAX);
        let joined = Self { entries: Arc::clone(&entries), asks: asks_in };
        let config = SessionConfig { stream, network, entries, origin, policies, asks, stop };
        (joined, Session::new(config).run())
    }

    /// The signed entry of a segment, waited for until `until` at most.
    pub(crate) async fn find(&self, rendition: &str, sequence: u64, until: Instant) -> Option<SegmentEntry> {
        self.entries.find(rendition, sequence, until).await
    }

    /// Reads a segment by a deadline: its pieces come in order, as they are verified. They end early where neither peers nor
    /// the origin deliver. Who drops it wants no more.
    pub(crate) async fn read(
        &self,
        entry: SegmentEntry,
        url: String,
        deadline: Instant,
    ) -> mpsc::UnboundedReceiver<Bytes> {
        let (pieces, coming) = mpsc::unbounded_channel();
        // Where the session is over, nothing comes.
        let _ = self.asks.send(Ask::Read(Reading { entry, url, deadline, pieces })).await;
        coming
    }

    /// Whether the session is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.asks.is_closed()
    }

    /// What was done so far; none once the session is over.
    pub(crate) async fn so_far(&self) -> Option<SoFar> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::SoFar(answer)).await.ok()?;
        answered.await.ok()
    }
}
