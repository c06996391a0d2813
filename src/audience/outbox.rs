//! What waits for one connection whose socket did not take everything at once, and the rule for slow consumers.
//!
//! Invariants: bytes leave in the order in which they came; a frame that was begun is finished; own replies are never
//! dropped; room events beyond the bound (which counts nothing but room events) are dropped, all of them, and a full state is owed once the socket has drained;
//! a second overflow before that full state has left means that the consumer is too slow to be served.
//! What own replies may take is bounded by the reader: a socket is not read while its outbox is above the bound. A large
//! full state is not copied: all who wait for it share it.
//!
//! Never here: sockets, rooms.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::full_state::FullState;

/// Bytes that have left and are still at the front of the buffer, above which they are moved out of it.
const GONE_BYTES_MAX: usize = 64 * 1024;

/// What kind of frames bytes are: it decides what gives way at the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An answer to the client's own request, or a control frame. Never dropped.
    Reply,
    /// News of a room. Dropped at the bound.
    Event,
    /// A full state that takes the place of dropped events. Never dropped.
    Resync,
}

/// What became of room events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// They are queued.
    Queued,
    /// They found no room: every queued event was dropped with them. The connection lags, and its members must skip.
    Overflow,
    /// They found no room, and the full state for the last overflow has not left yet: close with 4008.
    TooSlow,
}

/// A run of whole frames of one kind.
#[derive(Clone, Debug)]
struct Run {
    kind: Kind,
    len: usize,
    /// The frames, when others wait for the same ones; otherwise they are in the outbox's own bytes.
    shared: Option<Arc<FullState>>,
}

/// Bytes on their way to one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    /// In order. The first one has not left completely.
    runs: VecDeque<Run>,
    /// How many bytes of the first run have left.
    sent: usize,
    /// The runs that are not shared, one behind the other, from `gone` on.
    bytes: Vec<u8>,
    /// How many of `bytes` belong to runs that have left.
    gone: usize,
    /// Bytes that have not left.
    unsent: usize,
    /// Events were dropped, and a full state is owed as soon as nothing is unsent.
    lagging: bool,
    /// When the last full state was queued in the place of dropped events, on the caller's clock.
    resynced: u32,
    /// It stands in the queue of those who wait for their full state.
    waiting: bool,
}

