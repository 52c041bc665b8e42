//! Patches: what a publish makes for those who have an older version.

use std::fs;
use std::time::Duration;

use freshet_origin::{GcOptions, RewriteCause, gc, publish, scrub};
use freshet_protocol::{Pointer, Role};

use super::fixture::{Fixture, noise};

/// A file that changes a little in each version, and one that is always new.
async fn versions(fixture: &Fixture, count: u64) -> Vec<freshet_origin::Published> {
    let mut published = Vec::new();
    let mut big = noise(1, 3_000_000);
    for n in 1..=count {
        big.splice(1_000_000..1_000_010, noise(n, 1000));
        fixture.write("big", &big);
        fixture.write("new", &noise(50 + n, 300_000));
        published.push(fixture.publish(&n.to_string()).await.expect("published"));
    }
    published
}

pub(crate) fn pointer(fixture: &Fixture) -> Pointer {
    let bytes = fs::read(fixture.content_dir().join("channels/live")).expect("published");
    Pointer::open(&bytes, &fixture.keys().document().keys_for(Role::Pointer, 0)).expect("signed")
}

#[tokio::test]
async fn the_last_versions_of_the_channel_get_one() {
    let fixture = Fixture::new();
    let published = versions(&fixture, 5).await;
    let from: Vec<_> = pointer(&fixture).patches.iter().map(|patch| patch.from).collect();
    assert_eq!(from, [published[3].root, published[2].root, published[1].root]);
    let last = &published[4];
    let versions: Vec<_> = last.updates.iter().map(|update| update.version.as_str()).collect();
    assert_eq!(versions, ["4", "3", "2"]);
    for update in &last.updates {
        let update = &update.update;
        assert!(update.deltas > 0 && update.delta_bytes < 10_000, "{update:?}");
        assert!((300_000..310_000).contains(&update.chunk_bytes), "what is new comes whole: {update:?}");
        assert!(update.written_bytes > 3_300_000, "{update:?}");
        assert!(update.page_bytes > 0 && update.fetched_bytes() < 330_000, "{update:?}");
    }
}

#[tokio::test]
async fn publishing_again_changes_nothing() {
    let fixture = Fixture::new();
    versions(&fixture, 2).await;
    let before = (pointer(&fixture), fixture.objects("patches"), fixture.objects("packs"));
    let again = fixture.publish("2").await.expect("published");
    assert_eq!(again.updates, []);
    assert_eq!((pointer(&fixture), fixture.objects("patches"), fixture.objects("packs")), before);
}

#[tokio::test]
async fn a_killed_publish_makes_the_same_patches() {
    let fixture = Fixture::new();
    versions(&fixture, 1).await;
    let first = fs::read(fixture.content_dir().join("channels/live")).expect("published");
    let history = fs::read(fixture.content_dir().join("history/live")).expect("published");
    let whole = versions(&fixture, 2).await;
    let made = (pointer(&fixture).patches, fixture.objects("patches"), fixture.objects("packs"));
    // As if it had been killed before the pointer moved, and once more before its history.
    for history in [None, Some(history)] {
        fs::write(fixture.content_dir().join("channels/live"), &first).expect("written");
        if let Some(history) = history {
            fs::write(fixture.content_dir().join("history/live"), history).expect("written");
        }
        let again = fixture.publish("2").await.expect("published");
        assert_eq!(again.updates, whole[1].updates);
        assert_eq!((pointer(&fixture).patches, fixture.objects("patches"), fixture.objects("packs")), made);
    }
}

#[tokio::test]
async fn no_patch_where_none_is_wanted_or_of_use() {
    let fixture = Fixture::new();
    fixture.write("big", &noise(1, 500_000));
    fixture.publish("1").await.expect("published");
    fixture.write("big", &noise(2, 500_000));
    let other = fixture.publish("2").await.expect("published");
    assert_eq!(other.updates[0].update.deltas, 0);
    assert!(other.updates[0].update.chunk_bytes >= 500_000);
    fixture.write("big", &[noise(2, 500_000), b"more".to_vec()].concat());
    let mut options = fixture.options("3");
    options.channel.patches = 0;
    assert_eq!(publish(options).await.expect("published").updates, []);
    assert!(pointer(&fixture).patches.is_empty() && fixture.objects("patches").is_empty());
}

#[tokio::test]
async fn a_damaged_older_version_costs_its_patch_alone() {
    let fixture = Fixture::new();
    let published = versions(&fixture, 2).await;
    let root = fixture.content_dir().join(format!("roots/{}", published[0].root));
    fs::write(&root, b"damaged").expect("written");
    fixture.write("new", &noise(99, 300_000));
    let third = fixture.publish("3").await.expect("published");
    let versions: Vec<_> = third.updates.iter().map(|update| update.version.as_str()).collect();
    assert_eq!(versions, ["2"]);
}

#[tokio::test]
async fn gc_keeps_what_the_channel_needs_and_scrub_reads_it() {
    let fixture = Fixture::new();
    versions(&fixture, 5).await;
    let collect = || async {
        let (store, grace) = (fixture.store(), Duration::ZERO);
        gc(&GcOptions { store, content: None, keep: 1, grace, is_delete: true })
            .await
            .expect("collected")
            .remove(0)
    };
    let collected = collect().await;
    let mut kept: Vec<_> = collected.kept.iter().map(|version| version.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["2", "3", "4", "5"], "the next publish makes patches of these");
    assert_eq!(fixture.objects("patches").len(), 3, "those of earlier pointers are gone");
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
    assert_eq!(collect().await.objects, 0);

    let patch = fixture.content_dir().join("patches").join(&fixture.objects("patches")[0]);
    let mut bytes = fs::read(&patch).expect("read");
    bytes[200] ^= 1;
    fs::write(&patch, bytes).expect("written");
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damage_count, 1, "{:?}", scrubbed.damages);
}

#[tokio::test]
async fn files_that_are_packed_badly_are_named() {
    let fixture = Fixture::new();
    let members: Vec<Vec<u8>> = (0..1500).map(|n| noise(1000 + n, 3000).repeat(2)).collect();
    let (one, other) = (noise(8, 3_000_000), noise(9, 3_000_000));
    let uneven = one.iter().zip(&other).map(|(&a, &b)| ((u16::from(a) * u16::from(b)) >> 8) as u8);
    let uneven: Vec<u8> = uneven.collect();
    let shuffled =
        |step: usize| (0..members.len()).flat_map(|n| members[n * step % members.len()].clone()).collect();
    let solid = |step: usize| {
        let plain: Vec<u8> = [vec![7; step], uneven.clone()].concat();
        zstd::bulk::compress(&plain, 1).expect("compresses")
    };
    let text = |word: &str| format!("{word} ").repeat(400_000).into_bytes();
    for (version, step, word) in [("1", 1, "one"), ("2", 1777, "two")] {
        let pack: Vec<u8> = shuffled(step);
        fixture.write("shuffled.pak", &pack);
        fixture.write("solid.zst", &solid(step));
        fixture.write("text", &text(word));
        fixture.write("small", &noise(step as u64, 10_000));
        let published = fixture.publish(version).await.expect("published");
        let named: Vec<_> = published.rewritten.iter().map(|file| (file.path.as_str(), file.cause)).collect();
        let expected = [("shuffled.pak", RewriteCause::Shuffled), ("solid.zst", RewriteCause::Solid)];
        assert_eq!(named, if version == "1" { &[][..] } else { &expected[..] });
        assert!(published.rewritten.iter().all(|file| file.fetched_bytes > 1_000_000));
    }
}
