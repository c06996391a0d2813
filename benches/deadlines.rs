//! What the ends of holds cost: `cargo bench --bench deadlines`.

use divan::Bencher;

#[allow(dead_code, reason = "each benchmark measures one layer of them")]
mod work;

fn main() {
    divan::main();
}

#[divan::bench(args = work::deadlines::WORKS)]
fn deadlines(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(work::deadlines::prepare(name));
}
