//! A client that looks on: what it is told, and what may never be told.

use std::collections::BTreeMap;

use butaca::engine::command::SeatStatus;
use butaca::engine::ids::Epoch;
use serde_json::Value;

use super::truth::{Moment, Seats, Truth};
use crate::simulation::frames::{self, Frame, Name, Room, Seat};
use crate::simulation::names;
use crate::simulation::second::frames::{self as second, Map, Message};

/// What it knows of a room.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    epoch: Epoch,
    seq: u64,
    /// With the first protocol: the seats that are not free, and whose they are.
    first: BTreeMap<Seat, (SeatStatus, Name)>,
    /// With the second: nothing while it waits for its map.
    second: Option<Map>,
}

/// The client.
#[derive(Debug)]
pub(crate) struct Fan {
    pub(crate) name: Name,
    pub(crate) is_second: bool,
    /// The machine and the slot of its socket.
    pub(crate) at: (usize, u32),
    pub(crate) inbox: Vec<u8>,
    pub(crate) rooms: BTreeMap<Room, Known>,
    pub(crate) is_closed: bool,
    pub(crate) asked: u64,
    /// Seats that it saw booked, and when that was.
    booked: BTreeMap<(Room, Seat), Moment>,
}

impl Fan {
    pub(crate) fn new(name: Name, is_second: bool) -> Self {
        let (inbox, rooms, booked) = Default::default();
        Self { name, is_second, at: (0, 0), inbox, rooms, is_closed: true, asked: 0, booked }
    }

    /// Its socket is at another place, and knows nothing.
    pub(crate) fn connect(&mut self, at: (usize, u32)) {
        (self.at, self.is_closed) = (at, false);
        self.inbox.clear();
        self.rooms.clear();
    }

    /// Reads all that has come.
    pub(crate) fn read(&mut self, truth: &Truth) {
        if self.is_second {
            while let Some((_, message)) = second::read(&mut self.inbox) {
                self.told_second(message, truth);
            }
            return;
        }
        while let Some(frame) = frames::take(&mut self.inbox) {
            match frame {
                Frame::Text(json) => self.told_first(&json, truth),
                Frame::Close(_) => self.is_closed = true,
            }
        }
    }

    /// The room is shown as it is: never as it was before what is known.
    fn shown(&mut self, room: Room, (epoch, seq): (Epoch, u64), truth: &Truth) {
        let now = truth.moment(room, epoch, seq);
        if let Some(known) = self.rooms.get(&room) {
            let before = truth.moment(room, known.epoch, known.seq);
            assert!(before <= now, "{} is shown room {room} at {now:?} after {before:?}", self.name);
        }
    }

    fn told_first(&mut self, json: &Value, truth: &Truth) {
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        let room = || names::number_of(text("room_id"));
        let seq = || json["seq"].as_u64().expect("a number");
        let epoch = || Epoch(u64::from_str_radix(text("epoch"), 16).expect("an epoch"));
        match text("type") {
            "room_joined" => {
                self.shown(room(), (epoch(), seq()), truth);
                let known = Known { epoch: epoch(), seq: seq(), first: BTreeMap::new(), second: None };
                self.rooms.insert(room(), known);
            }
            "current_selections" => {
                let at = (epoch(), seq());
                self.shown(room(), at, truth);
                let all = json["selections"].as_array().expect("a list").iter();
                let first = all.map(|of| (names::number_of(of["seat_id"].as_str().expect("a seat")), whose(of)));
                let known = Known { epoch: at.0, seq: at.1, first: first.collect(), second: None };
                self.rooms.insert(room(), known);
                self.is_true(room(), truth);
            }
            kind @ ("seat_selected" | "seat_released") => {
                let (name, seat) = (self.name, names::number_of(text("seat_id")));
                let known = self.rooms.get_mut(&room()).expect("who joins a room first is told that");
                let before = known.first.get(&seat).copied();
                if kind == "seat_selected" && seq() <= known.seq {
                    assert!(
                        before.is_some_and(|(_, of)| of == name),
                        "{name} is told that it has what it has not: {json}"
                    );
                    return;
                }
                assert_eq!(seq(), known.seq + 1, "{name} at {}: {json}", known.seq);
                known.seq = seq();
                let was_booked = before.is_some_and(|(status, _)| status == SeatStatus::Booked);
                if kind == "seat_selected" {
                    let now = whose(json);
                    assert!(!was_booked || now.0 == SeatStatus::Booked, "{name} saw a booking end: {json}");
                    known.first.insert(seat, now);
                } else {
                    assert!(!was_booked || text("reason") == "refunded", "{name} saw a booking end: {json}");
                    assert!(known.first.remove(&seat).is_some(), "{name} saw a free seat become free: {json}");
                }
                self.is_true(room(), truth);
            }
            _ => {}
        }
    }

