//! What a shard remembers of one connection, and the table of all of them.
//!
//! Invariants: an entry is named by slot and generation, and a stale name finds nobody; a session's membership of a
//! feed and the feed's member name each other; requests that wait for their answers all went to one shard, which
//! answers them in order. Never here: sockets; what messages mean.

use super::rate::Bucket;
use super::second::{CartAsk, Join, ResumeAsk, Standing};
use crate::audience::budget::{Budget, Kind, Tally};
use crate::audience::outbox::Outbox;
use crate::engine::command::{OwnedRequest, Ticket};
use crate::engine::ids::{ClientId, ConnId, Origin, ShardId, ShardSet};
use crate::limits::{SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX};
use crate::slots::{Entry, Slots};

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It asks by HTTP.
    Http,
    /// It is a WebSocket.
    Open,
    /// Our last word has been queued: it is no participant any more.
    Closing,
}

/// A connection's place in a feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Membership {
    /// The feed's index on this shard.
    pub(super) feed: u32,
    /// The member's index in the feed's view.
    pub(super) at: u32,
}

impl Membership {
    const NONE: Self = Self { feed: u32::MAX, at: 0 };
}

/// The feeds that a connection reads. The first is kept inline: nearly every connection looks at one room.
#[derive(Debug)]
pub(super) struct Memberships {
    first: Membership,
    #[allow(clippy::box_collection, reason = "one word in an entry that nearly always holds nothing here")]
    more: Option<Box<Vec<Membership>>>,
}

impl Default for Memberships {
    fn default() -> Self {
        Self { first: Membership::NONE, more: None }
    }
}

impl Memberships {
    fn has_first(&self) -> bool {
        self.first != Membership::NONE
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Membership> {
        let first = self.has_first().then_some(self.first);
        first.into_iter().chain(self.more.iter().flat_map(|more| more.iter().copied()))
    }

    /// The membership number `index`, in no particular order.
    pub(super) fn nth(&self, index: usize) -> Option<Membership> {
        match index {
            0 => self.has_first().then_some(self.first),
            _ => self.more.as_ref().and_then(|more| more.get(index - 1)).copied(),
        }
    }

    pub(super) fn find(&self, feed: u32) -> Option<Membership> {
        self.iter().find(|membership| membership.feed == feed)
    }

    pub(super) fn insert(&mut self, membership: Membership) {
        assert!(self.find(membership.feed).is_none(), "a connection is in a feed once");
        if self.has_first() {
            self.more.get_or_insert_default().push(membership);
        } else {
            self.first = membership;
        }
    }

    pub(super) fn remove(&mut self, feed: u32) {
        if self.first.feed == feed {
            self.first = self.more.as_mut().and_then(|more| more.pop()).unwrap_or(Membership::NONE);
        } else if let Some(more) = &mut self.more {
            more.retain(|membership| membership.feed != feed);
        }
        if self.more.as_ref().is_some_and(|more| more.is_empty()) {
            self.more = None;
        }
    }

    /// The feed put the member elsewhere.
    pub(super) fn moved(&mut self, feed: u32, at: u32) {
        let first = std::iter::once(&mut self.first);
        let all = first.chain(self.more.iter_mut().flat_map(|more| more.iter_mut()));
        for membership in all.filter(|membership| membership.feed == feed) {
            membership.at = at;
        }
    }
}

/// What a connection has sent while what it sent before is not answered.
#[derive(Debug)]
pub(super) enum Parked {
    /// A request for a room of another owner.
    Request(OwnedRequest),
    /// The same with the second protocol.
    Cart(Box<CartAsk>),
    /// To go on as another session.
    Resume(Box<ResumeAsk>),
    /// An answer that needs nobody.
    Answer(Box<[u8]>),
    /// It is about to move to another shard, to ask for this there.
    Move { to: ShardId, join: Option<Join> },
}

/// Whose a connection is.
#[derive(Default, Debug)]
pub(super) struct Who {
    /// Its name, once it is a WebSocket.
    pub(super) client: Option<ClientId>,
    pub(super) origin: Origin,
    /// For whom it acts, and how it speaks, when that is more than itself with the first protocol.
    pub(super) standing: Option<Box<Standing>>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    /// How many had its slot before it.
    generation: u32,
    pub(super) who: Option<Box<Who>>,
    /// The shards that may know it and must hear of its end.
    pub(super) touched: ShardSet,
    pub(super) memberships: Memberships,
    /// What must not be answered before its open requests are: replies come in the order of requests.
    pub(super) parked: Option<Box<Parked>>,
    pub(super) out: Option<Box<Outbox>>,
    /// The next request's.
    pub(super) next: Ticket,
    /// The first request's that is not answered.
    pub(super) open: Ticket,
    /// Rooms that it has joined, and joins of it that are not answered.
    pub(super) rooms: u16,
    /// The shard that its open requests went to.
    pub(super) asked: ShardId,
    pub(super) stage: Stage,
    /// The socket did not take everything: nothing is sent before it says that it is writable.
    pub(super) blocked: bool,
    /// It is in the list of those to be flushed.
    pub(super) flush_queued: bool,
    /// Its requests wait until answers have left or arrived.
    pub(super) waits: bool,
    /// It may have moved once; it does not move again.
    pub(super) settled: bool,
    /// Its messages' tokens.
    pub(super) bucket: Bucket,
    /// Twice the messages that were refused for want of a token, less those that were not.
    pub(super) excess: u8,
    /// It has sent too many messages, and is not read before it may send one more.
    pub(super) pauses: bool,
}

impl Entry for Session {
    fn generation(&self) -> u32 {
        self.generation
    }

