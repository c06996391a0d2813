//! Decides whether what the clients were told can be true. Pure: no sockets, no clock, no JSON.
//!
//! Owns: the log of every room ([`life`]) and how far each member has come in it. Invariants: a member's `seq` moves by
//! one with each event, or by a full state; each violation is found once. Never here: what clients want to do next.

mod event;
mod life;
mod raw;
mod settle;
mod story;
mod told;
pub mod violation;

use std::sync::Arc;

pub use event::{Event, Reason, What};
use life::{Fault, Life, Put};
pub use story::shown;
use told::{LastTold, Told};
use violation::{Findings, Kind};

use crate::limits::{RAW_BYTES_BIG, RAW_BYTES_SMALL};
use crate::names::{FREE, Names, Seat, Who};

/// Two views of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Monotonic.
    pub ns: u64,
    /// Wall clock.
    pub wall_ms: u64,
}

#[derive(Debug, Default)]
struct Room {
    lives: Vec<Life>,
    members: Vec<Who>,
}

/// How far one client has come in its room.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    room: usize,
    life: usize,
    seq: u64,
    joined: bool,
    /// Does not read: nothing is expected of it.
    deaf: bool,
    /// `room_joined` came with this number, and the full state that may follow has not been seen yet.
    awaiting: Option<u64>,
    /// An own reply ran ahead of dropped events: a full state must come next.
    behind: bool,
    told: LastTold,
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    who: Who,
    room: usize,
    life: usize,
    seat: Seat,
    seq: u64,
    until: u64,
}

/// How late holds expired.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lateness {
    /// How many expired.
    pub count: u64,
    /// Together, in milliseconds.
    pub sum_ms: u64,
    /// The latest.
    pub max_ms: u64,
}

/// A room at the end of a run, for comparing threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Its newest epoch.
    pub epoch: Box<[u8]>,
    /// The number up to which everything is known.
    pub seq: u64,
    /// A hash of its held seats.
    pub map: u64,
}

/// A broadcast that was recognised by its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Recognised {
    /// What it said.
    pub what: What,
    /// When the command behind it was due; 0 when not known.
    pub stamp: u64,
}

/// The judge of one thread's clients.
#[derive(Debug)]
pub struct Oracle {
    /// What was found.
    pub findings: Findings,
    /// Full states that came because events had been dropped for a slow reader.
    pub resyncs: u64,
    /// Refusals and rooms about which nothing can be said, because no member was told the events of some moments and
    /// more full states came than are kept.
    pub unjudged: u64,
    names: Arc<Names>,
    rooms: Vec<Room>,
    members: Vec<Member>,
    doubts: Vec<Doubt>,
    faults: Vec<Fault>,
}

