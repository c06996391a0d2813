//! What waits for one connection whose socket did not take everything at once, and the rule for slow consumers.
//!
//! Invariants: bytes leave in the order in which they came; a frame that was begun is finished before anything else;
//! the connection's own replies are never dropped. What a connection that is behind is owed of a room is not copied.
//! The outbox names the part of the room's log that is to be sent between two replies. When a room drops the
//! connection, those parts go and a full state is owed once the socket has drained. If that happens a second time
//! before the full state has left, the consumer is too slow to be served. The reader bounds what own replies may take:
//! a socket is not read while its outbox is above the bound. A large full state is not copied, and no body of an answer
//! is: all connections that wait for it share it.
//!
//! Never here: sockets, rooms.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits::{GONE_BYTES_MAX, OUTBOX_STEP_BYTES};
use crate::planted::{Bug, has};

use super::frames::begun_frame;
use super::shared::{Shared, SharedBytes};
use super::view::{Position, Span};

/// What kind of frames bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An answer to the client's own request, or a control frame. Not bounded here.
    Reply,
    /// News of a room, copied because the socket seemed to take them at once. Bounded.
    Event,
    /// A full state that takes the place of dropped events.
    Resync,
}

/// A part of the log of a view, by the view's index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogPart {
    /// The view.
    pub view: u32,
    /// The part.
    pub span: Span,
}

/// Where the frames of a run are.
#[derive(Clone, Debug)]
enum Source {
    /// In the outbox's own bytes.
    Own,
    /// In what others wait for, too.
    Shared(SharedBytes),
    /// In a log.
    Log(LogPart),
}

/// A run of whole frames of one kind.
#[derive(Clone, Debug)]
struct Run {
    kind: Kind,
    /// Bytes that count as unsent: those of a log do not.
    len: usize,
    source: Source,
}

impl Run {
    fn is_own(&self) -> bool {
        matches!(self.source, Source::Own)
    }

    fn log(&self) -> Option<LogPart> {
        match self.source {
            Source::Log(part) => Some(part),
            Source::Own | Source::Shared(_) => None,
        }
    }
}

/// Bytes on their way to one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The rest of a frame of a log that has begun to leave: it goes before all runs.
    begun: Vec<u8>,
    /// How many bytes of it have left.
    begun_sent: usize,
    /// In order. The first one has not left completely.
    runs: VecDeque<Run>,
    /// How many bytes of the first run have left.
    sent: usize,
    /// The runs that are the outbox's own, one behind the other, from `gone` on.
    bytes: Vec<u8>,
    /// How many of `bytes` belong to runs that have left.
    gone: usize,
    /// Bytes that have not left.
    unsent: usize,
    /// Events were dropped, and a full state is owed as soon as nothing is left to send.
    lagging: bool,
    /// When the last full state was queued in the place of dropped events, on the caller's clock.
    resynced: u32,
    /// It stands in the queue of those who wait for their full state.
    waiting: bool,
    /// Bytes of memory that were counted for it last.
    counted: usize,
}

