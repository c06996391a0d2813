//! What the shard's commands cost: `cargo bench --bench engine`.

use divan::Bencher;

#[allow(dead_code, reason = "each benchmark measures one layer of them")]
mod work;

fn main() {
    divan::main();
}

#[divan::bench(args = work::engine::WORKS)]
fn engine(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(work::engine::prepare(name));
}
