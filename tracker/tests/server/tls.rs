//! Clients over TLS.

use std::sync::Arc;
use std::time::Duration;

use freshet_listen::TlsOptions;
use freshet_protocol::{ClientMessage, ServerMessage};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Client, PATIENCE, Tracker, fetcher, tracker};

/// A tracker over TLS, and a client's side of it that trusts nobody else.
struct Secure {
    tracker: Tracker,
    connector: TlsConnector,
}

async fn secure(change: impl FnOnce(&mut freshet_tracker::Options)) -> Secure {
    let made = rcgen::generate_simple_self_signed(["tracker".to_owned()]).expect("made");
    let tracker = tracker(|options| {
        let (cert, key) = (options.state_dir.join("cert.pem"), options.state_dir.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        options.tls = Some(TlsOptions::new(cert, key));
        change(options);
    })
    .await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // As browsers offer for wss.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Secure { tracker, connector: TlsConnector::from(Arc::new(config)) }
}

impl Secure {
    async fn open(&self) -> Client<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.tracker.serving.address).await.expect("connected");
        let name = ServerName::try_from("tracker").expect("a name");
        Client::open_over(self.connector.connect(name, stream).await.expect("trusted")).await
    }

    async fn handshakes_failed(&self) -> u64 {
        self.tracker.serving.stats().await.expect("running").handshakes_failed_total
    }
}

#[tokio::test]
async fn a_client_over_tls_is_a_client() {
    let secure = secure(|_| {}).await;
    assert!(secure.tracker.serving.url().starts_with("wss://127.0.0.1:"));
    let mut client = secure.open().await;
    let local = client.socket.get_ref().get_ref().0.local_addr().expect("connected");
    assert_eq!(client.greet(1).await.address, local);
    client.say(&ClientMessage::Announce(fetcher(0, 7))).await;
    client.sync().await;
    assert_eq!(secure.handshakes_failed().await, 0);
    tokio::spawn(secure.tracker.serving.shutdown());
    client.wait_for(|message| matches!(message, ServerMessage::Drain { .. }).then_some(())).await;
    assert_eq!(client.next().await, None, "closed in order");
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_cut_and_counted() {
    let secure = secure(|options| {
        options.limits.hello_timeout = Duration::from_millis(200);
        options.swarms.clients_max = 1;
    })
    .await;
    let cut = async |said: &[u8]| {
        let mut stream = TcpStream::connect(secure.tracker.serving.address).await.expect("connected");
        stream.write_all(said).await.expect("sent");
        let mut rest = Vec::new();
        // Ends, in whichever way.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("cut");
        rest
    };
    assert_eq!(cut(b"").await, b"");
    assert_eq!(secure.handshakes_failed().await, 1);
    let alert = cut(b"GET / HTTP/1.1\r\nHost: tracker\r\n\r\n").await;
    assert_eq!(alert.first(), Some(&21), "a TLS alert, nothing in the clear");
    assert_eq!(secure.handshakes_failed().await, 2);
    let mut client = secure.open().await;
    client.greet(1).await;
    assert_eq!(cut(b"").await, b"", "full, and said by closing alone");
    let stats = secure.tracker.serving.stats().await.expect("running");
    assert_eq!((stats.connections_refused_total, stats.handshakes_failed_total), (1, 2));
}
