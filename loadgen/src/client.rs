//! The clients of one thread: what they asked, what they hold, and the way from a message to what it means for them.
//!
//! Owns: open requests and holds of each client, the thread's [`Oracle`] and [`Measure`]. Invariants: replies are taken
//! in the order of the requests; every message goes through the oracle. Never here: what a client does next.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits::PENDING_MAX;
use crate::measure::{Code, Measure};
use crate::names::{Names, Seat, Who};
use crate::oracle::violation::Kind as Wrong;
use crate::oracle::{Event, Now, Oracle, Reason, What, shown};
use crate::scan::{self, Kind, Message};
use crate::worker::{Lost, Reading, Worker};

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// `join_room`
    Join,
    /// `leave_room`
    Leave,
    /// `select_seat`
    Select,
    /// `release_seat`
    Release,
    /// `ping`
    Ping,
}

impl Ask {
    fn name(self) -> &'static str {
        match self {
            Self::Join => "join_room",
            Self::Leave => "leave_room",
            Self::Select => "select_seat",
            Self::Release => "release_seat",
            Self::Ping => "ping",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Request {
    ask: Ask,
    seat: Seat,
    due: u64,
    /// The number the client had reached when it sent.
    seq: u64,
}

/// What a message means for the client that got it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Nothing of its own.
    Nothing,
    /// It is a member now.
    Joined,
    /// It is no member any more.
    Left,
    /// The seat is its own now.
    Won(Seat),
    /// The seat that it gave back is free.
    Freed(Seat),
    /// Refused.
    Refused(Ask, Seat, Code),
    /// A hold of its own ended without its doing.
    Ended(Seat, Reason),
    /// The answer to a ping.
    Pong,
}

/// One client.
#[derive(Debug, Default)]
pub struct Client {
    /// Seats held by this connection, with the moment of the acknowledgement.
    pub held: Vec<(Seat, u64)>,
    /// Seats that were held when the server went down and must be found again.
    pub expected: Vec<Seat>,
    /// When the present connection was begun.
    pub begun: u64,
    /// May be cut off as too slow.
    pub slow: bool,
    pending: VecDeque<Request>,
}

impl Client {
    /// Whether this connection holds the seat.
    #[must_use]
    pub fn holds(&self, seat: Seat) -> bool {
        self.held.iter().any(|(held, _)| *held == seat)
    }
}

/// The clients of one thread.
#[derive(Debug)]
pub struct Crowd {
    /// Who is right.
    pub oracle: Oracle,
    /// What it took.
    pub measure: Measure,
    /// The clients.
    pub clients: Vec<Client>,
    /// The server sends no `seq`: nothing but counting is possible.
    pub plain: bool,
    /// While the server is being restarted: holds acknowledged so long before a connection ended must be found again.
    pub restarting: Option<u64>,
    /// The names.
    pub names: Arc<Names>,
    /// Events that each client got, for servers without `seq`.
    pub got: Vec<u64>,
    room_of: Vec<usize>,
    wall_offset_ms: u64,
    line: Vec<u8>,
}

impl Crowd {
    /// `room_of[who]` is the room of every client of the run; `mine` are those of this thread.
    #[must_use]
    pub fn new(names: Arc<Names>, room_of: Vec<usize>, mine: &[Who]) -> Self {
        let clients = room_of.iter().map(|_| Client::default()).collect();
        let seats = names.hall.seats();
        Self {
            oracle: Oracle::new(Arc::clone(&names), &room_of, mine),
            measure: Measure::new(seats),
            clients,
            plain: false,
            restarting: None,
            names,
            got: vec![0; room_of.len()],
            room_of,
            wall_offset_ms: crate::clock::wall_ms() - crate::clock::now_ns() / 1_000_000,
            line: Vec::new(),
        }
    }

    /// The room of a client.
    #[must_use]
    pub fn room_of(&self, who: Who) -> usize {
        self.room_of[who as usize]
    }

    /// Wall clock of a monotonic moment.
    #[must_use]
    pub fn wall_ms(&self, now: u64) -> u64 {
        self.wall_offset_ms + now / 1_000_000
    }

    /// Begins to connect a client.
    pub fn connect(&mut self, worker: &mut Worker, who: Who, reading: Reading, now: u64) {
        self.clients[who as usize].begun = now;
        let name = self.names.client(who);
        if let Err(error) = worker.connect(who as usize, &name, reading) {
            self.measure.totals.lost += 1;
            self.oracle.tell(Wrong::ConnectionLost, who, None, format!("could not connect: {error}"));
        }
    }

