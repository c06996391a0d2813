//! Replays the seed corpora of the fuzzers, and whatever they once found, without a fuzzer.

use std::fs;
use std::path::Path;

#[expect(unreachable_pub, reason = "the fuzz crate exports these functions to its programs")]
#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("the target has a corpus") {
        let path = entry.expect("the corpus can be listed").path();
        // Captured by the test harness, and shown when this file is the one that fails.
        println!("{}", path.display());
        run(&fs::read(path).expect("the corpus can be read"));
        replayed += 1;
    }
    assert!(replayed >= 5, "the corpus of {target} is incomplete");
}

#[test]
fn http_head() {
    replay("http_head", targets::http_head::run);
}

#[test]
fn socket_bytes() {
    replay("socket_bytes", targets::socket_bytes::run);
}

#[test]
fn message_json() {
    replay("message_json", targets::message_json::run);
}

#[test]
fn shard_ops() {
    replay("shard_ops", targets::shard_ops::run);
}

#[test]
fn v2_json() {
    replay("v2_json", targets::v2_json::run);
}

#[test]
fn node_turns() {
    replay("node_turns", targets::node_turns::run);
}

#[test]
fn layout_json() {
    replay("layout_json", targets::layout_json::run);
}

#[test]
fn jwt() {
    replay("jwt", targets::jwt::run);
}

#[test]
fn pretix_plan() {
    replay("pretix_plan", targets::pretix_plan::run);
}

#[test]
fn letter() {
    replay("letter", targets::letter::run);
}
