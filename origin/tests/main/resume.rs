//! A publish that is interrupted at any point leaves nothing half-visible, and the next one goes on from it.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use freshet_origin::{Progress, PublishError, PublishOptions, publish, publish_reporting, scrub};
use freshet_protocol::{ChunkId, Reader};

use super::client::HttpClient;
use super::fixture::{Fixture, describe, noise};

/// Runs a future for a number of polls, then drops it.
pub(crate) struct Polls<F> {
    pub(crate) future: Pin<Box<F>>,
    pub(crate) left: u32,
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.future.as_mut().poll(context).map(Some)
    }
}

/// Every chunk that the lists of a content's packs name.
pub(crate) fn stored_chunks(fixture: &Fixture) -> Vec<ChunkId> {
    let mut ids = Vec::new();
    for name in fixture.objects("packs").iter().filter(|name| name.ends_with(".chunks")) {
        let bytes = fs::read(fixture.content_dir().join("packs").join(name)).expect("list");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.varint(), Ok(1));
        for _ in 0..reader.varint().expect("count") {
            ids.push(ChunkId(reader.hash().expect("id")));
            for _ in 0..4 {
                reader.varint_max(1 << 30, "field").expect("field");
            }
        }
        assert_eq!(reader.remaining(), 32, "the digest of the list");
    }
    ids
}

pub(crate) fn assert_stored_once(fixture: &Fixture) {
    let chunks = stored_chunks(fixture);
    let distinct: BTreeSet<_> = chunks.iter().collect();
    assert_eq!(distinct.len(), chunks.len(), "a chunk is stored twice");
}

async fn assert_live_is_whole(fixture: &Fixture, version: &str) {
    let serving = fixture.serve().await;
    let installed = tempfile::tempdir().expect("folder");
    let root = HttpClient::new(serving.url()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(root.version.as_str(), version);
    if version == "2" {
        assert_eq!(describe(installed.path()), describe(&fixture.build()));
    }
}

#[tokio::test]
async fn dropped_at_any_await() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 1_000_000));
    fixture.publish("1").await.expect("published");
    fixture.write("data", &noise(2, 1_000_000));
    for n in 0..200 {
        fixture.write(&format!("many/{n}"), format!("file {n}").as_bytes());
    }
    let mut polls = 1;
    loop {
        let attempt = Polls { future: Box::pin(fixture.publish("2")), left: polls };
        if let Some(published) = attempt.await {
            published.expect("published");
            break;
        }
        assert_live_is_whole(&fixture, "1").await;
        polls += polls.div_ceil(4);
    }
    assert_live_is_whole(&fixture, "2").await;
    assert_stored_once(&fixture);
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
}

#[tokio::test]
async fn complete_packs_are_not_stored_again() {
    let fixture = Fixture::new();
    // Three packs: the drop comes when the second is complete.
    fixture.write("data", &noise(3, 160 << 20));
    let (send, mut packs) = tokio::sync::mpsc::unbounded_channel();
    let mut report = move |progress: Progress| send.send(progress.packs).expect("the test listens");
    {
        let mut attempt = pin!(publish_reporting(fixture.options("1"), &mut report));
        loop {
            tokio::select! {
                _ = &mut attempt => panic!("ended before the second pack was seen"),
                packs = packs.recv() => if packs == Some(2) { break },
            }
        }
    }
    let kept = stored_chunks(&fixture).len();
    assert!(kept > 0);
    assert_eq!(fixture.objects("channels"), [""; 0]);
    let published = fixture.publish("1").await.expect("published");
    assert_eq!(published.totals.new_chunks as usize + kept, published.totals.chunks as usize);
    assert_stored_once(&fixture);
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_named() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(4, 200 << 20));
    let path = fixture.build().join("data");
    let mut report = |_: Progress| {
        let file = fs::File::options().append(true).open(&path);
        std::io::Write::write_all(&mut file.expect("opened"), b"more").expect("grown");
    };
    let error = publish_reporting(fixture.options("1"), &mut report).await.expect_err("changed");
    assert!(matches!(&error, PublishError::Changed(changed) if *changed == path), "{error}");
    assert_eq!(fixture.objects("channels"), [""; 0]);
    let options = PublishOptions { zstd_level: 1, ..fixture.options("1") };
    publish(options).await.expect("published once it holds still");
    assert_stored_once(&fixture);
}
