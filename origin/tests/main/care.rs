//! ls, gc and scrub.

use std::fs;
use std::time::Duration;

use freshet_origin::{Collected, GcOptions, gc, list, publish, scrub};
use freshet_protocol::PackIndex;

use super::client::HttpClient;
use super::fixture::{Fixture, describe, noise};

/// Four versions with a file each of their own and one that all share; `beta` shows the oldest, `live` the newest.
async fn four_versions() -> Fixture {
    let fixture = Fixture::new();
    fixture.write("shared", &noise(100, 500_000));
    for n in 1..=4 {
        fixture.write("own", &noise(n, 500_000));
        let mut options = fixture.options(&format!("{n}"));
        options.channel.name = if n == 1 { "beta" } else { "live" }.parse().expect("name");
        publish(options).await.expect("published");
        age(&fixture, n);
    }
    fixture
}

/// Gives a version the time `n`, as all are published within the same second.
fn age(fixture: &Fixture, n: u64) {
    let path = fixture.content_dir().join(format!("versions/{n}"));
    let mut document: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    document["published"] = n.into();
    fs::write(path, document.to_string()).expect("written");
}

async fn collect(fixture: &Fixture, keep: usize, is_delete: bool) -> Collected {
    let options = GcOptions { store: fixture.store(), content: None, keep, grace: Duration::ZERO, is_delete };
    let mut collected = gc(&options).await.expect("collected");
    assert_eq!(collected.len(), 1);
    collected.remove(0)
}

fn names(names: &[freshet_protocol::Name]) -> Vec<&str> {
    names.iter().map(|name| name.as_str()).collect()
}

#[tokio::test]
async fn ls_tells_what_there_is() {
    let fixture = four_versions().await;
    let contents = list(&fixture.store()).await.expect("listed");
    let [content] = contents.as_slice() else { panic!("one content: {contents:?}") };
    let versions: Vec<_> =
        content.versions.iter().map(|v| (v.version.as_str(), v.bytes, v.entries)).collect();
    assert_eq!(
        versions,
        [("4", 1_000_000, 2), ("3", 1_000_000, 2), ("2", 1_000_000, 2), ("1", 1_000_000, 2)]
    );
    let channels: Vec<_> =
        content.channels.iter().map(|c| (c.channel.as_str(), c.version.as_str(), c.sequence)).collect();
    assert_eq!(channels, [("beta", "1", 1), ("live", "4", 3)]);
    assert!(content.stored_bytes > 2_500_000 && content.stored_bytes < 2_600_000, "{}", content.stored_bytes);
}

