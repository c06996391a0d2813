//! What the engine decided as events of the log: one act is one event, numbered in its room.
//!
//! The changes of one act stand together among the effects, with what is kept beside them; an act ends where the room,
//! the kind, the order, the owner or the reason changes. Invariants: a room's numbers have no hole; what comes back
//! from a store is no act. Never here: who keeps events, who reads them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::Node;
use crate::acts::event::{Event, Lapsed, Number};
use crate::acts::ring::Ring;
use crate::auth::session::session_text;
use crate::engine::command::{
    Change, ChangeKind, Claim, Effect, Input, KeptEntry, KeptOrder, OrderState, Owner, ReleaseReason, RoomChanged,
    SaleRequest, SeatStatus,
};
use crate::engine::ids::{Epoch, OrderId, RoomId, SeatId};
use crate::engine::shard::Shard;
use crate::engine::time::WallMillis;
use crate::limits::acts::LOG_ROOMS_MAX;
use crate::persist::shard::gate::Retract;
use crate::planted::{Bug, has};

/// What stands for itself in an id: the unreserved characters of RFC 3986.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A room has gone, with all that was in it.
const DELETED: &str = "room.deleted";

/// One shard's side of the log.
#[derive(Debug)]
pub struct Acts {
    /// Whoever keeps no store shows events at once.
    ring: Arc<Ring>,
    /// Whether holds and releases are events.
    has_holds: bool,
    rooms: BTreeMap<RoomId, Counted>,
}

/// What is known of the events of a room.
#[derive(Clone, Copy, Default, Debug)]
struct Counted {
    n: u64,
    epoch: u64,
    /// The backend has decided something about it.
    is_declared: bool,
    /// It has something that does not end by itself.
    is_lasting: bool,
}

/// What an event says beside the numbers.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Said {
    kind: &'static str,
    order: Option<String>,
    owner: Option<Named>,
    reason: Option<Cow<'static, str>>,
    label: Option<Arc<str>>,
    /// Where the seats of a cancelled order went: `cart` or `free`.
    to: Option<&'static str>,
}

/// An owner as the API names one.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Named {
    SessionId(String),
    Subject(String),
    Holder(String),
    ClientId(String),
}

/// An event as JSON.
#[derive(Serialize)]
struct Told<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    time: &'a str,
    room: &'a str,
    epoch: String,
    n: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    seats: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
}

/// An act whose changes are being gathered.
struct Gathered<'a> {
    room: &'a RoomId,
    said: Said,
    seats: Vec<&'a str>,
    /// The numbers of its first and its last change.
    seqs: Option<(u64, u64)>,
}

impl<'a> Gathered<'a> {
    fn begin(said: Said, change: &'a Change) -> Self {
        Self { room: &change.room, said, seats: vec![change.seat.as_str()], seqs: Some((change.seq, change.seq)) }
    }

    /// Takes the change in if it is of the same act.
    fn take_in(&mut self, said: &Said, change: &'a Change) -> bool {
        let Some((_, last)) = &mut self.seqs else { return false };
        if self.said != *said || *self.room != change.room || *last + 1 != change.seq {
            return false;
        }
        *last = change.seq;
        self.seats.push(change.seat.as_str());
        true
    }
}

/// The orders that the effects keep, to know whose the seats of a change were: each with its place among the effects.
type Orders<'a> = Vec<(usize, &'a RoomId, &'a OrderId, &'a KeptOrder)>;

impl Acts {
    /// A shard's side of this log.
    #[must_use]
    pub fn new(ring: Arc<Ring>, has_holds: bool) -> Self {
        Self { ring, has_holds, rooms: BTreeMap::new() }
    }

    /// The room had so many events before the restart.
    pub(super) fn count_on(&mut self, room: &RoomId, n: u64) {
        let n = if has(Bug::CountedAnew) { 0 } else { n };
        self.rooms.entry(room.clone()).or_default().n = n;
    }

    /// What is known of a room that came back with more than holds.
    pub(super) fn note_restored(&mut self, room: &RoomId, is_declared: bool) {
        let counted = self.rooms.entry(room.clone()).or_default();
        (counted.is_declared, counted.is_lasting) = (is_declared, true);
    }

