//! The oracle by itself: stories that are true, and one story for each way to be wrong.

use std::sync::Arc;

use loadgen::names::{Hall, Names, Seat, Who};
use loadgen::oracle::violation::Kind;
use loadgen::oracle::{Event, Now, Oracle, Reason, What};

/// What happens to one client.
#[derive(Clone, Copy)]
enum Step {
    /// `room_joined` with this number.
    Joined(Who, u64),
    /// `room_joined` in another epoch.
    Reborn(Who, u64),
    /// `current_selections`.
    State(Who, u64, &'static [(Seat, Who)]),
    /// Another's event: to whom, number, seat, by whom.
    Taken(Who, u64, Seat, Who),
    /// A seat became free.
    Freed(Who, u64, Seat, Who),
    /// A seat became free because its time was over; the last is when that came.
    Expired(Who, u64, Seat, Who, u64),
    /// The own reply to a select.
    Own(Who, u64, Seat),
    /// A select was refused as taken; the last is the number at sending.
    Refused(Who, Seat, u64),
    /// The connection ended.
    Gone(Who),
    /// Everything up to this wall clock was read.
    Sweep(u64),
    /// Does not read.
    Deaf(Who),
}
use Step::{Deaf, Expired, Freed, Gone, Joined, Own, Reborn, Refused, State, Sweep, Taken};

const DEADLINE_MS: u64 = 10_000;

fn event(oracle: &mut Oracle, to: Who, event: Event, own: bool, wall_ms: u64) {
    let text = format!("{event:?}");
    oracle.event(to, event, own, text.as_bytes(), Now { ns: 1, wall_ms });
}

/// Plays a story for four clients in one room of six seats and tells the kinds of what was wrong.
fn play(steps: &[Step]) -> Vec<Kind> {
    let names = Arc::new(Names::new("t", 1, Hall::of(6)));
    let mut oracle = Oracle::new(names, &[0; 4], &[0, 1, 2, 3]);
    let selected = |seq, seat, who| Event { seq, seat, who, what: What::Selected, deadline_ms: DEADLINE_MS, stamp: 0 };
    let freed =
        |seq, seat, who, reason| Event { seq, seat, who, what: What::Released(reason), deadline_ms: 0, stamp: 0 };
    for step in steps {
        match *step {
            Joined(who, seq) => oracle.joined(who, b"e1", seq),
            Reborn(who, seq) => oracle.joined(who, b"e2", seq),
            State(who, seq, list) => oracle.full_state(who, seq, list.to_vec()),
            Taken(to, seq, seat, who) => event(&mut oracle, to, selected(seq, seat, who), false, 1_000),
            Freed(to, seq, seat, who) => event(&mut oracle, to, freed(seq, seat, who, Reason::Released), false, 1_000),
            Expired(to, seq, seat, who, at) => {
                event(&mut oracle, to, freed(seq, seat, who, Reason::Expired), false, at)
            }
            Own(who, seq, seat) => event(&mut oracle, who, selected(seq, seat, who), true, 1_000),
            Refused(who, seat, since) => oracle.refused_as_taken(who, seat, since),
            Gone(who) => oracle.left(who),
            Sweep(wall_ms) => oracle.sweep(wall_ms, 500),
            Deaf(who) => oracle.set_deaf(who),
        }
    }
    oracle.settle();
    oracle.findings.counts.keys().copied().collect()
}

#[track_caller]
fn is_true(steps: &[Step]) {
    assert_eq!(play(steps), [], "this story is true");
}

#[track_caller]
fn is_wrong(steps: &[Step], kind: Kind) {
    assert_eq!(play(steps), [kind]);
}

#[test]
fn two_members_see_the_same() {
    is_true(&[Joined(0, 0), Joined(1, 0), Own(0, 1, 3), Taken(1, 1, 3, 0), Freed(0, 2, 3, 0), Freed(1, 2, 3, 0)]);
}

#[test]
fn the_full_state_of_a_late_member_fits() {
    is_true(&[
        Joined(0, 0),
        Own(0, 1, 3),
        Own(0, 2, 4),
        Joined(1, 2),
        State(1, 2, &[(3, 0), (4, 0)]),
        Freed(0, 3, 3, 0),
        Freed(1, 3, 3, 0),
    ]);
}

#[test]
fn who_joined_later_may_be_read_first() {
    is_true(&[Joined(1, 1), State(1, 1, &[(3, 0)]), Joined(0, 0), Own(0, 1, 3), Freed(1, 2, 3, 0), Freed(0, 2, 3, 0)]);
}

#[test]
fn a_repeated_select_is_answered_with_the_old_number() {
    is_true(&[
        Joined(0, 0),
        Joined(1, 0),
        Own(0, 1, 3),
        Taken(1, 1, 3, 0),
        Own(1, 2, 4),
        Taken(0, 2, 4, 1),
        Own(0, 1, 3),
    ]);
}

#[test]
fn a_slow_member_may_skip_when_it_is_told() {
    is_true(&[
        Joined(0, 0),
        Joined(1, 0),
        Own(0, 1, 3),
        Own(0, 2, 4),
        Own(0, 3, 5),
        State(1, 3, &[(3, 0), (4, 0), (5, 0)]),
    ]);
    // Its own reply may run ahead of the full state.
    is_true(&[
        Joined(0, 0),
        Joined(1, 0),
        Own(0, 1, 3),
        Taken(0, 2, 4, 1),
        Own(1, 2, 4),
        State(1, 2, &[(3, 0), (4, 1)]),
    ]);
}

#[test]
fn everybody_gone_and_back_is_true() {
    let back: &[(Seat, Who)] = &[];
    is_true(&[
        Joined(0, 0),
        Joined(1, 0),
        Own(0, 1, 3),
        Taken(1, 1, 3, 0),
        Gone(0),
        Gone(1),
        Joined(1, 2),
        Joined(0, 2),
        State(0, 2, back),
    ]);
}

#[test]
fn a_new_epoch_begins_anew() {
    is_true(&[Joined(0, 0), Own(0, 1, 3), Gone(0), Reborn(0, 0), Own(0, 1, 4)]);
    is_wrong(&[Joined(0, 0), Joined(1, 0), Reborn(0, 0)], Kind::LostEvent);
}

#[test]
fn a_double_grant() {
    is_wrong(&[Joined(0, 0), Own(0, 1, 3), Taken(0, 2, 3, 1)], Kind::DoubleGrant);
    // Also when both were told under the same number.
    is_wrong(&[Joined(0, 0), Joined(1, 0), Own(0, 1, 3), Own(1, 1, 3)], Kind::DoubleGrant);
}

#[test]
fn gaps_and_losses() {
    is_wrong(&[Joined(0, 0), Joined(1, 0), Own(0, 1, 3), Own(0, 2, 4), Taken(1, 2, 4, 0)], Kind::SilentGap);
    is_wrong(&[Joined(0, 0), Joined(1, 0), Own(0, 1, 3), Taken(0, 2, 4, 1), Own(1, 2, 4)], Kind::SilentGap);
    is_wrong(&[Joined(0, 0), Joined(1, 0), Own(0, 1, 3)], Kind::LostEvent);
    is_true(&[Deaf(1), Joined(0, 0), Joined(1, 0), Own(0, 1, 3)]);
}

#[test]
fn order() {
    is_wrong(
        &[
            Joined(0, 0),
            Joined(1, 0),
            Own(0, 1, 3),
            Own(0, 2, 4),
            Taken(1, 1, 3, 0),
            Taken(1, 2, 4, 0),
            Taken(1, 1, 3, 0),
        ],
        Kind::OutOfOrder,
    );
    is_wrong(&[Joined(0, 2), State(0, 1, &[(3, 1)])], Kind::OutOfOrder);
}

#[test]
fn different_stories() {
    is_wrong(&[Joined(0, 0), Joined(1, 0), Own(0, 1, 3), Taken(1, 1, 4, 0)], Kind::Diverged);
}

#[test]
fn wrong_full_states() {
    is_wrong(&[Joined(0, 0), Own(0, 1, 3), Joined(1, 1), State(1, 1, &[(4, 0)])], Kind::WrongFullState);
    is_wrong(&[Joined(0, 0), Own(0, 1, 3), Joined(1, 1)], Kind::WrongFullState);
    // Told before the events that prove it wrong were read.
    is_wrong(&[Joined(0, 0), Joined(1, 0), Own(0, 1, 3), State(1, 2, &[(5, 0)]), Own(0, 2, 4)], Kind::WrongFullState);
}

#[test]
fn releases() {
    is_wrong(&[Joined(0, 0), Freed(0, 1, 3, 1)], Kind::ReleaseOfFree);
    is_wrong(&[Joined(0, 0), Own(0, 1, 3), Freed(0, 2, 3, 1)], Kind::StrangerRelease);
}

#[test]
fn deadlines() {
    is_true(&[Joined(0, 0), Own(0, 1, 3), Expired(0, 2, 3, 0, DEADLINE_MS + 20), Sweep(DEADLINE_MS + 5_000)]);
    is_wrong(&[Joined(0, 0), Own(0, 1, 3), Expired(0, 2, 3, 0, DEADLINE_MS - 500)], Kind::EarlyExpiry);
    is_wrong(&[Joined(0, 0), Own(0, 1, 3), Sweep(DEADLINE_MS + 501)], Kind::LateExpiry);
    is_true(&[Joined(0, 0), Own(0, 1, 3), Sweep(DEADLINE_MS + 499)]);
    // A hold that was taken again is another hold.
    is_true(&[Joined(0, 0), Own(0, 1, 3), Freed(0, 2, 3, 0), Sweep(DEADLINE_MS + 5_000)]);
}

#[test]
fn refusals() {
    is_true(&[Joined(0, 0), Taken(0, 1, 3, 1), Refused(0, 3, 0), Freed(0, 2, 3, 1)]);
    // The event that explains it may come after it.
    is_true(&[Joined(0, 0), Refused(0, 3, 0), Taken(0, 1, 3, 1)]);
    is_wrong(&[Joined(0, 0), Refused(0, 3, 0), Taken(0, 1, 4, 1)], Kind::FalseRefusal);
}

#[test]
fn no_member_no_events() {
    is_wrong(&[Joined(0, 0), Gone(0), Taken(0, 1, 3, 1)], Kind::Uninvited);
}

#[test]
fn the_first_copy_stands_for_all() {
    let names = Arc::new(Names::new("t", 1, Hall::of(6)));
    let mut oracle = Oracle::new(names, &[0; 3], &[0, 1, 2]);
    (0..3).for_each(|who| oracle.joined(who, b"e", 0));
    let told = Event { seq: 1, seat: 2, who: 0, what: What::Selected, deadline_ms: 0, stamp: 77 };
    assert!(oracle.recognise(1, b"frame").is_none(), "nobody has told it yet");
    oracle.event(1, told, false, b"frame", Now::default());
    // The room of a member is settled by its first message, so the second one can be recognised.
    oracle.event(2, told, false, b"frame", Now::default());
    let next = Event { seq: 2, seat: 3, ..told };
    oracle.event(1, next, false, b"other", Now::default());
    let known = oracle.recognise(2, b"other").expect("the same bytes under the next number");
    assert_eq!((known.what, known.stamp, oracle.seq(2)), (What::Selected, 77, 2));
    assert!(oracle.recognise(0, b"other").is_none(), "the actor reads its own reply");
}
