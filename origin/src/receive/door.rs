//! The requests, and what is done about each.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use freshet_listen::http::parse_ranges;
use freshet_protocol::ContentName;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Tally;
use super::locks::Locks;
use super::refusal::Refusal;
use super::uploads::Uploads;
use crate::layout::{self, Kind};
use crate::private::{Token, timely};
use crate::store::{PART_BYTES, Store, UploadName};

/// Most parts of one object, as many as S3 takes.
const PARTS_MAX: u64 = 10_000;
/// Most bodies in memory at once, each of one part at most.
const BODIES_MAX: usize = 16;

struct Door {
    store: Store,
    token: Token,
    tally: Arc<Tally>,
    locks: Locks,
    uploads: Uploads,
    bodies: Semaphore,
    /// Held from looking at an object's state to writing over it.
    swapping: tokio::sync::Mutex<()>,
}

type Shared = State<Arc<Door>>;

/// What answers, and what is to be done beside it.
pub(super) fn open(
    store: Store,
    token: Token,
    tally: Arc<Tally>,
) -> (Router, impl Future<Output = ()> + Send + 'static) {
    let door = Arc::new(Door {
        store,
        token,
        tally,
        locks: Locks::default(),
        uploads: Uploads::default(),
        bodies: Semaphore::new(BODIES_MAX),
        swapping: tokio::sync::Mutex::default(),
    });
    let sweeping = door.clone();
    let router = Router::new()
        .route("/objects", get(list))
        .route("/objects/{*path}", get(read).put(write).delete(delete))
        .route("/uploads", post(start))
        .route("/uploads/{upload}", post(finish).delete(abort))
        .route("/uploads/{upload}/{part}", put(append))
        .layer(middleware::from_fn_with_state(door.clone(), guard))
        .with_state(door);
    (router, async move { sweeping.uploads.sweep().await })
}

/// Lets nobody in without the token, and counts.
async fn guard(State(door): Shared, request: Request, next: Next) -> Response {
    if !door.token.is_in(request.headers()) {
        door.tally.refused.fetch_add(1, Relaxed);
        return Refusal::Token.into_response();
    }
    door.tally.requests.fetch_add(1, Relaxed);
    // What has begun does not end with its connection: half an append would spoil an upload.
    let answered = tokio::spawn(next.run(request)).await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    prefix: String,
}

async fn list(State(door): Shared, Query(asked): Query<Listed>) -> Result<Response, Refusal> {
    let listing = door.store.listing(&asked.prefix)?;
    let own = listing.try_filter(|object| std::future::ready(layout::parse(&object.path).is_some()));
    let lines = own.map_ok(|object| {
        let mut line = serde_json::to_vec(&object).expect("own values are valid JSON");
        line.push(b'\n');
        Bytes::from(line)
    });
    // An answer that ends early is one that failed: the connection is cut.
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(lines)).into_response())
}

async fn read(
    State(door): Shared,
    Path(path): Path<String>,
    method: Method,
    asked: HeaderMap,
) -> Result<Response, Refusal> {
    named(&path)?;
    let state = door.store.state(&path).await?;
    if asked.get(header::IF_MATCH).is_some_and(|tag| !state.is(tag)) {
        return Err(Refusal::State);
    }
    let range = match asked.get(header::RANGE).filter(|_| method == Method::GET) {
        Some(range) => Some(one_range(range, state.bytes)?),
        None => None,
    };
    let mut response = Response::new(Body::empty());
    let mut set = |name, value: String| {
        let value = HeaderValue::try_from(value).expect("own header values are plain ASCII");
        response.headers_mut().insert(name, value);
    };
    if let Some(tag) = &state.tag {
        set(header::ETAG, tag.clone());
    }
    if let Some(Range { start, end }) = &range {
        set(header::CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, state.bytes));
    }
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let range = range.unwrap_or(0..state.bytes);
    set(header::CONTENT_LENGTH, (range.end - range.start).to_string());
    if method == Method::GET {
        *response.body_mut() = Body::from_stream(door.store.stream(&path, range, state.tag));
    }
    *response.status_mut() = status;
    Ok(response)
}

