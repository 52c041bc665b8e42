//! More is asked for than the origin may send.

use std::time::{Duration, Instant};

use freshet_origin::{Caps, ServeOptions, Serving, serve};
use reqwest::header::{CACHE_CONTROL, RANGE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use super::client::http;
use super::fixture::{Fixture, noise};
use super::serving::text;

const FILE_BYTES: usize = 3_000_000;
const RANGE_BYTES: usize = 128 << 10;
const SEGMENT_BYTES: usize = 50_000;

async fn start(fixture: &Fixture, caps: Caps) -> Serving {
    fixture.write("data", &noise(1, FILE_BYTES));
    fixture.publish("1.0").await.expect("published");
    let media = fixture.content_dir().join("media");
    std::fs::create_dir_all(&media).expect("made");
    std::fs::write(media.join("a.ts"), noise(2, SEGMENT_BYTES)).expect("written");
    let listen = "127.0.0.1:0".parse().expect("address");
    serve(ServeOptions { caps, ..ServeOptions::new(fixture.store(), listen) }).await.expect("served")
}

/// Seconds to wait before the next try; none where the answer is the content.
fn told(answer: &reqwest::Response) -> Option<u64> {
    if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    assert_eq!(text(answer.headers(), CACHE_CONTROL), "no-store", "no CDN remembers it");
    Some(text(answer.headers(), RETRY_AFTER).parse().expect("seconds"))
}

/// A download in ranges by somebody who does as told, and comes back up to as long again later.
async fn download(http: Client, url: String, number: usize, ranges: usize) -> u64 {
    let (mut tries, mut next) = (0, 0);
    while next < ranges {
        let first = (number + next) * RANGE_BYTES % (FILE_BYTES - RANGE_BYTES);
        let range = format!("bytes={first}-{}", first + RANGE_BYTES - 1);
        let answer = http.get(&url).header(RANGE, range).send().await.expect("answered");
        tries += 1;
        match told(&answer) {
            Some(after_s) => {
                assert!((1..=60).contains(&after_s), "{after_s} s");
                let spread = Duration::from_millis(after_s * 1000 * (number as u64 % 20) / 20);
                tokio::time::sleep(Duration::from_secs(after_s) + spread).await;
            }
            None => {
                assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
                let body = answer.bytes().await.expect("what was begun is not cut");
                assert!(body[..] == noise(1, FILE_BYTES)[first..first + RANGE_BYTES]);
                next += 1;
            }
        }
    }
    tries
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_is_told_to_come_back_and_media_plays_on() {
    const DOWNLOADS: usize = 24;
    const RANGES: usize = 3;
    let fixture = Fixture::new();
    let bytes_s = 1_500_000;
    let serving = start(&fixture, Caps { bytes_s_max: Some(bytes_s), requests_s_max: None }).await;
    let (begun, http) = (Instant::now(), http());
    let mut downloads = JoinSet::new();
    for number in 0..DOWNLOADS {
        let url = format!("{}game/demo/files/1.0/data", serving.url());
        downloads.spawn(download(http.clone(), url, number, RANGES));
    }
    // A player that takes a fifth of the line.
    let media = format!("{}game/demo/media/a.ts", serving.url());
    let mut slowest = Duration::ZERO;
    let mut every = tokio::time::interval(Duration::from_millis(160));
    let mut tries = 0;
    while let Some(tried) = tokio::select! {
        tried = downloads.join_next() => tried.map(|tried| Some(tried.expect("done"))),
        _ = every.tick() => Some(None),
    } {
        let Some(more) = tried else {
            let asked = Instant::now();
            let answer = http.get(&media).send().await.expect("answered");
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.bytes().await.expect("whole").len(), SEGMENT_BYTES);
            slowest = slowest.max(asked.elapsed());
            continue;
        };
        tries += more;
    }
    let took = begun.elapsed();
    let counters = serving.shutdown().await;
    let needed = (DOWNLOADS * RANGES) as u64;
    assert!(slowest < Duration::from_secs(1), "a segment took {slowest:?}");
    assert_eq!((counters.file.requests, counters.file.refused), (tries, tries - needed));
    assert_eq!((counters.media.refused, counters.other.requests), (0, 0));
    assert!(counters.file.refused > 0, "that was no flood");
    assert!(tries < 2 * needed, "{tries} requests where {needed} are needed");
    let least = counters.body_bytes as f64 / bytes_s as f64;
    assert!(took.as_secs_f64() > least * 0.95, "{took:?}: above the cap, which takes {least} s");
}

#[tokio::test]
async fn requests_are_capped_and_documents_pass() {
    let fixture = Fixture::new();
    let serving = start(&fixture, Caps { bytes_s_max: None, requests_s_max: Some(10) }).await;
    let http = http();
    let mut answers = Vec::new();
    for _ in 0..20 {
        let answer = http.head(format!("{}game/demo/files/1.0/data", serving.url())).send().await;
        answers.push(told(&answer.expect("answered")));
    }
    let served = answers.iter().filter(|told| told.is_none()).count();
    assert!((6..=10).contains(&served), "{answers:?}");
    assert!(
        answers.iter().flatten().max() > answers.iter().flatten().min(),
        "one after the other: {answers:?}"
    );
    let keys = http.get(format!("{}game/demo/keys", serving.url())).send().await.expect("answered");
    assert_eq!(keys.status(), StatusCode::OK);
    let counters = serving.shutdown().await;
    assert_eq!((counters.file.requests, counters.file.refused), (20, 20 - served as u64));
    assert_eq!((counters.keys.requests, counters.keys.refused), (1, 0));
}
