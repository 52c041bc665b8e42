//! Live streams: a real packager, over HTTP or in a folder, watched by a player while they come in.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use freshet_origin::{IngestError, IngestOptions, Ingesting, Input, Serving, ingest, scrub};
use freshet_protocol::{ContentName, SegmentKind};
use reqwest::{Method, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::ffmpeg::{ENCODE, SOURCE, start};
use super::player::Player;
use super::viewer::{Tracker, Viewer};
use super::{Site, content};
use crate::client::http;

/// A stream that comes in over HTTP, and the origin that serves it.
struct Live {
    site: Site,
    serving: Serving,
    ingesting: Ingesting,
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("address")
}

fn by_http() -> Input {
    Input::Http { listen: anywhere(), token: None }
}

impl Live {
    async fn start(input: impl Fn(&Site) -> Input, change: impl FnOnce(&mut IngestOptions)) -> Self {
        let site = Site::new();
        let mut options = IngestOptions::new(site.store(), site.stream_key(), content(), input(&site));
        change(&mut options);
        let ingesting = ingest(options).await.expect("taken in");
        let serving = site.serve().await;
        Self { site, serving, ingesting }
    }

    async fn over_http() -> Self {
        Self::start(|_| by_http(), |_| {}).await
    }

    /// Address for PUT.
    fn url(&self, path: &str) -> String {
        format!("http://{}/{}/media/{path}", self.ingesting.address().expect("listening"), content())
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> StatusCode {
        http().request(method, self.url(path)).body(body).send().await.expect("answered").status()
    }

    /// Sends a window of segments and the playlist that lists it.
    async fn put_window(&self, first: u64, segments: &[&str]) -> StatusCode {
        let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        for (n, bytes) in segments.iter().enumerate() {
            let name = format!("{}.ts", first + n as u64);
            if !bytes.is_empty() {
                assert_eq!(self.send(Method::PUT, &name, (*bytes).to_owned()).await, StatusCode::NO_CONTENT);
            }
            text += &format!("#EXTINF:1,\n{name}\n");
        }
        self.send(Method::PUT, "a.m3u8", text).await
    }

    async fn player(&self) -> Player {
        Player::new(&self.serving.url(), self.site.tenant_key()).await
    }

    /// Media sequences that have entries in page 0, and their epochs.
    async fn entries(&self) -> BTreeSet<(u64, u64)> {
        let page = self.player().await.page("a.m3u8", 0).await.unwrap_or_default();
        let media = page.iter().filter(|entry| entry.place.kind == SegmentKind::Media);
        media.map(|entry| (entry.place.epoch, entry.place.sequence)).collect()
    }

    fn has(&self, path: &str) -> bool {
        self.site.object(&format!("media/{path}")).exists()
    }

    /// Waits until the last word of a packager, which does not wait for answers, is shown.
    async fn ended(&self, path: &str) {
        let url = format!("{}{}/media/{path}", self.serving.url(), content());
        let ended = async {
            while !http()
                .get(&url)
                .send()
                .await
                .expect("answered")
                .text()
                .await
                .expect("text")
                .contains("ENDLIST")
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("shown");
    }

    /// Plays the playlist again and again until the packager has ended, so that a segment shown before its entry fails.
    async fn watch(&self, path: &str, packager: impl Future<Output = ()>) -> usize {
        let player = self.player().await;
        let url = format!("{}{}/media/{path}", self.serving.url(), content());
        let mut looks = 0;
        futures_util::pin_mut!(packager);
        loop {
            if http().get(&url).send().await.expect("answered").status() == StatusCode::OK {
                player.play(path).await;
                looks += 1;
            }
            tokio::select! {
                () = &mut packager => return looks,
                () = tokio::task::yield_now() => {}
            }
        }
    }
}

#[tokio::test]
async fn ffmpeg_puts_a_stream_and_viewers_are_told() {
    let site = Site::new();
    let keys = [site.stream_key().public()];
    let tracker = Tracker::start(keys[0]).await;
    let mut viewer = Viewer::join(&tracker).await;
    let options = IngestOptions {
        trackers: vec![tracker.url()],
        ..IngestOptions::new(site.store(), site.stream_key(), content(), by_http())
    };
    let ingesting = ingest(options).await.expect("taken in");
    let serving = site.serve().await;
    let live = Live { site, serving, ingesting };
    let arguments = format!(
        "-re {SOURCE} -t 8 {ENCODE} -f hls -hls_time 1 -hls_list_size 3 -hls_flags delete_segments -hls_delete_threshold 3 -method PUT {}",
        live.url("a.m3u8")
    );
    let packager = start(&live.site.media(), &arguments);
    let looks = live.watch("a.m3u8", packager.finish()).await;
    assert!(looks > 5, "{looks}");
    live.ended("a.m3u8").await;
    let played = live.player().await.play("a.m3u8").await;
    assert_eq!((played[0].epoch, played[0].sequences.as_slice()), (1, &[5, 6, 7][..]));
    for sequence in 0..8 {
        let entry = viewer.entry(&keys).await;
        assert_eq!((entry.place.sequence, entry.path), (sequence, format!("a{sequence}.ts")));
    }
    // ffmpeg deletes what it has left behind for a while, and the entries go with it.
    assert!(!live.has("a0.ts") && live.has("a5.ts"));
    assert!(!live.entries().await.contains(&(1, 0)));
    let scrubbed = scrub(&live.site.store(), Some(live.site.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
}

#[tokio::test]
async fn ffmpeg_puts_fragments_and_renditions_as_fast_as_it_can() {
    let live = Live::over_http().await;
    // Not in real time: it hangs up after each request without waiting for the answer, and goes on at once.
    let arguments = format!(
        "{SOURCE} -t 6 {ENCODE} -map 0:v -map 1:a -f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 \
         -method PUT -master_pl_name master.m3u8 \
         -var_stream_map 'v:0,agroup:a,name:bild a:0,agroup:a,name:ton' {}",
        live.url("%v.m3u8")
    );
    let packager = start(&live.site.media(), &arguments);
    live.watch("bild.m3u8", packager.finish()).await;
    live.ended("bild.m3u8").await;
    live.ended("ton.m3u8").await;
    let played = live.player().await.play("master.m3u8").await;
    let names: Vec<_> = played.iter().map(|played| (played.rendition.as_str(), played.inits)).collect();
    assert_eq!(names, [("bild.m3u8", 1), ("ton.m3u8", 1)]);
    assert!(played.iter().all(|played| played.sequences.len() >= 5 && played.epoch == 1), "{played:?}");
}

#[tokio::test]
async fn a_folder_is_watched() {
    let live = Live::start(|site| Input::Watch(site.media()), |_| {}).await;
    let arguments = format!("-re {SOURCE} -t 4 {ENCODE} -f hls -hls_time 1 -hls_list_size 0 a.m3u8");
    let packager = start(&live.site.media(), &arguments);
    live.watch("a.m3u8", packager.finish()).await;
    live.ended("a.m3u8").await;
    // Folders within it are watched too.
    live.site.write("sub/0.ts", "x");
    live.site.write("sub/b.m3u8", "#EXTM3U\n#EXTINF:1,\n0.ts\n");
    live.site.write("master.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\nsub/b.m3u8\n");
    let master = format!("{}{}/media/master.m3u8", live.serving.url(), content());
    let shown = async {
        while http().get(&master).send().await.expect("answered").status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), shown).await.expect("shown");
    let played = live.player().await.play("master.m3u8").await;
    let names: Vec<_> = played.iter().map(|p| (p.rendition.as_str(), p.sequences.len())).collect();
    assert_eq!(names, [("a.m3u8", 4), ("sub/b.m3u8", 1)]);
    live.ingesting.shutdown().await;
}

#[tokio::test]
async fn a_packager_that_begins_anew_begins_an_epoch() {
    let live = Live::over_http().await;
    assert_eq!(live.put_window(0, &["a", "b", "c"]).await, StatusCode::NO_CONTENT);
    assert_eq!(live.put_window(1, &["", "", "d"]).await, StatusCode::NO_CONTENT);
    assert_eq!(live.entries().await, [(1, 0), (1, 1), (1, 2), (1, 3)].into());
    assert_eq!(live.put_window(0, &["x"]).await, StatusCode::NO_CONTENT);
    assert_eq!(live.entries().await, [(2, 0)].into(), "other bytes at a number");
    assert_eq!(live.put_window(0, &["", "y"]).await, StatusCode::NO_CONTENT);
    assert_eq!(live.entries().await, [(2, 0), (2, 1)].into());
    assert_eq!(live.put_window(40, &["v", "w"]).await, StatusCode::NO_CONTENT);
    assert_eq!(live.put_window(20, &["t", "u"]).await, StatusCode::NO_CONTENT);
    assert_eq!(live.entries().await, [(3, 20), (3, 21)].into(), "smaller numbers again");

    // The origin begins anew and the packager does not: all goes on.
    let Live { site, serving, ingesting } = live;
    ingesting.shutdown().await;
    let options = IngestOptions::new(site.store(), site.stream_key(), content(), by_http());
    let live = Live { ingesting: ingest(options).await.expect("taken in"), site, serving };
    assert_eq!(live.put_window(21, &["", "z"]).await, StatusCode::NO_CONTENT);
    assert_eq!(live.entries().await, [(3, 20), (3, 21), (3, 22)].into());
    let second = IngestOptions::new(live.site.store(), live.site.stream_key(), content(), by_http());
    let error = ingest(second).await.expect_err("one at a time").to_string();
    assert!(error.contains("another publish, ingest or gc works on site/show"), "{error}");
}

#[tokio::test]
async fn what_is_older_than_the_window_goes() {
    let window = Duration::from_secs(1);
    let live = Live::start(|_| by_http(), |options| options.dvr = window).await;
    live.send(Method::PUT, "stray.ts", "x").await;
    live.send(Method::PUT, "master.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n").await;
    live.put_window(0, &["a", "b"]).await;
    live.put_window(1, &["", "c"]).await;
    let gone = async {
        while live.has("0.ts") || live.has("stray.ts") || live.entries().await.len() > 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("gone");
    assert_eq!(live.entries().await, [(1, 1), (1, 2)].into(), "what is listed stays, however old");
    assert!(live.has("1.ts") && live.has("2.ts") && live.has("a.m3u8") && live.has("master.m3u8"));
}

#[tokio::test]
async fn deletes_are_obeyed() {
    let live = Live::over_http().await;
    live.put_window(0, &["a", "b", "c"]).await;
    assert_eq!(live.send(Method::DELETE, "0.ts", "").await, StatusCode::NO_CONTENT);
    assert_eq!(live.send(Method::DELETE, "0.ts", "").await, StatusCode::NO_CONTENT, "it is gone already");
    assert!(!live.has("0.ts"));
    assert_eq!(live.entries().await, [(1, 1), (1, 2)].into());
    // The last entry stays, so that its numbers and epoch are known.
    for path in ["1.ts", "2.ts", "a.m3u8"] {
        assert_eq!(live.send(Method::DELETE, path, "").await, StatusCode::NO_CONTENT);
        assert!(!live.has(path));
    }
    assert_eq!(live.entries().await, [(1, 2)].into());
    live.put_window(0, &["a"]).await;
    assert_eq!(live.entries().await, [(2, 0)].into());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let live = Live::over_http().await;
    live.put_window(0, &["a"]).await;
    let check = async |method: Method, path: &str, body: &str, expected: u16| {
        let status = live.send(method, path, body.to_owned()).await;
        assert_eq!(status.as_u16(), expected, "{path}: {body}");
    };
    check(Method::GET, "a.m3u8", "", 405).await;
    check(Method::PUT, "a.m3u8", "hello", 422).await;
    check(Method::PUT, "a.m3u8", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n0.ts\n", 422).await;
    check(Method::PUT, "a.m3u8", "#EXTM3U\n#EXT-X-BYTERANGE:9007199254740991@1\n0.ts\n", 422).await;
    check(Method::PUT, "..%2fkeys", "x", 400).await;
    check(Method::PUT, "a/%2e%2e/..%2f..%2fx", "x", 400).await;
    check(Method::PUT, "nul.ts", "x", 400).await;
    check(Method::PUT, "", "x", 400).await;
    check(Method::POST, "by-post.ts", "x", 204).await;
    let elsewhere = live.url("").replace("/media/", "/keys");
    let answer = http().put(elsewhere).body("x").send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    // A segment that lies outside, is empty, or whose range goes too far has no entry; the others can be played.
    let text =
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n0.ts\n../../keys\n#EXT-X-BYTERANGE:9@0\n0.ts\nempty.ts\n1.ts\n";
    check(Method::PUT, "empty.ts", "", 204).await;
    check(Method::PUT, "1.ts", "b", 204).await;
    check(Method::PUT, "a.m3u8", text, 204).await;
    assert_eq!(live.entries().await, [(1, 0), (1, 4)].into());
    // One that never comes is waited for once, and then left out.
    check(Method::PUT, "a.m3u8", &format!("{text}never.ts\n"), 204).await;
    // As large as a segment may be, and a byte more.
    let large = vec![0; 64 << 20];
    assert_eq!(live.send(Method::PUT, "large.ts", large.clone()).await, StatusCode::NO_CONTENT);
    let more = [large, vec![0]].concat();
    let answer = http().put(live.url("larger.ts")).body(more).send().await;
    // The answer may come while the client still sends, which then sees a broken connection.
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == StatusCode::PAYLOAD_TOO_LARGE));
    assert!(!live.has("larger.ts") && live.has("large.ts"));
    let playlist = format!("#EXTM3U\n#{}", "x".repeat(8 << 20));
    let answer = http().put(live.url("b.m3u8")).body(playlist).send().await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == StatusCode::BAD_REQUEST));
}

#[tokio::test]
async fn half_a_segment_is_none() {
    let live = Live::over_http().await;
    let address = live.ingesting.address().expect("listening");
    let mut half = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "PUT /{}/media/0.ts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        content()
    );
    half.write_all(head.as_bytes()).await.expect("sent");
    // It is listed while it is still coming: the playlist waits, and is not shown before the segment is whole.
    let shown = tokio::spawn({
        let url = live.url("a.m3u8");
        async move { http().put(url).body("#EXTM3U\n#EXTINF:1,\n0.ts\n").send().await.expect("answered").status() }
    });
    half.write_all(b"4\r\nmore\r\n0\r\n\r\n").await.expect("sent");
    assert_eq!(shown.await.expect("no panic"), StatusCode::NO_CONTENT);
    assert_eq!(std::fs::read(live.site.object("media/0.ts")).expect("whole"), b"halfmore");
    assert_eq!(live.entries().await, [(1, 0)].into());
    let mut cut = TcpStream::connect(address).await.expect("connected");
    cut.write_all(head.replace("0.ts", "1.ts").as_bytes()).await.expect("sent");
    drop(cut);
    live.ingesting.shutdown().await;
    assert!(!live.site.object("media/1.ts").exists());
}

#[tokio::test]
async fn only_who_knows_the_token_may_write() {
    let token = Some("a long token".to_owned());
    let input = Input::Http { listen: anywhere(), token };
    let live = Live::start(|_| input.clone(), |_| {}).await;
    let check = async |given: Option<&str>, expected: StatusCode| {
        let mut request = http().put(live.url("0.ts")).body("x");
        if let Some(given) = given {
            request = request.header("authorization", given);
        }
        assert_eq!(request.send().await.expect("answered").status(), expected, "{given:?}");
    };
    check(None, StatusCode::UNAUTHORIZED).await;
    check(Some("Bearer a long toke"), StatusCode::UNAUTHORIZED).await;
    check(Some("Bearer a long token"), StatusCode::NO_CONTENT).await;
}

#[tokio::test]
async fn knobs_out_of_bounds_are_named() {
    let site = Site::new();
    let check = async |change: fn(&mut IngestOptions), expected: &str| {
        let mut options = IngestOptions::new(site.store(), site.stream_key(), content(), by_http());
        change(&mut options);
        let error = ingest(options).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    let open = |options: &mut IngestOptions| {
        options.input = Input::Http { listen: "0.0.0.0:0".parse().expect("address"), token: None };
    };
    check(open, "give --token-file").await;
    check(|options| options.dvr = Duration::ZERO, "one second to 366 days").await;
    check(|options| options.trackers = vec!["http://x".to_owned()], "ws:// or wss://").await;
    check(|options| options.trackers = vec!["ws://x".to_owned(); 9], "at most 8").await;
    check(|options| options.input = Input::Watch("/nonexistent".into()), "cannot watch /nonexistent").await;
    check(|options| options.content = "other/x".parse::<ContentName>().expect("name"), "belongs to tenant")
        .await;
    let short = |options: &mut IngestOptions| {
        options.input = Input::Http { listen: anywhere(), token: Some("short".to_owned()) };
    };
    check(short, "at least 8 bytes").await;
    let taken = std::net::TcpListener::bind(anywhere()).expect("bound");
    let listen = taken.local_addr().expect("address");
    let input = Input::Http { listen, token: None };
    let error = ingest(IngestOptions::new(site.store(), site.stream_key(), content(), input)).await;
    assert!(matches!(error, Err(IngestError::Listen { .. })));
}
