//! The origin over TLS.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use freshet_listen::TlsOptions;
use freshet_origin::{ServeOptions, Serving, serve};
use reqwest::{Certificate, Client, ClientBuilder, StatusCode, Version};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::http;
use super::fixture::{Fixture, noise};

/// A certificate for `localhost` in files, and clients that trust it alone.
struct Pair {
    folder: TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { folder: tempfile::tempdir().expect("folder") };
        pair.renew();
        pair
    }

    fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn renew(&self) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("made");
        std::fs::write(self.cert(), made.cert.pem()).expect("written");
        std::fs::write(self.key(), made.signing_key.serialize_pem()).expect("written");
    }

    /// A client that trusts what the file holds now.
    fn client(&self, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        trusting(&std::fs::read(self.cert()).expect("readable"), change)
    }

    fn options(&self) -> TlsOptions {
        TlsOptions::new(self.cert(), self.key())
    }
}

fn trusting(pem: &[u8], change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    // Installs the provider that reqwest wants.
    http();
    let trusted = Certificate::from_pem(pem).expect("a certificate");
    change(Client::builder().tls_certs_only([trusted])).build().expect("client")
}

async fn origin(fixture: &Fixture, change: impl FnOnce(&mut ServeOptions)) -> Serving {
    fixture.write("data", &noise(1, 3_000_000));
    fixture.publish("1.0").await.expect("published");
    let mut options = ServeOptions::new(fixture.store(), "127.0.0.1:0".parse().expect("address"));
    change(&mut options);
    serve(options).await.expect("served")
}

#[tokio::test]
async fn both_versions_of_http_are_served_over_tls() {
    let (pair, fixture) = (Pair::new(), Fixture::new());
    let serving = origin(&fixture, |options| options.tls = Some(pair.options())).await;
    assert!(serving.url().starts_with("https://127.0.0.1:"), "{}", serving.url());
    let url = format!("{}game/demo/files/1.0/data", serving.url());
    let check = async |client: Client, expected: Version| {
        let answer = client.get(&url).send().await.expect("answered");
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, expected));
        assert!(answer.bytes().await.expect("body") == noise(1, 3_000_000));
    };
    check(pair.client(|builder| builder), Version::HTTP_2).await;
    check(pair.client(ClientBuilder::http1_only), Version::HTTP_11).await;
    assert!(http().get(&url).send().await.is_err(), "who does not trust the certificate gets nothing");
    let counters = serving.shutdown().await;
    assert_eq!((counters.connections, counters.handshakes_failed), (3, 1));
    assert_eq!(counters.file.body_bytes, 6_000_000);
    assert!(counters.wire_bytes > 6_000_000, "what TLS adds is on the wire too: {counters:?}");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_handshake_gives_its_place_back() {
    let (pair, fixture) = (Pair::new(), Fixture::new());
    let mut tls = pair.options();
    tls.handshake_timeout = Duration::from_millis(200);
    let serving = origin(&fixture, |options| {
        options.tls = Some(tls);
        options.connections_max = 1;
    })
    .await;
    let mut silent = TcpStream::connect(serving.address()).await.expect("connected");
    let mut plain = TcpStream::connect(serving.address()).await.expect("connected");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let client = pair.client(|builder| builder);
    let answer = client.get(format!("{}game/demo/keys", serving.url())).send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::OK);
    let mut rest = Vec::new();
    for stream in [&mut silent, &mut plain] {
        // Ends, in whichever way.
        let _ = stream.read_to_end(&mut rest).await;
    }
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP"), "nothing is said in the clear");
    assert_eq!(serving.counters().handshakes_failed, 2);
}

/// The program, its log line by line.
struct Program {
    child: Child,
    address: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Program {
    fn start(store: &Path, pair: &Pair) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_freshet-origin"))
            .args(["serve", "--listen", "127.0.0.1:0", "--store"])
            .arg(store)
            .arg("--tls-cert")
            .arg(pair.cert())
            .arg("--tls-key")
            .arg(pair.key())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut address).expect("an address");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, address: address.trim().to_owned(), log }
    }

    fn hang_up(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill").success());
    }

    /// Waits for the line that tells of a certificate.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).expect("text"), 0, "the program ended");
            if line.contains("certificate") {
                return line;
            }
        }
    }

    async fn status(&self, client: &Client) -> reqwest::Result<StatusCode> {
        let url = format!("https://{}/nothing", self.address);
        Ok(client.get(url).send().await?.status())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn the_program_takes_a_new_certificate_and_tells_of_a_broken_one() {
    let (pair, fixture) = (Pair::new(), Fixture::new());
    fixture.write("data", b"x");
    fixture.publish("1.0").await.expect("published");
    let mut program = Program::start(&fixture.store_dir(), &pair);
    // Without a pool each request is a connection of its own.
    let alone = |builder: ClientBuilder| builder.pool_max_idle_per_host(0);
    let pem = std::fs::read(pair.cert()).expect("readable");
    let first = trusting(&pem, alone);
    assert_eq!(program.status(&first).await.expect("trusted"), StatusCode::NOT_FOUND);

    pair.renew();
    program.hang_up();
    let line = program.line();
    assert!(line.contains("new certificate taken"), "{line}");
    let second = pair.client(alone);
    assert_eq!(program.status(&second).await.expect("trusted"), StatusCode::NOT_FOUND);
    // A client of its own, since who was there before may resume its session without a certificate.
    assert!(program.status(&trusting(&pem, alone)).await.is_err(), "the first one is not shown any more");

    std::fs::write(pair.cert(), "nonsense").expect("written");
    program.hang_up();
    let line = program.line();
    assert!(line.contains("WARN") && line.contains("the one before stays in use"), "{line}");
    assert!(line.contains("cert.pem holds no certificate"), "{line}");
    assert_eq!(program.status(&second).await.expect("still trusted"), StatusCode::NOT_FOUND);

    // Nothing was said in between: the next line about certificates is that of the next good one.
    pair.renew();
    program.hang_up();
    assert!(program.line().contains("new certificate taken"));
}