async fn write(
    State(door): Shared,
    Path(path): Path<String>,
    asked: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let (content, kind) = named(&path)?;
    let _place = door.place().await;
    let bytes = Bytes::from(whole(body).await?.concat());
    let _lock = door.locks.take(&door.store, &content, &kind)?;
    let length = bytes.len();
    match (asked.get(header::IF_NONE_MATCH), asked.get(header::IF_MATCH)) {
        (None, None) => door.store.replace(&path, bytes).await?,
        (Some(any), None) if any == "*" => door.store.swap(&path, bytes, None).await?,
        (None, Some(tag)) => {
            let _alone = door.swapping.lock().await;
            let state = door.store.state(&path).await?;
            if !state.is(tag) {
                return Err(Refusal::State);
            }
            door.store.swap(&path, bytes, Some(state.revision())).await?;
        }
        _ => return Err(Refusal::Bad("one condition at most: If-None-Match: * or If-Match".to_owned())),
    }
    door.count(length);
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(State(door): Shared, Path(path): Path<String>) -> Result<StatusCode, Refusal> {
    let (content, kind) = named(&path)?;
    let _lock = door.locks.take(&door.store, &content, &kind)?;
    door.store.delete(&path).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Started {
    path: String,
}

async fn start(State(door): Shared, Query(asked): Query<Started>) -> Result<Response, Refusal> {
    let (content, kind) = named(&asked.path)?;
    let lock = door.locks.take(&door.store, &content, &kind)?;
    let upload = door.uploads.start(door.store.upload(&asked.path), lock)?;
    Ok((StatusCode::CREATED, Json(UploadName { upload })).into_response())
}

async fn append(
    State(door): Shared,
    Path((upload, part)): Path<(String, u64)>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let upload = door.uploads.find(&upload)?;
    if part >= PARTS_MAX {
        return Err(Refusal::Bad(format!("an object has at most {PARTS_MAX} parts")));
    }
    if upload.turn(part).await? {
        let _place = door.place().await;
        let parts = whole(body).await?;
        let length = parts.iter().map(Bytes::len).sum();
        upload.append(part, parts).await?;
        door.count(length);
    }
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Finished {
    parts: u64,
}

async fn finish(
    State(door): Shared,
    Path(upload): Path<String>,
    Query(asked): Query<Finished>,
) -> Result<StatusCode, Refusal> {
    door.uploads.find(&upload)?.finish(asked.parts).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn abort(State(door): Shared, Path(upload): Path<String>) -> Result<StatusCode, Refusal> {
    door.uploads.abort(&upload).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Door {
    async fn place(&self) -> SemaphorePermit<'_> {
        self.bodies.acquire().await.expect("the semaphore is never closed")
    }

    fn count(&self, bytes: usize) {
        self.tally.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

/// What a path names; nothing but a store's own objects is read or written here.
fn named(path: &str) -> Result<(ContentName, Kind), Refusal> {
    layout::parse(path).ok_or_else(|| Refusal::Bad(format!("{path:?} is no object of a release or a stream")))
}

fn one_range(header: &HeaderValue, total: u64) -> Result<Range<u64>, Refusal> {
    let ranges = header.to_str().ok().and_then(|text| parse_ranges(text, total).ok().flatten());
    match <[Range<u64>; 1]>::try_from(ranges.ok_or(Refusal::Range(total))?) {
        Ok([range]) => Ok(range),
        Err(_) => Err(Refusal::Bad("one range at a time".to_owned())),
    }
}

/// The body, as it came.
async fn whole(body: Body) -> Result<Vec<Bytes>, Refusal> {
    let body = timely(body);
    futures_util::pin_mut!(body);
    let (mut parts, mut length) = (Vec::new(), 0);
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(Refusal::Cut)?;
        length += bytes.len();
        if length > PART_BYTES {
            return Err(Refusal::TooLong(PART_BYTES));
        }
        parts.push(bytes);
    }
    Ok(parts)
}
