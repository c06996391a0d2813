//! Each planted defect of the persistence layer is found within the seeds of an ordinary run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use butaca::persist::planted::{Bug, plant};

fn find(bug: Bug) -> Option<(u64, String)> {
    plant(Some(bug));
    let found = (0..super::SEEDS).find_map(|seed| {
        let panic = catch_unwind(AssertUnwindSafe(|| super::run(seed))).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        Some((seed, text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()))
    });
    plant(None);
    found
}

#[test]
fn every_planted_bug_of_the_store_is_found() {
    let bugs = [
        Bug::AckTooEarly,
        Bug::OlderWins,
        Bug::ForgottenRelease,
        Bug::StrangersStay,
        Bug::EternalHold,
        Bug::GhostOfRefusal,
        Bug::SkippedNumber,
        Bug::LongLease,
    ];
    for bug in bugs {
        let search = std::thread::spawn(move || find(bug));
        let (seed, text) = search.join().expect("its panics are caught").unwrap_or_else(|| {
            panic!("{bug:?} is not found in {} seeds", super::SEEDS);
        });
        println!("{bug:?} is found by seed {seed}: {}", text.lines().next().unwrap_or_default());
    }
}
