//! The program as operators run it: commands, exit codes, signals, memory, rights.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use freshet_origin::{Counters, Store, StreamKey, scrub};
use serde_json::Value;

use super::client::{HttpClient, http};
use super::fixture::{Fixture, describe, noise};
use super::resume::{assert_stored_once, stored_chunks};

/// An account without rights, on every Unix.
const NOBODY: u32 = 65534;
/// What publishing may take, in KiB.
const RESIDENT_KIB_MAX: u64 = 200 << 10;
/// The same where all is encrypted, too. Some 80 MiB are in use at a time; as much again the allocator keeps for each of the
/// threads through which it went.
const SEALING_KIB_MAX: u64 = 300 << 10;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-origin"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn publish_command(fixture: &Fixture, version: &str) -> Command {
    let mut command = program(&["publish", "--json", "--content", "game/demo", "--version", version]);
    command.arg(fixture.build());
    command.arg("--keys-dir").arg(fixture.keys_dir()).arg("--store").arg(fixture.store_dir());
    command
}

fn last_json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("the last line is JSON")
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn from_keys_to_scrub() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 1_000_000));
    let keys = program(&["keys", "--tenant", "game", "--json", "--keys-dir", path_text(&fixture.keys_dir())])
        .output();
    let keys = last_json(&keys.expect("run"));
    let key = keys["key"].as_str().expect("key");
    assert_eq!(key, fixture.tenant_key().to_string());
    let mut more =
        program(&["keys", "--tenant", "game", "--json", "--keys-dir", path_text(&fixture.keys_dir())]);
    let added = last_json(&more.arg("--add-stream").output().expect("run"));
    let stream = StreamKey::load(&StreamKey::default_path(&fixture.keys_dir())).expect("made");
    assert_eq!(added["streams"], serde_json::json!([stream.public()]));
    let published = last_json(&publish_command(&fixture, "1.0").output().expect("run"));
    assert_eq!((&published["version"], &published["bytes"]), (&Value::from("1.0"), &Value::from(1_000_000)));
    for field in ["root", "chunks", "new_chunks", "stored_bytes", "sequence"] {
        assert!(!published[field].is_null(), "{field}: {published}");
    }
    let store = fixture.store_dir();
    let on_store = |command: &str, more: &[&str]| {
        let output = program(&[command, "--store", path_text(&store)]).args(more).output().expect("run");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(on_store("ls", &[]).contains("channel live: shows 1.0 (sequence 1) until 2"));
    assert!(
        on_store("gc", &["--keep", "1"]).contains("would remove versions none, with 0 packs among 0 objects")
    );
    assert!(on_store("scrub", &["--key", key]).contains("1 versions, 1 pages"));

    let pack = fixture.objects("packs").remove(0);
    fs::write(fixture.content_dir().join("packs").join(&pack), vec![0; 1_000_000]).expect("damaged");
    let output = program(&["scrub", "--store", path_text(&store)]).output().expect("run");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&pack));
}

