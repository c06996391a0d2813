//! The audience: what a pass over a room takes without its sends, and what an outbox takes.

use std::hint::black_box;

use butaca::audience::outbox::{Kind, Outbox};
use butaca::audience::view::View;
use butaca::wire::frame::text_header;

use super::Work;

pub(crate) const WORKS: [&str; 7] = [
    "pass_of_20",
    "pass_of_1000",
    "pass_of_1000_with_frames_in_between",
    "owed_with_a_reply",
    "member_comes_and_goes",
    "outbox_reply_and_events",
    "outbox_overflow",
];

/// What waits for a connection at most.
const QUEUE_BYTES: usize = 64 * 1024;

/// A frame as broadcasts are.
fn frame() -> Vec<u8> {
    let mut frame = Vec::new();
    text_header(&mut frame, 200);
    frame.resize(frame.len() + 200, b'x');
    frame
}

fn view_of(members: u32) -> View {
    let mut view = View::default();
    (0..members).for_each(|slot| _ = view.add(slot));
    view
}

/// Serves members until `until` have been, or all.
fn serve(view: &mut View, until: usize) {
    for _ in 0..until {
        let Some(step) = view.step() else { return };
        black_box(view.tail(step.from));
    }
}

fn append(view: &mut View, frame: &[u8]) {
    assert!(!view.append(1 << 20, |log| log.extend_from_slice(frame)), "the log has room");
}

pub(crate) fn prepare(name: &str) -> Work {
    let frame = frame();
    match name {
        "pass_of_20" => pass(view_of(20), frame),
        "pass_of_1000" => pass(view_of(1_000), frame),
        "pass_of_1000_with_frames_in_between" => {
            let mut view = view_of(1_000);
            Box::new(move || {
                append(&mut view, &frame);
                view.begin_pass();
                for _ in 0..10 {
                    serve(&mut view, 90);
                    append(&mut view, &frame);
                }
                serve(&mut view, usize::MAX);
                view.begin_pass();
                serve(&mut view, usize::MAX);
            })
        }
        "owed_with_a_reply" => {
            let mut view = view_of(20);
            let mut out = Outbox::default();
            Box::new(move || {
                append(&mut view, &frame);
                black_box(out.push_events(view.owed(7), QUEUE_BYTES));
                view.settle(7);
                out.write(Kind::Reply, |bytes| bytes.extend_from_slice(&frame));
                out.advance(out.unsent().len());
                view.begin_pass();
                serve(&mut view, usize::MAX);
            })
        }
        "member_comes_and_goes" => {
            let mut view = view_of(1_000);
            Box::new(move || {
                black_box(view.add(1_000));
                black_box(view.remove(500));
            })
        }
        "outbox_reply_and_events" => {
            let mut out = Outbox::default();
            Box::new(move || {
                out.write(Kind::Reply, |bytes| bytes.extend_from_slice(&frame));
                black_box(out.push_events(&frame, QUEUE_BYTES));
                out.advance(out.unsent().len());
            })
        }
        "outbox_overflow" => Box::new(move || {
            let mut out = Outbox::default();
            out.write(Kind::Reply, |bytes| bytes.extend_from_slice(&frame));
            while out.push_events(&frame, QUEUE_BYTES) {}
            black_box(out.lag());
        }),
        _ => panic!("there is no work {name}"),
    }
}

fn pass(mut view: View, frame: Vec<u8>) -> Work {
    Box::new(move || {
        append(&mut view, &frame);
        view.begin_pass();
        serve(&mut view, usize::MAX);
    })
}
