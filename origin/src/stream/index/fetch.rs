//! Fetches playlists and segments over HTTP, from the hosts that were named and no others.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use freshet_listen::hls::playlist::PLAYLIST_BYTES_MAX;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::http_client;
use crate::stream::error::SegmentProblem;
use crate::stream::pieces::{Cutter, Pieces};

/// Most redirects that one request follows.
const REDIRECTS_MAX: usize = 5;
/// Longest silence within an answer.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Time for one answer as a whole.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// Why a playlist did not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} is not on a host that was named; add it with --allow-host")]
    Host(String),
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {PLAYLIST_BYTES_MAX} bytes")]
    TooLong,
    #[error("{0}")]
    Http(String),
}

pub(super) struct Fetcher {
    http: Client,
    hosts: BTreeSet<String>,
}

/// A playlist as it came.
pub(super) struct Got {
    /// Where it was in the end; what it lists is relative to that, as it is for players.
    pub(super) url: Url,
    pub(super) bytes: Bytes,
    pub(super) state: State,
}

/// What tells one state of a playlist from another.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Fetcher {
    pub(super) fn new(hosts: BTreeSet<String>) -> Self {
        let allowed = hosts.clone();
        let policy = Policy::custom(move |attempt: Attempt<'_>| -> Action {
            if attempt.previous().len() > REDIRECTS_MAX {
                attempt.error("too many redirects")
            } else if !is_allowed(&allowed, attempt.url()) {
                attempt.error("redirected to a host that was not named")
            } else {
                attempt.follow()
            }
        });
        let http = http_client::builder().redirect(policy).read_timeout(SILENCE_MAX).timeout(ANSWER_TIME);
        Self { http: http.build().expect("the settings are good"), hosts }
    }

    /// A playlist; none where it is still in the state `seen`.
    pub(super) async fn playlist(&self, url: &Url, seen: &State) -> Result<Option<Got>, FetchError> {
        let mut headers = HeaderMap::new();
        let conditions = [(header::IF_NONE_MATCH, &seen.etag), (header::IF_MODIFIED_SINCE, &seen.modified)];
        for (name, value) in conditions {
            headers.extend(value.clone().map(|value| (name, value)));
        }
        let mut answer = self.get(url, headers).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(None),
            other => return Err(FetchError::Status(other)),
        }
        let header = |name| answer.headers().get(name).cloned();
        let state = State { etag: header(header::ETAG), modified: header(header::LAST_MODIFIED) };
        let url = answer.url().clone();
        let mut bytes = BytesMut::new();
        while let Some(part) =
            answer.chunk().await.map_err(|error| FetchError::Http(http_client::cause(&error)))?
        {
            bytes.extend_from_slice(&part);
            if bytes.len() > PLAYLIST_BYTES_MAX {
                return Err(FetchError::TooLong);
            }
        }
        Ok(Some(Got { url, bytes: bytes.freeze(), state }))
    }

    /// Cuts a resource, or a part of it, into pieces as it comes, holding none of it.
    pub(super) async fn pieces(
        &self,
        url: &Url,
        range: Option<(u64, u64)>,
    ) -> Result<Pieces, SegmentProblem> {
        let fail = |error: &dyn std::fmt::Display| SegmentProblem::Io(error.to_string());
        let mut headers = HeaderMap::new();
        if let Some((start, bytes)) = range {
            let value = format!("bytes={start}-{}", start + bytes - 1);
            headers.insert(header::RANGE, HeaderValue::try_from(value).expect("digits are a header value"));
        }
        let mut answer = self.get(url, headers).await.map_err(|error| fail(&error))?;
        match (answer.status(), range) {
            (StatusCode::OK, None) => {}
            (StatusCode::PARTIAL_CONTENT, Some((start, _))) if starts_at(&answer, start) => {}
            (StatusCode::OK, Some(_)) => return Err(fail(&"its server does not know ranges")),
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => return Err(SegmentProblem::Short),
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => return Err(SegmentProblem::Missing),
            (other, _) => return Err(fail(&FetchError::Status(other))),
        }
        let mut cutter = Cutter::new();
        while let Some(part) = answer.chunk().await.map_err(|error| fail(&http_client::cause(&error)))? {
            cutter.push(&part)?;
        }
        let pieces = cutter.finish();
        match range {
            Some((_, bytes)) if pieces.bytes != bytes => Err(SegmentProblem::Short),
            _ => Ok(pieces),
        }
    }

    async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response, FetchError> {
        if !is_allowed(&self.hosts, url) {
            return Err(FetchError::Host(url.as_str().chars().take(200).collect()));
        }
        let sent = self.http.get(url.clone()).headers(headers).send().await;
        sent.map_err(|error| FetchError::Http(http_client::cause(&error)))
    }
}

fn is_allowed(hosts: &BTreeSet<String>, url: &Url) -> bool {
    let is_http = matches!(url.scheme(), "http" | "https");
    is_http && url.host_str().is_some_and(|host| hosts.contains(host))
}

fn starts_at(answer: &Response, start: u64) -> bool {
    let range = answer.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}