#[test]
fn bad_input_is_one_sentence_and_a_code() {
    let fixture = Fixture::new();
    fixture.write("aux", b"x");
    fs::write(fixture.folder.path().join("file"), b"x").expect("written");
    let (keys, build, store) = (fixture.keys_dir(), fixture.build(), fixture.store_dir());
    let file = fixture.folder.path().join("file");
    let (keys, build, store, file) =
        (path_text(&keys), path_text(&build), path_text(&store), path_text(&file));
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = program(arguments).output().expect("run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    };
    let publish = |more: &[&'static str]| {
        let mut all = vec!["publish", build, "--store", store, "--content", "game/demo", "--version", "1"];
        all.extend(more);
        all
    };
    let keys_wrong = [&publish(&[])[..], &["--keys-dir", build]].concat();
    let keys_good = |more: &[&'static str]| [&publish(more)[..], &["--keys-dir", keys]].concat();
    check(&[], 2, "Usage");
    check(&["publish"], 2, "required arguments");
    check(&keys_wrong, 2, "make keys with `freshet-origin keys");
    check(&keys_good(&["--chunk-avg", "1M"]), 2, "must be 16K to 512K");
    check(&keys_good(&["--expires", "1s"]), 2, "one minute to ten years");
    check(&keys_good(&["--tracker", "http://x"]), 2, "ws:// or wss://");
    check(&keys_good(&[]), 1, "aux has a part that Windows reserves");
    check(&["serve", "--store", file], 2, "cannot use this folder");
    check(&["serve", "--store", "ftp://x"], 2, "a store is a folder, s3://bucket/prefix or https://host/");
    check(&["serve", "--store", store, "--listen", "nowhere"], 2, "invalid socket address");
    for mbit in ["0", "10000001"] {
        check(&["serve", "--store", store, "--line-mbit", mbit], 2, "--line-mbit");
        check(&["serve", "--store", store, "--bandwidth-mbit-max", mbit], 2, "--bandwidth-mbit-max");
    }
    check(&["serve", "--store", store, "--requests-per-s-max", "0"], 2, "--requests-per-s-max");
    check(&["serve", "--store", store, "--tls-cert", file], 2, "--tls-key <FILE>");
    let tls = |cert: &'static str| vec!["serve", "--store", store, "--tls-cert", cert, "--tls-key", file];
    check(&tls("/nothing.pem"), 2, "cannot read /nothing.pem: No such file");
    check(&tls("/dev/null"), 2, "/dev/null holds no certificate");
    check(&["serve", "--store", store, "--trusted-proxy", "proxy"], 2, "must be an address such as");
    check(&["serve", "--store", store, "--listen", "192.0.2.1:1"], 2, "choose another with --listen");
    let unwritable = format!("{file}/ready");
    check(
        &["serve", "--store", store, "--listen", "127.0.0.1:0", "--ready-file", &unwritable],
        2,
        "cannot write",
    );
    check(&["ls", "--store", store, "--log", "x=y=z"], 2, "--log");
    check(&["ls", "--store", "http://example.test/"], 2, "set FRESHET_STORE_TOKEN");
    let short = fixture.folder.path().join("short");
    fs::write(&short, "short\n").expect("written");
    check(&["receive", "--store", store], 2, "--token-file <FILE>");
    check(&["receive", "--store", store, "--token-file", "/nonexistent"], 2, "cannot read /nonexistent");
    check(&["receive", "--store", store, "--token-file", path_text(&short)], 2, "at least 8 bytes");
    let stream = |command: &'static str, more: &[&'static str]| {
        let mut all = vec![command, "--store", store, "--content", "game/show", "--keys-dir", keys];
        all.extend(more);
        all
    };
    check(&["publish-hls", build, "--store", store, "--content", "game/show"], 2, "--key <FILE>");
    check(&stream("publish-hls", &["."]), 2, "stream.seed does not exist; make keys with");
    check(&["keys", "--tenant", "game", "--keys-dir", keys, "--add-stream"], 0, "1 stream keys");
    check(&stream("publish-hls", &[".", "--master", "../x"]), 2, "\"..\" part");
    check(&stream("publish-hls", &[".", "--master", "none.m3u8"]), 1, "cannot read ./none.m3u8");
    check(&stream("ingest", &["--listen", "0.0.0.0:0"]), 2, "give --token-file");
    check(&stream("ingest", &["--token-file", "/nonexistent"]), 2, "cannot read /nonexistent");
    check(&stream("ingest", &["--watch", "/nonexistent"]), 2, "cannot watch /nonexistent");
    check(&stream("ingest", &["--tracker", "http://x"]), 2, "ws:// or wss://");
    check(&stream("ingest", &["--dvr", "0s"]), 2, "one second to 366 days");
    check(&stream("index", &[]), 2, "--watch <DIR>|--playlist <URL>");
    check(&stream("index", &["--playlist", "nowhere"]), 2, "is not an address");
    check(
        &stream("index", &["--playlist", "http://127.0.0.1:9/a.m3u8"]),
        1,
        "playlist http://127.0.0.1:9/a.m3u8:",
    );
    check(&["keys", "--tenant", "Game", "--keys-dir", keys], 2, "tenant \"Game\" must be of a-z");
    check(&["keys", "--tenant", "site", "--keys-dir", keys], 2, "holds the keys of tenant \"game\"");
    check(&["keys", "--tenant", "game", "--keys-dir", keys, "--add-tracker", "x"], 2, "a key starts with");
    check(
        &["keys", "--tenant", "game", "--keys-dir", keys, "--add-stream", "ed25519:x"],
        2,
        "a key ends with",
    );
    check(&["keys", "--tenant", "game", "--keys-dir", keys, "--add-stream", build], 2, "cannot read");
}

/// The origin as a process, killed if the test ends early.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("started");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("piped");
        BufReader::with_capacity(1, stdout).read_line(&mut line).expect("an address");
        Self { child, url: format!("http://{}/", line.trim()) }
    }

    fn stop(mut self) -> Output {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(stopped.success());
        let status = self.child.wait().expect("ended");
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.child.stdout.take().expect("piped").read_to_end(&mut stdout).expect("read");
        self.child.stderr.take().expect("piped").read_to_end(&mut stderr).expect("read");
        Output { status, stdout, stderr }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn serves_tells_and_stops() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 1_000_000));
    fixture.publish("1.0").await.expect("published");
    let (ready, report) = (fixture.folder.path().join("ready"), fixture.folder.path().join("report"));
    let mut command =
        program(&["serve", "--listen", "127.0.0.1:0", "--store", path_text(&fixture.store_dir())]);
    command.arg("--ready-file").arg(&ready).arg("--report-file").arg(&report);
    let served = Served::start(command);
    let installed = tempfile::tempdir().expect("folder");
    HttpClient::new(served.url.clone()).install(fixture.tenant_key(), installed.path()).await;
    assert_eq!(describe(installed.path()), describe(&fixture.build()));
    let ready: Value = serde_json::from_slice(&fs::read(ready).expect("ready")).expect("JSON");
    assert_eq!(ready["url"], Value::from(served.url.as_str()));
    let output = served.stop();
    assert!(output.status.success(), "{output:?}");
    let printed: Counters = serde_json::from_value(last_json(&output)).expect("counters");
    let reported: Counters = serde_json::from_slice(&fs::read(report).expect("report")).expect("JSON");
    assert_eq!(printed, reported);
    assert_eq!((printed.pack.body_bytes, printed.pointer.requests), (1_000_000, 1));
}

