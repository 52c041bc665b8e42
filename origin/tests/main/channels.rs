//! What channels show: a version that another channel tried out, an older one again, and their history.

use std::fs;

use freshet_origin::{
    GcOptions, PromoteOptions, PromoteTo, Promoted, PublishError, channel_history, gc, promote, publish,
    scrub,
};
use freshet_protocol::{Name, Pointer, Role};

use super::fixture::{Fixture, content, noise};

fn name(text: &str) -> Name {
    text.parse().expect("name")
}

fn options(fixture: &Fixture, to: PromoteTo) -> PromoteOptions {
    PromoteOptions::new(fixture.channel(), to)
}

async fn rolled_back(fixture: &Fixture) -> Result<Promoted, PublishError> {
    promote(options(fixture, PromoteTo::Before)).await
}

fn pointer(fixture: &Fixture, channel: &str) -> Pointer {
    let bytes = fs::read(fixture.content_dir().join("channels").join(channel)).expect("shown");
    Pointer::open(&bytes, &fixture.keys().document().keys_for(Role::Pointer, 0)).expect("signed")
}

/// Publishes versions 1 to `count`, which differ a little, on a channel.
async fn publish_versions(fixture: &Fixture, channel: &str, count: u64) {
    let mut big = noise(1, 2_000_000);
    for n in 1..=count {
        big[1_000_000 + n as usize] ^= 1;
        fixture.write("big", &big);
        let mut options = fixture.options(&n.to_string());
        options.channel.name = name(channel);
        options.channel.trackers = Some(vec!["ws://tracker.example".to_owned()]);
        publish(options).await.expect("published");
    }
}

async fn history(fixture: &Fixture) -> Vec<String> {
    let shown = channel_history(&fixture.store(), &content(), &name("live")).await.expect("read");
    shown.into_iter().map(|shown| format!("{} {}", shown.sequence, shown.version)).collect()
}

#[tokio::test]
async fn what_beta_tried_out_goes_live() {
    let fixture = Fixture::new();
    publish_versions(&fixture, "beta", 2).await;
    let promoted = promote(options(&fixture, PromoteTo::Version(name("1")))).await.expect("promoted");
    assert_eq!((promoted.before, promoted.sequence, promoted.updates.len()), (None, 1, 0));
    let again = promote(options(&fixture, PromoteTo::Channel(name("beta")))).await.expect("promoted");
    assert_eq!((again.version, again.before, again.sequence), (name("2"), Some(name("1")), 2));
    let live = pointer(&fixture, "live");
    assert_eq!(live.root, pointer(&fixture, "beta").root);
    // Of the same two releases there is one patch, whoever names it.
    assert_eq!(live.patches, pointer(&fixture, "beta").patches);
    assert!(again.updates[0].update.delta_bytes < 1000, "{:?}", again.updates);
    assert!(live.trackers.is_empty(), "those of the channel stay, and it had none");
    assert_eq!(history(&fixture).await, ["1 1", "2 2"]);
}

