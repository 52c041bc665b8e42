//! Several addresses of one origin, asked in order.

use std::net::SocketAddr;

use freshet_origin::Caps;
use tokio::net::TcpListener;

use crate::crooked::{Crooked, Manner};
use crate::site::{Site, installed, refused};
use crate::tree::{assert_same, copy, make_sample, noise};

/// A base URL where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("port");
    format!("http://{}/", listener.local_addr().expect("bound"))
}

async fn published() -> Site {
    let site = Site::new();
    let source = site.source("1");
    make_sample(&source);
    std::fs::write(source.join("noise"), noise(9, 3_000_000)).expect("written");
    site.publish(&source, "1.0").await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_address_cannot_give_the_next_one_does() {
    let site = published().await;
    let good = site.serve().await;
    let check = async |name: &str, first: String, mirrors: &[String]| {
        let mut options = site.options(&first, name);
        options.mirrors = mirrors.to_vec();
        let report = installed(options).await;
        assert_same(&site.source("1"), &site.target(name));
        report
    };
    let good_url = good.url();
    let report = check("dead", nobody().await, &[nobody().await, good_url.clone()]).await;
    // Each dead address is tried now and then, and not before each of the requests.
    let needed = check("plain", good_url.clone(), &[]).await.origin_requests;
    assert!(report.origin_requests <= needed + 12, "{} where {needed} are needed", report.origin_requests);

    // An address that has the documents and lacks the packs.
    let lacking = site.folder.path().join("lacking");
    copy(&site.store_folder(), &lacking);
    let packs = lacking.join("game/demo/packs");
    std::fs::remove_dir_all(&packs).expect("removed");
    let half = Crooked::start(&lacking, Manner::WholePacks).await;
    check("lacking", half.url(), std::slice::from_ref(&good_url)).await;

    // One that has other bytes.
    copy(&site.store_folder().join("game/demo/packs"), &packs);
    for pack in std::fs::read_dir(&packs).expect("packs") {
        let path = pack.expect("readable").path();
        let bytes = std::fs::metadata(&path).expect("there").len();
        std::fs::write(&path, vec![0; bytes as usize]).expect("written");
    }
    check("wrong", half.url(), std::slice::from_ref(&good_url)).await;

    // One that breaks off again and again, and one that refuses.
    let broken = Crooked::start(&site.store_folder(), Manner::BreaksOff { times: 1000 }).await;
    check("broken", broken.url(), std::slice::from_ref(&good_url)).await;
    let full = site.serve_capped(Caps { bytes_s_max: None, requests_s_max: Some(1) }).await;
    check("full", full.url(), &[good_url]).await;
    let pack = full.shutdown().await.pack;
    assert!(pack.requests <= 3, "an address that refuses is left alone: {pack:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_mirrors_are_said() {
    let site = published().await;
    let check = async |mirrors: &[&str], expected: &str| {
        let mut options = site.options("http://127.0.0.1:9/", "a");
        options.mirrors = mirrors.iter().map(|&url| url.to_owned()).collect();
        let error = refused(options).await;
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(&["ftp://h/"], "must start with http:// or https://").await;
    check(&["http://h"], "end in /").await;
    check(&["http://h/"; 8], "up to 7 mirrors").await;
}