    fn set_generation(&mut self, generation: u32) {
        self.generation = generation;
    }
}

impl Session {
    fn new() -> Self {
        Self {
            generation: 0,
            who: None,
            touched: ShardSet::EMPTY,
            memberships: Memberships::default(),
            parked: None,
            out: None,
            next: Ticket::default(),
            open: Ticket::default(),
            rooms: 0,
            asked: ShardId::new(0),
            stage: Stage::Http,
            blocked: false,
            flush_queued: false,
            waits: false,
            settled: false,
            bucket: Bucket::default(),
            excess: 0,
            pauses: false,
        }
    }

    /// Its client's name, once it is a WebSocket.
    pub(super) fn client(&self) -> Option<&ClientId> {
        self.who.as_ref()?.client.as_ref()
    }

    /// Where it comes from.
    pub(super) fn origin(&self) -> Origin {
        self.who.as_ref().map_or(Origin::UNKNOWN, |who| who.origin)
    }

    /// Requests that are not answered.
    pub(super) fn open_requests(&self) -> u16 {
        self.next.0.wrapping_sub(self.open.0)
    }

    /// Takes the next ticket, for a request that this shard answers.
    pub(super) fn ask(&mut self, owner: ShardId) -> Ticket {
        debug_assert!(self.open_requests() == 0 || self.asked == owner, "open requests are all with one shard");
        self.asked = owner;
        self.touched.insert(owner);
        self.take_ticket()
    }

    /// Takes the next ticket, for a request that some shard answers.
    pub(super) fn take_ticket(&mut self) -> Ticket {
        let ticket = self.next;
        self.next = ticket.next();
        ticket
    }

    /// The request with this ticket has been answered.
    pub(super) fn answered(&mut self, ticket: Ticket) {
        assert!(self.open_requests() > 0, "an answer without a request");
        assert_eq!(ticket, self.open, "answers come in the order of requests");
        self.open = ticket.next();
    }

    /// A request of this kind has been answered by a refusal or changed no membership: the place that a join took is
    /// free.
    pub(super) fn free_room(&mut self) {
        self.rooms = self.rooms.checked_sub(1).expect("a join took the place");
    }

    /// Bytes that wait for the socket.
    pub(super) fn unsent_len(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.unsent_len())
    }

    /// What its outbox costs: at the bound nothing more is read from it.
    pub(super) fn queue_weight(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.weight())
    }

    /// Whether the request, with a room of this owner, would be answered before one that was sent earlier: only what
    /// goes to the same shard as the open ones keeps its place behind them.
    pub(super) fn overtakes(&self, owner: ShardId, is_join: bool, rooms_max: usize) -> bool {
        let is_full = is_join && usize::from(self.rooms) >= rooms_max;
        self.open_requests() > 0 && (owner != self.asked || is_full)
    }
}

/// The sessions of one shard.
#[derive(Debug)]
pub(super) struct Sessions {
    shard: ShardId,
    slots: Slots<Session>,
    /// What all outboxes take.
    outboxes: Tally,
    #[allow(clippy::vec_box, reason = "the boxes themselves are what is kept for the next turn")]
    spare: Vec<Box<Outbox>>,
}

