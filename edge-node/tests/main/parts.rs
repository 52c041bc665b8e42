//! Parts that an owner may leave out.

use std::fs;
use std::path::{Path, PathBuf};

use freshet_edge_node::{ChangedFiles, Event, GetOptions, Parts, Plan, Report, plan, uninstall, verify};
use freshet_origin::Published;
use tokio_util::sync::CancellationToken;

use crate::peers::Swarm;
use crate::program::node;
use crate::site::{Running, Site, installed, refused};
use crate::tree::{Entry, assert_same, entries, make_sample, noise, write};

/// `hd` is for everybody and `ja` for those who ask; both have a chunk in common with what is always there.
const RULES: &str = "[[part]]\nname = 'ja'\nfiles = ['/voice/ja', '*.ja.txt']\ndefault = false\n\
                     [[part]]\nname = 'hd'\nfiles = ['/textures']\n";
const JA_BYTES: u64 = 900_000;
const HD_BYTES: u64 = 700_000;

fn make_parts(folder: &Path) {
    make_sample(folder);
    write(folder, "voice/ja/lines.pak", &[noise(21, JA_BYTES as usize), noise(1, 700_000)].concat());
    write(folder, "voice/ja/empty", b"");
    write(folder, "data/menu.ja.txt", "日本語".as_bytes());
    fs::create_dir_all(folder.join("voice/ja/later")).expect("made");
    #[cfg(unix)]
    std::os::unix::fs::symlink("lines.pak", folder.join("voice/ja/current.pak")).expect("made");
    write(folder, "textures/all.pak", &noise(22, HD_BYTES as usize));
}

/// What is installed of `source` where these parts are left out.
fn without(site: &Site, source: &Path, parts: &[&str]) -> PathBuf {
    let kept = |path: &str| {
        let is_ja = path.starts_with("voice") || path.ends_with(".ja.txt");
        !(is_ja && parts.contains(&"ja") || path.starts_with("textures") && parts.contains(&"hd"))
    };
    let folder = site.source(&format!("{}-without-{}", source.display(), parts.join("-")).replace('/', "-"));
    for (path, entry) in entries(source).into_iter().filter(|(path, _)| kept(path)) {
        let target = folder.join(&path);
        match entry {
            Entry::Folder => fs::create_dir_all(target).expect("made"),
            Entry::File { .. } => drop(fs::copy(source.join(path), target).expect("copied")),
            #[cfg(unix)]
            Entry::Link(to) => std::os::unix::fs::symlink(to, target).expect("made"),
            #[cfg(not(unix))]
            Entry::Link(_) => unreachable!("no sample has links here"),
        }
    }
    folder
}

async fn publish(site: &Site, source: &Path, version: &str, rules: &str) -> Published {
    let mut options = site.publish_options(source, version);
    options.rules = rules.parse().expect("rules");
    freshet_origin::publish(options).await.expect("published")
}

async fn first_version(site: &Site) -> PathBuf {
    let source = site.source("1");
    make_parts(&source);
    publish(site, &source, "1.0", RULES).await;
    source
}

fn choosing(mut options: GetOptions, parts: &str) -> GetOptions {
    options.parts = (!parts.is_empty()).then(|| parts.parse().expect("parts"));
    options
}

async fn planned(options: &GetOptions) -> Plan {
    plan(options, CancellationToken::new()).await.expect("planned")
}

