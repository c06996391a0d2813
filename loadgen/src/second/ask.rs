//! What a client can ask for in the second protocol.
//!
//! Invariant: each request has a number of its own, which its answer must name. Never here: answers.

use super::mine::Asked;
use super::wire;
use crate::client::{Ask, Crowd};
use crate::limits::PENDING_MAX;
use crate::names::{Seat, Who};
use crate::worker::Worker;

/// A request.
#[derive(Clone, Debug)]
pub enum Wish {
    /// `resume` with the token of before, naming the client's room.
    Resume,
    /// `join_room`, from where the client stood.
    Join,
    /// `leave_room`
    Leave,
    /// `select_seats`, giving some back in the same step.
    Hold {
        /// The seats.
        seats: Vec<Seat>,
        /// What is given back for them.
        release: Vec<Seat>,
    },
    /// `select_best` of so many, next to each other.
    Best(u32),
    /// `release_seats`
    Release(Vec<Seat>),
    /// The same for the whole cart.
    ReleaseAll,
    /// `extend_hold`
    Extend,
    /// `sync`
    Sync,
    /// `ping`
    Ping,
}

impl Wish {
    /// The same of the first protocol's words.
    #[must_use]
    pub fn of(ask: Ask, seat: Seat) -> Self {
        match ask {
            Ask::Resume => Self::Resume,
            Ask::Join => Self::Join,
            Ask::Leave => Self::Leave,
            Ask::Select | Ask::Best => Self::Hold { seats: vec![seat], release: Vec::new() },
            Ask::Release => Self::Release(vec![seat]),
            Ask::ReleaseAll => Self::ReleaseAll,
            Ask::Extend => Self::Extend,
            Ask::Sync => Self::Sync,
            Ask::Ping => Self::Ping,
        }
    }

    fn ask(&self) -> Ask {
        match self {
            Self::Resume => Ask::Resume,
            Self::Join => Ask::Join,
            Self::Leave => Ask::Leave,
            Self::Hold { .. } => Ask::Select,
            Self::Best(_) => Ask::Best,
            Self::Release(_) => Ask::Release,
            Self::ReleaseAll => Ask::ReleaseAll,
            Self::Extend => Ask::Extend,
            Self::Sync => Ask::Sync,
            Self::Ping => Ask::Ping,
        }
    }
}

impl Crowd {
    /// The connection of a client is open: it goes on as its session where it has one, and joins its room.
    pub fn enter(&mut self, worker: &mut Worker, who: Who, now: u64) {
        let goes_on = self.second.as_ref().is_some_and(|second| !second.client(who).token.is_empty());
        if goes_on {
            self.wish(worker, who, Wish::Resume, now, now);
        }
        self.ask(worker, who, Ask::Join, 0, now, now);
    }

    /// Sends a request of the second protocol. `false`: not sent, because the client has no open connection or too much
    /// unanswered.
    ///
    /// # Panics
    /// The run speaks the first protocol.
    pub fn wish(&mut self, worker: &mut Worker, who: Who, wish: Wish, due: u64, now: u64) -> bool {
        let room = self.room_of(who);
        let second = self.second.as_mut().expect("the run speaks the second protocol");
        let mine = &mut second.mine[who as usize];
        if !worker.is_open(who as usize) || mine.pending.len() >= PENDING_MAX {
            return false;
        }
        let ask = wish.ask();
        mine.last_id += 1;
        let line = &mut self.line;
        wire::begin(line, ask.second_name(), mine.last_id);
        let room_name = self.names.room(room);
        if ask == Ask::Resume {
            wire::text(line, "session_token", &mine.token);
            wire::bare(line, "rooms", format_args!("[\"{room_name}\"]"));
        } else if ask != Ask::Ping {
            wire::text(line, "room_id", room_name);
        }
        if matches!(ask, Ask::Join | Ask::Sync) {
            wire::bare(line, "packed", true);
        }
        if let (Wish::Join, Some((life, seq))) = (&wish, mine.at) {
            let epoch = &second.rooms[room].lives[life].epoch;
            wire::bare(line, "since", format_args!(r#"{{"epoch":"{epoch}","seq":{seq}}}"#));
        }
        let since = mine.seq();
        let mut asked =
            Asked { id: mine.last_id, ask, seats: Vec::new(), release: Vec::new(), quantity: 0, due, since };
        match wish {
            Wish::Hold { seats, release } => {
                wire::seat_list(line, "seats", &self.names, &seats);
                if !release.is_empty() {
                    wire::seat_list(line, "release", &self.names, &release);
                }
                wire::stamp(line, due);
                (asked.seats, asked.release) = (seats, release);
            }
            Wish::Best(quantity) => {
                wire::bare(line, "quantity", quantity);
                asked.quantity = quantity;
            }
            Wish::Release(seats) => {
                wire::seat_list(line, "seats", &self.names, &seats);
                asked.seats = seats;
            }
            Wish::ReleaseAll => wire::bare(line, "all", true),
            Wish::Join => mine.since = mine.at,
            Wish::Resume | Wish::Leave | Wish::Extend | Wish::Sync | Wish::Ping => {}
        }
        wire::end(line);
        if ask.is_command() {
            self.measure.sent(due, now);
            if ask == Ask::Select {
                asked.seats.iter().for_each(|seat| self.measure.attempts[*seat as usize] += 1);
            }
        }
        mine.pending.push_back(asked);
        worker.send_text(who as usize, &self.line);
        true
    }
}
