//! Byte ranges of a request (RFC 9110, 14.1 and 14.2).

use std::ops::Range;

/// Most ranges in one request.
pub const RANGES_MAX: usize = 128;

/// Why ranges are not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeError {
    /// The header is not of the form `bytes=0-99`. Sending the whole would cost what the client wanted to spare.
    Malformed,
    /// No range lies within what there is.
    Unsatisfiable,
    /// More than [`RANGES_MAX`].
    TooMany,
}

/// The ranges asked for, out of `total` bytes; none where the unit is not bytes, so the whole is meant.
///
/// # Errors
/// [`RangeError`].
pub fn parse_ranges(header: &str, total: u64) -> Result<Option<Vec<Range<u64>>>, RangeError> {
    let (unit, specs) = header.split_once('=').ok_or(RangeError::Malformed)?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Ok(None);
    }
    let mut ranges = Vec::new();
    for (at, spec) in specs.split(',').enumerate() {
        if at == RANGES_MAX {
            return Err(RangeError::TooMany);
        }
        ranges.extend(parse_one(spec.trim(), total)?);
    }
    if ranges.is_empty() { Err(RangeError::Unsatisfiable) } else { Ok(Some(join(ranges))) }
}

/// One range, or none where it lies beyond the end.
fn parse_one(spec: &str, total: u64) -> Result<Option<Range<u64>>, RangeError> {
    let (first, last) = spec.split_once('-').ok_or(RangeError::Malformed)?;
    let range = match (first, last) {
        ("", suffix) => total.saturating_sub(number(suffix)?)..total,
        (first, "") => number(first)?..total,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(RangeError::Malformed);
            }
            first..total.min(last.saturating_add(1))
        }
    };
    Ok((range.start < range.end).then_some(range))
}

fn number(digits: &str) -> Result<u64, RangeError> {
    match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse().map_err(|_| RangeError::Malformed),
        false => Err(RangeError::Malformed),
    }
}

/// Overlapping ranges are joined, so that no request is answered with more than there is.
fn join(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = ranges.clone();
    sorted.sort_unstable_by_key(|range| range.start);
    if sorted.windows(2).all(|pair| pair[0].end <= pair[1].start) {
        return ranges;
    }
    ranges.clear();
    for range in sorted {
        match ranges.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => ranges.push(range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |header: &str, expected: Result<&[Range<u64>], RangeError>| {
            let found = parse_ranges(header, 100).map(|ranges| ranges.unwrap_or_default());
            assert_eq!(found.as_deref().map_err(|error| *error), expected, "{header}");
        };
        let whole: &[Range<u64>] = &[];
        check("bytes=0-9", Ok(&[0..10]));
        check("Bytes = 0-9", Ok(&[0..10]));
        check("bytes=90-", Ok(&[90..100]));
        check("bytes=-1", Ok(&[99..100]));
        check("bytes=-1000", Ok(&[0..100]));
        check("bytes=99-1000", Ok(&[99..100]));
        check("bytes=0-18446744073709551615", Ok(&[0..100]));
        check("bytes=0-0, 5-5", Ok(&[0..1, 5..6]));
        check("bytes=50-59,0-9", Ok(&[50..60, 0..10]));
        check("bytes=0-9,5-14,30-39", Ok(&[0..15, 30..40]));
        check("bytes=0-9,200-300", Ok(&[0..10]));
        check("lines=0-9", Ok(whole));
        check("bytes=100-", Err(RangeError::Unsatisfiable));
        check("bytes=-0", Err(RangeError::Unsatisfiable));
        check("bytes=9-0", Err(RangeError::Malformed));
        check("bytes=", Err(RangeError::Malformed));
        check("bytes=a-b", Err(RangeError::Malformed));
        check("bytes=+1-2", Err(RangeError::Malformed));
        check("bytes=1", Err(RangeError::Malformed));
        check("bytes=--5", Err(RangeError::Malformed));
        check("bytes 0-9", Err(RangeError::Malformed));
        check("bytes=0-18446744073709551616", Err(RangeError::Malformed));
        check("bytes=0-9,", Err(RangeError::Malformed));
    }

    #[test]
    fn as_many_as_allowed() {
        let specs = |count: usize| {
            let all: Vec<_> = (0..count).map(|n| format!("{n}-{n}")).collect();
            format!("bytes={}", all.join(","))
        };
        assert_eq!(parse_ranges(&specs(RANGES_MAX), 1000).map(|r| r.map(|r| r.len())), Ok(Some(RANGES_MAX)));
        assert_eq!(parse_ranges(&specs(RANGES_MAX + 1), 1000), Err(RangeError::TooMany));
    }

    #[test]
    fn nothing_has_no_ranges() {
        assert_eq!(parse_ranges("bytes=0-", 0), Err(RangeError::Unsatisfiable));
    }
}
