//! What the log says of seats: events are taken in one by one, and each must follow from those before it.
//!
//! Never here: what is true. The store's records are compared with it after each commit, the shards when all is at
//! rest.

use std::collections::BTreeMap;

use butaca::acts::event::Placed;
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

#[derive(Default)]
pub(crate) struct LogReader {
    /// The place of the last event that was read.
    place: Option<u64>,
    numbers: BTreeMap<RoomId, u64>,
    pub(crate) seats: Seats,
}

impl LogReader {
    /// Reads what has come since it read last.
    pub(crate) fn read(&mut self, log: &BTreeMap<u64, Placed>) {
        let from = self.place.map_or(0, |place| place + 1);
        for (&place, (_, event)) in log.range(from..) {
            self.place = Some(place);
            let n = self.numbers.entry(event.room.clone()).or_default();
            assert_eq!(event.n, *n + 1, "a hole in the log of {}: {}", event.room, event.text);
            *n = event.n;
            let text: Value = serde_json::from_str(&event.text).expect("JSON");
            self.act(&event.room, &text);
        }
    }

    fn act(&mut self, room: &RoomId, text: &Value) {
        let kind = text["type"].as_str().expect("a type");
        if kind == "room.deleted" {
            self.numbers.remove(room);
            return self.seats.retain(|(of, _), _| of != room);
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
