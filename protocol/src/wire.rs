//! Reading and writing the binary forms: QUIC's variable-length integers (RFC 9000, 16) and length-prefixed bytes.
//!
//! Integers are limited to 2^53-1 and must use their shortest form, so that one value has one encoding.

use crate::id::Hash;
use crate::limits::INTEGER_MAX;

/// Why bytes were refused. The sender is the guilty side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a value.
    #[error("bytes end too early")]
    Truncated,
    /// An integer beyond 2^53-1.
    #[error("integer is larger than 2^53-1")]
    IntegerTooLarge,
    /// An integer that a shorter form could hold.
    #[error("integer is not in its shortest form")]
    IntegerNotShortest,
    /// A value beyond its limit.
    #[error("{0} is over its limit")]
    OverLimit(&'static str),
    /// A value outside its set.
    #[error("{0} is not valid")]
    Invalid(&'static str),
    /// Bytes after the last value.
    #[error("bytes follow the last value")]
    Trailing,
}

/// Number of bytes that `value` takes.
pub fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends `value`.
///
/// # Panics
/// When `value` is beyond 2^53-1: only values of our own are written.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    assert!(value <= INTEGER_MAX, "own integers stay within 2^53-1");
    match varint_len(value) {
        1 => out.push(value as u8),
        2 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        4 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Appends a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads values off the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when fewer are left.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (front, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(front)
    }

    /// Takes all that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Takes a fixed number of bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end.
    pub fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes a hash.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when fewer than 32 bytes are left.
    pub fn hash(&mut self) -> Result<Hash, WireError> {
        self.array().map(Hash)
    }

    /// Takes an integer.
    ///
    /// # Errors
    /// [`WireError`] when it is cut off, too large, or not in its shortest form.
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let first = *self.rest.first().ok_or(WireError::Truncated)?;
        let len = 1 << (first >> 6);
        let bytes = self.take(len)?;
        let value = bytes[1..].iter().fold(u64::from(first & 0x3f), |value, &b| value << 8 | u64::from(b));
        if value > INTEGER_MAX {
            Err(WireError::IntegerTooLarge)
        } else if varint_len(value) != len {
            Err(WireError::IntegerNotShortest)
        } else {
            Ok(value)
        }
    }

    /// Takes an integer of at most `max`; `what` names it in the error.
    ///
    /// # Errors
    /// As [`Reader::varint`], and [`WireError::OverLimit`].
    pub fn varint_max(&mut self, max: u64, what: &'static str) -> Result<u64, WireError> {
        let value = self.varint()?;
        if value <= max { Ok(value) } else { Err(WireError::OverLimit(what)) }
    }

    /// Takes an integer that fits 32 bits and is at most `max`.
    ///
    /// # Errors
    /// As [`Reader::varint_max`].
    pub fn u32_max(&mut self, max: u32, what: &'static str) -> Result<u32, WireError> {
        self.varint_max(u64::from(max), what).map(|value| value as u32)
    }

    /// Takes length-prefixed bytes, at most `max` of them.
    ///
    /// # Errors
    /// As [`Reader::varint_max`], and [`WireError::Truncated`].
    pub fn bytes_max(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.varint_max(max as u64, what)?;
        self.take(len as usize)
    }

    /// Takes length-prefixed UTF-8, at most `max` bytes.
    ///
    /// # Errors
    /// As [`Reader::bytes_max`], and [`WireError::Invalid`] where it is not UTF-8.
    pub fn text_max(&mut self, max: usize, what: &'static str) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes_max(max, what)?).map_err(|_| WireError::Invalid(what))
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`WireError::Trailing`] when bytes are left.
    pub fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_examples() {
        let check =
            |bytes: &[u8], expected| assert_eq!(Reader::new(bytes).varint(), expected, "{bytes:02x?}");
        // RFC 9000, A.1, within our limit.
        check(&[0x25], Ok(37));
        check(&[0x7b, 0xbd], Ok(15_293));
        check(&[0x9d, 0x7f, 0x3e, 0x7d], Ok(494_878_333));
        check(&[0xc0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Ok(INTEGER_MAX));
        check(&[0xc0, 0x20, 0, 0, 0, 0, 0, 0], Err(WireError::IntegerTooLarge));
        check(&[0x40, 0x25], Err(WireError::IntegerNotShortest));
        check(&[0x80, 0, 0x3f, 0xff], Err(WireError::IntegerNotShortest));
        check(&[0x7b], Err(WireError::Truncated));
        check(&[], Err(WireError::Truncated));
    }

    #[test]
    fn varint_round_trips_at_each_edge() {
        for value in [0, 0x3f, 0x40, 0x3fff, 0x4000, 0x3fff_ffff, 0x4000_0000, INTEGER_MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
    }
}
