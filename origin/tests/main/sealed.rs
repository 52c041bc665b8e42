//! Sealed releases: nothing can be read of them before their time, and what is opened then is what `publish` makes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use freshet_origin::{
    GcOptions, Opened, Opening, PublishError, SealOptions, SealedPublished, UnsealOptions, gc, list, promote,
    publish, publish_sealed, scrub, unseal,
};
use freshet_origin::{PromoteOptions, PromoteTo};
use freshet_protocol::{ChunkId, Entry, Hash, Page, Role, Root, SEAL_BYTES};

use super::client::HttpClient;
use super::fixture::{Fixture, describe, noise};
use super::patches::pointer;
use super::resume::{Polls, assert_stored_once, stored_chunks};

/// When nothing opens by itself.
const LATE: u64 = 4_000_000_000;
const SECRET_PATH: &str = "chapter-nine/the-duke-did-it.pak";

/// The build of version `n`: a large file that changes a little, one that is new, and one of words.
fn build(fixture: &Fixture, n: u64) {
    let mut big = noise(1, 3_000_000);
    for change in 1..=n {
        big.splice(1_000_000..1_000_010, noise(change, 1000));
    }
    fixture.write("big", &big);
    fixture.write("new", &noise(50 + n, 300_000));
    fixture.write("words", format!("version {n} says so. ").repeat(9000).as_bytes());
    if n > 2 {
        fixture.write(SECRET_PATH, &noise(70 + n, 200_000));
    }
}

fn sealing(fixture: &Fixture, version: &str) -> SealOptions {
    SealOptions { publish: fixture.options(version), opens: LATE }
}

async fn seal(fixture: &Fixture, version: &str) -> Result<SealedPublished, PublishError> {
    publish_sealed(sealing(fixture, version), &mut |_| {}).await
}

async fn open(fixture: &Fixture, version: &str) -> Result<Opened, PublishError> {
    let version = version.parse().expect("name");
    unseal(UnsealOptions { channel: fixture.channel(), version, opening: Opening::Now }).await
}