    /// Sends a request. `false`: not sent, because the client has no open connection or too much unanswered.
    pub fn ask(&mut self, worker: &mut Worker, who: Who, ask: Ask, seat: Seat, due: u64, now: u64) -> bool {
        let client = &mut self.clients[who as usize];
        if !worker.is_open(who as usize) || client.pending.len() >= PENDING_MAX {
            return false;
        }
        client.pending.push_back(Request { ask, seat, due, seq: self.oracle.seq(who) });
        self.write(who, ask, seat, due);
        if matches!(ask, Ask::Select | Ask::Release) {
            self.measure.sent(due, now);
            if ask == Ask::Select {
                self.measure.attempts[seat as usize] += 1;
            }
        }
        worker.send_text(who as usize, &self.line);
        true
    }

    /// Writes the request's text into `line`.
    fn write(&mut self, who: Who, ask: Ask, seat: Seat, due: u64) {
        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(b"{\"type\":\"");
        line.extend_from_slice(ask.name().as_bytes());
        if ask != Ask::Ping {
            line.extend_from_slice(b"\",\"room_id\":\"");
            line.extend_from_slice(self.names.room(self.room_of[who as usize]).as_bytes());
        }
        if matches!(ask, Ask::Select | Ask::Release) {
            line.extend_from_slice(b"\",\"seat_id\":\"");
            self.names.push_seat(line, seat);
        }
        line.push(b'"');
        if ask == Ask::Select {
            // The stamp travels in `name`, which a server may be set to pass on alone.
            line.extend_from_slice(b",\"user_info\":{\"name\":\"g");
            line.extend_from_slice(scan::STAMP);
            line.extend_from_slice(format!("{due:016x}").as_bytes());
            line.extend_from_slice(b"\"}");
        }
        line.push(b'}');
    }

    /// How many requests are unanswered.
    #[must_use]
    pub fn pending(&self, who: Who) -> usize {
        self.clients[who as usize].pending.len()
    }

    /// The connection of a client was ended by us.
    pub fn cut(&mut self, worker: &mut Worker, who: Who, politely: bool) {
        if politely {
            worker.bid_farewell(who as usize)
        } else {
            worker.cut(who as usize)
        }
        self.forget(who, crate::clock::now_ns());
    }

    fn forget(&mut self, who: Who, now: u64) {
        self.oracle.left(who);
        let client = &mut self.clients[who as usize];
        let held = std::mem::take(&mut client.held);
        if let Some(window_ns) = self.restarting {
            let giving_back =
                |seat: Seat| client.pending.iter().any(|request| request.ask == Ask::Release && request.seat == seat);
            let safe =
                held.into_iter().filter(|(seat, since)| since.saturating_add(window_ns) < now && !giving_back(*seat));
            let safe: Vec<_> = safe.collect();
            client.expected.extend(safe.into_iter().map(|(seat, _)| seat));
        }
        client.pending.clear();
    }

    /// The connection of a client ended. `excused`: that was to be expected.
    pub fn lost(&mut self, who: Who, why: &Lost, excused: bool, now: u64) {
        let slow = self.clients[who as usize].slow;
        self.forget(who, now);
        if slow {
            self.measure.totals.slow_closed += 1;
        } else if let Lost::Wrong(what) = why {
            self.oracle.tell(Wrong::BadFraming, who, None, format!("the server sent {what}"));
        } else if !excused {
            self.measure.totals.lost += 1;
            self.oracle.tell(Wrong::ConnectionLost, who, None, format!("{why:?}"));
        }
    }

    /// A message came.
    #[inline]
    pub fn text(&mut self, who: Who, payload: &[u8], now: u64) -> Reply {
        if let Some(known) = self.oracle.recognise(who, payload) {
            let stamp = if known.what == What::Selected { known.stamp } else { 0 };
            self.measure.delivered(stamp, now);
            return Reply::Nothing;
        }
        self.read(who, payload, now)
    }

