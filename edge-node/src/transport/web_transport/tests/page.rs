//! A peer that dials as a page does: over WebTransport, by the hash of the node's certificate, with none of its own.

use std::sync::Arc;

use freshet_protocol::{
    BlobKind, Data, Decoded, Encoding, Frame, Hash, LinkBinding, PublicKey, Request, Side, Ticket,
};
use reqwest::Url;
use web_transport_quinn::{
    ClientBuilder, ClientError, RecvStream, SendStream, Session, SessionError, WebTransportError,
};

use crate::identity::Identity;
use crate::transport::LinkHandle;
use crate::transport::frames::FrameReader;
use crate::transport::hello::{Admit, HelloError, Introduction, NotAdmitted, introduce};
use crate::transport::quic::tests::node::{Node, identity, soon, ticket, tracker};
use crate::transport::web_transport::NO_CERTIFICATE;

/// Lets anyone in whom the tests' tracker knows.
struct AdmitAny;

impl Admit for AdmitAny {
    fn admit(&self, _: &PublicKey, ticket: &[u8]) -> Result<Ticket, NotAdmitted> {
        Ok(Ticket::open(ticket, &[tracker().public()])?)
    }
}

pub(super) struct Page {
    pub(super) identity: Arc<Identity>,
}

/// A page's end of a link.
pub(super) struct PageLink {
    pub(super) session: Session,
    pub(super) send: SendStream,
    pub(super) reader: FrameReader<RecvStream>,
}

impl Page {
    pub(super) fn open(seed: u8) -> Self {
        Self { identity: identity(seed) }
    }

    /// A session with the node, whose certificate must have this hash.
    pub(super) async fn connect(&self, node: &Node, certificate: Hash) -> Result<Session, ClientError> {
        let client = ClientBuilder::new().with_server_certificate_hashes(vec![certificate.0.to_vec()])?;
        let url = Url::parse(&format!("https://{}/", node.address())).expect("URL");
        soon(client.connect(url)).await
    }

    /// Hello and Proof on a session, as if the node had shown `certificate`.
    pub(super) async fn introduce(
        &self,
        session: Session,
        certificate: Hash,
    ) -> Result<PageLink, HelloError> {
        let (mut send, recv) = soon(session.open_bi()).await.expect("control stream");
        let mut reader = FrameReader::new(recv);
        let introduction = Introduction {
            identity: &self.identity,
            agent: "page",
            ticket: ticket(self.identity.key_id()).seal(&tracker()),
            side: Side::Dialer,
            binding: LinkBinding { dialer: NO_CERTIFICATE, acceptor: certificate },
            expected: None,
        };
        introduce(&introduction, &AdmitAny, &mut reader, &mut send).await?;
        Ok(PageLink { session, send, reader })
    }

    /// A link with the node, and the node's handle on it.
    pub(super) async fn link(&self, node: &mut Node) -> (PageLink, LinkHandle) {
        let certificate = node.transport.certificates()[0];
        let session = self.connect(node, certificate).await.expect("session");
        let link = self.introduce(session, certificate).await.expect("introduced");
        let (handle, _) = node.link_up().await;
        (link, handle)
    }
}

impl PageLink {
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        soon(self.send.write_all(bytes)).await.expect("written");
    }

    /// Asks for a chunk on a stream of its own, which is returned.
    pub(super) async fn ask(&self, number: u64, hash: Hash) -> (SendStream, RecvStream) {
        let (mut send, recv) = soon(self.session.open_bi()).await.expect("stream");
        let request = Request { request: number, kind: BlobKind::Chunk, hash, offset: 0, encodings: 0 };
        send.write_all(&Frame::Request(request).encode()).await.expect("written");
        send.finish().expect("open");
        (send, recv)
    }

    /// The next request of the node, and its stream.
    pub(super) async fn asked(&self) -> (Request, SendStream) {
        let (send, recv) = soon(self.session.accept_bi()).await.expect("a request");
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

    /// Waits until the node closes, and reads with what code and why.
    pub(super) async fn closed(&self) -> (u32, String) {
        close_reason(&self.session).await
    }
}

pub(super) async fn close_reason(session: &Session) -> (u32, String) {
    match soon(session.closed()).await {
        SessionError::WebTransportError(WebTransportError::Closed(code, reason)) => (code, reason),
        other => panic!("not closed by the node: {other}"),
    }
}

/// What comes on a stream until its end: payload, and the frame that is none.
pub(super) async fn read_answer(recv: RecvStream) -> (Vec<u8>, Option<Frame>) {
    let mut reader = FrameReader::new(recv);
    let mut payload = Vec::new();
    while let Some(frame) = soon(reader.next()).await.expect("frames") {
        match frame.decoded {
            Decoded::Frame(Frame::Data(data)) => payload.extend_from_slice(&data.payload),
            Decoded::Frame(other) => return (payload, Some(other)),
            Decoded::Skipped(_) => {}
        }
    }
    (payload, None)
}

pub(super) fn data(request: &Request, total: u32, payload: &[u8]) -> Vec<u8> {
    let payload = payload.to_vec().into();
    Frame::Data(Data { request: request.request, encoding: Encoding::Identity, total, payload }).encode()
}
