//! Turns content into an HTTP answer: conditions and ranges (RFC 9110, 13 to 15).

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use ring::rand::{SecureRandom, SystemRandom};

use super::range::{RangeError, parse_ranges};

/// Bytes on their way to a client.
pub type ByteStream<E> = BoxStream<'static, Result<Bytes, E>>;

/// Something whose ranges can be read.
pub trait Source {
    /// Why bytes end before their time.
    type Error;

    /// Streams a range, piece by piece.
    fn stream(&self, range: Range<u64>) -> ByteStream<Self::Error>;
}

/// Content, and what is said about it.
#[derive(Debug, Clone)]
pub struct Content<S> {
    /// Strong entity tag, quoted.
    pub etag: String,
    /// Who may keep it, and for how long.
    pub cache_control: &'static str,
    /// What it is.
    pub media_type: &'static str,
    /// SHA-256 of the whole, where it is known.
    pub digest: Option<[u8; 32]>,
    /// Its length.
    pub bytes: u64,
    /// Where it comes from.
    pub source: S,
}

/// The answer to a request for `content`. `body` makes a body of a stream and its length.
///
/// # Errors
/// [`RangeError`] when none of the ranges asked for can be sent.
pub fn respond<S: Source<Error: Send + 'static>>(
    content: &Content<S>,
    method: &Method,
    asked: &HeaderMap,
    body: impl FnOnce(ByteStream<S::Error>, u64) -> Body,
) -> Result<Response, RangeError> {
    if is_unchanged(asked, &content.etag) {
        return Ok(finish(content, StatusCode::NOT_MODIFIED, Shape::None, method, body));
    }
    let ranges = match asked.get(header::RANGE) {
        Some(ranges) if method == Method::GET && may_be_part(asked, &content.etag) => {
            parse_ranges(ranges.to_str().map_err(|_| RangeError::Malformed)?, content.bytes)?
        }
        _ => None,
    };
    let (status, shape) = match ranges.map(<[Range<u64>; 1]>::try_from) {
        None => (StatusCode::OK, Shape::One(0..content.bytes)),
        Some(Ok([range])) => (StatusCode::PARTIAL_CONTENT, Shape::One(range)),
        Some(Err(ranges)) => (StatusCode::PARTIAL_CONTENT, Shape::Many(ranges)),
    };
    Ok(finish(content, status, shape, method, body))
}

/// What of the content is sent.
enum Shape {
    None,
    One(Range<u64>),
    Many(Vec<Range<u64>>),
}

fn finish<S: Source<Error: Send + 'static>>(
    content: &Content<S>,
    status: StatusCode,
    shape: Shape,
    method: &Method,
    body: impl FnOnce(ByteStream<S::Error>, u64) -> Body,
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    put(headers, header::ETAG, content.etag.clone());
    put(headers, header::CACHE_CONTROL, content.cache_control.to_owned());
    put(headers, header::ACCEPT_RANGES, "bytes".to_owned());
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    if let Some(digest) = content.digest {
        let name = header::HeaderName::from_static("repr-digest");
        put(headers, name, format!("sha-256=:{}:", STANDARD.encode(digest)));
    }
    let (bytes, stream) = match shape {
        Shape::None => return response,
        Shape::One(range) => {
            put(headers, header::CONTENT_TYPE, content.media_type.to_owned());
            if status == StatusCode::PARTIAL_CONTENT {
                put(headers, header::CONTENT_RANGE, content_range(&range, content.bytes));
            }
            (range.end - range.start, content.source.stream(range))
        }
        Shape::Many(ranges) => {
            let boundary = boundary();
            let media_type = format!("multipart/byteranges; boundary={boundary}");
            put(headers, header::CONTENT_TYPE, media_type);
            multipart(content, ranges, &boundary)
        }
    };
    put(headers, header::CONTENT_LENGTH, bytes.to_string());
    if method != Method::HEAD {
        *response.body_mut() = body(stream, bytes);
    }
    response
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    headers.insert(name, HeaderValue::try_from(value).expect("own header values are plain ASCII"));
}

/// The parts of a multipart answer (RFC 9110, 14.6), and their length together.
fn multipart<S: Source<Error: Send + 'static>>(
    content: &Content<S>,
    ranges: Vec<Range<u64>>,
    boundary: &str,
) -> (u64, ByteStream<S::Error>) {
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
        parts.push(content.source.stream(range));
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
