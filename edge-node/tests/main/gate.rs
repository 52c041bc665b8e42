//! A gateway that runs beside a test, and plain HTTP clients that ask it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use freshet_edge_node::{Control, Event, GatewayOptions, GetError, Pause, Report, gateway};
use freshet_origin::Serving;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::site::{CONTENT, Site};
use crate::tree::{noise, write};

/// A second way to the large file, where there are links.
pub(crate) const LINKED: &str = if cfg!(unix) { "latest.pak" } else { "data/big.pak" };

/// A gateway that runs beside the test.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    stop: CancellationToken,
    pub(crate) events: mpsc::Receiver<Event>,
    task: JoinHandle<(Report, Result<(), GetError>)>,
}

impl Gate {
    pub(crate) async fn start(options: GatewayOptions) -> Self {
        let (sender, mut events) = mpsc::channel::<Event>(4096);
        let (stop, control) = (CancellationToken::new(), options.get.control.clone());
        let task = tokio::spawn(gateway(options, sender, stop.clone()));
        let address = loop {
            if let Event::Gateway { address } = events.recv().await.expect("it begins") {
                break address;
            }
        };
        Self { address, control, stop, events, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn file(&self, version: &str, path: &str) -> String {
        self.url(&format!("{CONTENT}/files/{version}/{path}"))
    }

    pub(crate) async fn status(&self) -> serde_json::Value {
        let answer = ask(&self.url(".freshet/status"), &[]).await.bytes().await.expect("whole");
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// Pauses it, or lets it go on.
    pub(crate) async fn set_paused(&mut self, is_paused: bool) {
        self.control.change(|wishes| wishes.paused = is_paused);
        let told = if is_paused { Event::Paused { pause: Pause::Asked } } else { Event::Resumed };
        while self.events.recv().await.expect("it goes on") != told {}
    }

    pub(crate) async fn stop(self) -> Report {
        self.stop.cancel();
        let (report, result) = self.task.await.expect("no panic");
        result.expect("ends well");
        report
    }
}

pub(crate) fn options(site: &Site, base: &str) -> GatewayOptions {
    let url = format!("{}/{CONTENT}/channels/live", base.trim_end_matches('/'));
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut options = GatewayOptions::new(&url, cache(site), listen).expect("good");
    options.get.key = Some(site.key());
    options.get.policy.p2p = false;
    options.get.give_up_after = Duration::from_secs(3);
    options
}

pub(crate) fn cache(site: &Site) -> PathBuf {
    site.folder.path().join("cache")
}

pub(crate) async fn send(method: Method, url: &str, headers: &[(&'static str, &str)]) -> Response {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("value")));
    let headers: HeaderMap = headers.collect();
    reqwest::Client::new().request(method, url).headers(headers).send().await.expect("answered")
}

pub(crate) async fn ask(url: &str, headers: &[(&'static str, &str)]) -> Response {
    send(Method::GET, url, headers).await
}

pub(crate) async fn body(url: &str) -> Vec<u8> {
    let answer = ask(url, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK, "{url}");
    answer.bytes().await.expect("whole").to_vec()
}

/// A site with a file of many chunks, a small one, an empty one, and a link.
pub(crate) async fn published() -> (Site, Serving) {
    let site = Site::new();
    let source = site.source("1");
    write(&source, "data/big.pak", &noise(1, 3_000_000));
    write(&source, "small.txt", b"hello");
    write(&source, "empty", b"");
    #[cfg(unix)]
    std::os::unix::fs::symlink("data/big.pak", source.join(LINKED)).expect("linked");
    site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    (site, origin)
}
