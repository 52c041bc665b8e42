//! Uncompressed archives (zip with stored members, PKWARE APPNOTE 4.3), as games pack their data.

use std::io::{Result, Write};

use super::matter::Matter;
use crate::random::Random;

/// Sizes of members, in bytes.
const MEMBER_BYTES_MIN: u64 = 8 << 10;
const MEMBER_BYTES_MAX: u64 = 3 << 20;

struct Member {
    name: String,
    crc: u32,
    bytes: u32,
    at: u32,
}

/// Writes an archive whose members have `bytes` bytes together; returns the bytes of the whole file.
pub(super) fn write_stored(mut out: impl Write, bytes: u64, random: &mut Random) -> Result<u64> {
    let table = crc_table();
    let mut members = Vec::new();
    let mut at = 0;
    let mut left = bytes;
    while left > 0 {
        // Few large members hold most bytes, as in a game's archives.
        let size_max = MEMBER_BYTES_MIN << random.below(9);
        let size = (MEMBER_BYTES_MIN + random.below(size_max)).min(MEMBER_BYTES_MAX).min(left);
        let (matter, extension) = match random.below(8) {
            0..=2 => (Matter::Noise, "ogg"),
            3..=5 => (Matter::Image, "dds"),
            6 => (Matter::Code, "mesh"),
            _ => (Matter::Text, "json"),
        };
        let data = matter.make(size as usize, random);
        let name = format!("{:02}/{:05}.{extension}", members.len() % 16, members.len());
        let member = Member { name, crc: crc32(&table, &data), bytes: size as u32, at: at as u32 };
        let head = local_head(&member);
        out.write_all(&head)?;
        out.write_all(&data)?;
        at += head.len() as u64 + size;
        left -= size;
        members.push(member);
    }
    let directory = directory(&members, at as u32);
    out.write_all(&directory)?;
    out.flush()?;
    Ok(at + directory.len() as u64)
}

fn local_head(member: &Member) -> Vec<u8> {
    let mut head = Vec::with_capacity(30 + member.name.len());
    head.extend_from_slice(b"PK\x03\x04");
    add_common(&mut head, member);
    head.extend_from_slice(member.name.as_bytes());
    head
}

fn directory(members: &[Member], start: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members {
        out.extend_from_slice(b"PK\x01\x02\x14\x00");
        add_common(&mut out, member);
        // No comment, first disk, no attributes.
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&member.at.to_le_bytes());
        out.extend_from_slice(member.name.as_bytes());
    }
    let bytes = out.len() as u32;
    let count = (members.len() as u16).to_le_bytes();
    out.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&bytes.to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// What a local head and a directory entry share: version 2.0, no flags, stored, 1 January 1980, checksum, sizes, length
/// of the name, no extra field.
fn add_common(out: &mut Vec<u8>, member: &Member) {
    out.extend_from_slice(&[0x14, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
    out.extend_from_slice(&member.crc.to_le_bytes());
    out.extend_from_slice(&member.bytes.to_le_bytes());
    out.extend_from_slice(&member.bytes.to_le_bytes());
    out.extend_from_slice(&(member.name.len() as u16).to_le_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// Table of the reflected polynomial 0xEDB88320 (ISO 3309).
fn crc_table() -> [u32; 256] {
    std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn crc32(table: &[u32; 256], data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, &byte| table[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(&crc_table(), b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_end_record_leads_to_every_member() {
        let mut archive = Vec::new();
        let written = write_stored(&mut archive, 700_000, &mut Random::new(5)).expect("to memory");
        assert_eq!(written, archive.len() as u64);
        let u32_at = |at: usize| u32::from_le_bytes(*archive[at..].first_chunk().expect("inside")) as usize;
        let u16_at =
            |at: usize| usize::from(u16::from_le_bytes(*archive[at..].first_chunk().expect("inside")));
        let end = archive.len() - 22;
        let members = u16_at(end + 10);
        let mut entry = u32_at(end + 16);
        assert_eq!(entry + u32_at(end + 12), end);
        let mut bytes = 0;
        for _ in 0..members {
            let (crc, size, name_len, local) =
                (u32_at(entry + 16), u32_at(entry + 24), u16_at(entry + 28), u32_at(entry + 42));
            assert_eq!(&archive[local..local + 4], b"PK\x03\x04");
            let data = local + 30 + name_len;
            assert_eq!(crc32(&crc_table(), &archive[data..data + size]) as usize, crc);
            bytes += size;
            entry += 46 + name_len;
        }
        assert_eq!((entry, bytes), (end, 700_000));
    }
}
