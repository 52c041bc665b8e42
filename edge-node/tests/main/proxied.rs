//! Origin and tracker behind a real nginx: what passes it, and whose address counts.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use freshet_listen::Proxies;
use freshet_origin::{ServeOptions, Store};
use freshet_protocol::{Base64, ClientMessage, ServerMessage, SigningKey, tracker_proof_message};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::nginx::{self, Nginx};
use crate::program::not_run;
use crate::site::{CONTENT, Site};
use crate::tree::{noise, write};

/// Where nginx asks from; clients ask from others, so that nobody is taken for another.
const NGINX: &str = "127.0.0.1";
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

fn proxies() -> Proxies {
    Proxies { trusted: vec![NGINX.parse().expect("address")], ..Proxies::default() }
}

struct Proxied {
    origin: freshet_origin::Serving,
    tracker: freshet_tracker::Serving,
    nginx: Nginx,
    _site: Site,
}

impl Proxied {
    /// `None` where nginx is missing.
    async fn start() -> Option<Self> {
        let Some(program) = nginx::program() else {
            not_run("nginx");
            return None;
        };
        let site = Site::new();
        let source = site.source("1");
        write(&source, "data", &noise(1, 3_000_000));
        site.publish(&source, "1.0").await;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let store = Store::open(site.store_folder().to_str().expect("UTF-8")).expect("store");
        let options = ServeOptions { proxies: proxies(), ..ServeOptions::new(store, any) };
        let origin = freshet_origin::serve(options).await.expect("origin");
        let mut options = freshet_tracker::Options::new(any, site.folder.path().join("tracker"));
        options.proxies = proxies();
        let tracker = freshet_tracker::serve(options).await.expect("tracker");
        let nginx = Nginx::start(&program, origin.address(), tracker.address);
        Some(Self { origin, tracker, nginx, _site: site })
    }

    fn tls(&self) -> Connector {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.nginx.certificate.as_bytes()).expect("PEM");
        roots.add(certificate).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Connector::Rustls(Arc::new(config))
    }

    /// The address that the tracker takes a client for that asks `url` at `server`, with further headers.
    async fn seen(&self, url: &str, server: SocketAddr, headers: &[(&'static str, &str)]) -> SocketAddr {
        let socket = TcpSocket::new_v4().expect("socket");
        socket.bind(SocketAddr::new(CLIENT, 0)).expect("loopback has many addresses");
        let stream = socket.connect(server).await.expect("connected");
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a value"));
        }
        let connected = client_async_tls_with_config(request, stream, None, Some(self.tls())).await;
        let (mut socket, _) = connected.expect("upgraded");
        greet(&mut socket).await
    }

    fn http(&self) -> reqwest::Client {
        let certificate = reqwest::Certificate::from_pem(self.nginx.certificate.as_bytes()).expect("PEM");
        reqwest::Client::builder()
            .tls_certs_only([certificate])
            .resolve("cdn.example.com", self.nginx.address)
            .local_address(CLIENT)
            .build()
            .expect("client")
    }

    fn url(&self, path: &str) -> String {
        format!("https://cdn.example.com:{}/{CONTENT}/{path}", self.nginx.address.port())
    }
}

async fn greet(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> SocketAddr {
    let ServerMessage::Challenge { nonce } = next(socket).await else { panic!("no challenge") };
    let key = SigningKey::from_seed(&[1; 32]);
    let hello = ClientMessage::Hello {
        version_min: 1,
        version_max: 1,
        key: key.public(),
        proof: Base64(key.sign(&tracker_proof_message(&nonce.0)).to_vec()),
        agent: "test/1".to_owned(),
        token: None,
    };
    socket.send(Message::text(hello.encode())).await.expect("sent");
    match next(socket).await {
        ServerMessage::Welcome { address, .. } => address,
        other => panic!("expected a welcome, got {other:?}"),
    }
}

async fn next(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> ServerMessage {
    loop {
        if let Message::Text(text) = socket.next().await.expect("open").expect("a message") {
            return ServerMessage::decode(text.as_bytes()).expect("trackers speak well");
        }
    }
}

#[tokio::test]
async fn a_tracker_behind_nginx_sees_its_clients() {
    let Some(proxied) = Proxied::start().await else { return };
    let through = format!("wss://cdn.example.com:{}/tracker", proxied.nginx.address.port());
    let check = async |headers: &[(&'static str, &str)]| {
        let seen = proxied.seen(&through, proxied.nginx.address, headers).await;
        assert_eq!(seen, SocketAddr::new(CLIENT, 0), "{headers:?}");
    };
    check(&[]).await;
    check(&[("x-forwarded-for", "203.0.113.9")]).await;
    check(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", NGINX)]).await;
    check(&[("x-forwarded-for", "\"")]).await;
    check(&[("forwarded", "for=203.0.113.9"), ("x-real-ip", "203.0.113.9")]).await;

    let direct = format!("ws://{}/", proxied.tracker.address);
    let forged = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
    let seen = proxied.seen(&direct, proxied.tracker.address, &forged).await;
    assert_eq!(seen.ip(), CLIENT, "who is no proxy is not believed");
    assert_ne!(seen.port(), 0, "and known by its connection");
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// One thread, which is the one whose log is kept.
#[tokio::test(flavor = "current_thread")]
async fn an_origin_behind_nginx_serves_all_and_logs_its_clients() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    // With one subscriber alone, a thread of another test that comes first to a place that logs, and has none, decides for
    // all threads that nobody listens there.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _kept = tracing::subscriber::set_default(subscriber.finish());
    let Some(proxied) = Proxied::start().await else { return };
    let http = proxied.http();
    let url = proxied.url("files/1.0/data");
    let forged = http.get(&url).header("x-forwarded-for", "203.0.113.9");
    let answer = forged.send().await.expect("answered");
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert!(answer.bytes().await.expect("body") == noise(1, 3_000_000));

    let range = http.get(&url).header("range", "bytes=1000000-1999999").header("origin", "https://site.test");
    let answer = range.send().await.expect("answered");
    assert_eq!(answer.status(), reqwest::StatusCode::PARTIAL_CONTENT);
    let headers = answer.headers().clone();
    for (name, expected) in [
        ("content-range", "bytes 1000000-1999999/3000000"),
        ("access-control-allow-origin", "*"),
        ("timing-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        assert_eq!(headers.get(name).map(|value| value.as_bytes()), Some(expected.as_bytes()), "{name}");
    }
    assert!(answer.bytes().await.expect("body") == noise(1, 3_000_000)[1_000_000..2_000_000]);
    let etag = headers["etag"].clone();
    let answer = http.get(&url).header("if-none-match", etag).send().await.expect("answered");
    assert_eq!(answer.status(), reqwest::StatusCode::NOT_MODIFIED);
    assert_eq!(proxied.origin.counters().file.requests, 3);

    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("answered")).collect();
    assert_eq!(lines.len(), 3, "{log}");
    for (line, status) in lines.iter().zip([200, 206, 304]) {
        assert!(line.contains("client=127.0.0.2:0") && line.contains(&format!("status={status}")), "{line}");
        assert!(line.contains("path=\"/game/demo/files/1.0/data\""), "{line}");
    }
}
