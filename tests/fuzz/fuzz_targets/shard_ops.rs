#![no_main]
//! See `butaca_fuzz::targets::shard_ops`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::shard_ops::run(data));
