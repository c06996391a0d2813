//! From a message of the second protocol to what it means for the client that got it.
//!
//! Invariants: answers come in the order of the requests and name them; every map is compared with what others were
//! told. Never here: carts (`carts`), what a client does next.

use super::Second;
use super::map::Map;
use super::mine::Asked;
use super::rooms::Life;
use super::wire::{self, Frame};
use crate::client::{Ask, Crowd, Reply};
use crate::names::{Seat, Who};
use crate::oracle::shown;
use crate::oracle::violation::Kind as Wrong;

/// A cart must be found again when its owner comes back so much before the grace is over.
const GRACE_MARGIN_MS: u64 = 500;

impl Crowd {
    pub(super) fn second(&mut self) -> &mut Second {
        self.second.as_mut().expect("the run speaks the second protocol")
    }

    /// A message came.
    pub(crate) fn second_text(&mut self, who: Who, payload: &[u8], now: u64) -> Reply {
        let room = self.room_of(who);
        let second = self.second();
        let mine = &second.mine[who as usize];
        if let (true, Some((life, _))) = (mine.joined && payload.starts_with(b"{\"type\":\"delta\""), mine.at)
            && let Some(index) = second.rooms[room].lives[life].find(payload)
        {
            return self.delta(who, life, index, payload, now);
        }
        let Some(frame) = wire::frame(payload) else {
            self.wrong(Wrong::UnknownFrame, who, None, "not a message", payload);
            return Reply::Nothing;
        };
        if frame.room_id.as_ref().is_some_and(|name| **name != *self.names.room(room)) {
            self.wrong(Wrong::Uninvited, who, None, "a message of another room", payload);
            return Reply::Nothing;
        }
        let greeted = self.second().mine[who as usize].greeted;
        if !greeted && frame.kind != "hello" {
            self.wrong(Wrong::WrongReply, who, None, "something before hello", payload);
        }
        self.second().mine[who as usize].note(format!("{} {:?}", frame.kind, frame.seq.or(frame.to)));
        match &*frame.kind {
            "hello" => self.hello(who, &frame, payload, now),
            "room_joined" => self.room_joined(who, &frame, payload),
            "snapshot" => self.snapshot(who, &frame, payload, now),
            "delta" => self.new_delta(who, &frame, payload, now),
            "seats_held" => self.seats_held(who, &frame, payload, now),
            "seats_released" => self.seats_released(who, &frame, payload, now),
            "hold_extended" => self.hold_extended(who, &frame, payload, now),
            "cart" => self.cart_changed(who, &frame, payload, now),
            "error" => self.second_refused(who, &frame, payload, now),
            "pong" => self.take(who, &[Ask::Ping], &frame, payload).map_or(Reply::Nothing, |_| Reply::Pong),
            "room_left" => {
                self.take(who, &[Ask::Leave], &frame, payload);
                self.second().mine[who as usize].joined = false;
                Reply::Left
            }
            "hold_expiring" => {
                if let Some(cart) = &frame.cart {
                    self.cart_told(who, cart, None, payload, now);
                }
                Reply::Nothing
            }
            "room_state" | "goaway" => Reply::Nothing,
            _ => {
                self.wrong(Wrong::UnknownFrame, who, None, "not a message of v2", payload);
                Reply::Nothing
            }
        }
    }

    pub(super) fn wrong(&mut self, kind: Wrong, who: Who, seat: Option<Seat>, what: &str, payload: &[u8]) {
        let story = self.second().mine[who as usize].story.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
        self.oracle.tell(kind, who, seat, format!("{what}: {} (before: {story})", shown(payload)));
    }

    /// Takes the oldest request, which the message must answer.
    pub(super) fn take(&mut self, who: Who, asks: &[Ask], frame: &Frame<'_>, payload: &[u8]) -> Option<Asked> {
        let pending = &mut self.second().mine[who as usize].pending;
        let fits = pending.front().is_some_and(|asked| Some(asked.id) == frame.id && asks.contains(&asked.ask));
        if fits {
            return pending.pop_front();
        }
        let next = pending.front().map(|asked| (asked.id, asked.ask));
        self.wrong(Wrong::WrongReply, who, None, &format!("an answer to something else than {next:?}"), payload);
        None
    }

