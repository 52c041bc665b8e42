//! What channels show: a version that another channel tried out, an older one again, and their history.

use std::fs;

use freshet_origin::{
    PromoteOptions, PromoteTo, Promoted, PublishError, PublishOptions, channel_history, promote, publish,
};
use freshet_protocol::{Name, Pointer, Role};

use super::fixture::{Fixture, content, noise};

fn name(text: &str) -> Name {
    text.parse().expect("name")
}

fn options(fixture: &Fixture, to: PromoteTo) -> PromoteOptions {
    PromoteOptions::new(fixture.store(), fixture.keys(), content(), to)
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
        let trackers = vec!["ws://tracker.example".to_owned()];
        let options = PublishOptions { channel: name(channel), trackers, ..fixture.options(&n.to_string()) };
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
    assert!(live.patch_from(before.root).is_some());
    assert_eq!(history(&fixture).await, ["1 1", "2 2", "3 3", "4 2"]);
    assert_eq!(rolled_back(&fixture).await.expect("undone").version, name("3"));
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
    let many = PromoteOptions { patches: 17, ..options(&fixture, PromoteTo::Version(name("1"))) };
    assert!(error(promote(many).await).contains("at most 16"));
    assert_eq!(fs::read(fixture.content_dir().join("channels/live")).expect("shown"), before);
    assert!(channel_history(&fixture.store(), &content(), &name("beta")).await.is_err());
}
