//! Repeats one piece of work, for a tool that counts its instructions: `perf/counts.sh` does.
//!
//! `counts NAME TIMES` warms the work up outside of [`counted`] and then does it so many times inside; with other
//! arguments it lists the names.

use std::process::ExitCode;

mod work;

/// Done first, so that buffers have grown and maps are as they stay.
const WARM_UP: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = match &arguments[..] {
        [name, times] => times.parse::<usize>().ok().map(|times| (name, times)),
        _ => None,
    };
    // `cargo bench` passes arguments of its own.
    let Some((name, times)) = wanted else {
        for layer in work::LAYERS {
            layer.works.iter().for_each(|work| println!("{}.{work}", layer.name));
        }
        return ExitCode::SUCCESS;
    };
    let is_of = |layer: &work::Layer| name.strip_prefix(layer.name).is_some_and(|rest| rest.starts_with('.'));
    let Some(layer) = work::LAYERS.into_iter().find(is_of) else {
        eprintln!("there is no work {name}");
        return ExitCode::from(64);
    };
    let mut work = (layer.prepare)(&name[layer.name.len() + 1..]);
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
