#![no_main]
//! See `butaca_fuzz::targets::node_turns`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::node_turns::run(data));
