//! The program itself: exit codes, signals, and what only another user or a small disk shows.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::crooked::{Crooked, Manner};
use crate::site::{CONTENT, Site};
use crate::tree::{assert_same, make_sample};
#[cfg(target_os = "linux")]
use crate::tree::{noise, write};

/// `freshet-node get` with the arguments that every call here needs.
pub(crate) fn node(site: &Site, base: &str, target: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-node"));
    command.arg("get").arg(format!("{}/{CONTENT}/channels/live", base.trim_end_matches('/')));
    command.arg("--key").arg(site.key().to_string()).arg("--into").arg(target);
    command.args(["--no-p2p", "--json", "--log", "warn", "--give-up-after", "3s"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Reads the child's JSON lines until one fits.
pub(crate) fn wait_for_line(
    child: &mut Child,
    fits: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let stdout = child.stdout.take().expect("piped");
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("readable") > 0, "it ended before the line came");
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if fits(&value) {
            child.stdout = Some(reader.into_inner());
            return value;
        }
    }
}

fn last_line(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON")
}

async fn wait(command: &mut Command) -> Output {
    let child = command.spawn().expect("starts");
    tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("no panic").expect("ends")
}

async fn published() -> Site {
    let site = Site::new();
    let source = site.source("1");
    make_sample(&source);
    site.publish(&source, "1.0").await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn says_how_it_ended() {
    let site = published().await;
    let origin = site.serve().await;
    let report = site.folder.path().join("report.json");
    let output = wait(node(&site, &origin.url(), &site.target("a")).arg("--report-file").arg(&report)).await;
    assert_eq!(output.status.code(), Some(0));
    let last = last_line(&output);
    assert_eq!((&last["event"], &last["installed"]), (&"done".into(), &true.into()));
    assert_eq!(last["bytes"]["peer"], 0);
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&report).expect("written")).expect("JSON");
    assert_eq!(written, last);
    assert_same(&site.source("1"), &site.target("a"));

    let output = wait(node(&site, "http://127.0.0.1:9", &site.target("b")).arg("--quiet")).await;
    assert_eq!(output.status.code(), Some(10));
    let last = last_line(&output);
    assert_eq!((&last["event"], &last["code"]), (&"failed".into(), &10.into()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "one sentence: {stderr}");

    let output = wait(node(&site, "ftp://x", &site.target("b")).arg("--quiet")).await;
    assert_eq!(output.status.code(), Some(2));
    let output = wait(node(&site, &origin.url(), &site.target("b")).arg("--nonsense")).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_keep_out_of_each_others_way() {
    let site = published().await;
    let mut held = Crooked::start(&site.store_folder(), Manner::HoldsAfter { bytes: 0 }).await;
    let mut first = node(&site, &held.url(), &site.target("a")).spawn().expect("starts");
    held.holds().await;
    let origin = site.serve().await;
    let output = wait(&mut node(&site, &origin.url(), &site.target("a"))).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process works on"));
    first.kill().expect("runs");
    first.wait().expect("ends");
    let output = wait(&mut node(&site, &origin.url(), &site.target("a"))).await;
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_soon_with_its_state_kept() {
    let site = published().await;
    let mut held = Crooked::start(&site.store_folder(), Manner::HoldsAfter { bytes: 2_000_000 }).await;
    let mut child = node(&site, &held.url(), &site.target("a")).spawn().expect("starts");
    held.holds().await;
    let child = tokio::task::spawn_blocking(move || {
        wait_for_line(&mut child, |line| line["bytes"]["origin"].as_u64() > Some(1_000_000));
        child
    })
    .await
    .expect("the line comes");
    let asked = std::time::Instant::now();
    let status = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(status.success());
    let output =
        tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("no panic").expect("ends");
    assert!(asked.elapsed() < std::time::Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(output.status.code(), Some(143));
    let last = last_line(&output);
    assert_eq!(last["event"], "failed");
    let kept = last["bytes"]["origin"].as_u64().expect("number");
    assert!(kept > 1_000_000, "{kept}");
    let origin = site.serve().await;
    let output = wait(&mut node(&site, &origin.url(), &site.target("a"))).await;
    assert_eq!(output.status.code(), Some(0));
    assert!(last_line(&output)["bytes"]["local"].as_u64().expect("number") >= kept);
}

/// What needs a right that is missing says so loudly, and fails where everything must run.
#[cfg(unix)]
pub(crate) fn not_run(what: &str) {
    eprintln!("NOT RUN: needs {what}");
    assert!(std::env::var_os("CI").is_none(), "NOT RUN: needs {what}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    let site = published().await;
    let origin = site.serve().await;
    let target = site.target("small");
    std::fs::create_dir_all(&target).expect("made");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&target).status();
    if !mount.is_ok_and(|status| status.success()) {
        return not_run("root, to mount a small tmpfs");
    }
    let output = wait(&mut node(&site, &origin.url(), &target)).await;
    let remount = Command::new("mount").args(["-o", "remount,size=40m"]).arg(&target).status();
    let again = wait(&mut node(&site, &origin.url(), &target)).await;
    // Filled by somebody else while the download runs.
    let filled = fill_while_fetching(&site, &target).await;
    let unmount = Command::new("umount").arg(&target).status();
    assert_eq!(output.status.code(), Some(13), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("free some space"));
    assert!(remount.is_ok_and(|status| status.success()));
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(filled.status.code(), Some(13), "{}", String::from_utf8_lossy(&filled.stderr));
    assert!(unmount.is_ok_and(|status| status.success()));
}

#[cfg(target_os = "linux")]
async fn fill_while_fetching(site: &Site, mount: &Path) -> Output {
    let source = site.source("2");
    write(&source, "huge.bin", &noise(77, 12_000_000));
    site.publish(&source, "2.0").await;
    let mut gate = Crooked::start(&site.store_folder(), Manner::HoldsAfter { bytes: 0 }).await;
    let child = node(site, &gate.url(), &mount.join("second")).spawn().expect("starts");
    gate.holds().await;
    // More than there is room for: this write ends where the disk is full.
    let _ = std::fs::write(mount.join("filler"), vec![1; 60_000_000]);
    gate.release();
    tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("no panic").expect("ends")
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_told() {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let site = published().await;
    let origin = site.serve().await;
    let folder = site.target("");
    std::fs::create_dir_all(&folder).expect("made");
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc")) == 0;
    if !is_root {
        return not_run("root, to become nobody");
    }
    // The program itself lies where only its owner may look.
    let open = tempfile::tempdir_in("/tmp").expect("folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(open.path(), mode).expect("set");
    let program = open.path().join("freshet-node");
    std::fs::copy(env!("CARGO_BIN_EXE_freshet-node"), &program).expect("copied");
    let inner = open.path().join("read-only");
    std::fs::create_dir(&inner).expect("made");
    let template = node(&site, &origin.url(), &inner);
    let mut command = Command::new(&program);
    command.args(template.get_args()).uid(NOBODY).gid(NOBODY).current_dir("/");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = wait(&mut command).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{stderr}");
    assert!(stderr.contains("cannot be written"), "{stderr}");
}
