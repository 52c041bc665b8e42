//! The one source of spread in the core: a fixed mix, so that Rust, TypeScript and the simulator agree.

/// The 32-bit finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit reaches every output bit.
pub(crate) fn mix32(value: u32) -> u32 {
    let value = (value ^ value >> 16).wrapping_mul(0x85eb_ca6b);
    let value = (value ^ value >> 13).wrapping_mul(0xc2b2_ae35);
    value ^ value >> 16
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_values() {
        let check = |value, expected| assert_eq!(super::mix32(value), expected);
        check(0, 0);
        check(1, 0x514e_28b7);
        check(0xffff_ffff, 0x81f1_6f39);
    }
}
