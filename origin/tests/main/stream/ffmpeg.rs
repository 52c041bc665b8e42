//! The real packager.

use std::path::Path;
use std::process::{Command, Stdio};

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
