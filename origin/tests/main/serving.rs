//! What the server answers, byte for byte.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use freshet_origin::{ServeOptions, Serving, serve};
use freshet_protocol::{Hash, Page, Root, RootId};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Client, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{HttpClient, get_range, http};
use super::fixture::{Fixture, noise};

/// An origin with one release: a large file and a small one.
pub(crate) struct Origin {
    pub(crate) fixture: Fixture,
    serving: Serving,
    root: Root,
    root_id: RootId,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let fixture = Fixture::new();
        fixture.write("data/big file.bin", &noise(5, 3_000_000));
        fixture.write("small.txt", b"0123456789");
        symlink("data", fixture.build().join("alias")).expect("made");
        symlink("alias/../small.txt", fixture.build().join("around")).expect("made");
        symlink("circle", fixture.build().join("circle")).expect("made");
        symlink("nowhere", fixture.build().join("dangling")).expect("made");
        std::fs::create_dir(fixture.build().join("hollow")).expect("made");
        let root_id = fixture.publish("1.0").await.expect("published").root;
        let serving = fixture.serve().await;
        let (_, root) = HttpClient::new(serving.url()).head(fixture.tenant_key()).await;
        Self { fixture, serving, root, root_id }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}game/demo/{path}", self.serving.url())
    }

    /// The release's pack: its path and bytes.
    fn pack(&self) -> (String, Vec<u8>) {
        let packs = self.fixture.objects("packs");
        let name = packs.iter().find(|name| !name.ends_with(".chunks")).expect("a pack");
        let bytes = std::fs::read(self.fixture.content_dir().join("packs").join(name)).expect("pack");
        (format!("packs/{name}"), bytes)
    }
}

pub(crate) fn text(headers: &HeaderMap, name: impl AsRef<str>) -> &str {
    headers.get(name.as_ref()).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn each_kind_says_how_long_it_lives() {
    let origin = Origin::start().await;
    let page = origin.root.pages[0].id;
    let immutable = "public, max-age=31536000, immutable";
    let check = async |path: &str, life: &str, media_type: &str| {
        let head = http().head(origin.url(path)).send().await.expect("answered");
        let got = http().get(origin.url(path)).send().await.expect("answered");
        assert_eq!((head.status(), got.status()), (StatusCode::OK, StatusCode::OK), "{path}");
        for name in [header::ETAG, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CACHE_CONTROL] {
            assert_eq!(head.headers().get(&name), got.headers().get(&name), "{path} {name}");
        }
        let headers = got.headers().clone();
        assert_eq!(text(&headers, "cache-control"), life, "{path}");
        assert_eq!(text(&headers, "content-type"), media_type, "{path}");
        assert_eq!(text(&headers, "accept-ranges"), "bytes", "{path}");
        assert_eq!(text(&headers, "content-encoding"), "", "{path}");
        assert_eq!(text(&headers, "vary"), "", "{path}");
        assert!(text(&headers, "etag").starts_with('"'), "{path}: a strong tag");
        let body = got.bytes().await.expect("body");
        assert_eq!(text(&headers, "content-length"), body.len().to_string(), "{path}");
    };
    check("channels/live", "public, max-age=5", "application/vnd.freshet.pointer+json").await;
    check("keys", "public, max-age=60", "application/vnd.freshet.keys+json").await;
    check(&format!("roots/{}", origin.root_id), immutable, "application/vnd.freshet.root+json").await;
    check(&format!("pages/{page}"), immutable, "application/vnd.freshet.page+zstd").await;
    check(&format!("pages/{page}.gz"), immutable, "application/vnd.freshet.page+gzip").await;
    check("versions/1.0", "public, max-age=3600", "text/plain; charset=utf-8").await;
    check(&format!("index/{page}"), "public, max-age=60", "application/vnd.freshet.index").await;
    check(&origin.pack().0, immutable, "application/vnd.freshet.pack").await;
    check("files/1.0/small.txt", "public, max-age=3600", "text/plain; charset=utf-8").await;
    check("files/1.0/data/big%20file.bin", "public, max-age=3600", "application/octet-stream").await;
}

#[tokio::test]
async fn browsers_get_pages_as_gzip_and_versions_by_name() {
    let origin = Origin::start().await;
    let get = async |path: String| {
        let answer = http().get(origin.url(&path)).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.bytes().await.expect("body")
    };
    assert_eq!(get("versions/1.0".to_owned()).await, origin.root_id.to_string());
    let path = format!("pages/{}.gz", origin.root.pages[0].id);
    let stored = get(path.clone()).await;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&stored[..]).read_to_end(&mut plain).expect("gzip");
    Page::open(&origin.root.pages[0], &plain.into()).expect("the page");
    // A store from before has none; it is made, to the same bytes.
    std::fs::remove_file(origin.fixture.content_dir().join(&path)).expect("removed");
    assert_eq!(get(path.clone()).await, stored);
    assert_eq!(get(path).await, stored);
}

