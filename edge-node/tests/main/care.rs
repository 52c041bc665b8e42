//! Looking after an installation: verify, mend, uninstall.

use std::fs;
use std::path::Path;

use freshet_edge_node::{ChangedFiles, GetError, Verified, repair, uninstall, verify};
use tokio_util::sync::CancellationToken;

use crate::site::{Site, installed, refused};
use crate::tree::{assert_same, make_sample, write};

async fn verified(folder: &Path, is_fast: bool) -> Verified {
    verify(folder, is_fast, CancellationToken::new()).await.expect("verified")
}

/// A site, and an installation of its sample.
async fn sample() -> (Site, freshet_origin::Serving) {
    let site = Site::new();
    let source = site.source("1");
    make_sample(&source);
    write(&source, "data/big.pak", &crate::tree::noise(3, 2_000_000));
    site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    (site, origin)
}

/// Changes a byte so that the file looks as before from outside.
fn rot(path: &Path) {
    let modified = fs::metadata(path).and_then(|found| found.modified()).expect("there");
    let mut bytes = fs::read(path).expect("read");
    bytes[1000] ^= 1;
    fs::write(path, bytes).expect("written");
    fs::File::options().write(true).open(path).and_then(|file| file.set_modified(modified)).expect("set");
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_named_and_mended() {
    let (site, origin) = sample().await;
    let folder = site.target("a");
    for is_fast in [true, false] {
        let found = verified(&folder, is_fast).await;
        assert!(found.is_whole() && found.added.is_empty(), "{found:?}");
        assert_eq!((found.content.as_str(), found.version.as_str()), ("game/demo", "1.0"));
    }
    let big = folder.join("data/big.pak");
    rot(&big);
    assert!(verified(&folder, true).await.is_whole(), "it looks untouched");
    assert_eq!(verified(&folder, false).await.changed, ["data/big.pak"]);
    // Getting the same again believes what looks untouched; asked to verify, it fetches one chunk.
    installed(site.options(&origin.url(), "a")).await;
    assert!(!verified(&folder, false).await.is_whole());
    let before = origin.counters().pack.body_bytes;
    let mut options = site.options(&origin.url(), "a");
    options.verify = true;
    let report = installed(options).await;
    assert!(verified(&folder, false).await.is_whole());
    let fetched = origin.counters().pack.body_bytes - before;
    assert!((30_000..600_000).contains(&fetched), "{fetched} bytes for one chunk");
    assert!(report.bytes.local > 1_000_000, "{:?}", report.bytes);

    fs::remove_file(&big).expect("removed");
    write(&folder, "mods/own.txt", b"mine");
    let found = verified(&folder, true).await;
    assert_eq!(
        (found.missing, found.added),
        (vec!["data/big.pak".to_owned()], vec!["mods/own.txt".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_keeps_the_version() {
    let (site, origin) = sample().await;
    let folder = site.target("a");
    let newer = site.source("2");
    write(&newer, "data/big.pak", b"another version");
    site.publish(&newer, "2.0").await;
    let mend = async |name: &str| {
        let (events, mut rest) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move { while rest.recv().await.is_some() {} });
        let options = site.options(&origin.url(), name);
        Box::pin(repair(options, events, CancellationToken::new(), tokio::time::Instant::now())).await
    };
    rot(&folder.join("data/big.pak"));
    fs::remove_file(folder.join("run.sh")).expect("removed");
    let (report, result) = mend("a").await;
    result.expect("mended");
    assert_eq!((report.version.as_deref(), report.moved_aside.len()), (Some("1.0"), 0));
    assert_same(&site.source("1"), &folder);
    let (_, result) = mend("nothing-here").await;
    assert!(matches!(result, Err(GetError::Usage(message)) if message.contains("holds no installation")));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_run_a_file_counts() {
    use std::os::unix::fs::PermissionsExt;
    let (site, _origin) = sample().await;
    let folder = site.target("a");
    let path = folder.join("data/big.pak");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    assert_eq!(verified(&folder, true).await.changed, ["data/big.pak"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalled_without_a_trace() {
    let (site, origin) = sample().await;
    let folder = site.target("a");
    assert_eq!(
        uninstall(&folder, ChangedFiles::Keep).await.expect("uninstalled"),
        Vec::<std::path::PathBuf>::new()
    );
    assert!(!folder.exists());
    installed(site.options(&origin.url(), "a")).await;
    assert_same(&site.source("1"), &folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_installation_s_stays() {
    let (site, _origin) = sample().await;
    let folder = site.target("a");
    let changed = folder.join("data/big.pak");
    fs::write(&changed, "edited").expect("written");
    write(&folder, "saves/1.sav", b"mine");
    assert_eq!(
        uninstall(&folder, ChangedFiles::Keep).await.expect("uninstalled"),
        std::slice::from_ref(&changed)
    );
    assert_eq!(fs::read(&changed).expect("kept"), b"edited");
    assert_eq!(fs::read(folder.join("saves/1.sav")).expect("kept"), b"mine");
    let mut left: Vec<_> =
        fs::read_dir(&folder).expect("there").map(|entry| entry.expect("read").file_name()).collect();
    left.sort();
    assert_eq!(left, ["data", "saves"]);
    let again = uninstall(&folder, ChangedFiles::Keep).await;
    assert!(matches!(again, Err(GetError::Usage(message)) if message.contains("holds no installation")));
    assert!(matches!(verify(&folder, true, CancellationToken::new()).await, Err(GetError::Usage(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninstall_ends_what_a_killed_one_began() {
    let (site, origin) = sample().await;
    let folder = site.target("a");
    let state = folder.join(".freshet");
    let gone = async || {
        uninstall(&folder, ChangedFiles::Keep).await.expect("uninstalled");
        assert!(!folder.exists());
    };
    // Killed among the files.
    fs::remove_file(folder.join("data/big.pak")).expect("removed");
    gone().await;
    // Killed in the node's own folder, whatever of it went first: all files were gone by then.
    fs::create_dir_all(&state).expect("made");
    gone().await;
    for name in ["trust.json", "keys", "pointer-live", "roots", "pages", "installed.json"] {
        installed(site.options(&origin.url(), "a")).await;
        let record = fs::read(state.join("installed.json")).expect("read");
        uninstall(&folder, ChangedFiles::Keep).await.expect("uninstalled");
        fs::create_dir_all(state.join("roots")).expect("made");
        fs::create_dir_all(state.join("pages")).expect("made");
        fs::write(state.join("installed.json"), record).expect("written");
        let _ = fs::remove_file(state.join(name)).or_else(|_| fs::remove_dir(state.join(name)));
        gone().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_was_not_finished_leaves_no_trace_either() {
    let (site, origin) = sample().await;
    let mut options = site.options(&origin.url(), "b");
    origin.shutdown().await;
    options.give_up_after = std::time::Duration::from_millis(100);
    refused(options).await;
    let folder = site.target("b");
    assert!(folder.join(".freshet").exists());
    uninstall(&folder, ChangedFiles::Keep).await.expect("uninstalled");
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_go_where_that_is_wanted() {
    let (site, _origin) = sample().await;
    let folder = site.target("a");
    fs::write(folder.join("data/big.pak"), "edited").expect("written");
    uninstall(&folder, ChangedFiles::Remove).await.expect("uninstalled");
    assert!(!folder.exists());
}
