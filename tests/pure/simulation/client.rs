//! A client: it keeps its map by the events it gets, and believes nothing that it has not read.
//!
//! It panics when a reply does not answer its first open request, when a room's events have a hole that no full state
//! mends, or when its map is not what the room was after the change that it has seen last.

use std::collections::{BTreeMap, VecDeque};

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
    /// The code of the server's close frame: nothing may follow it.
    pub(crate) closed: Option<u16>,
}

impl Client {
    pub(crate) fn new(name: Name) -> Self {
        let (open, rooms, inbox) = Default::default();
        Self { name, pipe: None, pace: Pace::Fast, open, rooms, inbox, closed: None }
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
        self.closed = None;
    }

    /// Reads one message. `lagged`: the server may have dropped events of this connection.
    pub(crate) fn read(&mut self, message: Message, oracle: &Oracle, lagged: bool) {
        assert_eq!(self.closed, None, "{message:?} behind a close frame");
        match message {
            Message::Joined { room, seq, epoch } => {
                assert_eq!(self.answered(), Request::Join(room));
                if let Some(known) = self.rooms.get(&room) {
                    assert_eq!(known.epoch, epoch, "a life ends under a member");
                }
                // The full state follows at once, unless events pass this connection by until it comes.
                let is_torn = lagged && !oracle.state(room, epoch, seq).is_some_and(SeatMap::is_empty);
                self.rooms.insert(room, Known { epoch, seq, seats: SeatMap::new(), is_torn });
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
                self.selected((room, seat), seq, seen, own, oracle, lagged)
            }
            Message::Released { room, seat, seq, reason } => {
                let own = self.is_own_release(room, seq, &reason, oracle);
                if own {
                    assert_eq!(self.answered(), Request::Release(room, seat));
                }
                let is_told_alone = own || reason == "expired";
                self.event(room, seq, is_told_alone, (oracle, lagged), |seats| {
                    assert!(seats.remove(&seat).is_some(), "seat {seat} is released twice");
                });
            }
            Message::Error { code, request, room, seat } => self.refused(&code, request.as_deref(), room, seat),
            Message::Pong => assert_eq!(self.answered(), Request::Ping),
            Message::Close(code) => self.closed = Some(code),
        }
    }

    /// The request that a reply answers: always the first that is open.
    fn answered(&mut self) -> Request {
        self.open.pop_front().expect("a reply without a request")
    }

    /// Whether this release answers a request of this client: the frames for its owner and for others are the same.
    fn is_own_release(&self, room: Room, seq: u64, reason: &str, oracle: &Oracle) -> bool {
        let Some(known) = self.rooms.get(&room) else { return reason == "released" };
        reason == "released" && oracle.answers(room, known.epoch, seq) == self.pipe
    }

    fn selected(&mut self, at: (Room, Seat), seq: u64, seen: Seen, own: bool, oracle: &Oracle, lagged: bool) {
        let (room, seat) = at;
        let mut seen = seen;
        if own {
            let Request::Select(of, wanted, tag) = self.answered() else { panic!("no select was open") };
            assert_eq!((of, wanted), at);
            seen.user_info = names::user_info(tag);
            if self.rooms.get(&room).is_none_or(|known| seq <= known.seq) {
                return self.selected_again(at, seen);
            }
        }
        self.event(room, seq, own, (oracle, lagged), |seats| {
            assert!(seats.insert(seat, seen).is_none(), "seat {seat} is selected twice");
        });
    }

    /// It held the seat already, or does not look at the room.
    fn selected_again(&mut self, at: (Room, Seat), seen: Seen) {
        if let Some(known) = self.rooms.get(&at.0).filter(|known| !known.is_torn) {
            assert!(known.seats.get(&at.1).is_none_or(|held| held.expires_at == seen.expires_at));
        }
    }

    fn refused(&mut self, code: &str, request: Option<&str>, room: Option<Room>, seat: Option<Seat>) {
        let (name, of) = match self.answered() {
            Request::Bad => return assert_eq!(code, "bad_json"),
            Request::Select(room, seat, _) => ("select_seat", (Some(room), Some(seat))),
            Request::Release(room, seat) => ("release_seat", (Some(room), Some(seat))),
            other @ (Request::Join(_) | Request::Leave(_) | Request::Ping) => panic!("{other:?} is refused"),
        };
        assert_eq!((request, (room, seat)), (Some(name), of));
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