    fn hello(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let wall_ms = self.wall_ms(now);
        let mine = &mut self.second().mine[who as usize];
        let first = !std::mem::replace(&mut mine.greeted, true);
        let (Some(id), Some(token)) = (&frame.session_id, &frame.session_token) else {
            self.wrong(Wrong::WrongReply, who, None, "a hello without a session", payload);
            return Reply::Nothing;
        };
        if first {
            if frame.resumed || frame.id.is_some() || !frame.carts.is_empty() {
                self.wrong(Wrong::WrongReply, who, None, "the first hello goes on as a session", payload);
            }
            let goes_on = self.second().mine[who as usize].pending.iter().any(|asked| asked.ask == Ask::Resume);
            let mine = &mut self.second().mine[who as usize];
            mine.grace_ms = frame.grace_ms.unwrap_or(0);
            if goes_on {
                mine.fresh = (id.clone(), token.clone());
            } else {
                (mine.session_id, mine.token) = (id.clone(), token.clone());
            }
            return Reply::Nothing;
        }
        self.take(who, &[Ask::Resume], frame, payload);
        self.second().resumed += 1;
        let mine = &mut self.second().mine[who as usize];
        mine.token = token.clone();
        let expected = std::mem::take(&mut mine.expected);
        let (other, away_ms, grace_ms) = (mine.session_id != *id || !frame.resumed, mine.away_ms, mine.grace_ms);
        let deadline_ms = mine.deadline_ms;
        if other {
            self.wrong(Wrong::WrongReply, who, None, "it goes on as another session", payload);
        }
        let Some(found) = frame.carts.first() else {
            self.wrong(Wrong::WrongReply, who, None, "a session goes on without the cart of the room", payload);
            return Reply::Nothing;
        };
        self.cart_told(who, &found.cart, None, payload, now);
        let in_time = wall_ms + GRACE_MARGIN_MS < away_ms + grace_ms && wall_ms + GRACE_MARGIN_MS < deadline_ms;
        let mine = &self.second().mine[who as usize];
        let lost = expected.into_iter().find(|(seat, _)| !mine.cart.contains(seat));
        let kept = mine.cart.len() as u64;
        self.measure.totals.adopted += kept;
        if let Some((seat, age_ms)) = lost.filter(|_| in_time) {
            let gone_ms = wall_ms.saturating_sub(away_ms);
            let what = format!("a cart was lost, told {age_ms} ms before its connection ended, {gone_ms} ms ago");
            self.wrong(Wrong::LostAcknowledgement, who, Some(seat), &what, payload);
        }
        Reply::Nothing
    }

