//! A client of the second protocol: it keeps its maps by snapshots and deltas and its carts by its own frames, and
//! believes nothing else.
//!
//! It panics when a reply does not answer its first open request, when a delta leaves a hole, when its map is not what
//! the room was at the number that it has come to, or when it becomes somebody whom it has no proof for.

use std::collections::{BTreeMap, VecDeque};

use butaca::engine::ids::Epoch;

use super::frames::{Cart, Map, Message};
use super::requests::{Asked, Set};
use crate::simulation::client::Pace;
use crate::simulation::frames::{Name, Room};
use crate::simulation::oracle::Oracle;

/// What a client knows of a room.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) epoch: Epoch,
    pub(crate) seq: u64,
    /// Nothing while it waits for it.
    pub(crate) map: Option<Map>,
}

/// A session, and the proof that one is it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proof {
    pub(crate) session: String,
    pub(crate) token: String,
}

pub(crate) struct Client {
    pub(crate) name: Name,
    /// Its socket, while it has one.
    pub(crate) pipe: Option<usize>,
    pub(crate) pace: Pace,
    /// Requests that are not answered, with their ids.
    pub(crate) open: VecDeque<(u64, Asked)>,
    /// The rooms that it looks at.
    pub(crate) rooms: BTreeMap<Room, Known>,
    /// What it knew of rooms when it looked at them last.
    pub(crate) before: BTreeMap<Room, Known>,
    /// Its carts as it was told last; a room that is not there is one of which it has not been told.
    pub(crate) carts: BTreeMap<Room, Cart>,
    pub(crate) inbox: Vec<u8>,
    /// The code of the server's close frame: nothing may follow it.
    pub(crate) closed: Option<u16>,
    /// Who it is on this connection, once it knows.
    pub(crate) me: Option<Proof>,
    /// With what it goes on as its session.
    pub(crate) proof: Option<Proof>,
    /// All tokens that it was ever given, and of which sessions.
    given: BTreeMap<String, String>,
    /// It has joined a room or held a seat with this connection, or gone on as its session.
    is_used: bool,
    ids: u64,
}

impl Client {
    pub(crate) fn new(name: Name) -> Self {
        let (open, rooms, before, carts, inbox, given) = Default::default();
        Self {
            name,
            pipe: None,
            pace: Pace::Fast,
            open,
            rooms,
            before,
            carts,
            inbox,
            closed: None,
            me: None,
            proof: None,
            given,
            is_used: false,
            ids: 0,
        }
    }

    /// A new socket begins as nobody in particular, and in no room.
    pub(crate) fn connect(&mut self, pipe: usize, pace: Pace) {
        self.disconnect();
        (self.pipe, self.pace) = (Some(pipe), pace);
    }

    pub(crate) fn disconnect(&mut self) {
        let known = std::mem::take(&mut self.rooms).into_iter().filter(|(_, known)| known.map.is_some());
        self.before.extend(known);
        (self.pipe, self.closed, self.me, self.is_used) = (None, None, None, false);
        self.open.clear();
        self.carts.clear();
        self.inbox.clear();
    }

    /// Asks for something: returns the id of the request.
    pub(crate) fn ask(&mut self, asked: Asked) -> u64 {
        self.ids += 1;
        self.open.push_back((self.ids, asked));
        self.ids
    }

    /// Up to where it knows the room.
    pub(crate) fn since(&self, room: Room) -> Option<(Epoch, u64)> {
        let known = self.rooms.get(&room).or_else(|| self.before.get(&room))?;
        known.map.as_ref().map(|_| (known.epoch, known.seq))
    }

