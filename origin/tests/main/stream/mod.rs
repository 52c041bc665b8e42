//! Streams, made by the real ffmpeg and played by a client that knows nothing of the origin's code.

mod cdn;
mod ffmpeg;
mod index;
mod live;
mod player;
mod viewer;
mod vod;

use std::fs;
use std::path::PathBuf;

use freshet_origin::{HlsOptions, HlsPublished, Keys, ServeOptions, Serving, Store, StreamError, StreamKey};
use freshet_protocol::{ContentName, PublicKey};
use tempfile::TempDir;

/// A tenant with a store, a stream key and a folder of media, gone with the test.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().expect("folder") };
        fs::create_dir(site.media()).expect("made");
        let mut keys = Keys::create(&site.keys_dir(), "site").expect("keys");
        let public = StreamKey::create(&StreamKey::default_path(&site.keys_dir())).expect("key");
        keys.add_stream(public).expect("added");
        site
    }

    pub(crate) fn keys_dir(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// The folder that is published or watched.
    pub(crate) fn media(&self) -> PathBuf {
        self.folder.path().join("media")
    }

    pub(crate) fn store_dir(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Where an object of the stream lies.
    pub(crate) fn object(&self, path: &str) -> PathBuf {
        self.store_dir().join("site/show").join(path)
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.store_dir().to_str().expect("text")).expect("store")
    }

    pub(crate) fn stream_key(&self) -> StreamKey {
        let seed = StreamKey::default_path(&self.keys_dir());
        StreamKey::load_with_document(&seed, &self.keys_dir()).expect("key")
    }

    pub(crate) fn tenant_key(&self) -> PublicKey {
        Keys::load(&self.keys_dir()).expect("keys").public()
    }

    pub(crate) fn options(&self, first: &str) -> HlsOptions {
        HlsOptions {
            store: self.store(),
            key: self.stream_key(),
            content: content(),
            folder: self.media(),
            first: first.parse().expect("path"),
        }
    }

    pub(crate) async fn publish(&self, first: &str) -> Result<HlsPublished, StreamError> {
        freshet_origin::publish_hls(self.options(first)).await
    }

    pub(crate) async fn serve(&self) -> Serving {
        let listen = "127.0.0.1:0".parse().expect("address");
        freshet_origin::serve(ServeOptions::new(self.store(), listen)).await.expect("served")
    }

    /// Writes a file of the media folder, with its folders.
    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.media().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }
}

pub(crate) fn content() -> ContentName {
    "site/show".parse().expect("name")
}