#[tokio::test]
async fn refusals_are_one_plain_sentence() {
    let origin = Origin::start().await;
    let check = async |method: Method, path: &str, status: StatusCode, sentence: &str| {
        let answer = http().request(method, origin.url(path)).send().await.expect("answered");
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(text(answer.headers(), "cache-control"), "no-store", "{path}");
        assert_eq!(answer.text().await.expect("text"), format!("{sentence}\n"), "{path}");
    };
    let missing = "There is nothing of this name here.";
    check(Method::GET, "channels/beta", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "nothing", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "versions/9.9", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, &format!("pages/{}.gz", origin.root_id), StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, &format!("{}.chunks", origin.pack().0), StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "publish.lock", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "files/1.0/absent", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "files/1.0/data", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "files/1.0/hollow", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "files/1.0/circle", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "files/1.0/dangling", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "files/1.0/small.txt/x", StatusCode::NOT_FOUND, missing).await;
    check(Method::GET, "files/9.9/small.txt", StatusCode::NOT_FOUND, missing).await;
    let path = "Bad request: the file's path has a \".\" or \"..\" part.";
    check(Method::GET, "files/1.0/..%2f..%2fkeys", StatusCode::BAD_REQUEST, path).await;
    let utf8 = "Bad request: the path is not UTF-8 when decoded.";
    check(Method::GET, "files/1.0/%ff", StatusCode::BAD_REQUEST, utf8).await;
    let method = "Only GET, HEAD and OPTIONS are answered here.";
    check(Method::POST, "keys", StatusCode::METHOD_NOT_ALLOWED, method).await;
    let long = format!("files/1.0/{}", "x".repeat(4096));
    check(Method::GET, &long, StatusCode::URI_TOO_LONG, "The URL is longer than 4096 bytes.").await;
}

#[tokio::test]
async fn ranges_of_packs_and_files() {
    let origin = Origin::start().await;
    let (pack_path, pack) = origin.pack();
    let file = noise(5, 3_000_000);
    let sources = [(origin.url(&pack_path), pack), (origin.url("files/1.0/data/big%20file.bin"), file)];
    for (url, whole) in &sources {
        let total = whole.len();
        let check = async |range: &str, expected: std::ops::Range<usize>| {
            let (status, headers, body) = get_range(url, range).await;
            assert_eq!(status, StatusCode::PARTIAL_CONTENT, "{range}");
            let content_range = format!("bytes {}-{}/{total}", expected.start, expected.end - 1);
            assert_eq!(text(&headers, "content-range"), content_range, "{range}");
            assert_eq!(text(&headers, "content-length"), expected.len().to_string(), "{range}");
            assert!(body == whole[expected], "{range}");
        };
        check("bytes=0-0", 0..1).await;
        check("bytes=0-299999", 0..300_000).await;
        check("bytes=1000000-1999999", 1_000_000..2_000_000).await;
        check("bytes=2999999-", 2_999_999..total).await;
        check("bytes=-10", total - 10..total).await;
        check("bytes=0-99999999999", 0..total).await;
        check("bytes=5-9,0-20", 0..21).await;
        let refused = async |range: &str, status: StatusCode, sentence: &str| {
            let (found, headers, body) = get_range(url, range).await;
            assert_eq!(found, status, "{range}");
            assert!(body.starts_with(sentence.as_bytes()), "{range}: {body:?}");
            headers
        };
        let headers =
            refused("bytes=4000000-", StatusCode::RANGE_NOT_SATISFIABLE, "The range lies outside").await;
        assert_eq!(text(&headers, "content-range"), format!("bytes */{total}"));
        refused("bytes=x-y", StatusCode::BAD_REQUEST, "The Range header must look like").await;
        refused("bytes=9-1", StatusCode::BAD_REQUEST, "The Range header must look like").await;
        let many: Vec<_> = (0..129).map(|n| format!("{n}-{n}")).collect();
        let many = format!("bytes={}", many.join(","));
        refused(&many, StatusCode::RANGE_NOT_SATISFIABLE, "More than 128 ranges").await;
        let (status, _, body) = get_range(url, "lines=0-1").await;
        assert_eq!((status, body.len()), (StatusCode::OK, total), "an unknown unit is no range");
    }
}

