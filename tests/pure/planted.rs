//! Each planted defect is found within the seeds of an ordinary run: otherwise a simulation looks for nothing.
//!
//! A test names its simulation and the defects in [`check`]. Only debug builds have defects.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use butaca::planted::{Bug, plant};

/// The name of a thread whose panics are expected, so that nobody has to read them.
const QUIET: &str = "planted";

/// Each of `bugs` makes `run` panic with one of so many seeds.
pub(crate) fn check(bugs: &[Bug], seeds: u64, run: fn(u64)) {
    mute_expected_panics();
    for &bug in bugs {
        // Each search has a thread, and so what it plants, to itself.
        let search = std::thread::Builder::new().name(QUIET.into());
        let search = search.spawn(move || find(bug, seeds, run)).expect("a thread");
        let found = search.join().expect("its panics are caught");
        let (seed, text) = found.unwrap_or_else(|| panic!("{bug:?} is not found in {seeds} seeds"));
        println!("{bug:?} is found by seed {seed}: {}", text.lines().next().unwrap_or_default());
    }
}

/// The first seed that shows the defect, and what it says.
fn find(bug: Bug, seeds: u64, run: fn(u64)) -> Option<(u64, String)> {
    plant(Some(bug));
    (0..seeds).find_map(|seed| {
        let panic = catch_unwind(AssertUnwindSafe(|| run(seed))).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        Some((seed, text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()))
    })
}

fn mute_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(QUIET) {
                report(info);
            }
        }));
    });
}
