//! Which rooms of a shard each connection is in, as a member or with seats, and which holds are its own.
//!
//! The usual connection watches one room and holds nothing: it costs one entry of 16 bytes in the map. Only a
//! connection that holds seats or is in several rooms has a record of its own. A room counts its members but keeps no
//! list of them; the list is here.
//!
//! Invariants: a connection that is nowhere has no entry; a record exists only while the short form cannot say it; a
//! connection is in at most `ROOMS_PER_CONNECTION_MAX` rooms. Never here: what a room or a seat is.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use super::deadlines::HoldNumber;
use super::ids::ConnId;
use super::keyed::{Keyed, KeyedMap};
use super::slab::{Slab, Slot};
use crate::limits::ROOMS_PER_CONNECTION_MAX;

#[derive(Debug)]
pub(super) struct Presences {
    places: KeyedMap<ConnId, Place>,
    records: Slab<Record>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Member of one room, holds nothing.
    Member(Slot),
    /// Everything else.
    Record(Slot),
}

#[derive(Debug, Default)]
struct Record {
    rooms: Vec<Presence>,
    /// In the order of selecting, which is that of their numbers. Most holds end in about that order.
    holds: VecDeque<OwnHold>,
}

/// A hold of a connection, and where it is.
#[derive(Clone, Copy, Debug)]
struct OwnHold {
    number: HoldNumber,
    room: Slot,
    seat: Slot,
}

/// One connection in one room: a member, a holder or both.
#[derive(Clone, Copy, Debug)]
struct Presence {
    room: Slot,
    member: bool,
    holds: u32,
}

/// What a connection that has ended leaves behind.
#[derive(Default, Debug)]
pub(super) struct Departed {
    /// The rooms of which it was a member.
    pub(super) memberships: Vec<Slot>,
    /// The rooms and seats of its holds, in the order of selecting.
    pub(super) holds: Vec<(Slot, Slot)>,
}

