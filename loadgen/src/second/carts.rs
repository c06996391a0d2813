//! What a client is told of its own cart: answers, refusals, and what happens to it otherwise.
//!
//! Invariants: a cart that is told is what was asked for, and nothing else of it has changed; it ends neither early nor
//! late. Never here: maps (`read`), what others had (`settle`).

use super::mine::Asked;
use super::wire::{self, Cart, Frame};
use crate::client::{Ask, Crowd, Reply};
use crate::clock::parse_wire_time;
use crate::measure::Code;
use crate::names::{Seat, Who};
use crate::oracle::Reason;
use crate::oracle::violation::Kind as Wrong;

/// How much earlier than its deadline a cart may be seen to end: the clocks are read at two moments.
const MARGIN_MS: u64 = 50;

impl Crowd {
    /// A cart was told whole, at this number of the room or at one that was not said.
    pub(super) fn cart_told(&mut self, who: Who, cart: &Cart, seq: Option<u64>, payload: &[u8], now: u64) {
        let Some(seats) = wire::seats(&cart.seats, &self.names) else {
            return self.wrong(Wrong::WrongReply, who, None, "a cart with a seat that is none", payload);
        };
        let room = self.room_of(who);
        let held = &mut self.clients[who as usize].held;
        held.retain(|(seat, _)| seats.contains(seat));
        for seat in &seats {
            if !held.iter().any(|(known, _)| known == seat) {
                held.push((*seat, now));
            }
        }
        let second = self.second();
        let (mine, holders) = (&mut second.mine[who as usize], &mut second.holders[room]);
        mine.named.retain(|seat| seats.contains(seat));
        if let Some(seq) = seq {
            for seat in &seats {
                let is_new = !mine.named.contains(seat);
                holders.named(mine.life, *seat, who, seq, is_new);
                if is_new {
                    mine.named.push(*seat);
                }
            }
        }
        let deadline_ms = cart.expires_at.as_ref().map(|time| parse_wire_time(time.as_bytes()));
        let wrong = deadline_ms == Some(None) || seats.is_empty() != deadline_ms.is_none();
        mine.deadline_ms = deadline_ms.flatten().unwrap_or(0);
        (mine.cart, mine.extends_left) = (seats, cart.extends_left);
        mine.orders = cart.orders.iter().map(|order| (order.order.clone(), order.status.clone())).collect();
        if wrong {
            self.wrong(Wrong::WrongReply, who, None, "a cart has a deadline exactly while it has seats", payload);
        }
    }

    pub(super) fn seats_held(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let asked = self.take(who, &[Ask::Select, Ask::Best], frame, payload);
        let names = frame.seats.and_then(|list| serde_json::from_str::<Vec<String>>(list.get()).ok());
        let seats = names.and_then(|names| wire::seats(&names, &self.names));
        let (Some(asked), Some(seats), Some(cart), Some(seq)) = (asked, seats, &frame.cart, frame.seq) else {
            return Reply::Nothing;
        };
        let before = self.second().mine[who as usize].cart.clone();
        self.cart_told(who, cart, Some(seq), payload, now);
        let mine = &self.second().mine[who as usize];
        let whole = seats.iter().all(|seat| mine.cart.contains(seat))
            && asked.release.iter().all(|seat| !mine.cart.contains(seat))
            && before.iter().all(|seat| mine.cart.contains(seat) || asked.release.contains(seat));
        let as_asked = if asked.ask == Ask::Best {
            seats.len() == asked.quantity as usize && self.names.are_adjacent(&seats)
        } else {
            asked.seats.iter().all(|seat| seats.contains(seat))
        };
        if !whole || !as_asked {
            self.wrong(Wrong::WrongReply, who, None, &format!("not what was asked for: {asked:?}"), payload);
        }
        let (room, life) = (self.room_of(who), self.second().mine[who as usize].life);
        let fresh: Vec<Seat> = seats.iter().copied().filter(|seat| !before.contains(seat)).collect();
        if self.second().mine[who as usize].joined {
            self.second().rooms[room].lives[life].won(&fresh, seq, asked.due);
        }
        self.measure.answered(asked.due, now);
        self.measure.totals.won += 1;
        Reply::Won(seats.first().copied().unwrap_or(0))
    }

    pub(super) fn seats_released(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let asked = self.take(who, &[Ask::Release, Ask::ReleaseAll], frame, payload);
        let (Some(asked), Some(cart)) = (asked, &frame.cart) else { return Reply::Nothing };
        let before = self.second().mine[who as usize].cart.clone();
        self.cart_told(who, cart, frame.seq, payload, now);
        let mine = &self.second().mine[who as usize];
        let kept = |seat: &Seat| mine.cart.contains(seat);
        let right = before.iter().all(|seat| kept(seat) != asked.gives_back(*seat)) && !asked.seats.iter().any(kept);
        let owned = asked.seats.iter().all(|seat| before.contains(seat));
        if !right || !owned {
            self.wrong(Wrong::StrangerRelease, who, None, &format!("not what was asked for: {asked:?}"), payload);
        }
        self.measure.answered(asked.due, now);
        self.measure.totals.freed += 1;
        Reply::Freed(asked.seats.first().or(before.first()).copied().unwrap_or(0))
    }

