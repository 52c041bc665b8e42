//! What the local gateway answers.

use std::net::SocketAddr;
use std::time::Instant;

use freshet_edge_node::{Event, GatewayOptions, Goal, Pause, gateway};
use reqwest::{Method, StatusCode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, LINKED, ask, body, cache, options, published, send};
use crate::peers::Swarm;
use crate::site::{CONTENT, Running, Site, installed};
use crate::tree::{assert_same, noise, write};

#[tokio::test(flavor = "multi_thread")]
async fn files_are_what_the_origin_would_send() {
    let (site, origin) = published().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    let compare = async |method: Method, path: &str, headers: &[(&'static str, &str)]| {
        let path = format!("{CONTENT}/files/1.0/{path}");
        let ours = send(method.clone(), &gate.url(&path), headers).await;
        let theirs = send(method, &format!("{}{path}", origin.url()), headers).await;
        assert_eq!(ours.status(), theirs.status(), "{path} {headers:?}");
        if ours.status().is_client_error() {
            // Refusals have words of their own.
            return ours.bytes().await.expect("whole");
        }
        for name in ["etag", "content-length", "content-range", "accept-ranges", "x-content-type-options"] {
            let (ours, theirs) = (ours.headers().get(name), theirs.headers().get(name));
            assert_eq!(ours, theirs, "{name} of {path} {headers:?}");
        }
        let kind = ours.headers().get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
        let [ours, theirs] = [ours.bytes().await, theirs.bytes().await].map(|body| body.expect("whole"));
        // Parts have a boundary that nobody can know before.
        let is_multipart = kind.is_some_and(|kind| kind.starts_with("multipart/"));
        assert!(is_multipart || ours == theirs, "{path} {headers:?}");
        ours
    };
    let tag =
        ask(&gate.file("1.0", "small.txt"), &[]).await.headers()["etag"].to_str().expect("text").to_owned();
    for path in ["data/big.pak", "small.txt", "empty", LINKED, "none", "data", "../x"] {
        for method in [Method::GET, Method::HEAD] {
            compare(method, path, &[]).await;
        }
    }
    for range in [
        "bytes=0-0",
        "bytes=100000-2999999",
        "bytes=-5",
        "bytes=2999999-",
        "bytes=3000000-",
        "bytes=x",
        "bytes=0-9,200000-400000,-1",
    ] {
        compare(Method::GET, "data/big.pak", &[("range", range)]).await;
    }
    compare(Method::GET, "small.txt", &[("if-none-match", &tag)]).await;
    compare(Method::GET, "small.txt", &[("range", "bytes=1-2"), ("if-range", &tag)]).await;
    compare(Method::GET, "small.txt", &[("range", "bytes=1-2"), ("if-range", "\"other\"")]).await;
    compare(Method::POST, "small.txt", &[]).await;
    let parts = compare(Method::GET, "data/big.pak", &[("range", "bytes=0-9,200000-400000")]).await;
    let big = noise(1, 3_000_000);
    for part in [&big[0..10], &big[200_000..400_001]] {
        assert!(parts.windows(part.len()).any(|window| window == part));
    }
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_told_where_it_is_known_or_asked_for() {
    let (site, origin) = published().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    let digest = async |path: &str, headers: &[(&'static str, &str)]| {
        let answer = send(Method::HEAD, &gate.file("1.0", path), headers).await;
        answer.headers().get("repr-digest").map(|digest| digest.to_str().expect("text").to_owned())
    };
    let expected = |bytes: &[u8]| {
        use base64::Engine;
        let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
        Some(format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(hash)))
    };
    assert_eq!(digest("small.txt", &[]).await, expected(b"hello"));
    assert_eq!(digest("empty", &[]).await, expected(b""));
    assert_eq!(digest("data/big.pak", &[]).await, None);
    let big = expected(&noise(1, 3_000_000));
    assert_eq!(digest("data/big.pak", &[("want-repr-digest", "sha-256=1")]).await, big);
    assert_eq!(digest("data/big.pak", &[]).await, big);
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_cost_the_origin_one_copy() {
    let (site, origin) = published().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    let reader = |number: usize| {
        let url = gate.file("1.0", if number < 4 { "data/big.pak" } else { LINKED });
        tokio::spawn(async move { body(&url).await })
    };
    let readers: Vec<_> = (0..8).map(reader).collect();
    for reader in readers {
        assert!(reader.await.expect("no panic") == noise(1, 3_000_000));
    }
    let counters = origin.counters();
    let packs = counters.pack.body_bytes;
    assert!((3_000_000..3_010_000).contains(&packs), "{packs} bytes of packs");
    assert_eq!((counters.root.requests, counters.version.requests), (1, 1));
    let report = gate.stop().await;
    assert_eq!((report.bytes.origin, report.waste_bytes), (3_000_000, 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_costs_no_more_than_its_chunks() {
    let (site, origin) = published().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    let answer = ask(&gate.file("1.0", "data/big.pak"), &[("range", "bytes=1500000-1500009")]).await;
    assert_eq!(answer.bytes().await.expect("whole").to_vec(), noise(1, 3_000_000)[1_500_000..1_500_010]);
    let packs = origin.counters().pack.body_bytes;
    // Largest size of a chunk: 512 KiB.
    assert!(packs <= 600_000, "{packs} bytes of packs");
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_flow_before_the_file_is_whole() {
    let (site, _) = published().await;
    let origin = site.serve_slowly().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    let begun = Instant::now();
    let mut answer = ask(&gate.file("1.0", "data/big.pak"), &[]).await;
    let first = answer.chunk().await.expect("flows").expect("some");
    let (first_after, mut bytes) = (begun.elapsed(), first.to_vec());
    while let Some(more) = answer.chunk().await.expect("flows") {
        bytes.extend_from_slice(&more);
    }
    assert!(bytes == noise(1, 3_000_000));
    // The line takes three seconds for all of it.
    assert!(first_after * 2 < begun.elapsed(), "{first_after:?} of {:?}", begun.elapsed());
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_reach_no_client() {
    let (site, origin) = published().await;
    for pack in site.content_files("packs") {
        let mut bytes = std::fs::read(&pack).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&pack, bytes).expect("written");
    }
    let gate = Gate::start(options(&site, &origin.url())).await;
    let answer = ask(&gate.file("1.0", "data/big.pak"), &[]).await;
    let is_cut = match answer.status() {
        StatusCode::OK => {
            let expected = noise(1, 3_000_000);
            let (mut answer, mut bytes) = (answer, Vec::new());
            loop {
                match answer.chunk().await {
                    Ok(Some(more)) => bytes.extend_from_slice(&more),
                    Ok(None) => break false,
                    Err(_) => break bytes == expected[..bytes.len()],
                }
            }
        }
        status => status == StatusCode::BAD_GATEWAY,
    };
    assert!(is_cut);
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_feed_a_gateway_and_it_feeds_them() {
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    write(&source, "data.pak", &noise(1, 6_000_000));
    swarm.site.publish_naming(&source, "1.0", vec![swarm.url()]).await;
    let origin = swarm.site.serve_slowly().await;
    let mut seeder = Running::start(swarm.options(&origin.url(), "seeder", true));
    seeder.installed().await;
    let mut with_peers = options(&swarm.site, &origin.url());
    with_peers.get = swarm.options(&origin.url(), "unused", true);
    with_peers.get.folder = cache(&swarm.site);
    with_peers.get.policy.goal = Goal::Offload;
    // The tracker is the one that the channel names.
    with_peers.get.trackers = Vec::new();
    let gate = Gate::start(with_peers).await;
    assert!(body(&gate.file("1.0", "data.pak")).await == noise(1, 6_000_000));
    let status = gate.status().await;
    assert!(status["bytes"]["peer"].as_u64() > Some(1_000_000), "{status}");
    assert_eq!(status["releases"][0]["version"], "1.0");
    seeder.stop().await.1.expect("installed");
    let mut options = swarm.options(&origin.url(), "a", false);
    options.policy.goal = Goal::Offload;
    let fed = installed(options).await;
    assert!(fed.bytes.peer > 0, "{fed:?}");
    assert_same(&source, &swarm.site.target("a"));
    let report = gate.stop().await;
    assert!(report.sent_bytes >= fed.bytes.peer, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_else_is_the_origins_to_answer() {
    let (site, origin) = published().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    // A whole download goes through it.
    let report = installed(site.options(&gate.url(""), "a")).await;
    assert_eq!(report.bytes.origin, 3_000_005);
    assert_same(&site.source("1"), &site.target("a"));
    let path = format!("{CONTENT}/keys");
    let [ours, theirs] = [gate.url(&path), format!("{}{path}", origin.url())];
    assert_eq!(body(&ours).await, body(&theirs).await);
    let answer = send(Method::HEAD, &ours, &[]).await;
    assert!(answer.headers().contains_key("etag") && answer.headers()["content-length"] != "0");
    assert_eq!(ask(&gate.url("nothing"), &[]).await.status(), StatusCode::NOT_FOUND);
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_foreign_names_are_refused() {
    let (site, origin) = published().await;
    let mut with_site = options(&site, &origin.url());
    with_site.origins = vec!["https://play.example".to_owned()];
    with_site.hosts = vec!["games.internal".to_owned()];
    let gate = Gate::start(with_site).await;
    let url = gate.file("1.0", "small.txt");
    let status = async |headers: &[(&'static str, &str)]| ask(&url, headers).await.status();
    assert_eq!(status(&[("host", "evil.example")]).await, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(status(&[("host", "games.internal:1")]).await, StatusCode::OK);
    assert_eq!(status(&[("origin", "https://evil.example")]).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&[("sec-fetch-site", "cross-site")]).await, StatusCode::FORBIDDEN);
    let allowed = ask(&url, &[("origin", "https://play.example")]).await;
    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://play.example");
    let before = send(Method::OPTIONS, &url, &[("origin", "https://play.example")]).await;
    assert_eq!(before.headers()["access-control-allow-private-network"], "true");
    assert_eq!(gate.status().await["refused_requests"], 3);
    let before = send(Method::OPTIONS, &url, &[("origin", "https://evil.example")]).await;
    assert!(before.headers().get("access-control-allow-origin").is_none());
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_told_and_ends() {
    let (site, origin) = published().await;
    let mut gate = Gate::start(options(&site, &origin.url())).await;
    let url = gate.file("1.0", "small.txt");
    body(&url).await;
    gate.control.change(|wishes| wishes.playing = true);
    assert_eq!(gate.events.recv().await, Some(Event::Paused { pause: Pause::Playing }));
    let answer = ask(&url, &[]).await;
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"5".parse().expect("value"))
    );
    assert_eq!(answer.text().await.expect("text"), "The gateway rests while the game is played.\n");
    gate.control.change(|wishes| wishes.playing = false);
    assert_eq!(gate.events.recv().await, Some(Event::Resumed));
    assert_eq!(body(&url).await, b"hello");
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_reaches_what_is_only_being_opened() {
    let (site, origin) = published().await;
    let base = origin.url();
    let address = origin.address();
    origin.shutdown().await;
    // It takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind(address).await.expect("free");
    let mut gate = Gate::start(options(&site, &base)).await;
    let url = gate.file("1.0", "small.txt");
    let asking = tokio::spawn(async move { ask(&url, &[]).await.status() });
    let asked = silent.accept().await.expect("asked");
    gate.control.change(|wishes| wishes.paused = true);
    assert_eq!(asking.await.expect("no panic"), StatusCode::SERVICE_UNAVAILABLE);
    drop((asked, silent));
    let origin = site.serve_again(address).await;
    assert_eq!(gate.events.recv().await, Some(Event::Paused { pause: Pause::Asked }));
    gate.set_paused(false).await;
    assert_eq!(body(&gate.file("1.0", "small.txt")).await, b"hello");
    gate.stop().await;
    origin.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_opened_again_as_soon_as_it_is_closed() {
    let (site, origin) = published().await;
    let mut gate = Gate::start(options(&site, &origin.url())).await;
    let url = gate.file("1.0", "data/big.pak");
    body(&url).await;
    for _ in 0..3 {
        gate.set_paused(true).await;
        gate.set_paused(false).await;
        // Its folder is still in use by the job that winds down.
        let both = tokio::join!(body(&url), body(&url));
        assert!(both.0 == both.1 && both.0 == noise(1, 3_000_000));
    }
    let report = gate.stop().await;
    assert_eq!((report.bytes.origin, report.bytes.local), (3_000_000, 3 * 3_000_000), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said_at_once() {
    let (site, origin) = published().await;
    let refused = async |change: &dyn Fn(&mut GatewayOptions)| {
        let mut options = options(&site, &origin.url());
        change(&mut options);
        let (events, _listening) = mpsc::channel(64);
        let stop = CancellationToken::new();
        gateway(options, events, stop).await.1.expect_err("refused").to_string()
    };
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(refused(&|options| options.listen = everywhere).await.contains("this machine alone"));
    assert!(refused(&|options| options.hosts = vec!["http://x".to_owned()]).await.contains("no host name"));
    for bad in ["play.example", "https://play.example/", "https://", "https://Play.example", "null"] {
        let error = refused(&|options| options.origins = vec![bad.to_owned()]).await;
        assert!(error.contains("no site"), "{error}");
    }
    let root = format!("{}{CONTENT}/roots/{}", origin.url(), "ab".repeat(32));
    let error = refused(&|options| {
        let key = options.get.key;
        options.get = freshet_edge_node::GetOptions::new(&root, cache(&site)).expect("good");
        options.get.key = key;
    })
    .await;
    assert!(error.contains("name a channel"), "{error}");
    let gate = Gate::start(options(&site, &origin.url())).await;
    let error = refused(&|options| options.listen = gate.address).await;
    assert!(error.contains("another process works"), "{error}");
    let error = refused(&|options| {
        options.listen = gate.address;
        options.get.folder = site.folder.path().join("other");
    })
    .await;
    assert!(error.contains("choose another address"), "{error}");
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_publishers_release_is_refused() {
    let (site, origin) = published().await;
    let mut other = options(&site, &origin.url());
    other.get.key = Some(Site::new().key());
    let gate = Gate::start(other).await;
    let answer = ask(&gate.file("1.0", "small.txt"), &[]).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let sentence = answer.text().await.expect("text");
    assert!(sentence.contains("it may be forged"), "{sentence}");
    gate.stop().await;
}
