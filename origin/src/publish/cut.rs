//! Reads a folder and cuts its files into chunks, on a thread of its own; a bounded channel holds it back.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fastcdc::v2020::StreamCDC;
use freshet_protocol::{Chunker, Entry, FileExtent, RelPath};
use tokio::sync::mpsc;

use super::PublishError;
use super::rules::Rules;
use super::seams::seams;
use super::walk::{Found, Walk, WalkError};
use crate::platform;

/// A step in the order of the release.
pub(super) enum Piece {
    /// A folder, a link, or a file whose chunks follow.
    Entry(Entry),
    /// The next chunk of the file that came last.
    Chunk(Vec<u8>),
}

/// What a folder holds, from its names and sizes alone.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) bytes: u64,
    /// No cutting gives fewer chunks than this.
    pub(super) chunks_min: u64,
}

/// Checks every name before anything is read or uploaded.
pub(super) fn survey(folder: &Path, rules: &Rules, chunker: &Chunker) -> Result<Survey, PublishError> {
    let mut survey = Survey::default();
    for found in Walk::new(folder, rules)? {
        if let Found::File { location, .. } = found? {
            let bytes = fs::symlink_metadata(&location).map_err(|error| unreadable(&location, error))?.len();
            survey.bytes += bytes;
            survey.chunks_min += bytes.div_ceil(u64::from(chunker.bytes_max));
        }
    }
    Ok(survey)
}

/// Sends the release piece by piece; ends early when the receiver is gone.
pub(super) fn run(folder: &Path, rules: &Rules, chunker: &Chunker, out: &Out) {
    if let Err(Stop::Failed(error)) = send_all(folder, rules, chunker, out) {
        out.blocking_send(Err(*error)).ok();
    }
}

enum Stop {
    /// Nobody listens any more.
    Closed,
    Failed(Box<PublishError>),
}

impl<E: Into<PublishError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

type Out = mpsc::Sender<Result<Piece, PublishError>>;

fn send_all(folder: &Path, rules: &Rules, chunker: &Chunker, out: &Out) -> Result<(), Stop> {
    for found in Walk::new(folder, rules)? {
        match found? {
            Found::File { path, location } => {
                let part = rules.part_of(&path);
                send_file((path, part), &location, chunker, out)?;
            }
            Found::Folder(path) => {
                let part = rules.part_of(&path);
                send(out, Piece::Entry(Entry::Folder { path, part }))?;
            }
            Found::Link { path, target } => {
                let part = rules.part_of(&path);
                send(out, Piece::Entry(Entry::Link { path, part, target }))?;
            }
        }
    }
    Ok(())
}

fn send_file(
    (path, part): (RelPath, Option<u8>),
    location: &Path,
    chunker: &Chunker,
    out: &Out,
) -> Result<(), Stop> {
    let fail = |error| unreadable(location, error);
    let listed = fs::symlink_metadata(location).map_err(fail)?;
    let file = File::open(location).map_err(fail)?;
    let opened = file.metadata().map_err(fail)?;
    let changed = || PublishError::Changed(location.to_owned());
    if platform::stamp(&listed) != platform::stamp(&opened) {
        return Err(changed().into());
    }
    let (size, executable) = (opened.len(), platform::is_executable(&opened));
    let whole = FileExtent { path, part, executable, size, offset: 0, chunks: Vec::new() };
    send(out, Piece::Entry(Entry::File(whole)))?;
    let mut bytes = 0;
    let (min, avg, max) = (chunker.bytes_min, chunker.bytes_avg, chunker.bytes_max);
    let mut ends = seams(&file, size, min.into()).map_err(fail)?;
    // One byte more than expected is enough to notice growth, and bounds what a growing file can feed in.
    ends.push(size + 1);
    for end in ends {
        for chunk in StreamCDC::new((&file).take(end - bytes), min as usize, avg as usize, max as usize) {
            let data = chunk.map_err(|error| fail(io::Error::from(error)))?.data;
            bytes += data.len() as u64;
            send(out, Piece::Chunk(data))?;
        }
    }
    let read = file.metadata().map_err(fail)?;
    if bytes != size || platform::stamp(&read) != platform::stamp(&opened) {
        return Err(changed().into());
    }
    Ok(())
}

fn send(out: &Out, piece: Piece) -> Result<(), Stop> {
    out.blocking_send(Ok(piece)).map_err(|_| Stop::Closed)
}

fn unreadable(path: &Path, source: io::Error) -> PublishError {
    WalkError::Io { path: PathBuf::from(path), source }.into()
}
