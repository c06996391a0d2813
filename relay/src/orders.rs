//! The last state of each order, put together from its events.
//!
//! Invariant: an order never goes backwards: an event that it has already seen changes nothing, in whatever epoch of
//! its room it was. Never here: I/O, and the words of a database.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Event;
use crate::limits::PAST_EPOCHS_MAX;

/// What stands for itself in a name, as in the ids of events.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An order as the sink has it.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(crate) struct Order {
    /// `ROOM/ORDER`, both percent-encoded.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) order: String,
    /// `checkout`, `booked`, `cancelled`, `expired` or `refunded`.
    pub(crate) state: String,
    pub(crate) seats: Vec<Value>,
    /// Those of its seats that were given back after they were booked.
    pub(crate) refunded: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Value>,
    /// Of the last event that is in it.
    pub(crate) time: String,
    pub(crate) epoch: String,
    pub(crate) n: i64,
    /// Epochs of the room that it has left.
    pub(crate) past: Vec<String>,
}

/// The name under which an order is kept.
pub(crate) fn id_of(room: &str, order: &str) -> String {
    format!("{}/{}", utf8_percent_encode(room, ENCODED), utf8_percent_encode(order, ENCODED))
}

/// The order behind this event, or nothing when the event is not about an order or is in it already.
pub(crate) fn apply(before: Option<&Order>, event: &Event) -> Option<Order> {
    let name = event.order.as_ref()?;
    let state = event.kind.strip_prefix("order.")?;
    if before.is_some_and(|before| has_seen(before, event)) {
        return None;
    }
    let mut order = before.cloned().unwrap_or_else(|| Order {
        id: id_of(&event.room, name),
        room: event.room.clone(),
        order: name.clone(),
        state: String::new(),
        seats: event.seats.clone(),
        refunded: Vec::new(),
        owner: None,
        time: String::new(),
        epoch: event.epoch.clone(),
        n: 0,
        past: Vec::new(),
    });
    let was_booked = order.state == "booked";
    let has_ended = matches!(order.state.as_str(), "cancelled" | "expired" | "refunded");
    match state {
        "checkout" => (order.seats, order.refunded) = (event.seats.clone(), Vec::new()),
        "booked" => {
            // The shop's own word may book an order that has ended, or more seats of one that is booked.
            let mut refunded = if has_ended { order.seats.clone() } else { order.refunded };
            refunded.retain(|seat| !event.seats.contains(seat));
            order.refunded = refunded;
            add(&mut order.seats, &event.seats);
        }
        "refunded" => add(&mut order.refunded, &event.seats),
        // Of a checkout that the shop says was booked in part.
        _ if was_booked => add(&mut order.refunded, &event.seats),
        _ => {}
    }
    // What loses only some of its seats stays booked.
    let is_all = order.seats.iter().all(|seat| order.refunded.contains(seat));
    order.state = match state {
        "refunded" | "cancelled" | "expired" if was_booked => if is_all { "refunded" } else { "booked" }.into(),
        "refunded" if !is_all => "booked".into(),
        _ => state.to_owned(),
    };
    order.owner = event.owner.clone().or(order.owner);
    if order.epoch != event.epoch {
        let left = std::mem::replace(&mut order.epoch, event.epoch.clone());
        order.past.push(left);
        let forgotten = order.past.len().saturating_sub(PAST_EPOCHS_MAX);
        order.past.drain(..forgotten);
    }
    (order.n, order.time) = (event.n, event.time.clone());
    Some(order)
}

fn has_seen(order: &Order, event: &Event) -> bool {
    if order.epoch == event.epoch { event.n <= order.n } else { order.past.contains(&event.epoch) }
}

fn add(to: &mut Vec<Value>, seats: &[Value]) {
    for seat in seats {
        if !to.contains(seat) {
            to.push(seat.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Order, apply, id_of};
    use crate::event::Event;
    use crate::event::tests::event;

    fn after(events: &[Event]) -> Option<Order> {
        events.iter().fold(None, |order, event| apply(order.as_ref(), event).or(order))
    }

    fn told(words: &[(&str, &[&str])]) -> Vec<Event> {
        words.iter().zip(1..).map(|((kind, seats), n)| event(n, &format!("order.{kind}"), Some("o"), seats)).collect()
    }

    #[test]
    fn an_order_is_what_its_events_say() {
        let all: &[&str] = &["A", "B"];
        for (words, state, refunded) in [
            (vec![("checkout", all)], "checkout", 0),
            (vec![("checkout", all), ("booked", all)], "booked", 0),
            (vec![("checkout", all), ("cancelled", all)], "cancelled", 0),
            (vec![("checkout", all), ("expired", all), ("booked", all)], "booked", 0),
            (vec![("booked", all)], "booked", 0),
            (vec![("checkout", all), ("booked", all), ("refunded", &["A"])], "booked", 1),
            (vec![("checkout", all), ("booked", all), ("refunded", &["B"]), ("refunded", &["A"])], "refunded", 2),
        ] {
            let order = after(&told(&words)).unwrap();
            assert_eq!(
                (order.state.as_str(), order.refunded.len(), order.seats.len()),
                (state, refunded, 2),
                "{words:?}"
            );
        }
        assert_eq!(apply(None, &event(1, "seat.held", None, &["A"])), None);
        assert_eq!(apply(None, &event(1, "seat.held", Some("o"), &["A"])), None, "not an act on the order");
    }

    /// What a reconciliation makes of orders: seats, then those of them that were given back.
    #[test]
    fn an_order_that_the_shop_put_right_is_what_the_server_says() {
        let (all, a, b, c): (&[&str], &[&str], &[&str], &[&str]) = (&["A", "B"], &["A"], &["B"], &["C"]);
        for (words, seats, refunded) in [
            (vec![("checkout", all), ("booked", all), ("refunded", all), ("booked", a)], 2, "B"),
            (vec![("checkout", all), ("booked", all), ("refunded", all), ("booked", a), ("booked", c)], 3, "B"),
            (vec![("checkout", all), ("cancelled", all), ("booked", b)], 2, "A"),
            (vec![("checkout", all), ("booked", all), ("refunded", a), ("booked", a), ("refunded", b)], 2, "B"),
            (vec![("checkout", all), ("booked", a), ("cancelled", b)], 2, "B"),
            (vec![("checkout", all), ("cancelled", b), ("booked", a)], 2, "B"),
        ] {
            let order = after(&told(&words)).unwrap();
            assert_eq!((order.state.as_str(), order.seats.len()), ("booked", seats), "{words:?}");
            assert_eq!(order.refunded, [refunded], "{words:?}");
        }
    }

    #[test]
    fn a_history_told_again_from_anywhere_changes_nothing() {
        let mut events = told(&[("checkout", &["A", "B"]), ("booked", &["A", "B"]), ("refunded", &["A"])]);
        for (kind, epoch, n) in [("order.refunded", "e2", 1), ("order.checkout", "e3", 1), ("order.booked", "e3", 2)] {
            let mut next = event(n, kind, Some("o"), &["B"]);
            next.epoch = epoch.into();
            events.push(next);
        }
        for len in 1..=events.len() {
            let order = after(&events[..len]);
            for from in 0..len {
                let again: Vec<Event> = events[..len].iter().chain(&events[from..len]).cloned().collect();
                assert_eq!(after(&again), order, "{len} events, told again from {from}");
            }
        }
    }

    #[test]
    fn names_with_slashes_stay_apart() {
        assert_eq!(id_of("a/b", "c é"), "a%2Fb/c%20%C3%A9");
        assert_ne!(id_of("a/b", "c"), id_of("a", "b/c"));
    }
}
