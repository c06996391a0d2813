//! The planted defects that the simulation of a whole service finds.

use butaca::planted::Bug;

#[test]
fn every_planted_bug_is_found() {
    let engine = [Bug::DoubleGrant, Bug::LostRelease, Bug::ReorderedView, Bug::StaleDeadline, Bug::LeakedMember];
    let audience = [
        Bug::CutAboveLaggard,
        Bug::ReplyOvertakes,
        Bug::TornFrame,
        Bug::RingSkipsOne,
        Bug::PacedForgotten,
        Bug::StateOfAnotherMoment,
    ];
    let node = [
        Bug::AnswerOvertakes,
        Bug::GuessedAnswer,
        Bug::NewsJumpsQueue,
        Bug::ForgottenReadOn,
        Bug::StateOutlivesUndo,
        Bug::MoveLosesQueue,
        Bug::BudgetLosesRest,
    ];
    check(&[&engine[..], &audience, &node].concat());
}

#[test]
fn every_planted_bug_of_the_second_protocol_is_found() {
    check(&[
        Bug::PartialHold,
        Bug::GraceForgotten,
        Bug::TwoConnections,
        Bug::OlderTakesOver,
        Bug::NewLife,
        Bug::EndlessExtension,
        Bug::DeltaHole,
        Bug::MapOfAnotherMoment,
        Bug::BehindForgotten,
        Bug::TokenUnchecked,
        Bug::MapNotAsked,
        Bug::StaleCart,
    ]);
}

fn check(bugs: &[Bug]) {
    crate::planted::check(bugs, super::SEEDS, |seed| drop(super::run(seed)));
}
