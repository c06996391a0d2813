//! One socket: what a shard remembers of it, and the table of all of them.
//!
//! An idle connection is one entry of the table and nothing else: no buffer, no task, no timer. What it needs only at
//! times (the rest of a partial frame, unsent bytes, a second room) is boxed. Invariants: an entry is named by slot and
//! generation, and a stale name finds nobody; a connection's membership of a view and the view's member name each other.
//!
//! Never here: what messages mean; who is owed what.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::audience::outbox::Outbox;
use crate::engine::command::RequestType;
use crate::engine::ids::{CONN_SLOTS_MAX, ClientId, ConnId, RoomId, SeatId, ShardId, ShardSet};
use crate::figures::shard::Refusal;
use crate::limits::{SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX};
use crate::wire::frame::Assembly;

/// A tenth of a second since the shard began: fine enough for heartbeats and half the size.
pub(crate) type Tenths = u32;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// A trusted proxy names the client first, by a PROXY protocol header.
    Preamble,
    /// It sends HTTP request heads.
    Http,
    /// It is a WebSocket.
    Open,
    /// Our last word has been queued: nothing it sends counts, and it ends when it hangs up or its time is over.
    Closing,
}

/// What the epoll set reports of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Watched {
    /// Nothing: it is not in the set yet.
    Not,
    /// That it can be read.
    Reads,
    /// That it can be read or written: it was full once.
    Writes,
}

/// A connection's place in a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Membership {
    /// The view's index on this shard.
    pub(crate) view: u32,
    /// The member's index in the view.
    pub(crate) at: u32,
}

/// The views that a connection is in. The first is kept inline: nearly every connection looks at one room.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    first: Option<Membership>,
    #[allow(clippy::box_collection, reason = "one word in an entry that nearly always holds nothing here")]
    more: Option<Box<Vec<Membership>>>,
}

impl Memberships {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Membership> {
        self.first.into_iter().chain(self.more.iter().flat_map(|more| more.iter().copied()))
    }

    /// The membership number `index`, in no particular order.
    pub(crate) fn nth(&self, index: usize) -> Option<Membership> {
        match index {
            0 => self.first,
            _ => self.more.as_ref().and_then(|more| more.get(index - 1)).copied(),
        }
    }

    pub(crate) fn find(&self, view: u32) -> Option<Membership> {
        self.iter().find(|membership| membership.view == view)
    }

    pub(crate) fn insert(&mut self, membership: Membership) {
        debug_assert!(self.find(membership.view).is_none(), "a connection is in a view once");
        if self.first.is_none() {
            self.first = Some(membership);
        } else {
            self.more.get_or_insert_default().push(membership);
        }
    }

    pub(crate) fn remove(&mut self, view: u32) {
        if self.first.is_some_and(|first| first.view == view) {
            self.first = self.more.as_mut().and_then(|more| more.pop());
        } else if let Some(more) = &mut self.more {
            more.retain(|membership| membership.view != view);
        }
        if self.more.as_ref().is_some_and(|more| more.is_empty()) {
            self.more = None;
        }
    }

    /// The view put the member elsewhere.
    pub(crate) fn moved(&mut self, view: u32, at: u32) {
        let all = self.first.iter_mut().chain(self.more.iter_mut().flat_map(|more| more.iter_mut()));
        for membership in all.filter(|membership| membership.view == view) {
            membership.at = at;
        }
    }
}

/// What a connection has sent while another shard has not answered what it sent before.
#[derive(Debug)]
pub(crate) enum Parked {
    /// A request for a room of another owner.
    Request { request: RequestType, room: RoomId, seat: Option<SeatId>, user_info: Box<str> },
    /// An answer that needs nobody.
    Answer(Box<[u8]>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) fd: OwnedFd,
    pub(crate) phase: Phase,
    /// The kernel may have bytes that were not read: the last read was not short, or reading was put off.
    pub(crate) readable: bool,
    /// The peer has hung up its side: read until the end.
    pub(crate) hung_up: bool,
    /// It is in the list of sockets to be read.
    pub(crate) read_queued: bool,
    /// It is in the list of connections whose outbox is flushed at the end of the phase.
    pub(crate) flush_queued: bool,
    /// The socket did not take everything: nothing is sent before it says that it is writable.
    pub(crate) blocked: bool,
    /// What the epoll set reports of its socket.
    pub(crate) watched: Watched,
    /// Reading was put off with messages unread in `unread`: they are looked at before the socket is.
    pub(crate) stalled: bool,
    /// A ping is out and nothing has come since.
    pub(crate) pinged: bool,
    /// An HTTP answer is being collected from other shards; requests behind it wait.
    pub(crate) awaits_answer: bool,
    /// Accepted beyond this limit: it may ask for `/health` but not stay.
    pub(crate) surplus: Option<Refusal>,
    /// It may have been handed over once; it is not handed over again.
    pub(crate) settled: bool,
    /// Rooms that it has joined, and joins of it that wait for their answers: refused beyond what this can count.
    pub(crate) rooms: u8,
    /// HTTP requests answered.
    pub(crate) requests: u16,
    /// Commands that another shard has not answered. All of them went to `remote_owner`.
    pub(crate) remote: u32,
    /// The shard that `remote` commands went to.
    pub(crate) remote_owner: ShardId,
    /// What must not be answered before they are: replies come in the order of requests.
    pub(crate) parked: Option<Box<Parked>>,
    /// How many connections had its slot before it.
    generation: u32,
    /// When something last came from it.
    pub(crate) heard: Tenths,
    /// When it has to be looked at; an older entry of the wheel is stale.
    pub(crate) check_at: Tenths,
    pub(crate) client: Option<ClientId>,
    /// The shards that may know it and must hear of its end.
    pub(crate) touched: ShardSet,
    pub(crate) memberships: Memberships,
    pub(crate) assembly: Assembly,
    #[allow(clippy::box_collection, reason = "one word in an entry that nearly always holds nothing here")]
    pub(crate) unread: Option<Box<Vec<u8>>>,
    pub(crate) out: Option<Box<Outbox>>,
    /// Where it comes from; kept only when connections are counted by address.
    pub(crate) peer: Option<Box<IpAddr>>,
}