    /// Reads one message.
    pub(crate) fn read(&mut self, id: Option<u64>, message: Message, oracle: &Oracle) {
        assert_eq!(self.closed, None, "{message:?} behind a close frame");
        let is_first = !matches!(message, Message::Hello { .. } | Message::Close(_) | Message::Goaway);
        assert!(self.me.is_some() || !is_first, "{message:?} before hello");
        let asked = id.map(|id| self.answered(id));
        match message {
            Message::Hello { session, token, is_resumed, carts } => {
                let me = Proof { session, token };
                self.hello(me, is_resumed, carts, asked);
            }
            Message::Joined { room, epoch, seq } => self.joined(room, (epoch, seq), asked),
            Message::Left { room } => {
                assert_eq!(asked, Some(Asked::Leave(room)));
                let known = self.rooms.remove(&room).filter(|known| known.map.is_some());
                self.before.extend(known.map(|known| (room, known)));
            }
            Message::Snapshot { room, epoch, seq, map, cart } => {
                assert!(asked.is_none_or(|asked| asked == Asked::Sync(room)), "a map that was not asked for");
                self.carts.insert(room, cart);
                let known = self.rooms.get_mut(&room).expect("only who looks at a room gets its map");
                assert_eq!(known.epoch, epoch, "the map of another life");
                assert!(known.map.is_none() || known.seq <= seq, "an old map comes after newer changes");
                *known = Known { epoch, seq, map: Some(map) };
                self.check_map(room, oracle);
            }
            Message::Delta { room, epoch, from, to, changes } => self.delta(room, epoch, (from, to), &changes, oracle),
            Message::Held { room, seats, cart } => {
                let Some(Asked::Select { room: of, seats: wanted, release }) = asked else {
                    panic!("no select was open")
                };
                assert_eq!((of, wanted), (room, Set::of(seats.iter().copied())), "all or nothing");
                assert!(seats.iter().all(|seat| cart.seats.contains(seat)), "{seats:?} are held, but {cart:?}");
                assert!(!cart.seats.iter().any(|&seat| release.has(seat)), "{release:?} is released, but {cart:?}");
                self.is_used = true;
                self.carts.insert(room, cart);
            }
            Message::Released { room, seats, cart } => {
                match asked {
                    Some(Asked::Release { room: of, seats: given }) => {
                        assert_eq!((of, given), (room, Set::of(seats.iter().copied())), "all or nothing");
                    }
                    asked => assert_eq!(asked, Some(Asked::ReleaseAll(room))),
                }
                assert!(!seats.iter().any(|seat| cart.seats.contains(seat)), "{seats:?} are released, but {cart:?}");
                self.carts.insert(room, cart);
            }
            Message::Extended { room, cart } => {
                assert_eq!(asked, Some(Asked::Extend(room)));
                self.carts.insert(room, cart);
            }
            Message::Cart { room, cart } => {
                assert_eq!(asked, None);
                self.carts.insert(room, cart);
            }
            Message::Pong => assert_eq!(asked, Some(Asked::Ping)),
            Message::Error { code, room, conflicts } => {
                self.refused(&code, room, &conflicts, &asked.expect("no error without a request"));
            }
            Message::Goaway => {}
            Message::Close(code) => self.closed = Some(code),
        }
    }

    /// The request that a reply answers: always the first that is open.
    fn answered(&mut self, id: u64) -> Asked {
        let (first, asked) = self.open.pop_front().expect("a reply without a request");
        assert_eq!(id, first, "replies come in the order of requests");
        asked
    }

    fn hello(&mut self, me: Proof, is_resumed: bool, carts: Vec<(Room, Cart)>, asked: Option<Asked>) {
        self.given.insert(me.token.clone(), me.session.clone());
        let Some(asked) = asked else {
            assert!(self.me.is_none() && !is_resumed && carts.is_empty(), "hello comes first, and once");
            if !self.open.iter().any(|(_, asked)| matches!(asked, Asked::Resume { .. })) {
                self.proof = Some(me.clone());
            }
            self.me = Some(me);
            return;
        };
        let Asked::Resume { token, rooms } = asked else { panic!("{asked:?} is answered with hello") };
        let session = self.given.get(&token);
        assert!(is_resumed && session.is_some(), "a proof that is none is believed");
        assert_eq!(Some(&me.session), session, "it goes on as somebody else");
        assert_eq!(Set::of(carts.iter().map(|(room, _)| *room)), rooms, "the carts of the rooms that were named");
        assert!(!self.is_used, "who has begun goes on as somebody else");
        (self.me, self.proof, self.is_used) = (Some(me.clone()), Some(me), true);
        self.carts = carts.into_iter().collect();
    }

