//! What the layers' pieces of work cost in time: `cargo bench -p benches`, or `cargo bench -p benches -- engine` for
//! one.

use benches::{LAYERS, find};
use divan::Bencher;

fn main() {
    divan::main();
}

#[divan::bench(args = LAYERS.iter().flat_map(benches::Layer::names))]
fn work(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(find(name).expect("the name is from the table"));
}
