//! How the bytes that a connection is owed leave: with a pass over its room, with its replies, or, once its socket was
//! full, from the rooms' logs at its own pace.
//!
//! The shell pulls: [`Node::next_send`] offers bytes where they are, [`Node::sent`] takes note of how many left.
//! Invariants: an offer is reported before the next one is made; a part of a log that an outbox names is still there,
//! because its connection is a member that is behind; bytes for a connection leave in the order in which they were
//! queued; nothing is offered to a connection whose socket is full. Never here: what gives way at a bound (`audience`).

use super::Node;
use super::observer::Observed;
use super::session::Membership;
use crate::audience::frames::count_frames;
use crate::audience::outbox::{Kind, LogPart};
use crate::audience::view::{Position, Serve, View};
use crate::limits::STATE_SEAT_BYTES;
use crate::planted::{self, Bug};

/// Whose bytes are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Everybody's who has something queued, until the turn's budget is used up.
    Replies,
    /// This connection's, what is queued.
    Slot(u32),
    /// The members' of the room whose slice [`Node::next_slice`] has begun, if [`Node::offer_members`] has none of
    /// them.
    Slice,
}

/// Bytes to be sent to one connection.
#[derive(Debug)]
pub struct Send<'a> {
    /// The connection.
    pub slot: u32,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What became of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// So many left. Fewer than offered: the socket is full.
    Bytes(usize),
    /// The connection is broken: [`super::Event::Ended`] will follow.
    Broken,
}

/// What was offered and not reported yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offered {
    /// The queue of a connection, or the part of a log that is next in it.
    Queue { slot: u32, part: Option<LogPart>, len: usize },
    /// A member of the room that is served.
    Member { slot: u32, at: u32, from: Position, len: usize },
    /// A member of the second protocol whose room has its tick.
    Told { slot: u32, at: u32, len: usize },
}

/// What was offered and not reported yet: one thing, or what a slice owes to several members.
#[derive(Debug, Default)]
pub(super) struct Offers {
    one: Option<Offered>,
    members: Vec<Offered>,
}

impl Offers {
    pub(super) fn is_empty(&self) -> bool {
        self.one.is_none() && self.members.is_empty()
    }
}

/// The connection whose queue is being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flushing {
    slot: u32,
    /// The most that waited for it.
    most: usize,
}

/// The slice of a pass that is being served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) feed: u32,
    /// Members that may still be served in it.
    pub(super) left: usize,
    /// The pass has met all members.
    pub(super) is_over: bool,
    /// It is a tick of the members of the second protocol.
    pub(super) is_tick: bool,
}

impl Node {
    /// Queues frames of a kind that is never dropped.
    pub(super) fn write(&mut self, slot: u32, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(out) = self.sessions.outbox(slot) else { return };
        out.write(kind, write);
        self.queue_flush(slot);
    }

    pub(super) fn queue_flush(&mut self, slot: u32) {
        self.sessions.weigh(slot);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if !session.flush_queued {
            session.flush_queued = true;
            self.flushes.push_back(slot);
        }
    }

