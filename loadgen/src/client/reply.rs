//! From a message to what it means for the client that got it.

use super::Crowd;
use super::ask::{Ask, Request};
use crate::measure::Code;
use crate::names::{Seat, Who};
use crate::oracle::violation::Kind as Wrong;
use crate::oracle::{Event, Now, Reason, What, shown};
use crate::scan::{self, Kind, Message};

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

impl Crowd {
    /// A message came.
    #[inline]
    pub fn text(&mut self, who: Who, payload: &[u8], now: u64) -> Reply {
        if self.second.is_some() {
            return self.second_text(who, payload, now);
        }
        if let Some(known) = self.oracle.recognise(who, payload) {
            self.delivered(who, known.what, known.stamp, now);
            return Reply::Nothing;
        }
        self.read(who, payload, now)
    }

    /// Counts an event. Selects are timed, but not at readers that are slow by design: they would time themselves.
    #[inline]
    fn delivered(&mut self, who: Who, what: What, stamp: u64, now: u64) {
        let client = &self.clients[who as usize];
        let timed = what == What::Selected && !client.slow;
        self.measure.delivered(if timed { stamp } else { 0 }, client.joined, now);
    }

    fn read(&mut self, who: Who, payload: &[u8], now: u64) -> Reply {
        if let Some(seen) = self.seen.find(payload).filter(|seen| seen.room == self.room_of(who)) {
            let (seq, list) = (seen.seq, seen.list.clone());
            return self.told_all(who, seq, list, now);
        }
        let message = scan::message(payload);
        if !message.room.is_empty() && message.room != self.names.room(self.room_of(who)).as_bytes() {
            self.oracle.tell(Wrong::Uninvited, who, None, format!("a message of another room: {}", shown(payload)));
            return Reply::Nothing;
        }
        if !matches!(message.kind, Kind::Joined | Kind::FullState) {
            self.oracle.resolve(who);
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
        let client = &mut self.clients[who as usize];
        client.joined = now;
        self.measure.open.saturating_record(now.saturating_sub(client.begun) / 1_000);
        Reply::Joined
    }

    fn full_state(&mut self, who: Who, message: &Message<'_>, payload: &[u8], now: u64) -> Reply {
        let Some(seq) = message.seq.filter(|_| !self.plain) else { return Reply::Nothing };
        let (mut list, mut whole) = (Vec::new(), true);
        for object in scan::objects(message.selections) {
            let selection = scan::message(object);
            match self.names.seat_of(selection.seat) {
                Some(seat) => list.push((seat, self.names.who(selection.client))),
                None => {
                    whole = false;
                    let detail = format!("a full state with a seat that is none: {}", shown(payload));
                    self.oracle.tell(Wrong::WrongFullState, who, None, detail);
                }
            }
        }
        if whole {
            self.seen.keep(payload, self.room_of(who), seq, &list);
        }
        self.told_all(who, seq, list, now)
    }

    /// A full state came.
    fn told_all(&mut self, who: Who, seq: u64, list: Vec<(Seat, Who)>, now: u64) -> Reply {
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
        let Some(seat) = self.names.seat_of(message.seat) else {
            self.oracle.tell(Wrong::Uninvited, who, None, format!("a seat that is none: {}", shown(payload)));
            return Reply::Nothing;
        };
        let actor = self.names.who(message.client);
        // A select of a seat that one holds already is answered, but is no event.
        let again = actor == who && what == What::Selected && self.clients[who as usize].holds(seat);
        self.got[who as usize] += u64::from(!again);
        let (reply, request) =
            if actor == who { self.own_change(who, seat, what, payload, now) } else { (Reply::Nothing, None) };
        let own = request.is_some();
        let due = request.map_or(0, |request| request.due);
        let stamp = if own { due } else { scan::stamp(message.user_info).unwrap_or(0) };
        self.delivered(who, what, stamp, now);
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
}

fn reason_of(name: &[u8]) -> Reason {
    match name {
        b"released" => Reason::Released,
        b"expired" => Reason::Expired,
        b"disconnected" => Reason::Disconnected,
        _ => Reason::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Ask, Crowd, Reply, Request};
    use crate::names::{Hall, Names};

    const MS: u64 = 1_000_000;

    /// An event of somebody else, whose command was due at `due_ms`.
    fn selected(seq: u64, due_ms: u64) -> String {
        format!(
            r#"{{"type":"seat_selected","seat_id":"1-1-{seq}","room_id":"tr0","client_id":"tc1","seq":{seq},"epoch":"e","user_info":{{"name":"g@@{:016x}"}}}}"#,
            due_ms * MS
        )
    }

    #[test]
    fn what_is_older_than_a_join_is_no_news() {
        let names = Arc::new(Names::new("t", 1, Hall { blocks: 1, rows: 1, row_seats: 9 }));
        let mut crowd = Crowd::new(names, vec![0, 0], &[0, 1]);
        crowd.measure.set_window(0, 10_000 * MS);
        crowd.clients[0].pending.push_back(Request { ask: Ask::Join, seat: 0, due: 900 * MS, seq: 0 });
        let joined = br#"{"type":"room_joined","room_id":"tr0","client_id":"tc0","seq":0,"epoch":"e"}"#;
        assert_eq!(crowd.text(0, joined, 1_000 * MS), Reply::Joined);
        // Two that happened before, the second while the join was under way; then one that is news, and one that is
        // late.
        for (seq, due_ms, at_ms) in [(1, 200, 1_001), (2, 950, 1_001), (3, 1_000, 1_030), (4, 1_100, 1_900)] {
            crowd.text(0, selected(seq, due_ms).as_bytes(), at_ms * MS);
        }
        assert_eq!(crowd.oracle.findings.total(), 0);
        let measure = &crowd.measure;
        assert_eq!((measure.totals.deliveries, measure.totals.caught_up), (4, 2));
        let times = |histogram: &hdrhistogram::Histogram<u64>| {
            (histogram.len(), (histogram.min() + 500) / 1_000, (histogram.max() + 500) / 1_000)
        };
        assert_eq!(times(&measure.delivery), (2, 30, 800));
        assert_eq!(times(&measure.catching_up), (2, 51, 801));
        let shown: u64 = measure.slices.iter().map(|slice| slice.delivery.len()).sum();
        assert_eq!(shown, 2, "the curve over time shows news alone");
    }
}
