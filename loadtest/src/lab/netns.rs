//! Network namespaces: make, enter, find, empty and remove them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::topology::owner_of;

/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";
/// Where `ip netns exec` finds files that stand in for those of `/etc`, by namespace.
const FILES: &str = "/etc/netns";
/// How long a killed process may take to let go of its namespace.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// Pause between two looks for processes that are still there.
const KILL_POLL: Duration = Duration::from_millis(5);

pub(super) fn create(names: &[String]) -> Result<()> {
    run("ip", &["-batch", "-"], &lines("netns add", names)).context("make namespaces")
}

/// Lets programs in these namespaces know names of hosts: the text is their `/etc/hosts`.
pub(super) fn set_names(namespaces: &[String], text: &str) -> Result<()> {
    namespaces.iter().try_for_each(|name| {
        let folder = Path::new(FILES).join(name);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("hosts"), text))
            .context("names of hosts")
    })
}

/// Kills everything inside, then removes the names. The kernel frees links and queues soon after.
pub(super) fn remove(names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    // Names go even if a process survives, and the rest even if one name is stuck (`-force`).
    let emptied = empty(names);
    let removed = run("ip", &["-force", "-batch", "-"], &lines("netns del", names));
    for name in names {
        // Most have none.
        let _ = fs::remove_dir_all(Path::new(FILES).join(name));
    }
    // Two who look for the lab of a dead process at the same time both find it, and each removes a part of it.
    let deadline = Instant::now() + KILL_WAIT;
    while removed.is_err() && all()?.iter().any(|name| names.contains(name)) {
        if Instant::now() > deadline {
            return removed.context("remove namespaces");
        }
        std::thread::sleep(KILL_POLL);
    }
    emptied
}

/// Namespaces of labs whose process has died without removing them.
pub(super) fn stale() -> Result<Vec<String>> {
    let is_stale =
        |name: &String| owner_of(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    Ok(all()?.into_iter().filter(is_stale).collect())
}

pub(super) fn with_prefix(prefix: &str) -> Result<Vec<String>> {
    Ok(all()?.into_iter().filter(|name| name.starts_with(prefix)).collect())
}

fn all() -> Result<Vec<String>> {
    let entries = match fs::read_dir(NAMES) {
        Ok(entries) => entries,
        // The folder appears with the first namespace.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(NAMES),
    };
    let names: Result<Vec<OsString>, _> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
    Ok(names.context(NAMES)?.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

/// Runs `work` with this namespace as its network, on a thread of its own: a namespace belongs to a thread, and no
/// thread that others use may be left in the wrong one. Programs that `work` starts inherit it, and `/proc/sys/net`
/// is the namespace's own; `/sys` is not.
pub(super) fn within<T: Send>(name: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let enter_and_work = || {
        let namespace = File::open(Path::new(NAMES).join(name))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        work()
    };
    std::thread::scope(|scope| scope.spawn(enter_and_work).join())
        .map_err(|_| anyhow!("panicked"))
        .flatten()
        .with_context(|| format!("in namespace {name}"))
}

/// Runs a program in the namespace of this thread, with `input` on its standard input; returns what it prints.
pub(super) fn run_for_output(program: &str, args: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("start {program}; the lab network needs iproute2 (ip, tc) and nftables (nft)")
        })?;
    // A program that fails early closes its input: its own words say more than "broken pipe".
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().with_context(|| format!("wait for {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    written.with_context(|| format!("write to {program}"))?;
    String::from_utf8(output.stdout).with_context(|| format!("output of {program}"))
}

pub(super) fn run(program: &str, args: &[&str], input: &str) -> Result<()> {
    run_for_output(program, args, input).map(drop)
}

/// Sets a `net` setting of the namespace that this thread is in.
pub(super) fn set(setting: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/net/{setting}"), value).with_context(|| format!("set {setting} to {value}"))
}

fn lines(command: &str, names: &[String]) -> String {
    names.iter().map(|name| format!("{command} {name}\n")).collect()
}

/// Kills all processes in these namespaces and waits until they are gone: a namespace lives as long as a process in
/// it.
fn empty(names: &[String]) -> Result<()> {
    let ours: Vec<(u64, u64)> =
        names.iter().filter_map(|name| identity(&Path::new(NAMES).join(name))).collect();
    let deadline = Instant::now() + KILL_WAIT;
    // Again and again, because a process may start another between the look and its death.
    loop {
        let mut left = 0;
        for pid in processes()? {
            left += usize::from(kill_if_in(pid, &ours));
        }
        if left == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{left} processes in the lab outlived SIGKILL by {KILL_WAIT:?}");
        }
        std::thread::sleep(KILL_POLL);
    }
}

fn processes() -> Result<Vec<Pid>> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let name = entry.context("/proc")?.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok()).filter(|pid| *pid != own);
        found.extend(pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)));
    }
    Ok(found)
}

/// True if the process was there. The handle is taken before the look, so the signal cannot hit a process that got
/// the same number later.
fn kill_if_in(pid: Pid, namespaces: &[(u64, u64)]) -> bool {
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let network = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
    // No network: a zombie, which holds no namespace any more.
    let is_inside = identity(Path::new(&network)).is_some_and(|id| namespaces.contains(&id));
    // Failing means it died by itself.
    is_inside && pidfd_send_signal(&handle, Signal::KILL).is_ok()
}

/// What tells one namespace from another.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}
