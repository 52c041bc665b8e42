//! A viewer at the real tracker: takes part in the stream's swarm, and reads what is pushed.

use freshet_protocol::{
    Announce, Base64, ClientMessage, HaveSummary, PublicKey, RootId, SegmentEntry, ServerMessage, SigningKey,
    SwarmId, TRACKER_VERSION, tracker_proof_message,
};
use freshet_tracker::Options;
use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::content;

/// A tracker that one publisher may push to.
pub(crate) struct Tracker {
    serving: freshet_tracker::Serving,
    _state: TempDir,
}

impl Tracker {
    pub(crate) async fn start(publisher: PublicKey) -> Self {
        let state = tempfile::tempdir().expect("folder");
        let mut options = Options::new("127.0.0.1:0".parse().expect("address"), state.path());
        options.stun = None;
        options.swarms.publishers.insert(publisher.id());
        Self { serving: freshet_tracker::serve(options).await.expect("a tracker"), _state: state }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.serving.address)
    }
}

pub(crate) struct Viewer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Viewer {
    /// Connects and announces the stream.
    pub(crate) async fn join(tracker: &Tracker) -> Self {
        let (socket, _) = connect_async(tracker.url()).await.expect("connected");
        let mut viewer = Self { socket };
        let key = SigningKey::from_seed(&[5; 32]);
        let ServerMessage::Challenge { nonce } = viewer.next().await else { panic!("a challenge") };
        viewer
            .say(&ClientMessage::Hello {
                version_min: TRACKER_VERSION,
                version_max: TRACKER_VERSION,
                key: key.public(),
                proof: Base64(key.sign(&tracker_proof_message(&nonce.0)).to_vec()),
                agent: "viewer".to_owned(),
                token: None,
            })
            .await;
        assert!(matches!(viewer.next().await, ServerMessage::Welcome { .. }));
        viewer
            .say(&ClientMessage::Announce(Announce {
                content: content(),
                root: RootId(SwarmId::of_content(&content()).0),
                chunks: 0,
                have: HaveSummary::None,
                left_bytes: 0,
                sharing: true,
                links: 0,
                links_wanted: 0,
                candidates: vec![],
                mapped: Vec::new(),
                local: Vec::new(),
                certificates: vec![],
            }))
            .await;
        assert!(matches!(viewer.next().await, ServerMessage::Ticket { .. }));
        viewer
    }

    /// The next entry that is pushed, which one of `keys` has signed.
    pub(crate) async fn entry(&mut self, keys: &[PublicKey]) -> SegmentEntry {
        loop {
            if let ServerMessage::Entry { content: stream, entry } = self.next().await {
                assert_eq!(stream, content());
                return SegmentEntry::open(&entry.0, &content(), keys).expect("a good entry");
            }
        }
    }

    async fn say(&mut self, message: &ClientMessage) {
        self.socket.send(Message::text(message.encode())).await.expect("sent");
    }

    async fn next(&mut self) -> ServerMessage {
        loop {
            if let Message::Text(text) = self.socket.next().await.expect("open").expect("a message") {
                return ServerMessage::decode(text.as_bytes()).expect("a good message");
            }
        }
    }
}
