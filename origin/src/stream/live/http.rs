//! Takes in a stream over HTTP, as packagers write it: PUT, POST and DELETE.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use freshet_listen::hls::playlist::PLAYLIST_BYTES_MAX;
use freshet_protocol::RelPath;
use futures_util::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::options::IngestError;
use super::room::{Room, TakeError};
use crate::private::{SILENCE_MAX, Token, TokenError, timely};
use crate::serve;

/// Most connections at once; a packager has one for each file on its way.
const CONNECTIONS_MAX: usize = 256;
/// Most files on their way at once, each holding at most a part of the store in memory.
const UPLOADS_MAX: usize = 64;
/// How long what has come in may take to end after a stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

struct Door {
    room: Arc<Room>,
    token: Option<Token>,
    uploads: Semaphore,
    /// What has come in and is not done with. It does not end with its connection: packagers hang up without waiting for
    /// the answer.
    work: TaskTracker,
}

/// Why a request is not obeyed.
enum Refusal {
    Token,
    Method,
    NotFound,
    Bad(String),
    Busy,
    Take(TakeError),
}

/// Listens, and returns where, and the work.
pub(super) async fn listen(
    address: SocketAddr,
    token: Option<String>,
    room: Arc<Room>,
    stop: CancellationToken,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send + 'static), IngestError> {
    let fail = |source| IngestError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    let knob = |error: TokenError| IngestError::Knob(error.to_string());
    let token = token.as_deref().map(Token::new).transpose().map_err(knob)?;
    let (uploads, work) = (Semaphore::new(UPLOADS_MAX), TaskTracker::new());
    let door = Arc::new(Door { room, token, uploads, work: work.clone() });
    let router = Router::new().fallback(answer).with_state(door);
    let serving = serve::run_private(listener, router, None, stop, CONNECTIONS_MAX, SILENCE_MAX);
    let run = async move {
        serving.await;
        work.close();
        tokio::time::timeout(STOP_GRACE, work.wait()).await.ok();
    };
    Ok((address, run))
}

async fn answer(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (doing, door) = (door.work.clone(), door.clone());
    let done = doing.spawn(async move {
        match door.answer(request).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(refusal) => refusal.into_response(),
        }
    });
    done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Door {
    async fn answer(&self, request: Request) -> Result<(), Refusal> {
        let (head, body) = request.into_parts();
        if self.token.as_ref().is_some_and(|token| !token.is_in(&head.headers)) {
            return Err(Refusal::Token);
        }
        let (url, file) = self.place(head.uri.path())?;
        match head.method {
            Method::PUT | Method::POST => self.take(&url, &file, body).await,
            Method::DELETE => self.room.delete(&url, &file).await.map_err(Refusal::Take),
            _ => Err(Refusal::Method),
        }
    }

    fn place(&self, path: &str) -> Result<(Url, RelPath), Refusal> {
        let prefix = format!("/{}/media/", self.room.content());
        let url = self.room.names().url_of_request(path.strip_prefix(&prefix).ok_or(Refusal::NotFound)?);
        let file = self.room.names().file(&url).map_err(|error| Refusal::Bad(error.to_string()))?;
        Ok((url, file))
    }

    async fn take(&self, url: &Url, file: &RelPath, body: Body) -> Result<(), Refusal> {
        let _place = self.uploads.try_acquire().map_err(|_| Refusal::Busy)?;
        let body = timely(body);
        if !Room::is_playlist(file) {
            return self.room.take_file(file, body).await.map_err(Refusal::Take);
        }
        let bytes = read(body).await?;
        self.room.take_playlist(url, file, bytes).await.map_err(Refusal::Take)
    }
}

async fn read(body: impl Stream<Item = Result<Bytes, String>>) -> Result<Bytes, Refusal> {
    futures_util::pin_mut!(body);
    let mut whole = BytesMut::new();
    while let Some(bytes) = body.next().await {
        whole.extend_from_slice(&bytes.map_err(|error| Refusal::Take(TakeError::Cut(error)))?);
        if whole.len() > PLAYLIST_BYTES_MAX {
            return Err(Refusal::Bad(format!("a playlist has at most {PLAYLIST_BYTES_MAX} bytes")));
        }
    }
    Ok(whole.freeze())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, sentence) = match self {
            Self::Token => (StatusCode::UNAUTHORIZED, "The token is missing or wrong.".to_owned()),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "Only PUT, POST and DELETE are answered here.".to_owned())
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "Only this stream's media is taken here.".to_owned()),
            Self::Bad(reason) => (StatusCode::BAD_REQUEST, format!("Bad request: {reason}.")),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too many uploads at once.".to_owned()),
            Self::Take(error) => {
                let status = status(&error);
                match status.is_server_error() {
                    true => tracing::error!(%error, "cannot take what came"),
                    false => tracing::warn!(%error, "what came is refused"),
                }
                (status, format!("Not taken: {error}."))
            }
        };
        let mut response = (status, format!("{sentence}\n")).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("PUT, POST, DELETE"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

fn status(error: &TakeError) -> StatusCode {
    use crate::stream::StreamError::{Keys, Read, Store};
    match error {
        TakeError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        TakeError::TooManyFiles | TakeError::TooManyPlaylists => StatusCode::INSUFFICIENT_STORAGE,
        TakeError::Cut(_) => StatusCode::BAD_REQUEST,
        TakeError::Store(_) | TakeError::Stream(Store(_) | Read(_) | Keys(_)) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        TakeError::Stream(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