impl Conn {
    pub(crate) fn new(fd: OwnedFd, now: Tenths) -> Self {
        Self {
            fd,
            phase: Phase::Http,
            readable: false,
            hung_up: false,
            read_queued: false,
            flush_queued: false,
            blocked: false,
            watched: Watched::Not,
            stalled: false,
            pinged: false,
            awaits_answer: false,
            surplus: None,
            settled: false,
            rooms: 0,
            requests: 0,
            remote: 0,
            remote_owner: ShardId::new(0),
            parked: None,
            generation: 0,
            heard: now,
            check_at: 0,
            client: None,
            touched: ShardSet::EMPTY,
            memberships: Memberships::default(),
            assembly: Assembly::default(),
            unread: None,
            out: None,
            peer: None,
        }
    }

    /// Sends what the socket takes now. 0 means that it is full. Errors: the connection is broken.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match send(&self.fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => Ok(sent),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives what has come; `None` when nothing has, `Some(0)` at the end. Errors: the connection is broken.
    pub(crate) fn receive(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.fd, into, RecvFlags::DONTWAIT) {
            Ok((received, _)) => Ok(Some(received)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes that wait for the socket.
    pub(crate) fn unsent_len(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.unsent_len())
    }

    /// What its outbox costs: at the bound nothing more is read from it.
    pub(crate) fn queue_weight(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.weight())
    }
}

/// One place of the table.
#[derive(Debug)]
enum Place {
    Full(Conn),
    /// Nobody; the next connection here gets this generation.
    Free(u32),
}

/// Places by which the table grows: 16 KiB, which the allocator hands out without a rest. They never move: a table that
/// doubled left as much memory behind, with the allocator, as its connections took.
const PLACES_PER_CHUNK: usize = 16 * 1024 / size_of::<Place>();

/// The connections of one shard.
#[derive(Debug)]
pub(crate) struct Conns {
    shard: ShardId,
    /// All chunks but the last are full of places.
    chunks: Vec<Vec<Place>>,
    free: Vec<u32>,
    used: usize,
    #[allow(clippy::vec_box, reason = "the boxes themselves are what is kept for the next turn")]
    spare: Vec<Box<Outbox>>,
}

fn place_mut(chunks: &mut [Vec<Place>], slot: u32) -> Option<&mut Place> {
    let slot = slot as usize;
    chunks.get_mut(slot / PLACES_PER_CHUNK)?.get_mut(slot % PLACES_PER_CHUNK)
}

