//! Versions that are fetched ahead of their time, and open when the channel tells their key.

use std::fs;
use std::path::{Path, PathBuf};

use freshet_edge_node::{ChangedFiles, Event, GetError, GetOptions, Goal, Preload, Report, plan, uninstall};
use freshet_origin::Serving;
use freshet_protocol::{Pointer, ReleaseKey, Role, SealedItem, Unsealed, sealed_head_start};
use tokio_util::sync::CancellationToken;

use crate::follow::Following;
#[cfg(target_os = "linux")]
use crate::mounted::Mounted;
use crate::patching;
use crate::peers::Swarm;
#[cfg(target_os = "linux")]
use crate::program::not_run;
use crate::site::{CONTENT, Running, Site, installed, refused, run};
use crate::tree::{assert_same, copy, files_below, noise, write};

/// Two versions that differ in a few places and by some files; the first is published, the second is not.
async fn two_versions(site: &Site, trackers: Vec<String>) -> [PathBuf; 2] {
    let [first, second] = patching::two_versions(site, trackers).await;
    write(&second, "data/chapter-nine.pak", &noise(78, 3_000_000));
    write(&second, "data/words.txt", "the duke did it. ".repeat(50_000).as_bytes());
    [first, second]
}

fn preloading(options: GetOptions) -> GetOptions {
    GetOptions { preload: Preload::Only, ..options }
}

async fn preload(options: GetOptions) -> Report {
    let report = installed(preloading(options)).await;
    assert_eq!(report.preloaded.as_deref(), Some("2.0"));
    report
}

/// Bytes of packs, pages and documents of releases that the origin has sent.
fn sent(origin: &Serving) -> [u64; 4] {
    let counters = origin.counters();
    [&counters.pack, &counters.page, &counters.root, &counters.index].map(|count| count.body_bytes)
}

fn sealed_folder(target: &Path) -> PathBuf {
    target.join(".freshet/sealed")
}

