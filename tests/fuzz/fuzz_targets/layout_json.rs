#![no_main]
//! See `butaca_fuzz::targets::layout_json`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::layout_json::run(data));