impl Presences {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { places: KeyedMap::with_hasher(keyed), records: Slab::new() }
    }

    pub(super) fn is_member(&self, conn: ConnId, room: Slot) -> bool {
        self.presence(conn, room).is_some_and(|presence| presence.member)
    }

    /// How many seats of the room the connection holds.
    pub(super) fn holds_in(&self, conn: ConnId, room: Slot) -> u32 {
        self.presence(conn, room).map_or(0, |presence| presence.holds)
    }

    /// The rooms and seats of what the connection holds, in the order of selecting.
    pub(super) fn holds_of(&self, conn: ConnId) -> impl Iterator<Item = (Slot, Slot)> {
        let record = match self.places.get(&conn) {
            None | Some(Place::Member(_)) => None,
            Some(&Place::Record(record)) => Some(&self.records[record]),
        };
        record.into_iter().flat_map(|record| record.holds.iter().map(|own| (own.room, own.seat)))
    }

    /// Whether the connection may enter this room; `None` stands for one that does not exist yet.
    pub(super) fn may_enter(&self, conn: ConnId, room: Option<Slot>) -> bool {
        let known = room.is_some_and(|room| self.presence(conn, room).is_some());
        known || self.rooms_of(conn) < ROOMS_PER_CONNECTION_MAX
    }

    fn rooms_of(&self, conn: ConnId) -> usize {
        match self.places.get(&conn) {
            None => 0,
            Some(Place::Member(_)) => 1,
            Some(&Place::Record(record)) => self.records[record].rooms.len(),
        }
    }

    fn presence(&self, conn: ConnId, room: Slot) -> Option<Presence> {
        match *self.places.get(&conn)? {
            Place::Member(only) => (only == room).then_some(Presence { room, member: true, holds: 0 }),
            Place::Record(record) => self.records[record].rooms.iter().find(|presence| presence.room == room).copied(),
        }
    }

    /// Makes the connection, which is not one yet, a member of the room.
    pub(super) fn join(&mut self, conn: ConnId, room: Slot) {
        if let Entry::Vacant(nowhere) = self.places.entry(conn) {
            nowhere.insert(Place::Member(room));
            return;
        }
        let presence = self.record(conn).enter(room);
        assert!(!std::mem::replace(&mut presence.member, true), "{conn:?} joins twice");
    }

    /// Ends a membership that exists.
    pub(super) fn leave(&mut self, conn: ConnId, room: Slot) {
        match self.places[&conn] {
            Place::Member(only) => {
                assert_eq!(only, room, "{conn:?} leaves a room in which it is not");
                self.places.remove(&conn);
            }
            Place::Record(record) => {
                let presence = self.records[record].enter(room);
                assert!(std::mem::replace(&mut presence.member, false), "{conn:?} leaves twice");
                self.tidy(conn, record, room);
            }
        }
    }

    /// Notes a hold that the connection has got.
    pub(super) fn hold(&mut self, conn: ConnId, hold: HoldNumber, room: Slot, seat: Slot) {
        let record = self.record(conn);
        record.enter(room).holds += 1;
        let own = OwnHold { number: hold, room, seat };
        if record.holds.back().is_none_or(|last| last.number < hold) {
            record.holds.push_back(own);
            return;
        }
        // A hold from before a restart is adopted, and is older than what the connection has selected since.
        let at = record.holds.binary_search_by_key(&hold, |own| own.number);
        record.holds.insert(at.expect_err("a hold's number is used once"), own);
    }

    /// Notes that a hold of the connection has ended.
    pub(super) fn release(&mut self, conn: ConnId, hold: HoldNumber, room: Slot) {
        let Place::Record(slot) = self.places[&conn] else { panic!("{conn:?} holds nothing") };
        let record = &mut self.records[slot];
        let at = record.holds.binary_search_by_key(&hold, |own| own.number).expect("the hold is the connection's");
        record.holds.remove(at);
        record.enter(room).holds -= 1;
        self.tidy(conn, slot, room);
    }

    /// Takes everything of a connection that has ended out.
    pub(super) fn take(&mut self, conn: ConnId) -> Option<Departed> {
        Some(match self.places.remove(&conn)? {
            Place::Member(room) => Departed { memberships: vec![room], holds: Vec::new() },
            Place::Record(record) => {
                let Record { rooms, holds } = self.records.remove(record);
                let memberships = rooms.iter().filter(|presence| presence.member).map(|presence| presence.room);
                let holds = holds.iter().map(|own| (own.room, own.seat)).collect();
                Departed { memberships: memberships.collect(), holds }
            }
        })
    }

    /// The record of a connection, made from the short form if need be.
    fn record(&mut self, conn: ConnId) -> &mut Record {
        let slot = match self.places.get(&conn) {
            Some(&Place::Record(slot)) => slot,
            short => {
                let mut record = Record::default();
                if let Some(&Place::Member(room)) = short {
                    record.enter(room).member = true;
                }
                let slot = self.records.insert(record);
                self.places.insert(conn, Place::Record(slot));
                slot
            }
        };
        &mut self.records[slot]
    }

    /// Forgets the room if the connection has no longer to do with it, and the record if the short form says the same.
    fn tidy(&mut self, conn: ConnId, slot: Slot, room: Slot) {
        let record = &mut self.records[slot];
        record.rooms.retain(|presence| presence.room != room || presence.member || presence.holds > 0);
        match record.rooms[..] {
            [] => {
                self.places.remove(&conn);
            }
            [Presence { room, member: true, holds: 0 }] => {
                self.places.insert(conn, Place::Member(room));
            }
            _ => return,
        }
        self.records.remove(slot);
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        let records = self.places.values().filter(|place| matches!(place, Place::Record(_))).count();
        assert_eq!(records, self.records.len(), "a record without a connection");
        for record in self.records.iter() {
            assert!(!record.rooms.is_empty() && record.rooms.len() <= ROOMS_PER_CONNECTION_MAX);
            assert!(record.rooms.len() > 1 || record.rooms[0].holds > 0, "the short form would say it");
            assert!(record.holds.iter().is_sorted_by(|a, b| a.number < b.number));
            for presence in &record.rooms {
                let holds = record.holds.iter().filter(|own| own.room == presence.room).count();
                assert_eq!(holds, presence.holds as usize);
                assert!(presence.member || holds > 0, "an empty presence");
            }
        }
    }

    /// All connections that are somewhere.
    pub(super) fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.places.keys().copied()
    }

    /// The holds of all connections, for the check of a shard.
    pub(super) fn holds(&self) -> usize {
        self.records.iter().map(|record| record.holds.len()).sum()
    }

    /// Every membership, for the check of a shard.
    pub(super) fn memberships(&self) -> impl Iterator<Item = (ConnId, Slot)> {
        self.places.iter().flat_map(|(&conn, &place)| {
            let (short, record) = match place {
                Place::Member(room) => (Some(room), None),
                Place::Record(record) => (None, Some(&self.records[record])),
            };
            let long = record.into_iter().flat_map(|record| &record.rooms).filter(|presence| presence.member);
            short.into_iter().chain(long.map(|presence| presence.room)).map(move |room| (conn, room))
        })
    }
}

impl Record {
    /// The connection's presence in the room, empty if it was not there.
    fn enter(&mut self, room: Slot) -> &mut Presence {
        let at = self.rooms.iter().position(|presence| presence.room == room).unwrap_or_else(|| {
            self.rooms.push(Presence { room, member: false, holds: 0 });
            self.rooms.len() - 1
        });
        &mut self.rooms[at]
    }
}