    fn joined(&mut self, room: Room, (epoch, seq): (Epoch, u64), asked: Option<Asked>) {
        let since = match asked {
            Some(Asked::Join { room: of, since }) => {
                assert_eq!(of, room);
                since
            }
            // It is told anew, unasked.
            None => None,
            other => panic!("{other:?} is answered with a room"),
        };
        self.is_used = true;
        // It may have learnt more since it asked.
        let is_asked = |before: &Known| since.is_some_and(|(epoch, seq)| epoch == before.epoch && seq <= before.seq);
        let before = self.before.get(&room).cloned().filter(is_asked);
        let known = self.rooms.remove(&room).or(before).filter(|known| known.epoch == epoch);
        self.rooms.insert(room, known.unwrap_or(Known { epoch, seq, map: None }));
    }

    fn delta(&mut self, room: Room, epoch: Epoch, (from, to): (u64, u64), changes: &[(usize, u8)], oracle: &Oracle) {
        let known = self.rooms.get_mut(&room).expect("only who looks at a room is told what happens");
        assert_eq!(known.epoch, epoch, "a change of another life");
        let map = known.map.as_mut().expect("a delta without a map");
        assert!(from <= known.seq + 1, "a hole in room {room}: {from} after {}", known.seq);
        if to <= known.seq {
            return;
        }
        for &(seat, state) in changes {
            if state == 0 {
                map.remove(&seat)
            } else {
                map.insert(seat, state)
            };
        }
        known.seq = to;
        self.check_map(room, oracle);
    }

    fn refused(&mut self, code: &str, room: Option<Room>, conflicts: &[usize], asked: &Asked) {
        assert_eq!(room, asked.room(), "{code} of another room");
        let of = |set: Set| !conflicts.is_empty() && conflicts.iter().all(|&seat| set.has(seat));
        let is_right = match (asked, code) {
            (Asked::Bad, "bad_json") => true,
            (Asked::Resume { .. }, "bad_request") => {
                self.proof.clone_from(&self.me);
                self.is_used
            }
            (Asked::Resume { token, .. }, "session_unknown") => {
                self.proof.clone_from(&self.me);
                !self.given.contains_key(token)
            }
            (Asked::Select { seats, .. }, "seats_unavailable") => of(*seats),
            (Asked::Select { release, .. }, "not_held" | "not_owner") => of(*release),
            (Asked::Release { seats, .. }, "not_held" | "not_owner") => of(*seats),
            (Asked::Select { seats, release, .. }, "bad_request") => seats.iter().any(|seat| release.has(seat)),
            (Asked::Select { .. } | Asked::Extend(_), "limit_exceeded" | "hold_expired" | "extend_limit") => true,
            (Asked::Select { .. } | Asked::Extend(_), "persistence_unavailable") => true,
            (Asked::Release { .. } | Asked::ReleaseAll(_), "persistence_unavailable") => true,
            (Asked::Sync(room), "bad_request") => !self.rooms.contains_key(room),
            _ => false,
        };
        assert!(is_right, "{asked:?} is refused with {code} for {conflicts:?}");
    }

    /// Its map is the room after the change that it has seen last.
    pub(crate) fn check_map(&self, room: Room, oracle: &Oracle) {
        let known = &self.rooms[&room];
        let truth = oracle.map(room, known.epoch, known.seq);
        assert_eq!(known.map, truth, "the map of room {room} at {}", known.seq);
    }
}
