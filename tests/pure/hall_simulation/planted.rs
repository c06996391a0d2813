//! The planted defects that the simulation of halls finds.

use butaca::planted::Bug;

#[test]
fn every_planted_bug_of_a_hall_is_found() {
    let bugs = [
        Bug::IndexShift,
        Bug::LimitAConnection,
        Bug::NobodyReturns,
        Bug::BestLeavesAlone,
        Bug::BestTakesSpecial,
        Bug::SinceOfAnotherLife,
        Bug::EndlessToken,
        Bug::StaysWithoutToken,
        Bug::OpensEveryRoom,
        Bug::GoesInSilence,
        Bug::GraceForgotten,
        Bug::TokenUnchecked,
        Bug::PartialHold,
    ];
    crate::planted::check(&bugs, super::SEEDS, |seed| drop(super::run(seed)));
}
