//! Finds where the members of an archive begin and end. A chunk never spans such a seam, so a member that stays the same
//! keeps its chunks wherever in the archive it lies.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;

use rawzip::{RECOMMENDED_BUFFER_SIZE, ZipArchive};

/// Where a tar says what it is, in bytes from its start.
const TAR_MAGIC_OFFSET: usize = 257;

/// Offsets at which a chunk begins because a member of at least `member_bytes_min` begins or ends there: ascending, none
/// at either end of the file. Smaller members are cut by content, like all that is no archive. An archive that cannot be
/// read to its end is taken for an ordinary file.
///
/// The file is left at its start.
///
/// # Errors
/// When the file cannot be read at all.
pub(super) fn seams(file: &File, bytes: u64, member_bytes_min: u64) -> io::Result<Vec<u64>> {
    if bytes < (2 * member_bytes_min).max(512) {
        return Ok(Vec::new());
    }
    let mut file = file;
    let mut head = [0; TAR_MAGIC_OFFSET + 5];
    file.read_exact(&mut head)?;
    file.rewind()?;
    let mut seams = Seams { at: Vec::new(), bytes, member_bytes_min };
    let is_whole = if head.starts_with(b"PK\x03\x04") {
        zip(file, &mut seams)
    } else if head.ends_with(b"ustar") {
        tar(file, &mut seams)
    } else {
        None
    };
    file.rewind()?;
    Ok(if is_whole.is_some() { seams.finish() } else { Vec::new() })
}

struct Seams {
    at: Vec<u64>,
    bytes: u64,
    member_bytes_min: u64,
}

impl Seams {
    /// Notes a member; none when there are more of them than the file has room for, so that they overlap.
    fn member(&mut self, span: Range<u64>) -> Option<()> {
        if span.end.checked_sub(span.start)? >= self.member_bytes_min {
            self.at.extend([span.start, span.end]);
        }
        let most = 2 * (self.bytes / self.member_bytes_min.max(1));
        (span.end <= self.bytes && self.at.len() as u64 <= most).then_some(())
    }

    fn finish(mut self) -> Vec<u64> {
        self.at.sort_unstable();
        self.at.dedup();
        let bytes = self.bytes;
        self.at.retain(|&seam| seam > 0 && seam < bytes);
        self.at
    }
}

/// Members of a zip, whether they are compressed or not: what is compressed alone stays the same alone.
fn zip(file: &File, seams: &mut Seams) -> Option<()> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file.try_clone().ok()?, &mut buffer).ok()?;
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().ok()? {
        // The local header is read for large members only.
        if entry.compressed_size_hint() >= seams.member_bytes_min {
            let (start, end) = archive.get_entry(entry.wayfinder()).ok()?.compressed_data_range();
            seams.member(start..end)?;
        }
    }
    Some(())
}

/// Members of a tar. Headers are taken as they are: long names and the like are members of their own, and small.
fn tar(file: &File, seams: &mut Seams) -> Option<()> {
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().ok()?.raw(true) {
        let entry = entry.ok()?;
        let start = entry.raw_file_position();
        seams.member(start..start.checked_add(entry.size())?)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const MIN: u64 = 1000;
    const NONE: [u64; 0] = [];

    fn seams_of(bytes: &[u8]) -> Vec<u64> {
        let mut file = tempfile::tempfile().expect("created");
        file.write_all(bytes).expect("written");
        file.rewind().expect("rewound");
        let seams = seams(&file, bytes.len() as u64, MIN).expect("read");
        assert_eq!((&file).stream_position().expect("told"), 0);
        seams
    }

    /// Members of these sizes, each filled with its number.
    fn members(sizes: &[usize]) -> Vec<(String, Vec<u8>)> {
        let member =
            |(n, &size): (usize, &usize)| (format!("member-{n}"), vec![(n as u8).wrapping_add(1); size]);
        sizes.iter().enumerate().map(member).collect()
    }

    fn zip_of(sizes: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
        for (name, bytes) in members(sizes) {
            let (mut entry, config) = archive.new_file(&name).start().expect("begun");
            let mut writer = config.wrap(&mut entry);
            writer.write_all(&bytes).expect("written");
            let (_, descriptor) = writer.finish().expect("ended");
            entry.finish(descriptor).expect("ended");
        }
        archive.finish().expect("ended");
        out
    }

    fn tar_of(sizes: &[usize]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in members(sizes) {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes.as_slice()).expect("written");
        }
        archive.into_inner().expect("ended")
    }

    #[test]
    fn large_members_begin_and_end_at_seams() {
        for (kind, bytes) in
            [("zip", zip_of(&[5000, 10, 999, 1000, 7000])), ("tar", tar_of(&[5000, 10, 999, 1000, 7000]))]
        {
            let found = seams_of(&bytes);
            assert_eq!(found.len(), 6, "{kind}: {found:?}");
            for (pair, (n, size)) in found.chunks(2).zip([(1, 5000), (4, 1000), (5, 7000)]) {
                let [start, end] = [pair[0] as usize, pair[1] as usize];
                assert_eq!(bytes[start..end], vec![n; size], "{kind}");
            }
        }
    }

    #[test]
    fn what_is_no_archive_has_none() {
        assert_eq!(seams_of(&[]), NONE);
        assert_eq!(seams_of(&[7; 10_000]), NONE);
        assert_eq!(seams_of(&zip_of(&[10; 300])), NONE, "small members");
        for whole in [zip_of(&[5000, 6000]), tar_of(&[5000, 6000])] {
            assert_eq!(seams_of(&whole).len(), 4);
            for cut in [whole.len() - 2000, 5000, 2001] {
                assert_eq!(seams_of(&whole[..cut]), NONE, "{cut} bytes of it");
            }
        }
    }

    #[test]
    fn members_that_overlap_are_no_archive() {
        let mut seams = Seams { at: Vec::new(), bytes: 10_000, member_bytes_min: 1000 };
        for start in 0..10 {
            assert_eq!(seams.member(start..start + 1000), Some(()));
        }
        assert_eq!(seams.member(20..1020), None);
        let mut seams = Seams { at: Vec::new(), bytes: 10_000, member_bytes_min: 1000 };
        assert_eq!(seams.member(9000..10_001), None);
    }
}
