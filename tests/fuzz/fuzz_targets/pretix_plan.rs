#![no_main]
//! See `butaca_fuzz::targets::pretix_plan`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| butaca_fuzz::targets::pretix_plan::run(data));
