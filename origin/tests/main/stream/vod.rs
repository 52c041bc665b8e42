//! Folders of playlists and segments, published and played.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use freshet_origin::{StreamError, scrub};
use freshet_protocol::SegmentEntry;
use reqwest::StatusCode;

use super::ffmpeg::{ENCODE, SOURCE, run};
use super::player::{Played, Player};
use super::{Site, content};
use crate::client::http;

/// Video and sound in playlists of their own, as fragments with an initialisation each.
const AUDIO_APART: &str = "-map 0:v -map 1:a -f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 \
    -master_pl_name master.m3u8 -var_stream_map 'v:0,agroup:a,name:bild a:0,agroup:a,name:ton'";

async fn play(site: &Site, first: &str) -> Vec<Played> {
    let serving = site.serve().await;
    Player::new(&serving.url(), site.tenant_key()).await.play(first).await
}

async fn assert_sound(site: &Site, segments: u64) {
    let scrubbed = scrub(&site.store(), Some(site.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
    assert_eq!(scrubbed.segments, segments);
}

#[tokio::test]
async fn transport_streams() {
    let site = Site::new();
    run(
        &site.media(),
        &format!("{SOURCE} -t 6 {ENCODE} -f hls -hls_time 2 -hls_list_size 0 -start_number 7 a.m3u8"),
    );
    let published = site.publish("a.m3u8").await.expect("published");
    assert_eq!((published.renditions, published.segments, published.new_segments), (1, 3, 3));
    assert_eq!((published.files, published.stored_files), (4, 4));
    assert_eq!(published.playlist, "site/show/media/a.m3u8");
    let played = play(&site, "a.m3u8").await;
    assert_eq!((played[0].rendition.as_str(), played[0].epoch), ("a.m3u8", 1));
    assert_eq!((played[0].sequences.as_slice(), played[0].inits), (&[7, 8, 9][..], 0));
    assert!((5_900_000..6_200_000).contains(&played[0].duration_us), "{played:?}");
    assert_sound(&site, 3).await;
}

#[tokio::test]
async fn separate_audio_and_fragments_in_folders() {
    let site = Site::new();
    run(&site.media(), &format!("{SOURCE} -t 4 {ENCODE} {AUDIO_APART} %v/list.m3u8"));
    let published = site.publish("master.m3u8").await.expect("published");
    assert_eq!(published.renditions, 2);
    let played = play(&site, "master.m3u8").await;
    let names: Vec<_> = played.iter().map(|played| (played.rendition.as_str(), played.inits)).collect();
    assert_eq!(names, [("bild/list.m3u8", 1), ("ton/list.m3u8", 1)]);
    assert!(played.iter().all(|played| played.sequences.len() >= 4), "{played:?}");
}

#[tokio::test]
async fn byte_ranges_of_one_file() {
    let site = Site::new();
    let one_file = "-f hls -hls_time 1 -hls_list_size 0 -hls_flags single_file";
    run(&site.media(), &format!("{SOURCE} -t 4 {ENCODE} {one_file} -hls_segment_type fmp4 a.m3u8"));
    let published = site.publish("a.m3u8").await.expect("published");
    assert_eq!((published.segments, published.files), (4, 2));
    let played = play(&site, "a.m3u8").await;
    assert_eq!((played[0].sequences.as_slice(), played[0].inits), (&[0, 1, 2, 3][..], 1));
    assert_sound(&site, 5).await;
}

#[tokio::test]
async fn encrypted_segments_and_their_key() {
    let site = Site::new();
    site.write("secret.key", [7; 16]);
    site.write("info", "keys/secret.key\nsecret.key\n");
    run(&site.media(), &format!("{SOURCE} -t 3 {ENCODE} -f hls -hls_time 1 -hls_key_info_file info a.m3u8"));
    site.write("keys/secret.key", [7; 16]);
    let published = site.publish("a.m3u8").await.expect("published");
    assert_eq!(
        (published.segments, published.files),
        (3, 5),
        "the key is a file, and info is none of the stream"
    );
    assert_eq!(fs::read(site.object("media/keys/secret.key")).expect("stored"), [7; 16]);
    assert!(!site.object("media/info").exists());
    let played = play(&site, "a.m3u8").await;
    assert!(played[0].bytes.is_multiple_of(16), "the ciphertext is what is cut");
    // A key that lies elsewhere stays there.
    let playlist = fs::read_to_string(site.media().join("a.m3u8")).expect("read");
    let site_2 = Site::new();
    for n in 0..3 {
        fs::copy(site.media().join(format!("a{n}.ts")), site_2.media().join(format!("a{n}.ts")))
            .expect("copied");
    }
    site_2.write("a.m3u8", playlist.replace("keys/secret.key", "https://drm.test/key?id=1"));
    assert_eq!(site_2.publish("a.m3u8").await.expect("published").files, 4);
}

/// Segments of any bytes: entries do not look into them.
fn write_segments(site: &Site, list: &str, segments: &[(&str, &[u8])]) {
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-FUTURE-TAG:X=1\n".to_owned();
    for (name, bytes) in segments {
        site.write(name, bytes);
        text += &format!("#EXTINF:2,\n{}\n", name.replace('%', "%25"));
    }
    site.write(list, text);
}

#[tokio::test]
async fn the_same_again_stores_nothing_and_other_bytes_begin_an_epoch() {
    let site = Site::new();
    let names: Vec<String> = (0..130).map(|n| format!("한 글/{n}%.ts")).collect();
    let segments: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    write_segments(&site, "a.m3u8", &segments);
    let first = site.publish("a.m3u8").await.expect("published");
    assert_eq!((first.segments, first.stored_files), (130, 131));
    let page = |number: u64| {
        let object = site.object(&format!("entries/{}/{number}", freshet_protocol::Hash::of(b"a.m3u8")));
        fs::read(object).ok()
    };
    let before: Vec<_> = (0..4).map(page).collect();
    assert!(before[2].is_some() && before[3].is_none());
    let again = site.publish("a.m3u8").await.expect("published");
    assert_eq!((again.new_segments, again.stored_files), (0, 1), "only the playlist is written again");
    assert_eq!((0..4).map(page).collect::<Vec<_>>(), before, "the same bytes give the same entries");
    assert_eq!(play(&site, "a.m3u8").await[0].epoch, 1);

    // Longer goes on; shorter and other bytes begin anew.
    let more = [&segments[..], &[("더.ts", b"more")]].concat();
    write_segments(&site, "a.m3u8", &more);
    assert_eq!(site.publish("a.m3u8").await.expect("published").new_segments, 1);
    write_segments(&site, "a.m3u8", &more[..70]);
    assert_eq!(site.publish("a.m3u8").await.expect("published").new_segments, 70);
    assert!(page(1).is_some() && page(2).is_none(), "entries that no playlist lists are gone");
    write_segments(&site, "a.m3u8", &[(segments[0].0, b"other"), segments[1]]);
    assert_eq!(site.publish("a.m3u8").await.expect("published").new_segments, 2);
    let played = play(&site, "a.m3u8").await;
    assert_eq!((played[0].epoch, played[0].sequences.len()), (3, 2));
    assert!(page(0).is_some() && page(1).is_none());
    assert_sound(&site, 2).await;
}

/// Polls a future a number of times, then drops it.
struct Polls<F>(Pin<Box<F>>, u32);

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        self.0.as_mut().poll(context).map(Some)
    }
}

