//! Why a request is not obeyed, and how that is said.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::store::StoreError;

#[derive(Debug)]
pub(super) enum Refusal {
    Token,
    NotFound,
    /// What was asked for is not to be had at all.
    Bad(String),
    TooLong(usize),
    /// The body did not come whole.
    Cut(String),
    /// The object is in another state than the request says.
    State,
    /// Beyond the end, of so many bytes.
    Range(u64),
    /// No such upload, or no longer.
    Upload,
    /// The parts before it did not come.
    Order,
    TooManyUploads,
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::NotFound,
            StoreError::Changed { .. } => Self::State,
            error => Self::Store(error),
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::Upload => StatusCode::NOT_FOUND,
            Self::Bad(_) | Self::Cut(_) => StatusCode::BAD_REQUEST,
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::State => StatusCode::PRECONDITION_FAILED,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Order => StatusCode::CONFLICT,
            Self::TooManyUploads => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(StoreError::Busy { .. }) => StatusCode::LOCKED,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Token => "the token is missing or wrong".to_owned(),
            Self::NotFound => "there is no such object".to_owned(),
            Self::Bad(reason) => reason.clone(),
            Self::TooLong(max) => format!("a body has at most {max} bytes; larger objects come in parts"),
            Self::Cut(error) => format!("the body did not come whole: {error}"),
            Self::State => "the object is in another state".to_owned(),
            Self::Range(bytes) => format!("the object has {bytes} bytes"),
            Self::Upload => "there is no such upload; it may have been given up".to_owned(),
            Self::Order => "the parts before it did not come".to_owned(),
            Self::TooManyUploads => "too many uploads at once".to_owned(),
            Self::Store(error) => error.to_string(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, sentence) = (self.status(), self.sentence());
        match status.is_server_error() {
            true => tracing::error!(reason = sentence, "a request fails"),
            false => tracing::debug!(reason = sentence, "a request is refused"),
        }
        let mut response = (status, format!("{sentence}\n")).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Token => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooManyUploads | Self::Store(StoreError::Busy { .. }) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            Self::Range(bytes) => {
                let range = HeaderValue::try_from(format!("bytes */{bytes}"));
                headers.insert(header::CONTENT_RANGE, range.expect("digits are a header value"));
            }
            _ => {}
        }
        response
    }
}