/// Gets these parts; returns how many bytes of packs that took, and asserts that it was what the plan said.
async fn get(site: &Site, origin: &freshet_origin::Serving, parts: &str) -> (u64, Report) {
    let options = || choosing(site.options(&origin.url(), "a"), parts);
    let plan = planned(&options()).await;
    let before = origin.counters().pack.body_bytes;
    let report = installed(options()).await;
    let fetched = origin.counters().pack.body_bytes - before;
    assert_eq!(plan.fetch_bytes, fetched, "{parts}: {plan:?}");
    assert_eq!(plan.release_bytes, report.release_bytes);
    (fetched, report)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_more_or_less_moves_that_part_alone() {
    let site = Site::new();
    let source = first_version(&site).await;
    let origin = site.serve().await;
    let folder = site.target("a");
    let whole = |is_fast| verify(&folder, is_fast, CancellationToken::new());

    let (fetched, report) = get(&site, &origin, "").await;
    assert_same(&without(&site, &source, &["ja"]), &folder);
    assert_eq!(report.parts, ["hd"]);
    assert!(fetched > HD_BYTES, "{fetched}");
    let found = whole(false).await.expect("verified");
    assert!(found.is_whole() && found.bytes == report.release_bytes, "{found:?}");

    let plan = planned(&choosing(site.options(&origin.url(), "a"), "+ja")).await;
    let parts = plan.parts.iter().map(|part| (part.name.as_str(), part.is_chosen));
    assert_eq!(parts.collect::<Vec<_>>(), [("ja", true), ("hd", true)]);
    assert!(plan.parts[0].bytes > JA_BYTES && plan.parts[1].bytes == HD_BYTES, "{plan:?}");
    let (fetched, report) = get(&site, &origin, "+ja").await;
    assert_same(&source, &folder);
    // What the part has in common with the rest is copied.
    assert!((JA_BYTES..JA_BYTES + 200_000).contains(&fetched), "{fetched}");
    assert!(report.bytes.local > 500_000, "{report:?}");

    assert_eq!(get(&site, &origin, "").await.0, 0, "what was said stays");
    assert_same(&source, &folder);
    let (fetched, report) = get(&site, &origin, "-ja,-hd").await;
    assert_eq!((fetched, report.parts.len()), (0, 0));
    assert_same(&without(&site, &source, &["ja", "hd"]), &folder);
    assert!(whole(true).await.expect("verified").is_whole());

    let (fetched, _) = get(&site, &origin, "default").await;
    assert!((HD_BYTES..HD_BYTES + 1000).contains(&fetched), "{fetched}");
    get(&site, &origin, "none").await;
    get(&site, &origin, "all").await;
    assert_same(&source, &folder);
    uninstall(&folder, ChangedFiles::Keep).await.expect("uninstalled");
    assert!(!folder.exists(), "{:?}", entries(&folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_keeps_to_the_parts() {
    let site = Site::new();
    first_version(&site).await;
    let origin = site.serve().await;
    get(&site, &origin, "+ja,-hd").await;

    // Each part changes a little, a new one comes, and what only `hd` had is for everybody under another version's rules.
    let source = site.source("2");
    make_parts(&source);
    let changed = |seed, bytes: u64| {
        let mut data = noise(seed, bytes as usize);
        data[300_000..300_010].fill(7);
        data
    };
    write(&source, "voice/ja/lines.pak", &[changed(21, JA_BYTES), noise(1, 700_000)].concat());
    write(&source, "textures/all.pak", &changed(22, HD_BYTES));
    write(&source, "data/more.pak", &noise(30, 100_000));
    let rules = RULES.replace("/textures", "/bonus") + "[[part]]\nname = 'new'\nfiles = ['more.pak']\n";
    let update = publish(&site, &source, "2.0", &rules).await.updates[0].update.clone();
    assert!(update.deltas >= 2, "{update:?}");

    let (fetched, report) = get(&site, &origin, "").await;
    assert_same(&source, &site.target("a"));
    assert_eq!(report.parts, ["ja", "new"], "as before, and new ones as the publisher says");
    // A delta for `ja`; all of `textures`, since nothing is here that a delta could change.
    let least = HD_BYTES + 100_000;
    assert!((least..least + 60_000).contains(&fetched), "{fetched}");

    let source = site.source("3");
    make_parts(&source);
    publish(&site, &source, "3.0", RULES).await;
    let (_, report) = get(&site, &origin, "").await;
    assert_eq!(report.parts, ["ja"], "`hd` was left out before");
    assert_same(&without(&site, &source, &["hd"]), &site.target("a"));
    assert!(get(&site, &origin, "+hd").await.0 >= HD_BYTES);
    assert_same(&source, &site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_with_other_parts_help_with_what_they_have() {
    let swarm = Swarm::new().await;
    let source = first_version(&swarm.site).await;
    let origin = swarm.site.serve().await;
    let mut seeder = Running::start(choosing(swarm.options(&origin.url(), "seeder", true), "none"));
    seeder.installed().await;
    drop(origin);
    let origin = swarm.site.serve_slowly().await;
    let mut whole = Running::start(choosing(swarm.options(&origin.url(), "a", true), "all"));
    whole.installed().await;
    assert_same(&source, &swarm.site.target("a"));
    let from_origin = origin.counters().pack.body_bytes;
    drop(origin);
    // Without any origin, who wants less takes it from who has all.
    let report = installed(choosing(swarm.options("http://127.0.0.1:9/", "b", false), "ja")).await;
    assert_same(&without(&swarm.site, &source, &["hd"]), &swarm.site.target("b"));
    assert!(report.bytes.peer > 5_000_000 && report.waste_bytes == 0, "{report:?}");
    let (report, result) = whole.stop().await;
    result.expect("installed");
    let parts = JA_BYTES + HD_BYTES;
    assert!((parts..parts + 3_000_000).contains(&from_origin), "{from_origin} of the parts' {parts}");
    assert!(report.bytes.peer > 2_000_000 && report.waste_bytes == 0, "{report:?}");
    seeder.stop().await.1.expect("installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_is_kept_when_parts_are_chosen_anew() {
    let site = Site::new();
    let source = first_version(&site).await;
    let slow = site.serve_slowly().await;
    let mut job = Running::start(choosing(site.options(&slow.url(), "a"), "all"));
    job.wait_for(|event| matches!(event, Event::Progress { done_bytes, .. } if *done_bytes > 3_000_000))
        .await;
    job.stop().await.1.expect_err("stopped");
    drop(slow);
    let origin = site.serve().await;
    let (_, report) = get(&site, &origin, "none").await;
    assert!(report.bytes.local > 2_000_000, "{report:?}");
    assert_same(&without(&site, &source, &["ja", "hd"]), &site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_that_was_cut_off_keeps_to_its_parts() {
    let site = Site::new();
    let source = first_version(&site).await;
    let origin = site.serve().await;
    get(&site, &origin, "all").await;
    let folder = site.target("a");
    // As if it had been killed right after it had written down what it was about to do.
    let intent = |parts: &str| {
        let root = fs::read_to_string(folder.join(".freshet/installed.json")).expect("installed");
        let root = root.split('"').nth(3).expect("a root").to_owned();
        let intent = format!("{{\"root\":\"{root}\",\"parts\":{parts}}}");
        fs::write(folder.join(".freshet/install-intent.json"), intent).expect("written");
    };
    intent("{\"hd\":false}");
    let found = verify(&folder, true, CancellationToken::new()).await.expect("verified");
    assert!(found.is_whole(), "{found:?}");
    assert_same(&without(&site, &source, &["ja", "hd"]), &folder);
    // What is missing for it is got by the next job, which its owner tells what to get.
    intent("{\"hd\":true}");
    assert!(verify(&folder, true, CancellationToken::new()).await.expect("verified").is_whole());
    get(&site, &origin, "hd").await;
    assert_same(&without(&site, &source, &["ja"]), &folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_on_the_command_line() {
    let site = Site::new();
    let source = first_version(&site).await;
    let origin = site.serve().await;
    let folder = site.target("a");
    let run = |arguments: &[&str]| {
        let output = node(&site, &origin.url(), &folder).args(arguments).output().expect("started");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&["--parts", "-hd,+ja"]).0, Some(0));
    assert_same(&without(&site, &source, &["hd"]), &folder);
    let (code, error) = run(&["--parts", "ko"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("version 1.0 has no part ko; it has ja, hd"), "{error}");
    let (code, error) = run(&["--parts", "ja,+hd"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("does not say which parts"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_without_parts_has_none() {
    let site = Site::new();
    let source = site.source("1");
    write(&source, "a", b"a");
    site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    let error = refused(choosing(site.options(&origin.url(), "a"), "ja")).await.to_string();
    assert!(error.contains("version 1.0 has no part ja; it has none"), "{error}");
    for parts in [Parts::All, Parts::Default, Parts::Only(Vec::new())] {
        let mut options = site.options(&origin.url(), "a");
        options.parts = Some(parts);
        installed(options).await;
        assert_same(&source, &site.target("a"));
    }
}