impl Sessions {
    pub(super) fn new(shard: ShardId, budget: &Budget) -> Self {
        Self { shard, slots: Slots::default(), outboxes: Tally::new(budget, Kind::Outboxes), spare: Vec::new() }
    }

    /// What all outboxes of this shard take.
    pub(super) fn outboxes(&mut self) -> &mut Tally {
        &mut self.outboxes
    }

    /// Counts what the session's outbox takes now.
    pub(super) fn weigh(&mut self, slot: u32) {
        if let Some(out) = self.slots.get_mut(slot).and_then(|session| session.out.as_mut()) {
            let (was, is) = out.recount();
            self.outboxes.moves(was, is);
        }
    }

    pub(super) fn open(&mut self, slot: u32, generation: u32) {
        self.slots.insert_at(slot, generation, Session::new());
    }

    /// Takes the session out; whoever still names it finds nobody.
    pub(super) fn remove(&mut self, slot: u32) -> Session {
        let mut session = self.slots.vacate(slot);
        if let Some(mut out) = session.out.take() {
            out.clear();
            self.keep_spare(out);
        }
        session
    }

    fn keep_spare(&mut self, mut out: Box<Outbox>) {
        self.outboxes.moves(out.uncount(), 0);
        if out.capacity() <= SPARE_BUFFER_BYTES_MAX && self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(out);
        }
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Session> {
        self.slots.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Session> {
        self.slots.get_mut(slot)
    }

    pub(super) fn live(&mut self, slot: u32, generation: u32) -> Option<&mut Session> {
        self.slots.live(slot, generation)
    }

    pub(super) fn generation(&self, slot: u32) -> u32 {
        self.slots.generation(slot)
    }

    pub(super) fn id(&self, slot: u32) -> ConnId {
        ConnId::new(self.shard, slot, self.generation(slot))
    }

    /// The slot of the session with this name, unless it has ended or is ending.
    pub(super) fn find(&self, conn: ConnId) -> Option<u32> {
        debug_assert_eq!(conn.shard(), self.shard, "a connection is looked for where it lives");
        let slot = conn.slot();
        let session = self.get(slot)?;
        (self.generation(slot) == conn.generation() && session.stage != Stage::Closing).then_some(slot)
    }

    /// The session's outbox; an empty one is taken from the spare ones.
    pub(super) fn outbox(&mut self, slot: u32) -> Option<&mut Outbox> {
        let session = self.slots.get_mut(slot)?;
        Some(session.out.get_or_insert_with(|| self.spare.pop().unwrap_or_default()))
    }

    /// Puts the session's outbox away when it is idle.
    pub(super) fn put_outbox_away(&mut self, slot: u32) {
        let Some(session) = self.get_mut(slot) else { return };
        if let Some(out) = session.out.take_if(|out| out.is_idle()) {
            self.keep_spare(out);
        }
    }

    /// Gives the spare outboxes up: what a crowd needed, a quiet shard does not.
    pub(super) fn drop_spares(&mut self) {
        self.spare = Vec::new();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Session)> {
        self.slots.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::{Membership, Memberships, Session};
    use crate::engine::command::Ticket;
    use crate::engine::ids::ShardId;

    #[test]
    fn memberships_follow_their_feeds() {
        let mut all = Memberships::default();
        (0..3).for_each(|feed| all.insert(Membership { feed, at: feed + 10 }));
        all.moved(1, 99);
        all.remove(0);
        let mut left: Vec<(u32, u32)> = all.iter().map(|m| (m.feed, m.at)).collect();
        left.sort_unstable();
        assert_eq!(left, [(1, 99), (2, 12)]);
        all.remove(2);
        all.remove(1);
        assert_eq!(all.iter().count(), 0);
    }

    /// The number of a request wraps; what is open is counted all the same.
    #[test]
    fn tickets_wrap() {
        let mut session = Session::new();
        for number in 0..200_000_u32 {
            let ticket = session.ask(ShardId::new(0));
            assert_eq!(u32::from(ticket.0), number % 65_536);
            if number >= 100 {
                let first = session.open;
                session.answered(first);
            }
            assert_eq!(u32::from(session.open_requests()), (number + 1).min(100));
        }
        assert_eq!(session.next, Ticket(u16::try_from(200_000 % 65_536).expect("16 bits")));
    }
}
