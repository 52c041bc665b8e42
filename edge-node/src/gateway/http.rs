//! The gateway towards its clients: each request is looked at by the guard, and answered from a release, or by the origin.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use freshet_listen::http::{ByteStream, Content, media_type_of, respond};
use freshet_protocol::{Hash, RelPath, origin_path};
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::sync::Semaphore;

use super::guard::Guard;
use super::reader::{FileSource, ReadError};
use super::refusal::Refusal;
use super::route::{self, ReleaseName, Target};
use super::shelf::Shelf;
use crate::node::GetError;

/// Most requests answered at once: each holds a few chunks while its client reads.
const REQUESTS_MAX: usize = 256;
/// A version may be removed and published anew, and asking the gateway costs nothing.
const CACHE_CONTROL: &str = "no-cache";
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

struct Service {
    guard: Guard,
    /// Requests that the guard has refused.
    refused: AtomicU64,
    shelf: Arc<Shelf>,
    places: Arc<Semaphore>,
}

pub(super) fn router(guard: Guard, shelf: Arc<Shelf>) -> Router {
    let refused = AtomicU64::new(0);
    let service = Service { guard, refused, shelf, places: Arc::new(Semaphore::new(REQUESTS_MAX)) };
    Router::new().fallback(answer).with_state(Arc::new(service))
}

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let asker = match service.guard.check(&request.uri, &request.headers) {
        Ok(asker) => asker,
        Err(refusal) => {
            service.refused.fetch_add(1, Relaxed);
            tracing::debug!(host = ?request.headers.get(header::HOST), origin = ?request.headers.get(header::ORIGIN), "refused a request");
            return refusal.into_response();
        }
    };
    if request.method == Method::OPTIONS {
        let mut response = StatusCode::NO_CONTENT.into_response();
        asker.tell_before(response.headers_mut());
        return response;
    }
    let mut response = service.answer(&request).await.unwrap_or_else(IntoResponse::into_response);
    asker.tell(response.headers_mut());
    let status = response.status().as_u16();
    tracing::debug!(method = %request.method, path = request.uri.path(), status, "answered");
    response
}

impl Service {
    async fn answer(&self, request: &Parts) -> Result<Response, Refusal> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(Refusal::Method);
        }
        match route::parse(request.uri.path(), request.uri.query())? {
            Target::Status => Ok(Json(self.status()).into_response()),
            Target::File(name, path) => self.file(request, &name, &path).await,
            Target::Origin(path) => self.pass(request, &path).await,
        }
    }

    async fn file(&self, request: &Parts, name: &ReleaseName, path: &RelPath) -> Result<Response, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let release = self.shelf.release(name).await?;
        let file = release.files.release.resolve(path).ok_or(Refusal::NotFound)?;
        let source = FileSource { release, file };
        let digest = match wants_digest(&request.headers) {
            true => Some(source.digest().await.map_err(|error| broken(&error))?),
            false => source.known_digest(),
        };
        let map = Arc::clone(&source.release.files.release);
        let path = &map.files[file].path;
        let content = Content {
            etag: origin_path::file_tag(map.id, path),
            cache_control: CACHE_CONTROL,
            media_type: media_type_of(path.as_str()),
            digest: digest.map(|Hash(digest)| digest),
            bytes: source.bytes(),
            source,
        };
        let mut sent = None;
        let answer = respond(&content, &request.method, &request.headers, |stream, _| {
            sent = Some(stream);
            Body::empty()
        });
        let mut response = answer.map_err(|error| Refusal::Range(error, content.bytes))?;
        if let Some(stream) = sent {
            let stream = begun(stream).await?;
            *response.body_mut() = Body::from_stream(stream.inspect(move |_| {
                let _held = &place;
            }));
        }
        Ok(response)
    }

    /// What is no file of a release is the origin's to answer.
    async fn pass(&self, request: &Parts, path: &str) -> Result<Response, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let asked = ASKED.iter().filter_map(|name| Some((name.clone(), request.headers.get(name)?.clone())));
        let asked: HeaderMap = asked.collect();
        let passed = self.shelf.opener().origin.pass(request.method.clone(), path, asked).await;
        let (status, headers, body) = passed.map_err(|error| Refusal::from(&GetError::from(error)))?;
        let body = stream::unfold((body, place), |(mut body, place)| async {
            let next = body.next().await.transpose()?;
            Some((next, (body, place)))
        });
        let mut response = Response::new(match request.method == Method::HEAD {
            true => Body::empty(),
            false => Body::from_stream(body),
        });
        *response.status_mut() = status;
        for name in ANSWERED.map(HeaderName::from_static) {
            if let Some(value) = headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }

    fn status(&self) -> serde_json::Value {
        let report = self.shelf.report();
        let open = self.shelf.open().into_iter().map(|(name, release)| {
            let traffic = release.traffic();
            json!({
                "content": name.content,
                "version": name.version,
                "root": release.files.release.id,
                "readers": release.readers(),
                "links": traffic.links,
                "bytes": traffic.bytes,
                "sent_bytes": traffic.sent_bytes,
            })
        });
        json!({
            "releases": open.collect::<Vec<_>>(),
            "bytes": report.bytes,
            "sent_bytes": report.sent_bytes,
            "waste_bytes": report.waste_bytes,
            "origin_wire_bytes": report.origin_wire_bytes,
            "origin_requests": report.origin_requests,
            "refused_requests": self.refused.load(Relaxed),
            "cache_bytes_max": self.shelf.cache().bytes_max(),
        })
    }
}

/// The same stream once its first bytes are there, so that who cannot be served is told why.
async fn begun(stream: ByteStream<ReadError>) -> Result<ByteStream<ReadError>, Refusal> {
    let mut stream = stream.peekable();
    if let Some(Err(error)) = Pin::new(&mut stream).peek().await {
        return Err(broken(error));
    }
    Ok(stream.boxed())
}

fn broken(error: &ReadError) -> Refusal {
    match error {
        ReadError::Closed => {
            Refusal::Origin("neither the origin nor peers deliver; the gateway's log says more".to_owned())
        }
        ReadError::Changed => Refusal::Broken(error.to_string()),
    }
}

/// Whether the client wants to know the SHA-256 of the whole (RFC 9530, 4): a weight above 0.
fn wants_digest(headers: &HeaderMap) -> bool {
    let wanted =
        headers.get_all("want-repr-digest").iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    wanted.flat_map(|value| value.split(',')).any(|item| {
        let (name, weight) = item.split_once('=').unwrap_or((item, "1"));
        name.trim() == "sha-256" && weight.trim().parse().is_ok_and(|weight: u8| weight > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_wanted_by_weight() {
        let check = |value: &str, expected| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static("want-repr-digest"),
                HeaderValue::from_str(value).expect("value"),
            )]);
            assert_eq!(wants_digest(&headers), expected, "{value}");
        };
        check("sha-256=10", true);
        check("sha-512=3, sha-256=1", true);
        check("sha-256", true);
        check("sha-256=0", false);
        check("sha-512=10", false);
        check("", false);
        assert!(!wants_digest(&HeaderMap::new()));
    }
}
