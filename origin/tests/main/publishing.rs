//! What publishing does to the store and to what clients see.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use freshet_origin::{
    Keys, PromoteOptions, PromoteTo, PublishError, PublishOptions, Published, PutKeysError, Rules, Store,
    promote, publish,
};
use freshet_protocol::Page;

use super::client::HttpClient;
use super::fixture::{Fixture, content, describe, noise, write_varied_build};

#[tokio::test]
async fn a_release_arrives_as_it_was_published() {
    let fixture = Fixture::new();
    write_varied_build(&fixture);
    let published = fixture.publish("1.0").await.expect("published");
    assert!(published.totals.stored_bytes < published.totals.new_bytes, "text was compressed");
    assert!(published.totals.new_chunks < published.totals.chunks, "the copy was not stored");
    let serving = fixture.serve().await;
    let installed = tempfile::tempdir().expect("folder");
    let root = HttpClient::new(serving.url()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(describe(installed.path()), describe(&fixture.build()));
    assert_eq!((root.chunks, root.bytes), (published.totals.chunks, published.totals.bytes));
    let counters = serving.shutdown().await;
    assert_eq!(counters.pack.body_bytes, published.totals.stored_bytes);
    assert_eq!((counters.pointer.requests, counters.root.requests), (1, 1));
    assert!(counters.wire_bytes > counters.body_bytes);
}

#[tokio::test]
async fn a_file_larger_than_a_page_continues() {
    let fixture = Fixture::new();
    // 16 KiB chunks of 36 bytes each in the manifest: well over one page of 256 KiB.
    fixture.write("a", b"first");
    fixture.write("huge", &noise(9, 160 << 20));
    fixture.write("z", b"last");
    let options = PublishOptions { chunk_avg_bytes: 16 << 10, ..fixture.options("1.0") };
    let published = publish(options).await.expect("published");
    assert!(published.pages > 1);
    assert!(published.totals.packs > 1);
    let serving = fixture.serve().await;
    let installed = tempfile::tempdir().expect("folder");
    HttpClient::new(serving.url()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(describe(installed.path()), describe(&fixture.build()));
    // The file view finds the right page for a place near the end.
    let url = format!("{}game/demo/files/1.0/huge", serving.url());
    let (_, _, body) = super::client::get_range(&url, "bytes=160000000-160000099").await;
    assert_eq!(body, noise(9, 160 << 20)[160_000_000..160_000_100]);
}

#[tokio::test]
async fn publishing_again_changes_nothing() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 2_000_000));
    let first = fixture.publish("1.0").await.expect("published");
    let before = describe(&fixture.store_dir());
    let second = fixture.publish("1.0").await.expect("published again");
    assert_eq!((second.root, second.sequence), (first.root, first.sequence));
    assert_eq!((second.totals.new_chunks, second.totals.packs), (0, 0));
    assert_eq!(describe(&fixture.store_dir()), before);
}

#[tokio::test]
async fn a_pointer_is_renewed_when_it_ages_or_its_trackers_change() {
    let fixture = Fixture::new();
    fixture.write("data", b"x");
    let sequence = async |life_s: u64, trackers: Option<&[&str]>| {
        let mut options = fixture.options("1.0");
        options.channel.expires_in = Duration::from_secs(life_s);
        options.channel.trackers = trackers.map(|urls| urls.iter().map(|url| (*url).to_owned()).collect());
        publish(options).await.expect("published").sequence
    };
    assert_eq!(sequence(1000, None).await, 1);
    assert_eq!(sequence(1000, Some(&[])).await, 1, "most of its life is left");
    assert_eq!(sequence(100_000, None).await, 2, "less than half of the life asked for is left");
    assert_eq!(sequence(100_000, Some(&["ws://127.0.0.1:7000"])).await, 3);
    assert_eq!(sequence(100_000, Some(&["ws://127.0.0.1:7000"])).await, 3);
    assert_eq!(sequence(100_000, None).await, 3, "unless others are named, they stay");
    assert_eq!(sequence(100_000, Some(&[])).await, 4);
}