#[tokio::test]
async fn killed_anywhere_it_shows_nothing_and_goes_on() {
    let site = Site::new();
    let names: Vec<String> = (0..70).map(|n| format!("{n}.ts")).collect();
    let segments: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    write_segments(&site, "b/list.m3u8", &[]);
    let list: String = segments.iter().map(|(name, _)| format!("#EXTINF:1,\n../{name}\n")).collect();
    segments.iter().for_each(|(name, bytes)| site.write(name, bytes));
    site.write("b/list.m3u8", format!("#EXTM3U\n{list}"));
    site.write("master.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb/list.m3u8\n");
    let (mut polls, mut kills, mut left) = (1, 0, 70);
    let published = loop {
        match Polls(Box::pin(site.publish("master.m3u8")), polls).await {
            Some(published) => break published.expect("published"),
            None => {
                kills += 1;
                // What has begun to be written goes on being written, so the last playlist may be there in the end.
                let is_first_there = site.object("media/master.m3u8").exists();
                let is_listed = site.object("media/b/list.m3u8").exists();
                assert!(is_listed || !is_first_there);
                if is_listed {
                    // All entries are there before the first playlist is.
                    let serving = site.serve().await;
                    let player = Player::new(&serving.url(), site.tenant_key()).await;
                    let count =
                        [0, 64].map(async |n| player.page("b/list.m3u8", n).await.expect("a page").len());
                    let [first, second] = count;
                    assert_eq!((first.await, second.await), (64, 6));
                }
                polls += polls.div_ceil(3);
            }
        }
        let page = format!("entries/{}/0", freshet_protocol::Hash::of(b"b/list.m3u8"));
        left = if site.object(&page).exists() { 6 } else { left };
    };
    assert!(kills > 5, "{kills}");
    assert!(published.new_segments <= left, "what a killed publish signed is not signed again");
    assert_eq!(play(&site, "master.m3u8").await[0].sequences.len(), 70);
    assert_sound(&site, 70).await;
}

