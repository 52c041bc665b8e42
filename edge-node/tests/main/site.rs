//! A publisher with its origin, and nodes that get from it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use freshet_edge_node::{Event, GetError, GetOptions, PublicKey, Report, get};
use freshet_origin::{
    Caps, ChannelOptions, Keys, Opened, Opening, PromoteOptions, PromoteTo, Promoted, PublishOptions,
    Published, SealOptions, SealedPublished, ServeOptions, Serving, Store, UnsealOptions,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Any free port of this machine.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
pub(crate) const CONTENT: &str = "game/demo";

/// A publisher's machine.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    keys: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Self {
        // A second test in the same process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("folder");
        let keys = folder.path().join("keys");
        Keys::create(&keys, "game").expect("keys");
        Self { folder, keys }
    }

    pub(crate) fn key(&self) -> PublicKey {
        self.load_keys().public()
    }

    pub(crate) fn load_keys(&self) -> Keys {
        Keys::load(&self.keys).expect("keys")
    }

    pub(crate) fn keys_folder(&self) -> PathBuf {
        self.keys.clone()
    }

    /// A folder of this name to fill and publish.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join("sources").join(name);
        std::fs::create_dir_all(&path).expect("made");
        path
    }

    /// Where the origin's files are; their paths are those of its URLs.
    pub(crate) fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn content_file(&self, name: &str) -> PathBuf {
        self.store_folder().join(CONTENT).join(name)
    }

    /// Files of a collection such as `packs`.
    pub(crate) fn content_files(&self, collection: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.content_file(collection)).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        files.retain(|path| path.extension().is_none());
        files.sort();
        files
    }

    fn store(&self) -> Store {
        let folder = self.store_folder();
        std::fs::create_dir_all(&folder).expect("made");
        Store::open(folder.to_str().expect("UTF-8")).expect("store")
    }

    pub(crate) async fn publish(&self, source: &Path, version: &str) -> Published {
        self.publish_naming(source, version, Vec::new()).await
    }

    /// As [`Site::publish`]; the channel names these trackers.
    pub(crate) async fn publish_naming(
        &self,
        source: &Path,
        version: &str,
        trackers: Vec<String>,
    ) -> Published {
        self.publish_with(source, version, |options| options.channel.trackers = Some(trackers.clone())).await
    }

    /// As [`Site::publish`], with other options.
    pub(crate) async fn publish_with(
        &self,
        source: &Path,
        version: &str,
        change: impl Fn(&mut PublishOptions),
    ) -> Published {
        // Windows does not let a pointer be replaced at the moment that a node reads it; an origin there is run by nobody.
        let attempts = if cfg!(windows) { 20 } else { 1 };
        for attempt in 1..=attempts {
            let mut options = self.publish_options(source, version);
            change(&mut options);
            match freshet_origin::publish(options).await {
                Ok(published) => return published,
                Err(error) => assert!(attempt < attempts, "not published: {error}"),
            }
        }
        unreachable!("the last attempt ends it")
    }

    pub(crate) fn publish_options(&self, source: &Path, version: &str) -> PublishOptions {
        PublishOptions::new(self.channel(), source.to_owned(), version.parse().expect("name"))
    }

    fn channel(&self) -> ChannelOptions {
        ChannelOptions::new(self.store(), self.load_keys(), CONTENT.parse().expect("name"))
    }

    /// Publishes a version sealed, as if it were for much later.
    pub(crate) async fn seal(&self, source: &Path, version: &str) -> SealedPublished {
        self.seal_naming(source, version, Vec::new()).await
    }

    pub(crate) async fn seal_naming(
        &self,
        source: &Path,
        version: &str,
        trackers: Vec<String>,
    ) -> SealedPublished {
        let mut publish = self.publish_options(source, version);
        publish.channel.trackers = Some(trackers);
        let options = SealOptions { publish, opens: 4_000_000_000 };
        freshet_origin::publish_sealed(options, &mut |_| {}).await.expect("sealed")
    }

    /// Opens a sealed version now.
    pub(crate) async fn unseal(&self, version: &str) -> Opened {
        self.unseal_naming(version, Vec::new()).await
    }

    pub(crate) async fn unseal_naming(&self, version: &str, trackers: Vec<String>) -> Opened {
        let (mut channel, version) = (self.channel(), version.parse().expect("name"));
        channel.trackers = Some(trackers);
        let options = UnsealOptions { channel, version, opening: Opening::Now };
        freshet_origin::unseal(options).await.expect("opened")
    }

    /// The channel shows again what it showed before.
    pub(crate) async fn roll_back(&self) -> Promoted {
        let options = PromoteOptions::new(self.channel(), PromoteTo::Before);
        freshet_origin::promote(options).await.expect("rolled back")
    }

    /// The channel shows a version to so many of 1000 installations.
    pub(crate) async fn roll_out(&self, version: &str, permille: u32) {
        let version = PromoteTo::Version(version.parse().expect("name"));
        let options =
            PromoteOptions { permille: Some(permille), ..PromoteOptions::new(self.channel(), version) };
        freshet_origin::promote(options).await.expect("rolled out");
    }

    pub(crate) async fn serve(&self) -> Serving {
        self.serve_at(LOOPBACK, None).await
    }

    /// Serves no more than so much; what is more is refused.
    pub(crate) async fn serve_capped(&self, caps: Caps) -> Serving {
        let options = ServeOptions { caps, ..ServeOptions::new(self.store(), LOOPBACK) };
        freshet_origin::serve(options).await.expect("serving")
    }

    /// Serves at an address that it had before.
    pub(crate) async fn serve_again(&self, address: SocketAddr) -> Serving {
        self.serve_at(address, None).await
    }

    /// Serves so slowly that peers are found before the origin has sent it all.
    pub(crate) async fn serve_slowly(&self) -> Serving {
        self.serve_at(LOOPBACK, Some(1_000_000)).await
    }

    async fn serve_at(&self, address: SocketAddr, line_bytes_s: Option<u64>) -> Serving {
        let mut options = ServeOptions::new(self.store(), address);
        options.line_bytes_s = line_bytes_s;
        freshet_origin::serve(options).await.expect("serving")
    }

    /// An installation folder of this name.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.folder.path().join("targets").join(name)
    }

    /// Options to get the live channel from `base` into the target `name`, without peers.
    pub(crate) fn options(&self, base: &str, name: &str) -> GetOptions {
        let url = format!("{}/{CONTENT}/channels/live", base.trim_end_matches('/'));
        let mut options = GetOptions::new(&url, self.target(name)).expect("good URL");
        options.key = Some(self.key());
        options.policy.p2p = false;
        options.give_up_after = Duration::from_secs(3);
        options
    }
}

