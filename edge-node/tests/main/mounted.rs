//! File systems to install on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system in a file, mounted at a folder until it is dropped.
pub(crate) struct Mounted(pub(crate) PathBuf);

impl Mounted {
    /// None where there is no right or no tool to make one.
    pub(crate) fn make(make: &[&str], kind: &str, bytes: u64, image: &Path, at: PathBuf) -> Option<Self> {
        fs::File::create(image).and_then(|file| file.set_len(bytes)).expect("made");
        fs::create_dir_all(&at).expect("made");
        let run = |program: &str, arguments: &[&str], last: &[&Path]| {
            let mut command = Command::new(program);
            let output =
                command.args(arguments).args(last).stdout(Stdio::null()).stderr(Stdio::null()).status();
            output.is_ok_and(|status| status.success())
        };
        let is_made = run(make[0], &make[1..], &[image]);
        let is_mounted = is_made && run("mount", &["-t", kind, "-o", "loop"], &[image, &at]);
        is_mounted.then_some(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
