//! Which files of a newer release are changed where they lie, and what of them stays: one rule for publishers, who say
//! before how much is written, and for nodes, who write it.

use crate::manifest::page::ChunkRef;

/// Where less than this stays, a file is written anew: that is quickly done, and a rename is the simplest way to be safe.
const STAYING_BYTES_MIN: u64 = 1 << 20;

/// Which chunks of a file lie at the same offset in an older one, by their place in `new`, ascending.
pub fn staying_chunks(old: &[ChunkRef], new: &[ChunkRef]) -> Vec<usize> {
    let mut staying = Vec::new();
    let (mut old, mut offset, mut old_offset) = (old.iter(), 0, 0);
    let mut next = old.next();
    for (number, chunk) in new.iter().enumerate() {
        while let Some(passed) = next.filter(|_| old_offset < offset) {
            old_offset += u64::from(passed.bytes);
            next = old.next();
        }
        if old_offset == offset && next == Some(chunk) {
            staying.push(number);
        }
        offset += u64::from(chunk.bytes);
    }
    staying
}

/// Whether a file of `bytes` is changed in place where so much of it stays: what changes is written twice, beside the file
/// and into it, which must be less than all of it once.
pub fn is_changed_in_place(bytes: u64, staying_bytes: u64) -> bool {
    staying_bytes >= STAYING_BYTES_MIN && staying_bytes > bytes / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChunkId;

    fn chunks(text: &str) -> Vec<ChunkRef> {
        let chunk = |name: &str| ChunkRef { id: ChunkId::of(name.as_bytes()), bytes: name.len() as u32 };
        text.split_whitespace().map(chunk).collect()
    }

    #[test]
    fn what_stays_lies_at_the_same_offset() {
        let check = |old: &str, new: &str, expected: &[usize]| {
            assert_eq!(staying_chunks(&chunks(old), &chunks(new)), expected, "{old:?} to {new:?}");
        };
        check("a bb ccc", "a bb ccc", &[0, 1, 2]);
        check("a bb ccc", "a xx ccc dd", &[0, 2]);
        check("a bb ccc", "a b b ccc", &[0, 3]);
        check("a b b ccc", "a bb ccc", &[0, 2]);
        check("a bb ccc", "bb a ccc", &[2]);
        check("a bb ccc", "aa bb ccc", &[]);
        check("a bb ccc", "a", &[0]);
        check("", "a", &[]);
        check("a", "", &[]);
    }

    #[test]
    fn little_changes_are_made_in_place() {
        let check =
            |bytes, staying, expected| assert_eq!(is_changed_in_place(bytes, staying), expected, "{bytes}");
        check(1 << 20, 1 << 20, true);
        check((1 << 20) + 5, (1 << 20) - 1, false);
        check(4 << 20, 2 << 20, false);
        check(4 << 20, (2 << 20) + 1, true);
    }
}
