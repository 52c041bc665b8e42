//! An update that the power cut, or a kill at a step of its journal, ends: the next start finds the old version or the new
//! one, whole.

mod disk;
mod trace;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use freshet_edge_node::{GetOptions, Preload, verify};
use freshet_origin::Serving;
use tokio_util::sync::CancellationToken;

use crate::program::node;
use crate::site::{Site, installed, run};
use crate::tree::{assert_same, files_below, noise, write};
use disk::Disk;
use trace::Call;

/// Power cuts that are tried, unless the variable says otherwise.
const CUTS: usize = 120;
const CUTS_VARIABLE: &str = "FRESHET_POWER_CUTS";
/// Decides what a power cut leaves, and when kills come.
const SEED_VARIABLE: &str = "FRESHET_SEED";
/// Kills at random instants, unless the variable says otherwise.
const KILLS: usize = 24;
const KILLS_VARIABLE: &str = "FRESHET_KILLS";

/// Two versions that differ in every way that an install knows, the older one installed.
struct Update {
    site: Site,
    origin: Serving,
    /// Whether the newer one was fetched ahead of its time, and opens.
    is_sealed: bool,
}

impl Update {
    /// To a version that is fetched, and to one that was fetched ahead of its time.
    async fn both() -> [Self; 2] {
        [Self::prepare(false).await, Self::prepare(true).await]
    }

    async fn prepare(is_sealed: bool) -> Self {
        let site = Site::new();
        let [old, new] = ["1", "2"].map(|name| site.source(name));
        // The first is written anew, the others are changed where they are.
        for (seed, name, bytes) in [(1, "small", 900_000), (3, "big", 1_500_000), (4, "grows", 1_400_000)] {
            let mut data = noise(seed, bytes);
            write(&old, &format!("data/{name}.pak"), &data);
            data[300_000..300_050].copy_from_slice(&noise(2, 50));
            if name == "grows" {
                data.extend(noise(5, 1_000));
            }
            write(&new, &format!("data/{name}.pak"), &data);
        }
        let shrinks = noise(6, 1_400_000);
        write(&old, "data/shrinks.pak", &shrinks);
        write(&new, "data/shrinks.pak", &shrinks[..1_300_000]);
        for (folder, text) in [(&old, "old"), (&new, "new")] {
            write(folder, "same/file", b"the same");
            write(folder, "data/changed", text.as_bytes());
            write(folder, "run.sh", text.as_bytes());
            write(folder, &format!("only-{text}/inner/file"), text.as_bytes());
            write(folder, &format!("empty-{text}"), b"");
            fs::create_dir_all(folder.join(format!("folder-{text}"))).expect("made");
            std::os::unix::fs::symlink(text, folder.join("link")).expect("made");
            std::os::unix::fs::symlink("same", folder.join(format!("link-{text}"))).expect("made");
        }
        // What is a file becomes a folder, and the other way round; the right to run comes and goes.
        write(&old, "turns", b"a file");
        write(&new, "turns/into", b"a folder");
        write(&old, "back/from", b"a folder");
        write(&new, "back", b"a file");
        let run = |path: PathBuf| {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        };
        run(new.join("run.sh"));
        run(old.join("same/file"));
        site.publish(&old, "1.0").await;
        let origin = site.serve().await;
        installed(site.options(&origin.url(), "old")).await;
        if is_sealed {
            // Enough for some batches.
            write(&new, "data/part.pak", &noise(9, 4_000_000));
            site.seal(&new, "2.0").await;
            let ahead = GetOptions { preload: Preload::Only, ..site.options(&origin.url(), "old") };
            installed(ahead).await;
            site.unseal("2.0").await;
        } else {
            let published = site.publish(&new, "2.0").await;
            assert!(published.updates[0].update.deltas > 0);
        }
        Self { site, origin, is_sealed }
    }

    fn old(&self) -> PathBuf {
        self.site.target("old")
    }

    /// A copy of the older installation, with its times.
    fn copy(&self, name: &str) -> PathBuf {
        let target = self.site.target(name);
        let copied = Command::new("cp").arg("--archive").arg(self.old()).arg(&target).status();
        assert!(copied.expect("cp runs").success());
        target
    }

