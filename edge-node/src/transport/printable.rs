//! Words of a remote side, made fit for logs and reports.

use super::limits::REASON_CHARS_MAX;

/// The text without control characters, cut to [`REASON_CHARS_MAX`].
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

/// The longest start of `text` that has at most `bytes_max` bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_length_are_cut() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected);
        check("plain", "plain");
        check("two\nlines\x1b[31m", "twolines[31m");
        check(&"é".repeat(200), &"é".repeat(REASON_CHARS_MAX));
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("aé", 30), "aé");
    }
}
