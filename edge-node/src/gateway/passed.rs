//! Requests that are passed on to the origin, and its answers on their way back.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::playlists::Resource;
use crate::origin::{self, Origin, OriginError};

/// What of a request is passed on to the origin, and what of its answer comes back.
const ASKED: [HeaderName; 4] =
    [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
const ANSWERED: [&str; 12] = [
    "accept-ranges",
    "age",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "repr-digest",
    "retry-after",
    "x-content-type-options",
];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// What the client asks for.
    AsItIs,
    /// All of it, without conditions.
    Whole,
}

/// An answer of the origin.
pub(super) struct Passed {
    status: StatusCode,
    head: HeaderMap,
    /// What has been read of the body.
    begun: Bytes,
    body: origin::Body,
}

impl Passed {
    /// Asks the origin for what is at a path below its base URL.
    pub(super) async fn ask(
        origin: &Origin,
        request: &Parts,
        path: &str,
        asked: Asked,
    ) -> Result<Self, OriginError> {
        let headers = ASKED.iter().filter(|_| asked == Asked::AsItIs);
        let headers = headers.filter_map(|name| Some((name.clone(), request.headers.get(name)?.clone())));
        let (status, head, body) = origin.pass(request.method.clone(), path, headers.collect()).await?;
        Ok(Self { status, head, begun: Bytes::new(), body })
    }

    /// Reads a document that is to be known here, too: none where it is no whole one, or longer than this.
    pub(super) async fn read(&mut self, bytes_max: usize) -> Result<Option<Bytes>, OriginError> {
        if self.status != StatusCode::OK {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let is_whole = loop {
            match self.body.next().await? {
                Some(part) => bytes.extend_from_slice(&part),
                None => break bytes.len() <= bytes_max,
            }
            if bytes.len() > bytes_max {
                break false;
            }
        };
        self.begun = bytes.into();
        Ok(is_whole.then(|| self.begun.clone()))
    }

    /// What the answer is a part of; `Content-Range: bytes 0-9/10` has its length.
    pub(super) fn resource(&self) -> Option<Resource> {
        let text = |name| self.head.get(name)?.to_str().ok();
        let (_, bytes) = text(header::CONTENT_RANGE)?.split_once('/')?;
        Some(Resource { bytes: bytes.parse().ok()?, etag: text(header::ETAG)?.to_owned() })
    }

    /// The answer to the client, with a body that holds the place while it is on its way, and is counted.
    pub(super) fn answer(
        self,
        method: &Method,
        place: OwnedSemaphorePermit,
        count: impl Fn(u64) + Send + 'static,
    ) -> Response {
        let body = stream::unfold((self.body, place, count), |(mut body, place, count)| async {
            let next = body.next().await.transpose()?;
            if let Ok(bytes) = &next {
                count(bytes.len() as u64);
            }
            Some((next, (body, place, count)))
        });
        let begun = stream::iter((!self.begun.is_empty()).then_some(Ok(self.begun)));
        let body = if method == Method::HEAD { Body::empty() } else { Body::from_stream(begun.chain(body)) };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        for name in ANSWERED.map(HeaderName::from_static) {
            if let Some(value) = self.head.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }
}
