//! What pages of other sites may do: each class of answer is theirs to read, and to measure.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use super::client::http;
use super::serving::{Origin, text};

/// Asks as a page of another site does.
async fn ask(method: Method, url: &str, asked: &[(&str, &str)]) -> (StatusCode, HeaderMap) {
    let mut request = http().request(method, url).header("origin", "https://site.test");
    for (name, value) in asked {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("answered");
    (answer.status(), answer.headers().clone())
}

fn check_open(headers: &HeaderMap, what: &str) {
    for (name, expected) in [
        ("access-control-allow-origin", "*"),
        ("timing-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("vary", ""),
    ] {
        assert_eq!(text(headers, name), expected, "{what}: {name}");
        assert!(headers.get_all(name).iter().count() <= 1, "{what}: {name} once");
    }
}

#[tokio::test]
async fn each_class_of_answer_is_open_without_a_preflight() {
    let origin = Origin::start().await;
    let etag = text(&ask(Method::GET, &origin.url("keys"), &[]).await.1, "etag").to_owned();
    let check_at = async |url: &str, method: Method, path: &str, asked: &[(&str, &str)], status: u16| {
        let (found, headers) = ask(method.clone(), &format!("{url}{path}"), asked).await;
        let what = format!("{method} {path} {asked:?}");
        assert_eq!(found.as_u16(), status, "{what}");
        check_open(&headers, &what);
        let exposed = text(&headers, "access-control-expose-headers");
        let names = [
            "accept-ranges",
            "age",
            "content-length",
            "content-range",
            "date",
            "etag",
            "repr-digest",
            "retry-after",
        ];
        for name in names {
            assert!(exposed.split(',').any(|found| found == name), "{what}: {name} in {exposed}");
        }
        assert_ne!(text(&headers, "date"), "", "{what}");
    };
    let url = origin.url("");
    let check = async |method, path: &str, asked: &[(&str, &str)], status| {
        check_at(&url, method, path, asked, status).await;
    };
    let file = "files/1.0/data/big%20file.bin";
    check(Method::GET, "keys", &[], 200).await;
    check(Method::GET, file, &[], 200).await;
    check(Method::HEAD, file, &[], 200).await;
    check(Method::GET, file, &[("range", "bytes=0-99")], 206).await;
    check(Method::GET, file, &[("range", "bytes=0-9,20-29")], 206).await;
    check(Method::GET, "keys", &[("if-none-match", &etag)], 304).await;
    check(Method::GET, "files/1.0/..%2f..%2fkeys", &[], 400).await;
    check(Method::GET, file, &[("range", "bytes=x")], 400).await;
    check(Method::GET, "nothing", &[], 404).await;
    check(Method::HEAD, "nothing", &[], 404).await;
    check(Method::POST, "keys", &[], 405).await;
    check(Method::GET, &"x".repeat(5000), &[], 414).await;
    check(Method::GET, file, &[("range", "bytes=3000000-")], 416).await;
    let page = origin.fixture.objects("pages").remove(0);
    std::fs::write(origin.fixture.content_dir().join("pages").join(page), "damaged").expect("written");
    // One that has not read the page yet.
    let damaged = origin.fixture.serve().await;
    let url = format!("{}game/demo/", damaged.url());
    check_at(&url, Method::GET, "files/1.0/small.txt", &[], 500).await;
}

#[tokio::test]
async fn what_needs_a_preflight_passes_it() {
    let origin = Origin::start().await;
    let asked =
        [("access-control-request-method", "GET"), ("access-control-request-headers", "if-none-match,range")];
    let (status, headers) = ask(Method::OPTIONS, &origin.url("keys"), &asked).await;
    assert!(status.is_success(), "{status}");
    check_open(&headers, "preflight");
    let allowed = text(&headers, "access-control-allow-headers");
    for name in ["range", "if-none-match", "if-range"] {
        assert!(allowed.split(',').any(|found| found == name), "{name} in {allowed}");
    }
    assert!(text(&headers, "access-control-allow-methods").contains("GET,HEAD"));
    assert_eq!(text(&headers, "access-control-max-age"), "86400");
}