    /// The events of what was decided.
    pub(super) fn of(&mut self, effects: &[Effect], words: &Words, now: WallMillis, seats: &Shard) -> Vec<Event> {
        if !effects.iter().any(|effect| matches!(effect, Effect::Change(_) | Effect::Keep(_) | Effect::Room(_))) {
            return Vec::new();
        }
        let orders = kept_orders(effects);
        let (mut events, mut open): (Vec<Event>, Option<Gathered<'_>>) = (Vec::new(), None);
        for (at, effect) in effects.iter().enumerate() {
            if let Effect::Change(change) = effect {
                let Some(said) = said((at, change), &orders).map(|said| words.of(said)) else { continue };
                self.note_change(change);
                if !open.as_mut().is_some_and(|act| act.take_in(&said, change)) {
                    let before = open.replace(Gathered::begin(said, change));
                    events.extend(before.and_then(|act| self.event_of(&act, now)));
                }
                continue;
            }
            let about = if let Effect::Keep(kept) = effect {
                self.note_kept(&kept.room, &kept.entry).map(|kind| (&kept.room, kind))
            } else if let Effect::Room(news) = effect {
                (news.what == RoomChanged::Deleted).then_some((&news.room, DELETED))
            } else {
                None
            };
            if let Some((room, kind)) = about {
                events.extend(open.take().and_then(|act| self.event_of(&act, now)));
                events.extend(self.of_room(room, kind, now, seats));
            }
        }
        events.extend(open.and_then(|act| self.event_of(&act, now)));
        self.tidy(seats);
        events
    }

    fn note_change(&mut self, change: &Change) {
        let lasts = matches!(change.kind.status(), SeatStatus::Checkout | SeatStatus::Booked | SeatStatus::Blocked);
        if !self.rooms.contains_key(&change.room) {
            self.rooms.insert(change.room.clone(), Counted::default());
        }
        let counted = self.rooms.get_mut(&change.room).expect("it was just put in");
        counted.epoch = change.epoch.0;
        counted.is_lasting |= lasts;
    }

    /// The event that the keeping of this is, if it is one.
    fn note_kept(&mut self, room: &RoomId, entry: &KeptEntry) -> Option<&'static str> {
        match entry {
            KeptEntry::Settings(Some(_)) => {
                let counted = self.rooms.entry(room.clone()).or_default();
                counted.is_lasting = true;
                let was = std::mem::replace(&mut counted.is_declared, true);
                Some(if was { "room.changed" } else { "room.created" })
            }
            KeptEntry::Order(_, Some(_)) => {
                self.rooms.entry(room.clone()).or_default().is_lasting = true;
                None
            }
            KeptEntry::Settings(None) | KeptEntry::Order(_, None) | KeptEntry::Cart(..) | KeptEntry::Events(_) => None,
        }
    }

    fn of_room(&mut self, room: &RoomId, kind: &'static str, now: WallMillis, seats: &Shard) -> Option<Event> {
        let counted = self.rooms.entry(room.clone()).or_default();
        if let Some(state) = seats.selections(room.as_str()) {
            counted.epoch = state.epoch.0;
        }
        if kind == DELETED {
            (counted.is_declared, counted.is_lasting) = (false, false);
        }
        let said = Said { kind, ..Said::default() };
        let mut event = self.event_of(&Gathered { room, said, seats: Vec::new(), seqs: None }, now)?;
        if kind == DELETED {
            event.number = Number::Forgotten;
        }
        Some(event)
    }

    /// The event of an act.
    fn event_of(&mut self, act: &Gathered<'_>, now: WallMillis) -> Option<Event> {
        let said = &act.said;
        if has(Bug::ActNotLogged) && said.kind == "order.booked" {
            return None;
        }
        if !self.has_holds && matches!(said.kind, "seat.held" | "seat.released") {
            return None;
        }
        let counted = self.rooms.get_mut(act.room).expect("it was noted");
        counted.n += 1;
        let number = if counted.is_lasting { Number::Kept } else { Number::Passing };
        let (epoch, n, time) = (Epoch(counted.epoch).to_string(), counted.n, now.rfc3339());
        let told = Told {
            id: format!("{}/{epoch}/{n}", utf8_percent_encode(act.room.as_str(), PLAIN)),
            kind: said.kind,
            time: std::str::from_utf8(&time).expect("digits and signs"),
            room: act.room.as_str(),
            epoch,
            n,
            first_seq: act.seqs.map(|(first, _)| first),
            seq: act.seqs.map(|(_, last)| last),
            seats: &act.seats,
            order: said.order.as_deref(),
            owner: said.owner.as_ref(),
            reason: said.reason.as_deref(),
            label: said.label.as_deref(),
            to: said.to,
        };
        let text = serde_json::to_string(&told).expect("an event is plain data").into();
        Some(Event { room: act.room.clone(), n, number, text })
    }

