//! Folders to publish, and an origin to publish them to.

use std::fs;
use std::path::{Path, PathBuf};

use freshet_origin::{
    ChannelOptions, Keys, PublishError, PublishOptions, Published, ServeOptions, Serving, Store, publish,
    serve,
};
use freshet_protocol::{ContentName, PublicKey};
use tempfile::TempDir;

/// A store, keys and a folder to publish, gone with the test.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().expect("folder") };
        fs::create_dir(fixture.build()).expect("made");
        Keys::create(&fixture.keys_dir(), "game").expect("keys");
        fixture
    }

    pub(crate) fn build(&self) -> PathBuf {
        self.folder.path().join("build")
    }

    pub(crate) fn keys_dir(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    pub(crate) fn store_dir(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Where the content's objects lie.
    pub(crate) fn content_dir(&self) -> PathBuf {
        self.store_dir().join("game/demo")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.store_dir().to_str().expect("text")).expect("store")
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::load(&self.keys_dir()).expect("keys")
    }

    pub(crate) fn tenant_key(&self) -> PublicKey {
        self.keys().public()
    }

    pub(crate) fn options(&self, version: &str) -> PublishOptions {
        let version = version.parse().expect("name");
        PublishOptions::new(self.channel(), self.build(), version)
    }

    /// Channel `live`.
    pub(crate) fn channel(&self) -> ChannelOptions {
        ChannelOptions::new(self.store(), self.keys(), content())
    }

    pub(crate) async fn publish(&self, version: &str) -> Result<Published, PublishError> {
        publish(self.options(version)).await
    }

    pub(crate) async fn serve(&self) -> Serving {
        let listen = "127.0.0.1:0".parse().expect("address");
        serve(ServeOptions::new(self.store(), listen)).await.expect("served")
    }

    /// Writes a file of the build, with its folders.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.build().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    /// Names of the objects in one folder of the content.
    pub(crate) fn objects(&self, kind: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.content_dir().join(kind)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
        names.sort_unstable();
        names
    }
}

pub(crate) fn content() -> ContentName {
    "game/demo".parse().expect("name")
}

/// Bytes without a pattern, the same for the same seed (xorshift64*, Vigna 2016).
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        out.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    out.truncate(bytes);
    out
}

/// A build with one of everything that a release may hold.
#[cfg(unix)]
pub(crate) fn write_varied_build(fixture: &Fixture) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    fixture.write("bin/game", &noise(1, 700_000));
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(fixture.build().join("bin/game"), executable).expect("set");
    fixture.write("data/한국어/모험.pak", &noise(2, 3_000_000));
    fixture.write("data/copy.pak", &noise(2, 3_000_000));
    fixture.write("data/text.json", "{\"line\": \"the same again\"}\n".repeat(40_000).as_bytes());
    fixture.write("data/empty", b"");
    fixture.write("data-extra", b"sorts before data/");
    for n in 0..3000 {
        fixture.write(&format!("many/{}/{n}.txt", n % 7), format!("file number {n}").as_bytes());
    }
    fs::create_dir_all(fixture.build().join("saves/slots")).expect("made");
    symlink("../data/copy.pak", fixture.build().join("bin/link")).expect("made");
    symlink("data", fixture.build().join("assets")).expect("made");
}

/// What lies in a folder, as lines that two folders can be compared by.
#[cfg(unix)]
pub(crate) fn describe(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    describe_into(root, "", &mut lines);
    lines.sort_unstable();
    lines
}

#[cfg(unix)]
fn describe_into(root: &Path, inside: &str, lines: &mut Vec<String>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(root.join(inside)).expect("folder") {
        let entry = entry.expect("entry");
        let name = entry.file_name().into_string().expect("text");
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        let metadata = entry.path().symlink_metadata().expect("metadata");
        if metadata.is_symlink() {
            lines.push(format!("{path} -> {}", fs::read_link(entry.path()).expect("link").display()));
        } else if metadata.is_dir() {
            lines.push(format!("{path}/"));
            describe_into(root, &path, lines);
        } else {
            let bytes = fs::read(entry.path()).expect("file");
            let is_executable = metadata.permissions().mode() & 0o100 != 0;
            lines.push(format!("{path} {} {is_executable}", freshet_protocol::Hash::of(&bytes)));
        }
    }
}
