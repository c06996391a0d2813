//! What the fuzzers run. The same functions replay the seed corpora in the ordinary tests, without a fuzzer.

pub mod targets;