    fn room_joined(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8]) -> Reply {
        let (Some(epoch), Some(seq)) = (&frame.epoch, frame.seq) else {
            self.wrong(Wrong::WrongReply, who, None, "room_joined without a position", payload);
            return Reply::Nothing;
        };
        // Without a number it is a room that has another layout now.
        let renewed = frame.id.is_none();
        if !renewed {
            self.take(who, &[Ask::Join], frame, payload);
        }
        let (room, seats) = (self.room_of(who), self.names.seats());
        let second = self.second();
        let (lives, mine) = (&mut second.rooms[room].lives, &mut second.mine[who as usize]);
        let life = lives.iter().position(|life| *life.epoch == **epoch).unwrap_or(lives.len());
        if life == lives.len() {
            lives.push(Life::new(epoch, seats));
        }
        lives[life].highest = lives[life].highest.max(seq);
        (mine.joined, mine.awaiting, mine.life) = (true, Some(seq), life);
        mine.max_seats = frame.max_seats.unwrap_or(0);
        mine.has_layout = frame.layout.is_some();
        mine.since = mine.since.filter(|(old, _)| *old == life && !renewed);
        if let Some((old, seq)) = mine.at.filter(|(old, _)| *old != life) {
            lives[old].leave(seq);
            mine.at = None;
        }
        Reply::Nothing
    }

    /// The client comes to a number whose map is known.
    fn stand_at(&mut self, who: Who, life: usize, seq: u64) {
        let room = self.room_of(who);
        let second = self.second();
        let lives = &mut second.rooms[room].lives;
        lives[life].enter(seq);
        if let Some((old, before)) = second.mine[who as usize].at.replace((life, seq)) {
            lives[old].leave(before);
        }
    }

    fn joined_now(&mut self, who: Who, now: u64) -> Reply {
        self.measure.totals.joins += 1;
        let client = &mut self.clients[who as usize];
        client.joined = now;
        self.measure.open.saturating_record(now.saturating_sub(client.begun) / 1_000);
        Reply::Joined
    }

    fn snapshot(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let (room, life) = (self.room_of(who), self.second().mine[who as usize].life);
        let map = match (&frame.packed, &frame.states, frame.seats) {
            (Some(packed), ..) => Map::of_packed(packed, self.names.seats()),
            (None, Some(states), _) => Map::of_states(states, self.names.seats()),
            (None, None, Some(list)) => wire::states(list, &self.names).map(|list| {
                let mut map = Map::free(self.names.seats());
                list.iter().for_each(|&(seat, state)| map.set(seat, state));
                map
            }),
            (None, None, None) => None,
        };
        let (Some(map), Some(seq), Some(cart)) = (map, frame.seq, &frame.cart) else {
            self.wrong(Wrong::WrongFullState, who, None, "a snapshot that is none", payload);
            return Reply::Nothing;
        };
        if frame.id.is_some() {
            self.take(who, &[Ask::Sync], frame, payload);
            self.second().compared += 1;
        }
        let second = self.second();
        let mine = &mut second.mine[who as usize];
        let awaited = mine.awaiting.take();
        second.resyncs += u64::from(frame.id.is_none() && awaited.is_none());
        let before = mine.at.filter(|(old, _)| *old == life).map_or(0, |(_, seq)| seq);
        let (same_epoch, joined) =
            (frame.epoch.as_deref() == Some(&*second.rooms[room].lives[life].epoch), mine.joined);
        if !joined || !same_epoch || awaited.is_some_and(|joined| seq < joined) {
            self.wrong(Wrong::WrongFullState, who, None, "a snapshot of another moment than room_joined", payload);
        } else if seq < before && awaited.is_none() {
            self.wrong(Wrong::OutOfOrder, who, None, &format!("a snapshot after number {before}"), payload);
        } else {
            let of_cart = wire::seats(&cart.seats, &self.names).unwrap_or_default();
            if let Some(seat) = of_cart.into_iter().find(|seat| map.state(*seat) != 1) {
                self.wrong(Wrong::WrongFullState, who, Some(seat), "a snapshot whose map is not its cart", payload);
            }
            let told = self.second().rooms[room].lives[life].snapshot(seq, map);
            if let Err(what) = told {
                self.wrong(Wrong::Diverged, who, None, &what, payload);
            }
            if awaited.is_none() {
                self.second().rooms[room].lives[life].skip(before, seq);
            }
            self.stand_at(who, life, seq);
        }
        self.cart_told(who, cart, Some(seq), payload, now);
        if awaited.is_some() { self.joined_now(who, now) } else { Reply::Nothing }
    }

    fn new_delta(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let (room, life) = (self.room_of(who), self.second().mine[who as usize].life);
        let changes = frame.changes.and_then(|list| wire::states(list, &self.names));
        let (Some(changes), Some(from), Some(to), true) =
            (changes, frame.from, frame.to, self.second().mine[who as usize].joined)
        else {
            self.wrong(Wrong::UnknownFrame, who, None, "a delta that is none, or for no member", payload);
            return Reply::Nothing;
        };
        let known = &mut self.second().rooms[room].lives[life];
        let is_in_order = changes.windows(2).all(|pair| pair[0].0 != pair[1].0);
        let same_epoch = frame.epoch.as_deref() == Some(&*known.epoch);
        if !same_epoch || !is_in_order {
            self.wrong(Wrong::Diverged, who, None, "a delta of another epoch, or with a seat twice", payload);
            return Reply::Nothing;
        }
        known.learn(payload, (from, to), changes);
        self.delta(who, life, 0, payload, now)
    }

    fn delta(&mut self, who: Who, life: usize, index: usize, payload: &[u8], now: u64) -> Reply {
        let room = self.room_of(who);
        let slow = self.clients[who as usize].slow;
        let second = self.second.as_mut().expect("the run speaks the second protocol");
        let (known, mine) = (second.rooms[room].lives[life].known(index), &mut second.mine[who as usize]);
        let (from, to) = (known.from, known.to);
        let (awaited, at) = (mine.awaiting.take(), mine.at);
        let joined = self.clients[who as usize].joined;
        let stands = match (awaited, at) {
            (Some(seq), Some((old, since))) if mine.since.is_some() => {
                second.resumed_rooms += 1;
                old == life && from == since + 1 && to == seq
            }
            (Some(_), _) | (None, None) => false,
            (None, Some((_, seq))) if to <= seq => return Reply::Nothing,
            (None, Some((old, seq))) => old == life && from <= seq + 1,
        };
        let Some((_, seq)) = at.filter(|_| stands) else {
            let what = format!("a delta that does not follow number {at:?} (room_joined said {awaited:?})");
            self.wrong(Wrong::SilentGap, who, None, &what, payload);
            return Reply::Nothing;
        };
        if awaited.is_none() {
            let stamps: &[(u64, u64)] = if slow { &[] } else { &known.stamps };
            self.measure.delivered_together(known.count, stamps, joined, now);
        }
        // From = to + 1: nothing has happened.
        let told = if to == seq { Ok(()) } else { second.rooms[room].lives[life].step(seq, index) };
        if to != seq {
            self.stand_at(who, life, to);
        }
        if let Err(what) = told {
            self.wrong(Wrong::Diverged, who, None, &what, payload);
        }
        if awaited.is_some() { self.joined_now(who, now) } else { Reply::Nothing }
    }
}
