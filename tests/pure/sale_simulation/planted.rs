//! The planted defects that the simulation of a sale finds.

use butaca::planted::Bug;

#[test]
fn every_planted_bug_of_the_sale_is_found() {
    let bugs = [
        Bug::AnsweredEarly,
        Bug::LateBookTakes,
        Bug::BookingRunsOut,
        Bug::RefundOfAll,
        Bug::EndedOrderLives,
        Bug::BookingNotKept,
        Bug::UndoneUnderCheckout,
        Bug::ActNotLogged,
        Bug::LoggedLater,
        Bug::CountedAnew,
        Bug::BookedInPart,
        Bug::LapsedInSilence,
        Bug::LapsedUntold,
        Bug::TrimmedTooFar,
        Bug::TrimmedUnsaid,
        Bug::DeletedOrderStays,
        Bug::SettingsNotKept,
        Bug::PlaceUnchecked,
        Bug::SoldWhileShut,
        Bug::LostRelease,
        Bug::EternalHold,
        Bug::ForgottenRelease,
    ];
    crate::planted::check(&bugs, super::SEEDS, |seed| drop(super::run(seed)));
}