impl Oracle {
    /// `room_of[who]` says where each client of the run belongs; `mine` are those whose messages come here.
    #[must_use]
    pub fn new(names: Arc<Names>, room_of: &[usize], mine: &[Who]) -> Self {
        let mut rooms: Vec<Room> = (0..names.rooms()).map(|_| Room::default()).collect();
        for who in mine {
            rooms[room_of[*who as usize]].members.push(*who);
        }
        let members = room_of.iter().map(|room| Member { room: *room, ..Member::default() }).collect();
        Self {
            findings: Findings::default(),
            resyncs: 0,
            unjudged: 0,
            names,
            rooms,
            members,
            doubts: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn life(&self, who: Who) -> Option<&Life> {
        let member = &self.members[who as usize];
        self.rooms[member.room].lives.get(member.life)
    }

    /// Whether the client is a member of its room.
    #[must_use]
    pub fn is_member(&self, who: Who) -> bool {
        self.members[who as usize].joined
    }

    /// From now on nothing is expected of this client's reading.
    pub fn set_deaf(&mut self, who: Who) {
        self.members[who as usize].deaf = true;
    }

    /// `room_joined` came.
    pub fn joined(&mut self, who: Who, epoch: &[u8], seq: u64) {
        self.resolve(who);
        let room = self.members[who as usize].room;
        let lives = &mut self.rooms[room].lives;
        let life = lives.iter().position(|life| *life.epoch == *epoch).unwrap_or(lives.len());
        if life == lives.len() {
            let raw = if self.rooms[room].members.len() > 200 { RAW_BYTES_BIG } else { RAW_BYTES_SMALL };
            self.rooms[room].lives.push(Life::new(epoch, self.names.hall.seats(), raw));
        }
        let member = &mut self.members[who as usize];
        (member.life, member.seq, member.joined) = (life, seq, true);
        (member.awaiting, member.behind) = (Some(seq), false);
        member.told.add(Told::Joined, seq);
    }

    /// Whether it is still open if a full state follows `room_joined`.
    #[must_use]
    pub fn is_awaiting(&self, who: Who) -> bool {
        self.members[who as usize].awaiting.is_some()
    }

    /// Something else than a full state follows `room_joined`: no seat was held.
    pub fn resolve(&mut self, who: Who) {
        if let Some(seq) = self.members[who as usize].awaiting.take() {
            self.whole_room(who, seq, Vec::new());
        }
    }

    /// `current_selections` came.
    pub fn full_state(&mut self, who: Who, seq: u64, list: Vec<(Seat, Who)>) {
        let member = &mut self.members[who as usize];
        if !member.joined {
            return self.tell(Kind::Uninvited, who, None, "a full state for somebody who is no member".to_owned());
        }
        let (before, first) = (member.seq, member.awaiting.take());
        (member.seq, member.behind) = (seq.max(before), false);
        member.told.add(Told::FullState, seq);
        if seq < before {
            self.tell(Kind::OutOfOrder, who, None, format!("a full state of seq {seq} after seq {before}"));
        }
        // A later one than `room_joined` announced stands for the first one and for what was skipped since.
        if first != Some(seq) {
            self.resyncs += 1;
            // Its refusals overtook events that it never got: they were decided anywhere up to here.
            let own = self.doubts.iter_mut().filter(|doubt| doubt.who == who);
            own.for_each(|doubt| doubt.until = doubt.until.max(seq));
        }
        self.whole_room(who, seq, list);
    }

    fn whole_room(&mut self, who: Who, seq: u64, list: Vec<(Seat, Who)>) {
        let member = self.members[who as usize];
        let mut faults = std::mem::take(&mut self.faults);
        let life = &mut self.rooms[member.room].lives[member.life];
        life.full_state(seq, who, list, &mut faults);
        let look = life.waiting().is_power_of_two();
        self.blame(who, member.room, &mut faults);
        self.faults = faults;
        if look {
            self.bridge(member.room, member.life);
        }
    }

    /// The client left the room or its connection ended.
    pub fn left(&mut self, who: Who) {
        let member = &mut self.members[who as usize];
        member.told.add(Told::Left, member.seq);
        // A full state that was on its way when the connection ended proves nothing.
        (member.joined, member.awaiting, member.behind) = (false, None, false);
    }

    /// Takes a broadcast when its bytes are those that another member got under the number that is next.
    #[inline]
    pub fn recognise(&mut self, who: Who, payload: &[u8]) -> Option<Recognised> {
        let member = &mut self.members[who as usize];
        if !member.joined || member.awaiting.is_some() || member.behind {
            return None;
        }
        let life = &self.rooms[member.room].lives[member.life];
        let entry = life.entry(member.seq + 1)?;
        if entry.event.who == who || !life.recent.holds(entry.place, payload) {
            return None;
        }
        member.seq += 1;
        member.told.add(Told::Event, member.seq);
        Some(Recognised { what: entry.event.what, stamp: entry.event.stamp })
    }

    /// An event came. `own`: it is the reply to this client's own request. Returns the due time of the command behind
    /// it.
    pub fn event(&mut self, who: Who, event: Event, own: bool, payload: &[u8], now: Now) -> u64 {
        if !self.members[who as usize].joined {
            if !own {
                self.tell(
                    Kind::Uninvited,
                    who,
                    Some(event.seat),
                    format!("an event for no member: {}", shown(payload)),
                );
            }
            return event.stamp;
        }
        self.resolve(who);
        self.members[who as usize].told.add(if own { Told::Own } else { Told::Event }, event.seq);
        if own && event.what == What::Selected && self.is_again(who, &event) {
            return event.stamp;
        }
        self.follow(who, &event, own, payload);
        let member = self.members[who as usize];
        let mut faults = std::mem::take(&mut self.faults);
        let life = &mut self.rooms[member.room].lives[member.life];
        let put = life.put(event, now.wall_ms, &mut faults);
        let mut stamp = event.stamp;
        if let Some(known) = life.entry(event.seq).copied() {
            stamp = known.event.stamp.max(stamp);
            // The actor's own frame has no user_info, so only what the others get is worth comparing with.
            let public = who != event.who && !matches!(put, Put::Different(_));
            let place = if public && !life.recent.knows(known.place) { life.recent.keep(payload) } else { known.place };
            let known = life.entry_mut(event.seq).expect("just seen");
            (known.event.stamp, known.place) = (stamp, place);
        }
        self.blame(who, member.room, &mut faults);
        self.faults = faults;
        if let Put::Different(known) = put {
            self.differs(who, &event, &known, payload);
        }
        stamp
    }

    /// Whether this is the repeated reply to a select of a seat that the client holds already.
    fn is_again(&self, who: Who, event: &Event) -> bool {
        let member = &self.members[who as usize];
        let known = self.life(who).and_then(|life| life.entry(event.seq));
        event.seq <= member.seq
            && known.is_none_or(|known| {
                (known.event.seat, known.event.who, known.event.what) == (event.seat, who, What::Selected)
            })
    }

    /// Moves the member's number and judges the order.
    fn follow(&mut self, who: Who, event: &Event, own: bool, payload: &[u8]) {
        let member = &mut self.members[who as usize];
        let before = member.seq;
        if event.seq == before + 1 && !member.behind {
            member.seq = event.seq;
        } else if event.seq <= before {
            self.tell(
                Kind::OutOfOrder,
                who,
                Some(event.seat),
                format!("seq {} after seq {before}: {}", event.seq, shown(payload)),
            );
        } else if own {
            (member.seq, member.behind) = (event.seq, true);
        } else {
            (member.seq, member.behind) = (event.seq, false);
            let missing = self.missing(who, before, event.seq);
            let detail = format!("seq {} after seq {before}: {}; {missing}", event.seq, shown(payload));
            self.tell(Kind::SilentGap, who, Some(event.seat), detail);
        }
    }

    /// What others know of the numbers between two.
    fn missing(&self, who: Who, after: u64, before: u64) -> String {
        let others = (after + 1..before).take(4).map(|seq| match self.life(who).and_then(|life| life.entry(seq)) {
            Some(known) => {
                let Event { seat, who, what, .. } = known.event;
                format!("{seq} {} {} {what:?}", self.names.seat(seat), self.names.client(who))
            }
            None => format!("{seq} unknown"),
        });
        format!("others were told: {}", others.collect::<Vec<_>>().join(", "))
    }

    fn differs(&mut self, who: Who, event: &Event, known: &Event, payload: &[u8]) {
        let both_selected = event.what == What::Selected && known.what == What::Selected;
        let kind = if both_selected && event.seat == known.seat && event.who != known.who {
            Kind::DoubleGrant
        } else {
            Kind::Diverged
        };
        let others = format!("{} {} {:?}", self.names.seat(known.seat), self.names.client(known.who), known.what);
        self.tell(
            kind,
            who,
            Some(event.seat),
            format!("seq {}: others were told {others}, this client {}", event.seq, shown(payload)),
        );
    }

    /// The number this client has reached.
    #[must_use]
    pub fn seq(&self, who: Who) -> u64 {
        self.members[who as usize].seq
    }

    /// Who holds the seat on this client's own map.
    #[inline]
    #[must_use]
    pub fn holder(&self, who: Who, seat: Seat) -> Who {
        let member = &self.members[who as usize];
        match self.life(who) {
            Some(life) if member.joined => life.holder_at(seat, member.seq),
            _ => FREE,
        }
    }

    /// The held seats of a room as its members were told.
    #[must_use]
    pub fn held(&self, room: usize) -> Vec<(Seat, Who)> {
        self.rooms[room].lives.last().map(|life| life.held().collect()).unwrap_or_default()
    }

    /// How many seats are held in all rooms.
    #[must_use]
    pub fn held_count(&self) -> u64 {
        self.rooms.iter().filter_map(|room| room.lives.last()).map(Life::held_count).sum()
    }

    /// Whether anybody of this thread was told anything about the room.
    #[must_use]
    pub fn knows(&self, room: usize) -> bool {
        !self.rooms[room].lives.is_empty()
    }

    /// Whether events are missing that no member was told.
    #[must_use]
    pub fn has_hole(&self, room: usize) -> bool {
        self.rooms[room].lives.last().is_some_and(Life::has_hole)
    }

    /// The highest number seen in a room's newest life.
    #[must_use]
    pub fn highest(&self, room: usize) -> u64 {
        self.rooms[room].lives.last().map_or(0, |life| life.highest)
    }

    /// Other threads have seen this number: members here must come to it too.
    pub fn expect_number(&mut self, room: usize, seq: u64) {
        if let Some(life) = self.rooms[room].lives.last_mut() {
            life.highest = life.highest.max(seq);
        }
    }

    /// A room's newest life in one value.
    #[must_use]
    pub fn digest(&self, room: usize) -> Option<Digest> {
        let life = self.rooms[room].lives.last()?;
        Some(Digest { epoch: life.epoch.clone(), seq: life.frontier, map: life.hash() })
    }

    /// The members of a room in this thread.
    #[must_use]
    pub fn members(&self, room: usize) -> &[Who] {
        &self.rooms[room].members
    }

    /// How late holds expired, over all rooms.
    #[must_use]
    pub fn lateness(&self) -> Lateness {
        self.rooms.iter().flat_map(|room| &room.lives).fold(Lateness::default(), |sum, life| {
            let (count, sum_ms, max_ms) = life.lateness;
            Lateness { count: sum.count + count, sum_ms: sum.sum_ms + sum_ms, max_ms: sum.max_ms.max(max_ms) }
        })
    }
}
