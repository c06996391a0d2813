//! A client: it keeps its map by the events it gets, and believes nothing that it has not read.
//!
//! It panics when a reply does not answer its first open request, when a room's events have a hole that no full state
//! mends, or when its map is not what the room was after the change that it has seen last.

use std::collections::{BTreeMap, VecDeque};

use butaca::engine::command::{ReleaseReason, RequestType};
use butaca::engine::ids::Epoch;

use super::frames::{Message, Name, Request, Room, Seat, SeatMap, Seen};
use super::names;
use super::oracle::Oracle;

/// How a client reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    Fast,
    Slow,
    Never,
}

/// What a client knows of a room that it looks at.
pub(crate) struct Known {
    pub(crate) epoch: Epoch,
    pub(crate) seq: u64,
    seats: SeatMap,
    /// Events are missing; a full state has to come.
    pub(crate) is_torn: bool,
}

pub(crate) struct Client {
    pub(crate) name: Name,
    /// Its socket, while it has one.
    pub(crate) pipe: Option<usize>,
    pub(crate) pace: Pace,
    /// Requests that are not answered.
    pub(crate) open: VecDeque<Request>,
    pub(crate) rooms: BTreeMap<Room, Known>,
    pub(crate) inbox: Vec<u8>,
}

impl Client {
    pub(crate) fn new(name: Name) -> Self {
        let (open, rooms, inbox) = Default::default();
        Self { name, pipe: None, pace: Pace::Fast, open, rooms, inbox }
    }

    /// A new socket knows nothing of what an old one knew.
    pub(crate) fn connect(&mut self, pipe: usize, pace: Pace) {
        self.disconnect();
        (self.pipe, self.pace) = (Some(pipe), pace);
    }

    pub(crate) fn disconnect(&mut self) {
        self.pipe = None;
        self.open.clear();
        self.rooms.clear();
        self.inbox.clear();
    }

    /// Reads one message. `lagged`: the server has dropped events of this connection.
    pub(crate) fn read(&mut self, message: Message, oracle: &Oracle, lagged: bool) {
        match message {
            Message::Joined { room, seq, epoch } => {
                assert_eq!(self.answered(), Request::Join(room));
                if let Some(known) = self.rooms.get(&room) {
                    assert_eq!(known.epoch, epoch, "a life ends under a member");
                    assert!(known.seq == seq || (lagged && known.seq < seq), "joined again with a hole");
                }
                let known = Known { epoch, seq, seats: SeatMap::new(), is_torn: false };
                self.rooms.insert(room, known);
            }
            Message::State { room, seq, epoch, seats } => {
                let known = self.rooms.get_mut(&room).expect("a member gets the full state");
                assert!(known.epoch == epoch && known.seq <= seq, "an old state comes after newer events");
                *known = Known { epoch, seq, seats, is_torn: false };
                self.check_map(room, oracle);
            }
            Message::Left { room } => {
                assert_eq!(self.answered(), Request::Leave(room));
                self.rooms.remove(&room);
            }
            Message::Selected { room, seat, seq, seen, own } => {
                let mut seen = seen;
                if own {
                    let Request::Select(of, wanted, tag) = self.answered() else { panic!("no select was open") };
                    assert_eq!((of, wanted), (room, seat));
                    seen.user_info = names::user_info(tag);
                }
                self.event(room, seq, own, (oracle, lagged), |seats| {
                    assert!(seats.insert(seat, seen).is_none(), "seat {seat} is selected twice");
                });
            }
            Message::Released { room, seat, seq, reason, own } => {
                if own && reason == ReleaseReason::Released {
                    assert_eq!(self.answered(), Request::Release(room, seat));
                }
                self.event(room, seq, own, (oracle, lagged), |seats| {
                    assert!(seats.remove(&seat).is_some(), "seat {seat} is released twice");
                });
            }
            Message::Again { room, seat, seq, expires_at } => self.selected_again((room, seat), seq, expires_at),
            Message::Error { request, room, seat, .. } => self.refused(request, room, seat),
            Message::Pong => assert_eq!(self.answered(), Request::Ping),
        }
    }

    /// The request that a reply answers: always the first that is open.
    fn answered(&mut self) -> Request {
        self.open.pop_front().expect("a reply without a request")
    }

    fn refused(&mut self, request: RequestType, room: Room, seat: Option<Seat>) {
        let of = self.answered();
        assert_eq!((of.request_type(), of.room()), (request, Some(room)));
        let (Request::Select(_, own, _) | Request::Release(_, own)) = of else { panic!("{of:?} is refused") };
        assert_eq!(Some(own), seat);
    }

    fn selected_again(&mut self, at: (Room, Seat), seq: u64, expires_at: butaca::engine::time::WallMillis) {
        let request = self.answered();
        assert!(matches!(request, Request::Select(room, seat, _) if (room, seat) == at));
        if let Some(known) = self.rooms.get(&at.0).filter(|known| !known.is_torn) {
            assert!(seq <= known.seq, "again, with a change that it has not seen");
            assert!(known.seats.get(&at.1).is_none_or(|seen| seen.expires_at == expires_at));
        }
    }

    fn event(&mut self, room: Room, seq: u64, own: bool, at: (&Oracle, bool), apply: impl FnOnce(&mut SeatMap)) {
        let (oracle, lagged) = at;
        let Some(known) = self.rooms.get_mut(&room) else {
            assert!(own, "an event of room {room}, at which it does not look");
            return;
        };
        assert!(seq > known.seq, "room {room} goes back to {seq} from {}", known.seq);
        if seq > known.seq + 1 || known.is_torn {
            assert!(lagged, "a hole in room {room}: {seq} after {}", known.seq);
            known.is_torn = true;
            known.seq = seq;
            return;
        }
        self.check_map(room, oracle);
        let known = self.rooms.get_mut(&room).expect("it is there");
        apply(&mut known.seats);
        known.seq = seq;
        self.check_map(room, oracle);
    }

    /// Its map is the room after the change that it has seen last.
    pub(crate) fn check_map(&self, room: Room, oracle: &Oracle) {
        let known = &self.rooms[&room];
        let truth = oracle.state(room, known.epoch, known.seq);
        assert_eq!(Some(&known.seats), truth, "the map of room {room} at {}", known.seq);
    }
}

/// What a client is told of a seat that it has selected itself.
pub(crate) fn own_seen(client: Name, expires_at: butaca::engine::time::WallMillis) -> Seen {
    Seen { client, user_info: String::new(), expires_at }
}