    /// What the next start makes of a folder: by itself one of the two versions, and then the newer one.
    async fn check(&self, name: &str) {
        let target = self.site.target(name);
        let found = verify(&target, false, CancellationToken::new()).await;
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.is_whole() && found.added.is_empty(), "{name}: {found:?}");
        let before = self.origin.counters().pack.body_bytes;
        let report = installed(self.site.options(&self.origin.url(), name)).await;
        let fetched = self.origin.counters().pack.body_bytes - before;
        assert!(!self.is_sealed || fetched == 0, "{name}: {fetched} bytes were here and are fetched");
        assert!(report.moved_aside.is_empty(), "{name}: {:?}", report.moved_aside);
        assert_same(&self.site.source("2"), &target);
        let found = verify(&target, false, CancellationToken::new()).await.expect("verified");
        assert!(found.is_whole() && found.version == "2.0", "{name}: {found:?}");
    }
}

fn has_strace() -> bool {
    let has = Command::new("strace").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(has || std::env::var_os("CI").is_none(), "strace is missing: make setup installs it");
    if !has {
        eprintln!("NOT RUN: power cuts need strace");
    }
    has
}

/// What an update does.
struct Traced {
    folder: PathBuf,
    /// The folder before it.
    before: Disk,
    calls: Vec<Call>,
}

/// Runs the update under strace.
fn trace(update: &Update) -> Traced {
    let folder = update.copy("traced");
    let before = Disk::of(&folder);
    let log = update.site.target("trace.log");
    let command = node(&update.site, &update.origin.url(), &folder);
    let output = tokio::task::block_in_place(|| trace::traced(&command, &log).output()).expect("strace runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = trace::read(&log, &folder);
    Traced { folder, before, calls }
}

fn setting(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |count| count.parse().expect("a number"))
}

