//! Playlists as packagers write them, and as attackers do.

use proptest::prelude::*;

use super::*;
use crate::hls::{self, Names};

fn media(text: &str) -> Media {
    match parse(text.as_bytes()) {
        Ok(Playlist::Media(media)) => media,
        other => panic!("{text}: {other:?}"),
    }
}

/// Sequence, address, range, duration and initialisation of a segment.
type Row<'a> = (u64, &'a str, Option<(u64, u64)>, u64, Option<usize>);

fn check(text: &str, expected: &[Row<'_>]) {
    let media = media(&format!("#EXTM3U\n{text}"));
    let found: Vec<_> = media
        .segments
        .iter()
        .map(|s| (s.sequence, s.resource.uri.as_str(), s.resource.range, s.duration_us, s.init))
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn segments() {
    check("", &[]);
    check("#EXTINF:2.000000,\n0.ts\n", &[(0, "0.ts", None, 2_000_000, None)]);
    check(
        "#EXT-X-MEDIA-SEQUENCE:7\r\n#EXTINF:6,title, more\r\na b.ts?token=1\r\n#EXTINF:5.0059999\r\nhttps://x/8.ts\r\n",
        &[(7, "a b.ts?token=1", None, 6_000_000, None), (8, "https://x/8.ts", None, 5_005_999, None)],
    );
    check(
        "#EXT-X-BYTERANGE:100@50\nall.ts\n#EXT-X-BYTERANGE:10\nall.ts\n#EXT-X-BYTERANGE:5\nother.ts\nall.ts",
        &[
            (0, "all.ts", Some((50, 100)), 0, None),
            (1, "all.ts", Some((150, 10)), 0, None),
            (2, "other.ts", Some((0, 5)), 0, None),
            (3, "all.ts", None, 0, None),
        ],
    );
    check(
        "#EXT-X-MAP:URI=\"a.mp4\",BYTERANGE=\"9@0\"\n0\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"b.mp4\"\n1\n#EXT-X-MAP:URI=\"a.mp4\",BYTERANGE=\"9@0\"\n2",
        &[(0, "0", None, 0, Some(0)), (1, "1", None, 0, Some(1)), (2, "2", None, 0, Some(0))],
    );
    check("0\n#EXT-X-GAP\n1\n2", &[(0, "0", None, 0, None), (2, "2", None, 0, None)]);
    check("#EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n13", &[(13, "13", None, 0, None)]);
}

#[test]
fn what_is_not_known_is_left_to_players() {
    let text = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-NEW-THING\n\
                # a comment\n#EXT-X-PART:DURATION=0.5,URI=\"0.0.m4s\"\n#EXTINF:1,\n0.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"1.0.m4s\"\n\
                #EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-KEY:METHOD=NONE\n#EXT-X-ENDLIST\n#EXT-X-TARGETDURATION:4";
    let media = media(&format!("#EXTM3U\n{text}"));
    assert_eq!(media.segments.len(), 1);
    assert_eq!(media.links, ["0.0.m4s", "1.0.m4s", "k"]);
    assert_eq!((media.is_ended, media.target_us), (true, 4_000_000));
}

#[test]
fn masters() {
    let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"audio/a.m3u8\"\n#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS\n\
                #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"x,y\"\n\n720/i.m3u8\n#EXT-X-I-FRAME-STREAM-INF:URI=\"k.m3u8\"\n\
                #EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"key\"\n";
    let Ok(Playlist::Master(master)) = parse(text.as_bytes()) else { panic!("a master") };
    assert_eq!(master.renditions, ["audio/a.m3u8", "720/i.m3u8"]);
    assert_eq!(master.key_frames, ["k.m3u8"]);
    assert_eq!(master.links, ["key"]);
}

#[test]
fn hostile_ones_are_refused_by_name() {
    let check = |text: &str, expected: &str| {
        let error = parse(text.as_bytes()).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    let is_bad =
        |text: &str, what: &str| check(&format!("#EXTM3U\n{text}"), &format!("line 2 has a bad {what}"));
    check("", "does not start with #EXTM3U");
    check("#EXTM3U8", "does not start with #EXTM3U");
    check("<html>", "does not start with #EXTM3U");
    is_bad("#EXT-X-MEDIA-SEQUENCE:-1\n0", "media sequence");
    is_bad("#EXT-X-MEDIA-SEQUENCE:9007199254740992\n0", "media sequence");
    is_bad("#EXT-X-BYTERANGE:0@5\n0", "byte range");
    is_bad("#EXT-X-BYTERANGE:18446744073709551616@0\n0", "byte range");
    is_bad("#EXT-X-BYTERANGE:1@x\n0", "byte range");
    is_bad("#EXT-X-MAP:BYTERANGE=\"1@0\"\n0", "EXT-X-MAP");
    is_bad("#EXTINF:nan,\n0", "duration");
    is_bad("#EXTINF:1e5,\n0", "duration");
    is_bad("#EXTINF:-3,\n0", "duration");
    is_bad(&"x".repeat(URI_BYTES_MAX + 1), "address");
    check("#EXTM3U\n#EXT-X-BYTERANGE:9007199254740991@1\n0", "line 3 has a bad byte range");
    check("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:9007199254740991\n0\n1", "line 4 has a bad media sequence");
    assert_eq!(parse(b"#EXTM3U\n\xff"), Err(PlaylistError::Other));
    assert_eq!(media("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1000000000\n0").segments[0].sequence, 1_000_000_000);
}

#[test]
fn as_much_as_a_playlist_may_hold() {
    let of = |lines: usize, line: &str| format!("#EXTM3U\n{}", format!("{line}\n").repeat(lines));
    assert_eq!(media(&of(SEGMENTS_MAX, "0.ts")).segments.len(), SEGMENTS_MAX);
    let error = |text: String| parse(text.as_bytes()).expect_err("refused");
    assert_eq!(error(of(SEGMENTS_MAX + 1, "0")), PlaylistError::TooMany(SEGMENTS_MAX, "segments"));
    let two = "#EXT-X-K:URI=\"a\"\n#EXT-X-K:URI=\"b\"";
    assert_eq!(media(&of(LINKS_MAX / 2, two)).links.len(), LINKS_MAX);
    assert_eq!(error(of(LINKS_MAX / 2 + 1, two)), PlaylistError::TooMany(LINKS_MAX, "resources"));
    let mut long = b"#EXTM3U\n#".to_vec();
    long.resize(PLAYLIST_BYTES_MAX, b'x');
    assert!(parse(&long).is_ok());
    long.push(b'x');
    assert_eq!(parse(&long), Err(PlaylistError::TooLong));
}

#[test]
fn initialisations_are_bounded() {
    let text: String = (0..=INITS_MAX).map(|n| format!("#EXT-X-MAP:URI=\"{n}\"\n")).collect();
    let error = parse(format!("#EXTM3U\n{text}").as_bytes());
    assert_eq!(error, Err(PlaylistError::TooMany(INITS_MAX, "initialisations")));
}

proptest! {
    #[test]
    fn no_text_panics(lines in prop::collection::vec(line(), 0..40)) {
        // Any outcome is right that is no panic.
        if let Ok(Playlist::Media(media)) = parse(format!("#EXTM3U\n{}", lines.join("\n")).as_bytes()) {
            let names = Names::of_store(&"site/show".parse().expect("name"));
            let playlist = names.url_of_request("a.m3u8");
            for segment in &media.segments {
                let Ok(url) = hls::join(&playlist, &segment.resource.uri) else { continue };
                let path = names.path(&url).expect("short");
                prop_assert!(path.split('/').all(|part| part != ".."), "{path}");
                // A file has a name that cannot escape, or none.
                let _ = names.file(&url);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
        let _ = parse(&[b"#EXTM3U\n", &bytes[..]].concat());
    }
}

/// A tag that is read here with a value of any kind, or any line.
fn line() -> impl Strategy<Value = String> {
    let tag = prop::sample::select(vec![
        "#EXTINF:",
        "#EXT-X-BYTERANGE:",
        "#EXT-X-MAP:",
        "#EXT-X-MEDIA-SEQUENCE:",
        "#EXT-X-KEY:",
        "#EXT-X-SKIP:",
        "#EXT-X-STREAM-INF:",
        "#EXT-X-MEDIA:",
        "#EXT-X-TARGETDURATION:",
        "#EXT-X-GAP",
        "",
    ]);
    let value = prop_oneof![
        "[0-9@.,]{0,24}",
        "(URI|BYTERANGE|SKIPPED-SEGMENTS)=\"?[a-z0-9@]{0,20}\"?,?(BYTERANGE=\"[0-9@]{0,22}\")?",
        any::<u64>().prop_map(|number| number.to_string()),
        ".{0,40}",
    ];
    (tag, value).prop_map(|(tag, value)| format!("{tag}{value}"))
}
