#![no_main]
//! See `butaca_fuzz::targets::jwt`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::jwt::run(data));
