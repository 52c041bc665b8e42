//! A peer made of bare QUIC, which says what a test wants it to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use freshet_protocol::{
    BlobKind, Decoded, Frame, Hash, Hello, LinkBinding, PEER_ALPN, PEER_VERSION, PublicKey, Request, Side,
    Ticket, proof_message,
};
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, ServerConfig};

use super::node::{Node, identity, soon, ticket, tracker};
use crate::identity::Identity;
use crate::random::random_bytes;
use crate::transport::certificates::SessionCertificate;
use crate::transport::frames::FrameReader;
use crate::transport::hello::{Admit, Introduction, NotAdmitted, introduce};
use crate::transport::quic::settings;
use crate::transport::tls::{self, SERVER_NAME};
use crate::transport::{LinkHandle, QuicSettings};

/// Lets anyone in whom the tests' tracker knows.
pub(in crate::transport) struct AdmitAny;

impl Admit for AdmitAny {
    fn admit(&self, _: &PublicKey, ticket: &[u8]) -> Result<Ticket, NotAdmitted> {
        Ok(Ticket::open(ticket, &[tracker().public()])?)
    }
}

pub(super) struct Raw {
    pub(super) identity: Arc<Identity>,
    certificate: Hash,
    pub(super) endpoint: Endpoint,
}

/// A raw peer's end of a link.
pub(super) struct RawLink {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    /// Kept, since a stream that is dropped tells the node that nobody reads it.
    _reader: FrameReader<RecvStream>,
    /// Kept, since an endpoint that is dropped may not send what its connections have to say last.
    _endpoint: Endpoint,
}

impl Raw {
    pub(super) fn start(seed: u8) -> Self {
        Self::with_window(seed, 8 << 20)
    }

    /// One that has room for `window_bytes` unread bytes.
    pub(super) fn with_window(seed: u8, window_bytes: u32) -> Self {
        let identity = identity(seed);
        let certificate = SessionCertificate::generate(SystemTime::now()).expect("certificate");
        let mut transport = quinn::TransportConfig::default();
        transport.receive_window(window_bytes.into());
        let transport = Arc::new(transport);
        let mut server =
            ServerConfig::with_crypto(Arc::new(tls::server_crypto(&certificate, &[PEER_ALPN]).expect("TLS")));
        server.transport_config(Arc::clone(&transport));
        let mut client = quinn::ClientConfig::new(Arc::new(tls::client_crypto(&certificate).expect("TLS")));
        client.transport_config(transport);
        let socket = settings::socket("127.0.0.1:0".parse().expect("address")).expect("socket");
        let (aside, _) = tokio::sync::mpsc::channel(1);
        let made = crate::transport::quic::new_endpoint(settings::endpoint(), server, socket, aside);
        let (mut endpoint, _) = made.expect("endpoint");
        endpoint.set_default_client_config(client);
        Self { identity, certificate: certificate.hash(), endpoint }
    }

    /// Dials without a certificate.
    pub(super) fn without_certificate(self) -> Self {
        let mut client = quinn::ClientConfig::new(Arc::new(tls::anonymous_client_crypto().expect("TLS")));
        client.transport_config(settings::dialed(QuicSettings::default()));
        let mut endpoint = self.endpoint.clone();
        endpoint.set_default_client_config(client);
        Self { endpoint, ..self }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().expect("bound")
    }

    pub(super) async fn connect(&self, address: SocketAddr) -> Result<Connection, ConnectionError> {
        soon(self.endpoint.connect(address, SERVER_NAME).expect("may dial")).await
    }

    pub(super) async fn accept(&self) -> Connection {
        soon(async { self.endpoint.accept().await.expect("open").await.expect("handshake") }).await
    }

    /// The hello that a well-behaved peer with a good ticket says.
    pub(super) fn hello(&self) -> Hello {
        Hello {
            version_min: PEER_VERSION,
            version_max: PEER_VERSION,
            features: 0,
            nonce: random_bytes(),
            key: self.identity.key(),
            ticket: ticket(self.identity.key_id()).seal(&tracker()),
            agent: "raw".to_owned(),
        }
    }

