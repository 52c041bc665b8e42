//! Feeds arbitrary bytes to `freshet_protocol_fuzz::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| freshet_protocol_fuzz::frame(bytes));