impl Conns {
    pub(crate) fn new(shard: ShardId) -> Self {
        Self { shard, chunks: Vec::new(), free: Vec::new(), used: 0, spare: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    fn place(&self, slot: u32) -> Option<&Place> {
        let slot = slot as usize;
        self.chunks.get(slot / PLACES_PER_CHUNK)?.get(slot % PLACES_PER_CHUNK)
    }

    /// Takes the connection in; one for which there is no slot is closed.
    pub(crate) fn insert(&mut self, mut conn: Conn) -> Option<u32> {
        let slot = self.free.pop().or_else(|| self.new_slot())?;
        conn.generation = self.generation(slot);
        *place_mut(&mut self.chunks, slot).expect("the slot exists") = Place::Full(conn);
        self.used += 1;
        Some(slot)
    }

    fn new_slot(&mut self) -> Option<u32> {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == PLACES_PER_CHUNK) {
            self.chunks.push(Vec::with_capacity(PLACES_PER_CHUNK));
        }
        let full_chunks = self.chunks.len() - 1;
        let last = &mut self.chunks[full_chunks];
        let slot = full_chunks * PLACES_PER_CHUNK + last.len();
        if slot >= CONN_SLOTS_MAX {
            return None;
        }
        last.push(Place::Free(0));
        Some(u32::try_from(slot).expect("CONN_SLOTS_MAX fits"))
    }

    /// Takes the connection out; whoever still names it finds nobody.
    pub(crate) fn remove(&mut self, slot: u32) -> Conn {
        let next = Place::Free(self.generation(slot).wrapping_add(1));
        let place = place_mut(&mut self.chunks, slot).expect("the slot is in use");
        let Place::Full(mut conn) = std::mem::replace(place, next) else { panic!("the slot is in use") };
        self.free.push(slot);
        self.used -= 1;
        self.recycle(&mut conn);
        conn
    }

    fn recycle(&mut self, conn: &mut Conn) {
        if let Some(mut out) = conn.out.take()
            && out.capacity() <= SPARE_BUFFER_BYTES_MAX
            && self.spare.len() < SPARE_BUFFERS_MAX
        {
            out.reset();
            self.spare.push(out);
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Conn> {
        match self.place(slot)? {
            Place::Full(conn) => Some(conn),
            Place::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Conn> {
        match place_mut(&mut self.chunks, slot)? {
            Place::Full(conn) => Some(conn),
            Place::Free(_) => None,
        }
    }

    /// The connection with this slot and generation, unless it has ended.
    pub(crate) fn live(&mut self, slot: u32, generation: u32) -> Option<&mut Conn> {
        self.get_mut(slot).filter(|conn| conn.generation == generation)
    }

    /// The generation of the slot's connection, or of its next one.
    pub(crate) fn generation(&self, slot: u32) -> u32 {
        match self.place(slot).expect("the slot exists") {
            Place::Full(conn) => conn.generation,
            Place::Free(generation) => *generation,
        }
    }

    /// The slot of the connection with this name, unless it has ended or is ending.
    pub(crate) fn find(&self, conn: ConnId) -> Option<u32> {
        debug_assert_eq!(conn.shard(), self.shard, "a connection is looked for where it lives");
        let slot = conn.slot();
        let entry = self.get(slot)?;
        (entry.generation == conn.generation() && entry.phase != Phase::Closing).then_some(slot)
    }

    pub(crate) fn id(&self, slot: u32) -> ConnId {
        ConnId::new(self.shard, slot, self.generation(slot))
    }

    /// The connection's outbox; an empty one is taken from the spare ones.
    pub(crate) fn outbox(&mut self, slot: u32) -> Option<&mut Outbox> {
        let Place::Full(conn) = place_mut(&mut self.chunks, slot)? else { return None };
        Some(conn.out.get_or_insert_with(|| self.spare.pop().unwrap_or_default()))
    }

    /// Puts the connection's outbox away when it is idle.
    pub(crate) fn put_outbox_away(&mut self, slot: u32) {
        let Some(conn) = self.get_mut(slot) else { return };
        if !conn.out.as_ref().is_some_and(|out| out.is_idle()) {
            return;
        }
        let out = conn.out.take().expect("looked at above");
        if out.capacity() <= SPARE_BUFFER_BYTES_MAX && self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(out);
        }
    }

    /// Gives the spare outboxes up: what a crowd needed, a quiet shard does not.
    pub(crate) fn drop_spares(&mut self) {
        self.spare = Vec::new();
    }

    /// The slots in use.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        let places = self.chunks.iter().flatten().enumerate();
        let used = places.filter(|(_, place)| matches!(place, Place::Full(_)));
        used.map(|(slot, _)| u32::try_from(slot).expect("CONN_SLOTS_MAX fits"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Conn, Conns, Membership, Memberships, Place};
    use crate::engine::ids::ShardId;

    fn conn() -> Conn {
        Conn::new(std::fs::File::open("/dev/null").expect("a descriptor").into(), 0)
    }

    #[test]
    fn a_stale_name_finds_nobody_however_often_the_slot_is_reused() {
        let mut conns = Conns::new(ShardId::new(0));
        let mut old = Vec::new();
        for round in 0..1_000_u32 {
            let slot = conns.insert(conn()).expect("a slot");
            assert_eq!(slot, 0, "the slot is reused");
            let id = conns.id(slot);
            assert_eq!(conns.find(id), Some(slot));
            assert!(conns.live(slot, round).is_some());
            assert!(old.iter().all(|&stale| conns.find(stale).is_none()));
            drop(conns.remove(slot));
            assert_eq!(conns.find(id), None, "a name ends with its connection");
            old.push(id);
        }
        assert_eq!(conns.len(), 0);
    }

    #[test]
    fn memberships_follow_their_views() {
        let mut all = Memberships::default();
        (0..3).for_each(|view| all.insert(Membership { view, at: view + 10 }));
        all.moved(1, 99);
        all.remove(0);
        let mut left: Vec<(u32, u32)> = all.iter().map(|m| (m.view, m.at)).collect();
        left.sort_unstable();
        assert_eq!(left, [(1, 99), (2, 12)]);
        all.remove(2);
        all.remove(1);
        assert_eq!(all.iter().count(), 0);
    }

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Place>() <= 128, "{} bytes", size_of::<Place>());
    }
}
