//! Passes, members that are behind, cuts and bounds.

use super::{Span, View};

fn frame(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81, u8::try_from(text.len()).expect("short")];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn frames(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| frame(text)).collect()
}

fn put(view: &mut View, text: &str) {
    assert!(!view.append(1_000, |log| log.extend(frame(text))), "room in the log");
    view.check_invariants();
}

/// Serves everybody until the pass ends: who gets what.
fn serve(view: &mut View) -> Vec<(u32, Vec<u8>)> {
    let mut served = Vec::new();
    while let Some(step) = view.step() {
        served.push((step.slot, view.tail(step.from).to_vec()));
    }
    view.check_invariants();
    served
}

fn pass(view: &mut View) -> Vec<(u32, Vec<u8>)> {
    view.begin_pass();
    serve(view)
}

/// Serves the next member, whose socket takes only so much; what it must be sent first of all.
fn serve_in_part(view: &mut View, sent: usize) -> Vec<u8> {
    view.begin_pass();
    let step = view.step().expect("somebody is owed something");
    let rest = view.fall_behind(step.index, step.from, sent).to_vec();
    view.check_invariants();
    rest
}

/// Reads on in the log for a member that is behind, to its end.
fn read_on(view: &mut View, index: u32) -> Vec<u8> {
    let span = view.claim(index);
    let bytes = view.read(span).to_vec();
    assert_eq!(view.took(index, span.from, bytes.len()), (span.to, &[][..]));
    assert!(view.catch_up(index));
    view.check_invariants();
    bytes
}

#[test]
fn several_frames_are_one_slice() {
    let mut view = View::default();
    view.add(7);
    view.add(8);
    put(&mut view, "a");
    put(&mut view, "b");
    assert_eq!(pass(&mut view), [(7, frames(&["a", "b"])), (8, frames(&["a", "b"]))]);
    assert!(!view.is_due() && view.log_len() == 0);
}

#[test]
fn frames_that_arrive_during_a_pass_reach_everybody_once() {
    let mut view = View::default();
    (0..3).for_each(|slot| _ = view.add(slot));
    put(&mut view, "a");
    view.begin_pass();
    let first = view.step().expect("somebody is owed a frame");
    assert_eq!((first.slot, view.tail(first.from)), (0, &frame("a")[..]));
    put(&mut view, "b");
    assert_eq!(serve(&mut view), [(1, frames(&["a", "b"])), (2, frames(&["a", "b"]))]);
    assert!(view.is_due(), "member 0 waits for the next pass");
    assert_eq!(pass(&mut view), [(0, frame("b"))]);
    assert!(!view.is_due());
}

/// Also when some of them are behind: they keep that wherever they move.
#[test]
fn a_member_removed_during_a_pass_hides_nobody() {
    for gone in 0..4 {
        let mut view = View::default();
        let mut index_of: Vec<u32> = (0..4).map(|slot| view.add(slot)).collect();
        put(&mut view, "a");
        view.begin_pass();
        let mut got: Vec<u32> = Vec::new();
        for number in 0..2 {
            let step = view.step().expect("four are owed something");
            if number == 1 {
                view.fall_behind(step.index, step.from, 0);
            }
            got.push(step.slot);
        }
        for moved in view.remove(index_of[gone as usize]).into_iter().flatten() {
            index_of[moved.slot as usize] = moved.index;
        }
        view.check_invariants();
        got.extend(serve(&mut view).into_iter().map(|(slot, _)| slot));
        got.retain(|&slot| slot != gone);
        got.sort_unstable();
        assert_eq!(got, (0..4).filter(|&slot| slot != gone).collect::<Vec<u32>>(), "with {gone} removed");
        for slot in (0..4).filter(|&slot| slot != gone) {
            assert_eq!(view.members[index_of[slot as usize] as usize].slot, slot, "indices follow the moves");
            assert_eq!(view.is_behind(index_of[slot as usize]), slot == 1);
        }
        assert_eq!(view.log_len(), if gone == 1 { 0 } else { 3 }, "it is kept for whom it must be");
        if gone != 1 {
            assert_eq!(read_on(&mut view, index_of[1]), frame("a"));
        }
        assert_eq!(view.log_len(), 0);
    }
}