impl Outbox {
    /// The bytes that leave next: all that have not left, or those before or of a shared run.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        match self.runs.front() {
            None => &[],
            Some(Run { shared: Some(state), .. }) => &state.frame()[self.sent..],
            Some(_) => {
                let own: usize = self.runs.iter().take_while(|run| run.shared.is_none()).map(|run| run.len).sum();
                &self.bytes[self.gone + self.sent..self.gone + own]
            }
        }
    }

    /// How many bytes have not left.
    #[must_use]
    pub fn unsent_len(&self) -> usize {
        self.unsent
    }

    /// Whether everything has left and nothing is owed: the outbox can be put away.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.unsent == 0 && !self.lagging
    }

    /// Whether events were dropped and no full state has been queued since.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// Appends frames that are never dropped, written by `write`.
    pub fn write(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.note(kind, self.bytes.len() - before);
    }

    /// Appends one frame that is never dropped and that others get too.
    pub fn share(&mut self, kind: Kind, state: Arc<FullState>) {
        debug_assert_ne!(kind, Kind::Event, "an event would be dropped frame by frame");
        let len = state.frame().len();
        self.unsent += len;
        self.runs.push_back(Run { kind, len, shared: Some(state) });
    }

    /// Notes that a full state has been queued in the place of dropped events.
    pub fn set_resynced(&mut self, now: u32) {
        self.resynced = now;
    }

    /// Says whether the connection stands in the queue for a full state, and returns whether it did.
    pub fn set_waiting(&mut self, waiting: bool) -> bool {
        std::mem::replace(&mut self.waiting, waiting)
    }

    /// When the last full state was queued in the place of dropped events.
    #[must_use]
    pub fn resynced(&self) -> u32 {
        self.resynced
    }

    /// Appends room events, of which `sent` bytes have left already (the socket took a part of them), as long as the
    /// events that are unsent stay within `bytes_max`. Replies and full states do not count: a full state may be larger
    /// than the bound, and whoever is being sent one is not slow for that.
    pub fn push_events(&mut self, events: &[u8], sent: usize, bytes_max: usize) -> Fit {
        debug_assert!(sent == 0 || self.unsent == 0, "bytes would overtake others");
        if self.lagging {
            return Fit::Overflow;
        }
        self.bytes.extend_from_slice(events);
        self.note(Kind::Event, events.len());
        if sent > 0 {
            self.advance(sent);
        }
        if self.unsent_events() <= bytes_max { Fit::Queued } else { self.overflow() }
    }

    /// Bytes of room events that have not left.
    fn unsent_events(&self) -> usize {
        let events: usize = self.runs.iter().filter(|run| run.kind == Kind::Event).map(|run| run.len).sum();
        let begun = self.runs.front().is_some_and(|run| run.kind == Kind::Event);
        if begun { events - self.sent } else { events }
    }

    fn note(&mut self, kind: Kind, len: usize) {
        self.unsent += len;
        match self.runs.back_mut() {
            _ if len == 0 => {}
            Some(run) if run.kind == kind && run.shared.is_none() => run.len += len,
            Some(_) | None => self.runs.push_back(Run { kind, len, shared: None }),
        }
    }

    /// `len` more bytes have left.
    pub fn advance(&mut self, len: usize) {
        self.unsent = self.unsent.checked_sub(len).expect("no more was sent than there is");
        self.sent += len;
        while let Some(run) = self.runs.front().filter(|run| run.len <= self.sent) {
            self.sent -= run.len;
            self.gone += if run.shared.is_none() { run.len } else { 0 };
            self.runs.pop_front();
        }
        if self.sent > GONE_BYTES_MAX {
            self.split_first();
        }
        if self.gone == self.bytes.len() {
            self.bytes.clear();
            self.gone = 0;
        } else if self.gone > GONE_BYTES_MAX && self.gone > self.bytes.len() / 2 {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// Lets the frames of the first run go that have left, though others of it have not.
    fn split_first(&mut self) {
        let Some(run) = self.runs.front_mut().filter(|run| run.shared.is_none()) else { return };
        let begun = begun_frame(&self.bytes[self.gone..self.gone + run.len], self.sent);
        let left = if begun.is_empty() { self.sent } else { begun.start };
        run.len -= left;
        self.sent -= left;
        self.gone += left;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        (self.sent, self.gone, self.unsent) = (0, 0, 0);
    }

    /// Drops every event that has not begun to leave.
    fn overflow(&mut self) -> Fit {
        let resync_waits = self.runs.iter().any(|run| run.kind == Kind::Resync);
        self.keep_only(|kind| kind != Kind::Event);
        self.lagging = true;
        if resync_waits { Fit::TooSlow } else { Fit::Overflow }
    }

    /// Drops all runs but those of certain kinds, and but a frame that has begun to leave.
    fn keep_only(&mut self, keep: impl Fn(Kind) -> bool) {
        let (bytes, runs, begun) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.runs), self.sent);
        let mut at = self.gone;
        self.clear();
        for (index, run) in runs.into_iter().enumerate() {
            let sent = if index == 0 { begun } else { 0 };
            let own = at..at + if run.shared.is_none() { run.len } else { 0 };
            at = own.end;
            let kept = match &run.shared {
                _ if keep(run.kind) => 0..run.len,
                Some(_) if sent > 0 => 0..run.len,
                Some(_) => 0..0,
                None => begun_frame(&bytes[own.clone()], sent),
            };
            if !kept.is_empty() {
                let sent = sent.saturating_sub(kept.start);
                self.keep(run, &bytes[own], kept, sent);
            }
        }
    }

    /// Takes a part of a run over, of which `sent` bytes have left.
    fn keep(&mut self, run: Run, own: &[u8], kept: Range<usize>, sent: usize) {
        // What is left of an event here has begun to leave and must not be dropped by a later overflow.
        let kind = if run.kind == Kind::Event { Kind::Reply } else { run.kind };
        match run.shared {
            Some(state) => self.share(kind, state),
            None => self.write(kind, |out| out.extend_from_slice(&own[kept])),
        }
        if sent > 0 {
            self.advance(sent);
        }
    }

    /// Frames of this connection were dropped elsewhere (a room's log was cut): it lags.
    pub fn lag(&mut self) {
        self.lagging = true;
    }

    /// The full states are being queued: events are welcome again.
    pub fn caught_up(&mut self) {
        self.lagging = false;
    }

    /// Forgets everything: the connection has ended.
    pub fn reset(&mut self) {
        self.clear();
        (self.lagging, self.waiting) = (false, false);
    }

    /// Drops everything but a frame that has begun to leave: the connection is being closed.
    pub fn abandon(&mut self) {
        self.keep_only(|_| false);
        (self.lagging, self.waiting) = (false, false);
    }

    /// Bytes of memory that the outbox keeps for the next time.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Where in `frames` (whole server frames) the frame lies of which a part, but not all, is among the first `sent` bytes.
fn begun_frame(frames: &[u8], sent: usize) -> std::ops::Range<usize> {
    let mut start = 0;
    while start < sent && start < frames.len() {
        let end = start + frame_len(&frames[start..]);
        if sent < end {
            return start..end;
        }
        start = end;
    }
    0..0
}

/// How many frames `frames` holds, all of them whole.
#[must_use]
pub fn count_frames(frames: &[u8]) -> usize {
    let (mut start, mut count) = (0, 0);
    while start < frames.len() {
        start += frame_len(&frames[start..]);
        count += 1;
    }
    count
}

