//! Files that change a little are changed where they lie, where that is safe.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use freshet_edge_node::{Event, Plan, plan, verify};
use freshet_origin::Serving;
use tokio_util::sync::CancellationToken;

use crate::mounted::Mounted;
use crate::program::not_run;
use crate::site::{Running, Site, installed};
use crate::tree::{assert_same, noise, write};

const BYTES: usize = 6_000_000;
/// Files whose second version differs in a few places.
const FILES: [&str; 4] = ["same-size.pak", "longer.pak", "shorter.pak", "run.bin"];

/// A site with two versions, the first one installed as `a` and the second one published.
struct Update {
    site: Site,
    origin: Serving,
    second: PathBuf,
    written_bytes: u64,
}

impl Update {
    async fn prepare(site: Site) -> Self {
        let [first, second] = ["1", "2"].map(|name| site.source(name));
        for (seed, name) in (1..).zip(FILES) {
            let mut bytes = noise(seed, BYTES);
            write(&first, name, &bytes);
            for at in [0, 1_000_000, 4_000_000] {
                bytes[at..at + 10].fill(seed as u8);
            }
            match name {
                "longer.pak" => bytes.extend(noise(99, 500_000)),
                "shorter.pak" => bytes.truncate(BYTES - 500_000),
                _ => {}
            }
            write(&second, name, &bytes);
        }
        for folder in [&first, &second] {
            fs::set_permissions(folder.join("run.bin"), PermissionsExt::from_mode(0o755)).expect("set");
        }
        site.publish(&first, "1.0").await;
        let origin = site.serve().await;
        installed(site.options(&origin.url(), "a")).await;
        let published = site.publish(&second, "2.0").await;
        let written_bytes = published.updates[0].update.written_bytes;
        Self { site, origin, second, written_bytes }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.target("a").join(name)
    }

    async fn plan(&self) -> Plan {
        let options = self.site.options(&self.origin.url(), "a");
        plan(&options, CancellationToken::new()).await.expect("planned")
    }

