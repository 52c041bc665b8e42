//! Pages of entries: those of 64 sequences of a rendition, one behind another, as origins serve them (PROTOCOL.md 9).
//!
//! ```text
//! entry page = entry:bytes*
//! ```

use crate::limits::{ENTRY_PAGE_BYTES_MAX, ENTRY_PAGE_ENTRIES_MAX, SEGMENT_ENTRY_BYTES_MAX};
use crate::wire::{Reader, WireError, put_bytes};

/// The page's bytes.
pub fn encode_entry_page<E: AsRef<[u8]>>(entries: impl IntoIterator<Item = E>) -> Vec<u8> {
    let mut out = Vec::new();
    entries.into_iter().for_each(|entry| put_bytes(&mut out, entry.as_ref()));
    out
}

/// The entries of a page, each to be opened by itself: one that is not good spoils no other.
///
/// # Errors
/// [`WireError`] when a limit or the form is wrong.
pub fn decode_entry_page(bytes: &[u8]) -> Result<Vec<&[u8]>, WireError> {
    if bytes.len() > ENTRY_PAGE_BYTES_MAX {
        return Err(WireError::OverLimit("entry page size"));
    }
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while reader.remaining() > 0 {
        if entries.len() == ENTRY_PAGE_ENTRIES_MAX {
            return Err(WireError::OverLimit("number of entries"));
        }
        entries.push(reader.bytes_max(SEGMENT_ENTRY_BYTES_MAX, "entry size")?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_reached() {
        let check = |count: usize, bytes: usize, expected| {
            let page = encode_entry_page(vec![vec![0; bytes]; count]);
            assert_eq!(decode_entry_page(&page).map(|entries| entries.len()), expected, "{count} {bytes}");
        };
        check(ENTRY_PAGE_ENTRIES_MAX, SEGMENT_ENTRY_BYTES_MAX, Ok(ENTRY_PAGE_ENTRIES_MAX));
        check(ENTRY_PAGE_ENTRIES_MAX + 1, 1, Err(WireError::OverLimit("number of entries")));
        check(1, SEGMENT_ENTRY_BYTES_MAX + 1, Err(WireError::OverLimit("entry size")));
        let long = vec![0; ENTRY_PAGE_BYTES_MAX + 1];
        assert_eq!(decode_entry_page(&long), Err(WireError::OverLimit("entry page size")));
        assert_eq!(decode_entry_page(&[2, 0]), Err(WireError::Truncated));
    }
}
