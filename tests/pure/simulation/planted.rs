//! Each planted defect is found within the seeds of an ordinary run: otherwise the simulation looks for nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use butaca::audience::planted as audience;
use butaca::engine::shard::planted::Bug;

/// The name of a thread whose panics are expected, so that nobody has to read them.
const QUIET: &str = "planted";

/// A defect, and where it is.
#[derive(Clone, Copy, Debug)]
enum Planted {
    Engine(Bug),
    Audience(audience::Bug),
}

/// The first seed that shows the defect, and what it says.
fn find(bug: Planted) -> Option<(u64, String)> {
    (0..super::SEEDS).find_map(|seed| {
        let run = || {
            super::run(seed, |shard| match bug {
                Planted::Engine(bug) => shard.plant(bug),
                Planted::Audience(bug) => audience::plant(Some(bug)),
            })
        };
        let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        Some((seed, text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()))
    })
}

#[test]
fn every_planted_bug_is_found() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() != Some(QUIET) {
            report(info);
        }
    }));
    let engine = [Bug::DoubleGrant, Bug::LostRelease, Bug::ReorderedView, Bug::StaleDeadline, Bug::LeakedMember];
    let audience = [audience::Bug::CutAboveLaggard, audience::Bug::ReplyOvertakes, audience::Bug::TornFrame];
    for bug in engine.map(Planted::Engine).into_iter().chain(audience.map(Planted::Audience)) {
        // Each search has a thread, and so what it plants, to itself.
        let search = std::thread::Builder::new().name(QUIET.into()).spawn(move || find(bug)).expect("a thread");
        let found = search.join().expect("its panics are caught");
        let (seed, text) = found.unwrap_or_else(|| panic!("{bug:?} is not found in {} seeds", super::SEEDS));
        println!("{bug:?} is found by seed {seed}: {}", text.lines().next().unwrap_or_default());
    }
}
