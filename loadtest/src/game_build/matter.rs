//! Bytes that behave as those of a game do: what matters is how well they compress and how they repeat.

use crate::random::Random;

/// Kinds of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matter {
    /// Sound and film: no compression makes it smaller.
    Noise,
    /// Scripts and tables: words over and over.
    Text,
    /// Machine code: few instructions, many operands, runs of padding.
    Code,
    /// Block-compressed images: smooth colours, noisy indices.
    Image,
}

const WORDS: [&str; 32] = [
    "local", "function", "return", "end", "if", "then", "else", "for", "in", "pairs", "self", "quest",
    "item", "player", "monster", "level", "damage", "shield", "spawn", "wave", "castle", "river", "meadow",
    "강", "봄", "눈", "모험", "검", "방패", "마을", "성", "용",
];
/// Instructions that machine code is made of.
const OPCODES: u64 = 48;
/// One in so many instructions is followed by padding to a boundary of 16 bytes.
const PADDING_ONE_IN: u64 = 24;

impl Matter {
    /// So many bytes of this kind.
    pub(super) fn make(self, bytes: usize, random: &mut Random) -> Vec<u8> {
        // The last piece may reach over the end.
        let mut made = Vec::with_capacity(bytes + 64);
        while made.len() < bytes {
            match self {
                Self::Noise => made.extend_from_slice(&random.next_u64().to_le_bytes()),
                Self::Text => add_words(&mut made, random),
                Self::Code => add_instruction(&mut made, random),
                Self::Image => add_block(&mut made, random),
            }
        }
        made.truncate(bytes);
        made
    }
}

fn add_words(made: &mut Vec<u8>, random: &mut Random) {
    let draw = random.next_u64();
    let word = WORDS[draw as usize % WORDS.len()];
    made.extend_from_slice(word.as_bytes());
    match (draw >> 8) % 16 {
        0 => made.extend_from_slice(b"\n"),
        1 => made.extend_from_slice(format!(" = {}\n", (draw >> 16) % 1000).as_bytes()),
        2 => made.extend_from_slice(b"(), "),
        _ => made.push(b' '),
    }
}

fn add_instruction(made: &mut Vec<u8>, random: &mut Random) {
    let draw = random.next_u64();
    let opcode = (draw % OPCODES) as u8;
    // Low numbers are common in operands, as are the same few registers.
    let operand = ((draw >> 8) as u32) >> ((draw >> 40) % 32);
    made.extend_from_slice(&[0x40 | (opcode >> 4), opcode.wrapping_mul(5)]);
    made.extend_from_slice(&operand.to_le_bytes()[..1 + (opcode % 4) as usize]);
    if (draw >> 48).is_multiple_of(PADDING_ONE_IN) {
        made.resize(made.len().next_multiple_of(16), 0xcc);
    }
}

/// Sixteen pixels in eight bytes, as BC1 does: two colours and an index for each pixel.
fn add_block(made: &mut Vec<u8>, random: &mut Random) {
    let draw = random.next_u64();
    let shade = (made.len() / 512) as u16;
    let [light, dark] = [shade.wrapping_add((draw % 4) as u16), shade.wrapping_sub((draw >> 2) as u16 % 4)];
    made.extend_from_slice(&light.to_le_bytes());
    made.extend_from_slice(&dark.to_le_bytes());
    made.extend_from_slice(&(draw >> 32).to_le_bytes()[..4]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of byte pairs that are the most common successor of their first byte: a cheap stand-in for how well a
    /// compressor does.
    fn predictability(bytes: &[u8]) -> f64 {
        let mut counts = vec![[0u32; 256]; 256];
        for pair in bytes.windows(2) {
            counts[usize::from(pair[0])][usize::from(pair[1])] += 1;
        }
        let best: u32 = counts.iter().map(|row| row.iter().copied().max().unwrap_or(0)).sum();
        f64::from(best) / bytes.len() as f64
    }

    #[test]
    fn kinds_differ_in_how_well_they_compress() {
        let check = |matter: Matter, allowed: std::ops::Range<f64>| {
            let made = matter.make(100_000, &mut Random::new(1));
            assert_eq!(made.len(), 100_000);
            let found = predictability(&made);
            assert!(allowed.contains(&found), "{matter:?}: {found}");
        };
        check(Matter::Noise, 0.0..0.05);
        check(Matter::Image, 0.02..0.3);
        check(Matter::Code, 0.1..0.6);
        check(Matter::Text, 0.3..0.9);
    }
}