/// Versions 1 and 2 in the open, then 3 sealed.
async fn prepared() -> (Fixture, SealedPublished) {
    let fixture = Fixture::new();
    for n in 1..=2 {
        build(&fixture, n);
        fixture.publish(&n.to_string()).await.expect("published");
    }
    build(&fixture, 3);
    let sealed = seal(&fixture, "3").await.expect("sealed");
    (fixture, sealed)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

fn root_of(fixture: &Fixture, id: impl ToString) -> Root {
    let bytes = fs::read(fixture.content_dir().join("roots").join(id.to_string())).expect("there");
    Root::open(&bytes, &fixture.keys().document().keys_for(Role::Root, 0)).expect("signed").1
}

/// Path, size and chunks of a file.
type Listed = (String, u64, Vec<(ChunkId, u32)>);

fn chunks_of(fixture: &Fixture, root: &Root) -> Vec<Listed> {
    let mut files = Vec::new();
    for page in &root.pages {
        let packed = fs::read(fixture.content_dir().join("pages").join(page.id.to_string())).expect("there");
        let plain = zstd::bulk::decompress(&packed, 256 << 10).expect("zstd");
        for entry in Page::decode(&plain).expect("a page").entries {
            let Entry::File(file) = entry else { panic!("only files") };
            let chunks = file.chunks.iter().map(|chunk| (chunk.id, chunk.bytes)).collect();
            files.push((file.path.to_string(), file.size, chunks));
        }
    }
    files
}

#[tokio::test]
async fn what_is_opened_is_what_publish_makes() {
    let (fixture, sealed) = prepared().await;
    let before = pointer(&fixture);
    let preload = before.preload.clone().expect("told");
    assert_eq!((preload.root, preload.version.as_str(), preload.opens), (sealed.root, "3", LATE));
    assert_eq!((before.version.as_str(), before.sequence), ("2", sealed.sequence));

    // A machine that has nothing but the keys.
    let opened = open(&fixture, "3").await.expect("opened");
    let plain = Fixture::new();
    for n in 1..=3 {
        build(&plain, n);
        plain.publish(&n.to_string()).await.expect("published");
    }
    let (found, expected) = (pointer(&fixture), pointer(&plain));
    assert_eq!((found.root, &found.patches), (expected.root, &expected.patches));
    assert_eq!((opened.root, opened.patches), (expected.root, 2));
    assert_eq!(opened.updates, [], "all that is needed was sealed");
    let unsealed = found.unsealed.clone().expect("told");
    assert_eq!((unsealed.root, found.preload), (sealed.root, None));
    assert_eq!(unsealed.key.hash(), root_of(&fixture, sealed.root).sealed.expect("sealed").key_hash);
    for objects in ["patches", "pages", "index"] {
        let found: BTreeSet<String> = fixture.objects(objects).into_iter().collect();
        let missing: Vec<_> =
            plain.objects(objects).into_iter().filter(|name| !found.contains(name)).collect();
        assert_eq!(missing, [""; 0], "{objects}");
    }
    let stored: BTreeSet<ChunkId> = stored_chunks(&fixture).into_iter().collect();
    assert!(stored_chunks(&plain).iter().all(|chunk| stored.contains(chunk)));
    assert_stored_once(&fixture);

    let serving = fixture.serve().await;
    let installed = tempfile::tempdir().expect("folder");
    HttpClient::new(serving.url()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(describe(installed.path()), describe(&fixture.build()));
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
    // Who comes late finds the key, until another version is shown.
    let again = open(&fixture, "3").await.expect("opened already");
    assert_eq!((again.root, again.sequence), (opened.root, opened.sequence));
    build(&fixture, 4);
    fixture.publish("4").await.expect("published");
    assert_eq!(pointer(&fixture).unsealed, None);
}

#[tokio::test]
async fn nothing_of_it_is_in_the_store_before() {
    let (fixture, _) = prepared().await;
    let secrets = [
        noise(53, 300_000)[100_000..100_016].to_vec(),
        noise(73, 200_000)[..16].to_vec(),
        noise(3, 1000)[500..516].to_vec(),
        b"version 3 says so".to_vec(),
        b"the-duke-did-it".to_vec(),
        b"chapter-nine".to_vec(),
    ];
    let plain = Fixture::new();
    for n in 1..=3 {
        build(&plain, n);
        plain.publish(&n.to_string()).await.expect("published");
    }
    let known: BTreeSet<ChunkId> = {
        let two = Fixture::new();
        for n in 1..=2 {
            build(&two, n);
            two.publish(&n.to_string()).await.expect("published");
        }
        stored_chunks(&two).into_iter().collect()
    };
    let mut ids: Vec<Hash> =
        stored_chunks(&plain).into_iter().filter(|id| !known.contains(id)).map(|id| id.0).collect();
    assert!(ids.len() > 10, "{}", ids.len());
    let plain_pointer = pointer(&plain);
    ids.push(plain_pointer.root.0);
    ids.extend(plain_pointer.patches.iter().map(|patch| patch.patch.0));
    ids.extend(root_of(&plain, plain_pointer.root).pages.iter().map(|page| page.id.0));
    let secrets: Vec<Vec<u8>> = secrets
        .into_iter()
        .chain(ids.iter().map(|id| id.0.to_vec()))
        .chain(ids.iter().map(|id| id.to_string().into_bytes()))
        .collect();
    let (mut looked_at, mut found) = (0, Vec::new());
    let is_in = |bytes: &[u8], secret: &[u8]| {
        bytes.iter().enumerate().any(|(at, byte)| *byte == secret[0] && bytes[at..].starts_with(secret))
    };
    for path in files_below(&fixture.store_dir()) {
        let bytes = fs::read(&path).expect("read");
        let shown = path.to_string_lossy().into_owned();
        // Pages are packed: what is in them counts.
        let plain = zstd::bulk::decompress(&bytes, 1 << 20).unwrap_or_default();
        for secret in &secrets {
            if [&bytes, &plain].into_iter().any(|bytes| is_in(bytes, secret))
                || is_in(shown.as_bytes(), secret)
            {
                found.push((shown.clone(), secret.clone()));
            }
        }
        looked_at += 1;
    }
    assert!(looked_at > 10);
    assert_eq!(found, []);
    // The search finds what is there: of the plain store, each secret but what is compressed or only a name.
    let all: Vec<Vec<u8>> =
        files_below(&plain.store_dir()).iter().map(|path| fs::read(path).expect("read")).collect();
    assert!(secrets[..3].iter().all(|secret| all.iter().any(|bytes| is_in(bytes, secret))));
}

#[tokio::test]
async fn sizes_tell_little_and_two_builds_nothing() {
    let (fixture, sealed) = prepared().await;
    let root = root_of(&fixture, sealed.root);
    let files = chunks_of(&fixture, &root);
    let names: Vec<_> = files.iter().map(|(path, ..)| path.as_str()).collect();
    let mut from: Vec<_> = fixture
        .objects("versions")
        .iter()
        .filter(|version| !version.contains("sealed"))
        .map(|version| {
            let text = fs::read(fixture.content_dir().join("versions").join(version)).expect("read");
            let document: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            format!("from/{}", document["root"].as_str().expect("text"))
        })
        .collect();
    from.sort_unstable();
    assert_eq!(names, [from[0].as_str(), &from[1], "full", "inner"]);
    let chunk_bytes = root.chunker.bytes_max;
    for (path, size, chunks) in &files {
        assert!(chunks.iter().all(|(_, bytes)| *bytes == chunk_bytes), "{path}");
        let count = chunks.len() as u64;
        assert_eq!((*size, freshet_protocol::padded_chunks(count)), (count * u64::from(chunk_bytes), count));
    }
    let least = 3_000_000_u64.div_ceil(u64::from(chunk_bytes - SEAL_BYTES));
    assert!(files[2].2.len() as u64 >= least);

    let ids = |files: &[Listed]| -> BTreeSet<ChunkId> {
        files.iter().flat_map(|(_, _, chunks)| chunks.iter().map(|(id, _)| *id)).collect()
    };
    let one = ids(&files);
    assert_eq!(one.len() as u32, root.chunks, "no two are alike");
    // The same, but for a byte.
    let mut big = fs::read(fixture.build().join("big")).expect("read");
    big[2_000_000] ^= 1;
    fixture.write("big", &big);
    let other = seal(&fixture, "3b").await.expect("sealed");
    let other = ids(&chunks_of(&fixture, &root_of(&fixture, other.root)));
    assert_eq!(one.intersection(&other).count(), 0);
}

#[tokio::test]
async fn sealing_goes_on_after_a_kill_with_the_same_key() {
    let fixture = Fixture::new();
    build(&fixture, 1);
    fixture.publish("1").await.expect("published");
    build(&fixture, 2);
    let before = pointer(&fixture);
    let mut polls = 1;
    loop {
        let sealing = seal(&fixture, "2");
        match (Polls { future: Box::pin(sealing), left: polls }).await {
            Some(sealed) => break drop(sealed.expect("sealed")),
            // What was under way may have ended by itself.
            None => assert!(pointer(&fixture) == before || pointer(&fixture).preload.is_some()),
        }
        polls += polls.div_ceil(3);
    }
    assert_stored_once(&fixture);
    let keys = files_below(&fixture.keys_dir().join("sealed"));
    assert_eq!(keys.len(), 1, "{keys:?}");
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);

    // Opened the same way.
    let mut polls = 1;
    loop {
        let opening = open(&fixture, "2");
        match (Polls { future: Box::pin(opening), left: polls }).await {
            Some(opened) => break drop(opened.expect("opened")),
            None => {
                assert_eq!(pointer(&fixture).unsealed.is_some(), pointer(&fixture).version.as_str() == "2")
            }
        }
        polls += polls.div_ceil(3);
    }
    assert_stored_once(&fixture);
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
}

#[tokio::test]
async fn another_build_gets_another_key() {
    let fixture = Fixture::new();
    build(&fixture, 1);
    fixture.publish("1").await.expect("published");
    // Killed before anything was said of it.
    build(&fixture, 2);
    let sealed = seal(&fixture, "2").await.expect("sealed");
    let key = pointer_key(&fixture, &sealed);
    fs::remove_file(fixture.content_dir().join("versions/2-sealed")).expect("removed");
    fixture.write("words", b"other words");
    let other = seal(&fixture, "2").await.expect("sealed");
    assert_ne!(pointer_key(&fixture, &other), key);
    // Once it is out, it stays what it is.
    fixture.write("words", b"more words");
    assert!(matches!(seal(&fixture, "2").await, Err(PublishError::VersionTaken)));
    fixture.write("words", b"other words");
    let again = seal(&fixture, "2").await.expect("the same");
    assert_eq!((again.root, again.sequence), (other.root, other.sequence));
    // Another time is a word of the channel alone.
    let earlier = SealOptions { opens: 5, ..sealing(&fixture, "2") };
    let earlier = publish_sealed(earlier, &mut |_| {}).await.expect("the same");
    assert_eq!((earlier.root, earlier.sequence), (other.root, other.sequence + 1));
    assert_eq!(pointer(&fixture).preload.expect("told").opens, 5);
    let (channel, version) = (fixture.channel(), "2".parse().expect("name"));
    unseal(UnsealOptions { channel, version, opening: Opening::AsPublished }).await.expect("it is time");
}

fn pointer_key(fixture: &Fixture, sealed: &SealedPublished) -> Hash {
    root_of(fixture, sealed.root).sealed.expect("sealed").key_hash
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let (fixture, sealed) = prepared().await;
    let check = |error: PublishError, expected: &str| {
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(seal(&fixture, "2").await.expect_err("is open"), "is published already");
    check(seal(&fixture, &"x".repeat(60)).await.expect_err("too long"), "at most 57");
    check(open(&fixture, "9").await.expect_err("none"), "version 9 is not sealed here");
    let to = PromoteTo::Version("3-sealed".parse().expect("name"));
    let promoted = promote(PromoteOptions::new(fixture.channel(), to)).await;
    check(promoted.expect_err("nothing to be installed"), "`unseal` opens");
    let mut fresh = sealing(&fixture, "4");
    fresh.publish.channel.name = "beta".parse().expect("name");
    check(publish_sealed(fresh, &mut |_| {}).await.expect_err("shows nothing"), "channel beta shows nothing");

    let key_file = sealed.key_file.expect("kept");
    let key = fs::read_to_string(&key_file).expect("read");
    fs::remove_file(&key_file).expect("removed");
    check(open(&fixture, "3").await.expect_err("no key"), "copy it from the machine that sealed it");
    let other = key.replace("\"key\":\"", "\"key\":\"00").replacen("00", "11", 1);
    fs::write(&key_file, other).expect("written");
    check(open(&fixture, "3").await.expect_err("a bad key"), "holds no key of a sealed release");
    fs::write(&key_file, key).expect("written");
    // A pack that is damaged.
    for pack in fixture.objects("packs").iter().filter(|name| !name.contains('.')) {
        let path = fixture.content_dir().join("packs").join(pack);
        let mut bytes = fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("written");
    }
    check(open(&fixture, "3").await.expect_err("damaged"), "does not open");
    assert_eq!(pointer(&fixture).version.as_str(), "2");
}

#[tokio::test]
async fn a_channel_goes_on_meanwhile() {
    let (fixture, sealed) = prepared().await;
    let told = pointer(&fixture).preload;
    build(&fixture, 2);
    fixture.write("hotfix", b"a small one");
    fixture.publish("2.1").await.expect("published");
    let now = pointer(&fixture);
    assert_eq!((now.version.as_str(), &now.preload), ("2.1", &told), "it is still to come");
    let opened = open(&fixture, "3").await.expect("opened");
    let now = pointer(&fixture);
    let from: Vec<_> = opened.updates.iter().map(|update| update.version.as_str()).collect();
    assert_eq!(from, ["2.1"], "made now, since nobody knew of it then");
    assert_eq!(now.patches.len(), 3);
    assert_eq!(now.unsealed.map(|unsealed| unsealed.root), Some(sealed.root));
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
    // The same version in the open ends what was prepared.
    let (fixture, _) = prepared().await;
    publish(fixture.options("3")).await.expect("published");
    assert_eq!((pointer(&fixture).preload, pointer(&fixture).unsealed), (None, None));
}

#[tokio::test]
async fn gc_keeps_what_is_to_come_and_what_was_opened() {
    let (fixture, _) = prepared().await;
    let collect = async || {
        let (store, grace) = (fixture.store(), Duration::ZERO);
        let options = GcOptions { store, content: None, keep: 0, grace, is_delete: true };
        let collected = gc(&options).await.expect("collected").remove(0);
        collected.removed.iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(collect().await, [""; 0]);
    open(&fixture, "3").await.expect("opened");
    assert_eq!(collect().await, [""; 0]);
    let listed = list(&fixture.store()).await.expect("listed").remove(0);
    let sealed: Vec<_> = listed.versions.iter().filter(|version| version.sealed_until.is_some()).collect();
    assert_eq!(sealed.len(), 1);
    assert_eq!((sealed[0].version.as_str(), sealed[0].sealed_until), ("3-sealed", Some(LATE)));
    build(&fixture, 4);
    fixture.publish("4").await.expect("published");
    assert_eq!(collect().await, ["3-sealed"]);
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let fixture = Fixture::new();
    build(&fixture, 1);
    fixture.publish("1").await.expect("published");
    build(&fixture, 2);
    let before = (describe(&fixture.store_dir()), describe(&fixture.keys_dir()));
    let mut options = sealing(&fixture, "2");
    options.publish.channel.dry_run = true;
    let sealed = publish_sealed(options, &mut |_| {}).await.expect("tried");
    assert!(sealed.dry_run && sealed.key_file.is_none());
    let files: Vec<_> =
        sealed.files.iter().map(|file| file.from.as_ref().map(|name| name.as_str())).collect();
    assert_eq!(files, [Some("1"), None, None]);
    assert!(sealed.files[0].bytes < sealed.files[1].bytes, "{:?}", sealed.files);
    assert_eq!((describe(&fixture.store_dir()), describe(&fixture.keys_dir())), before);

    seal(&fixture, "2").await.expect("sealed");
    let before = (describe(&fixture.store_dir()), describe(&fixture.keys_dir()));
    let (mut channel, version) = (fixture.channel(), "2".parse().expect("name"));
    channel.dry_run = true;
    let opened =
        unseal(UnsealOptions { channel, version, opening: Opening::AsPublished }).await.expect("tried");
    assert!(opened.dry_run);
    assert_eq!((describe(&fixture.store_dir()), describe(&fixture.keys_dir())), before);
}

#[tokio::test]
async fn keys_stay_out_of_the_store_until_the_time() {
    let (fixture, sealed) = prepared().await;
    let text = fs::read_to_string(sealed.key_file.expect("kept")).expect("read");
    let kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let key = kept["key"].as_str().expect("text").as_bytes();
    let raw: Vec<u8> = key
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("digits"))
        .collect();
    for path in files_below(&fixture.store_dir()) {
        let bytes = fs::read(&path).expect("read");
        let is_there = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!is_there(key) && !is_there(&raw), "{}", path.display());
    }
    // It waits for the time that it is told.
    let at =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() + 2;
    let (channel, version) = (fixture.channel(), "3".parse().expect("name"));
    unseal(UnsealOptions { channel, version, opening: Opening::At(at) }).await.expect("opened");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(now >= at);
}
