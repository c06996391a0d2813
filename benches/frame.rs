//! What reading a client's frames, a request head and writing frames cost: `cargo bench --bench frame`.

use divan::Bencher;

#[allow(dead_code, reason = "each benchmark measures one layer of them")]
mod work;

fn main() {
    divan::main();
}

#[divan::bench(args = work::frame::WORKS)]
fn frame(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(work::frame::prepare(name));
}
