//! Deliberate defects, to show that the simulations find what they look for: a switch that a test turns, for its
//! thread.
//!
//! A layer asks [`has`] where the right thing would be done, and does the wrong one. Invariants: a release build has
//! neither the switch nor the defects: there [`has`] is constantly false, and what it guards is left out. Never here:
//! what a defect does.

/// A defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Engine: a select of a seat that somebody else holds is granted now and then.
    DoubleGrant,
    /// Engine: the last seat of a connection that has ended is never released.
    LostRelease,
    /// Engine: two changes of one input are told in the wrong order.
    ReorderedView,
    /// Engine: the number of a hold is used again, so that the end of an earlier hold can end a later one.
    StaleDeadline,
    /// Engine: a connection that has ended stays a member of one of its rooms.
    LeakedMember,
    /// Engine: of the seats that a cart is to get those that are free are taken, though others are not.
    PartialHold,
    /// Engine: nobody waits for a session whose connection has ended.
    GraceForgotten,
    /// Engine: the connection that a newer one takes a session over from keeps it as well.
    TwoConnections,
    /// Engine: an older connection of a session takes it back.
    OlderTakesOver,
    /// Engine: a cart that is let go begins a new life.
    NewLife,
    /// Engine: an extension is not counted.
    EndlessExtension,
    /// Engine: a room that gets another layout goes on with its life.
    IndexShift,
    /// Engine: who has several connections may have as many seats by each.
    LimitAConnection,
    /// Engine: owners from before a restart are not waited for.
    NobodyReturns,
    /// Engine: a late booking takes seats that somebody else holds.
    LateBookTakes,
    /// Engine: a late booking books the seats that are left.
    BookedInPart,
    /// Engine: the refund of one seat ends all of the order.
    RefundOfAll,
    /// Engine: an order that has ended is checked out again by its name.
    EndedOrderLives,
    /// Engine: a room takes seats that its layout does not have.
    PlaceUnchecked,
    /// Engine: visitors take seats of a room whose sale is paused.
    SoldWhileShut,
    /// Engine: an order whose time ran out between the reading of the store and its return has expired in silence.
    LapsedInSilence,

    /// Layout: of the places for a group nobody minds one that leaves somebody alone.
    BestLeavesAlone,
    /// Layout: places of companions are given to anybody.
    BestTakesSpecial,

    /// Audience: a pass cuts the log away from a member that falls behind after the pass has met it.
    CutAboveLaggard,
    /// Audience: a reply leaves before the part of a log that stands before it.
    ReplyOvertakes,
    /// Audience: the rest of a frame that was begun is left out when its member is dropped by the room.
    TornFrame,
    /// Audience: of what happened since a full state the first change is left out.
    RingSkipsOne,
    /// Audience: a room whose time has come is not served.
    PacedForgotten,
    /// Audience: a full state of another moment is taken for that of this one.
    StateOfAnotherMoment,
    /// Audience: of what has changed since a member was told last the first change is left out.
    DeltaHole,
    /// Audience: a map of another moment is taken for that of this one.
    MapOfAnotherMoment,
    /// Audience: a member that was behind is not told what it has missed.
    BehindForgotten,

    /// Audience: who comes back is told what has changed in another life of the room.
    SinceOfAnotherLife,

    /// Authentication: what a token of a session says is believed.
    TokenUnchecked,
    /// Authentication: a token of a session is good for ever.
    EndlessToken,

    /// Node: a connection stays when its token is over.
    StaysWithoutToken,
    /// Node: a token opens every room.
    OpensEveryRoom,
    /// Node: a server that goes away does not say so.
    GoesInSilence,
    /// Node: an answer that needs nobody overtakes those to earlier requests.
    AnswerOvertakes,
    /// Node: which request a change answers is guessed, and the end of a hold by its deadline taken for an answer.
    GuessedAnswer,
    /// Node: a change joins an earlier letter about its room, over others that stand between.
    NewsJumpsQueue,
    /// Node: requests that waited for answers are not read again.
    ForgottenReadOn,
    /// Node: a full state outlives the changes that it tells, which are undone.
    StateOutlivesUndo,
    /// Node: a connection moves although not all that it is owed has left.
    MoveLosesQueue,
    /// Node: what is queued when the budget of a turn is used up is forgotten.
    BudgetLosesRest,
    /// Node: nobody asks for the maps of those who wait for one.
    MapNotAsked,
    /// Node: the backend is answered before the store has what it is told.
    AnsweredEarly,
    /// Node: a booking is no event of the log.
    ActNotLogged,
    /// Node: the events of a room are counted anew after a restart.
    CountedAnew,
    /// Node: events go to the store with the batch behind their changes.
    LoggedLater,
    /// Node: a cart that changes while its session is looked for elsewhere is told as it was.
    StaleCart,

    /// Persistence: what a batch brings is told when the batch before it is committed.
    AckTooEarly,
    /// Persistence: of two changes of a seat in one batch the first one stays.
    OlderWins,
    /// Persistence: the release of a seat is not stored.
    ForgottenRelease,
    /// Persistence: a full state leaves in the store what no longer exists.
    StrangersStay,
    /// Persistence: after a step of the clock a hold lives longer than any may.
    EternalHold,
    /// Persistence: a select that was refused stays in the store.
    GhostOfRefusal,
    /// Persistence: changes that remain when others are undone keep their numbers.
    SkippedNumber,
    /// Persistence: an order that was booked has expired after a restart.
    BookingRunsOut,
    /// Persistence: that an order has been booked is not stored.
    BookingNotKept,
    /// Persistence: a select that was refused is undone though its seat is in checkout by now.
    UndoneUnderCheckout,
    /// Persistence: the orders of a room that was deleted stay in the store.
    DeletedOrderStays,
    /// Persistence: what the shop has decided of a room is not stored.
    SettingsNotKept,
    /// Persistence: of the log one event more goes from the store than from memory.
    TrimmedTooFar,
    /// Persistence: who reads the log too late is not told.
    TrimmedUnsaid,
    /// Persistence: what lapsed while no server looked is forgotten, and its event is not written.
    LapsedUntold,

    /// Persistence: a writer believes in its lease for longer than the store does.
    LongLease,

    /// Cluster: a node goes on deciding when its lease is over.
    LeaseNotChecked,
    /// Cluster: a lease is counted from the answer instead of from the call.
    LeaseFromAnswer,
    /// Cluster: a node that hears that another one has the part goes on as if it had been granted.
    RefusalIsGrant,
    /// Cluster: a part is decided by its old owner while it is handed over.
    ServesBothSides,
    /// Cluster: a hand-over that took too long is ended without asking Redis.
    ResumesUnasked,
    /// Cluster: parts are taken at once from a Redis that may have lost leases.
    TakesInNewEra,
    /// Cluster: a lease that is over is renewed at a Redis that may have lost that of the next owner.
    RenewsBlindly,
    /// Cluster: a gap in the numbers of a sender is not noticed.
    HoleUnseen,
    /// Cluster: the loss of the last entries of a sender is not noticed.
    TailUnseen,
    /// Cluster: a command that comes again is done again.
    DoneTwice,
    /// Cluster: a command that comes again is not answered.
    NotAnsweredAgain,
    /// Cluster: commands without an answer are not sent again.
    NotSentAgain,
    /// Cluster: a sender that has started again is taken for its earlier life.
    EarlierLife,
    /// Cluster: the new owner of a room does not show it anew to those who look at it from where it is now.
    OwnViewsStay,
    /// Cluster: a member that asks to be let in before the new owner serves is forgotten, and asks for something else
    /// meanwhile.
    AsksUnshown,
    /// Cluster: what a former owner has answered is told, though the new one has been asked.
    LateAnswer,
    /// Cluster: a node whose lease has ended while it stood still tells what was never stored.
    DeposedTells,
    /// Cluster: the end of a connection changes rooms that are being given away.
    ChangesFrozen,
    /// Cluster: who joins a room of which something was missed is told nothing more, like those who wait for it.
    JoinerSkips,
}

#[cfg(debug_assertions)]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Switches a defect on for this thread, or all of them off.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether the defect is there.
    pub(crate) fn has(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Whether any defect is there: then it is for the simulation to find, and no layer may find it by itself.
    pub(crate) fn has_any() -> bool {
        PLANTED.get().is_some()
    }
}

#[cfg(debug_assertions)]
pub use switch::plant;
#[cfg(debug_assertions)]
pub(crate) use switch::{has, has_any};

/// Whether the defect is there: never.
#[cfg(not(debug_assertions))]
pub(crate) const fn has(_: Bug) -> bool {
    false
}
