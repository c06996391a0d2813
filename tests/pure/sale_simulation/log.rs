//! What the log says of seats: events are taken in one by one, and each must follow from those before it.
//!
//! Never here: what is true. The store's records are compared with it after each commit, the shards when all is at
//! rest.

use std::collections::{BTreeMap, BTreeSet};

use butaca::acts::event::Placed;
use butaca::acts::ring::Ring;
use butaca::engine::command::{Claim, SeatStatus};
use butaca::engine::ids::{OrderId, RoomId, SeatId};
use serde_json::Value;

/// What a seat is, as far as the log says: held by somebody, or of an order, or blocked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Logged {
    status: SeatStatus,
    order: Option<OrderId>,
}

impl Logged {
    pub(crate) fn new(status: SeatStatus, claim: Option<&Claim>) -> Self {
        let order = if let Some(Claim::Order(id)) = claim { Some(id.clone()) } else { None };
        Self { status, order }
    }
}

/// The seats that are not free.
pub(crate) type Seats = BTreeMap<(RoomId, SeatId), Logged>;

/// The numbers of events, by room: of which life the last one was, and its number.
#[derive(Clone, Default)]
struct Numbers(BTreeMap<RoomId, (String, u64)>);

impl Numbers {
    /// The next event of the room. One that was never heard of begins with 1, and so does one in another life when
    /// nothing of it `is_left` in the log.
    fn take_in(&mut self, room: &RoomId, text: &Value, is_left: bool) {
        let (epoch, n) = (text["epoch"].as_str().expect("a text"), text["n"].as_u64().expect("a number"));
        let last = self.0.get(room);
        let follows = match last {
            Some((_, last)) if n == last + 1 => true,
            Some((life, _)) => n == 1 && life != epoch && !is_left,
            None => n == 1,
        };
        assert!(follows, "a hole in the log behind {last:?}: {text}");
        self.0.insert(room.clone(), (epoch.to_owned(), n));
    }
}

#[derive(Clone, Default)]
pub(crate) struct LogReader {
    /// The place of the last event that was read.
    place: Option<u64>,
    numbers: Numbers,
    pub(crate) seats: Seats,
    /// The rooms that the shop has made.
    pub(crate) declared: BTreeSet<RoomId>,
}

impl LogReader {
    /// Reads what has come since it read last.
    pub(crate) fn read(&mut self, log: &BTreeMap<u64, Placed>) {
        let from = self.place.map_or(0, |place| place + 1);
        for (&place, (_, event)) in log.range(from..) {
            self.place = Some(place);
            let text: Value = serde_json::from_str(&event.text).expect("JSON");
            let is_left = log.range(..place).any(|(_, (_, earlier))| earlier.room == event.room);
            self.numbers.take_in(&event.room, &text, is_left);
            self.act(&event.room, &text);
        }
    }

    fn act(&mut self, room: &RoomId, text: &Value) {
        let kind = text["type"].as_str().expect("a type");
        let was_declared = self.declared.contains(room);
        match kind {
            "room.created" => {
                assert!(self.declared.insert(room.clone()), "made twice: {text}");
                return;
            }
            "room.changed" => return assert!(was_declared, "nobody has made it: {text}"),
            "room.deleted" => {
                self.declared.remove(room);
                return self.seats.retain(|(of, _), _| of != room);
            }
            _ => {}
        }
        let order = text["order"].as_str().map(|order| OrderId::new(order).expect("a name"));
        for seat in text["seats"].as_array().into_iter().flatten() {
            let seat = SeatId::new(seat.as_str().expect("a name")).expect("a name");
            let key = (room.clone(), seat);
            let was = self.seats.remove(&key);
            assert!(may_follow(kind, was.as_ref(), order.as_ref()), "a seat that is {was:?}, and then: {text}");
            let status = match kind {
                "seat.held" => SeatStatus::Held,
                "order.checkout" => SeatStatus::Checkout,
                "order.booked" => SeatStatus::Booked,
                "seat.blocked" => SeatStatus::Blocked,
                "order.cancelled" if text["to"] == "cart" => SeatStatus::Held,
                _ => continue,
            };
            let has_order = matches!(status, SeatStatus::Checkout | SeatStatus::Booked);
            self.seats.insert(key, Logged { status, order: order.clone().filter(|_| has_order) });
        }
    }
}

/// Whether that can happen to a seat that is so; nothing: it is free.
fn may_follow(kind: &str, was: Option<&Logged>, order: Option<&OrderId>) -> bool {
    let is = was.map_or(SeatStatus::Free, |was| was.status);
    let is_own = was.is_some_and(|was| was.order.as_ref() == order);
    match kind {
        "seat.held" | "seat.blocked" => is == SeatStatus::Free,
        "seat.released" | "order.checkout" => is == SeatStatus::Held,
        "seat.unblocked" => is == SeatStatus::Blocked,
        "order.cancelled" | "order.expired" => is == SeatStatus::Checkout && is_own,
        "order.refunded" => is == SeatStatus::Booked && is_own,
        // Late, or since the shop's database says so.
        "order.booked" => is != SeatStatus::Booked && (is != SeatStatus::Checkout || is_own),
        _ => false,
    }
}

/// Somebody who reads the log by its pages, seldom enough to be too late now and then.
#[derive(Default)]
pub(crate) struct Follower {
    seen: Option<u64>,
    numbers: Numbers,
}

impl Follower {
    /// Reads a page. Returns whether it came too late, and begins anew.
    pub(crate) fn read(&mut self, ring: &Ring, limit: usize) -> bool {
        let Ok(page) = ring.read(self.seen, limit, None) else {
            *self = Self::default();
            return true;
        };
        for (_, text) in page.events {
            let text: Value = serde_json::from_str(&text).expect("JSON");
            let room = RoomId::new(text["room"].as_str().expect("a room")).expect("a name");
            let is_known = self.numbers.0.contains_key(&room);
            if is_known {
                self.numbers.take_in(&room, &text, false);
                continue;
            }
            // It may be met in its middle.
            let (epoch, n) = (text["epoch"].as_str().expect("a text"), text["n"].as_u64().expect("a number"));
            self.numbers.0.insert(room, (epoch.to_owned(), n));
        }
        self.seen = Some(page.seen);
        false
    }
}
