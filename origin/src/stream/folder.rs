//! Segments that lie in a folder of this machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use freshet_listen::hls::Names;
use freshet_protocol::RelPath;

use super::error::SegmentProblem;
use super::pieces::{Cutter, Pieces};
use super::source::{Source, Wanted};
use crate::platform;

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// A folder in which the files of a stream lie under their names.
pub(super) struct Folder {
    path: PathBuf,
    names: Names,
    /// What each file looked like before it was read.
    stamps: Mutex<BTreeMap<RelPath, Stamp>>,
}

/// Changes when a file does.
pub(super) type Stamp = [i128; 4];

impl Folder {
    pub(super) fn new(path: PathBuf, names: Names) -> Self {
        Self { path, names, stamps: Mutex::default() }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Where a file lies.
    pub(super) fn place(&self, file: &RelPath) -> PathBuf {
        self.path.join(file.as_str())
    }

    /// What a file looked like when it was looked at first.
    pub(super) fn stamp(&self, file: &RelPath) -> Option<Stamp> {
        self.stamps.lock().expect("nothing panics while it is held").get(file).copied()
    }
}

impl Source for Folder {
    async fn look(&self, wanted: Wanted) -> Result<Option<Arc<Pieces>>, SegmentProblem> {
        let file = self.names.file(&wanted.url)?;
        let path = self.place(&file);
        if let Ok(metadata) = tokio::fs::metadata(&path).await {
            let mut stamps = self.stamps.lock().expect("nothing panics while it is held");
            stamps.entry(file).or_insert_with(|| platform::stamp(&metadata));
        }
        let reading = tokio::task::spawn_blocking(move || read(&path, wanted.range));
        Ok(Some(Arc::new(reading.await.expect("reading does not panic")?)))
    }
}

/// Cuts a file, or a part of it, into pieces.
pub(super) fn read(path: &Path, range: Option<(u64, u64)>) -> Result<Pieces, SegmentProblem> {
    let fail = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => SegmentProblem::Missing,
        _ => SegmentProblem::Io(error.to_string()),
    };
    let mut file = File::open(path).map_err(fail)?;
    // A pipe or a device would never end.
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(SegmentProblem::Missing);
    }
    let (start, bytes) = range.unwrap_or((0, u64::MAX));
    // A system may refuse to seek that far.
    if start > metadata.len() {
        return Err(SegmentProblem::Short);
    }
    file.seek(SeekFrom::Start(start)).map_err(fail)?;
    let (mut cutter, mut left) = (Cutter::new(), bytes);
    let mut buffer = vec![0; READ_BYTES];
    while left > 0 {
        let room = left.min(READ_BYTES as u64) as usize;
        match file.read(&mut buffer[..room]).map_err(fail)? {
            0 => break,
            count => {
                cutter.push(&buffer[..count])?;
                left -= count as u64;
            }
        }
    }
    if range.is_some() && left > 0 { Err(SegmentProblem::Short) } else { Ok(cutter.finish()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_files() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        std::fs::write(&path, b"0123456789").expect("written");
        let check = |range, expected: Result<&[u8], &str>| {
            let found = read(&path, range).map_err(|error| error.to_string());
            let pieces = |bytes: &[u8]| {
                let mut cutter = Cutter::new();
                cutter.push(bytes).expect("small");
                cutter.finish()
            };
            assert_eq!(found, expected.map(pieces).map_err(str::to_owned), "{range:?}");
        };
        check(None, Ok(b"0123456789"));
        check(Some((2, 3)), Ok(b"234"));
        check(Some((0, 10)), Ok(b"0123456789"));
        check(Some((8, 3)), Err("its byte range goes beyond its end"));
        check(Some((1 << 52, 1)), Err("its byte range goes beyond its end"));
        assert!(matches!(read(folder.path(), None), Err(SegmentProblem::Missing)));
        assert!(matches!(read(&folder.path().join("b"), None), Err(SegmentProblem::Missing)));
        assert!(matches!(read(Path::new("/dev/zero"), None), Err(SegmentProblem::Missing)));
    }
}
