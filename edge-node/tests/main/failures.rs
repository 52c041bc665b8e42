//! What must not be believed is not, and each failure has its own code and a sentence that says what to do.

use std::net::SocketAddr;
use std::path::Path;

use freshet_origin::Keys;
use freshet_protocol::{POINTER_SCHEMA, Pointer};

use crate::crooked::{Crooked, Manner};
use crate::site::{CONTENT, Site, installed, refused};
use crate::tree::{assert_same, entries, make_sample};

async fn published() -> Site {
    let site = Site::new();
    let source = site.source("1");
    make_sample(&source);
    site.publish(&source, "1.0").await;
    site
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("published");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn forgeries_are_refused() {
    type Forge = fn(&Site);
    let check = async |forge: Forge, expected: &str| {
        let site = published().await;
        forge(&site);
        let origin = site.serve().await;
        let error = refused(site.options(&origin.url(), "a")).await;
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.exit_code(), 11, "{error}");
        assert!(entries(&site.target("a")).is_empty(), "nothing is installed");
    };
    check(|site| flip(&site.content_files("roots")[0], 200), "signature").await;
    check(
        |site| {
            let page = &site.content_files("pages")[0];
            let packed = zstd::bulk::compress(b"another page", 3).expect("compresses");
            std::fs::write(page, packed).expect("written");
        },
        "page",
    )
    .await;
    check(
        |site| {
            for pack in site.content_files("packs") {
                let bytes = std::fs::read(&pack).expect("published");
                std::fs::write(&pack, vec![0; bytes.len()]).expect("written");
            }
        },
        "do not match the signed manifest",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_key_is_refused() {
    let site = published().await;
    let origin = site.serve().await;
    let mut options = site.options(&origin.url(), "a");
    let other = Keys::create(&site.folder.path().join("other"), "game").expect("keys");
    options.key = Some(other.public());
    let error = refused(options.clone()).await;
    assert_eq!(error.exit_code(), 11, "{error}");
    options.key = None;
    options.folder = site.target("b");
    assert_eq!(refused(options.clone()).await.exit_code(), 2);

    installed(site.options(&origin.url(), "c")).await;
    options.folder = site.target("c");
    options.key = Some(other.public());
    let error = refused(options).await;
    assert!(error.to_string().contains("was installed with the tenant key"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_do_not_go_back_and_expire() {
    let site = published().await;
    let origin = site.serve().await;
    let pointer = site.content_file("channels/live");
    let first = std::fs::read(&pointer).expect("published");
    let source = site.source("2");
    make_sample(&source);
    std::fs::remove_file(source.join("run.sh")).expect("there");
    let published = site.publish(&source, "2.0").await;
    installed(site.options(&origin.url(), "a")).await;
    std::fs::write(&pointer, first).expect("written");
    let error = refused(site.options(&origin.url(), "a")).await;
    assert_eq!(error.exit_code(), 12, "{error}");
    assert!(error.to_string().contains("refusing to go back"), "{error}");
    assert_same(&source, &site.target("a"));

    let expired = Pointer {
        schema: POINTER_SCHEMA,
        content: CONTENT.parse().expect("name"),
        channel: "live".parse().expect("name"),
        sequence: 99,
        expires: 1,
        root: published.root,
        version: "2.0".parse().expect("name"),
        trackers: Vec::new(),
        patches: Vec::new(),
        rollout: None,
        preload: None,
        unsealed: None,
        start_window_s: 0,
    };
    let sealed = expired.seal(site.load_keys().online()).expect("good pointer");
    std::fs::write(&pointer, sealed).expect("written");
    let error = refused(site.options(&origin.url(), "a")).await;
    assert_eq!(error.exit_code(), 12, "{error}");
    assert!(error.to_string().contains("expired"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_gone() {
    let site = published().await;
    let socket = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("port");
    let gone = format!("http://{}/", socket.local_addr().expect("bound"));
    drop(socket);
    let error = refused(site.options(&gone, "a")).await;
    assert_eq!(error.exit_code(), 10, "{error}");
    assert!(error.to_string().contains(&gone), "{error}");

    let origin = site.serve().await;
    let mut options = site.options(&origin.url(), "a");
    options.url = freshet_edge_node::ReleaseUrl::parse(&format!("{}{CONTENT}/channels/beta", origin.url()))
        .expect("good URL")
        .0;
    let error = refused(options).await;
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_with_bad_manners() {
    let check = async |manner: Manner| {
        let site = published().await;
        let origin = Crooked::start(&site.store_folder(), manner).await;
        installed(site.options(&origin.url(), "a")).await;
        assert_same(&site.source("1"), &site.target("a"));
    };
    check(Manner::WholePacks).await;
    check(Manner::BusyAtFirst { times: 2 }).await;
    check(Manner::BreaksOff { times: 4 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_breaks_off_for_good() {
    let site = published().await;
    let origin = Crooked::start(&site.store_folder(), Manner::BreaksOff { times: u32::MAX }).await;
    let error = refused(site.options(&origin.url(), "a")).await;
    assert_eq!(error.exit_code(), 10, "{error}");
}