/// A sequence that follows from the seed and the number alone.
fn chances(number: usize) -> impl FnMut() -> u8 {
    let seed = setting(SEED_VARIABLE, 1);
    let mut bytes = noise((seed * 1_000_000 + number) as u64, 1 << 16).into_iter().cycle();
    move || bytes.next().expect("endless")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_leaves_the_old_version_or_the_new_one() {
    if !has_strace() {
        return;
    }
    for update in Update::both().await {
        Box::pin(cut_power(&update)).await;
    }
}

async fn cut_power(update: &Update) {
    let Traced { folder, before, calls } = trace(update);
    assert_same(&update.site.source("2"), &folder);
    let mut after = before.clone();
    calls.iter().for_each(|call| after.apply(call));
    after.take_times();
    // The model must have seen all: without a cut it is what the folder is.
    after.cut(&folder, &update.site.target("whole"), &mut || true);
    assert_same(&folder, &update.site.target("whole"));

    let cuts = setting(CUTS_VARIABLE, CUTS);
    for number in 0..cuts {
        // All moments, evenly; of what was not synced nothing, everything, and then any choice.
        let moment = calls.len() * (number + 1) / cuts;
        let mut disk = before.clone();
        calls[..moment].iter().for_each(|call| disk.apply(call));
        let mut chance = chances(number);
        disk.take_times_of(&after, &mut || chance().is_multiple_of(2));
        let mut comes = || match number % 4 {
            0 => false,
            1 => true,
            _ => chance().is_multiple_of(2),
        };
        let name = format!("cut-{number}-after-{moment}-of-{}", calls.len());
        disk.cut(&folder, &update.site.target(&name), &mut comes);
        update.check(&name).await;
        fs::remove_dir_all(update.site.target(&name)).expect("removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_of_the_journal_leaves_the_old_version_or_the_new_one() {
    if !has_strace() {
        return;
    }
    for update in Update::both().await {
        Box::pin(kill_at_each_step(&update)).await;
    }
}

async fn kill_at_each_step(update: &Update) {
    let mut hits = 0;
    // Each is a step of its own; what is written to staging and records is in its place by a rename alone.
    for call in [
        "rename",
        "unlink",
        "rmdir",
        "mkdir",
        "symlink",
        "fsync",
        "fdatasync",
        "chmod",
        "pwrite64",
        "ftruncate",
    ] {
        for step in 1.. {
            let name = format!("{call}-{step}");
            let folder = update.copy(&name);
            let command = node(&update.site, &update.origin.url(), &folder);
            let mut killed = Command::new("strace");
            killed.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
            killed.args(["-e", &format!("inject={call}:signal=KILL:when={step}")]);
            killed.arg(command.get_program()).args(command.get_args());
            let output = tokio::task::block_in_place(|| killed.output()).expect("strace runs");
            if output.status.success() {
                break;
            }
            hits += 1;
            update.check(&name).await;
            fs::remove_dir_all(folder).expect("removed");
        }
    }
    assert!(hits > 30, "{hits} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_time_leaves_the_old_version_or_the_new_one() {
    for update in Update::both().await {
        Box::pin(kill_at_any_time(&update)).await;
    }
}

async fn kill_at_any_time(update: &Update) {
    let start = |name: &str| {
        let folder = update.copy(name);
        let mut command = node(&update.site, &update.origin.url(), &folder);
        (folder, command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"))
    };
    let begun = Instant::now();
    let (_, mut undisturbed) = start("undisturbed");
    assert!(tokio::task::block_in_place(|| undisturbed.wait()).expect("ends").success());
    let takes = begun.elapsed();
    let mut chance = chances(0);
    for number in 0..setting(KILLS_VARIABLE, KILLS) {
        let name = format!("kill-{number}");
        let (folder, mut child) = start(&name);
        // The instant is what is tried; nothing is waited for.
        tokio::time::sleep(takes.mul_f64(f64::from(chance()) / 255.0)).await;
        child.kill().expect("runs, or has ended");
        tokio::task::block_in_place(|| child.wait()).expect("ends");
        update.check(&name).await;
        fs::remove_dir_all(folder).expect("removed");
    }
}

/// Ways to damage a record. What is signed and what is not are damaged alike.
const DAMAGES: [fn(&mut Vec<u8>); 6] = [
    Vec::clear,
    |bytes| bytes.truncate(bytes.len() / 2),
    |bytes| bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x10),
    |bytes| bytes.extend_from_slice(&[0; 5000]),
    |bytes| *bytes = b"{\"root\":\"../../../escaped\"}".to_vec(),
    |bytes| {
        let text = String::from_utf8_lossy(bytes).replace("data/", "../../").replace("same/", "/tmp/");
        *bytes = text.into_bytes();
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn damaged_records_lead_nobody_out_of_the_folder() {
    if !has_strace() {
        return;
    }
    let update = Update::prepare(false).await;
    let Traced { folder, before, calls } = trace(&update);
    let outside = |ignored: &str| {
        let mut names = fs::read_dir(update.site.target(""))
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"));
        let names: std::collections::BTreeSet<String> =
            names.by_ref().filter(|name| name != ignored).collect();
        names
    };
    let published = crate::tree::entries(&update.site.source("2"));
    let (mut mended, mut refused) = (0, 0);
    // In the middle of the download, of the install, and at its end.
    for moment in [calls.len() / 2, calls.len() * 3 / 4, calls.len()] {
        let mut disk = before.clone();
        calls[..moment].iter().for_each(|call| disk.apply(call));
        let name = format!("damaged-after-{moment}");
        let target = update.site.target(&name);
        disk.cut(&folder, &target, &mut || true);
        let records: Vec<PathBuf> = files_below(&target.join(".freshet"));
        assert!(records.len() > 6, "{records:?}");
        fs::remove_dir_all(&target).expect("removed");
        let before = outside(&name);
        for record in records {
            for (number, damage) in DAMAGES.into_iter().enumerate() {
                disk.cut(&folder, &target, &mut || true);
                let mut bytes = fs::read(&record).expect("read");
                damage(&mut bytes);
                fs::write(&record, bytes).expect("written");
                let _ = verify(&target, false, CancellationToken::new()).await;
                let (_, result) = run(update.site.options(&update.origin.url(), &name)).await;
                match result {
                    Ok(()) => {
                        let found = crate::tree::entries(&target);
                        let wrong = published.iter().find(|(path, entry)| found.get(*path) != Some(entry));
                        assert!(wrong.is_none(), "{} damaged by {number}: {wrong:?}", record.display());
                        mended += 1;
                    }
                    Err(_) => refused += 1,
                }
                assert_eq!(outside(&name), before, "{} damaged by {number}", record.display());
                fs::remove_dir_all(&target).expect("removed");
            }
        }
    }
    assert!(mended > 2 * refused, "{mended} mended, {refused} refused");
}