    /// Installs the second version; returns which files are still the same ones on the disk.
    async fn update(&self) -> Vec<&'static str> {
        let inodes = || FILES.map(|name| fs::metadata(self.file(name)).expect("there").ino());
        let before = inodes();
        installed(self.site.options(&self.origin.url(), "a")).await;
        assert_same(&self.second, &self.site.target("a"));
        let found = verify(&self.site.target("a"), false, CancellationToken::new()).await.expect("verified");
        assert!(found.is_whole(), "{found:?}");
        let same = FILES.into_iter().zip(before.into_iter().zip(inodes()));
        same.filter(|(_, (before, after))| before == after).map(|(name, _)| name).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_little_change_is_written_into_the_file() {
    let update = Update::prepare(Site::new()).await;
    let plan = update.plan().await;
    // Of three files what changes, twice; all of the one that can be run.
    let whole = BYTES as u64;
    assert!(
        plan.write_bytes < whole + 6_000_000 && plan.temp_bytes < plan.write_bytes - 1_500_000,
        "{plan:?}"
    );
    assert_eq!(plan.write_bytes, update.written_bytes + plan.delta_bytes);
    assert_eq!(update.update().await, FILES[..3]);
    assert!(!update.site.target("a").join(".freshet/staging").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_alone_is_written_anew() {
    let update = Update::prepare(Site::new()).await;
    let [linked, protected, edited] = [0, 1, 2].map(|number| update.file(FILES[number]));
    let other_name = update.site.target("other name");
    fs::hard_link(&linked, &other_name).expect("linked");
    let before = fs::read(&linked).expect("read");
    fs::set_permissions(&protected, PermissionsExt::from_mode(0o444)).expect("set");
    let touched = fs::File::options().write(true).open(&edited).expect("opened");
    touched.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("set");
    let plan = update.plan().await;
    assert!(plan.temp_bytes > 20_000_000, "{plan:?}");
    let same = {
        let report = installed(update.site.options(&update.origin.url(), "a")).await;
        let [backup] = report.moved_aside.as_slice() else { panic!("{:?}", report.moved_aside) };
        fs::remove_file(backup).expect("there");
        update.update().await
    };
    assert_eq!(same, FILES, "all is there already");
    assert!(fs::read(&other_name).expect("read") == before, "the other name kept what it had");
    assert_eq!(fs::metadata(&linked).expect("there").nlink(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_uses_a_file_meanwhile_keeps_the_old_one() {
    let update = Update::prepare(Site::new()).await;
    let file = update.file(FILES[0]);
    let before = fs::read(&file).expect("read");
    let mut game = Command::new("sh")
        .args(["-c", "exec 3<\"$0\"; echo ready; read line"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut ready = String::new();
    BufReader::new(game.stdout.take().expect("piped")).read_line(&mut ready).expect("ready");
    assert_eq!(update.update().await, FILES[1..3]);
    let seen = fs::read(format!("/proc/{}/fd/3", game.id())).expect("still open");
    assert!(seen == before, "it still has the version that it opened");
    drop(game.stdin.take());
    game.wait().expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rotted_is_mended_where_it_is() {
    let update = Update::prepare(Site::new()).await;
    assert_eq!(update.update().await.len(), 3);
    let file = update.file(FILES[0]);
    let found = fs::metadata(&file).expect("there");
    let mut bytes = fs::read(&file).expect("read");
    bytes[2_000_000] ^= 1;
    fs::write(&file, bytes).expect("written");
    let opened = fs::File::options().write(true).open(&file).expect("opened");
    opened.set_modified(found.modified().expect("known")).expect("set");
    let mut options = update.site.options(&update.origin.url(), "a");
    options.verify = true;
    let report = installed(options).await;
    assert!(report.bytes.origin < 600_000 && report.moved_aside.is_empty(), "{report:?}");
    assert_same(&update.second, &update.site.target("a"));
    assert_eq!(fs::metadata(&file).expect("there").ino(), found.ino());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_looked_at_anew_by_the_next_start() {
    let site = Site::new();
    let update = Update::prepare(site).await;
    let third = update.site.source("3");
    for name in FILES {
        fs::copy(update.second.join(name), third.join(name)).expect("copied");
    }
    write(&third, "new.pak", &noise(50, 3_000_000));
    update.site.publish(&third, "3.0").await;
    let slow = update.site.serve_slowly().await;
    let mut job = Running::start(update.site.options(&slow.url(), "a"));
    job.wait_for(|event| matches!(event, Event::Progress { bytes, .. } if bytes.origin > 1_500_000)).await;
    job.stop().await.1.expect_err("stopped");
    drop(slow);
    // What was to stay is not what it was any more.
    let edited = update.file(FILES[0]);
    let mut bytes = fs::read(&edited).expect("read");
    bytes[3_000_000..3_000_100].fill(0);
    fs::write(&edited, bytes).expect("written");
    let report = installed(update.site.options(&update.origin.url(), "a")).await;
    let [backup] = report.moved_aside.as_slice() else { panic!("{:?}", report.moved_aside) };
    fs::remove_file(backup).expect("there");
    assert_same(&third, &update.site.target("a"));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn where_files_share_blocks_the_new_one_is_a_clone() {
    let site = Site::new();
    let image = site.folder.path().join("image");
    let make = ["mkfs.xfs", "-q", "-m", "reflink=1"];
    let Some(mounted) = Mounted::make(&make, "xfs", 400 << 20, &image, site.target("")) else {
        return not_run("a file system that shares blocks");
    };
    let update = Update::prepare(site).await;
    let used = || {
        let found = rustix::fs::statvfs(&mounted.0).expect("mounted");
        (found.f_blocks - found.f_bfree) * found.f_frsize
    };
    let before = used();
    assert_eq!(update.update().await, [""; 0], "each is a new file");
    assert!(used() < before + 4_000_000, "{} after {before}", used());
    drop((update, mounted));
}
