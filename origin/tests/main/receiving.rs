//! Publishing to a store on another machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use freshet_origin::{
    ChannelOptions, GcOptions, HlsOptions, PromoteOptions, PromoteTo, PublishError, PublishOptions,
    Published, ReceiveOptions, Receiving, Store, StoreError, channel_history, gc, list, promote, publish,
    publish_hls, receive, scrub,
};
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;

use super::client::http;
use super::cutting_proxy::CuttingProxy;
use super::fixture::{Fixture, content, describe, noise, write_varied_build};
use super::stream::Site;

const TOKEN: &str = "a long token";

/// A store elsewhere.
struct Elsewhere {
    folder: TempDir,
    receiving: Receiving,
}

impl Elsewhere {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path().to_str().expect("text")).expect("store");
        let options = ReceiveOptions::new(store, "127.0.0.1:0".parse().expect("address"), TOKEN.to_owned());
        Self { folder, receiving: receive(options).await.expect("listening") }
    }

    fn url(&self) -> String {
        self.receiving.url()
    }

    /// What a machine that has nothing but the build, the keys and the token publishes.
    async fn publish(&self, fixture: &Fixture, version: &str) -> Result<Published, PublishError> {
        publish_to(&self.url(), fixture, version).await
    }
}

async fn publish_to(url: &str, fixture: &Fixture, version: &str) -> Result<Published, PublishError> {
    let store = Store::open_remote(url, TOKEN).expect("store");
    let channel = ChannelOptions::new(store, fixture.keys(), content());
    publish(PublishOptions::new(channel, fixture.build(), version.parse().expect("name"))).await
}

/// The manifests in a store. Packs have names at random, so what names them differs.
fn manifests(store: &Path) -> Vec<String> {
    let all = describe(&store.join("game/demo"));
    let is_manifest =
        |line: &String| ["roots/", "pages/", "patches/"].iter().any(|kind| line.starts_with(kind));
    all.into_iter().filter(is_manifest).collect()
}

#[tokio::test]
async fn an_empty_machine_makes_what_one_with_history_makes() {
    let (fixture, elsewhere) = (Fixture::new(), Elsewhere::new().await);
    write_varied_build(&fixture);
    let mut big = noise(9, 20_000_000);
    for version in ["1", "2", "3", "4"] {
        big.splice(5_000_000..5_000_100, noise(version.len() as u64, 150));
        big[9_000_000] ^= 1;
        fixture.write("data/big.pak", &big);
        fixture.write("data/new.pak", &noise(version.as_bytes()[0].into(), 300_000));
        let here = fixture.publish(version).await.expect("published");
        let before = elsewhere.receiving.received().bytes;
        let there = elsewhere.publish(&fixture, version).await.expect("published");
        let sent = elsewhere.receiving.received().bytes - before;
        assert_eq!((&here.root, &here.updates, &here.totals), (&there.root, &there.updates, &there.totals));
        if version != "1" {
            assert!(!there.updates.is_empty() && there.updates[0].update.deltas > 0, "{there:?}");
            assert!(sent < 1_500_000, "{version}: only what is new is sent, {sent} bytes");
        }
    }
    let (here, there) = (manifests(&fixture.store_dir()), manifests(elsewhere.folder.path()));
    assert!(here.len() > 10, "{here:?}");
    assert_eq!(here, there);
}