/// Length of the unmasked frame that `bytes` begin with, header included (RFC 6455 section 5.2).
fn frame_len(bytes: &[u8]) -> usize {
    match bytes[1] & 0x7f {
        126 => 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
        127 => {
            let long = u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes"));
            10 + usize::try_from(long).expect("our own frames fit memory")
        }
        short => 2 + usize::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::super::full_state::{Alive, FullState};
    use super::{Fit, GONE_BYTES_MAX, Kind, Outbox, count_frames};

    fn frame(text: &str) -> Vec<u8> {
        let mut bytes = vec![0x81, u8::try_from(text.len()).expect("short")];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    #[test]
    fn an_overflow_keeps_the_begun_frame_and_the_replies() {
        let mut outbox = Outbox::default();
        let events = [frame("one"), frame("two"), frame("three")].concat();
        assert_eq!(
            outbox.push_events(&events, 7, 100),
            Fit::Queued,
            "the first frame and two bytes of the second have left"
        );
        outbox.write(Kind::Reply, |out| out.extend(frame("mine")));
        assert_eq!(outbox.push_events(&frame(&"x".repeat(99)), 0, 100), Fit::Overflow);
        assert_eq!(count_frames(&events), 3);
        let mut expected = frame("two")[2..].to_vec();
        expected.extend(frame("mine"));
        assert_eq!(outbox.unsent(), expected);
        assert!(outbox.is_lagging() && !outbox.is_idle());
        assert_eq!(outbox.push_events(&frame("late"), 0, 100), Fit::Overflow, "events stay out until it has caught up");
        outbox.advance(expected.len());
        outbox.caught_up();
        assert!(outbox.is_idle());
    }

    #[test]
    fn a_second_overflow_before_the_full_state_left_is_too_slow() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push_events(&frame("abc"), 2, 1), Fit::Overflow);
        outbox.advance(outbox.unsent().len());
        outbox.caught_up();
        outbox.write(Kind::Resync, |out| out.extend(frame("full state")));
        assert_eq!(outbox.push_events(&frame("more"), 0, 4), Fit::TooSlow);
    }

    /// A member whose full state is larger than the bound is not slow: the bound is for what happens while it is sent.
    #[test]
    fn a_large_full_state_leaves_the_events_their_room() {
        for kind in [Kind::Reply, Kind::Resync] {
            let mut outbox = Outbox::default();
            outbox.write(kind, |out| out.extend(frame(&"x".repeat(100))));
            outbox.advance(50);
            assert_eq!(outbox.push_events(&frame("one"), 0, 10), Fit::Queued, "5 bytes of events");
            assert_eq!(outbox.push_events(&frame("two"), 0, 10), Fit::Queued, "10 bytes of events");
            let full = if kind == Kind::Resync { Fit::TooSlow } else { Fit::Overflow };
            assert_eq!(outbox.push_events(&frame("three"), 0, 10), full);
        }
    }

    /// A shared full state stands in its place, is never dropped, and is finished when it has begun to leave.
    #[test]
    fn a_shared_frame_is_sent_between_others() {
        let alive = Alive::default();
        let state = FullState::new(frame("state"), &alive);
        let mut outbox = Outbox::default();
        outbox.write(Kind::Reply, |out| out.extend(frame("joined")));
        outbox.share(Kind::Reply, state.clone());
        assert_eq!(outbox.push_events(&frame("one"), 0, 100), Fit::Queued);
        assert_eq!((outbox.unsent(), outbox.unsent_len()), (&frame("joined")[..], 8 + 7 + 5));
        outbox.advance(8);
        assert_eq!(outbox.unsent(), frame("state"));
        outbox.advance(3);
        assert_eq!(outbox.push_events(&frame("two"), 0, 5), Fit::Overflow);
        assert_eq!((outbox.unsent(), outbox.unsent_len()), (&frame("state")[3..], 4), "both events are dropped");
        outbox.write(Kind::Reply, |out| out.extend(frame("mine")));
        outbox.advance(4);
        assert_eq!(outbox.unsent(), frame("mine"));
        outbox.advance(6);
        outbox.caught_up();
        outbox.share(Kind::Resync, state);
        outbox.write(Kind::Reply, |out| out.extend(frame("mine")));
        outbox.advance(1);
        outbox.abandon();
        assert_eq!(outbox.unsent(), &frame("state")[1..], "it has begun");
        outbox.advance(6);
        assert!(outbox.is_idle() && alive.bytes() == 0);
    }

    /// A connection that never quite drains does not keep what has left.
    #[test]
    fn what_has_left_is_forgotten() {
        let mut outbox = Outbox::default();
        outbox.write(Kind::Reply, |out| out.extend(frame("first")));
        for _ in 0..10_000 {
            outbox.write(Kind::Reply, |out| out.extend(frame(&"x".repeat(100))));
            outbox.advance(102);
        }
        assert_eq!(outbox.unsent_len(), 7);
        assert!(outbox.capacity() <= 4 * GONE_BYTES_MAX, "{} bytes", outbox.capacity());
    }

    #[test]
    fn order_is_kept_across_kinds() {
        let mut outbox = Outbox::default();
        outbox.write(Kind::Reply, |out| out.extend(frame("a")));
        assert_eq!(outbox.push_events(&frame("b"), 0, 100), Fit::Queued);
        outbox.write(Kind::Reply, |out| out.extend(frame("c")));
        assert_eq!(outbox.unsent(), [frame("a"), frame("b"), frame("c")].concat());
        outbox.advance(4);
        assert_eq!(outbox.unsent(), [frame("b")[1..].to_vec(), frame("c")].concat());
    }
}