#[tokio::test]
async fn what_cannot_be_published_is_named_and_nothing_is_stored() {
    let check = async |files: &[(&str, &str)], expected: &str| {
        let site = Site::new();
        files.iter().for_each(|(name, text)| site.write(name, text));
        site.write("ok.ts", "x");
        let error = site.publish("a.m3u8").await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!site.object("media/a.m3u8").exists(), "{expected}");
    };
    let media = |lines: &'static str| [("a.m3u8", lines)];
    check(&media("#EXTM3U\n../../../etc/passwd"), "/etc/passwd lies outside").await;
    check(&media("#EXTM3U\n/etc/passwd"), "lies outside of the folder").await;
    check(&media("#EXTM3U\n..%2f..%2fkeys%2fstream.seed"), "has a \".\" or \"..\" part").await;
    check(&media("#EXTM3U\nfile:///etc/passwd"), "lies outside of the folder").await;
    check(&media("#EXTM3U\nhttp://127.0.0.1/site/show/media/ok.ts"), "lies outside of the folder").await;
    check(&media("#EXTM3U\nmissing.ts"), "playlist a.m3u8: missing.ts: it is missing").await;
    check(&media("#EXTM3U\n#EXT-X-MAP:URI=\"i.mp4\"\nok.ts"), "i.mp4: it is missing").await;
    check(&media("#EXTM3U\n#EXT-X-BYTERANGE:2@0\nok.ts"), "its byte range goes beyond its end").await;
    check(&media("#EXTM3U\n#EXT-X-BYTERANGE:1@9007199254740000\nok.ts"), "goes beyond its end").await;
    check(&media("#EXTM3U\n#EXT-X-BYTERANGE:9007199254740991@1\nok.ts"), "line 3 has a bad byte range").await;
    check(&media("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:99999999999999999999\nok.ts"), "bad media sequence").await;
    check(&[("a.m3u8", "#EXTM3U\nempty.ts"), ("empty.ts", "")], "empty.ts: it is empty").await;
    let nested = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8";
    check(&[("a.m3u8", nested)], "a.m3u8 lists renditions, though").await;
    check(&media("hello"), "does not start with #EXTM3U").await;
    check(&[], "cannot read").await;
    let site = Site::new();
    let error = site.publish("b/a.m3u8").await.expect_err("in a folder").to_string();
    assert!(error.contains("publish that folder"), "{error}");
    // A segment as large as allowed is read, one byte more is refused.
    let large = fs::File::create(site.media().join("large.ts")).expect("made");
    site.write("a.m3u8", "#EXTM3U\nlarge.ts");
    large.set_len((64 << 20) + 1).expect("sparse");
    let error = site.publish("a.m3u8").await.expect_err("too large").to_string();
    assert!(error.contains("larger than 64 MiB"), "{error}");
    large.set_len(64 << 20).expect("sparse");
    site.publish("a.m3u8").await.expect("as large as allowed");
}

