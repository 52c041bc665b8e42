//! HTTP requests to one origin, at whichever of its addresses works: a bounded body as a whole, or a range of a pack as a
//! stream. The one file that knows reqwest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode, redirect};
use tokio::time::Instant;

use crate::backoff::jitter;
use crate::limiter::Limiter;
use crate::origin::error::{OriginError, OriginFault};
use crate::origin::mirrors::Mirrors;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest silence of a body, or before it.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 4;
/// Most that is handed on at a time where reading is bounded.
const LIMITED_PIECE_BYTES: usize = 16 << 10;
/// Longest wait that a `Retry-After` may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Where the origin is.
#[derive(Debug, Clone)]
pub(crate) struct OriginConfig {
    /// Base URLs, each ending in a slash, to be asked in this order: at least one, and at most [`super::MIRRORS_MAX`].
    pub(crate) bases: Vec<String>,
    /// Program and version.
    pub(crate) agent: String,
    /// Bound of what it sends.
    pub(crate) limiter: Limiter,
}

/// An origin. Cheap to clone; clones share connections and counters.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    bases: Arc<[String]>,
    mirrors: Arc<Mutex<Mirrors>>,
    client: reqwest::Client,
    body_bytes: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
    limiter: Limiter,
}

/// What an origin calls a state of an object.
#[derive(Debug, Clone)]
pub(crate) struct Tag(HeaderValue);

/// A running body.
#[derive(Debug)]
pub(crate) struct Body {
    url: String,
    response: Response,
    /// Where it comes from, and which of the origin's addresses that is.
    origin: Origin,
    mirror: usize,
    /// What came and was not handed on.
    waiting: Bytes,
    /// Bytes of a whole pack that come before the range that was asked for.
    skip: u64,
}

