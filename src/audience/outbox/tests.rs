//! Order, what gives way, and what is finished.

use super::super::budget::{Budget, Kind as Memory};
use super::super::shared::{Shared, SharedBytes};
use super::super::view::{Span, View};
use super::{GONE_BYTES_MAX, Kind, LogPart, Outbox};

fn frame(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81, u8::try_from(text.len()).expect("short")];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn reply(outbox: &mut Outbox, text: &str) {
    outbox.write(Kind::Reply, |out| out.extend(frame(text)));
}

/// A view with one member, and the part of its log that each text is.
fn view(texts: &[&str]) -> (View, Vec<LogPart>) {
    let mut view = View::default();
    let index = view.add(0);
    let part = |text: &&str| {
        assert!(!view.append(10_000, |log| log.extend(frame(text))));
        LogPart { view: 7, span: view.claim(index) }
    };
    let parts = texts.iter().map(part).collect();
    (view, parts)
}

/// Everything that leaves when the socket takes pieces of this length.
fn drain(outbox: &mut Outbox, view: &mut View, piece: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    while !outbox.is_empty() {
        let part = outbox.next_log();
        let bytes = part.map_or(outbox.unsent(), |part| view.read(part.span));
        let len = piece.min(bytes.len());
        sent.extend_from_slice(&bytes[..len]);
        match part {
            None => outbox.advance(len),
            Some(part) => {
                let (next, rest) = view.took(0, part.span.from, len);
                outbox.advance_log(next, rest);
            }
        }
        view.check_invariants();
    }
    assert_eq!((outbox.unsent_len(), outbox.weight()), (0, 0));
    sent
}

/// Replies, copied events, parts of logs and full states leave in the order in which they came, however little at a
/// time.
#[test]
fn order_is_kept_across_kinds() {
    let budget = Budget::default();
    let all = ["a", "b", "log one", "log two", "mine", "log three", "state", "log four", "z"].map(frame).concat();
    for piece in 1..=all.len() {
        let (mut view, parts) = view(&["log one", "log two", "log three", "log four"]);
        let mut outbox = Outbox::default();
        reply(&mut outbox, "a");
        assert!(outbox.push_events(&frame("b"), 100));
        outbox.push_log(parts[0]);
        outbox.push_log(parts[1]);
        reply(&mut outbox, "mine");
        outbox.push_log(parts[2]);
        outbox.share(Kind::Resync, Shared::new(frame("state"), Memory::FullStates, &budget));
        outbox.push_log(parts[3]);
        reply(&mut outbox, "z");
        assert_eq!(outbox.runs.len(), 8, "parts that follow each other are one");
        assert_eq!(drain(&mut outbox, &mut view, piece), all, "in pieces of {piece}");
        assert!(view.catch_up(0) && view.log_len() == 9 + 9 + 11 + 10);
    }
    assert_eq!(budget.used(Memory::FullStates), 0);
}

/// What stands between two parts of a log is not jumped over: the place of an own frame is no part of the log.
#[test]
fn parts_that_do_not_follow_each_other_stay_apart() {
    let (mut view, parts) = view(&["one", "public", "three"]);
    let mut outbox = Outbox::default();
    outbox.push_log(parts[0]);
    outbox.push_log(parts[2]);
    outbox.push_log(LogPart { view: 7, span: Span { from: parts[2].span.to, to: parts[2].span.to } });
    assert_eq!(drain(&mut outbox, &mut view, 4), ["one", "three"].map(frame).concat());
}

#[test]
fn a_member_that_is_dropped_keeps_the_begun_frame_and_its_replies() {
    for sent in 1..5 {
        let (mut view, parts) = view(&["one", "two", "three"]);
        let mut outbox = Outbox::default();
        outbox.push_log(parts[0]);
        reply(&mut outbox, "mine");
        outbox.push_log(parts[1]);
        let (next, rest) = view.took(0, parts[0].span.from, sent);
        outbox.advance_log(next, rest);
        assert!(!outbox.lag() && outbox.is_lagging(), "no full state is on its way");
        let expected = [&frame("one")[sent..], &frame("mine")].concat();
        assert_eq!(outbox.unsent_len(), expected.len());
        assert_eq!(drain(&mut outbox, &mut view, 2), expected, "{sent}");
        assert!(!outbox.is_idle(), "a full state is owed");
        outbox.caught_up();
        outbox.write(Kind::Resync, |out| out.extend(frame("full state")));
        outbox.push_log(parts[2]);
        assert!(outbox.lag(), "the full state has not left");
        assert_eq!(drain(&mut outbox, &mut view, 2), frame("full state"));
        assert!(!outbox.lag(), "it has left");
    }
}

/// Copied events are bounded; replies and full states do not count, and what does not fit stays in the log.
#[test]
fn events_that_do_not_fit_are_not_taken() {
    for kind in [Kind::Reply, Kind::Resync] {
        let mut outbox = Outbox::default();
        outbox.write(kind, |out| out.extend(frame(&"x".repeat(100))));
        outbox.advance(50);
        assert!(outbox.push_events(&frame("one"), 10), "5 bytes of events");
        assert!(outbox.push_events(&frame("two"), 10), "10 bytes of events");
        assert!(!outbox.push_events(&frame("three"), 10));
        assert_eq!(outbox.unsent_len(), 52 + 10);
    }
}

