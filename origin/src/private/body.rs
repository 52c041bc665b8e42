//! Bodies of requests, which may not stall.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

/// How long a writer may send nothing: a packager writes a segment as it encodes it.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The body, which fails when nothing comes for long.
pub(crate) fn timely(body: Body) -> impl Stream<Item = Result<Bytes, String>> {
    stream::unfold(Some(Box::pin(body.into_data_stream())), async |body| {
        let mut body = body?;
        match tokio::time::timeout(SILENCE_MAX, body.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(body))),
            Ok(Some(Err(error))) => Some((Err(error.to_string()), None)),
            Ok(None) => None,
            Err(_) => Some((Err(format!("nothing came for {} s", SILENCE_MAX.as_secs())), None)),
        }
    })
}