#[tokio::test]
async fn takes_in_what_another_machine_publishes() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 1_000_000));
    let path = |name: &str| fixture.folder.path().join(name);
    let (token, cert, key, store) = (path("token"), path("cert.pem"), path("key.pem"), path("elsewhere"));
    fs::write(&token, "a long token\n").expect("written");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    fs::write(&cert, made.cert.pem()).expect("written");
    fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let mut command = program(&["receive", "--listen", "127.0.0.1:0", "--store", path_text(&store)]);
    command.arg("--token-file").arg(&token).arg("--tls-cert").arg(&cert).arg("--tls-key").arg(&key);
    let receive = Served::start(command);
    let url = receive.url.replace("http:", "https:");
    let publish = |token: Option<&str>, trusted: &Path| {
        let mut command = program(&["publish", "--content", "game/demo", "--version", "1", "--json"]);
        command.arg(fixture.build()).arg("--keys-dir").arg(fixture.keys_dir()).arg("--store").arg(&url);
        command.env("SSL_CERT_FILE", trusted).env_remove("FRESHET_STORE_TOKEN");
        command.envs(token.map(|token| ("FRESHET_STORE_TOKEN", token))).output().expect("run")
    };
    let check = |output: &Output, code: i32, expected: &str| {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(expected), "{errors}");
    };
    check(&publish(None, &cert), 2, "set FRESHET_STORE_TOKEN");
    check(&publish(Some("another token"), &cert), 1, "the token is missing or wrong");
    check(&publish(Some("a long token"), &cert), 0, "");
    assert_eq!(scrub(&Store::open(path_text(&store)).expect("store"), None).await.expect("read").versions, 1);
    let output = receive.stop();
    assert!(output.status.success(), "{output:?}");
    let received = last_json(&output);
    assert!(received["bytes"].as_u64() > Some(1_000_000) && received["refused"] == 1, "{received}");
}

