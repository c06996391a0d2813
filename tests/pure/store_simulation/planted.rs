//! The planted defects of the persistence layer that its simulation finds.

use butaca::planted::Bug;

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
    crate::planted::check(&bugs, super::SEEDS, |seed| drop(super::run(seed)));
}
