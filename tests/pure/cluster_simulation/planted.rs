//! The planted defects of the cluster that its simulation finds.

use butaca::planted::Bug;

#[test]
fn every_planted_bug_of_the_cluster_is_found() {
    let bugs = [
        Bug::LeaseNotChecked,
        Bug::LeaseFromAnswer,
        Bug::RefusalIsGrant,
        Bug::ServesBothSides,
        Bug::ResumesUnasked,
        Bug::TakesInNewEra,
        Bug::RenewsBlindly,
        Bug::HoleUnseen,
        Bug::TailUnseen,
        Bug::DoneTwice,
        Bug::NotAnsweredAgain,
        Bug::NotSentAgain,
        Bug::EarlierLife,
    ];
    crate::planted::check(&bugs, super::SEEDS, |seed| drop(super::run(seed)));
}
