#![no_main]
//! See `butaca_fuzz::targets::letter`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::letter::run(data));
