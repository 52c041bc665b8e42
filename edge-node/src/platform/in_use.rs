//! Which files other programs have open or mapped, as /proc tells it: of programs of the same user, or of all for root.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files in use, by device and inode.
pub(crate) struct FilesInUse(BTreeSet<(u64, u64)>);

impl FilesInUse {
    pub(super) fn look() -> Self {
        let own = std::process::id().to_string();
        let mut files = BTreeSet::new();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = process.file_name();
            let is_other =
                name.to_str().is_some_and(|name| name != own && name.bytes().all(|b| b.is_ascii_digit()));
            if is_other {
                files.extend(open(&process.path()));
                files.extend(mapped(&process.path()));
            }
        }
        Self(files)
    }

    /// Whether another program uses the file at `path`.
    pub(crate) fn has(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| self.0.contains(&(found.dev(), found.ino())))
    }
}

fn open(process: &Path) -> Vec<(u64, u64)> {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let files = open.filter_map(|file| fs::metadata(file.path()).ok()).filter(fs::Metadata::is_file);
    files.map(|found| (found.dev(), found.ino())).collect()
}

/// Lines of `maps` are: range, rights, offset, device as `major:minor` in base 16, inode, and a path.
fn mapped(process: &Path) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
    let file = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(3);
        let (major, minor) = fields.next()?.split_once(':')?;
        let [major, minor] = [major, minor].map(|number| u32::from_str_radix(number, 16).ok());
        let inode: u64 = fields.next()?.parse().ok()?;
        Some((rustix::fs::makedev(major?, minor?), inode))
    };
    maps.lines().filter_map(file).filter(|&(_, inode)| inode != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn what_another_program_holds_is_in_use() {
        let folder = tempfile::tempdir().expect("folder");
        let [held, free] = ["held", "free"].map(|name| folder.path().join(name));
        [&held, &free].into_iter().for_each(|path| fs::write(path, "x").expect("written"));
        let mut holder = Command::new("sh")
            .args(["-c", "exec 3<\"$0\"; echo ready; read line"])
            .arg(&held)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut ready = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut ready).expect("ready");
        let _own = fs::File::open(&free).expect("opened");
        let found = FilesInUse::look();
        assert!(found.has(&held) && !found.has(&free) && !found.has(Path::new("/nonexistent")));
        // Each program maps itself; this one has come far enough to say so.
        let program = fs::canonicalize(format!("/proc/{}/exe", holder.id())).expect("running");
        assert!(found.has(&program));
        drop(holder.stdin.take());
        holder.wait().expect("ended");
        assert!(!FilesInUse::look().has(&held));
    }
}