#[tokio::test]
async fn everything_that_a_store_is_for_works_from_elsewhere() {
    let (fixture, elsewhere) = (Fixture::new(), Elsewhere::new().await);
    for version in ["1", "2", "3"] {
        fixture.write("data", &noise(version.as_bytes()[0].into(), 200_000));
        elsewhere.publish(&fixture, version).await.expect("published");
    }
    let store = Store::open_remote(&elsewhere.url(), TOKEN).expect("store");
    let listed = list(&store).await.expect("listed");
    assert_eq!((listed.len(), listed[0].versions.len()), (1, 3));
    let channel = || ChannelOptions::new(store.clone(), fixture.keys(), content());
    let back = PromoteOptions::new(channel(), PromoteTo::Before);
    promote(back).await.expect("rolled back");
    let live = "live".parse().expect("name");
    let shown = channel_history(&store, &content(), &live).await.expect("read");
    assert_eq!(shown.last().expect("shown").version.as_str(), "2");
    let options = |is_delete| GcOptions {
        store: store.clone(),
        content: None,
        keep: 1,
        grace: Duration::ZERO,
        is_delete,
    };
    gc(&options(true)).await.expect("collected");
    let scrubbed = scrub(&store, Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
    let mut dry = PublishOptions::new(channel(), fixture.build(), "4".parse().expect("name"));
    dry.channel.dry_run = true;
    let before = describe(elsewhere.folder.path());
    publish(dry).await.expect("tried out");
    assert_eq!(describe(elsewhere.folder.path()), before);
}

#[tokio::test]
async fn a_stream_is_published_from_elsewhere() {
    let (site, elsewhere) = (Site::new(), Elsewhere::new().await);
    let (folder, first) = (site.media(), "a.m3u8".parse().expect("path"));
    fs::write(
        folder.join("a.m3u8"),
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n하나.ts\n#EXT-X-ENDLIST\n",
    )
    .expect("written");
    // More than one part.
    fs::write(folder.join("하나.ts"), noise(1, 20_000_000)).expect("written");
    let (store, key) = (Store::open_remote(&elsewhere.url(), TOKEN).expect("store"), site.stream_key());
    let content = "site/show".parse().expect("name");
    let published = publish_hls(HlsOptions { store, key, content, folder, first }).await.expect("published");
    assert_eq!((published.segments, published.stored_files), (1, 2));
    let media = describe(&elsewhere.folder.path().join("site/show/media"));
    assert_eq!(media, describe(&site.media()));
}

#[tokio::test]
async fn only_who_knows_the_token_may_write() {
    let (fixture, elsewhere) = (Fixture::new(), Elsewhere::new().await);
    fixture.write("data", &noise(1, 200_000));
    let store = Store::open_remote(&elsewhere.url(), "a wrong token").expect("store");
    let channel = ChannelOptions::new(store, fixture.keys(), content());
    let refused = publish(PublishOptions::new(channel, fixture.build(), "1".parse().expect("name"))).await;
    let error = refused.expect_err("refused").to_string();
    assert!(error.contains("the token is missing or wrong; it is read from FRESHET_STORE_TOKEN"), "{error}");
    assert_eq!(describe(elsewhere.folder.path()), [""; 0]);
    let received = elsewhere.receiving.shutdown().await;
    assert_eq!((received.requests, received.bytes), (0, 0));
    assert!(received.refused > 0);
}

#[tokio::test]
async fn a_line_that_breaks_again_and_again_costs_time_alone() {
    let (fixture, elsewhere) = (Fixture::new(), Elsewhere::new().await);
    let proxy = CuttingProxy::new(elsewhere.receiving.address()).await;
    let mut big = noise(3, 20_000_000);
    for version in ["1", "2"] {
        big.splice(5_000_000..5_000_100, noise(4, 150));
        fixture.write("big", &big);
        fixture.publish(version).await.expect("published");
        publish_to(&proxy.url(), &fixture, version).await.expect("published");
    }
    let through = Store::open_remote(&proxy.url(), TOKEN).expect("store");
    let scrubbed = scrub(&through, Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
    assert_eq!(manifests(&fixture.store_dir()), manifests(elsewhere.folder.path()));
    assert!(proxy.cuts() >= 10, "{} cuts", proxy.cuts());
}

#[tokio::test]
async fn two_that_publish_at_once_do_not_overwrite_each_other() {
    let (fixture, elsewhere) = (Fixture::new(), Elsewhere::new().await);
    fixture.write("data", &noise(1, 200_000));
    elsewhere.publish(&fixture, "1").await.expect("published");
    let (one, two) = tokio::join!(elsewhere.publish(&fixture, "2"), elsewhere.publish(&fixture, "3"));
    let lost = [&one, &two].into_iter().filter(|ended| ended.is_err()).count();
    for error in [one, two].into_iter().filter_map(Result::err) {
        assert!(matches!(error, PublishError::Store(StoreError::Changed { .. })), "{error}");
    }
    let store = Store::open_remote(&elsewhere.url(), TOKEN).expect("store");
    let shown = channel_history(&store, &content(), &"live".parse().expect("name")).await.expect("read");
    assert_eq!(shown.len(), 3 - lost);
    assert_eq!(scrub(&store, Some(fixture.tenant_key())).await.expect("scrubbed").damages, []);
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let elsewhere = Elsewhere::new().await;
    let ask = async |method: Method, path: &str, headers: &[(header::HeaderName, &str)], body: Vec<u8>| {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("value"))).collect();
        let request = http().request(method, format!("{}{path}", elsewhere.url())).bearer_auth(TOKEN);
        request.headers(headers).body(body).send().await.expect("answered")
    };
    let check = async |method: Method, path: &str, headers: &[(header::HeaderName, &str)], expected: u16| {
        let answer = ask(method.clone(), path, headers, b"12345".to_vec()).await;
        assert_eq!(answer.status().as_u16(), expected, "{method} {path} {headers:?}");
    };
    let (a, get, put) = ("objects/game/demo/media/a", Method::GET, Method::PUT);
    check(get.clone(), a, &[], 404).await;
    check(put.clone(), a, &[(header::IF_MATCH, "\"x\"")], 404).await;
    check(put.clone(), a, &[(header::IF_NONE_MATCH, "\"x\"")], 400).await;
    check(put.clone(), a, &[(header::IF_NONE_MATCH, "*"), (header::IF_MATCH, "x")], 400).await;
    check(put.clone(), a, &[(header::IF_NONE_MATCH, "*")], 204).await;
    check(put.clone(), a, &[(header::IF_NONE_MATCH, "*")], 412).await;
    check(put.clone(), a, &[(header::IF_MATCH, "\"x\"")], 412).await;
    check(get.clone(), a, &[(header::IF_MATCH, "\"x\"")], 412).await;
    check(get.clone(), a, &[(header::RANGE, "bytes=1-2")], 206).await;
    check(get.clone(), a, &[(header::RANGE, "bytes=5-")], 416).await;
    check(get.clone(), a, &[(header::RANGE, "bytes=0-0,2-3")], 400).await;
    check(Method::HEAD, a, &[], 200).await;
    check(Method::POST, a, &[], 405).await;
    for path in [
        "x",
        "game/demo/publish.lock",
        "game/demo/media/../../x",
        "game/demo/media/..%2f..%2fx",
        "game/demo/packs/x",
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let answer = ask(method.clone(), &format!("objects/{path}"), &[], b"x".to_vec()).await;
            assert!(matches!(answer.status().as_u16(), 400 | 404), "{method} {path}: {}", answer.status());
        }
    }
    check(get.clone(), "nothing", &[], 404).await;
    let at_most = ask(put.clone(), a, &[], vec![0; 8 << 20]).await;
    assert_eq!(at_most.status(), StatusCode::NO_CONTENT);
    let too_long = ask(put.clone(), a, &[], vec![0; (8 << 20) + 1]).await;
    assert_eq!(too_long.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let start = async || {
        let answer = ask(Method::POST, "uploads?path=game/demo/media/b", &[], Vec::new()).await;
        (answer.status(), answer.text().await.expect("text"))
    };
    let (status, named) = start().await;
    assert_eq!(status, StatusCode::CREATED);
    let named: serde_json::Value = serde_json::from_str(&named).expect("JSON");
    let upload = format!("uploads/{}", named["upload"].as_str().expect("named"));
    check(Method::POST, "uploads?path=game/demo/x", &[], 400).await;
    check(put.clone(), "uploads/0123/0", &[], 404).await;
    check(put.clone(), &format!("{upload}/0"), &[], 204).await;
    check(put.clone(), &format!("{upload}/0"), &[], 204).await;
    check(put.clone(), &format!("{upload}/10000"), &[], 400).await;
    check(put.clone(), &format!("{upload}/x"), &[], 400).await;
    check(put.clone(), &format!("{upload}/1"), &[], 204).await;
    check(Method::POST, &format!("{upload}?parts=3"), &[], 409).await;
    check(get.clone(), "objects/game/demo/media/b", &[], 404).await;
    check(Method::POST, &format!("{upload}?parts=2"), &[], 204).await;
    check(Method::POST, &format!("{upload}?parts=2"), &[], 204).await;
    check(put.clone(), &format!("{upload}/2"), &[], 404).await;
    let whole = ask(get.clone(), "objects/game/demo/media/b", &[], Vec::new()).await;
    assert_eq!(
        whole.bytes().await.expect("body"),
        "1234512345",
        "a part that comes again is not taken again"
    );
    // The finished one is among them.
    for _ in 0..255 {
        assert_eq!(start().await.0, StatusCode::CREATED);
    }
    assert_eq!(start().await.0, StatusCode::SERVICE_UNAVAILABLE);
    check(Method::DELETE, &upload, &[], 204).await;
    check(Method::DELETE, &upload, &[], 404).await;
    assert_eq!(start().await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn whoever_works_on_the_store_itself_is_not_disturbed() {
    let (fixture, elsewhere) = (Fixture::new(), Elsewhere::new().await);
    fixture.write("data", &noise(1, 200_000));
    let folder = elsewhere.folder.path().join("game/demo");
    fs::create_dir_all(&folder).expect("made");
    let lock = fs::File::create(folder.join("publish.lock")).expect("made");
    lock.lock().expect("locked");
    let wait = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(lock);
    });
    elsewhere.publish(&fixture, "1").await.expect("published");
    assert!(wait.is_finished(), "it waits for the other");
}
