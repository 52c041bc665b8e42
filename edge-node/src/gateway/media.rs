//! Answers for segments of streams, from their swarms.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::Response;
use bytes::Bytes;
use freshet_listen::http::{ByteStream, Content, Source, media_type_of, parse_ranges, respond};
use freshet_protocol::{Hash, SegmentEntry};
use freshet_swarm::OriginReason;
use futures_util::stream::{self, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::http::begun;
use super::playlists::{Listed, Resource};
use super::reader::ReadError;
use super::route::MediaName;
use super::streams::Streams;
use crate::stream::Stream;

/// As the origin says of media.
const CACHE_CONTROL: &str = "public, max-age=3600";

/// A segment that is read from a swarm.
#[derive(Clone)]
struct SegmentSource {
    stream: Arc<Stream>,
    entry: Arc<SegmentEntry>,
    /// Where its resource is at the origin.
    url: String,
    deadline: Instant,
}

/// The answer for a segment; the place that it was given where it cannot come from a swarm, and why that is so.
pub(super) async fn answer(
    streams: &Arc<Streams>,
    request: &Parts,
    name: &MediaName,
    url: &str,
    place: OwnedSemaphorePermit,
) -> Result<Response, (OwnedSemaphorePermit, Option<OriginReason>)> {
    let Some((listed, resource)) = wanted(streams, request, name) else {
        return Err((place, None));
    };
    let Some(stream) = streams.joined(&name.content).await else {
        return Err((place, Some(OriginReason::Policy)));
    };
    let deadline = Instant::now() + patience(&listed);
    let entry = stream.find(&listed.rendition, listed.sequence, deadline).await;
    let Some(entry) = entry.filter(|entry| is_about(entry, &listed)) else {
        return Err((place, Some(OriginReason::Unlisted)));
    };
    let Some(room) = streams.room(entry.bytes) else {
        return Err((place, Some(OriginReason::Policy)));
    };
    let Resource { bytes, etag } =
        resource.unwrap_or_else(|| Resource { bytes: entry.bytes, etag: etag(&entry) });
    let content = Content {
        etag,
        cache_control: CACHE_CONTROL,
        media_type: media_type_of(&listed.path),
        digest: None,
        bytes,
        source: SegmentSource { stream, entry: Arc::new(entry), url: url.to_owned(), deadline },
    };
    let mut sent = None;
    let answered = respond(&content, &request.method, &request.headers, |stream, _| {
        sent = Some(stream);
        Body::empty()
    });
    // The origin says what is wrong with a range.
    let Ok(mut response) = answered else { return Err((place, None)) };
    if let Some(stream) = sent {
        let Ok(stream) = begun(stream).await else { return Err((place, Some(OriginReason::NoPeers))) };
        *response.body_mut() = Body::from_stream(stream.inspect(move |_| {
            let _held = (&place, &room);
        }));
    }
    Ok(response)
}

/// How long a segment may take at most, until it comes from the origin.
fn patience(listed: &Listed) -> Duration {
    // A player takes that time for its line's: even so it sees four times the rate that it needs.
    (Duration::from_micros(listed.duration_us) / 4).clamp(Duration::from_millis(500), Duration::from_secs(2))
}

/// The segment that a request is about; with it its resource, where it is a part of that.
fn wanted(streams: &Streams, request: &Parts, name: &MediaName) -> Option<(Listed, Option<Resource>)> {
    let mut playlists = streams.playlists();
    if let Some(whole) = playlists.find(name, None) {
        return Some((whole, None));
    }
    let resource = playlists.resource(name)?;
    // Such a request may have to be answered with all of the resource.
    let is_conditional =
        [header::IF_RANGE, header::IF_NONE_MATCH].iter().any(|name| request.headers.contains_key(name));
    if request.method != Method::GET || is_conditional {
        return None;
    }
    let ranges = request.headers.get(header::RANGE).and_then(|ranges| ranges.to_str().ok());
    let ranges = parse_ranges(ranges?, resource.bytes).ok()??;
    let [part] = <[Range<u64>; 1]>::try_from(ranges).ok()?;
    Some((playlists.find(name, Some(&part))?, Some(resource)))
}

/// Whether an entry is about the resource that a playlist says it is about.
fn is_about(entry: &SegmentEntry, listed: &Listed) -> bool {
    let range = entry.offset..entry.offset + entry.bytes;
    entry.path == listed.path
        && match &listed.range {
            Some(listed) => range == *listed,
            None => entry.offset == 0,
        }
}

/// The bytes are what fixes it.
fn etag(entry: &SegmentEntry) -> String {
    let pieces: Vec<u8> = entry.pieces.iter().flat_map(|piece| piece.0.0).collect();
    format!("\"{}\"", &Hash::of(&pieces).to_string()[..32])
}

impl Source for SegmentSource {
    type Error = ReadError;

    fn stream(&self, range: Range<u64>) -> ByteStream<ReadError> {
        let Self { stream, entry, url, deadline } = self.clone();
        // From here on in bytes of the segment.
        let wanted = range.start.saturating_sub(entry.offset)..range.end.saturating_sub(entry.offset);
        let reading = async move { stream.read((*entry).clone(), url, deadline).await };
        let pieces = stream::once(reading).flat_map(move |pieces| {
            let state = (pieces, 0);
            let wanted = wanted.clone();
            stream::unfold(state, move |(mut pieces, at)| {
                let wanted = wanted.clone();
                async move {
                    if at >= wanted.end {
                        return None;
                    }
                    let Some(piece) = pieces.recv().await else {
                        return Some((Err(ReadError::Closed), (pieces, u64::MAX)));
                    };
                    let end = at + piece.len() as u64;
                    let part = wanted.start.clamp(at, end)..wanted.end.clamp(at, end);
                    let part = (part.start - at) as usize..(part.end - at) as usize;
                    Some((Ok(piece.slice(part)), (pieces, end)))
                }
            })
        });
        let is_some = |bytes: &Result<Bytes, ReadError>| {
            std::future::ready(bytes.as_ref().map_or(true, |bytes| !bytes.is_empty()))
        };
        pieces.filter(is_some).boxed()
    }
}
