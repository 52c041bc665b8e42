//! Installations on file systems that tell less than those of a server: exFAT knows no letter case in names, no links, and
//! calls every file a program.

use std::fs;
use std::path::Path;
use std::process::Command;

use freshet_edge_node::{GetError, Verified, verify};
use freshet_origin::Serving;
use tokio_util::sync::CancellationToken;

use crate::mounted::Mounted;
use crate::program::not_run;
use crate::site::{Site, installed, refused, run};
use crate::tree::{noise, write};

/// A site whose target `a` lies on a stick.
struct Stick {
    site: Site,
    // Unmounted before the site's folder goes.
    _mounted: Mounted,
}

impl Stick {
    fn insert() -> Option<Self> {
        let site = Site::new();
        let image = site.folder.path().join("image");
        let mounted = Mounted::make(&["mkfs.exfat"], "exfat-fuse", 200 << 20, &image, site.target(""));
        let Some(_mounted) = mounted else {
            not_run("exFAT");
            return None;
        };
        Some(Self { site, _mounted })
    }

    fn source(&self, version: &str, files: &[(&str, Vec<u8>)]) -> std::path::PathBuf {
        let folder = self.site.source(version);
        files.iter().for_each(|(path, bytes)| write(&folder, path, bytes));
        folder
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let listed = fs::read_dir(self.site.target("a").join(folder)).expect("there");
        let mut names: Vec<String> =
            listed.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    async fn verify(&self) -> Verified {
        verify(&self.site.target("a"), true, CancellationToken::new()).await.expect("verified")
    }
}

fn read(target: &Path, path: &str) -> Vec<u8> {
    fs::read(target.join(path)).expect("there")
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_other_letter_case_are_the_same_file() {
    let Some(stick) = Stick::insert() else { return };
    let [texts, map, sound] = [1, 2, 3].map(|seed| noise(seed, 2_000_000));
    let first = stick.source(
        "1",
        &[("Data/Texts.pak", texts.clone()), ("Data/Map.pak", map.clone()), ("sound.pak", sound.clone())],
    );
    let mut changed = map.clone();
    changed[5..9].fill(0);
    let second = stick.source(
        "2",
        &[("data/texts.pak", texts.clone()), ("data/map.pak", changed.clone()), ("sound.pak", sound)],
    );
    stick.site.publish(&first, "1.0").await;
    let origin: Serving = stick.site.serve().await;
    let target = stick.site.target("a");
    // Of its owner, in the way in another letter case.
    fs::create_dir_all(&target).expect("made");
    fs::write(target.join("SOUND.PAK"), "mine").expect("written");
    let options = || stick.site.options(&origin.url(), "a");
    installed(options()).await;
    assert_eq!(stick.names(""), [".freshet", "Data", "sound.pak", "sound.pak.freshet-backup"]);
    assert_eq!(read(&target, "sound.pak.freshet-backup"), b"mine");
    let found = stick.verify().await;
    assert_eq!((&found.changed[..], &found.missing[..]), (&[][..], &[][..]), "{found:?}");
    assert_eq!(found.added, ["sound.pak.freshet-backup"]);

    stick.site.publish(&second, "2.0").await;
    let before = origin.counters().body_bytes;
    installed(options()).await;
    let fetched = origin.counters().body_bytes - before;
    assert!(fetched < 500_000, "what only has another name is not fetched: {fetched}");
    assert_eq!(stick.names("data"), ["map.pak", "texts.pak"]);
    assert!(read(&target, "data/texts.pak") == texts && read(&target, "data/map.pak") == changed);
    let found = stick.verify().await;
    assert!(found.changed.is_empty() && found.missing.is_empty(), "{found:?}");
    let origin_bytes = origin.counters().body_bytes;
    stick.site.roll_back().await;
    installed(options()).await;
    assert_eq!(stick.names("Data"), ["Map.pak", "Texts.pak"]);
    assert!(read(&target, "Data/Map.pak") == map);
    assert!(origin.counters().body_bytes < origin_bytes + 500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_there_is_not_fetched() {
    let Some(stick) = Stick::insert() else { return };
    let source = stick.source("1", &[("data", noise(1, 2_000_000))]);
    std::os::unix::fs::symlink("data", source.join("link")).expect("made");
    stick.site.publish(&source, "1.0").await;
    let origin = stick.site.serve().await;
    let error = refused(stick.site.options(&origin.url(), "a")).await;
    assert!(matches!(error, GetError::NotWritable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("a/link cannot be written: no symbolic link can be made"), "{text}");
    assert_eq!(origin.counters().pack.requests, 0);
}

/// Takes away or gives back that a file may be changed or removed, even by root.
fn protect(path: &Path, is_protected: bool) -> bool {
    let flag = if is_protected { "+i" } else { "-i" };
    Command::new("chattr").arg(flag).arg(path).status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_file_is_named_and_costs_nothing_once_it_is_free() {
    let site = Site::new();
    let [first, second] = ["1", "2"].map(|version| site.source(version));
    for (seed, name) in (1..).zip(["a", "b", "c"]) {
        write(&first, name, &noise(seed, 500_000));
        write(&second, name, &noise(seed + 10, 500_000));
    }
    site.publish(&first, "1.0").await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    let protected = site.target("a").join("b");
    // Its owner may do this with chmod; that alone is no reason to leave an update out.
    let mut mode = fs::metadata(&protected).expect("there").permissions();
    mode.set_readonly(true);
    fs::set_permissions(site.target("a").join("a"), mode).expect("set");
    if !protect(&protected, true) {
        return not_run("chattr +i");
    }
    site.publish(&second, "2.0").await;
    let (_, ended) = run(site.options(&origin.url(), "a")).await;
    let is_free = protect(&protected, false);
    let error = ended.expect_err("refused").to_string();
    assert!(is_free && error.contains("a/b cannot be written: "), "{error}");
    let fetched = origin.counters().pack.body_bytes;
    installed(site.options(&origin.url(), "a")).await;
    crate::tree::assert_same(&second, &site.target("a"));
    assert_eq!(origin.counters().pack.body_bytes, fetched, "all of it was there");
}