#[tokio::test]
async fn a_rollback_is_a_new_word_about_an_older_release() {
    let fixture = Fixture::new();
    publish_versions(&fixture, "live", 3).await;
    let before = pointer(&fixture, "live");
    let back = rolled_back(&fixture).await.expect("rolled back");
    assert_eq!((back.version, back.before, back.sequence), (name("2"), Some(name("3")), 4));
    let live = pointer(&fixture, "live");
    assert_eq!(live.trackers, before.trackers);
    let from: Vec<_> = back.updates.iter().map(|update| update.version.as_str()).collect();
    assert_eq!(from, ["3", "1"], "players on the version taken back get deltas, too");
    assert!(live.offers().next().expect("shown").patch_from(before.root).is_some());
    assert_eq!(history(&fixture).await, ["1 1", "2 2", "3 3", "4 2"]);
    // Without any patch, gc still keeps what a rollback would show.
    let mut without_patches = options(&fixture, PromoteTo::Before);
    without_patches.channel.patches = 0;
    assert_eq!(promote(without_patches).await.expect("undone").version, name("3"));
    let (store, grace) = (fixture.store(), std::time::Duration::ZERO);
    let collect = GcOptions { store, content: None, keep: 0, grace, is_delete: true };
    let mut kept = gc(&collect).await.expect("collected").remove(0).kept;
    kept.sort_unstable();
    assert_eq!(kept, [name("2"), name("3")]);
    assert_eq!(rolled_back(&fixture).await.expect("undone").version, name("2"));
    assert_eq!(scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed").damages, []);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let fixture = Fixture::new();
    publish_versions(&fixture, "live", 1).await;
    let before = fs::read(fixture.content_dir().join("channels/live")).expect("shown");
    let error = |result: Result<Promoted, PublishError>| result.expect_err("refused").to_string();
    assert!(error(rolled_back(&fixture).await).contains("live has shown nothing before"));
    let version = promote(options(&fixture, PromoteTo::Version(name("9")))).await;
    assert!(error(version).contains("version 9 is not published"));
    let channel = promote(options(&fixture, PromoteTo::Channel(name("beta")))).await;
    assert!(error(channel).contains("channel beta shows nothing"));
    let mut many = options(&fixture, PromoteTo::Version(name("1")));
    many.channel.patches = 17;
    assert!(error(promote(many).await).contains("at most 16"));
    assert_eq!(fs::read(fixture.content_dir().join("channels/live")).expect("shown"), before);
    assert!(channel_history(&fixture.store(), &content(), &name("beta")).await.is_err());
}

#[tokio::test]
async fn a_share_of_the_installations_goes_first() {
    let fixture = Fixture::new();
    publish_versions(&fixture, "beta", 3).await;
    let share = |version: &str, permille| {
        let to = PromoteTo::Version(name(version));
        promote(PromoteOptions { permille, ..options(&fixture, to) })
    };
    let error = share("1", Some(100)).await.expect_err("nothing to keep").to_string();
    assert!(error.contains("channel live shows nothing"), "{error}");
    share("1", None).await.expect("promoted");
    let error = share("1", Some(100)).await.expect_err("all have it").to_string();
    assert!(error.contains("to all already"), "{error}");
    for permille in [0, 1000] {
        share("2", Some(permille)).await.expect_err("no share");
    }

    let begun = share("2", Some(100)).await.expect("rolled out");
    assert_eq!((begun.permille, begun.before, begun.updates.len()), (Some(100), Some(name("1")), 1));
    let live = pointer(&fixture, "live");
    let rollout = live.rollout.as_ref().expect("there is one");
    assert_eq!((live.version.as_str(), rollout.version.as_str(), rollout.permille), ("1", "2", 100));
    assert_eq!(rollout.patches[0].from, live.root);
    let shown = channel_history(&fixture.store(), &content(), &name("live")).await.expect("read");
    let shares: Vec<_> = shown.iter().map(|shown| shown.permille).collect();
    assert_eq!(shares, [None, Some(100)]);

    share("2", Some(500)).await.expect("grown");
    let live = pointer(&fixture, "live");
    assert_eq!(live.rollout.as_ref().map(|rollout| rollout.permille), Some(500));
    let back = live.offers().next().expect("shown").patch_from(begun.root);
    assert!(back.is_some(), "whoever took part gets back by deltas, too");
    // The next one begins before this one is done: there are ways to it from both.
    let third = share("3", Some(10)).await.expect("rolled out");
    let from: Vec<_> = third.updates.iter().map(|update| update.version.as_str()).collect();
    assert_eq!(from, ["2", "1"]);

    let taken_back = rolled_back(&fixture).await.expect("taken back");
    assert_eq!((taken_back.version, taken_back.sequence), (name("1"), 5));
    let live = pointer(&fixture, "live");
    assert!(live.rollout.is_none() && live.patches.iter().any(|patch| patch.from == third.root));
    share("3", None).await.expect("to all");
    let live = pointer(&fixture, "live");
    assert_eq!((live.version.as_str(), live.rollout), ("3", None));
    let (store, grace) = (fixture.store(), std::time::Duration::ZERO);
    let collect = GcOptions { store, content: None, keep: 1, grace, is_delete: true };
    gc(&collect).await.expect("collected");
    assert_eq!(scrub(&fixture.store(), None).await.expect("scrubbed").damages, []);
}
