//! Feeds arbitrary bytes to `freshet_protocol_fuzz::patch_page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| freshet_protocol_fuzz::patch_page(bytes));
