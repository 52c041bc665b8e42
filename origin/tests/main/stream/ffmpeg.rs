//! The real packager.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Video and sound that no file is needed for.
pub(crate) const SOURCE: &str = "-f lavfi -i testsrc=size=320x180:rate=25 -f lavfi -i sine=frequency=440";
/// Cheap encoding with a key frame each second.
pub(crate) const ENCODE: &str =
    "-c:v libx264 -preset ultrafast -g 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac";

/// Runs ffmpeg in `folder` to its end.
pub(crate) fn run(folder: &Path, arguments: &str) {
    let output = command(folder, arguments).output().expect("ffmpeg is missing: run scripts/setup.sh");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]);
    // What stands between apostrophes is one argument.
    for (at, part) in arguments.split('\'').enumerate() {
        match at % 2 {
            0 => command.args(part.split_whitespace()),
            _ => command.arg(part),
        };
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
/// Starts ffmpeg in `folder`. It is killed if the test ends early.
pub(crate) fn start(folder: &Path, arguments: &str) -> Running {
    // What nobody reads would hold it up once there is much of it.
    let mut command = command(folder, arguments);
    Running(command.stderr(Stdio::inherit()).spawn().expect("ffmpeg is missing: run scripts/setup.sh"))
}

pub(crate) struct Running(Child);

impl Running {
    /// Waits for its end.
    pub(crate) async fn finish(mut self) {
        let status = tokio::task::spawn_blocking(move || self.0.wait().expect("ended")).await;
        assert!(status.expect("no panic").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
