//! Certificates from files: taken, replaced, refused; and clients that do not finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freshet_listen::{Renewals, Secured, Tls, TlsOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than anything here takes; a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate in a folder of its own.
struct Files {
    _folder: TempDir,
    options: TlsOptions,
}

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let folder = tempfile::tempdir().expect("folder");
        let mut options = TlsOptions::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
        options.look_every = Duration::from_millis(10);
        let files = Self { _folder: folder, options };
        let certificate = files.renew();
        (files, certificate)
    }

    /// Writes another certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        self.write(&made.cert.pem(), &made.signing_key.serialize_pem());
        CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).expect("PEM")
    }

    fn write(&self, cert: &str, key: &str) {
        std::fs::write(&self.options.cert, cert).expect("written");
        std::fs::write(&self.options.key, key).expect("written");
    }
}

/// A server that sends back what it gets.
struct Echo {
    address: SocketAddr,
    tls: Tls,
    _stop: DropGuard,
}

impl Echo {
    async fn start(options: &TlsOptions) -> Self {
        let tls = Tls::open(options, &[b"h2", b"http/1.1"]).expect("a good pair");
        let stop = CancellationToken::new();
        tokio::spawn(tls.clone().watch(stop.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let accepting = tls.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = Secured::new(stream, Some(&accepting));
                tokio::spawn(async move {
                    let (mut from, mut to) = tokio::io::split(stream);
                    // Ends with the client.
                    if tokio::io::copy(&mut from, &mut to).await.is_ok() {
                        let _ = to.shutdown().await;
                    }
                });
            }
        });
        Self { address, tls, _stop: stop.drop_guard() }
    }

    /// A client that trusts this certificate alone; an error when the server shows another.
    async fn connect(
        &self,
        trusted: &CertificateDer<'static>,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn says_back(&self, trusted: &CertificateDer<'static>, text: &[u8]) -> Vec<u8> {
        let mut client = self.connect(trusted, &[]).await.expect("trusted");
        client.write_all(text).await.expect("sent");
        client.shutdown().await.expect("ended");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("ended in order");
        answer
    }

    /// A pair is two files, and one of them may be looked at before the other is written: that is counted too.
    async fn wait_for(&self, wanted: impl FnMut(&Renewals) -> bool) -> Renewals {
        let mut renewals = self.tls.renewals();
        let found = tokio::time::timeout(PATIENCE, renewals.wait_for(wanted)).await;
        *found.expect("in time").expect("running")
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served() {
    let (files, certificate) = Files::new();
    let echo = Echo::start(&files.options).await;
    let long = vec![7; 1 << 20];
    assert_eq!(echo.says_back(&certificate, b"hello").await, b"hello");
    assert!(echo.says_back(&certificate, &long).await == long, "more than one record");
    assert_eq!(echo.tls.handshakes_failed(), 0);
}

#[tokio::test]
async fn the_protocol_is_agreed_on() {
    let (files, certificate) = Files::new();
    let echo = Echo::start(&files.options).await;
    let check = async |offered: &[&[u8]], expected: Option<&[u8]>| {
        let client = echo.connect(&certificate, offered).await.expect("connected");
        assert_eq!(client.get_ref().1.alpn_protocol(), expected);
    };
    check(&[], None).await;
    check(&[b"http/1.1"], Some(b"http/1.1")).await;
    check(&[b"http/1.1", b"h2"], Some(b"h2")).await;
    let error = echo.connect(&certificate, &[b"freshet/1"]).await.expect_err("nothing in common");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_open_connections_stay() {
    let (files, first) = Files::new();
    let echo = Echo::start(&files.options).await;
    let mut early = echo.connect(&first, &[]).await.expect("connected");
    let second = files.renew();
    echo.wait_for(|found| found.taken == 1).await;
    assert_eq!(echo.says_back(&second, b"new").await, b"new");
    assert!(echo.connect(&first, &[]).await.is_err(), "the first one is not shown any more");
    early.write_all(b"old").await.expect("sent");
    let mut answer = [0; 3];
    early.read_exact(&mut answer).await.expect("still there");
    assert_eq!(&answer, b"old");
}

#[tokio::test]
async fn a_broken_certificate_is_not_taken_and_a_good_one_after_it_is() {
    let (files, first) = Files::new();
    let echo = Echo::start(&files.options).await;
    files.write("-----BEGIN CERTIFICATE-----\nMII", "");
    let refused = echo.wait_for(|found| found.refused > 0).await.refused;
    assert_eq!(echo.says_back(&first, b"still").await, b"still");
    std::fs::remove_file(&files.options.key).expect("removed");
    echo.wait_for(|found| found.refused > refused).await;
    assert_eq!(echo.says_back(&first, b"still").await, b"still");
    let third = files.renew();
    echo.wait_for(|found| found.taken == 1).await;
    assert_eq!(echo.says_back(&third, b"again").await, b"again");
}

#[tokio::test]
async fn handshakes_that_do_not_end_well_are_cut_and_counted() {
    let (mut files, certificate) = Files::new();
    files.options.handshake_timeout = Duration::from_millis(200);
    let echo = Echo::start(&files.options).await;
    let check = async |said: &[u8], expected: u64| {
        let mut client = TcpStream::connect(echo.address).await.expect("connected");
        client.write_all(said).await.expect("sent");
        let mut rest = Vec::new();
        // Ends by an alert, by a reset, or by an end.
        let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut rest)).await;
        let _ = read.expect("cut");
        assert_eq!(echo.tls.handshakes_failed(), expected, "{said:?}");
    };
    check(b"", 1).await;
    // The head of a TLS record that never comes.
    check(&[22, 3, 1, 2, 0, 1], 2).await;
    check(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3).await;
    assert_eq!(echo.says_back(&certificate, b"others").await, b"others");
    assert_eq!(echo.tls.handshakes_failed(), 3);
}