/// Runs a job to its end.
pub(crate) async fn run(options: GetOptions) -> (Report, Result<(), GetError>) {
    let (sender, mut events) = mpsc::channel::<Event>(16);
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    Box::pin(get(options, sender, CancellationToken::new(), Instant::now())).await
}

/// Runs a job that must succeed.
pub(crate) async fn installed(options: GetOptions) -> Report {
    let (report, result) = run(options).await;
    result.expect("installed");
    report
}

/// Runs a job that must fail.
pub(crate) async fn refused(options: GetOptions) -> GetError {
    run(options).await.1.expect_err("refused")
}

/// A job that runs beside the test.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    pub(crate) events: mpsc::Receiver<Event>,
    task: tokio::task::JoinHandle<(Report, Result<(), GetError>)>,
}

impl Running {
    pub(crate) fn start(options: GetOptions) -> Self {
        let (sender, events) = mpsc::channel(4096);
        let stop = CancellationToken::new();
        let task = tokio::spawn(get(options, sender, stop.clone(), Instant::now()));
        Self { stop, events, task }
    }

    /// Waits for an event.
    pub(crate) async fn wait_for(&mut self, fits: impl Fn(&Event) -> bool) -> Event {
        loop {
            match self.events.recv().await {
                Some(event) if fits(&event) => return event,
                Some(_) => {}
                None => panic!("the job ended before the event"),
            }
        }
    }

    pub(crate) async fn installed(&mut self) {
        self.wait_for(|event| *event == Event::Installed).await;
    }

    /// Stops the job.
    pub(crate) async fn stop(self) -> (Report, Result<(), GetError>) {
        self.stop.cancel();
        self.end().await
    }

    /// Waits for the job's own end.
    pub(crate) async fn end(mut self) -> (Report, Result<(), GetError>) {
        while self.events.recv().await.is_some() {}
        self.task.await.expect("no panic")
    }
}