    /// The end of what ended while no server looked. What numbers its changes had is not known.
    pub(super) fn of_lapsed(&mut self, lapsed: &Lapsed, now: WallMillis, seats: &Shard) -> Option<Event> {
        let room = &lapsed.room;
        let counted = self.rooms.entry(room.clone()).or_default();
        if let Some(state) = seats.selections(room.as_str()) {
            counted.epoch = state.epoch.0;
        } else if counted.epoch == 0 {
            // The room does not live any more, and its numbers may begin anew: the moment tells such ends apart.
            counted.epoch = now.0;
        }
        let said = match &lapsed.kept {
            Some(KeptEntry::Order(id, Some(order))) => {
                let owner = Some(owner_of(order));
                Said { kind: "order.expired", order: Some(id.as_str().to_owned()), owner, ..Said::default() }
            }
            Some(KeptEntry::Settings(_)) => Said { kind: "room.changed", ..Said::default() },
            Some(_) | None => {
                let reason = Some(ReleaseReason::Expired.word().into());
                Said { kind: "seat.released", reason, ..Said::default() }
            }
        };
        let seats = lapsed.seats.iter().map(SeatId::as_str).collect();
        self.event_of(&Gathered { room, said, seats, seqs: None }, now)
    }

    /// A select that a store did not take was undone: who was told of its event learns that, too.
    pub(super) fn of_undone(&mut self, retract: &Retract, now: WallMillis) -> Vec<Event> {
        let (room, epoch) = (&retract.room, retract.epoch.0);
        self.rooms.entry(room.clone()).or_default().epoch = epoch;
        let undone = retract.selects.iter().filter_map(|(seat, seq)| {
            let said = Said { kind: "seat.released", reason: Some("not_saved".into()), ..Said::default() };
            self.event_of(&Gathered { room, said, seats: vec![seat.as_str()], seqs: Some((*seq, *seq)) }, now)
        });
        undone.collect()
    }

    fn tidy(&mut self, seats: &Shard) {
        if self.rooms.len() > LOG_ROOMS_MAX {
            self.rooms.retain(|room, counted| counted.is_lasting || seats.selections(room.as_str()).is_some());
        }
    }
}

fn kept_orders(effects: &[Effect]) -> Orders<'_> {
    let mut orders = Vec::new();
    for (at, effect) in effects.iter().enumerate() {
        if let Effect::Keep(kept) = effect
            && let KeptEntry::Order(id, Some(order)) = &kept.entry
        {
            orders.push((at, &kept.room, id, &**order));
        }
    }
    orders
}

/// Whether the order has lost the seat in this way. One input may end holds and orders of several rooms.
fn has_lost(order: &KeptOrder, seat: &SeatId, kind: &str) -> bool {
    let is_refunded = order.refunded.contains(seat);
    match kind {
        "order.expired" => order.state == OrderState::Expired && order.seats.contains(seat),
        "order.cancelled" => is_refunded || order.state == OrderState::Cancelled && order.seats.contains(seat),
        _ => is_refunded,
    }
}

/// What the event of a change says; nothing for the seats of a room that has gone, since that is an act of its own.
fn said((at, change): (usize, &Change), orders: &Orders<'_>) -> Option<Said> {
    let client = || Named::ClientId(change.client.as_str().to_owned());
    let of_order = |kind, id: &OrderId| {
        let kept = orders.iter().find(|(_, room, other, _)| (*room, *other) == (&change.room, id));
        let owner = kept.map_or_else(client, |(.., order)| owner_of(order));
        Said { kind, order: Some(id.as_str().to_owned()), owner: Some(owner), ..Said::default() }
    };
    // Seats that an order loses do not name it any more. It is kept behind them, and before any other order that an
    // earlier act has taken the same seat from.
    let of_former = |kind: &'static str| {
        let mut of_room = orders.iter().filter(|(place, room, ..)| *place > at && **room == change.room);
        let found = of_room.find(|(.., order)| has_lost(order, &change.seat, kind));
        found.map_or(Said { kind, ..Said::default() }, |(_, _, id, _)| of_order(kind, id))
    };
    // Without where its seats went nobody could tell from the log what they are.
    let cancelled = |to, reason| Said { to: Some(to), reason, ..of_former("order.cancelled") };
    Some(match &change.kind {
        ChangeKind::Selected { status, was, claim, .. } => match (status, claim.as_deref()) {
            (SeatStatus::Blocked, Some(Claim::Block(label))) => {
                Said { kind: "seat.blocked", label: Some(Arc::clone(label)), ..Said::default() }
            }
            (SeatStatus::Checkout, Some(Claim::Order(id))) => of_order("order.checkout", id),
            (SeatStatus::Booked, Some(Claim::Order(id))) => of_order("order.booked", id),
            _ if matches!(was, SeatStatus::Checkout | SeatStatus::Booked) => cancelled("cart", None),
            (_, claim) => {
                let owner = if let Some(Claim::Cart(owner)) = claim { named(owner) } else { None };
                Said { kind: "seat.held", owner: Some(owner.unwrap_or_else(client)), ..Said::default() }
            }
        },
        ChangeKind::Released { reason } => match reason {
            ReleaseReason::RoomDeleted => return None,
            ReleaseReason::Unblocked => Said { kind: "seat.unblocked", ..Said::default() },
            ReleaseReason::Refunded => of_former("order.refunded"),
            ReleaseReason::Cancelled => cancelled("free", None),
            ReleaseReason::PaymentFailed => cancelled("free", Some(reason.word().into())),
            ReleaseReason::Expired => match of_former("order.expired") {
                said if said.order.is_some() => said,
                _ => Said { kind: "seat.released", reason: Some(reason.word().into()), ..Said::default() },
            },
            ReleaseReason::Released | ReleaseReason::Disconnected | ReleaseReason::ReleasedByOperator => {
                Said { kind: "seat.released", reason: Some(reason.word().into()), ..Said::default() }
            }
        },
    })
}

