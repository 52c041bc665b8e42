//! Answers that are no content: a status and one plain sentence.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use freshet_listen::http::{RANGES_MAX, RangeError};

use crate::control::Pause;
use crate::node::GetError;

/// Why a request gets no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Asked for by a name that is not this machine's.
    Host,
    /// Asked by a page of a site that is not allowed.
    Site,
    Method,
    BadRequest(String),
    NotFound,
    /// The ranges cannot be served, out of so many bytes.
    Range(RangeError, u64),
    /// As much is done as may be.
    Busy,
    Paused(Pause),
    /// Neither origin nor peers deliver.
    Origin(String),
    /// What came is not what its publisher signed.
    Forged(String),
    DiskFull(String),
    /// The gateway cannot do its work; the words are for its owner.
    Broken(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            // A connection to the wrong server (RFC 9110, 15.5.20).
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Site => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) | Self::Range(RangeError::Malformed, _) => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Range(RangeError::Unsatisfiable | RangeError::TooMany, _) => {
                StatusCode::RANGE_NOT_SATISFIABLE
            }
            Self::Busy | Self::Paused(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Origin(_) | Self::Forged(_) => StatusCode::BAD_GATEWAY,
            Self::DiskFull(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Host => {
                "This gateway answers to names of this machine; its owner allows others with --allow-host."
                    .to_owned()
            }
            Self::Site => {
                "Pages of this site may not ask; the gateway's owner allows sites with --allow-origin."
                    .to_owned()
            }
            Self::Method => "Only GET and HEAD are answered here.".to_owned(),
            Self::BadRequest(what) => format!("Bad request: {what}."),
            Self::NotFound => "There is nothing of this name here.".to_owned(),
            Self::Range(RangeError::Malformed, _) => "The Range header must look like bytes=0-99.".to_owned(),
            Self::Range(RangeError::Unsatisfiable, total) => {
                format!("The range lies outside of the {total} bytes there are.")
            }
            Self::Range(RangeError::TooMany, _) => format!("More than {RANGES_MAX} ranges in one request."),
            Self::Busy => "The gateway does as much as it may; try again in a few seconds.".to_owned(),
            Self::Paused(Pause::Asked) => "The gateway is paused.".to_owned(),
            Self::Paused(Pause::Playing) => "The gateway rests while the game is played.".to_owned(),
            Self::Paused(Pause::Hours) => "The gateway rests at this hour.".to_owned(),
            Self::Origin(why) | Self::Forged(why) | Self::DiskFull(why) | Self::Broken(why) => {
                format!("{why}.")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.sentence() + "\n").into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::Busy | Self::Paused(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::Range(RangeError::Unsatisfiable, total) => {
                let value = HeaderValue::try_from(format!("bytes */{total}")).expect("digits are a value");
                headers.insert(header::CONTENT_RANGE, value);
            }
            _ => {}
        }
        response
    }
}

impl From<&GetError> for Refusal {
    fn from(error: &GetError) -> Self {
        match error {
            // What these say beside is for who runs a command.
            GetError::Origin(why) => Self::Origin(why.clone()),
            GetError::DiskFull { path, detail } => Self::DiskFull(format!("{}: {detail}", path.display())),
            GetError::NotWritable { path, detail } => {
                Self::Broken(format!("{} cannot be written: {detail}", path.display()))
            }
            GetError::Forged(_) | GetError::Outdated(_) => Self::Forged(error.to_string()),
            GetError::Stopped => Self::Busy,
            GetError::PortInUse(_) | GetError::Usage(_) | GetError::Other(_) => {
                Self::Broken(error.to_string())
            }
        }
    }
}
