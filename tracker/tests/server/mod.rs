//! The server, with real WebSocket clients over TCP.

mod bounds;
mod broker;
mod cluster;
mod handshake;
mod lifecycle;
mod networks;
mod proxies;
mod relay;
mod stun;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use freshet_protocol::{
    Announce, Base64, Candidate, ClientMessage, ContentName, HaveSummary, PeerId, PublicKey, RootId,
    ServerMessage, SigningKey, Transport, tracker_proof_message,
};
use freshet_tracker::{Options, Serving, serve};
use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything here takes; a test that waits for so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn content() -> ContentName {
    "game/demo".parse().expect("a good name")
}

pub(crate) fn root() -> RootId {
    RootId::of(b"root")
}

pub(crate) fn fetcher(links_wanted: u8, port: u16) -> Announce {
    let candidate = |address: [u8; 4]| Candidate {
        transport: Transport::Quic,
        address: SocketAddr::from((address, port)),
    };
    Announce {
        content: content(),
        root: root(),
        chunks: 1600,
        have: HaveSummary::None,
        left_bytes: 1,
        sharing: true,
        links: 0,
        links_wanted,
        mapped: Vec::new(),
        local: Vec::new(),
        certificates: Vec::new(),
        // The second is not the sender's own.
        candidates: vec![candidate([127, 0, 0, 1]), candidate([203, 0, 113, 9])],
    }
}

pub(crate) fn lease(want: u32) -> ClientMessage {
    ClientMessage::Lease { content: content(), root: root(), want, done: Vec::new() }
}

/// A tracker of its own for a test, with a folder that goes with it.
pub(crate) struct Tracker {
    pub(crate) serving: Serving,
    pub(crate) folder: TempDir,
}

pub(crate) async fn tracker(change: impl FnOnce(&mut Options)) -> Tracker {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), folder.path());
    change(&mut options);
    Tracker { serving: serve(options).await.expect("started"), folder }
}

/// What a Welcome says.
#[derive(Debug)]
pub(crate) struct Welcome {
    pub(crate) peer: PeerId,
    pub(crate) tracker_key: PublicKey,
    pub(crate) address: SocketAddr,
    pub(crate) stun_ports: Vec<u16>,
    pub(crate) stun_host: Option<String>,
    pub(crate) announce_ms: u32,
}

/// A WebSocket client.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) socket: WebSocketStream<S>,
}

impl Client {
    /// Opens a connection; nothing is said yet.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::open_over(TcpStream::connect(address).await.expect("connected")).await
    }

    /// Opens a connection with little room for what it does not read.
    pub(crate) async fn open_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        Self::open_over(socket.connect(address).await.expect("connected")).await
    }

    /// Connects as the owner of the key of `seed`.
    pub(crate) async fn enter(address: SocketAddr, seed: u8) -> Self {
        let mut client = Self::open(address).await;
        client.greet(seed).await;
        client
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn open_over(stream: S) -> Self {
        let (socket, _) = client_async("ws://tracker/", stream).await.expect("upgraded");
        Self { socket }
    }

    /// Says hello with the key of `seed` and waits for the welcome.
    pub(crate) async fn greet(&mut self, seed: u8) -> Welcome {
        let nonce = self.challenge().await;
        self.say(&hello(seed, (1, 1), &tracker_proof_message(&nonce))).await;
        match self.next().await {
            Some(ServerMessage::Welcome {
                peer,
                tracker_key,
                address,
                stun_ports,
                stun_host,
                announce_ms,
                ..
            }) => Welcome { peer, tracker_key, address, stun_ports, stun_host, announce_ms },
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    pub(crate) async fn challenge(&mut self) -> Vec<u8> {
        match self.next().await {
            Some(ServerMessage::Challenge { nonce: Base64(nonce) }) => nonce,
            other => panic!("expected a challenge, got {other:?}"),
        }
    }

    pub(crate) async fn say(&mut self, message: &ClientMessage) {
        self.say_text(message.encode()).await;
    }

    pub(crate) async fn say_text(&mut self, text: String) {
        self.socket.send(Message::Text(text.into())).await.expect("sent");
    }

    /// The next message; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            let frame =
                tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something comes in time");
            match frame? {
                Ok(Message::Text(text)) => {
                    return Some(ServerMessage::decode(text.as_bytes()).expect("trackers speak well"));
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next message that `wanted` accepts.
    pub(crate) async fn wait_for<T>(&mut self, wanted: impl Fn(ServerMessage) -> Option<T>) -> T {
        loop {
            let message = self.next().await.expect("the connection stays open");
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    /// Waits for an answer to a lease message, which proves that all before was taken.
    pub(crate) async fn sync(&mut self) {
        self.say(&lease(0)).await;
        self.wait_for(|message| matches!(message, ServerMessage::Shards { .. }).then_some(())).await;
    }

    /// Waits for the number of the next pair.
    pub(crate) async fn pair(&mut self) -> u64 {
        self.wait_for(|message| match message {
            ServerMessage::Pair { pair, .. } => Some(pair),
            _ => None,
        })
        .await
    }

    /// The code of the error that comes next.
    pub(crate) async fn error(&mut self) -> String {
        match self.next().await {
            Some(ServerMessage::Error { code, .. }) => code,
            other => panic!("expected an error, got {other:?}"),
        }
    }
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(crate) fn hello(seed: u8, (version_min, version_max): (u32, u32), signed: &[u8]) -> ClientMessage {
    ClientMessage::Hello {
        version_min,
        version_max,
        key: key(seed).public(),
        proof: Base64(key(seed).sign(signed).to_vec()),
        agent: "test/1".to_owned(),
        token: None,
    }
}

/// Answer of a plain HTTP request: all bytes until the server closes.
pub(crate) async fn http_get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}