fn sealed_file(target: &Path, name: &str) -> PathBuf {
    let root = fs::read_dir(sealed_folder(target)).expect("there").next().expect("one").expect("read");
    root.path().join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_opens_without_the_origin() {
    let site = Site::new();
    let [first, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    let options = || site.options(&origin.url(), "a");
    installed(options()).await;
    let sealed = site.seal(&second, "2.0").await;
    let before = sent(&origin)[0];
    let report = preload(options()).await;
    assert_same(&first, &site.target("a"));
    let bytes: u64 = [0, 2].map(|file| sealed.files[file].bytes).iter().sum();
    assert_eq!(sent(&origin)[0] - before, bytes, "what fits, and no more");
    assert_eq!((report.installed, report.bytes.origin), (false, bytes));
    assert!(bytes < sealed.files[1].bytes / 2, "{:?}", sealed.files);
    // Again, there is nothing to do.
    let again = preload(options()).await;
    assert_eq!((again.bytes.origin, sent(&origin)[0] - before), (0, bytes));
    // What is shown can be got and verified meanwhile.
    assert_eq!(installed(options()).await.version.as_deref(), Some("1.0"));

    site.unseal("2.0").await;
    let before = sent(&origin);
    let report = installed(options()).await;
    assert_same(&second, &site.target("a"));
    assert_eq!(sent(&origin), before, "all of it was here");
    assert_eq!((report.bytes.origin, report.bytes.local), (0, report.release_bytes));
    assert!(!sealed_folder(&site.target("a")).exists());
    assert!(!site.target("a").join(".freshet/preload.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_installs_from_what_was_sealed() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    let sealed = site.seal(&second, "2.0").await;
    let report = preload(site.options(&origin.url(), "a")).await;
    assert_eq!(report.bytes.origin, sealed.files[1].bytes + sealed.files[2].bytes);
    let names: Vec<_> = fs::read_dir(site.target("a")).expect("made").collect();
    assert_eq!(names.len(), 1, "nothing is installed: {names:?}");
    site.unseal("2.0").await;
    let before = sent(&origin);
    installed(site.options(&origin.url(), "a")).await;
    assert_eq!(sent(&origin), before);
    assert_same(&second, &site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_fetch_ahead_share_and_open_at_once() {
    let swarm = Swarm::new().await;
    let [first, second] = two_versions(&swarm.site, vec![swarm.url()]).await;
    let origin = swarm.site.serve().await;
    let start = |name: &str| {
        let mut options = swarm.options(&origin.url(), name, true);
        options.preload = Preload::Also;
        // They wait for each other rather than ask the origin.
        options.policy.goal = Goal::Offload;
        options.policy.offload_slack_permille = 100;
        Following::start(options)
    };
    let mut followers = vec![start("a"), start("b"), start("c")];
    for follower in &mut followers {
        follower.installed("1.0").await;
    }
    let before = sent(&origin)[0];
    let sealed = swarm.site.seal_naming(&second, "2.0", vec![swarm.url()]).await;
    for follower in &mut followers {
        follower
            .wait_for(|event| matches!(event, Event::Preloaded { version, .. } if version == "2.0"))
            .await;
    }
    let one = sealed.files[0].bytes + sealed.files[2].bytes;
    let from_origin = sent(&origin)[0] - before;
    assert!(from_origin < 2 * one, "{from_origin} of {one} for each of three");
    // What is installed is shared meanwhile.
    let before = sent(&origin)[0];
    let slow = swarm.site.serve_slowly().await;
    let mut options = swarm.options(&slow.url(), "late", false);
    options.policy.goal = Goal::Offload;
    options.policy.offload_slack_permille = 100;
    let report = installed(options).await;
    assert_same(&first, &swarm.site.target("late"));
    assert!(report.bytes.peer > 0, "{report:?}");
    // All hear of the key from the tracker.
    swarm.site.unseal_naming("2.0", vec![swarm.url()]).await;
    for follower in &mut followers {
        follower.installed("2.0").await;
    }
    assert_eq!(sent(&origin)[0], before, "nobody fetched any more");
    for (follower, name) in followers.into_iter().zip(["a", "b", "c"]) {
        follower.stop().await;
        assert_same(&second, &swarm.site.target(name));
        assert!(!sealed_folder(&swarm.site.target(name)).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_read_before() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    let sealed = site.seal(&second, "2.0").await;
    preload(site.options(&origin.url(), "a")).await;
    preload(site.options(&origin.url(), "b")).await;
    let secrets: Vec<Vec<u8>> = vec![
        noise(78, 3_000_000)[1_000_000..1_000_016].to_vec(),
        noise(3, 300)[100..116].to_vec(),
        b"the duke did it".to_vec(),
        b"chapter-nine".to_vec(),
        b"words.txt".to_vec(),
    ];
    let is_in = |bytes: &[u8], secret: &[u8]| {
        bytes.iter().enumerate().any(|(at, byte)| *byte == secret[0] && bytes[at..].starts_with(secret))
    };
    let mut looked_at = 0;
    for target in ["a", "b"] {
        for path in files_below(&site.target(target)) {
            let bytes = fs::read(&path).expect("read");
            for secret in &secrets {
                assert!(!is_in(&bytes, secret), "{} holds {secret:02x?}", path.display());
            }
            looked_at += usize::from(path.starts_with(sealed_folder(&site.target(target))));
        }
    }
    assert_eq!(looked_at, 4);
    let chunk_bytes = 256 << 10;
    for name in ["inner", "stream"] {
        assert_eq!(fs::metadata(sealed_file(&site.target("a"), name)).expect("there").len() % chunk_bytes, 0);
    }
    // It is no release to be installed.
    let mut options = site.options(&origin.url(), "c");
    let url = format!("{}/{CONTENT}/roots/{}", origin.url().trim_end_matches('/'), sealed.root);
    options.url = freshet_edge_node::ReleaseUrl::parse(&url).expect("good").0;
    let error = refused(options).await;
    assert!(matches!(&error, GetError::Usage(text) if text.contains("is sealed")), "{error}");
    // What was opened is where it belongs.
    site.unseal("2.0").await;
    installed(site.options(&origin.url(), "b")).await;
    let found =
        files_below(&site.target("b")).iter().any(|path| is_in(&fs::read(path).expect("read"), &secrets[0]));
    assert!(found, "the search finds what is there");
}

/// Runs a job that must succeed; what it noted.
async fn notes(options: GetOptions) -> (Report, Vec<String>) {
    let mut running = Running::start(options);
    let mut notes = Vec::new();
    while let Some(event) = running.events.recv().await {
        if let Event::Note { message } = event {
            notes.push(message);
        }
    }
    let (report, result) = running.end().await;
    result.expect("installed");
    (report, notes)
}

/// What a site's pointer says.
fn pointer(site: &Site) -> Pointer {
    let bytes = fs::read(site.content_file("channels/live")).expect("published");
    Pointer::open(&bytes, &site.load_keys().document().keys_for(Role::Pointer, 0)).expect("signed")
}

fn show(site: &Site, pointer: &Pointer) {
    let sealed = pointer.seal(site.load_keys().online()).expect("within its limits");
    fs::write(site.content_file("channels/live"), sealed).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_opens_nothing_and_costs_bytes_alone() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    site.seal(&second, "2.0").await;
    preload(site.options(&origin.url(), "a")).await;
    site.unseal("2.0").await;
    let right = pointer(&site);
    let wrong = Unsealed { key: ReleaseKey([7; 32]), ..right.unsealed.clone().expect("told") };
    show(&site, &Pointer { unsealed: Some(wrong), ..right });
    let (report, notes) = notes(site.options(&origin.url(), "a")).await;
    assert!(notes.iter().any(|note| note.contains("is not that of the sealed release")), "{notes:?}");
    assert!(report.bytes.origin > 3_000_000, "{report:?}");
    assert_same(&second, &site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_damaged_is_fetched() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    for name in ["part", "damaged", "short", "inner", "root"] {
        installed(site.options(&origin.url(), name)).await;
    }
    site.seal(&second, "2.0").await;
    // Stopped in the middle.
    let mut running = Running::start(GetOptions {
        policy: freshet_edge_node::Policy {
            download_bytes_s_max: Some(1_500_000),
            ..site.options(&origin.url(), "part").policy
        },
        ..preloading(site.options(&origin.url(), "part"))
    });
    running
        .wait_for(|event| matches!(event, Event::Progress { done_bytes, .. } if *done_bytes > 1_000_000))
        .await;
    let (_, result) = running.stop().await;
    assert!(matches!(result, Err(GetError::Stopped)), "{result:?}");
    for name in ["damaged", "short", "inner", "root"] {
        preload(site.options(&origin.url(), name)).await;
    }
    let stream = sealed_file(&site.target("damaged"), "stream");
    let mut bytes = fs::read(&stream).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&stream, &bytes).expect("written");
    let stream = sealed_file(&site.target("short"), "stream");
    fs::write(&stream, &bytes[..middle]).expect("written");
    fs::write(sealed_file(&site.target("inner"), "inner"), b"short").expect("written");
    let sealed_root = pointer(&site).preload.expect("told").root;
    fs::write(site.target("root").join(".freshet/roots").join(sealed_root.to_string()), b"x")
        .expect("written");

    site.unseal("2.0").await;
    for (name, most) in [
        ("part", 3_000_000),
        ("damaged", 900_000),
        ("short", 2_500_000),
        ("inner", 4_000_000),
        ("root", 4_000_000),
    ] {
        let before = sent(&origin)[0];
        installed(site.options(&origin.url(), name)).await;
        let fetched = sent(&origin)[0] - before;
        assert!((1..most).contains(&fetched), "{name}: {fetched}");
        assert_same(&second, &site.target(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_publisher_is_an_error_and_no_more() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    site.seal(&second, "2.0").await;
    preload(site.options(&origin.url(), "a")).await;
    site.unseal("2.0").await;
    let key = pointer(&site).unsealed.expect("told").key;
    let head = |items: &[SealedItem]| {
        let items: Vec<u8> = items.iter().flat_map(SealedItem::encode).collect();
        [sealed_head_start(items.len() as u64), items].concat()
    };
    let write_sealed = |target: &Path, name: &str, path: &str, mut plain: Vec<u8>| {
        let size = (256 << 10) - 16;
        plain.resize(plain.len().next_multiple_of(size), 0);
        let mut file = Vec::new();
        for (index, chunk) in (0..).zip(plain.chunks(size)) {
            let mut chunk = chunk.to_vec();
            key.seal_chunk(path, index, &mut chunk);
            file.extend(chunk);
        }
        fs::write(sealed_file(target, name), file).expect("written");
    };
    let root = |target: &Path| {
        let text = fs::read_to_string(target.join(".freshet/preload.json")).expect("read");
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        record["stream"].as_str().expect("text").to_owned()
    };
    let other_root = fs::read(site.content_files("roots").remove(0)).expect("read");
    let junk = noise(9, 300_000);
    let blob = freshet_protocol::SealedBlob {
        id: freshet_protocol::ChunkId::of(b"x"),
        bytes: 2 << 20,
        stored_bytes: 2 << 20,
        encoding: freshet_protocol::Encoding::Zstd,
    };
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("nothing", "inner", Vec::new()),
        ("junk", "inner", junk.clone()),
        ("long", "inner", [&[0, 0, 0, 0, 15, 255, 255, 255, 1][..], &junk].concat()),
        ("no-root", "inner", head(&[])),
        ("other-root", "inner", head(&[SealedItem::Root(other_root)])),
        ("no-envelope", "inner", head(&[SealedItem::Root(junk[..900].to_vec())])),
        ("critical", "inner", [sealed_head_start(2), vec![10, 0]].concat()),
        ("junk-stream", "stream", junk.clone()),
        ("no-patch", "stream", head(&[SealedItem::Patch(junk[..900].to_vec())])),
        ("beyond", "stream", head(&[SealedItem::Blobs(vec![blob; 4000])])),
    ];
    for (name, file, plain) in cases {
        let target = site.target(name);
        copy(&site.target("a"), &target);
        let path = if file == "inner" { "inner".to_owned() } else { root(&target) };
        write_sealed(&target, file, &path, plain);
        let (_, notes) = notes(site.options(&origin.url(), name)).await;
        assert!(notes.len() <= 1, "{name}: {notes:?}");
        assert_same(&second, &target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_in_between_costs_little() {
    let site = Site::new();
    let [first, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    site.seal(&second, "2.0").await;
    preload(site.options(&origin.url(), "a")).await;
    write(&first, "hotfix.pak", &noise(77, 400_000));
    site.publish(&first, "1.1").await;
    let report = installed(site.options(&origin.url(), "a")).await;
    assert_eq!(report.version.as_deref(), Some("1.1"));
    assert_same(&first, &site.target("a"));
    assert!(sealed_file(&site.target("a"), "stream").exists(), "it is still to come");
    site.unseal("2.0").await;
    let before = sent(&origin)[0];
    installed(site.options(&origin.url(), "a")).await;
    assert_same(&second, &site.target("a"));
    let fetched = sent(&origin)[0] - before;
    assert!(fetched < 100_000, "{fetched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_come_any_more_goes() {
    let site = Site::new();
    let [first, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    let nothing = refused(preloading(site.options(&origin.url(), "a"))).await;
    assert!(matches!(&nothing, GetError::Usage(text) if text.contains("prepares nothing")), "{nothing}");
    site.seal(&second, "2.0").await;
    preload(site.options(&origin.url(), "a")).await;
    let kept = sealed_file(&site.target("a"), "stream");
    // Another one takes its place.
    write(&second, "data/more.pak", &noise(8, 500_000));
    site.seal(&second, "2.0b").await;
    let report = installed(preloading(site.options(&origin.url(), "a"))).await;
    assert_eq!(report.preloaded.as_deref(), Some("2.0b"));
    assert!(!kept.exists());
    assert_eq!(fs::read_dir(sealed_folder(&site.target("a"))).expect("there").count(), 1);
    // In the open at once.
    site.publish(&second, "2.0b").await;
    installed(site.options(&origin.url(), "a")).await;
    assert!(!sealed_folder(&site.target("a")).exists());
    assert_same(&second, &site.target("a"));

    write(&first, "new.pak", &noise(10, 500_000));
    site.seal(&first, "3.0").await;
    installed(preloading(site.options(&origin.url(), "a"))).await;
    assert!(sealed_folder(&site.target("a")).exists());
    uninstall(&site.target("a"), ChangedFiles::Keep).await.expect("removed");
    assert!(!site.target("a").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_knows_what_waits() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    let options = || site.options(&origin.url(), "a");
    let planned = async || plan(&options(), CancellationToken::new()).await.expect("planned");
    installed(options()).await;
    assert_eq!(planned().await.preload, None);
    site.seal(&second, "2.0").await;
    let waits = planned().await.preload.expect("told");
    assert_eq!((waits.version.as_str(), waits.opens, waits.is_here), ("2.0", 4_000_000_000, false));
    preload(options()).await;
    assert!(planned().await.preload.expect("told").is_here);
    site.unseal("2.0").await;
    let stream = fs::metadata(sealed_file(&site.target("a"), "stream")).expect("there").len();
    let opened = planned().await;
    assert_eq!((opened.version.as_str(), opened.preload, opened.fetch_bytes), ("2.0", None, 0));
    assert_eq!(fs::metadata(sealed_file(&site.target("a"), "stream")).expect("there").len(), stream);
    let before = sent(&origin)[0];
    installed(options()).await;
    assert_eq!(sent(&origin)[0], before);
    assert_same(&second, &site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_were_left_out_stay_out() {
    let site = Site::new();
    let [first, second] = ["1", "2"].map(|name| site.source(name));
    let rules = site.folder.path().join("rules.toml");
    fs::write(&rules, "[[part]]\nname = \"ja\"\nfiles = [\"/voice\"]\ndefault = false\n").expect("written");
    for (folder, seed) in [(&first, 1), (&second, 2)] {
        write(folder, "data.pak", &noise(seed, 1_000_000));
        write(folder, "voice/ja.pak", &noise(seed + 10, 1_000_000));
    }
    let with_rules = |source: &Path, version: &str| {
        let mut options = site.publish_options(source, version);
        options.rules = freshet_origin::Rules::load(&rules).expect("good");
        options
    };
    freshet_origin::publish(with_rules(&first, "1.0")).await.expect("published");
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    let options = freshet_origin::SealOptions { publish: with_rules(&second, "2.0"), opens: 4_000_000_000 };
    freshet_origin::publish_sealed(options, &mut |_| {}).await.expect("sealed");
    preload(site.options(&origin.url(), "a")).await;
    site.unseal("2.0").await;
    let before = sent(&origin)[0];
    installed(site.options(&origin.url(), "a")).await;
    assert_eq!(sent(&origin)[0], before);
    assert_eq!(fs::read(site.target("a").join("data.pak")).expect("there"), noise(2, 1_000_000));
    assert!(!site.target("a").join("voice").exists());
    let (_, result) = run(site.options(&origin.url(), "a")).await;
    result.expect("there already");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn it_opens_where_there_is_no_room_for_two() {
    let small =
        [(&["mkfs.ext4", "-q", "-m", "0"][..], "ext4", 84 << 20), (&["mkfs.exfat"], "exfat-fuse", 90 << 20)];
    for (make, kind, bytes) in small {
        let site = Site::new();
        let image = site.folder.path().join("image");
        let Some(mounted) = Mounted::make(make, kind, bytes, &image, site.target("")) else {
            return not_run("a small file system");
        };
        let [first, second] = ["1", "2"].map(|name| site.source(name));
        write(&first, "small", b"small");
        for n in 0..12 {
            write(&second, &format!("{n}.pak"), &noise(n, 5_000_000));
        }
        site.publish(&first, "1.0").await;
        let origin = site.serve().await;
        site.seal(&second, "2.0").await;
        preload(site.options(&origin.url(), "a")).await;
        site.unseal("2.0").await;
        let before = sent(&origin);
        installed(site.options(&origin.url(), "a")).await;
        assert_eq!(sent(&origin), before, "{kind}");
        for n in 0..12 {
            let found = fs::read(site.target("a").join(format!("{n}.pak"))).expect("there");
            assert!(found == noise(n, 5_000_000), "{kind}: {n}");
        }
        drop((site, mounted));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_is_left_for_later() {
    let site = Site::new();
    let image = site.folder.path().join("image");
    let make = ["mkfs.ext4", "-q", "-m", "0"];
    let Some(mounted) = Mounted::make(&make, "ext4", 24 << 20, &image, site.target("")) else {
        return not_run("a small file system");
    };
    let [first, second] = ["1", "2"].map(|name| site.source(name));
    write(&first, "small", b"small");
    write(&second, "large", &noise(1, 40_000_000));
    site.publish(&first, "1.0").await;
    let origin = site.serve().await;
    site.seal(&second, "2.0").await;
    let alone = refused(preloading(site.options(&origin.url(), "a"))).await;
    assert!(matches!(alone, GetError::DiskFull { .. }), "{alone}");
    let mut following =
        Following::start(GetOptions { preload: Preload::Also, ..site.options(&origin.url(), "b") });
    following.installed("1.0").await;
    let is_told = |event: &Event| matches!(event, Event::Note { message } if message.contains("cannot be fetched ahead"));
    following.wait_for(is_told).await;
    following.installed("1.0").await;
    following.stop().await;
    drop((site, mounted));
}