#[tokio::test]
async fn several_ranges_come_in_parts() {
    let origin = Origin::start().await;
    let (pack_path, pack) = origin.pack();
    let total = pack.len();
    let (status, headers, body) = get_range(&origin.url(&pack_path), "bytes=2000000-2000099,0-9,-5").await;
    assert_eq!(status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(text(&headers, "content-length"), body.len().to_string());
    assert_eq!(text(&headers, "content-range"), "");
    let boundary =
        text(&headers, "content-type").strip_prefix("multipart/byteranges; boundary=").expect("multipart");
    let mut expected = Vec::new();
    for range in [2_000_000..2_000_100, 0..10, total - 5..total] {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/vnd.freshet.pack\r\nContent-Range: bytes {}-{}/{total}\r\n\r\n",
            range.start,
            range.end - 1
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&pack[range]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(body == expected);
}

#[tokio::test]
async fn conditions() {
    let origin = Origin::start().await;
    for path in [origin.pack().0, "channels/live".to_owned(), "files/1.0/small.txt".to_owned()] {
        let url = origin.url(&path);
        let etag = text(http().head(&url).send().await.expect("answered").headers(), "etag").to_owned();
        let status = async |asked: &[(HeaderName, &str)]| {
            let mut request = http().get(&url);
            for (name, value) in asked {
                request = request.header(name, *value);
            }
            let answer = request.send().await.expect("answered");
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.bytes().await.expect("body");
            assert_eq!(text(&headers, "etag"), etag, "{path}");
            assert_eq!(body.is_empty(), status == StatusCode::NOT_MODIFIED, "{path}");
            status
        };
        let range = (header::RANGE, "bytes=0-0");
        assert_eq!(status(&[(header::IF_NONE_MATCH, &etag)]).await, StatusCode::NOT_MODIFIED);
        assert_eq!(status(&[(header::IF_NONE_MATCH, &etag), range.clone()]).await, StatusCode::NOT_MODIFIED);
        assert_eq!(status(&[(header::IF_NONE_MATCH, "\"other\"")]).await, StatusCode::OK);
        assert_eq!(status(&[(header::IF_RANGE, &etag), range.clone()]).await, StatusCode::PARTIAL_CONTENT);
        assert_eq!(status(&[(header::IF_RANGE, "\"other\""), range.clone()]).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn files_follow_links_and_tell_their_digest() {
    let origin = Origin::start().await;
    let get = async |path: &str| {
        let answer = http().get(origin.url(path)).send().await.expect("answered");
        let digest = text(answer.headers(), "repr-digest").to_owned();
        (digest, answer.bytes().await.expect("body"))
    };
    let small_digest = "sha-256=:hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=:";
    assert_eq!(Hash::of(b"0123456789").to_string()[..8], *"84d89877");
    assert_eq!(get("files/1.0/small.txt").await, (small_digest.to_owned(), "0123456789".into()));
    assert_eq!(get("files/1.0/around").await.0, small_digest);
    let (digest, body) = get("files/1.0/alias/big%20file.bin").await;
    assert_eq!(digest, "", "many chunks have no digest of the whole");
    assert!(body == noise(5, 3_000_000));
}

#[tokio::test]
async fn http_2_without_tls() {
    let origin = Origin::start().await;
    http();
    let client = Client::builder().http2_prior_knowledge().build().expect("client");
    let url = origin.url("files/1.0/data/big%20file.bin");
    // Read side by side: an unread stream would hold the connection's window from the others.
    let get = async || {
        let answer = client.get(&url).send().await.expect("answered");
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        answer.bytes().await.expect("body").len()
    };
    let all = futures_util::future::join_all((0..100).map(|_| get())).await;
    assert_eq!(all, [3_000_000; 100]);
    let counters = origin.serving.counters();
    assert_eq!((counters.file.requests, counters.file.body_bytes), (100, 300_000_000));
}

#[tokio::test]
async fn heads_are_bounded() {
    let origin = Origin::start().await;
    let mut stream = TcpStream::connect(origin.serving.address()).await.expect("connected");
    let head = format!("GET /game/demo/keys HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(64 << 10));
    stream.write_all(head.as_bytes()).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn idle_and_stalled_connections_are_closed_and_give_their_place_back() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 60_000_000));
    fixture.publish("1.0").await.expect("published");
    let options = ServeOptions {
        connections_max: 1,
        idle_timeout: Duration::from_millis(200),
        ..ServeOptions::new(fixture.store(), "127.0.0.1:0".parse().expect("address"))
    };
    let serving = serve(options).await.expect("served");
    // One that asks for much and reads nothing, and one that asks for nothing, each hold the only place.
    let mut stalled = TcpStream::connect(serving.address()).await.expect("connected");
    stalled.write_all(b"GET /game/demo/files/1.0/data HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("asked");
    let idle = TcpStream::connect(serving.address()).await.expect("connected");
    let answer = http().get(format!("{}game/demo/keys", serving.url())).send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::OK);
    let counters = serving.shutdown().await;
    assert_eq!(counters.connections, 3);
    assert!(counters.file.body_bytes < 60_000_000, "the stalled answer was cut");
    drop((stalled, idle));
}

#[tokio::test]
async fn documents_pass_a_line_that_is_full_of_content() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 300_000));
    fixture.publish("1.0").await.expect("published");
    let options = ServeOptions {
        line_bytes_s: Some(100_000),
        ..ServeOptions::new(fixture.store(), "127.0.0.1:0".parse().expect("address"))
    };
    let serving = serve(options).await.expect("served");
    let start = Instant::now();
    let file =
        http().get(format!("{}game/demo/files/1.0/data", serving.url())).send().await.expect("answered");
    let whole = tokio::spawn(file.bytes());
    let keys = http().get(format!("{}game/demo/keys", serving.url())).send().await.expect("answered");
    assert_eq!(keys.status(), StatusCode::OK);
    assert!(!whole.is_finished(), "the content is still on its way");
    assert_eq!(whole.await.expect("read").expect("whole").len(), 300_000);
    // All but the first lot waited for the line: a chunk may be a lot.
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let fixture = Fixture::new();
    let serving = fixture.serve().await;
    let error =
        serve(ServeOptions::new(fixture.store(), serving.address())).await.expect_err("taken").to_string();
    assert!(error.starts_with(&format!("cannot listen on {}", serving.address())), "{error}");
}

#[tokio::test]
async fn a_damaged_chunk_is_never_sent_as_a_file() {
    let origin = Origin::start().await;
    let (path, mut pack) = origin.pack();
    pack[1_500_000] ^= 1;
    std::fs::write(origin.fixture.content_dir().join(&path), pack).expect("written");
    let answer = http().get(origin.url("files/1.0/data/big%20file.bin")).send().await.expect("answered");
    assert!(answer.bytes().await.is_err(), "the answer is cut before the damage");
    assert!(origin.serving.counters().file.body_bytes < 1_500_000);
}
