#![no_main]
//! See `butaca_fuzz::targets::socket_bytes`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::socket_bytes::run(data));