#[tokio::test]
async fn a_dry_run_tells_all_and_keeps_nothing() {
    let fixture = Fixture::new();
    let mut data = noise(1, 3_000_000);
    fixture.write("data", &data);
    fixture.publish("1.0").await.expect("published");
    data[1_500_000] ^= 1;
    fixture.write("data", &data);
    fixture.write("new", &noise(2, 20_000_000));
    let before = describe(&fixture.store_dir());
    let dry = |version: &str| {
        let mut options = fixture.options(version);
        options.channel.dry_run = true;
        publish(options)
    };
    let told = dry("1.1").await.expect("tried out");
    assert!(told.dry_run && told.updates[0].update.deltas > 0, "{told:?}");
    assert_eq!(dry("1.1").await.expect("again"), told);
    assert!(matches!(dry("1.0").await, Err(PublishError::VersionTaken)));
    let mut back = PromoteOptions::new(fixture.channel(), PromoteTo::Version("1.0".parse().expect("name")));
    (back.channel.dry_run, back.channel.name) = (true, "beta".parse().expect("name"));
    assert_eq!(promote(back).await.expect("tried out").sequence, 1);
    assert_eq!(describe(&fixture.store_dir()), before);
    let published = fixture.publish("1.1").await.expect("published");
    assert_eq!(Published { dry_run: true, ..published }, told, "it was what came");
}

#[tokio::test]
async fn versions_share_chunks() {
    let fixture = Fixture::new();
    let mut data = noise(1, 8_000_000);
    fixture.write("data", &data);
    let first = fixture.publish("1.0").await.expect("published");
    data.splice(4_000_000..4_000_000, *b"a few bytes in the middle");
    fixture.write("data", &data);
    let second = fixture.publish("1.1").await.expect("published");
    assert_eq!(second.sequence, 2);
    assert!(second.totals.new_chunks <= 3, "{:?}", second.totals);
    assert!(second.totals.stored_bytes < first.totals.stored_bytes / 5);
    let serving = fixture.serve().await;
    let installed = tempfile::tempdir().expect("folder");
    HttpClient::new(serving.url()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(describe(installed.path()), describe(&fixture.build()));
}

#[tokio::test]
async fn a_version_is_never_published_with_other_files() {
    let fixture = Fixture::new();
    fixture.write("a", &noise(1, 300_000));
    fixture.write("b", &noise(2, 300_000));
    fixture.publish("1.0").await.expect("published");
    let before = describe(&fixture.store_dir());
    let refused = async |what: &str| {
        let error = fixture.publish("1.0").await.expect_err(what);
        assert!(matches!(error, PublishError::VersionTaken), "{what}: {error}");
    };
    fixture.write("a", &noise(3, 300_000));
    refused("new chunks").await;
    assert_eq!(describe(&fixture.store_dir()), before, "nothing was uploaded");
    fixture.write("a", &noise(2, 300_000));
    refused("known chunks in another order").await;
    assert_eq!(fixture.objects("roots").len(), 1);
}

#[tokio::test]
async fn refused_before_anything_is_uploaded() {
    let refused = async |make: &dyn Fn(&Fixture), expected: &str| {
        let fixture = Fixture::new();
        fixture.write("a-good-file", &noise(1, 100_000));
        make(&fixture);
        let error = fixture.publish("1.0").await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(describe(&fixture.store_dir()), [""; 0], "{expected}");
    };
    refused(&|f| f.write("zz/aux.txt", b"x"), "zz/aux.txt has a part that Windows reserves").await;
    refused(&|f| f.write("zz/What?", b"x"), "zz/What? has a character").await;
    refused(
        &|f| symlink("/etc", f.build().join("zz")).expect("made"),
        "points to \"/etc\", which is absolute",
    )
    .await;
    let twice = |f: &Fixture| ["zz/Map", "zz/mAP"].iter().for_each(|path| f.write(path, b"x"));
    refused(&twice, "differ only in letter case").await;
    let huge = |f: &Fixture| {
        let file = fs::File::create(f.build().join("sparse")).expect("made");
        file.set_len((512 << 10) * ((1 << 19) + 1)).expect("sparse");
    };
    refused(&huge, "raise --chunk-avg").await;
}

#[tokio::test]
async fn refused_knobs_keys_and_places() {
    let fixture = Fixture::new();
    fixture.write("data", b"x");
    let refused = async |change: &dyn Fn(&mut PublishOptions), expected: &str| {
        let mut options = fixture.options("1.0");
        change(&mut options);
        let error = publish(options).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(&|o| o.chunk_avg_bytes = 8 << 10, "16 KiB to 512 KiB").await;
    refused(&|o| o.zstd_level = 20, "1 to 19").await;
    refused(&|o| o.channel.expires_in = Duration::from_secs(1), "one minute to ten years").await;
    refused(&|o| o.channel.trackers = Some(vec!["http://x".to_owned()]), "ws:// or wss://").await;
    refused(&|o| o.channel.trackers = Some(vec!["ws://x".to_owned(); 9]), "at most 8").await;
    let week_s = 7 * 24 * 3600;
    refused(&|o| o.channel.start_window = Duration::from_secs(week_s + 1), "at most seven days").await;
    refused(&|o| o.channel.content = "site/demo".parse().expect("name"), "belongs to tenant \"site\"").await;
    refused(&|o| o.folder = fixture.folder.path().to_owned(), "lie within each other").await;
    refused(&|o| o.folder = fixture.build().join("missing"), "cannot read").await;
    let inside = fixture.build().join("store");
    refused(
        &|o| o.channel.store = Store::open(inside.to_str().expect("text")).expect("store"),
        "lie within each other",
    )
    .await;
}

/// Options of version 1.1, with other keys.
fn signed_by(fixture: &Fixture, keys: Keys) -> PublishOptions {
    let mut options = fixture.options("1.1");
    options.channel.keys = keys;
    options
}

#[tokio::test]
async fn another_tenant_key_cannot_take_a_content_over() {
    let fixture = Fixture::new();
    fixture.write("data", b"x");
    fixture.publish("1.0").await.expect("published");
    let keys = Keys::create(&fixture.folder.path().join("other"), "game").expect("keys");
    let error = publish(signed_by(&fixture, keys)).await.expect_err("another key");
    assert!(matches!(error, PublishError::Keys(PutKeysError::OtherTenantKey(_))), "{error}");
}

#[tokio::test]
async fn an_old_copy_of_the_keys_takes_no_tracker_away() {
    let fixture = Fixture::new();
    fixture.write("data", b"x");
    let old = fixture.keys();
    let tracker = freshet_protocol::SigningKey::from_seed(&[7; 32]).public();
    fixture.keys().add_tracker(tracker).expect("added");
    fixture.publish("1.0").await.expect("published");
    fixture.write("data", b"y");
    publish(signed_by(&fixture, old)).await.expect("published");
    let stored = fs::read(fixture.content_dir().join("keys")).expect("keys");
    assert_eq!(stored, fixture.keys().document_bytes());
}

#[tokio::test]
async fn a_second_publisher_waits_its_turn() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 1_000_000));
    let (first, second) = tokio::join!(fixture.publish("1.0"), fixture.publish("1.0"));
    let busy = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(busy.len(), 1, "{busy:?}");
    assert!(busy[0].to_string().contains("another publish, ingest or gc works on game/demo"), "{}", busy[0]);
}

