//! What a body needs while it is sent: its count, its place, and its turn on the line.

use std::sync::Arc;

use axum::body::Body;
use freshet_listen::http::ByteStream;
use futures_util::stream::TryStreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::counters::{Kind, Tally};
use super::pace::{Pace, Pacer};
use crate::release::ReadError;

pub(super) struct Sending {
    pub(super) tally: Arc<Tally>,
    pub(super) kind: Kind,
    /// A place among the requests answered at once, held until the body has ended.
    pub(super) place: OwnedSemaphorePermit,
    /// Tells when each piece may leave, where the line's rate is known.
    pub(super) pacer: Option<Arc<Pacer>>,
}

impl Sending {
    /// The body, counted as it leaves. An error cuts the connection: the client must not take it for whole.
    pub(super) fn body(self, body: ByteStream<ReadError>, length: u64) -> Body {
        let Self { tally, kind, place, pacer } = self;
        let mut pace = pacer.map(|pacer| Pace::new(pacer, length));
        let paced = body.and_then(move |bytes| {
            let turn = pace.as_mut().and_then(|pace| pace.turn(Instant::now(), bytes.len()));
            async move {
                if let Some(turn) = turn {
                    sleep_until(turn).await;
                }
                Ok(bytes)
            }
        });
        Body::from_stream(
            paced
                .inspect_ok(move |bytes| {
                    let _held = &place;
                    tally.body(kind, bytes.len());
                })
                .inspect_err(|error| tracing::error!(%error, "answer cut short")),
        )
    }
}