#[tokio::test]
async fn high_sequences_and_keys_of_others() {
    let site = Site::new();
    site.write("0.ts", "x");
    site.write("a.m3u8", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1000000000\n0.ts\n");
    site.publish("a.m3u8").await.expect("published");
    assert_eq!(play(&site, "a.m3u8").await[0].sequences, [1_000_000_000]);
    // Another tenant's content, and a seed that nobody has granted anything.
    let mut options = site.options("a.m3u8");
    options.content = "other/show".parse().expect("name");
    let error = freshet_origin::publish_hls(options).await.expect_err("other").to_string();
    assert!(error.contains("belongs to tenant \"other\""), "{error}");
    let seed = site.keys_dir().join("new.seed");
    freshet_origin::StreamKey::create(&seed).expect("made");
    let with = |content: &str, seed: &std::path::Path| {
        let mut options = site.options("a.m3u8");
        options.content = content.parse().expect("name");
        options.key = freshet_origin::StreamKey::load(seed).expect("a seed");
        freshet_origin::publish_hls(options)
    };
    assert!(matches!(with("site/show", &seed).await, Err(StreamError::NotGranted { .. })));
    assert!(matches!(with("site/new", &seed).await, Err(StreamError::NoDocument(_))));
    let good = freshet_origin::StreamKey::default_path(&site.keys_dir());
    with("site/show", &good).await.expect("the store's document is enough");
}

#[tokio::test]
async fn how_streams_are_served() {
    let site = Site::new();
    let names: Vec<String> = (0..65).map(|n| format!("{n}.ts")).collect();
    let segments: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    write_segments(&site, "a.m3u8", &segments);
    site.publish("a.m3u8").await.expect("published");
    let serving = site.serve().await;
    let url = |path: &str| format!("{}{}/{path}", serving.url(), content());
    let entries = |number: u64| format!("entries/{}/{number}", freshet_protocol::Hash::of(b"a.m3u8"));
    let check = async |path: &str, life: &str, media_type: &str| {
        let answer = http().get(url(path)).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let header = |name: &str| {
            answer.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned()
        };
        assert_eq!(
            (header("cache-control").as_str(), header("content-type").as_str()),
            (life, media_type),
            "{path}"
        );
        assert!(header("etag").starts_with('"'), "{path}");
        let same =
            http().get(url(path)).header("if-none-match", header("etag")).send().await.expect("answered");
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED, "{path}");
        header("repr-digest")
    };
    let (second, hour) = ("public, max-age=1", "public, max-age=3600");
    assert_ne!(check("media/a.m3u8", second, "application/vnd.apple.mpegurl").await, "");
    check("media/0.ts", hour, "video/mp2t").await;
    assert_ne!(check(&entries(0), hour, "application/vnd.freshet.entries").await, "");
    check(&entries(1), second, "application/vnd.freshet.entries").await;
    let missing = http().get(url(&entries(2))).send().await.expect("answered");
    assert_eq!(
        (missing.status(), &missing.headers()["cache-control"]),
        (StatusCode::NOT_FOUND, &second.parse().expect("value"))
    );
    let range = http().get(url("media/10.ts")).header("range", "bytes=1-2").send().await.expect("answered");
    assert_eq!(range.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(range.text().await.expect("text"), "0.");
    for path in ["media/..%2fkeys", "media/stream.lock", "stream.lock", "media/", "entries/x/0"] {
        let answer = http().get(url(path)).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let counters = serving.counters();
    assert_eq!(
        (counters.playlist.requests, counters.media.requests, counters.entries.requests),
        (2, 3 + 1, 5)
    );
    // An entry that another key signed, and a segment of other bytes, are found.
    fs::write(site.object("media/3.ts"), "5.ts").expect("written");
    let page = fs::read(site.object(&entries(1))).expect("a page");
    let sealed = freshet_protocol::decode_entry_page(&page).expect("a page")[0].to_vec();
    assert!(SegmentEntry::open(&sealed, &content(), &[]).is_err());
    fs::write(site.object(&entries(1)), &page[..page.len() - 1]).expect("written");
    let damages = scrub(&site.store(), None).await.expect("scrubbed").damages;
    let reasons: Vec<_> = damages.iter().map(|damage| damage.reason.as_str()).collect();
    assert_eq!(reasons, ["its bytes are not those that its entry says", "bytes end too early"]);
}
