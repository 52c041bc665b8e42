//! A server of somebody else that streams lie on: it counts what it is asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use freshet_protocol::Hash;

/// The server; gone with the test.
pub(crate) struct Cdn {
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    folder: PathBuf,
    asked: Mutex<BTreeMap<String, Vec<u16>>>,
}

impl Cdn {
    /// Serves a folder. `/to/HOST:PORT/PATH` leads to that server, and `/round` in a circle.
    pub(crate) async fn serve(folder: PathBuf) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("http://{}/", listener.local_addr().expect("address"));
        let shared = Arc::new(Shared { folder, asked: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("served") });
        Self { url, shared, task }
    }

    /// Status of each answer to requests for a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<u16> {
        self.shared.asked.lock().expect("held by nobody").get(path).cloned().unwrap_or_default()
    }
}

impl Drop for Cdn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let response = respond(&shared, &path, &request);
    shared.asked.lock().expect("held by nobody").entry(path).or_default().push(response.status().as_u16());
    response
}

fn respond(shared: &Shared, path: &str, request: &Request) -> Response {
    if path == "round" {
        return (StatusCode::FOUND, [(header::LOCATION, "/round")]).into_response();
    }
    if let Some(target) = path.strip_prefix("to/") {
        return (StatusCode::FOUND, [(header::LOCATION, format!("http://{target}"))]).into_response();
    }
    let Ok(bytes) = std::fs::read(shared.folder.join(path)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{}\"", Hash::of(&bytes));
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header(header::IF_NONE_MATCH) == Some(&etag) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let range = header(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    if let Some((first, last)) = range {
        let (first, last) =
            (first.parse::<usize>().expect("a number"), last.parse::<usize>().expect("a number"));
        if first >= bytes.len() {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        let last = last.min(bytes.len() - 1);
        let range = format!("bytes {first}-{last}/{}", bytes.len());
        let headers = [(header::CONTENT_RANGE, range), (header::ETAG, etag)];
        return (StatusCode::PARTIAL_CONTENT, headers, bytes[first..=last].to_vec()).into_response();
    }
    ([(header::ETAG, etag)], bytes).into_response()
}