    fn read(&mut self, who: Who, payload: &[u8], now: u64) -> Reply {
        let message = scan::message(payload);
        if !message.room.is_empty() && message.room != self.names.room(self.room_of(who)).as_bytes() {
            self.oracle.tell(Wrong::Uninvited, who, None, format!("a message of another room: {}", shown(payload)));
            return Reply::Nothing;
        }
        match message.kind {
            Kind::Joined => self.joined(who, &message, payload, now),
            Kind::Left => {
                self.answer(who, Ask::Leave, 0, payload);
                self.oracle.left(who);
                Reply::Left
            }
            Kind::Pong => {
                self.answer(who, Ask::Ping, 0, payload);
                Reply::Pong
            }
            Kind::Selected => self.changed(who, &message, What::Selected, payload, now),
            Kind::Released => self.changed(who, &message, What::Released(reason_of(message.reason)), payload, now),
            Kind::FullState => self.full_state(who, &message, payload, now),
            Kind::Refused => self.refused(who, &message, payload, now),
            Kind::Unknown | Kind::Broken => {
                self.oracle.tell(Wrong::UnknownFrame, who, None, format!("not a message of v1: {}", shown(payload)));
                Reply::Nothing
            }
        }
    }

    /// Takes the oldest request, which `payload` must answer.
    fn answer(&mut self, who: Who, ask: Ask, seat: Seat, payload: &[u8]) -> Option<Request> {
        let pending = &mut self.clients[who as usize].pending;
        let fits = |request: &Request| {
            request.ask == ask && (request.seat == seat || matches!(ask, Ask::Join | Ask::Leave | Ask::Ping))
        };
        if pending.front().is_some_and(fits) {
            return pending.pop_front();
        }
        let found = pending.iter().position(fits).and_then(|index| pending.remove(index));
        let detail = format!("{} is not the reply to the oldest request", shown(payload));
        self.oracle.tell(Wrong::WrongReply, who, None, detail);
        found
    }

    fn joined(&mut self, who: Who, message: &Message<'_>, payload: &[u8], now: u64) -> Reply {
        self.answer(who, Ask::Join, 0, payload);
        match message.seq {
            Some(seq) => self.oracle.joined(who, message.epoch, seq),
            None => self.plain = true,
        }
        self.measure.totals.joins += 1;
        let begun = self.clients[who as usize].begun;
        self.measure.open.saturating_record(now.saturating_sub(begun) / 1_000);
        Reply::Joined
    }

    fn full_state(&mut self, who: Who, message: &Message<'_>, payload: &[u8], now: u64) -> Reply {
        let Some(seq) = message.seq.filter(|_| !self.plain) else { return Reply::Nothing };
        let mut list = Vec::new();
        for object in scan::objects(message.selections) {
            let selection = scan::message(object);
            match self.names.seat_of(selection.seat) {
                Some(seat) => list.push((seat, self.names.who(selection.client))),
                None => {
                    let detail = format!("a full state with a seat that is none: {}", shown(payload));
                    self.oracle.tell(Wrong::WrongFullState, who, None, detail);
                }
            }
        }
        self.adopt(who, &list, now);
        self.oracle.full_state(who, seq, list);
        Reply::Nothing
    }

    /// After a restart: what was held before must be in the first full state.
    fn adopt(&mut self, who: Who, list: &[(Seat, Who)], now: u64) {
        let client = &mut self.clients[who as usize];
        if client.expected.is_empty() && self.restarting.is_none() {
            return;
        }
        client.held = list.iter().filter(|(_, holder)| *holder == who).map(|(seat, _)| (*seat, now)).collect();
        self.measure.totals.adopted += client.held.len() as u64;
        client.expected.retain(|seat| !client.held.iter().any(|(held, _)| held == seat));
    }

    fn changed(&mut self, who: Who, message: &Message<'_>, what: What, payload: &[u8], now: u64) -> Reply {
        self.got[who as usize] += 1;
        let Some(seat) = self.names.seat_of(message.seat) else {
            self.oracle.tell(Wrong::Uninvited, who, None, format!("a seat that is none: {}", shown(payload)));
            return Reply::Nothing;
        };
        let actor = self.names.who(message.client);
        let (reply, request) =
            if actor == who { self.own_change(who, seat, what, payload, now) } else { (Reply::Nothing, None) };
        let own = request.is_some();
        let due = request.map_or(0, |request| request.due);
        let stamp = if own { due } else { scan::stamp(message.user_info).unwrap_or(0) };
        let timed = if what == What::Selected { stamp } else { 0 };
        self.measure.delivered(timed, now);
        if own {
            self.measure.answered(due, now);
        }
        let Some(seq) = message.seq else {
            return reply;
        };
        let deadline_ms = crate::clock::parse_wire_time(message.expires_at).unwrap_or(0);
        let event = Event { seq, seat, who: actor, what, deadline_ms, stamp };
        self.oracle.event(who, event, own, payload, Now { ns: now, wall_ms: self.wall_ms(now) });
        reply
    }

