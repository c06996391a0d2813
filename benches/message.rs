//! What reading a request and writing a message cost: `cargo bench --bench message`.

use divan::Bencher;

#[allow(dead_code, reason = "each benchmark measures one layer of them")]
mod work;

fn main() {
    divan::main();
}

#[divan::bench(args = work::message::WORKS)]
fn message(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(work::message::prepare(name));
}
