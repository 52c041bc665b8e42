//! Streams whose media stays where it is.

use std::time::Duration;

use freshet_origin::{IndexInput, IndexOptions, Indexed, IngestError, index};

use super::cdn::Cdn;
use super::ffmpeg::{ENCODE, SOURCE, run, start};
use super::player::{Played, Player};
use super::viewer::{Tracker, Viewer};
use super::{Site, content};

fn options(site: &Site, input: IndexInput, is_once: bool) -> IndexOptions {
    IndexOptions { is_once, ..IndexOptions::new(site.store(), site.stream_key(), content(), input) }
}

fn behind(url: String) -> IndexInput {
    IndexInput::Playlist { url, allow_hosts: Vec::new() }
}

async fn once(site: &Site, url: String) -> Result<Indexed, IngestError> {
    index(options(site, behind(url), true)).await
}

/// Plays from the server, with the entries of the origin.
async fn play(site: &Site, media: &str, first: &str) -> Vec<Played> {
    let serving = site.serve().await;
    Player::new(&serving.url(), site.tenant_key()).await.with_media(media).play(first).await
}

/// What lies in the store of the stream, in folders.
fn stored(site: &Site) -> Vec<String> {
    let entries = std::fs::read_dir(site.object("")).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_film_behind_an_address() {
    let site = Site::new();
    run(
        &site.media(),
        &format!(
            "{SOURCE} -t 4 {ENCODE} -map 0:v -map 1:a -f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 \
             -hls_flags single_file -master_pl_name master.m3u8 \
             -var_stream_map 'v:0,agroup:a,name:bild a:0,agroup:a,name:ton' %v/list.m3u8"
        ),
    );
    let cdn = Cdn::serve(site.media()).await;
    let indexed = once(&site, format!("{}master.m3u8?token=1", cdn.url)).await.expect("indexed");
    assert_eq!(indexed.renditions, 2);
    assert_eq!(stored(&site), ["entries", "keys", "stream.lock"], "no media is stored");
    let played = play(&site, &cdn.url, "master.m3u8").await;
    assert_eq!(played.iter().map(|played| played.sequences.len()).sum::<usize>(), indexed.new_segments);
    assert!(played.iter().all(|played| played.inits == 1 && played.epoch == 1), "{played:?}");

    // From another host and with another token it is the same stream: one segment of each is looked at again.
    let other = Cdn::serve(site.media()).await;
    let again = once(&site, format!("{}master.m3u8?token=2", other.url)).await.expect("indexed");
    assert_eq!(again, Indexed { renditions: 2, new_segments: 0 });
    let parts = std::fs::read_dir(site.media().join("bild")).expect("a folder");
    let part = parts.map(|entry| entry.expect("entry").file_name().into_string().expect("text"));
    let part = format!("bild/{}", part.filter(|name| !name.ends_with(".m3u8")).collect::<String>());
    assert_eq!(other.asked(&part), [206]);
}

#[tokio::test]
async fn a_live_stream_behind_an_address_is_followed_to_its_end() {
    let site = Site::new();
    let cdn = Cdn::serve(site.media()).await;
    let tracker = Tracker::start(site.stream_key().public()).await;
    let mut viewer = Viewer::join(&tracker).await;
    let arguments = format!("-re {SOURCE} -t 5 {ENCODE} -f hls -hls_time 1 -hls_list_size 3 a.m3u8");
    let packager = start(&site.media(), &arguments);
    let first = site.media().join("a.m3u8");
    while !first.exists() {
        tokio::task::yield_now().await;
    }
    let input = behind(format!("{}a.m3u8", cdn.url));
    let following = index(IndexOptions { trackers: vec![tracker.url()], ..options(&site, input, false) });
    let (indexed, ()) = tokio::join!(following, packager.finish());
    assert_eq!(indexed.expect("followed"), Indexed { renditions: 1, new_segments: 5 });
    for sequence in 0..5 {
        assert_eq!(viewer.entry(&[site.stream_key().public()]).await.place.sequence, sequence);
        assert_eq!(cdn.asked(&format!("a{sequence}.ts")), [200], "each segment is fetched once");
    }
    assert!(cdn.asked("a.m3u8").contains(&304), "a playlist that has not changed is not sent");
    assert_eq!(play(&site, &cdn.url, "a.m3u8").await[0].sequences, [2, 3, 4]);
}

#[tokio::test]
async fn a_folder_that_something_else_serves() {
    let site = Site::new();
    let arguments = format!("-re {SOURCE} -t 3 {ENCODE} -f hls -hls_time 1 -hls_list_size 0 a.m3u8");
    let packager = start(&site.media(), &arguments);
    let watching = index(options(&site, IndexInput::Watch(site.media()), false));
    let serving = site.serve().await;
    let cdn = Cdn::serve(site.media()).await;
    let all = async {
        packager.finish().await;
        let player = loop {
            if site.object("keys").exists() {
                break Player::new(&serving.url(), site.tenant_key()).await.with_media(&cdn.url);
            }
            tokio::task::yield_now().await;
        };
        while player.page("a.m3u8", 0).await.map_or(0, |page| page.len()) < 3 {
            tokio::task::yield_now().await;
        }
        player.play("a.m3u8").await
    };
    let played = tokio::select! {
        indexed = watching => panic!("it goes on: {indexed:?}"),
        played = tokio::time::timeout(Duration::from_secs(30), all) => played.expect("in time"),
    };
    assert_eq!(played[0].sequences, [0, 1, 2]);
    assert_eq!(stored(&site), ["entries", "keys", "stream.lock"]);
    let again = index(options(&site, IndexInput::Watch(site.media()), true)).await.expect("indexed");
    assert_eq!(again, Indexed { renditions: 1, new_segments: 0 });
}

#[tokio::test]
async fn numbers_that_begin_anew_under_the_same_names() {
    let site = Site::new();
    let cdn = Cdn::serve(site.media()).await;
    let write = |first: u64, segments: &[&str]| {
        let mut text = format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        for (n, bytes) in segments.iter().enumerate() {
            let name = format!("{}.ts", first + n as u64);
            site.write(&name, bytes);
            text += &format!("#EXTINF:1,\n{name}\n");
        }
        site.write("a.m3u8", text);
    };
    let url = || format!("{}a.m3u8", cdn.url);
    write(0, &["a", "b", "c"]);
    assert_eq!(once(&site, url()).await.expect("indexed").new_segments, 3);
    write(1, &["b", "c", "d"]);
    assert_eq!(once(&site, url()).await.expect("indexed").new_segments, 1);
    write(0, &["x", "y"]);
    assert_eq!(once(&site, url()).await.expect("indexed").new_segments, 2);
    let played = play(&site, &cdn.url, "a.m3u8").await;
    assert_eq!((played[0].epoch, played[0].sequences.as_slice()), (2, &[0, 1][..]));
}

#[tokio::test]
async fn what_cannot_be_indexed_is_named() {
    let site = Site::new();
    let (cdn, other) = (Cdn::serve(site.media()).await, Cdn::serve(site.media()).await);
    site.write("0.ts", "x");
    let check = async |playlist: &str, expected: &str| {
        site.write("a.m3u8", playlist);
        let error = once(&site, format!("{}a.m3u8?secret=7", cdn.url)).await.expect_err(expected).to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    };
    check("hello", "does not start with #EXTM3U").await;
    check("#EXTM3U\nmissing.ts\n", "missing.ts: it is missing").await;
    check("#EXTM3U\n#EXT-X-BYTERANGE:9@0\n0.ts\n", "byte range goes beyond its end").await;
    check("#EXTM3U\n#EXT-X-BYTERANGE:9@99999999\n0.ts\n", "byte range goes beyond its end").await;
    check("#EXTM3U\nhttp://elsewhere.test/0.ts\n", "add it with --allow-host").await;
    check("#EXTM3U\nfile:///etc/passwd\n", "add it with --allow-host").await;
    check("#EXTM3U\nround\n", "too many redirects").await;
    check("#EXTM3U\nto/elsewhere.test/0.ts\n", "redirected to a host that was not named").await;
    check("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", "lists renditions, though").await;
    check("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb.m3u8\n", "b.m3u8: the answer is 404").await;
    let large = std::fs::File::create(site.media().join("large.ts")).expect("made");
    large.set_len((64 << 20) + 1).expect("sparse");
    check("#EXTM3U\nlarge.ts\n", "larger than 64 MiB").await;
    check(&format!("#EXTM3U\n#{}\n", "x".repeat(8 << 20)), "longer than 8388608 bytes").await;
    // A redirect to a host that was named is followed.
    let target = other.url.trim_start_matches("http://");
    site.write("a.m3u8", format!("#EXTM3U\nto/{target}0.ts\n"));
    assert_eq!(once(&site, format!("{}a.m3u8", cdn.url)).await.expect("indexed").new_segments, 1);
    let address = async |url: &str| once(&site, url.to_owned()).await.expect_err(url).to_string();
    assert!(address("nowhere").await.contains("is not an address"));
    assert!(address("ftp://x/a.m3u8").await.contains("http:// or https://"));
    let empty = Site::new();
    let error = index(options(&empty, IndexInput::Watch(empty.media()), true)).await.expect_err("empty");
    assert!(error.to_string().contains("it has no playlist"), "{error}");
}