impl Outbox {
    /// The bytes that leave next: all up to a run that is not the outbox's own, or one that is shared. There are none
    /// when a log is next.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        if !self.begun.is_empty() {
            return &self.begun[self.begun_sent..];
        }
        match self.runs.front().map(|run| &run.source) {
            None | Some(Source::Log(_)) => &[],
            Some(Source::Shared(shared)) => &shared.bytes()[self.sent..],
            Some(Source::Own) => {
                let own: usize = self.runs.iter().take_while(|run| run.is_own()).map(|run| run.len).sum();
                &self.bytes[self.gone + self.sent..self.gone + own]
            }
        }
    }

    /// The part of a log that leaves next, when it is a log's turn.
    #[must_use]
    pub fn next_log(&self) -> Option<LogPart> {
        if self.begun.is_empty() { self.runs.front()?.log() } else { None }
    }

    /// How many bytes have not left, without those of logs.
    #[must_use]
    pub fn unsent_len(&self) -> usize {
        self.unsent
    }

    /// What the outbox costs: its unsent bytes, and the list of what leaves in which order.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.unsent + self.runs.len() * size_of::<Run>()
    }

    /// Whether everything has left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.begun.is_empty()
    }

    /// Whether everything has left and nothing is owed: the outbox can be put away.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_empty() && !self.lagging
    }

    /// Whether events were dropped and no full state has been queued since.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// Appends frames that are never dropped, written by `write`.
    pub fn write(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        if before > OUTBOX_STEP_BYTES && self.bytes.capacity() - before < OUTBOX_STEP_BYTES / 2 {
            self.bytes.reserve_exact(OUTBOX_STEP_BYTES);
        }
        write(&mut self.bytes);
        self.note(kind, self.bytes.len() - before);
    }

    /// Appends one frame that is never dropped and that others get too.
    pub fn share(&mut self, kind: Kind, shared: Arc<Shared>) {
        self.share_bytes(kind, SharedBytes::Counted(shared));
    }

    /// Appends what is never dropped and what others get too.
    pub fn share_bytes(&mut self, kind: Kind, shared: SharedBytes) {
        let len = shared.bytes().len();
        self.unsent += len;
        self.runs.push_back(Run { kind, len, source: Source::Shared(shared) });
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

    /// Appends room events, when the events that are unsent stay within `bytes_max`; otherwise returns `false` and
    /// leaves them where they are: in the log, of which [`Outbox::push_log`] can name the part.
    #[must_use]
    pub fn push_events(&mut self, events: &[u8], bytes_max: usize) -> bool {
        let fits = self.unsent_events() + events.len() <= bytes_max;
        if fits {
            self.bytes.extend_from_slice(events);
            self.note(Kind::Event, events.len());
        } else {
            crate::marks::hit("events that did not fit the outbox");
        }
        fits
    }

    /// Bytes of room events that have not left.
    fn unsent_events(&self) -> usize {
        let events: usize = self.runs.iter().filter(|run| run.kind == Kind::Event).map(|run| run.len).sum();
        let begun = self.runs.front().is_some_and(|run| run.kind == Kind::Event);
        if begun { events - self.sent } else { events }
    }

    fn note(&mut self, kind: Kind, len: usize) {
        self.unsent += len;
        if has(Bug::ReplyOvertakes) && self.runs.back().is_some_and(|run| run.log().is_some()) {
            let last = self.runs.len() - 1;
            return self.runs.insert(last, Run { kind, len, source: Source::Own });
        }
        if kind == Kind::Reply && self.runs.back().is_some_and(|run| run.log().is_some()) {
            crate::marks::hit("a reply behind a log");
        }
        match self.runs.back_mut() {
            _ if len == 0 => {}
            Some(run) if run.kind == kind && run.is_own() => run.len += len,
            Some(_) | None => self.runs.push_back(Run { kind, len, source: Source::Own }),
        }
    }

    /// Names the part of a log that is to be sent behind everything that is queued.
    pub fn push_log(&mut self, part: LogPart) {
        if let Some(Run { source: Source::Log(last), .. }) = self.runs.back_mut()
            && last.view == part.view
            && last.span.to == part.span.from
        {
            last.span.to = part.span.to;
        } else if part.span.from != part.span.to {
            self.runs.push_back(Run { kind: Kind::Event, len: 0, source: Source::Log(part) });
        }
    }

    /// The socket took of the log that was next what is before `next`, except `rest` of the last frame.
    pub fn advance_log(&mut self, next: Position, rest: &[u8]) {
        let Some(Run { source: Source::Log(part), .. }) = self.runs.front_mut() else {
            panic!("the log that was sent is the first run")
        };
        part.span.from = next;
        if part.span.from == part.span.to {
            self.runs.pop_front();
        }
        self.finish_first(rest);
    }

    /// The rest of a frame of which the socket took the beginning: it goes before everything that is queued.
    pub fn finish_first(&mut self, rest: &[u8]) {
        debug_assert!(self.begun.is_empty() && self.sent == 0, "only one frame can have begun");
        self.begun.extend_from_slice(rest);
        self.unsent += rest.len();
    }

    /// `len` more bytes have left.
    pub fn advance(&mut self, len: usize) {
        self.unsent = self.unsent.checked_sub(len).expect("no more was sent than there is");
        if !self.begun.is_empty() {
            self.begun_sent += len;
            if self.begun_sent == self.begun.len() {
                (self.begun, self.begun_sent) = (Vec::new(), 0);
            }
            return;
        }
        self.sent += len;
        while let Some(run) = self.runs.front().filter(|run| run.len <= self.sent && run.log().is_none()) {
            self.sent -= run.len;
            self.gone += if run.is_own() { run.len } else { 0 };
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
        let Some(run) = self.runs.front_mut().filter(|run| run.is_own()) else { return };
        let begun = begun_frame(&self.bytes[self.gone..self.gone + run.len], self.sent);
        let left = if begun.is_empty() { self.sent } else { begun.start };
        run.len -= left;
        self.sent -= left;
        self.gone += left;
    }

    /// The connection leaves a view: what the outbox names of its log is copied, if the events that are unsent stay
    /// within `bytes_max`, and dropped otherwise. Returns whether it was copied.
    pub fn keep_log<'a>(&mut self, view: u32, bytes_max: usize, read: impl Fn(Span) -> &'a [u8]) -> bool {
        let is_of = |run: &Run| run.log().filter(|part| part.view == view);
        let named: usize = self.runs.iter().filter_map(is_of).map(|part| read(part.span).len()).sum();
        let fits = self.unsent_events() + named <= bytes_max;
        if named == 0 {
            return true;
        }
        let (bytes, runs) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.runs));
        let (mut at, unsent) = (self.gone, self.unsent);
        self.gone = 0;
        for run in runs {
            match is_of(&run) {
                Some(part) if fits => self.write(Kind::Event, |out| out.extend_from_slice(read(part.span))),
                Some(_) => {}
                None if run.is_own() => {
                    self.write(run.kind, |out| out.extend_from_slice(&bytes[at..at + run.len]));
                    at += run.len;
                }
                None => self.runs.push_back(run),
            }
        }
        crate::marks::hit(if fits {
            "a laggard that leaves with what it was owed"
        } else {
            "a laggard that leaves without what it was owed"
        });
        self.unsent = if fits { unsent + named } else { unsent };
        fits
    }

    /// A room has dropped the connection: it lags, in all its rooms. Nothing is sent from their logs any more. Returns
    /// whether the full state for the last time has not left yet: then the consumer is too slow.
    pub fn lag(&mut self) -> bool {
        self.runs.retain(|run| run.log().is_none());
        if has(Bug::TornFrame) {
            self.unsent -= self.begun.len() - self.begun_sent;
            (self.begun, self.begun_sent) = (Vec::new(), 0);
        }
        self.lagging = true;
        self.runs.iter().any(|run| run.kind == Kind::Resync)
    }

    /// The full states are being queued: events are welcome again. It waits for none any more: an outbox that said so
    /// and was used again for another connection would keep that one from ever waiting.
    pub fn caught_up(&mut self) {
        (self.lagging, self.waiting) = (false, false);
    }

    /// Forgets everything: the connection has ended.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.begun.clear();
        self.runs.clear();
        (self.sent, self.gone, self.begun_sent, self.unsent) = (0, 0, 0, 0);
        (self.lagging, self.waiting) = (false, false);
    }

    /// Drops everything but a frame that has begun to leave: the connection is being closed.
    pub fn abandon(&mut self) {
        let mut rest = self.begun.split_off(self.begun_sent);
        let counted = self.counted;
        let first = self.runs.pop_front().filter(|_| self.sent > 0);
        let sent = self.sent;
        if let Some(run) = first.as_ref().filter(|run| run.is_own()) {
            let frames = &self.bytes[self.gone..self.gone + run.len];
            let begun = begun_frame(frames, sent);
            rest.extend_from_slice(if begun.is_empty() { &[] } else { &frames[sent..begun.end] });
        }
        *self = Self { counted, ..Self::default() };
        self.finish_first(&rest);
        if let Some(Run { kind, source: Source::Shared(shared), .. }) = first {
            self.share_bytes(kind, shared);
            self.advance(sent);
        }
    }

    /// Bytes of memory that the outbox keeps for the next time.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes of memory that are its own.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.bytes.capacity() + self.begun.capacity() + self.runs.capacity() * size_of::<Run>()
    }

    /// What was counted for it last, and what it takes now, which counts from now on.
    #[must_use]
    pub fn recount(&mut self) -> (usize, usize) {
        let is = self.footprint();
        (std::mem::replace(&mut self.counted, is), is)
    }

    /// What was counted for it last; from now on nothing is.
    #[must_use]
    pub fn uncount(&mut self) -> usize {
        std::mem::take(&mut self.counted)
    }
}

#[cfg(test)]
mod tests;
