#![no_main]
//! See `butaca_fuzz::targets::message_json`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::message_json::run(data));
