//! What a change costs on its way to the store: `cargo bench --bench batch`.

use divan::Bencher;

#[allow(dead_code, reason = "each benchmark measures one layer of them")]
mod work;

fn main() {
    divan::main();
}

#[divan::bench(args = work::batch::WORKS)]
fn batch(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(work::batch::prepare(name));
}
