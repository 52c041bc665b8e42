//! Feeds arbitrary bytes to `freshet_protocol_fuzz::introduction`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| freshet_protocol_fuzz::introduction(bytes));