#[test]
fn who_leaves_a_room_gets_what_it_was_owed_or_nothing_of_it() {
    for (bytes_max, fits) in [(16, true), (15, false)] {
        let (mut view, parts) = view(&["begun", "two", "three"]);
        let (_, others) = self::view(&["other"]);
        let mut outbox = Outbox::default();
        let other = LogPart { view: 8, span: others[0].span };
        for part in [parts[0], other] {
            outbox.push_log(part);
        }
        let (next, rest) = view.took(0, parts[0].span.from, 3);
        outbox.advance_log(next, rest);
        reply(&mut outbox, "mine");
        outbox.push_log(parts[1]);
        assert!(outbox.push_events(&frame("ev"), 100));
        outbox.push_log(parts[2]);
        assert_eq!(outbox.keep_log(7, bytes_max, |span| view.read(span)), fits);
        assert_eq!(outbox.unsent(), &frame("begun")[3..], "it is finished first");
        outbox.advance(4);
        assert_eq!(outbox.next_log(), Some(other), "what is named of other logs stays in its place");
        outbox.advance_log(other.span.to, &[]);
        let kept: &[&str] = if fits { &["mine", "two", "ev", "three"] } else { &["mine", "ev"] };
        let kept = kept.iter().flat_map(|text| frame(text)).collect::<Vec<u8>>();
        assert_eq!(outbox.unsent_len(), kept.len());
        assert_eq!(drain(&mut outbox, &mut view, 3), kept);
    }
}

/// A close that drops everything finishes the frame that was begun, wherever it came from.
#[test]
fn what_is_abandoned_ends_with_the_begun_frame() {
    let budget = Budget::default();
    let state = Shared::new(frame("state"), Memory::FullStates, &budget);
    for sent in 0..14 {
        let (mut view, parts) = view(&["one", "two"]);
        let queue = |outbox: &mut Outbox, first: usize| match first {
            0 => {
                reply(outbox, "first");
                reply(outbox, "second");
            }
            1 => outbox.share(Kind::Resync, state.clone()),
            _ => outbox.push_log(LogPart { view: 7, span: Span { from: parts[0].span.from, to: parts[1].span.to } }),
        };
        for (first, frames) in
            [["first", "second"].map(frame).concat(), frame("state"), ["one", "two"].map(frame).concat()]
                .into_iter()
                .enumerate()
                .filter(|(_, frames)| sent < frames.len())
        {
            let mut outbox = Outbox::default();
            queue(&mut outbox, first);
            reply(&mut outbox, "dropped");
            if first == 2 {
                let (next, rest) = view.took(0, parts[0].span.from, sent);
                outbox.advance_log(next, rest);
            } else {
                outbox.advance(sent);
            }
            outbox.lag();
            outbox.abandon();
            reply(&mut outbox, "closed");
            let begun = super::begun_frame(&frames, sent);
            let rest = if begun.is_empty() { &[] } else { &frames[sent..begun.end] };
            assert_eq!(outbox.unsent_len(), rest.len() + 8, "{sent} of {first}");
            assert_eq!(drain(&mut outbox, &mut view, 2), [rest, &frame("closed")].concat(), "{sent} of {first}");
            assert!(outbox.is_idle());
        }
    }
    assert_eq!(budget.used(Memory::FullStates), 7, "nobody waits for it");
}

/// A shared full state stands in its place and is never dropped.
#[test]
fn a_shared_frame_is_sent_between_others() {
    let budget = Budget::default();
    let mut outbox = Outbox::default();
    reply(&mut outbox, "joined");
    outbox.share(Kind::Reply, Shared::new(frame("state"), Memory::FullStates, &budget));
    assert!(outbox.push_events(&frame("one"), 100));
    assert_eq!((outbox.unsent(), outbox.unsent_len()), (&frame("joined")[..], 8 + 7 + 5));
    outbox.advance(8);
    assert_eq!(outbox.unsent(), frame("state"));
    outbox.advance(3);
    outbox.lag();
    assert_eq!((outbox.unsent(), outbox.unsent_len()), (&frame("state")[3..], 4 + 5));
    outbox.advance(4);
    assert_eq!((outbox.unsent(), budget.used(Memory::FullStates)), (&frame("one")[..], 0));
}

/// What is a part of the program is sent from there, counts as unsent, and is finished when the rest is dropped.
#[test]
fn a_static_body_is_not_copied_and_is_finished_once_it_was_begun() {
    static BODY: [u8; 1_000] = [b'x'; 1_000];
    let mut outbox = Outbox::default();
    outbox.write(Kind::Reply, |out| out.extend_from_slice(b"head"));
    outbox.share_bytes(Kind::Reply, SharedBytes::Static(&BODY));
    reply(&mut outbox, "next");
    assert_eq!((outbox.unsent(), outbox.unsent_len()), (&b"head"[..], 4 + 1_000 + 6));
    assert!(outbox.capacity() < 1_000 && outbox.weight() >= 1_010);
    outbox.advance(4);
    assert!(std::ptr::eq(outbox.unsent(), &raw const BODY[..]));
    outbox.advance(1);
    outbox.abandon();
    assert_eq!((outbox.unsent(), outbox.unsent_len()), (&BODY[1..], 999));
    outbox.advance(999);
    assert!(outbox.is_empty());
}

/// A connection that never quite drains does not keep what has left.
#[test]
fn what_has_left_is_forgotten() {
    let mut outbox = Outbox::default();
    reply(&mut outbox, "first");
    for _ in 0..10_000 {
        reply(&mut outbox, &"x".repeat(100));
        outbox.advance(102);
    }
    assert_eq!(outbox.unsent_len(), 7);
    assert!(outbox.capacity() <= 4 * GONE_BYTES_MAX, "{} bytes", outbox.capacity());
}

/// An outbox is used again by another connection when it is idle: what it waited for is not what that one waits for.
#[test]
fn who_has_caught_up_waits_for_nothing() {
    let mut outbox = Outbox::default();
    outbox.lag();
    assert!(!outbox.set_waiting(true));
    outbox.caught_up();
    assert!(outbox.is_idle() && !outbox.set_waiting(true), "it does not seem to wait already");
}