/// Whose an order is, as the API names it: also when its seats had somebody else's name on them before.
fn owner_of(order: &KeptOrder) -> Named {
    let client = || Named::ClientId(order.client.as_str().to_owned());
    order.owner.as_ref().and_then(named).unwrap_or_else(client)
}

/// An owner as the API names it; a connection has no name of its own.
fn named(owner: &Owner) -> Option<Named> {
    match owner {
        Owner::Conn(_) => None,
        Owner::Session(session) => Some(Named::SessionId(session_text(*session))),
        Owner::Subject(subject) => Some(Named::Subject(subject.to_string())),
        Owner::Holder(holder) => Some(Named::Holder(holder.to_string())),
    }
}

impl Node {
    /// The node with a log of what it decides.
    #[must_use]
    pub fn with_acts(mut self, acts: Option<Acts>) -> Self {
        self.acts = acts;
        self
    }

    /// Takes what was decided to the log: with the changes to the store, or at once where there is none.
    pub(super) fn log_acts(&mut self, effects: &[Effect], words: Option<&Words>) {
        let (Some(acts), Some(words)) = (self.acts.as_mut(), words) else { return };
        let events = acts.of(effects, words, self.at.now.wall, &self.seats);
        self.log_events(events);
    }

    /// The same of selects that were undone.
    pub(super) fn log_undone(&mut self, retracts: &[Retract]) {
        let Some(acts) = self.acts.as_mut() else { return };
        let now = self.at.now.wall;
        let events = retracts.iter().flat_map(|retract| acts.of_undone(retract, now)).collect();
        self.log_events(events);
    }

    /// The same of what ended while no server looked, whose records the store still has.
    pub(super) fn log_lapsed(&mut self, lapsed: &[Lapsed]) {
        if let Some(saving) = self.saving.as_mut() {
            lapsed.iter().for_each(|lapsed| saving.pending.lapse(self.at.now.mono, lapsed));
        }
        let Some(acts) = self.acts.as_mut() else { return };
        if has(Bug::LapsedUntold) {
            return;
        }
        let (now, seats) = (self.at.now.wall, &self.seats);
        let events = lapsed.iter().filter_map(|lapsed| acts.of_lapsed(lapsed, now, seats)).collect();
        self.log_events(events);
    }

    fn log_events(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        match (&mut self.saving, &self.acts) {
            (Some(saving), _) => saving.pending.log(self.at.now.mono, events),
            (None, Some(acts)) => acts.ring.tell(events, self.at.now.wall),
            (None, None) => {}
        }
    }
}

/// What people are told of an act, by whoever asked for it.
#[derive(Default, Debug)]
pub(super) struct Words {
    reason: Option<Arc<str>>,
    label: Option<Arc<str>>,
}

impl Words {
    /// The words of an input; `None`: it gives back what a store had, and is no act.
    pub(super) fn new(input: &Input<'_>) -> Option<Self> {
        if matches!(input, Input::Restore { .. } | Input::RestoreRoom { .. }) {
            return None;
        }
        let mut words = Self::default();
        if let Input::Sale { request, .. } = input {
            if let SaleRequest::Release { reason, .. } = request {
                words.reason.clone_from(reason);
            } else if let SaleRequest::Unblock { label, .. } = request {
                words.label.clone_from(label);
            }
        }
        Some(words)
    }

    /// With them, what an event says.
    fn of(&self, said: Said) -> Said {
        match said.kind {
            "seat.released" if self.reason.is_some() => {
                Said { reason: self.reason.as_deref().map(|reason| reason.to_owned().into()), ..said }
            }
            "seat.unblocked" => Said { label: self.label.clone(), ..said },
            _ => said,
        }
    }
}