impl Origin {
    /// # Errors
    /// When the HTTP client cannot be made, for example without a TLS provider.
    pub(crate) fn new(config: &OriginConfig) -> Result<Self, OriginError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(&config.agent)
            .redirect(redirect::Policy::limited(REDIRECTS_MAX))
            .tcp_nodelay(true)
            .build()
            .map_err(|error| fault(&config.bases[0], OriginFault::Unreachable(cause(&error))))?;
        Ok(Self {
            mirrors: Arc::new(Mutex::new(Mirrors::new(config.bases.len()))),
            bases: config.bases.as_slice().into(),
            client,
            body_bytes: Arc::default(),
            requests: Arc::default(),
            limiter: config.limiter.clone(),
        })
    }

    /// Body bytes received so far, as they came over the wire.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::Relaxed)
    }

    /// Requests sent so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether there is more than one address to ask.
    pub(super) fn has_mirrors(&self) -> bool {
        self.bases.len() > 1
    }

    /// A whole body of at most `bytes_max` bytes.
    pub(super) async fn whole(&self, path: &str, bytes_max: u64) -> Result<Bytes, OriginError> {
        let body = self.send(path, None).await?;
        self.read_whole(body, bytes_max).await
    }

    /// As [`Origin::whole`]; none where it is still what the origin called `tag`. With it comes what it is called now.
    pub(super) async fn whole_unless(
        &self,
        path: &str,
        tag: Option<Tag>,
        bytes_max: u64,
    ) -> Result<Option<(Bytes, Option<Tag>)>, OriginError> {
        let body = self.send(path, tag.map(|Tag(tag)| (IF_NONE_MATCH, tag))).await?;
        if body.response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let tag = body.response.headers().get(ETAG).cloned().map(Tag);
        self.read_whole(body, bytes_max).await.map(|bytes| Some((bytes, tag)))
    }

    async fn read_whole(&self, mut body: Body, bytes_max: u64) -> Result<Bytes, OriginError> {
        if body.response.status() != StatusCode::OK {
            return Err(status_error(&body.url, &body.response));
        }
        let mut bytes = Vec::new();
        while let Some(part) = body.next().await? {
            if (bytes.len() + part.len()) as u64 > bytes_max {
                return Err(fault(&body.url, OriginFault::TooLong(bytes_max)));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.into())
    }

    /// The bytes `start..end` of a pack. An origin that sends the whole pack instead is read up to `end` by a caller
    /// that drops the body there.
    pub(super) async fn range(&self, path: &str, start: u64, end: u64) -> Result<Body, OriginError> {
        let range = format!("bytes={start}-{}", end - 1);
        let range = HeaderValue::try_from(range).expect("digits are a header's value");
        let mut body = self.send(path, Some((RANGE, range))).await?;
        match body.response.status() {
            StatusCode::PARTIAL_CONTENT if range_start(body.response.headers()) == Some(start) => Ok(body),
            StatusCode::PARTIAL_CONTENT => {
                Err(fault(&body.url, OriginFault::Wrong("another range".to_owned())))
            }
            StatusCode::OK => {
                body.skip = start;
                Ok(body)
            }
            _ => Err(status_error(&body.url, &body.response)),
        }
    }

    /// Asks as somebody else would: the answer's status, its head, and its body.
    pub(crate) async fn pass(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<(StatusCode, HeaderMap, Body), OriginError> {
        let mut body = self.send_as(method, path, headers).await?;
        let headers = std::mem::take(body.response.headers_mut());
        Ok((body.response.status(), headers, body))
    }

    async fn send(&self, path: &str, header: Option<(HeaderName, HeaderValue)>) -> Result<Body, OriginError> {
        self.send_as(Method::GET, path, header.into_iter().collect()).await
    }

    /// Asks one address after the other until one has what is asked for. What was said instead is the answer where none has:
    /// that the origin failed or refused before that it has no such thing, since that may pass.
    async fn send_as(&self, method: Method, path: &str, headers: HeaderMap) -> Result<Body, OriginError> {
        let (mut tried, mut said) = (Vec::new(), None);
        while let Some(mirror) = self.next_mirror(&tried) {
            tried.push(mirror);
            let answer = self.send_to(mirror, method.clone(), path, headers.clone()).await;
            match health(&answer) {
                Health::Well => {
                    self.mirrors().succeeded(Instant::now(), mirror);
                    return answer;
                }
                Health::Lacks => {
                    said.get_or_insert(answer);
                }
                Health::Failed(told) => {
                    self.mirror_failed(mirror, told);
                    said = Some(answer);
                }
            }
        }
        said.expect("where none was tried there is one to ask")
    }

    async fn send_to(
        &self,
        mirror: usize,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Body, OriginError> {
        let url = format!("{}{path}", self.bases[mirror]);
        let request = self.client.request(method, &url).headers(headers);
        self.requests.fetch_add(1, Ordering::Relaxed);
        match tokio::time::timeout(STALL_TIMEOUT, request.send()).await {
            Ok(Ok(response)) => {
                Ok(Body { url, response, origin: self.clone(), mirror, waiting: Bytes::new(), skip: 0 })
            }
            Ok(Err(error)) => Err(fault(&url, OriginFault::Unreachable(cause(&error)))),
            Err(_) => Err(fault(&url, OriginFault::Stalled(STALL_TIMEOUT))),
        }
    }

    fn mirrors(&self) -> MutexGuard<'_, Mirrors> {
        self.mirrors.lock().expect("nothing panics while it is held")
    }

    fn next_mirror(&self, tried: &[usize]) -> Option<usize> {
        self.mirrors().next(Instant::now(), tried)
    }

    fn mirror_failed(&self, mirror: usize, told: Option<Duration>) {
        self.mirrors().failed(Instant::now(), mirror, told, jitter);
    }
}

/// What an answer says about the address that gave it.
enum Health {
    Well,
    /// It works, and has no such thing.
    Lacks,
    /// It failed, or refused, and perhaps told when to come back.
    Failed(Option<Duration>),
}

fn health(answer: &Result<Body, OriginError>) -> Health {
    match answer {
        Err(error) => Health::Failed(error.retry_after),
        Ok(body) if body.response.status().is_success() => Health::Well,
        Ok(body) => match status_error(&body.url, &body.response) {
            error if error.may_pass() => Health::Failed(error.retry_after),
            error if error.is_missing() => Health::Lacks,
            _ => Health::Well,
        },
    }
}

impl Body {
    /// The next bytes; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        while self.waiting.is_empty() {
            let part = match tokio::time::timeout(STALL_TIMEOUT, self.response.chunk()).await {
                Ok(Ok(Some(part))) => part,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(self.failed(OriginFault::Unreachable(cause(&error)))),
                Err(_) => return Err(self.failed(OriginFault::Stalled(STALL_TIMEOUT))),
            };
            self.origin.body_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
            let skipped = self.skip.min(part.len() as u64);
            self.skip -= skipped;
            self.waiting = part.slice(skipped as usize..);
        }
        if !self.origin.limiter.is_set() {
            return Ok(Some(std::mem::take(&mut self.waiting)));
        }
        // In small pieces, so that it does not look as if nothing came.
        let piece = self.waiting.split_to(self.waiting.len().min(LIMITED_PIECE_BYTES));
        self.origin.limiter.take(piece.len()).await;
        Ok(Some(piece))
    }

    /// It ended before its time, or is not what was signed: the address that it comes from is left alone for a while.
    pub(super) fn failed(&self, what: OriginFault) -> OriginError {
        self.origin.mirror_failed(self.mirror, None);
        fault(&self.url, what)
    }
}

fn fault(url: &str, fault: OriginFault) -> OriginError {
    OriginError { url: url.to_owned(), fault, retry_after: None }
}

fn status_error(url: &str, response: &Response) -> OriginError {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    OriginError { url: url.to_owned(), fault: OriginFault::Status(response.status().as_u16()), retry_after }
}

/// First byte of a `Content-Range: bytes 0-9/10`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// The innermost cause, which says most: "connection refused" rather than "error sending request".
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
