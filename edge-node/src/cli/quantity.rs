//! Sizes, rates and times as people write them: 10GB, 2MB/s, 30s.

use std::str::FromStr;
use std::time::Duration;

/// Units of bytes, longest names first.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// Bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) u64);

/// A span of time, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    For(Duration),
    Forever,
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is not a size like 500kB, 2MB or 10GiB");
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
            .unwrap_or((text, 1));
        let value: f64 = number.trim_end().parse().map_err(|_| form())?;
        let bytes = value * unit as f64;
        if bytes.is_finite() && (0.0..1e15).contains(&bytes) { Ok(Self(bytes as u64)) } else { Err(form()) }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is not a rate like 500kB/s or 2MB/s");
        let bytes: Bytes = text.strip_suffix("/s").ok_or_else(form)?.parse().map_err(|_| form())?;
        Ok(Self(bytes.0))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        humantime::parse_duration(text)
            .map(Self::For)
            .map_err(|_| format!("{text:?} is not a time like 30s, 2h or forever"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        let bytes = |text: &str, expected: Option<u64>| {
            assert_eq!(text.parse::<Bytes>().ok().map(|bytes| bytes.0), expected, "{text:?}");
        };
        bytes("0", Some(0));
        bytes("1500", Some(1500));
        bytes("2MB", Some(2_000_000));
        bytes("1.5 MiB", Some(3 << 19));
        bytes("10GB", Some(10_000_000_000));
        bytes("MB", None);
        bytes("-1", None);
        bytes("nanB", None);
        bytes("1e300GB", None);
        let rate = |text: &str, expected: Option<u64>| {
            assert_eq!(text.parse::<Rate>().ok().map(|rate| rate.0), expected, "{text:?}");
        };
        rate("2MB/s", Some(2_000_000));
        rate("2MB", None);
        let time = |text: &str, expected: Option<Time>| {
            assert_eq!(text.parse::<Time>().ok(), expected, "{text:?}");
        };
        time("forever", Some(Time::Forever));
        time("90s", Some(Time::For(Duration::from_secs(90))));
        time("soon", None);
    }
}
