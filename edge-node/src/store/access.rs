//! Reading and writing chunks at their places: in staging while a file is incomplete, in the installed file after.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::VerifiedChunk;

use crate::platform;
use crate::release::Release;
use crate::store::{Layout, Positions, write_atomic};

/// Most files that are synced one by one; one call for a whole file system may wait for what others write, too.
const SYNCED_SINGLY_MAX: usize = 16;

/// One release in one folder.
#[derive(Debug, Clone)]
pub(crate) struct ChunkFiles {
    pub(crate) layout: Layout,
    pub(crate) release: Arc<Release>,
}

impl ChunkFiles {
    /// Reads and checks the chunk at `position`. Staging is looked at first, then the installed file, then staging once
    /// more: an install may move it there in between.
    ///
    /// # Errors
    /// Those of the file system, and `InvalidData` when the bytes are not the chunk's.
    pub(crate) fn read(&self, position: u32) -> io::Result<VerifiedChunk> {
        let (file, _) = self.release.place(position);
        let staged = self.staged(file);
        let installed = self.release.files.get(file).map(|file| self.layout.installed_at(&file.path));
        let mut result = Err(io::ErrorKind::NotFound.into());
        for path in [Some(&staged), installed.as_ref(), Some(&staged)].into_iter().flatten() {
            result = File::open(path).and_then(|file| self.read_from(&file, position));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Reads and checks the chunk at `position` from `file`, which holds the file of that position.
    ///
    /// # Errors
    /// As [`ChunkFiles::read`].
    pub(crate) fn read_from(&self, file: &File, position: u32) -> io::Result<VerifiedChunk> {
        let (_, offset) = self.release.place(position);
        let chunk = self.release.chunk(position);
        read_chunk(file, offset, chunk.bytes).and_then(|bytes| {
            VerifiedChunk::check(chunk.id, bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        })
    }

    /// Writes a chunk to staging at `position`.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn write(&self, file: &File, position: u32, chunk: &VerifiedChunk) -> io::Result<()> {
        debug_assert_eq!(chunk.id(), self.release.chunk(position).id);
        platform::write_all_at(file, chunk.bytes(), self.release.place(position).1)
    }

    /// Opens the staging of a file for writing; makes it, sparse and at its full size, where it is missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open_staged(&self, file: usize) -> io::Result<File> {
        let path = self.staged(file);
        let open = || File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(path.parent().expect("staging lies in a folder"))?;
                open()?
            }
            result => result?,
        };
        let bytes = self.release.file_bytes(file);
        if opened.metadata()?.len() != bytes {
            opened.set_len(bytes)?;
        }
        Ok(opened)
    }

    /// Frees what the staging of a file takes of the disk. The file stays, since it may be open for writing.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn empty_staged(&self, file: usize) -> io::Result<()> {
        let staged = File::options().write(true).open(self.staged(file))?;
        staged.set_len(0)?;
        staged.set_len(self.release.file_bytes(file))
    }

    /// Makes the staging of a file that has none of the installed one, sharing its blocks, where the file system can; whether
    /// it did.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn clone_staged(&self, file: usize) -> io::Result<bool> {
        let path = self.staged(file);
        std::fs::create_dir_all(path.parent().expect("staging lies in a folder"))?;
        let Ok(staged) = File::options().write(true).create_new(true).open(&path) else { return Ok(false) };
        let cloned =
            File::open(self.installed(file)).and_then(|installed| platform::clone_file(&installed, &staged));
        if cloned.is_err() {
            drop(staged);
            std::fs::remove_file(&path)?;
            return Ok(false);
        }
        staged.set_len(self.release.file_bytes(file))?;
        Ok(true)
    }

    /// Brings the staging of `files` to disk, with the folders on the way there: few of them one by one, many by one call
    /// for all.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn sync_staged(&self, files: &[usize]) -> io::Result<()> {
        if files.len() > SYNCED_SINGLY_MAX && platform::sync_file_system(self.layout.folder())? {
            return Ok(());
        }
        for &file in files {
            // Windows syncs through a writable handle only.
            File::options().write(true).open(self.staged(file))?.sync_data()?;
        }
        let top = self.layout.own("");
        let staged: Vec<PathBuf> = files.iter().map(|&file| self.staged(file)).collect();
        let above = |path| Path::ancestors(path).skip(1).take_while(|folder| folder.starts_with(&top));
        let folders: BTreeSet<&Path> = staged.iter().flat_map(|path| above(path)).collect();
        folders.into_iter().try_for_each(platform::sync_folder)
    }

    /// Brings `files` to disk, and then the record that `verified` are good there.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn checkpoint(&self, verified: &Positions, files: &[usize]) -> io::Result<()> {
        self.sync_staged(files)?;
        let id = self.release.staging_id();
        write_atomic(&self.layout.progress(id), &verified.encode(id))
    }

    pub(crate) fn staged(&self, file: usize) -> PathBuf {
        if let (Some(root), Some(part)) = (self.release.sealed_root(), self.release.sealed_part(file)) {
            self.layout.sealed_file(root, part)
        } else if Some(file) == self.release.delta_file() {
            self.layout.deltas(self.release.staging_id())
        } else {
            self.layout.staged_file(self.release.id, file)
        }
    }

    pub(crate) fn installed(&self, file: usize) -> PathBuf {
        self.layout.installed_at(&self.release.files[file].path)
    }
}

/// Reads `bytes` bytes at `offset`.
///
/// # Errors
/// Those of the file system.
pub(crate) fn read_chunk(file: &File, offset: u64, bytes: u32) -> io::Result<Bytes> {
    let mut buffer = vec![0; bytes as usize];
    platform::read_exact_at(file, &mut buffer, offset)?;
    Ok(buffer.into())
}
