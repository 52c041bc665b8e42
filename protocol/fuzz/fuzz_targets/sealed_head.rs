//! Feeds arbitrary bytes to `freshet_protocol_fuzz::sealed_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| freshet_protocol_fuzz::sealed_head(bytes));
