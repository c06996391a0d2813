//! The planted defects that this simulation finds.

use butaca::planted::Bug;

#[test]
fn every_planted_bug_of_a_takeover_is_found() {
    let bugs =
        [Bug::OwnViewsStay, Bug::AsksUnshown, Bug::LateAnswer, Bug::JoinerSkips, Bug::DeposedTells, Bug::ChangesFrozen];
    crate::planted::check(&bugs, super::SEEDS, |seed| drop(super::run(seed)));
}
