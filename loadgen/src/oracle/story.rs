//! How a finding is told: with the seat's history as the room knows it, and what the client was told last.

use super::Oracle;
use super::life::Fault;
use super::told::Told;
use super::violation::{Kind, Violation};
use crate::names::{FREE, Seat, Who};

impl Oracle {
    pub(super) fn blame(&mut self, who: Who, room: usize, faults: &mut Vec<Fault>) {
        for fault in faults.drain(..) {
            let teller = if who == FREE { fault.who } else { who };
            self.tell_in(fault.kind, room, teller, fault.seat, fault.detail);
        }
    }

    /// Writes down a finding about a client.
    pub fn tell(&mut self, kind: Kind, who: Who, seat: Option<Seat>, detail: String) {
        let room = self.members[who as usize].room;
        self.tell_in(kind, room, who, seat, detail);
    }

    /// Writes down a finding about a room.
    pub fn tell_in(&mut self, kind: Kind, room: usize, who: Who, seat: Option<Seat>, detail: String) {
        if !self.findings.wants_detail(kind) {
            return self.findings.count(kind, 1);
        }
        let (room_history, client_history) = (self.room_history(room, seat), self.client_history(who));
        let violation = Violation {
            kind,
            room: self.names.room(room).to_owned(),
            seat: seat.map(|seat| self.names.seat(seat)),
            client: (who != FREE).then(|| self.names.client(who)),
            detail,
            room_history,
            client_history,
        };
        self.findings.tell(violation);
    }

    fn room_history(&self, room: usize, seat: Option<Seat>) -> Vec<String> {
        let Some((life, seat)) = self.rooms[room].lives.last().zip(seat) else { return Vec::new() };
        let line = |(seq, who): &(u64, Who)| {
            format!(
                "seq {seq}: {}",
                if *who == FREE { "free".to_owned() } else { format!("held by {}", self.names.client(*who)) }
            )
        };
        life.history(seat).iter().map(line).collect()
    }

    fn client_history(&self, who: Who) -> Vec<String> {
        let Some(member) = self.members.get(who as usize) else { return Vec::new() };
        let Some(life) = self.life(who) else { return Vec::new() };
        let line = |(told, seq): (Told, u64)| {
            let event = life.entry(seq).map(|entry| entry.event).filter(|_| matches!(told, Told::Event | Told::Own));
            let what = event.map(|event| {
                let (seat, who) = (self.names.seat(event.seat), self.names.client(event.who));
                format!(": {seat} {:?} {who}", event.what)
            });
            format!("{told:?} seq {seq}{}", what.unwrap_or_default())
        };
        member.told.iter().map(line).collect()
    }
}

/// A payload in an error text.
#[must_use]
pub fn shown(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(300)]).into_owned();
    if payload.len() > 300 { text + "…" } else { text }
}
