//! What a body needs while it is sent: its count, its place, and its turn on the line.

use std::sync::Arc;

use axum::body::Body;
use freshet_listen::http::ByteStream;
use futures_util::stream::TryStreamExt;
use tokio::time::{Instant, sleep_until};

use super::counters::{Kind, Tally};
use super::gate::Entry;
use crate::release::ReadError;

pub(super) struct Sending {
    pub(super) tally: Arc<Tally>,
    pub(super) kind: Kind,
    /// Held until the body has ended.
    pub(super) entry: Entry,
}

impl Sending {
    /// The body, counted as it leaves. An error cuts the connection: the client must not take it for whole.
    pub(super) fn body(self, body: ByteStream<ReadError>, length: u64) -> Body {
        let Self { tally, kind, mut entry } = self;
        let mut pace = entry.pace(length);
        let paced = body.and_then(move |bytes| {
            let turn = pace.as_mut().and_then(|pace| pace.turn(Instant::now(), bytes.len()));
            entry.begun();
            async move {
                if let Some(turn) = turn {
                    sleep_until(turn).await;
                }
                Ok(bytes)
            }
        });
        Body::from_stream(
            paced
                .inspect_ok(move |bytes| tally.body(kind, bytes.len()))
                .inspect_err(|error| tracing::error!(%error, "answer cut short")),
        )
    }
}
