//! The log of a room, replayed: what its seats and orders are by the log alone, and what cannot have happened.
//!
//! Invariant: it knows nothing but events, in their order. Never here: HTTP, what was answered.

use std::collections::BTreeMap;

use serde_json::Value;

/// A seat that is not free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seat {
    /// `held`, `checkout`, `booked` or `blocked`.
    pub(super) state: &'static str,
    /// The order that has it.
    pub(super) order: Option<String>,
}

/// An order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Order {
    /// `checkout`, `booked`, `cancelled`, `expired` or `refunded`.
    pub(super) state: &'static str,
    seats: Vec<String>,
    pub(super) refunded: Vec<String>,
}

/// Where the numbers of the room stand.
#[derive(Default, Debug)]
struct Numbers {
    n: u64,
    epoch: String,
    /// `None` where the last change had no number: it happened while no server looked.
    seq: Option<u64>,
}

/// What the log has told so far.
#[derive(Default, Debug)]
pub(super) struct Replay {
    pub(super) seats: BTreeMap<String, Seat>,
    pub(super) orders: BTreeMap<String, Order>,
    pub(super) faults: Vec<String>,
    numbers: Numbers,
}

/// What an event does to each of its seats.
struct Step {
    /// The states in which a seat may be before it.
    from: &'static [&'static str],
    /// What it is then; `free`, or a state.
    to: &'static str,
}

fn step(kind: &str, event: &Value) -> Option<Step> {
    let (from, to): (&'static [&'static str], _) = match kind {
        "seat.held" => (&["free", "held"], "held"),
        "seat.released" => (&["held"], "free"),
        "seat.blocked" => (&["free", "held"], "blocked"),
        "seat.unblocked" => (&["blocked"], "free"),
        "order.checkout" => (&["free", "held"], "checkout"),
        "order.booked" => (&["free", "held", "checkout"], "booked"),
        "order.cancelled" => (&["checkout"], if event["to"] == "cart" { "held" } else { "free" }),
        "order.expired" => (&["checkout"], "free"),
        "order.refunded" => (&["booked"], "free"),
        _ => return None,
    };
    Some(Step { from, to })
}