#[tokio::test]
async fn gc_keeps_what_channels_show_and_would_show_again() {
    let fixture = four_versions().await;
    let before = describe(&fixture.store_dir());
    let told = collect(&fixture, 1, false).await;
    assert_eq!(describe(&fixture.store_dir()), before, "a dry run deletes nothing");
    assert_eq!((names(&told.kept), names(&told.removed)), (vec!["4", "3", "1"], vec!["2"]));
    assert_eq!((told.packs, told.spared), (1, 0));
    assert!(told.bytes > 500_000);

    assert_eq!(collect(&fixture, 1, true).await, told);
    assert_eq!(fixture.objects("versions"), ["1", "3", "4"]);
    assert_eq!(fixture.objects("packs").len(), 6);
    assert_eq!(fixture.objects("pages").len(), 6, "three pages, each in two forms");
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!((scrubbed.damages, scrubbed.versions), (Vec::new(), 3));
    let serving = fixture.serve().await;
    let installed = tempfile::tempdir().expect("folder");
    HttpClient::new(serving.url()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(describe(installed.path()), describe(&fixture.build()));
    let again = collect(&fixture, 1, true).await;
    assert_eq!((again.objects, again.bytes), (0, 0));
}

#[tokio::test]
async fn gc_spares_what_a_publish_may_be_writing() {
    let fixture = four_versions().await;
    let orphan = fixture.content_dir().join("packs").join("ab".repeat(16));
    fs::write(&orphan, b"a pack whose publish was killed").expect("written");
    let options = GcOptions {
        store: fixture.store(),
        content: Some("game/demo".parse().expect("name")),
        keep: 9,
        grace: Duration::from_secs(3600),
        is_delete: true,
    };
    let spared = gc(&options).await.expect("collected");
    assert_eq!((spared[0].spared, spared[0].objects), (1, 0));
    assert!(orphan.exists());
    let collected = collect(&fixture, 9, true).await;
    assert_eq!((collected.spared, collected.packs), (0, 1));
    assert!(!orphan.exists());
}

#[tokio::test]
async fn gc_stops_at_what_it_cannot_read() {
    let fixture = four_versions().await;
    fs::write(fixture.content_dir().join("versions/4"), "{").expect("written");
    let before = describe(&fixture.store_dir());
    let options =
        GcOptions { store: fixture.store(), content: None, keep: 0, grace: Duration::ZERO, is_delete: true };
    let error = gc(&options).await.expect_err("damaged").to_string();
    assert!(error.starts_with("game/demo/versions/4 is damaged"), "{error}");
    assert_eq!(describe(&fixture.store_dir()), before);
}

#[tokio::test]
async fn gc_tells_of_packs_that_are_needed_in_part() {
    let fixture = Fixture::new();
    fixture.write("a", &noise(1, 600_000));
    fixture.write("b", &noise(2, 200_000));
    fixture.publish("1").await.expect("published");
    fs::remove_file(fixture.build().join("a")).expect("removed");
    for version in [2, 3] {
        fixture.write("c", &noise(version, 1000));
        fixture.publish(&version.to_string()).await.expect("published");
        age(&fixture, version);
    }
    age(&fixture, 1);
    let collected = collect(&fixture, 1, true).await;
    let [partly] = collected.partly_used.as_slice() else { panic!("{collected:?}") };
    assert_eq!((partly.used_bytes, partly.bytes), (200_000, 800_000));
    assert_eq!(collected.packs, 0);
}

#[tokio::test]
async fn scrub_names_what_is_damaged() {
    let check = async |kind: &str, is_second: bool, expected: &str| {
        let fixture = four_versions().await;
        let objects = fixture.objects(kind);
        let is_second_form = |name: &&String| name.ends_with(".chunks") || name.ends_with(".gz");
        let name = objects.iter().find(|name| is_second_form(name) == is_second).expect("an object");
        let path = fixture.content_dir().join(kind).join(name);
        let mut bytes = fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("written");
        let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
        let named = scrubbed.damages.iter().find(|damage| damage.object.contains(expected));
        let is_named = named.is_some_and(|damage| damage.object.ends_with(name));
        assert!(is_named && scrubbed.damage_count == 1, "{kind}: {scrubbed:?}");
    };
    check("packs", false, "game/demo/packs/").await;
    check("packs", true, "game/demo/packs/").await;
    check("pages", false, "game/demo/pages/").await;
    check("pages", true, "game/demo/pages/").await;
    check("roots", false, "game/demo/roots/").await;
    check("channels", false, "game/demo/channels/").await;
}

#[tokio::test]
async fn scrub_finds_wrong_indexes_missing_packs_and_false_signatures() {
    let fixture = four_versions().await;
    let path = fixture.content_dir().join("index").join(&fixture.objects("index")[0]);
    let bytes = fs::read(&path).expect("index");
    let mut index = (1..100).find_map(|count| PackIndex::decode(&bytes, count).ok()).expect("an index");
    index.places[1].offset += 1;
    fs::write(&path, index.encode()).expect("written");
    let other = freshet_protocol::SigningKey::from_seed(&[1; 32]).public();
    let scrubbed = scrub(&fixture.store(), Some(other)).await.expect("scrubbed");
    let reasons: Vec<_> = scrubbed.damages.iter().map(|damage| damage.reason.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("is not at offset")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("no valid signature")), "{reasons:?}");

    let packs = fixture.objects("packs");
    fs::remove_file(fixture.content_dir().join("packs").join(&packs[0])).expect("removed");
    let scrubbed = scrub(&fixture.store(), None).await.expect("scrubbed");
    assert!(scrubbed.damages.iter().any(|damage| damage.reason.contains("is missing")), "{scrubbed:?}");
}