#[tokio::test]
async fn takes_in_a_stream_and_stops() {
    let fixture = Fixture::new();
    let keys = fixture.keys_dir();
    let add = program(&["keys", "--tenant", "game", "--keys-dir", path_text(&keys), "--add-stream"]).output();
    assert!(add.expect("run").status.success());
    let (ready, token) = (fixture.folder.path().join("ready"), fixture.folder.path().join("token"));
    fs::write(&token, "a long token\n").expect("written");
    let store = fixture.store_dir();
    let mut command =
        program(&["ingest", "--listen", "127.0.0.1:0", "--serve", "127.0.0.1:0", "--content", "game/show"]);
    command.arg("--store").arg(&store).arg("--keys-dir").arg(&keys);
    command.arg("--ready-file").arg(&ready).arg("--token-file").arg(&token);
    let ingest = Served::start(command);
    while !ready.exists() {
        tokio::task::yield_now().await;
    }
    let told: Value = serde_json::from_slice(&fs::read(ready).expect("ready")).expect("JSON");
    let put = async |name: &str, body: &'static str| {
        let url = format!("{}game/show/media/{name}", ingest.url);
        let request = http().put(url).header("authorization", "Bearer a long token").body(body);
        assert_eq!(request.send().await.expect("answered").status(), 204, "{name}");
    };
    put("0.ts", "segment").await;
    put("a.m3u8", "#EXTM3U\n#EXTINF:2,\n0.ts\n").await;
    let served = format!("{}game/show/media/0.ts", told["url"].as_str().expect("an address"));
    assert_eq!(http().get(served).send().await.expect("answered").text().await.expect("text"), "segment");
    let output = ingest.stop();
    assert!(output.status.success(), "{output:?}");
    let counters: Counters = serde_json::from_value(last_json(&output)).expect("counters");
    assert_eq!(counters.media.body_bytes, 7);
}

#[tokio::test]
async fn a_read_only_store_is_served_and_not_published_to() {
    let fixture = Fixture::new();
    fixture.write("data", b"0123456789");
    fixture.publish("1.0").await.expect("published");
    fixture.write("data", b"9876543210");
    // Root writes wherever it likes, so the program runs as nobody, who may read all and write nothing.
    let opened = Command::new("chmod").arg("-R").arg("a+rX,go-w").arg(fixture.folder.path()).status();
    assert!(opened.expect("chmod").success());
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let copy = fixture.folder.path().join("freshet-origin");
    fs::copy(env!("CARGO_BIN_EXE_freshet-origin"), &copy).expect("copied");
    let as_reader = |command: Command| {
        let mut reader = Command::new(&copy);
        reader.args(command.get_args()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if is_root {
            reader.uid(NOBODY).gid(NOBODY);
        } else {
            set_read_only(&fixture.store_dir());
        }
        reader
    };
    let store = fixture.store_dir();
    let serve = program(&["serve", "--listen", "127.0.0.1:0", "--store", path_text(&store)]);
    let served = Served::start(as_reader(serve));
    let body = http().get(format!("{}game/demo/files/1.0/data", served.url)).send().await.expect("answered");
    assert_eq!(body.text().await.expect("text"), "0123456789");
    assert!(served.stop().status.success());
    let output = as_reader(publish_command(&fixture, "1.1")).output().expect("run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{errors}");
    assert!(errors.contains("Permission denied") && errors.lines().count() == 1, "{errors}");
}

fn set_read_only(folder: &Path) {
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            set_read_only(&path);
        }
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }
}

/// Runs to the end, and returns the most memory that was resident, in KiB.
#[cfg(target_os = "linux")]
fn resident_kib(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    // VmHWM only grows, so the last value seen is the one that counts. Each line of output is a moment to look.
    for _line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kib = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        most = most.max(kib);
    }
    assert!(child.wait().expect("ended").success());
    most
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded() {
    let fixture = Fixture::new();
    fixture.write("noise", &noise(1, 256 << 20));
    let zeros = fs::File::create(fixture.build().join("zeros")).expect("made");
    zeros.set_len(64 << 20).expect("sparse");
    let most = resident_kib(publish_command(&fixture, "1").spawn().expect("started"));
    assert!((1..RESIDENT_KIB_MAX).contains(&most), "{most} KiB resident");
}