    pub(super) fn hold_extended(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let asked = self.take(who, &[Ask::Extend], frame, payload);
        let (Some(asked), Some(cart)) = (asked, &frame.cart) else { return Reply::Nothing };
        let mine = &self.second().mine[who as usize];
        let (deadline_ms, left) = (mine.deadline_ms, mine.extends_left);
        self.cart_told(who, cart, None, payload, now);
        let mine = &self.second().mine[who as usize];
        if mine.deadline_ms < deadline_ms || mine.extends_left + 1 != left {
            self.wrong(Wrong::WrongReply, who, None, "an extension that is none", payload);
        }
        self.measure.answered(asked.due, now);
        Reply::Nothing
    }

    pub(super) fn cart_changed(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let (Some(cart), Some(gone)) = (&frame.cart, wire::seats(&frame.gone, &self.names)) else {
            self.wrong(Wrong::UnknownFrame, who, None, "a cart without its seats", payload);
            return Reply::Nothing;
        };
        let wall_ms = self.wall_ms(now);
        let mine = &self.second().mine[who as usize];
        let (deadline_ms, known) = (mine.deadline_ms, gone.iter().all(|seat| mine.cart.contains(seat)));
        if !known {
            self.wrong(Wrong::ReleaseOfFree, who, gone.first().copied(), "seats went that were not there", payload);
        }
        self.cart_told(who, cart, frame.seq, payload, now);
        let seat = gone.first().copied().unwrap_or(0);
        match &*frame.reason {
            "expired" => {
                self.measure.totals.expired += gone.len() as u64;
                self.expired(who, seat, wall_ms, deadline_ms, payload);
                Reply::Ended(seat, Reason::Expired)
            }
            "disconnected" => {
                let what = "a cart ended as disconnected while its connection is open";
                self.wrong(Wrong::ReleasedWhileConnected, who, Some(seat), what, payload);
                Reply::Ended(seat, Reason::Disconnected)
            }
            _ if gone.is_empty() => Reply::Nothing,
            _ => Reply::Ended(seat, Reason::Unsaid),
        }
    }

    fn expired(&mut self, who: Who, seat: Seat, wall_ms: u64, deadline_ms: u64, payload: &[u8]) {
        let late = wall_ms.saturating_sub(deadline_ms);
        let second = self.second();
        second.lateness.count += 1;
        second.lateness.max_ms = second.lateness.max_ms.max(late);
        let grace_ms = second.expiry_grace_ms;
        if wall_ms + MARGIN_MS < deadline_ms {
            let what = format!("a cart expired {} ms before its deadline", deadline_ms - wall_ms);
            self.wrong(Wrong::EarlyExpiry, who, Some(seat), &what, payload);
        } else if deadline_ms > 0 && late > grace_ms && !self.clients[who as usize].slow {
            self.wrong(Wrong::LateExpiry, who, Some(seat), &format!("a cart expired {late} ms late"), payload);
        }
    }

    pub(super) fn second_refused(&mut self, who: Who, frame: &Frame<'_>, payload: &[u8], now: u64) -> Reply {
        let code = Code::of(frame.code.as_bytes());
        let fits = |asked: &&Asked| Some(asked.id) == frame.id;
        let Some(asked) = self.second().mine[who as usize].pending.front().filter(fits).cloned() else {
            self.wrong(Wrong::WrongReply, who, None, "a refusal of nothing, or out of order", payload);
            return Reply::Nothing;
        };
        self.second().mine[who as usize].pending.pop_front();
        if frame.request_type.as_deref().is_some_and(|name| name != asked.ask.second_name()) {
            self.wrong(Wrong::WrongReply, who, None, &format!("a refusal of something else: {asked:?}"), payload);
        }
        if asked.ask == Ask::Resume {
            self.second().mine[who as usize].forget_session();
            self.clients[who as usize].held.clear();
            self.wrong(Wrong::LostAcknowledgement, who, None, "a session does not go on", payload);
            return Reply::Nothing;
        }
        if asked.ask.is_command() {
            let seat = (asked.ask == Ask::Select).then(|| asked.seat());
            self.measure.refused(code, seat, now);
            self.measure.answered(asked.due, now);
        }
        self.judge_refusal(who, code, &asked, frame, payload);
        let ask = if asked.ask == Ask::Best { Ask::Select } else { asked.ask };
        Reply::Refused(ask, asked.seat(), code)
    }
}
