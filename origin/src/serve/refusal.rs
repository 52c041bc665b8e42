//! Answers that are no content: a status and one plain sentence.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use freshet_listen::http::{RANGES_MAX, RangeError};

use super::admission::ComeBack;
use super::route::URL_BYTES_MAX;
use crate::release::ReadError;
use crate::store::StoreError;

/// Why a request gets no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    /// Not here, and perhaps in a moment.
    NotYet,
    BadRequest(String),
    Method,
    UrlTooLong,
    /// The ranges cannot be served, out of so many bytes.
    Range(RangeError, u64),
    /// More is asked for than may be sent.
    Busy(ComeBack),
    /// The store failed; what happened is in the log.
    Store,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NotYet => StatusCode::NOT_FOUND,
            Self::BadRequest(_) | Self::Range(RangeError::Malformed, _) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::UrlTooLong => StatusCode::URI_TOO_LONG,
            Self::Range(RangeError::Unsatisfiable | RangeError::TooMany, _) => {
                StatusCode::RANGE_NOT_SATISFIABLE
            }
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of the answer: one sentence and the end of its line.
    pub(super) fn sentence(&self) -> String {
        let sentence = match self {
            Self::NotFound | Self::NotYet => "There is nothing of this name here.".to_owned(),
            Self::BadRequest(reason) => format!("Bad request: {reason}."),
            Self::Method => "Only GET, HEAD and OPTIONS are answered here.".to_owned(),
            Self::UrlTooLong => format!("The URL is longer than {URL_BYTES_MAX} bytes."),
            Self::Range(RangeError::Malformed, _) => "The Range header must look like bytes=0-99.".to_owned(),
            Self::Range(RangeError::Unsatisfiable, total) => {
                format!("The range lies outside of the {total} bytes there are.")
            }
            Self::Range(RangeError::TooMany, _) => format!("More than {RANGES_MAX} ranges in one request."),
            Self::Busy(ComeBack { after_s }) => {
                format!("The origin is sending as much as it may; try again in {after_s} s.")
            }
            Self::Store => "The origin cannot read its store; its log says why.".to_owned(),
        };
        sentence + "\n"
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.sentence()).into_response();
        let headers = response.headers_mut();
        // A CDN in front must not remember that something was missing; it may keep a crowd away for a second.
        let memory = if matches!(self, Self::NotYet) { "public, max-age=1" } else { "no-store" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(memory));
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            }
            Self::Busy(ComeBack { after_s }) => {
                headers.insert(header::RETRY_AFTER, after_s.into());
            }
            Self::Range(RangeError::Unsatisfiable, total) => {
                let value =
                    HeaderValue::try_from(format!("bytes */{total}")).expect("digits are a header value");
                headers.insert(header::CONTENT_RANGE, value);
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if error.is_not_found() {
            return Self::NotFound;
        }
        tracing::error!(%error, "cannot read the store");
        Self::Store
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            error @ ReadError::Damaged { .. } => {
                tracing::error!(%error, "the store is damaged");
                Self::Store
            }
        }
    }
}