impl Replay {
    /// The room as these events tell it.
    pub(super) fn of<'a>(events: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut replay = Self::default();
        events.into_iter().for_each(|event| replay.take(event));
        replay
    }

    fn take(&mut self, event: &Value) {
        let before = self.faults.len();
        self.count(event);
        let kind = event["type"].as_str().unwrap_or_default();
        if let Some(step) = step(kind, event) {
            let seats: Vec<&str> = event["seats"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let order = event["order"].as_str();
            if let Some(what) = kind.strip_prefix("order.") {
                self.act(order.unwrap_or_default(), what, &seats);
            }
            seats.iter().for_each(|seat| self.turn(seat, &step, order));
        } else if !matches!(kind, "room.created" | "room.changed") {
            self.faults.push("an act that nobody asked for".into());
        }
        self.faults[before..].iter_mut().for_each(|fault| *fault = format!("the log: {fault}: {event}"));
    }

    fn count(&mut self, event: &Value) {
        let (n, epoch) = (event["n"].as_u64().unwrap_or_default(), event["epoch"].as_str().unwrap_or_default());
        if n != self.numbers.n + 1 {
            self.faults.push(format!("{n} follows {}", self.numbers.n));
        }
        let (first, last) = (event["first_seq"].as_u64(), event["seq"].as_u64());
        // A select that the store did not take in time is undone with its number, and the room counts on from before.
        let is_undone = event["reason"] == "not_saved";
        if !is_undone
            && let (Some(before), Some(first)) = (self.numbers.seq.filter(|_| self.numbers.epoch == epoch), first)
            && first != before + 1
        {
            self.faults.push(format!("change {first} follows {before}"));
        }
        let is_of_room = event["type"].as_str().is_some_and(|kind| kind.starts_with("room."));
        let seq = if is_of_room { self.numbers.seq } else { last.filter(|_| !is_undone) };
        self.numbers = Numbers { n, epoch: epoch.to_owned(), seq };
    }

    /// What an event makes of its order.
    fn act(&mut self, name: &str, what: &str, seats: &[&str]) {
        let known = self.orders.get(name).map_or("none", |order| order.state);
        let may = match what {
            "checkout" => known == "none",
            "booked" => matches!(known, "checkout" | "cancelled" | "expired"),
            "cancelled" | "expired" => known == "checkout",
            _ => known == "booked",
        };
        if !may {
            self.faults.push(format!("order {name} was {known}"));
        }
        let new = || Order { state: "checkout", seats: Vec::new(), refunded: Vec::new() };
        let order = self.orders.entry(name.to_owned()).or_insert_with(new);
        let own = || seats.iter().map(|&seat| seat.to_owned());
        match what {
            "checkout" => order.seats = own().collect(),
            "refunded" => order.refunded.extend(own()),
            _ if order.seats.iter().ne(seats) => {
                self.faults.push(format!("order {name} has the seats {:?}", order.seats));
            }
            _ => {}
        }
        order.state = match what {
            "checkout" => "checkout",
            "cancelled" => "cancelled",
            "expired" => "expired",
            "refunded" if order.refunded.len() == order.seats.len() => "refunded",
            _ => "booked",
        };
    }

    fn turn(&mut self, seat: &str, step: &Step, order: Option<&str>) {
        let now = self.seats.get(seat);
        let state = now.map_or("free", |seat| seat.state);
        let is_of_other = now.is_some_and(|seat| seat.order.is_some() && seat.order.as_deref() != order);
        if !step.from.contains(&state) || is_of_other {
            self.faults.push(format!("seat {seat} was {now:?}"));
        }
        if step.to == "free" {
            self.seats.remove(seat);
            return;
        }
        let order = order.filter(|_| step.to != "held").map(str::to_owned);
        self.seats.insert(seat.to_owned(), Seat { state: step.to, order });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Replay;

    /// Events of the words `type order seats`, numbered.
    fn told(words: &[&str]) -> Vec<Value> {
        let mut seq = 0;
        let one = |(at, words): (usize, &&str)| {
            let mut words = words.split(' ');
            let (kind, order) = (words.next().expect("a type"), words.next().expect("an order"));
            let seats: Vec<&str> = words.collect();
            let first = seq + 1;
            seq += seats.len();
            let (kind, to) = kind.split_once('>').unwrap_or((kind, ""));
            let mut event = json!({"type": kind, "n": at + 1, "epoch": "e", "seats": seats, "to": to});
            if order != "-" {
                event["order"] = order.into();
            }
            if !kind.starts_with("room.") {
                (event["first_seq"], event["seq"]) = (first.into(), seq.into());
            }
            event
        };
        words.iter().enumerate().map(one).collect()
    }

    fn check(words: &[&str], state: &str, faults: usize) {
        let replay = Replay::of(&told(words));
        let of = |(name, seat): (&String, &super::Seat)| {
            format!("{name} {}{}", seat.state, seat.order.as_ref().map(|order| format!(" {order}")).unwrap_or_default())
        };
        let found: Vec<String> = replay.seats.iter().map(of).collect();
        assert_eq!((found.join(", ").as_str(), replay.faults.len()), (state, faults), "{words:?}: {:?}", replay.faults);
    }

    #[test]
    fn seats_are_what_the_events_made_of_them() {
        let sale = ["room.created -", "seat.held - A B", "order.checkout o A B"];
        let and = |more: &[&'static str]| [&sale[..], more].concat();
        check(&and(&[]), "A checkout o, B checkout o", 0);
        check(&and(&["order.booked o A B"]), "A booked o, B booked o", 0);
        check(&and(&["order.cancelled>cart o A B"]), "A held, B held", 0);
        check(&and(&["order.cancelled>free o A B", "seat.blocked - A", "seat.unblocked - A"]), "", 0);
        check(&and(&["order.expired o A B", "seat.held - B", "order.booked o A B"]), "A booked o, B booked o", 0);
        check(&and(&["order.booked o A B", "order.refunded o A", "order.checkout p A"]), "A checkout p, B booked o", 0);
    }

    #[test]
    fn what_cannot_have_happened_is_found() {
        let sale = ["seat.held - A", "order.checkout o A"];
        let and = |more: &[&'static str]| [&sale[..], more].concat();
        check(&and(&["order.booked p A"]), "A booked p", 2 + 1);
        check(&and(&["seat.held - A"]), "A held", 1);
        check(&and(&["order.booked o A", "seat.released - A"]), "", 1);
        check(&and(&["order.booked o A", "order.booked o A"]), "A booked o", 2);
        check(&and(&["order.booked o A", "order.refunded o A", "order.booked o A"]), "A booked o", 1);
        check(&and(&["order.refunded o A"]), "", 2);
        check(&["seat.unblocked - A", "room.deleted -"], "", 2);
        let mut events = told(&sale);
        (events[1]["n"], events[1]["first_seq"]) = (3.into(), 3.into());
        assert_eq!(Replay::of(&events).faults.len(), 2);
        events[1]["reason"] = "not_saved".into();
        assert_eq!(Replay::of(&events).faults.len(), 1, "what is undone has the number of its select");
        events[1]["reason"] = Value::Null;
        events[1]["epoch"] = "f".into();
        assert_eq!(Replay::of(&events).faults.len(), 1, "another epoch has other numbers");
    }
}