#[tokio::test]
async fn an_empty_folder_is_a_release() {
    let fixture = Fixture::new();
    let published = fixture.publish("1.0").await.expect("published");
    assert_eq!((published.entries, published.pages, published.totals.chunks), (0, 0, 0));
    assert_eq!(published.content, content());
    let serving = fixture.serve().await;
    let installed = tempfile::tempdir().expect("folder");
    HttpClient::new(serving.url()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(describe(installed.path()), [""; 0]);
}

#[tokio::test]
async fn rules_leave_things_out() {
    let fixture = Fixture::new();
    for path in ["game", "game.pdb", "bin/deep/tool.pdb", "logs/1.log", "data/logs/kept", "only/x.tmp"] {
        fixture.write(path, path.as_bytes());
    }
    // A name that could not be installed is no hindrance where it is left out.
    #[cfg(unix)]
    fixture.write("logs/CON/x", b"reserved on Windows");
    let rules: Rules = "ignore = ['*.pdb', '/logs', '*.tmp']".parse().expect("good rules");
    let options = PublishOptions { rules, ..fixture.options("1") };
    let published = publish(options).await.expect("published");
    assert_eq!(published.entries, 2);
    let page = fixture.objects("pages").into_iter().find(|page| !page.ends_with(".gz")).expect("one page");
    let packed = fs::read(fixture.content_dir().join("pages").join(page)).expect("read");
    let page = Page::decode(&zstd::bulk::decompress(&packed, 1 << 20).expect("unpacks")).expect("good page");
    let paths: Vec<_> = page.entries.iter().map(|entry| entry.path().as_str()).collect();
    assert_eq!(paths, ["data/logs/kept", "game"], "folders of which nothing is left go, too");
}
