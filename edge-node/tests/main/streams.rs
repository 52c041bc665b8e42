//! Streams behind the local gateway: players ask by plain HTTP, and segments come from peers.

use std::net::SocketAddr;
use std::time::Duration;

use freshet_edge_node::{GatewayOptions, Goal};
use freshet_origin::{HlsOptions, Keys, Serving, Store, StreamKey, publish_hls};
use reqwest::{Method, StatusCode};

use crate::gate::{Gate, ask, body, options, send};
use crate::peers::Swarm;
use crate::site::Site;
use crate::tree::{copy, noise, write};

const STREAM: &str = "game/show";
const SEGMENTS: u64 = 6;
const SEGMENT_BYTES: usize = 700_000;

fn segment(number: u64) -> Vec<u8> {
    noise(1000 + number, SEGMENT_BYTES)
}

/// A film of two renditions, one of which lies in a single file.
async fn publish_film(site: &Site) {
    let folder = site.source("film");
    let mut list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n".to_owned();
    let mut parts = list.clone();
    for number in 0..SEGMENTS {
        write(&folder, &format!("720/{number} a.ts"), &segment(number));
        list += &format!("#EXTINF:4,\n{number}%20a.ts\n");
        parts += &format!("#EXTINF:4,\n#EXT-X-BYTERANGE:100000@{}\nall.mp4\n", 1000 + number * 100_000);
    }
    write(&folder, "720/list.m3u8", (list + "#EXT-X-ENDLIST\n").as_bytes());
    write(&folder, "all.mp4", &noise(7, 1000 + 100_000 * SEGMENTS as usize + 10));
    write(&folder, "parts.m3u8", (parts + "#EXT-X-ENDLIST\n").as_bytes());
    let master =
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720/list.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nparts.m3u8\n";
    write(&folder, "master.m3u8", master.as_bytes());
    let options = HlsOptions {
        store: Store::open(site.store_folder().to_str().expect("UTF-8")).expect("store"),
        key: stream_key(site),
        content: STREAM.parse().expect("name"),
        folder,
        first: "master.m3u8".parse().expect("path"),
    };
    let published = publish_hls(options).await.expect("published");
    assert_eq!(published.segments as u64, 2 * SEGMENTS);
}

fn stream_key(site: &Site) -> StreamKey {
    let folder = site.keys_folder();
    let seed = StreamKey::default_path(&folder);
    let public = StreamKey::create(&seed).expect("made");
    Keys::load(&folder).expect("keys").add_stream(public).expect("added");
    StreamKey::load_with_document(&seed, &folder).expect("loaded")
}

async fn published() -> (Swarm, Serving) {
    let swarm = Swarm::new().await;
    // The channel that the gateway is about, which names the tracker.
    let source = swarm.site.source("1");
    write(&source, "data.pak", &noise(1, 100_000));
    swarm.site.publish_naming(&source, "1.0", vec![swarm.url()]).await;
    publish_film(&swarm.site).await;
    let origin = swarm.site.serve().await;
    (swarm, origin)
}

/// A gateway that uses peers, with a cache of its own.
fn with_peers(swarm: &Swarm, base: &str, name: &str, sharing: bool) -> GatewayOptions {
    let mut options = options(&swarm.site, base);
    options.get.folder = swarm.site.target(name);
    options.get.policy.p2p = true;
    options.get.policy.sharing = sharing;
    options.get.policy.goal = Goal::Offload;
    options.get.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    options
}

fn media(gate: &Gate, path: &str) -> String {
    gate.url(&format!("{STREAM}/media/{path}"))
}

