//! The HTTP side: WebSocket clients, health, figures.

use std::sync::Arc;

use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use freshet_protocol::limits::TRACKER_MESSAGE_BYTES_MAX;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Room};
use crate::counters::ServerStats;
use crate::door::Caller;
use crate::engine::Event;

/// Bytes read from a client at a time. The default of the library, 128 KiB, would be most of a connection's memory.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Most bytes of own messages between the server and the kernel, for one client.
const WRITE_BUFFER_BYTES_MAX: usize = 4 * TRACKER_MESSAGE_BYTES_MAX;

#[derive(Debug, Clone)]
struct Shared {
    room: Arc<Room>,
    tasks: TaskTracker,
}

pub(crate) fn router(room: Arc<Room>, tasks: TaskTracker) -> Router {
    Router::new()
        .route("/", get(client))
        .route("/tracker", get(client))
        .route("/health", get(health))
        .route("/stats", get(figures))
        .with_state(Shared { room, tasks })
}

async fn client(
    State(shared): State<Shared>,
    ConnectInfo(mut caller): ConnectInfo<Caller>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Shared { room, tasks } = shared;
    caller.address = room.proxies.client(caller.address, &headers);
    upgrade
        .max_message_size(TRACKER_MESSAGE_BYTES_MAX)
        .max_frame_size(TRACKER_MESSAGE_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .on_upgrade(move |socket| tasks.track_future(connection::run(socket, caller, room)))
}

async fn health(State(shared): State<Shared>) -> Response {
    if shared.room.events.is_closed() { stopping() } else { "ok\n".into_response() }
}

async fn figures(State(shared): State<Shared>) -> Response {
    match stats(&shared.room).await {
        Some(stats) => Json(stats).into_response(),
        None => stopping(),
    }
}

fn stopping() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "this tracker is about to stop\n").into_response()
}

/// Figures of the server; `None` once its engine has stopped.
pub(crate) async fn stats(room: &Room) -> Option<ServerStats> {
    let (reply, answer) = oneshot::channel();
    room.events.send(Event::Stats { reply }).await.ok()?;
    let (swarms, updates) = answer.await.ok()?;
    Some(room.counters.with(swarms, updates, room.tls.as_ref()))
}
