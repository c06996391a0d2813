//! What serving a room costs without its sends, and what an outbox costs: `cargo bench --bench audience`.

use divan::Bencher;

#[allow(dead_code, reason = "each benchmark measures one layer of them")]
mod work;

fn main() {
    divan::main();
}

#[divan::bench(args = work::audience::WORKS)]
fn audience(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(work::audience::prepare(name));
}