/// A member is behind from the end of the frame that was begun, wherever the socket stopped, and gets the rest in
/// order.
#[test]
fn a_partial_send_at_any_byte_leaves_a_member_behind() {
    let all = frames(&["one", "four", "fifteen bytes.."]);
    for sent in 0..all.len() {
        let mut view = View::default();
        let (slow, fast) = (view.add(1), view.add(2));
        ["one", "four", "fifteen bytes.."].iter().for_each(|text| put(&mut view, text));
        let rest = serve_in_part(&mut view, sent);
        assert_eq!(serve(&mut view), [(2, all.clone())]);
        assert!(view.is_behind(slow) && !view.is_behind(fast) && !view.is_due());
        put(&mut view, "later");
        assert_eq!(pass(&mut view), [(2, frame("later"))], "passes leave it out");
        let begun = sent + rest.len();
        assert!([0, 5, 11, 28].contains(&begun), "{sent}: whole frames are left");
        let on = read_on(&mut view, slow);
        assert_eq!([&all[..sent], &rest, &on].concat(), [all.clone(), frame("later")].concat());
        put(&mut view, "last");
        assert_eq!(pass(&mut view).len(), 2, "it is served like any other");
    }
}

/// The same for a part of the log that an outbox names, while more is appended.
#[test]
fn a_named_part_is_sent_in_pieces() {
    let all = frames(&["one", "four", "fifteen bytes.."]);
    for piece in 1..all.len() {
        let mut view = View::default();
        let index = view.add(1);
        ["one", "four", "fifteen bytes.."].iter().for_each(|text| put(&mut view, text));
        let Span { mut from, to } = view.claim(index);
        put(&mut view, "beyond");
        let mut got = Vec::new();
        while from != to {
            let bytes = view.read(Span { from, to });
            let sent = piece.min(bytes.len());
            got.extend_from_slice(&bytes[..sent]);
            let (next, rest) = view.took(index, from, sent);
            got.extend_from_slice(rest);
            from = next;
            view.check_invariants();
        }
        assert_eq!(got, all, "in pieces of {piece}");
        assert!(!view.catch_up(index), "one more frame came");
        assert_eq!(read_on(&mut view, index), frame("beyond"));
    }
}

#[test]
fn the_log_is_cut_where_the_last_one_needs_it() {
    let mut view = View::default();
    let indices: Vec<u32> = (0..3).map(|slot| view.add(slot)).collect();
    put(&mut view, "a");
    serve_in_part(&mut view, 3);
    serve(&mut view);
    assert_eq!(view.log_len(), 0, "it has got the frame whole");
    put(&mut view, "b");
    view.begin_pass();
    assert_eq!(view.step().map(|step| step.slot), Some(1));
    assert_eq!(serve_in_part(&mut view, 0), b"", "the third falls behind, too");
    assert_eq!(serve(&mut view), []);
    put(&mut view, "c");
    assert_eq!(pass(&mut view), [(1, frame("c"))]);
    assert_eq!((view.log_len(), view.behind_bytes()), (6, 12));
    assert_eq!(read_on(&mut view, indices[0]), frames(&["b", "c"]));
    put(&mut view, "d");
    assert_eq!(pass(&mut view).len(), 2);
    assert_eq!((view.log_len(), view.behind_bytes()), (9, 9));
    view.remove(indices[2]);
    assert_eq!(view.log_len(), 0, "nobody needs it");
}

/// One that is met by a pass as somebody who is served, and falls behind later in it, keeps its part of the log.
#[test]
fn who_falls_behind_during_a_pass_is_not_cut_off() {
    let mut view = View::default();
    let (first, second) = (view.add(1), view.add(2));
    put(&mut view, "a");
    view.begin_pass();
    assert_eq!(view.step().map(|step| step.index), Some(first));
    put(&mut view, "b");
    let span = view.claim(first);
    assert_eq!(view.step().map(|step| step.index), Some(second));
    assert_eq!(view.step(), None);
    view.check_invariants();
    assert_eq!(view.read(span), frame("b"));
}

/// An own frame stands in the place of an event: the log is read on behind it.
#[test]
fn who_gets_its_own_frame_is_not_sent_the_public_one() {
    let mut view = View::default();
    let index = view.add(1);
    put(&mut view, "a");
    let before = view.claim(index);
    put(&mut view, "its own");
    view.settle(index);
    put(&mut view, "c");
    let behind = view.claim(index);
    assert_eq!((view.read(before), view.read(behind)), (&frame("a")[..], &frame("c")[..]));
    view.took(index, before.from, 3);
    view.took(index, behind.from, 3);
    assert!(view.catch_up(index));
}

