//! What waits for one connection whose socket did not take everything at once, and the rule for slow consumers.
//!
//! Invariants: bytes leave in the order in which they came; a frame that was begun is finished; own replies are never
//! dropped; room events beyond the bound (which counts nothing but room events) are dropped, all of them, and a full state is owed once the socket has drained;
//! a second overflow before that full state has left means that the consumer is too slow to be served.
//! What own replies may take is bounded by the reader: a socket is not read while its outbox is above the bound.
//!
//! Never here: sockets, rooms.

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
#[derive(Clone, Copy, Debug)]
struct Run {
    kind: Kind,
    len: usize,
}

/// Bytes on their way to one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Whole frames; the first byte begins a frame.
    bytes: Vec<u8>,
    /// How many of `bytes` have left.
    sent: usize,
    /// The kinds of `bytes`, in order; their lengths add up to it.
    runs: Vec<Run>,
    /// Events were dropped, and a full state is owed as soon as nothing is unsent.
    lagging: bool,
}

impl Outbox {
    /// The bytes that have not left.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Whether everything has left and nothing is owed: the outbox can be put away.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sent == self.bytes.len() && !self.lagging
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

    /// Appends room events, of which `sent` bytes have left already (the socket took a part of them), as long as the
    /// events that are unsent stay within `bytes_max`. Replies and full states do not count: a full state may be larger
    /// than the bound, and whoever is being sent one is not slow for that.
    pub fn push_events(&mut self, events: &[u8], sent: usize, bytes_max: usize) -> Fit {
        debug_assert!(sent == 0 || self.unsent().is_empty(), "bytes would overtake others");
        if self.lagging {
            return Fit::Overflow;
        }
        if sent > 0 {
            self.clear();
            self.sent = sent;
        }
        self.bytes.extend_from_slice(events);
        self.note(Kind::Event, events.len());
        if self.unsent_events() <= bytes_max { Fit::Queued } else { self.overflow() }
    }

    /// Bytes of room events that have not left.
    fn unsent_events(&self) -> usize {
        let (mut end, mut unsent) = (0, 0);
        for run in &self.runs {
            end += run.len;
            if run.kind == Kind::Event {
                unsent += run.len.min(end.saturating_sub(self.sent));
            }
        }
        unsent
    }

    fn note(&mut self, kind: Kind, len: usize) {
        match self.runs.last_mut() {
            _ if len == 0 => {}
            Some(run) if run.kind == kind => run.len += len,
            Some(_) | None => self.runs.push(Run { kind, len }),
        }
    }

    /// `len` more bytes have left.
    pub fn advance(&mut self, len: usize) {
        self.sent += len;
        assert!(self.sent <= self.bytes.len(), "more was sent than there is");
        if self.sent == self.bytes.len() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.sent = 0;
    }

    /// Drops every event that has not begun to leave.
    fn overflow(&mut self) -> Fit {
        let mut kept = Vec::new();
        let mut kept_sent = 0;
        let mut runs: Vec<Run> = Vec::new();
        let mut resync_waits = false;
        let mut start = 0;
        for run in &self.runs {
            let end = start + run.len;
            let keep = match run.kind {
                Kind::Event => begun_frame(&self.bytes[start..end], self.sent.saturating_sub(start)),
                Kind::Reply | Kind::Resync if self.sent >= end => 0..0,
                Kind::Reply | Kind::Resync => 0..run.len,
            };
            resync_waits |= run.kind == Kind::Resync && self.sent < end;
            if !keep.is_empty() {
                if kept.is_empty() {
                    kept_sent = self.sent.saturating_sub(start + keep.start);
                }
                kept.extend_from_slice(&self.bytes[start + keep.start..start + keep.end]);
                // What is left of an event here has begun to leave and must not be dropped by a later overflow.
                let kind = if run.kind == Kind::Event { Kind::Reply } else { run.kind };
                runs.push(Run { kind, len: keep.len() });
            }
            start = end;
        }
        (self.bytes, self.sent, self.runs) = (kept, kept_sent, runs);
        self.lagging = true;
        if resync_waits { Fit::TooSlow } else { Fit::Overflow }
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
        self.lagging = false;
    }

    /// Drops everything but a frame that has begun to leave: the connection is being closed.
    pub fn abandon(&mut self) {
        let begun = begun_frame(&self.bytes, self.sent);
        let sent = if begun.is_empty() { 0 } else { self.sent - begun.start };
        let kept = self.bytes[begun].to_vec();
        self.reset();
        self.note(Kind::Reply, kept.len());
        (self.bytes, self.sent) = (kept, sent);
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
    use super::{Fit, Kind, Outbox, count_frames};

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
