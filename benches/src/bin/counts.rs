//! Repeats one piece of work, for a tool that counts its instructions: `perf/counts.sh` does.
//!
//! `counts NAME TIMES` warms the work up outside of [`counted`] and then does it so many times inside; with other
//! arguments it lists the names. It is built as the server is released, so what it counts is what is shipped.

use std::process::ExitCode;

/// Done first, so that buffers have grown and maps are as they stay.
const WARM_UP: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, times] = &arguments[..] else {
        benches::LAYERS.iter().flat_map(benches::Layer::names).for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let (Some(mut work), Ok(times)) = (benches::find(name), times.parse()) else {
        eprintln!("there is no work {name}, or {times} is no number");
        return ExitCode::from(64);
    };
    (0..WARM_UP).for_each(|_| work());
    counted(&mut *work, times);
    ExitCode::SUCCESS
}

/// Counting is switched on by the entry into this function and off by its end: it must keep its name and its frame.
#[inline(never)]
fn counted(work: &mut dyn FnMut(), times: usize) {
    for _ in 0..times {
        work();
    }
}
