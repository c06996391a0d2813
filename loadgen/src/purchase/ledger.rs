//! The shop's own book: what became of each order by the answers it got; and the verdict over it.
//!
//! Invariant: it knows nothing but answers. Never here: sockets, HTTP.

use std::collections::BTreeMap;

/// An order of the shop.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) seats: Vec<String>,
    pub(super) refunded: Vec<String>,
    /// `checkout`, `booked`, `cancelled`, `expired` or `refunded`.
    pub(super) state: &'static str,
}

impl Order {
    /// The seats that it has sold.
    fn sold(&self) -> impl Iterator<Item = &String> {
        let is_booked = self.state == "booked";
        self.seats.iter().filter(move |seat| is_booked && !self.refunded.contains(seat))
    }
}

/// All orders, by name.
#[derive(Default, Debug)]
pub(super) struct Ledger(pub(super) BTreeMap<String, Order>);

/// A seat that the API lists as booked, and the order it names.
pub(super) type Booked = BTreeMap<String, String>;

impl Ledger {
    /// What is wrong between the book and what the API lists as booked.
    pub(super) fn judge(&self, booked: &Booked) -> Vec<String> {
        let mut faults = Vec::new();
        let mut sold: BTreeMap<&String, &String> = BTreeMap::new();
        for (name, order) in &self.0 {
            for seat in order.sold() {
                if let Some(other) = sold.insert(seat, name) {
                    faults.push(format!("seat {seat} is sold twice: {other} and {name}"));
                }
                match booked.get(seat) {
                    Some(owner) if owner == name => {}
                    Some(owner) => faults.push(format!("seat {seat} was sold to {name}, and {owner} has it")),
                    None => faults.push(format!("seat {seat} was sold to {name} and is not booked")),
                }
            }
        }
        let unsold = booked.iter().filter(|(seat, _)| !sold.contains_key(seat));
        faults.extend(unsold.map(|(seat, name)| format!("seat {seat} is booked by {name}, which did not pay for it")));
        faults
    }

    /// How many orders are in each state.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for order in self.0.values() {
            *counts.entry(order.state).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::{Booked, Ledger, Order};

    fn check(orders: &[(&str, &'static str, &[&str], &[&str])], booked: &[(&str, &str)], faults: usize) {
        let own = |seats: &[&str]| seats.iter().map(|&seat| seat.to_owned()).collect();
        let orders = orders.iter().map(|&(name, state, seats, refunded)| {
            (name.to_owned(), Order { seats: own(seats), refunded: own(refunded), state })
        });
        let booked: Booked = booked.iter().map(|&(seat, order)| (seat.to_owned(), order.to_owned())).collect();
        let found = Ledger(orders.collect()).judge(&booked);
        assert_eq!(found.len(), faults, "{found:?}");
    }

    #[test]
    fn what_is_booked_is_what_was_paid_for() {
        let x: (&str, &'static str, &[&str], &[&str]) = ("x", "booked", &["A", "B"], &[]);
        check(&[x], &[("A", "x"), ("B", "x")], 0);
        check(&[x], &[("A", "x")], 1);
        check(&[x], &[("A", "x"), ("B", "y")], 1);
        check(&[x, ("y", "booked", &["B"], &[])], &[("A", "x"), ("B", "x")], 2);
        check(&[("x", "booked", &["A", "B"], &["B"])], &[("A", "x"), ("B", "x")], 1);
        check(&[("x", "refunded", &["A"], &["A"]), ("y", "booked", &["A"], &[])], &[("A", "y")], 0);
        check(&[("x", "cancelled", &["A"], &[]), ("y", "expired", &["B"], &[])], &[], 0);
        check(&[("x", "checkout", &["A"], &[])], &[("A", "x")], 1);
    }
}