#[test]
fn when_everybody_is_behind_no_pass_is_due_and_the_bound_holds() {
    let mut view = View::default();
    let indices: Vec<u32> = (0..3).map(|slot| view.add(slot)).collect();
    put(&mut view, "x");
    view.begin_pass();
    while let Some(step) = view.step() {
        view.fall_behind(step.index, step.from, 0);
    }
    let mut dropped = Vec::new();
    while dropped.is_empty() {
        assert!(!view.is_due());
        if view.append(160, |log| log.extend(frame(&"x".repeat(18)))) {
            dropped = view.drop_laggards(160, 1_000);
        }
        view.check_invariants();
        assert!(view.log_len() <= 180, "{} bytes are kept", view.log_len());
    }
    assert_eq!(dropped, [0, 1, 2]);
    assert_eq!(view.log_len(), 0);
    put(&mut view, "unseen");
    assert_eq!((view.log_len(), view.owed(indices[1])), (0, &[][..]));
    view.resume(indices[1]);
    put(&mut view, "seen");
    assert_eq!(view.owed(indices[1]), frame("seen"));
}

/// The bound drops only who is too far behind, at once or, at the bound of the log, whoever needs more than half of it.
#[test]
fn only_those_too_far_behind_are_dropped() {
    let mut view = View::default();
    let (far, near, served) = (view.add(1), view.add(2), view.add(3));
    let put_bytes = |view: &mut View, len: u8| {
        let needed = view.append(80, |log| log.extend(frame(&"x".repeat(len.into()))));
        if needed { view.drop_laggards(80, 200) } else { Vec::new() }
    };
    assert!(put_bytes(&mut view, 38).is_empty());
    serve_in_part(&mut view, 0);
    assert_eq!(serve(&mut view).len(), 2);
    assert!(put_bytes(&mut view, 28).is_empty());
    view.settle(served);
    serve_in_part(&mut view, 0);
    assert_eq!(serve(&mut view), []);
    assert_eq!(put_bytes(&mut view, 18), [1], "90 bytes behind; the other is 50 behind");
    assert!(view.is_skipping(far) && view.is_behind(near) && view.log_len() == 50);
    assert_eq!(put_bytes(&mut view, 188), [2, 3], "a letter larger than the log");
    assert!(view.is_skipping(served) && view.log_len() == 0);
}

/// However often the bound is met, the members are looked through once for an eighth of it.
#[test]
fn a_log_at_its_bound_does_not_cost_a_look_for_each_frame() {
    let mut view = View::default();
    view.add(1);
    view.add(2);
    let mut looks = 0;
    for _ in 0..1_000 {
        if view.append(8_000, |log| log.extend(frame(&"x".repeat(78)))) {
            looks += 1;
            assert!(view.drop_laggards(8_000, 100_000).is_empty(), "who waits for a pass is not slow");
        }
    }
    assert!((50..100).contains(&looks), "{looks} looks for 80,000 bytes");
}

/// One laggard does not make each pass move the whole log.
#[test]
fn what_is_cut_is_moved_once_for_its_own_length() {
    let mut view = View::default();
    let (laggard, _) = (view.add(1), view.add(2));
    put(&mut view, "first");
    serve_in_part(&mut view, 0);
    serve(&mut view);
    let mut moved = 0;
    let mut from = view.claim(laggard).from;
    for _ in 0..2_000 {
        assert!(!view.append(100_000, |log| log.extend(frame("0123456789"))));
        let start = view.start;
        pass(&mut view);
        moved += if view.start < start { view.log_len() } else { 0 };
        if view.log_len() > 1_200 {
            let to = view.claim(laggard).to;
            let bytes = view.read(Span { from, to })[..].len().min(12);
            from = view.took(laggard, from, bytes).0;
        }
        assert!(view.log.len() <= 3 * 1_300, "what was cut is not kept");
    }
    assert!(moved <= 24_000, "{moved} bytes were moved for 24,000");
}

/// A full state that comes twice, or for a room that the member joined after it was dropped, moves nobody.
#[test]
fn a_full_state_moves_only_who_skips() {
    let mut view = View::default();
    let index = view.add(1);
    put(&mut view, "a");
    let span = view.claim(index);
    view.resume(index);
    assert!(view.is_behind(index) && view.read(span) == frame("a"), "it is still sent the log");
    view.took(index, span.from, 3);
    assert!(view.catch_up(index));
    view.skip(index);
    put(&mut view, "unseen");
    view.resume(index);
    assert!(!view.is_skipping(index) && view.owed(index).is_empty());
}
