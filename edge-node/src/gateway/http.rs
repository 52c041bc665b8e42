//! The gateway towards its clients: each request is looked at by the guard, and answered from a release, or by the origin.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use freshet_listen::hls::playlist::PLAYLIST_BYTES_MAX;
use freshet_listen::http::{ByteStream, Content, is_playlist, media_type_of, respond};
use freshet_protocol::{Hash, RelPath, origin_path};
use futures_util::stream::StreamExt;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::guard::Guard;
use super::media;
use super::passed::{Asked, Passed};
use super::reader::{FileSource, ReadError};
use super::refusal::Refusal;
use super::route::{self, MediaName, ReleaseName, Target};
use super::shelf::Shelf;
use super::streams::Streams;
use crate::node::GetError;
use crate::origin::OriginError;
use crate::report::SoFar;

/// Most requests answered at once: each holds a few chunks while its client reads.
const REQUESTS_MAX: usize = 256;
/// A version may be removed and published anew, and asking the gateway costs nothing.
const CACHE_CONTROL: &str = "no-cache";

struct Service {
    guard: Guard,
    /// Requests that the guard has refused.
    refused: AtomicU64,
    shelf: Arc<Shelf>,
    streams: Arc<Streams>,
    places: Arc<Semaphore>,
}

pub(super) fn router(guard: Guard, shelf: Arc<Shelf>, streams: Arc<Streams>) -> Router {
    let (refused, places) = (AtomicU64::new(0), Arc::new(Semaphore::new(REQUESTS_MAX)));
    let service = Service { guard, refused, shelf, streams, places };
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
            Target::Status => Ok(Json(self.status().await).into_response()),
            Target::File(name, path) => self.file(request, &name, &path).await,
            Target::Media(name, path) if is_playlist(&name.path) => {
                self.playlist(request, &name, &path).await
            }
            Target::Media(name, path) => self.media(request, &name, &path).await,
            Target::Origin(path) => self.pass(request, &path).await,
        }
    }

    async fn file(&self, request: &Parts, name: &ReleaseName, path: &RelPath) -> Result<Response, Refusal> {
        let place = self.place()?;
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

    /// A playlist is passed on, and read on its way: it says what segments are asked for next.
    async fn playlist(&self, request: &Parts, name: &MediaName, path: &str) -> Result<Response, Refusal> {
        if request.method == Method::HEAD {
            return self.pass(request, path).await;
        }
        self.streams.expect(&name.content);
        let place = self.place()?;
        // One that was not seen yet has to come whole.
        let is_known = self.streams.playlists().knows(name);
        let asked = if is_known { Asked::AsItIs } else { Asked::Whole };
        let mut passed = self.ask_origin(request, path, asked).await?;
        if let Some(playlist) = passed.read(PLAYLIST_BYTES_MAX).await.map_err(refusal)? {
            self.streams.playlists().take(name, &playlist);
        }
        Ok(passed.answer(&request.method, place, |_| {}))
    }

    /// What else a stream has comes from its swarm, where it is a segment that is signed.
    async fn media(&self, request: &Parts, name: &MediaName, path: &str) -> Result<Response, Refusal> {
        let (place, reason) = match media::answer(&self.streams, request, name, path, self.place()?).await {
            Ok(response) => return Ok(response),
            Err(not) => not,
        };
        let passed = self.ask_origin(request, path, Asked::AsItIs).await?;
        if let Some(resource) = passed.resource() {
            self.streams.playlists().learn(name, resource);
        }
        let streams = Arc::clone(&self.streams);
        Ok(passed.answer(&request.method, place, move |bytes| {
            if let Some(reason) = reason {
                streams.passed(bytes, reason);
            }
        }))
    }

    /// What is neither a file of a release nor of a stream is the origin's to answer.
    async fn pass(&self, request: &Parts, path: &str) -> Result<Response, Refusal> {
        let place = self.place()?;
        let passed = self.ask_origin(request, path, Asked::AsItIs).await?;
        Ok(passed.answer(&request.method, place, |_| {}))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Busy)
    }

    async fn ask_origin(&self, request: &Parts, path: &str, asked: Asked) -> Result<Passed, Refusal> {
        let origin = &self.shelf.opener().origin;
        Passed::ask(origin, request, path, asked).await.map_err(refusal)
    }

    async fn status(&self) -> serde_json::Value {
        let mut report = self.shelf.report();
        report.add(self.streams.report());
        let mut streams = Vec::new();
        for (name, stream) in self.streams.open() {
            let Some(SoFar { bytes, sent_bytes, links }) = stream.so_far().await else { continue };
            report.bytes += bytes;
            report.sent_bytes += sent_bytes;
            streams
                .push(json!({ "content": name, "links": links, "bytes": bytes, "sent_bytes": sent_bytes }));
        }
        let open = self.shelf.open().into_iter().map(|(name, release)| {
            let so_far = release.so_far();
            json!({
                "content": name.content,
                "version": name.version,
                "root": release.files.release.id,
                "readers": release.readers(),
                "links": so_far.links,
                "bytes": so_far.bytes,
                "sent_bytes": so_far.sent_bytes,
            })
        });
        json!({
            "releases": open.collect::<Vec<_>>(),
            "streams": streams,
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

fn refusal(error: OriginError) -> Refusal {
    Refusal::from(&GetError::from(error))
}

/// The same stream once its first bytes are there, so that who cannot be served is told why.
pub(super) async fn begun(stream: ByteStream<ReadError>) -> Result<ByteStream<ReadError>, Refusal> {
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
    use axum::http::HeaderName;

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