    /// The next bytes to send; `None` when there are none of these, or the turn's budget is used up. Then
    /// [`Node::take_orders`] follows.
    pub fn next_send(&mut self, source: Source) -> Option<Send<'_>> {
        assert!(self.offers.is_empty(), "what was offered has been reported");
        let offered = match source {
            Source::Slice if self.slice.is_some_and(|slice| slice.is_tick) => self.next_told()?,
            Source::Slice => self.next_member(View::step)?,
            Source::Replies => self.next_queue(None)?,
            Source::Slot(slot) => self.next_queue(Some(slot))?,
        };
        self.offers.one = Some(offered);
        Some(self.bytes_of(offered))
    }

    /// Offers what the slice owes to the members that it may still serve, to all of them at once: [`Node::offers`] are
    /// the bytes, and [`Node::sent_all`] takes note of all that became of them. Says whether there are any. The
    /// members' entries are read here one after the other, which the processor does side by side; between sends each
    /// would be waited for.
    pub fn offer_members(&mut self) -> bool {
        assert!(self.offers.is_empty(), "what was offered has been reported");
        if self.slice.is_some_and(|slice| slice.is_tick) {
            return false;
        }
        while let Some(offered) = self.next_member(View::meet) {
            self.offers.members.push(offered);
        }
        !self.offers.members.is_empty()
    }

    /// What is offered to members.
    pub fn offers(&self) -> impl Iterator<Item = Send<'_>> {
        self.offers.members.iter().map(|&offered| self.bytes_of(offered))
    }

    /// Takes note of what became of each of [`Node::offers`].
    pub fn sent_all(&mut self, taken: impl ExactSizeIterator<Item = Taken>, orders: &mut Vec<super::Order>) {
        let mut members = std::mem::take(&mut self.offers.members);
        assert_eq!(members.len(), taken.len(), "each offer is reported");
        members.drain(..).zip(taken).for_each(|(offered, taken)| self.note_taken_of(offered, taken));
        self.offers.members = members;
        self.follow_up();
        orders.append(&mut self.orders);
    }

    fn bytes_of(&self, offered: Offered) -> Send<'_> {
        match offered {
            Offered::Member { slot, from, .. } => {
                let feed = self.slice.expect("a slice is being served").feed;
                Send { slot, bytes: self.feeds.get(feed).view.tail(from) }
            }
            Offered::Told { slot, .. } => Send { slot, bytes: self.tick_frame().bytes() },
            Offered::Queue { slot, part: Some(LogPart { view, span }), .. } => {
                Send { slot, bytes: self.feeds.get(view).view.read(span) }
            }
            Offered::Queue { slot, part: None, .. } => {
                let out = self.sessions.get(slot).and_then(|session| session.out.as_deref());
                Send { slot, bytes: out.expect("its queue was looked at").unsent() }
            }
        }
    }

    /// The next of those with something queued, or the next part of the queue of one.
    fn next_queue(&mut self, only: Option<u32>) -> Option<Offered> {
        loop {
            let slot = match self.flushing {
                Some(Flushing { slot, .. }) => slot,
                None => self.begin_flush(only)?,
            };
            if let Some(offered) = self.queued(slot) {
                return Some(offered);
            }
            self.end_flush(slot);
        }
    }

    fn begin_flush(&mut self, only: Option<u32>) -> Option<u32> {
        debug_assert!(self.flushing.is_none(), "one queue after the other");
        let slot = loop {
            if self.flush_bytes_left == 0 {
                if planted::has(Bug::BudgetLosesRest) {
                    self.flushes.clear();
                }
                if !self.flushes.is_empty() {
                    crate::marks::hit("a budget that is used up");
                }
                return None;
            }
            let slot = match only {
                Some(slot) => slot,
                None => self.flushes.pop_front()?,
            };
            let is_queued = |session: &mut super::session::Session| std::mem::take(&mut session.flush_queued);
            if self.sessions.get_mut(slot).is_some_and(is_queued) {
                break slot;
            }
            if only.is_some() {
                return None;
            }
        };
        self.take_owed(slot);
        self.flushing = Some(Flushing { slot, most: 0 });
        Some(slot)
    }

    /// What the connection's queue has for a socket that takes something.
    fn queued(&mut self, slot: u32) -> Option<Offered> {
        let session = self.sessions.get(slot)?;
        let out = session.out.as_deref().filter(|out| !session.blocked && !out.is_empty())?;
        let part = out.next_log();
        let len = part.map_or(out.unsent().len(), |part| self.feeds.get(part.view).view.read(part.span).len());
        let most = out.unsent_len() + if part.is_some() { len } else { 0 };
        let flushing = self.flushing.as_mut().expect("the queue is being sent");
        flushing.most = flushing.most.max(most);
        Some(Offered::Queue { slot, part, len })
    }

    /// Everything that the socket takes has left.
    fn end_flush(&mut self, slot: u32) {
        let Some(Flushing { most, .. }) = self.flushing.take() else { return };
        self.note_waiting(most as u64);
        self.sessions.weigh(slot);
        let Some(session) = self.sessions.get(slot) else { return };
        let is_empty = session.out.as_ref().is_none_or(|out| out.is_empty());
        // A socket that is still full has not drained, though nothing may be queued for it.
        if is_empty && !session.blocked {
            self.idle.push((slot, self.sessions.generation(slot)));
        } else {
            self.read_on(slot);
        }
    }

    /// Takes note of what became of the bytes that were offered.
    pub fn sent(&mut self, taken: Taken, orders: &mut Vec<super::Order>) {
        let offered = self.offers.one.take().expect("bytes were offered");
        self.note_taken_of(offered, taken);
        self.follow_up();
        orders.append(&mut self.orders);
    }

    fn note_taken_of(&mut self, offered: Offered, taken: Taken) {
        match (offered, taken) {
            (Offered::Queue { slot, part, len }, Taken::Bytes(sent)) => self.queue_sent(slot, part, sent, len),
            (Offered::Member { slot, at, from, len }, Taken::Bytes(sent)) => {
                self.member_sent(slot, at, from, (sent, len));
            }
            (Offered::Told { slot, at, len }, Taken::Bytes(sent)) => self.told_sent(slot, at, (sent, len)),
            (
                Offered::Queue { slot, .. } | Offered::Member { slot, .. } | Offered::Told { slot, .. },
                Taken::Broken,
            ) => {
                self.flushing = None;
                if let Offered::Told { at, .. } = offered {
                    self.told_nothing(at);
                }
                if let Some(session) = self.sessions.get_mut(slot) {
                    session.blocked = true;
                }
            }
        }
    }

    fn count_sent(&mut self, sent: usize, len: usize) {
        assert!(sent <= len, "no more leaves than is offered");
        self.figures.sends += 1;
        self.figures.bytes_sent += sent as u64;
    }

    fn queue_sent(&mut self, slot: u32, part: Option<LogPart>, sent: usize, len: usize) {
        self.count_sent(sent, len);
        self.flush_bytes_left = self.flush_bytes_left.saturating_sub(sent as u64);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        assert!(!session.blocked, "nothing is offered to a full socket");
        session.blocked = sent < len;
        let is_blocked = session.blocked;
        self.note_taken(slot, sent, is_blocked);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let Some(out) = session.out.as_deref_mut() else { return };
        match part {
            None => out.advance(sent),
            Some(LogPart { view, span }) => {
                let member = session.memberships.find(view).expect("who left a feed is sent nothing of its log");
                let (next, rest) = self.feeds.get_mut(view).view.took(member.at, span.from, sent);
                out.advance_log(next, rest);
            }
        }
        if is_blocked || out.is_empty() {
            self.end_flush(slot);
        }
    }

    fn note_waiting(&mut self, bytes: u64) {
        self.figures.outbound_queue_high_water = self.figures.outbound_queue_high_water.max(bytes);
    }

    /// The room that is served next, if one is due: [`Source::Slice`] then brings its members' bytes, and
    /// [`Node::slice_done`] ends it.
    pub fn next_slice(&mut self, now_ns: u64) -> bool {
        assert!(self.slice.is_none() && self.offers.is_empty(), "the last slice is over");
        debug_assert!(self.bounds.slice_members > 0, "a slice gets on");
        self.feeds.release_paced(now_ns);
        self.tick_turn = !self.tick_turn;
        if self.tick_turn && self.next_tick(now_ns) {
            return true;
        }
        let Some(feed) = self.feeds.next(self.big_turn, now_ns) else { return self.next_tick(now_ns) };
        self.big_turn = !self.big_turn;
        self.slice = Some(Slice { feed, left: self.bounds.slice_members, is_over: false, is_tick: false });
        true
    }

    /// The slice is over; it took from `began_ns` to `now_ns`.
    pub fn slice_done(&mut self, began_ns: u64, now_ns: u64) {
        assert!(self.offers.is_empty(), "what was offered to members has been reported");
        debug_assert!(began_ns <= now_ns, "a slice takes its time");
        let Slice { feed, is_over, is_tick, .. } = self.slice.take().expect("a slice is being served");
        if is_tick {
            return self.feeds.tick_done(feed, now_ns.saturating_sub(began_ns), is_over, now_ns);
        }
        if is_over {
            self.figures.passes += 1;
            let feed = self.feeds.get(feed);
            let (since, members) = (now_ns.saturating_sub(feed.owed_since_ns), feed.view.served_len());
            self.figures.fan_out.record(since, members as u64);
        }
        self.feeds.slice_done(feed, now_ns.saturating_sub(began_ns), is_over, now_ns);
    }

    /// The next member of the slice to whom bytes can be sent; others are left behind what waits for their sockets.
    fn next_member(&mut self, step: impl Fn(&mut View) -> Option<Serve>) -> Option<Offered> {
        let slice = self.slice.as_mut().expect("a slice is being served");
        while slice.left > 0 {
            let view = &mut self.feeds.get_mut(slice.feed).view;
            let Some(Serve { index: at, slot, from }) = step(view) else {
                slice.is_over = !view.has_pass();
                return None;
            };
            slice.left -= 1;
            let session = self.sessions.get_mut(slot).expect("a member has a session");
            if !session.blocked && session.out.is_none() {
                return Some(Offered::Member { slot, at, from, len: view.tail(from).len() });
            }
            crate::marks::hit("a member whose socket was full already");
            view.fall_behind(at, from, 0);
            if !session.blocked && !session.flush_queued {
                session.flush_queued = true;
                self.flushes.push_back(slot);
            }
        }
        None
    }

    fn member_sent(&mut self, slot: u32, at: u32, from: Position, (sent, len): (usize, usize)) {
        self.count_sent(sent, len);
        let feed = self.slice.expect("a slice is being served").feed;
        let view = &mut self.feeds.get_mut(feed).view;
        self.figures.merged_frames += count_frames(view.tail(from)) as u64 - 1;
        if sent == len {
            return;
        }
        debug_assert!(!view.is_behind(at), "who is behind is not served by passes");
        crate::marks::hit("a send that the socket did not take whole");
        let rest = view.fall_behind(at, from, sent);
        if !rest.is_empty()
            && let Some(out) = self.sessions.outbox(slot)
        {
            out.finish_first(rest);
        }
        self.sessions.get_mut(slot).expect("a member has a session").blocked = true;
        self.sessions.weigh(slot);
        self.note_taken(slot, sent, true);
        self.note_waiting((len - sent) as u64);
    }

    /// Moves what the connection is owed of all its rooms into its outbox, so that one send takes it along. While its
    /// socket is full that is not copied: the outbox names the parts of the logs.
    pub(super) fn take_owed(&mut self, slot: u32) {
        let mut index = 0;
        while let Some(session) = self.sessions.get(slot)
            && let Some(Membership { feed, at }) = session.memberships.nth(index)
        {
            index += 1;
            let blocked = session.blocked;
            let view = &mut self.feeds.get_mut(feed).view;
            let owed = view.owed(at);
            if owed.is_empty() {
                continue;
            }
            let Some(out) = self.sessions.outbox(slot) else { return };
            let copies = !blocked && !view.is_behind(at);
            if copies && out.push_events(owed, self.bounds.queue_bytes) {
                view.settle(at);
            } else {
                let span = view.claim(at);
                out.push_log(LogPart { view: feed, span });
            }
        }
    }

    /// The socket takes bytes again.
    pub(super) fn writable(&mut self, slot: u32) {
        if let Some(session) = self.sessions.get_mut(slot)
            && std::mem::take(&mut session.blocked)
        {
            self.queue_flush(slot);
        }
    }

    /// A room's log has grown beyond what may wait for one connection: who is too far behind is dropped by the room.
    pub(super) fn drop_laggards(&mut self, index: u32) {
        let (queue_bytes, log_bytes) = (self.bounds.queue_bytes, self.bounds.log_bytes);
        let feed = self.feeds.get(index);
        let lag_bytes = queue_bytes.max(feed.held * STATE_SEAT_BYTES).min(log_bytes);
        let lag_bytes = self.fair_log_bytes(lag_bytes);
        for slot in self.feeds.get_mut(index).view.drop_laggards(lag_bytes, log_bytes) {
            self.lag(slot);
        }
    }

    /// A room has dropped the connection: it gets a full state of each of its rooms once its socket has drained.
    pub(super) fn lag(&mut self, slot: u32) {
        self.figures.slow_consumers += 1;
        self.note_dropped(slot);
        self.skip_rooms(slot);
        let Some(out) = self.sessions.outbox(slot) else { return };
        let (resync_waits, since) = (out.lag(), out.resynced());
        self.queue_flush(slot);
        let waits_ms = u64::from(self.tenths().saturating_sub(since)) * 100;
        if resync_waits && waits_ms >= self.rules.slow_consumer_ms {
            self.too_slow.push((slot, self.sessions.generation(slot)));
        }
    }

    /// Lets all rooms' frames pass the connection by until it gets full states.
    pub(super) fn skip_rooms(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot) else { return };
        for Membership { feed, at } in session.memberships.iter() {
            self.feeds.get_mut(feed).view.skip(at);
            self.feeds.weigh(feed);
        }
    }

    /// The connection is about to leave a feed: what its outbox names of that log is copied, within the bound of what
    /// may wait for one connection, and dropped beyond it, since no full state of the room will follow.
    pub(super) fn keep_owed(&mut self, slot: u32, feed: u32) {
        let view = &self.feeds.get(feed).view;
        if let Some(session) = self.sessions.get_mut(slot)
            && session.memberships.find(feed).is_some_and(|member| view.is_behind(member.at))
            && let Some(out) = session.out.as_mut()
            && !out.keep_log(feed, self.bounds.queue_bytes, |span| view.read(span))
        {
            self.note_dropped(slot);
        }
    }

    /// Whoever observes the shard hears that events pass the connection by.
    pub(super) fn note_dropped(&mut self, slot: u32) {
        if let Some(observer) = &mut self.observer {
            observer.hear(Observed::Dropped { conn: self.sessions.id(slot) });
        }
    }

    /// The same for all its feeds.
    pub(super) fn keep_all_owed(&mut self, slot: u32) {
        let mut index = 0;
        while let Some(Membership { feed, .. }) = self.sessions.get(slot).and_then(|s| s.memberships.nth(index)) {
            index += 1;
            self.keep_owed(slot, feed);
        }
    }
}
