//! Sends requests, again where that may help: a store that does not answer may be about to start anew.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode};
use tokio::time::{Instant, sleep};
use url::{Host, Url};

use crate::http_client;
use crate::jitter::jitter;

/// Longest silence within an answer: longer than the other side waits for a body.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// For how long a request is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest first wait, and longest of all.
const WAIT: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(8);
/// Most that is read of a refusal.
const SENTENCE_BYTES_MAX: usize = 1024;

/// What a path keeps as it is (RFC 3986, 2.3), and `/`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The other side.
pub(super) struct Requests {
    http: Client,
    base: Url,
    token: HeaderValue,
}

/// A request, which may be sent several times.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    method: Method,
    url: Url,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A request that was not obeyed.
#[derive(Debug)]
pub(super) struct Failed {
    /// How often it was sent.
    pub(super) attempts: u32,
    status: Option<StatusCode>,
    object: String,
    reason: String,
}

impl Asked {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Sets a header. A value that cannot be one is sent as an empty one, which nothing matches.
    pub(super) fn set(&mut self, name: HeaderName, value: &str) {
        let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
        self.headers.insert(name, value);
    }

    pub(super) fn has(&self, name: HeaderName) -> bool {
        self.headers.contains_key(name)
    }
}

impl Requests {
    pub(super) fn new(location: &str, token: &str) -> Result<Self, String> {
        let mut base = Url::parse(location).map_err(|error| error.to_string())?;
        let is_loopback = match base.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if base.scheme() != "https" && !is_loopback {
            return Err(
                "without https:// anybody on the way could read the token; http:// is for this machine"
                    .to_owned(),
            );
        }
        if !base.username().is_empty()
            || base.password().is_some()
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return Err(
                "the address has a host and a path alone; the token goes into FRESHET_STORE_TOKEN".to_owned()
            );
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut token = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| "FRESHET_STORE_TOKEN holds what no header can carry".to_owned())?;
        token.set_sensitive(true);
        // Over one connection a large body would hold up the others.
        let http = http_client::builder().http1_only().read_timeout(SILENCE_MAX);
        let http = http.redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self { http: http.map_err(|error| http_client::cause(&error))?, base, token })
    }

    /// Address of an object.
    pub(super) fn object(&self, location: &Path) -> Url {
        self.place(&format!("objects/{}", utf8_percent_encode(location.as_ref(), KEPT)))
    }

    /// An address behind the door, from characters that need no escape.
    pub(super) fn place(&self, path: &str) -> Url {
        self.base.join(path).expect("a path in its escaped form joins any address")
    }

    /// Sends a request until it is answered with something that would not change.
    pub(super) async fn send(&self, asked: &Asked, object: &str) -> Result<Response, Failed> {
        let (begun, mut wait, mut attempts) = (Instant::now(), WAIT, 0);
        loop {
            attempts += 1;
            let sent = self.http.request(asked.method.clone(), asked.url.clone());
            let sent = sent.header(header::AUTHORIZATION, self.token.clone()).headers(asked.headers.clone());
            let answered = sent.body(asked.body.clone()).send().await;
            let (status, reason, after) = match answered {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => refusal(response).await,
                Err(error) => (None, http_client::cause(&error), Duration::ZERO),
            };
            let pause = jitter(wait).max(after.min(WAIT_MAX));
            if !status.is_none_or(is_passing) || begun.elapsed() + pause > PATIENCE {
                return Err(Failed { attempts, status, object: object.to_owned(), reason });
            }
            tracing::debug!(url = %asked.url, reason, "the request is sent again");
            sleep(pause).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }
}

/// What a refusal says: the sentence, and when to come again.
async fn refusal(mut response: Response) -> (Option<StatusCode>, String, Duration) {
    let status = response.status();
    let after =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut sentence = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await
        && sentence.len() < SENTENCE_BYTES_MAX
    {
        sentence.extend_from_slice(&bytes);
    }
    sentence.truncate(SENTENCE_BYTES_MAX);
    let sentence = String::from_utf8_lossy(&sentence).trim().to_owned();
    let reason = if sentence.is_empty() { format!("it answers {status}") } else { sentence };
    (Some(status), reason, Duration::from_secs(after.unwrap_or(0)))
}

/// Whether an answer may be another one in a moment.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::LOCKED
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

impl Failed {
    pub(super) fn is_precondition(&self) -> bool {
        self.status == Some(StatusCode::PRECONDITION_FAILED)
    }
}

impl From<Failed> for object_store::Error {
    fn from(failed: Failed) -> Self {
        let Failed { status, object: path, reason, .. } = failed;
        match status {
            Some(StatusCode::NOT_FOUND) => Self::NotFound { path, source: reason.into() },
            Some(StatusCode::PRECONDITION_FAILED) => Self::Precondition { path, source: reason.into() },
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                let source = format!("{reason}; it is read from FRESHET_STORE_TOKEN").into();
                Self::Unauthenticated { path, source }
            }
            _ => Self::Generic { store: "remote", source: reason.into() },
        }
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(out)
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Requests").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