    pub(super) fn binding(&self, side: Side, connection: &Connection) -> LinkBinding {
        let own = self.certificate;
        let theirs = tls::peer_certificate(connection).expect("nodes show certificates");
        match side {
            Side::Dialer => LinkBinding { dialer: own, acceptor: theirs },
            Side::Acceptor => LinkBinding { dialer: theirs, acceptor: own },
        }
    }

    async fn introduce(&self, side: Side, connection: Connection) -> RawLink {
        let (mut send, recv) = match side {
            Side::Dialer => soon(connection.open_bi()).await,
            Side::Acceptor => soon(connection.accept_bi()).await,
        }
        .expect("control stream");
        let mut reader = FrameReader::new(recv);
        let introduction = Introduction {
            identity: &self.identity,
            agent: "raw",
            ticket: ticket(self.identity.key_id()).seal(&tracker()),
            side,
            binding: self.binding(side, &connection),
            expected: None,
        };
        introduce(&introduction, &AdmitAny, &mut reader, &mut send).await.expect("introduced");
        RawLink { connection, send, _reader: reader, _endpoint: self.endpoint.clone() }
    }

    /// A link that this peer has dialed, and the node's handle on it.
    pub(super) async fn link(&self, node: &mut Node) -> (RawLink, LinkHandle) {
        let link = self.link_unseen(node).await;
        let (handle, _) = node.link_up().await;
        (link, handle)
    }

    /// A link that this peer has dialed; the node's events stay where they are.
    pub(super) async fn link_unseen(&self, node: &Node) -> RawLink {
        let connection = self.connect(node.address()).await.expect("handshake");
        self.introduce(Side::Dialer, connection).await
    }

    /// Says `hello`, signs its proof with the own key, and waits for the node to close the connection: its reason.
    pub(super) async fn say(&self, address: SocketAddr, hello: Hello) -> String {
        let connection = self.connect(address).await.expect("handshake");
        let (mut send, recv) = soon(connection.open_bi()).await.expect("control stream");
        let mut reader = FrameReader::new(recv);
        let own_nonce = hello.nonce;
        send.write_all(&Frame::Hello(hello).encode()).await.expect("written");
        if let Ok(Ok(Some(frame))) =
            tokio::time::timeout(crate::transport::limits::CONNECT_TIME, reader.next()).await
            && let Decoded::Frame(Frame::Hello(theirs)) = frame.decoded
        {
            let binding = self.binding(Side::Dialer, &connection);
            let message = proof_message(Side::Dialer, &theirs.nonce, &own_nonce, &binding);
            let proof = Frame::Proof { signature: self.identity.sign(&message) };
            // The node may have refused already.
            let _ = send.write_all(&proof.encode()).await;
        }
        close_reason(&connection).await
    }
}

impl RawLink {
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        soon(self.send.write_all(bytes)).await.expect("written");
    }

    pub(super) async fn closed(&self) -> String {
        close_reason(&self.connection).await
    }

    /// Asks for a chunk on a stream of its own, which is returned.
    pub(super) async fn ask(&self, number: u64) -> (SendStream, RecvStream) {
        let (mut send, recv) = soon(self.connection.open_bi()).await.expect("stream");
        let hash = Hash::of(b"");
        let request = Request { request: number, kind: BlobKind::Chunk, hash, offset: 0, encodings: 0 };
        send.write_all(&Frame::Request(request).encode()).await.expect("written");
        send.finish().expect("open");
        (send, recv)
    }

    /// The next request of the node, and its stream.
    pub(super) async fn asked(&self) -> (Request, SendStream) {
        let (send, recv) = soon(self.connection.accept_bi()).await.expect("a request");
        let mut reader = FrameReader::new(recv);
        match soon(reader.next()).await.expect("a frame").expect("a frame").decoded {
            Decoded::Frame(Frame::Request(request)) => {
                // To the end, so that the node is not told that nobody reads.
                assert!(soon(reader.next()).await.expect("the end").is_none());
                (request, send)
            }
            other => panic!("instead of a request: {other:?}"),
        }
    }
}

/// Waits until the node closes, and reads why.
pub(super) async fn close_reason(connection: &Connection) -> String {
    match soon(connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => String::from_utf8_lossy(&close.reason).into_owned(),
        other => panic!("not closed by the node: {other}"),
    }
}
