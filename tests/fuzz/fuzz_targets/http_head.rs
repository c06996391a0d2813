#![no_main]
//! See `butaca_fuzz::targets::http_head`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::http_head::run(data));
