//! Lets pages of any site read answers, their headers and their timing: what is served is public, and checked by who
//! reads it. GET and HEAD, with one range too, need no preflight then (Fetch standard, CORS-safelisted headers).
//!
//! All answers get these headers, refusals too, or a page could not tell what went wrong. Only what is no request at
//! all (RFC 9110: a head that is malformed or too long) is refused by the HTTP library without them.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::map_response;
use axum::response::Response;
use tower_http::cors::{Any, CorsLayer};

/// How long browsers may remember that they may ask from anywhere.
const PREFLIGHT_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Opens what the router serves.
pub(super) fn open(router: Router) -> Router {
    router.layer(sharing()).layer(map_response(async |mut response: Response| {
        let headers = response.headers_mut();
        // Pages that isolate themselves (COEP) may load from here too.
        let embedding = HeaderName::from_static("cross-origin-resource-policy");
        headers.insert(embedding, HeaderValue::from_static("cross-origin"));
        // Players measure their sources (Resource Timing).
        headers.insert(HeaderName::from_static("timing-allow-origin"), HeaderValue::from_static("*"));
        response
    }))
}

fn sharing() -> CorsLayer {
    let exposed = [
        header::ACCEPT_RANGES,
        // How old a copy is that a CDN in front sent.
        header::AGE,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::DATE,
        header::ETAG,
        HeaderName::from_static("repr-digest"),
        // When to come back.
        header::RETRY_AFTER,
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::OPTIONS])
        .allow_headers([header::RANGE, header::IF_NONE_MATCH, header::IF_RANGE])
        .expose_headers(exposed)
        // Every origin gets the same answer, so a CDN shall keep one copy.
        .vary([])
        .max_age(PREFLIGHT_LIFE)
}