#[cfg(target_os = "linux")]
#[test]
fn sealing_and_opening_are_said_and_bounded() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 1_000_000));
    let sealed = |version: &str, more: &[&str]| {
        let mut command = publish_command(&fixture, version);
        command.args(more);
        command
    };
    let refused = |more: &[&str], expected: &str| {
        let output = sealed("2", more).output().expect("run");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), text.contains(expected)), (Some(2), true), "{text}");
    };
    refused(&["--sealed"], "--opens");
    refused(&["--opens", "7d"], "--sealed");
    refused(&["--sealed", "--opens", "tomorrow"], "no time like");
    refused(&["--sealed", "--opens", "7d"], "shows nothing");
    assert!(publish_command(&fixture, "1").status().expect("run").success());
    refused(&["--sealed", "--opens", "7d", "--version", "1"], "cannot be used multiple times");

    fixture.write("data", &noise(2, 200 << 20));
    let mut sealing = sealed("2", &["--sealed", "--opens", "1h"]);
    let most = resident_kib(sealing.stderr(Stdio::inherit()).spawn().expect("started"));
    assert!((1..SEALING_KIB_MAX).contains(&most), "{most} KiB resident");
    let again = last_json(&sealed("2", &["--sealed", "--opens", "1h"]).output().expect("run"));
    assert_eq!((&again["sealed_version"], &again["new_chunks"]), (&Value::from("2-sealed"), &Value::from(0)));
    let store = fixture.store_dir();
    let ls = program(&["ls", "--store", path_text(&store)]).output().expect("run");
    let listed = String::from_utf8_lossy(&ls.stdout).into_owned();
    assert!(
        listed.contains("version 2-sealed (sealed until") && listed.contains("prepares 2 for"),
        "{listed}"
    );
    let mut unseal = program(&["unseal", "--json", "--content", "game/demo", "--version", "2", "--now"]);
    unseal.arg("--keys-dir").arg(fixture.keys_dir()).arg("--store").arg(&store);
    assert!(unseal.status().expect("run").success());
    let ls = last_json(&program(&["ls", "--json", "--store", path_text(&store)]).output().expect("run"));
    assert_eq!(ls["channels"][0]["version"], Value::from("2"));
}

#[tokio::test]
async fn killed_it_resumes() {
    let fixture = Fixture::new();
    fixture.write("data", &noise(1, 200 << 20));
    let mut stored = 0;
    for packs in 1..=2 {
        // A line is printed when a pack is complete: the first, and in the next run the second.
        let mut child = publish_command(&fixture, "1").spawn().expect("started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a pack");
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(stored_chunks(&fixture).len() > stored, "run {packs} stored something");
        stored = stored_chunks(&fixture).len();
        assert_eq!(fixture.objects("channels"), [""; 0]);
        assert_eq!(fixture.objects("versions"), [""; 0]);
    }
    // Killed at another moment it leaves a file that it has not finished; this one is sure to be there.
    fs::write(fixture.content_dir().join("packs").join("ab".repeat(16) + "#1"), b"unfinished")
        .expect("written");
    let output =
        program(&["gc", "--keep", "1", "--delete", "--json", "--store", path_text(&fixture.store_dir())])
            .output();
    let collected = last_json(&output.expect("run"));
    assert_eq!(collected["objects"], Value::from(0), "complete packs stay: {collected}");
    assert!(collected["abandoned"].as_u64() >= Some(1), "{collected}");
    assert!(!fixture.objects("packs").iter().any(|name| name.contains('#')));
    let published = last_json(&publish_command(&fixture, "1").output().expect("run"));
    let numbers = ["chunks", "new_chunks"].map(|field| published[field].as_u64().expect("number"));
    assert_eq!(numbers[0] - numbers[1], stored as u64);
    assert_stored_once(&fixture);
    let scrubbed = scrub(&fixture.store(), Some(fixture.tenant_key())).await.expect("scrubbed");
    assert_eq!(scrubbed.damages, []);
}
