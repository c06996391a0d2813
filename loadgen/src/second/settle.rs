//! What can only be judged with what others were told: refusals, and the end of a run.
//!
//! Invariant: what is not proven wrong is not told as wrong. Never here: reading messages.

use super::mine::Asked;
use super::wire::{self, Frame};
use super::{Doubt, Second};
use crate::client::{Ask, Crowd, Restart};
use crate::limits::REFUSALS_KEPT_MAX;
use crate::measure::Code;
use crate::names::{Seat, Who};
use crate::oracle::shown;
use crate::oracle::violation::Kind as Wrong;
use crate::worker::Worker;

/// Members of a room that ask for a fresh snapshot at the end.
const COMPARED_MAX: usize = 64;

impl Second {
    /// Whether the seat is free on the client's own map.
    #[must_use]
    pub fn is_free(&self, who: Who, room: usize, seat: Seat) -> bool {
        let mine = &self.mine[who as usize];
        let map = mine.at.and_then(|(life, seq)| self.rooms[room].lives[life].map(seq));
        map.is_none_or(|map| map.state(seat) == 0) && !mine.cart.contains(&seat)
    }

    /// Whether every listening member of this thread has come to the highest number that any of them saw.
    #[must_use]
    pub fn is_settled(&self, room_of: &[usize]) -> bool {
        self.mine.iter().zip(room_of).filter(|(mine, _)| mine.joined && !mine.deaf).all(|(mine, room)| {
            let lives = &self.rooms[*room].lives;
            mine.awaiting.is_none() && mine.at == Some((mine.life, lives[mine.life].highest))
        })
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

    /// Whether anybody of this thread was told anything of the room.
    #[must_use]
    pub fn knows(&self, room: usize) -> bool {
        !self.rooms[room].lives.is_empty()
    }

    /// Seats of a room that are not free, with their states.
    #[must_use]
    pub fn taken_in(&self, room: usize, seats: u32) -> Vec<(Seat, u8)> {
        let Some(map) = self.rooms[room].lives.last().and_then(|life| life.newest()) else { return Vec::new() };
        (0..seats).map(|seat| (seat, map.state(seat))).filter(|(_, state)| *state != 0).collect()
    }

    /// The client's connection has ended. `restart`: with a server that was killed, so that the last that was
    /// acknowledged may be lost.
    pub(crate) fn away(&mut self, who: Who, held: &[(Seat, u64)], now: u64, restart: Option<Restart>, wall_ms: u64) {
        let mine = &mut self.mine[who as usize];
        let sure = |seat: Seat, since: u64| {
            restart.is_none_or(|restart| restart.must_keep(since, now))
                && !mine.pending.iter().any(|asked| asked.gives_back(seat))
        };
        // What was expected of a connection that ended before it could ask for it is expected of the next one.
        let still = std::mem::take(&mut mine.expected);
        let had = held.iter().filter(|(seat, since)| sure(*seat, *since));
        let had = had.map(|(seat, since)| (*seat, now.saturating_sub(*since) / 1_000_000)).collect();
        if mine.greeted && mine.joined {
            (mine.expected, mine.away_ms) = (had, wall_ms);
        } else {
            mine.expected = still;
        }
        mine.pending.clear();
        (mine.joined, mine.greeted, mine.awaiting) = (false, false, None);
    }
}

impl Crowd {
    /// Somebody of each room asks for a fresh snapshot, which must be what the deltas have added up to.
    pub fn ask_for_snapshots(&mut self, worker: &mut Worker, mine: &[Who], now: u64) {
        let rooms = self.names.rooms();
        let mut asked = vec![0; rooms];
        for &who in mine {
            let room = self.room_of(who);
            let joined = self.second.as_ref().is_some_and(|second| second.client(who).joined);
            if joined && asked[room] < COMPARED_MAX && !self.clients[who as usize].slow {
                asked[room] += 1;
                self.wish(worker, who, super::ask::Wish::Sync, now, now);
            }
        }
    }