/// Watches the rendition of whole files; whether all of it is right.
async fn watch(gate: &Gate) {
    body(&media(gate, "master.m3u8")).await;
    body(&media(gate, "720/list.m3u8")).await;
    for number in 0..SEGMENTS {
        assert!(body(&media(gate, &format!("720/{number}%20a.ts"))).await == segment(number), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_behind_gateways_feed_each_other() {
    let (swarm, origin) = published().await;
    let first = Gate::start(with_peers(&swarm, &origin.url(), "first", true)).await;
    watch(&first).await;
    let status = first.status().await;
    assert_eq!(status["streams"][0]["content"], STREAM, "{status}");
    let before = origin.counters().media.body_bytes;
    // One copy, and the gateway keeps what it has got.
    assert_eq!(before, SEGMENTS * SEGMENT_BYTES as u64);
    watch(&first).await;
    assert_eq!(origin.counters().media.body_bytes, before);

    let second = Gate::start(with_peers(&swarm, &origin.url(), "second", false)).await;
    // The playlist that passes has it look for peers.
    body(&media(&second, "master.m3u8")).await;
    while second.status().await["streams"][0]["links"] != 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch(&second).await;
    let from_origin = origin.counters().media.body_bytes - before;
    let seen = second.stop().await;
    assert_eq!(seen.bytes.peer + seen.bytes.origin, SEGMENTS * SEGMENT_BYTES as u64, "{seen:?}");
    // The origin may be as fast as the peer's first word.
    assert!(seen.bytes.peer >= (SEGMENTS - 1) * SEGMENT_BYTES as u64, "{seen:?}");
    // Where a peer is waited for no longer, the origin's bytes are waste, or the peer's.
    let at_most = seen.bytes.origin + seen.waste_bytes;
    assert!((seen.bytes.origin..=at_most).contains(&from_origin), "{from_origin} {seen:?}");
    assert_eq!((seen.sent_bytes, seen.corrupt_bytes), (0, 0));
    let sent = first.stop().await;
    assert!(sent.sent_bytes >= seen.bytes.peer, "{sent:?}");
    assert_eq!(sent.peer_bytes_by_transport["quic"].sent, sent.sent_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_answered_as_the_origin_answers() {
    let (swarm, origin) = published().await;
    let gate = Gate::start(with_peers(&swarm, &origin.url(), "gate", true)).await;
    body(&media(&gate, "720/list.m3u8")).await;
    body(&media(&gate, "parts.m3u8")).await;
    let path = |path: &str| format!("{STREAM}/media/{path}");
    let compare = async |method: Method, name: &str, headers: &[(&'static str, &str)]| {
        let ours = send(method.clone(), &gate.url(&path(name)), headers).await;
        let theirs = send(method, &format!("{}{}", origin.url(), path(name)), headers).await;
        assert_eq!(ours.status(), theirs.status(), "{name} {headers:?}");
        if name == "all.mp4" {
            assert_eq!(ours.headers().get("etag"), theirs.headers().get("etag"));
        }
        for header in ["content-type", "content-length", "content-range", "accept-ranges", "cache-control"] {
            let is_random = ours.headers()["content-type"].as_bytes().starts_with(b"multipart/");
            if !is_random || header != "content-type" {
                let (ours, theirs) = (ours.headers().get(header), theirs.headers().get(header));
                assert_eq!(ours, theirs, "{header} of {name} {headers:?}");
            }
        }
        if ours.headers()["content-type"].as_bytes().starts_with(b"multipart/") {
            return;
        }
        assert!(
            ours.bytes().await.expect("whole") == theirs.bytes().await.expect("whole"),
            "{name} {headers:?}"
        );
    };
    let second = "bytes=101000-200999";
    // The first part of a file tells how long the file is.
    compare(Method::GET, "all.mp4", &[("range", "bytes=0-999")]).await;
    for ranges in
        [second, "bytes=150000-160000", "bytes=0-0", "bytes=190000-250000", "bytes=0-9,101000-101009"]
    {
        compare(Method::GET, "all.mp4", &[("range", ranges)]).await;
    }
    for (method, ranges) in
        [(Method::GET, ""), (Method::HEAD, ""), (Method::GET, "bytes=5-"), (Method::GET, "bytes=-7")]
    {
        let headers = [("range", ranges)];
        compare(method, "720/1%20a.ts", &headers[..usize::from(!ranges.is_empty())]).await;
    }
    compare(Method::GET, "720/1%20a.ts", &[("range", "bytes=0-9, 70000-70009")]).await;
    compare(Method::GET, "720/1%20a.ts?token=1", &[]).await;
    let answer = ask(&media(&gate, "720/1%20a.ts"), &[]).await;
    let tag = answer.headers()["etag"].to_str().expect("text").to_owned();
    let again = ask(&media(&gate, "720/1%20a.ts"), &[("if-none-match", &tag)]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(
        send(Method::HEAD, &media(&gate, "720/1%20a.ts"), &[]).await.headers()["etag"]
            .to_str()
            .expect("text"),
        tag
    );
    // A part of a resource is the resource's, whichever part it is.
    compare(Method::GET, "all.mp4", &[("range", second), ("if-range", "\"another\"")]).await;
    assert_eq!(ask(&media(&gate, "720/9.ts"), &[]).await.status(), StatusCode::NOT_FOUND);
    // What came through the swarm is no more than the segments that were asked for.
    let report = gate.stop().await;
    assert_eq!(report.bytes.origin, SEGMENT_BYTES as u64 + 200_000 - 100_000, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_or_is_another_comes_as_it_is() {
    let (swarm, origin) = published().await;
    let store = swarm.site.store_folder().join(STREAM);
    // An entry is about other bytes than the origin has now.
    std::fs::write(store.join("media/720/3 a.ts"), noise(99, SEGMENT_BYTES)).expect("written");
    // A playlist lists what nobody has signed.
    let list = std::fs::read_to_string(store.join("media/720/list.m3u8")).expect("text");
    std::fs::write(store.join("media/720/new.ts"), b"not signed").expect("written");
    std::fs::write(store.join("media/720/list.m3u8"), list.replace("2%20a.ts", "new.ts")).expect("written");
    let gate = Gate::start(with_peers(&swarm, &origin.url(), "gate", true)).await;
    body(&media(&gate, "720/list.m3u8")).await;
    assert_eq!(body(&media(&gate, "720/new.ts")).await, b"not signed");
    // It is the viewer's choice whether to play that; no peer gets it.
    assert!(body(&media(&gate, "720/3%20a.ts")).await == noise(99, SEGMENT_BYTES));
    assert!(body(&media(&gate, "720/4%20a.ts")).await == segment(4));
    let report = gate.stop().await;
    assert_eq!(report.origin_bytes_by_reason["unlisted"], 10, "{report:?}");
    assert!(report.corrupt_bytes > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_peers_or_a_tracker_streams_are_passed_on() {
    let (swarm, origin) = published().await;
    for change in [
        (|options: &mut GatewayOptions| options.get.policy.p2p = false) as fn(&mut GatewayOptions),
        |options| options.get.key = None,
        |options| options.get.trackers = vec!["ws://127.0.0.1:9/".to_owned()],
    ] {
        let mut options = with_peers(&swarm, &origin.url(), "gate", true);
        change(&mut options);
        let gate = Gate::start(options).await;
        watch(&gate).await;
        let report = gate.stop().await;
        assert_eq!(report.bytes.origin, SEGMENTS * SEGMENT_BYTES as u64, "{report:?}");
        assert_eq!(report.bytes.peer, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_are_joined_are_passed_on() {
    const JOINED_MAX: usize = 4;
    let (swarm, origin) = published().await;
    let store = swarm.site.store_folder();
    let gate = Gate::start(with_peers(&swarm, &origin.url(), "gate", true)).await;
    for number in 0..=JOINED_MAX {
        // Copies of the film, whose entries are about another stream.
        let name = format!("game/copy{number}");
        copy(&store.join(STREAM), &store.join(&name));
        body(&gate.url(&format!("{name}/media/720/list.m3u8"))).await;
        assert!(body(&gate.url(&format!("{name}/media/720/0%20a.ts"))).await == segment(0), "{name}");
    }
    let status = gate.status().await;
    assert_eq!(status["streams"].as_array().map(Vec::len), Some(JOINED_MAX), "{status}");
    let report = gate.stop().await;
    let reasons = &report.origin_bytes_by_reason;
    assert_eq!(reasons["unlisted"], (JOINED_MAX * SEGMENT_BYTES) as u64, "{report:?}");
    assert_eq!(reasons["policy"], SEGMENT_BYTES as u64, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_leaves_streams_and_players_play_on() {
    let (swarm, origin) = published().await;
    let mut gate = Gate::start(with_peers(&swarm, &origin.url(), "gate", true)).await;
    watch(&gate).await;
    gate.set_paused(true).await;
    assert_eq!(gate.status().await["streams"].as_array().map(Vec::len), Some(0));
    watch(&gate).await;
    gate.set_paused(false).await;
    watch(&gate).await;
    let report = gate.stop().await;
    assert_eq!(report.origin_bytes_by_reason["policy"], SEGMENTS * SEGMENT_BYTES as u64, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_beyond_the_bound_is_passed_on_unread() {
    let site = Site::new();
    let playlist = format!("#EXTM3U\n{}", "#EXTINF:4,\nsegment.ts\n".repeat(420_000));
    assert!(playlist.len() > 8 << 20);
    let router = axum::Router::new().fallback({
        let playlist = playlist.clone();
        async move || playlist
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/", listener.local_addr().expect("bound"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let gate = Gate::start(options(&site, &base)).await;
    assert!(body(&media(&gate, "long.m3u8")).await == playlist.as_bytes());
    // What it lists is no segment here.
    assert!(body(&media(&gate, "segment.ts")).await == playlist.as_bytes());
    assert_eq!(gate.stop().await.bytes.origin, 0);
    serving.abort();
}
