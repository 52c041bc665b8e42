//! Turns content into an HTTP answer: conditions, ranges, and a counted, bounded stream (RFC 9110, 13 to 15).

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use freshet_protocol::Hash;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::content::Content;
use super::counters::Tally;
use super::pace::{Pace, Pacer};
use super::range;
use super::refusal::Refusal;
use crate::release::ReadError;

/// What a body needs while it is sent.
pub(super) struct Sending {
    pub(super) tally: Arc<Tally>,
    /// A place among the requests answered at once, held until the body has ended.
    pub(super) place: OwnedSemaphorePermit,
    /// Tells when each piece may leave, where the line's rate is known.
    pub(super) pacer: Option<Arc<Pacer>>,
}

pub(super) fn respond(
    content: Content,
    method: &Method,
    asked: &HeaderMap,
    sending: Sending,
) -> Result<Response, Refusal> {
    if is_unchanged(asked, &content.etag) {
        return Ok(finish(content, StatusCode::NOT_MODIFIED, Shape::None, method, sending));
    }
    let ranges = match asked.get(header::RANGE) {
        Some(ranges) if method == Method::GET && may_be_part(asked, &content.etag) => {
            let text =
                ranges.to_str().map_err(|_| Refusal::Range(range::RangeError::Malformed, content.bytes))?;
            range::parse(text, content.bytes).map_err(|error| Refusal::Range(error, content.bytes))?
        }
        _ => None,
    };
    Ok(match ranges {
        None => {
            let whole = 0..content.bytes;
            finish(content, StatusCode::OK, Shape::One(whole), method, sending)
        }
        Some(ranges) => {
            let shape = match <[Range<u64>; 1]>::try_from(ranges) {
                Ok([range]) => Shape::One(range),
                Err(ranges) => Shape::Many(ranges),
            };
            finish(content, StatusCode::PARTIAL_CONTENT, shape, method, sending)
        }
    })
}

/// What of the content is sent.
enum Shape {
    None,
    One(Range<u64>),
    Many(Vec<Range<u64>>),
}

fn finish(content: Content, status: StatusCode, shape: Shape, method: &Method, sending: Sending) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    put(headers, header::ETAG, content.etag.clone());
    put(headers, header::CACHE_CONTROL, content.cache_control.to_owned());
    put(headers, header::ACCEPT_RANGES, "bytes".to_owned());
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    if let Some(Hash(digest)) = content.digest {
        let name = header::HeaderName::from_static("repr-digest");
        put(headers, name, format!("sha-256=:{}:", STANDARD.encode(digest)));
    }
    let (bytes, body) = match shape {
        Shape::None => return response,
        Shape::One(range) => {
            put(headers, header::CONTENT_TYPE, content.media_type.to_owned());
            if status == StatusCode::PARTIAL_CONTENT {
                put(headers, header::CONTENT_RANGE, content_range(&range, content.bytes));
            }
            (range.end - range.start, content.stream(range))
        }
        Shape::Many(ranges) => {
            let boundary = boundary();
            let media_type = format!("multipart/byteranges; boundary={boundary}");
            put(headers, header::CONTENT_TYPE, media_type);
            multipart(&content, ranges, &boundary)
        }
    };
    put(headers, header::CONTENT_LENGTH, bytes.to_string());
    if method != Method::HEAD {
        *response.body_mut() = counted(body, content.kind, bytes, sending);
    }
    response
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    headers.insert(name, HeaderValue::try_from(value).expect("own header values are plain ASCII"));
}

/// The body, counted as it leaves. An error cuts the connection: the client must not take it for whole.
fn counted(
    body: BoxStream<'static, Result<Bytes, ReadError>>,
    kind: super::counters::Kind,
    length: u64,
    sending: Sending,
) -> Body {
    let Sending { tally, place, pacer } = sending;
    let mut pace = pacer.map(|pacer| Pace::new(pacer, length));
    let paced = body.and_then(move |bytes| {
        let turn = pace.as_mut().and_then(|pace| pace.turn(Instant::now(), bytes.len()));
        async move {
            if let Some(turn) = turn {
                sleep_until(turn).await;
            }
            Ok(bytes)
        }
    });
    Body::from_stream(
        paced
            .inspect_ok(move |bytes| {
                let _held = &place;
                tally.body(kind, bytes.len());
            })
            .inspect_err(|error| tracing::error!(%error, "answer cut short")),
    )
}

/// The parts of a multipart answer (RFC 9110, 14.6), and their length together.
fn multipart(
    content: &Content,
    ranges: Vec<Range<u64>>,
    boundary: &str,
) -> (u64, BoxStream<'static, Result<Bytes, ReadError>>) {
    let mut bytes = 0;
    let mut parts = Vec::with_capacity(2 * ranges.len() + 1);
    let text = |text: String| stream::once(std::future::ready(Ok(Bytes::from(text)))).boxed();
    for range in ranges {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
            content.media_type,
            content_range(&range, content.bytes)
        );
        bytes += head.len() as u64 + (range.end - range.start);
        parts.push(text(head));
        parts.push(content.stream(range));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    bytes += end.len() as u64;
    parts.push(text(end));
    (bytes, stream::iter(parts).flatten().boxed())
}

/// Random, so that no content can hold it on purpose.
fn boundary() -> String {
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).expect("the operating system gives random bytes");
    format!("freshet-{:032x}", u128::from_be_bytes(random))
}

fn content_range(range: &Range<u64>, total: u64) -> String {
    format!("bytes {}-{}/{total}", range.start, range.end - 1)
}

/// If-None-Match, by weak comparison as RFC 9110, 13.1.2 has it.
fn is_unchanged(asked: &HeaderMap, etag: &str) -> bool {
    let tags = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// If-Range, by strong comparison; a date never matches, as no answer carries one.
fn may_be_part(asked: &HeaderMap, etag: &str) -> bool {
    asked.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("value"))])
    }

    #[test]
    fn if_none_match() {
        let check = |value, expected| {
            assert_eq!(is_unchanged(&headers(header::IF_NONE_MATCH, value), "\"a\""), expected, "{value}");
        };
        check("\"a\"", true);
        check("W/\"a\"", true);
        check("\"b\", \"a\"", true);
        check("*", true);
        check("\"b\"", false);
        check("a", false);
    }

    #[test]
    fn if_range() {
        let check = |value, expected| {
            assert_eq!(may_be_part(&headers(header::IF_RANGE, value), "\"a\""), expected, "{value}");
        };
        check("\"a\"", true);
        check("W/\"a\"", false);
        check("\"b\"", false);
        check("Wed, 21 Oct 2015 07:28:00 GMT", false);
        assert!(may_be_part(&HeaderMap::new(), "\"a\""));
    }
}