    /// An event about this client's name: the reply to its request, the end of a hold of its, or something that an
    /// earlier connection of the same name did.
    fn own_change(&mut self, who: Who, seat: Seat, what: What, payload: &[u8], now: u64) -> (Reply, Option<Request>) {
        let client = &self.clients[who as usize];
        let ask = if what == What::Selected { Ask::Select } else { Ask::Release };
        let asked = client.pending.iter().any(|request| request.ask == ask && request.seat == seat);
        let holds = client.holds(seat);
        let given_back = matches!(what, What::Released(Reason::Released | Reason::Unsaid));
        match what {
            What::Selected if asked => {
                let request = self.answer(who, ask, seat, payload);
                if !holds {
                    self.clients[who as usize].held.push((seat, now));
                }
                self.measure.totals.won += 1;
                (Reply::Won(seat), request)
            }
            What::Released(_) if asked && holds && given_back => {
                let request = self.answer(who, ask, seat, payload);
                self.clients[who as usize].held.retain(|(held, _)| *held != seat);
                self.measure.totals.freed += 1;
                (Reply::Freed(seat), request)
            }
            What::Released(_) if asked && given_back => {
                let request = self.answer(who, ask, seat, payload);
                self.oracle.tell(
                    Wrong::StrangerRelease,
                    who,
                    Some(seat),
                    "a release of a seat that this connection does not hold was carried out".to_owned(),
                );
                (Reply::Freed(seat), request)
            }
            What::Released(reason) if holds => (self.ended(who, seat, reason), None),
            What::Selected | What::Released(_) => (Reply::Nothing, None),
        }
    }

    fn ended(&mut self, who: Who, seat: Seat, reason: Reason) -> Reply {
        self.clients[who as usize].held.retain(|(held, _)| *held != seat);
        match reason {
            Reason::Released => {
                let detail = "a hold was released although its owner did not ask for it".to_owned();
                self.oracle.tell(Wrong::StrangerRelease, who, Some(seat), detail);
            }
            Reason::Disconnected => {
                let detail = "a hold was released as disconnected while its connection is open".to_owned();
                self.oracle.tell(Wrong::ReleasedWhileConnected, who, Some(seat), detail);
            }
            Reason::Expired | Reason::Unsaid => self.measure.totals.expired += 1,
        }
        Reply::Ended(seat, reason)
    }

    fn refused(&mut self, who: Who, message: &Message<'_>, payload: &[u8], now: u64) -> Reply {
        let code = Code::of(message.code);
        let Some(request) = self.clients[who as usize].pending.pop_front() else {
            self.oracle.tell(Wrong::WrongReply, who, None, format!("a refusal of nothing: {}", shown(payload)));
            return Reply::Nothing;
        };
        let other = (!message.request.is_empty() && message.request != request.ask.name().as_bytes())
            || (!message.seat.is_empty() && self.names.seat_of(message.seat) != Some(request.seat));
        if other {
            self.oracle.tell(
                Wrong::WrongReply,
                who,
                Some(request.seat),
                format!("a refusal of something else: {}", shown(payload)),
            );
        }
        let seat = (request.ask == Ask::Select).then_some(request.seat);
        self.measure.refused(code, seat, now);
        self.measure.answered(request.due, now);
        if code == Code::SeatTaken && !self.plain {
            self.oracle.refused_as_taken(who, request.seat, request.seq);
        }
        Reply::Refused(request.ask, request.seat, code)
    }

    /// The end of a run: every request must have had its reply, and every acknowledged hold must have been found again.
    pub fn settle(&mut self, worker: &Worker) {
        for who in 0..crate::num::index32(self.clients.len()) {
            let client = &self.clients[who as usize];
            let (open, pending, lost) =
                (worker.is_open(who as usize), client.pending.front().copied(), client.expected.clone());
            if let Some(request) = pending.filter(|_| open && !client.slow) {
                let detail = format!("{} of {} was never answered", request.ask.name(), self.names.seat(request.seat));
                self.oracle.tell(Wrong::Unanswered, who, Some(request.seat), detail);
            }
            for seat in lost.into_iter().filter(|_| open) {
                self.oracle.tell(
                    Wrong::LostAcknowledgement,
                    who,
                    Some(seat),
                    "a hold that was acknowledged is gone after the restart".to_owned(),
                );
            }
        }
        if !self.plain {
            self.oracle.settle();
        }
    }
}

fn reason_of(name: &[u8]) -> Reason {
    match name {
        b"released" => Reason::Released,
        b"expired" => Reason::Expired,
        b"disconnected" => Reason::Disconnected,
        _ => Reason::Unsaid,
    }
}