    fn told_second(&mut self, message: Message, truth: &Truth) {
        match message {
            Message::Joined { room, epoch, seq } => {
                self.shown(room, (epoch, seq), truth);
                let known = self.rooms.remove(&room).filter(|known| known.epoch == epoch);
                let fresh = Known { epoch, seq, first: BTreeMap::new(), second: None };
                self.rooms.insert(room, known.unwrap_or(fresh));
            }
            Message::Snapshot { room, epoch, seq, map, .. } => {
                self.shown(room, (epoch, seq), truth);
                self.rooms.insert(room, Known { epoch, seq, first: BTreeMap::new(), second: Some(map) });
                self.is_true(room, truth);
            }
            Message::Delta { room, epoch, from, to, changes } => {
                let name = self.name;
                let known = self.rooms.get_mut(&room).expect("who joins a room first is told that");
                assert_eq!(known.epoch, epoch, "{name}: a change of another life of room {room}");
                assert!(from <= known.seq + 1, "{name}: a hole in room {room}: {from} after {}", known.seq);
                if to <= known.seq {
                    return;
                }
                known.seq = to;
                let map = known.second.as_mut().expect("a change without a map");
                for (seat, state) in changes {
                    if state == 0 {
                        map.remove(&seat)
                    } else {
                        map.insert(seat, state)
                    };
                }
                self.is_true(room, truth);
            }
            Message::Close(_) => self.is_closed = true,
            _ => {}
        }
    }

    /// What it knows of a room, as the owner would say it; nothing while it waits for its map.
    fn seats(&self, known: &Known) -> Option<BTreeMap<Seat, u8>> {
        if self.is_second {
            return known.second.clone();
        }
        Some(known.first.iter().map(|(seat, (status, _))| (*seat, *status as u8)).collect())
    }

    fn as_seen(&self, seats: &Seats) -> BTreeMap<Seat, u8> {
        let of = |status: SeatStatus| if self.is_second { status.map_state() } else { status as u8 };
        seats.iter().map(|(seat, status)| (*seat, of(*status))).collect()
    }

    /// What it knows is what the room was at that moment, and what it saw booked is booked, unless it was paid back.
    fn is_true(&mut self, room: Room, truth: &Truth) {
        let booked = if self.is_second { SeatStatus::Booked.map_state() } else { SeatStatus::Booked as u8 };
        let known = &self.rooms[&room];
        let now = truth.moment(room, known.epoch, known.seq);
        let Some(seen) = self.seats(known) else { return };
        for (seat, _) in seen.iter().filter(|(_, state)| **state == booked) {
            self.booked.insert((room, *seat), now);
        }
        let mut gone = self.booked.extract_if(.., |(of, seat), _| *of == room && seen.get(seat) != Some(&booked));
        let lost = gone.find(|((_, seat), before)| !truth.is_refunded(room, *seat, *before));
        assert!(lost.is_none(), "{} saw a booking that is none: {lost:?}", self.name);
        drop(gone);
        let known = &self.rooms[&room];
        let moment = truth.moment(room, known.epoch, known.seq);
        if let (Some(was), Some(seen)) = (truth.at(room, moment), self.seats(known)) {
            assert_eq!(seen, self.as_seen(was), "{} knows something else of room {room} at {moment:?}", self.name);
        }
    }

    /// In the end it knows what the owner has.
    pub(crate) fn is_up_to_date(&self, room: Room, (epoch, seq, seats): &(Epoch, u64, Seats)) {
        let Some(known) = self.rooms.get(&room) else { return };
        let (name, machine) = (self.name, self.at.0);
        assert_eq!((known.epoch, known.seq), (*epoch, *seq), "{name} of node {machine} is behind in room {room}");
        assert_eq!(self.seats(known), Some(self.as_seen(seats)), "{name} of node {machine} is wrong about room {room}");
    }
}

fn whose(json: &Value) -> (SeatStatus, Name) {
    let status = match json["status"].as_str() {
        None | Some("held") => SeatStatus::Held,
        Some("checkout") => SeatStatus::Checkout,
        Some("booked") => SeatStatus::Booked,
        Some("blocked") => SeatStatus::Blocked,
        other => panic!("{other:?} is no status"),
    };
    let name = json["client_id"].as_str().and_then(|name| name.get(1..)?.parse().ok());
    (status, name.unwrap_or(usize::MAX))
}