    /// Whether a refusal can be true.
    pub(crate) fn judge_refusal(&mut self, who: Who, code: Code, asked: &Asked, frame: &Frame<'_>, payload: &[u8]) {
        let room = self.room_of(who);
        let Some(second) = &self.second else { return };
        let mine = second.client(who);
        let wanted = if asked.ask == Ask::Best { asked.quantity as usize } else { asked.seats.len() };
        let own = |seats: &[Seat]| seats.iter().all(|seat| mine.cart.contains(seat));
        let lets_go = if asked.ask == Ask::Release { &asked.seats } else { &asked.release };
        let is_hold = matches!(asked.ask, Ask::Select | Ask::Best);
        let right = match code {
            Code::SeatsUnavailable => {
                let seats: Vec<&str> = frame.conflicts.iter().map(|conflict| &*conflict.seat_id).collect();
                let seats = wire::seats(&seats, &self.names).unwrap_or_default();
                let named = seats.iter().all(|seat| asked.seats.contains(seat) && !mine.cart.contains(seat));
                let states = frame.conflicts.iter().all(|conflict| (1..=3).contains(&conflict.state));
                let right = asked.ask == Ask::Select && named && states && !seats.is_empty();
                if right {
                    self.doubt(who, room, &seats, asked.since);
                }
                right
            }
            Code::NotHeld | Code::NotOwner if asked.ask == Ask::Extend => mine.cart.is_empty(),
            Code::NotHeld | Code::NotOwner => !own(lets_go) || (asked.ask == Ask::ReleaseAll && mine.cart.is_empty()),
            Code::LimitExceeded => {
                let after = mine.cart.len() + wanted - asked.release.len().min(wanted);
                is_hold && mine.max_seats > 0 && (after > mine.max_seats as usize || !mine.orders.is_empty())
            }
            Code::ExtendLimit => asked.ask == Ask::Extend && mine.extends_left == 0,
            Code::HoldExpired => mine.cart.is_empty(),
            Code::NotEnoughSeats => asked.ask == Ask::Best && frame.free.is_some_and(|free| free < asked.quantity),
            Code::NoAdjacentSeats => {
                asked.ask == Ask::Best && frame.largest_adjacent.is_some_and(|largest| largest < asked.quantity)
            }
            Code::OrphanSeat | Code::SaleNotOpen | Code::SalePaused | Code::SaleClosed => is_hold,
            Code::Overloaded | Code::PersistenceUnavailable | Code::RateLimited => true,
            Code::SeatTaken | Code::Other => false,
        };
        if !right {
            let detail = format!("a refusal that cannot be: {} for {asked:?}", shown(payload));
            self.oracle.tell(Wrong::FalseRefusal, who, asked.seats.first().copied(), detail);
        }
    }

    /// Seats were refused as taken: somebody must have had them between the question and about now.
    fn doubt(&mut self, who: Who, room: usize, seats: &[Seat], since: u64) {
        let Some(second) = &mut self.second else { return };
        let (mine, lives) = (&second.mine[who as usize], &second.rooms[room].lives);
        let Some((life, seq)) = mine.at else { return };
        let known = &lives[life];
        let until = known.highest;
        for &seat in seats {
            let taken = |seq: u64| known.map(seq).is_some_and(|map| map.state(seat) != 0);
            let proven = taken(seq) || taken(since) || known.may_be_taken(seat, since, until);
            if !proven && second.doubts.len() < REFUSALS_KEPT_MAX {
                second.doubts.push(Doubt { who, room, life, seat, since, until });
            }
        }
    }

    /// The end of a run by the second protocol.
    pub(crate) fn settle_second(&mut self, worker: &Worker) {
        let Some(mut second) = self.second.take() else { return };
        for who in 0..crate::num::index32(second.mine.len()) {
            self.settle_one(&second, worker, who);
        }
        for doubt in std::mem::take(&mut second.doubts) {
            let life = &second.rooms[doubt.room].lives[doubt.life];
            if life.may_be_taken(doubt.seat, doubt.since, doubt.until) {
                continue;
            }
            if life.was_skipped(doubt.since, doubt.until) {
                self.oracle.unjudged += 1;
            } else {
                let Doubt { since, until, .. } = doubt;
                let detail = format!("refused as taken, but nobody held it between number {since} and {until}");
                self.oracle.tell(Wrong::FalseRefusal, doubt.who, Some(doubt.seat), detail);
            }
        }
        for room in 0..second.holders.len() {
            for (seat, one, other) in second.holders[room].overlaps() {
                let detail = format!("two carts had it at once: {one:?} and {other:?}");
                self.oracle.tell_in(Wrong::DoubleGrant, room, other.who, Some(seat), detail);
            }
        }
        self.second = Some(second);
    }

    fn settle_one(&mut self, second: &Second, worker: &Worker, who: Who) {
        let mine = second.client(who);
        let (open, slow) = (worker.is_open(who as usize), self.clients[who as usize].slow);
        if !open || slow {
            return;
        }
        if let Some(asked) = mine.pending.front() {
            let detail = format!("never answered: {asked:?}");
            self.oracle.tell(Wrong::Unanswered, who, None, detail);
        }
        if !mine.joined {
            return;
        }
        let lives = &second.rooms[self.room_of(who)].lives;
        let highest = lives[mine.life].highest;
        if mine.life + 1 != lives.len() {
            let detail = "still in an older epoch of the room than others".to_owned();
            self.oracle.tell(Wrong::LostEvent, who, None, detail);
        } else if mine.at != Some((mine.life, highest)) {
            let detail = format!("stands at {:?}, others reached {highest}", mine.at);
            self.oracle.tell(Wrong::LostEvent, who, None, detail);
        } else if let Some(map) = lives[mine.life].map(highest)
            && let Some(seat) = mine.cart.iter().find(|seat| map.state(**seat) != 1)
        {
            let detail = "a seat of the cart is not held on the map".to_owned();
            self.oracle.tell(Wrong::WrongFullState, who, Some(*seat), detail);
        }
    }
}
