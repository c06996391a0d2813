//! What is true of a sale: every seat and every order as they were decided, and what the shop was told.
//!
//! It hears what shards decide and panics at the first that cannot be: a seat that somebody else has is booked, a
//! booking ends unasked, an answer that was told is not true after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use butaca::engine::command::{
    ApiTicket, BookMode, Change, ChangeKind, Claim, Effect, Input, KeptEntry, KeptOrder, OrderState, OrderTold, Owner,
    SaleAnswer, SaleRequest, SeatStatus,
};
use butaca::engine::ids::{OrderId, RoomId, SeatId};
use butaca::engine::shard::Shard;
use butaca::node::observer::Observed;

use super::log::{Logged, Seats};

/// How far an order is: its state, its seats, and those whose booking was undone.
pub(crate) type Version = (OrderState, BTreeSet<SeatId>, BTreeSet<SeatId>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Taken {
    status: SeatStatus,
    claim: Option<Claim>,
}

#[derive(Default)]
pub(crate) struct Truth {
    seats: BTreeMap<(RoomId, SeatId), Taken>,
    owners: BTreeMap<(RoomId, OrderId), Option<Owner>>,
    /// All that each order was, in order.
    orders: BTreeMap<(RoomId, OrderId), Vec<Version>>,
    /// Which of them was the last when a request was answered.
    answered: BTreeMap<ApiTicket, ((RoomId, OrderId), usize)>,
    /// Up to which of them the shop has been told.
    told: BTreeMap<(RoomId, OrderId), usize>,
}

pub(crate) fn version_of(order: &OrderTold) -> Version {
    (order.state, order.seats.iter().cloned().collect(), order.refunded.iter().cloned().collect())
}

fn version(order: &KeptOrder) -> Version {
    (order.state, order.seats.iter().cloned().collect(), order.refunded.iter().cloned().collect())
}

impl Truth {
    pub(crate) fn hear(&mut self, observed: &Observed<'_>) {
        match observed {
            Observed::Decided { input, effects, .. } => self.decided(input, effects),
            Observed::Undone { retracts, .. } => {
                for retract in *retracts {
                    for (seat, _) in &retract.selects {
                        let key = (retract.room.clone(), seat.clone());
                        if self.seats.get(&key).is_some_and(|taken| taken.status == SeatStatus::Held) {
                            self.seats.remove(&key);
                        }
                    }
                }
            }
            Observed::Dropped { .. } => {}
        }
    }

    fn decided(&mut self, input: &Input<'_>, effects: &[Effect]) {
        if matches!(input, Input::Restore { .. } | Input::RestoreRoom { .. }) {
            return;
        }
        // Owners of new orders are known by what is kept of them.
        for effect in effects {
            if let Effect::Keep(kept) = effect
                && let KeptEntry::Order(id, Some(order)) = &kept.entry
            {
                self.owners.insert((kept.room.clone(), id.clone()), order.owner.clone());
            }
        }
        let mut changes = 0;
        for effect in effects {
            match effect {
                Effect::Change(change) => {
                    changes += usize::from(!ends_by_itself(change));
                    self.changed(input, change);
                }
                Effect::Keep(kept) => self.kept(&kept.room, &kept.entry),
                Effect::Api(answer) => {
                    let Input::Sale { request, .. } = input else { panic!("nobody has asked: {answer:?}") };
                    self.answers(&answer.room, answer.to, request, &answer.answer, changes);
                }
                _ => {}
            }
        }
    }

    fn kept(&mut self, room: &RoomId, entry: &KeptEntry) {
        let KeptEntry::Order(id, order) = entry else { return };
        let key = (room.clone(), id.clone());
        match order {
            None => {
                self.orders.remove(&key);
                self.told.remove(&key);
            }
            Some(order) => {
                let versions = self.orders.entry(key).or_default();
                let is = version(order);
                if let Some((state, ..)) = versions.last() {
                    assert!(follows(*state, is.0), "{id} was {state:?} and is {:?}", is.0);
                }
                versions.push(is);
            }
        }
    }

    fn changed(&mut self, input: &Input<'_>, change: &Change) {
        let key = (change.room.clone(), change.seat.clone());
        let before = self.seats.get(&key).cloned();
        let request = if let Input::Sale { request, .. } = input { Some(*request) } else { None };
        match &change.kind {
            ChangeKind::Selected { status, was, claim, .. } => {
                let is = before.as_ref().map_or(SeatStatus::Free, |taken| taken.status);
                assert_eq!(is, *was, "{change:?}");
                let claim = claim.as_deref().cloned();
                if *status == SeatStatus::Booked {
                    self.booked(request, change, before.as_ref(), claim.as_ref());
                }
                assert!(is != SeatStatus::Booked, "a booked seat is taken by {input:?}");
                self.seats.insert(key, Taken { status: *status, claim });
            }
            ChangeKind::Released { .. } => {
                let taken = self.seats.remove(&key).expect("a free seat is released");
                if taken.status == SeatStatus::Booked {
                    let is_asked = match request {
                        Some(SaleRequest::Refund { order, seats }) => {
                            let is_meant = seats.as_ref().is_none_or(|seats| seats.contains(&change.seat));
                            is_meant && taken.claim == Some(Claim::Order(order.clone()))
                        }
                        Some(SaleRequest::Reconcile { .. } | SaleRequest::DeleteRoom { .. }) => true,
                        _ => false,
                    };
                    assert!(is_asked, "{} is booked and becomes free by {input:?}", change.seat);
                }
            }
        }
    }

    /// Whether a seat may be booked.
    fn booked(&self, request: Option<&SaleRequest>, change: &Change, before: Option<&Taken>, claim: Option<&Claim>) {
        let Some(Claim::Order(id)) = claim else { panic!("a seat is booked by no order: {change:?}") };
        let owner = self.owners.get(&(change.room.clone(), id.clone())).cloned().flatten();
        match request {
            Some(SaleRequest::Reconcile { .. }) => {}
            Some(SaleRequest::Book { order, mode }) => {
                assert_eq!(order, id, "another order is booked");
                let is_own = match before {
                    None => *mode == BookMode::HeldOrFree,
                    Some(Taken { claim: Some(Claim::Order(of)), .. }) => of == id,
                    Some(Taken { claim: Some(Claim::Cart(of)), .. }) => {
                        *mode == BookMode::HeldOrFree && Some(of) == owner.as_ref()
                    }
                    Some(_) => false,
                };
                assert!(is_own, "{} of {before:?} is booked by {id}", change.seat);
            }
            other => panic!("{other:?} books {}", change.seat),
        }
    }

    fn answers(&mut self, room: &RoomId, to: ApiTicket, request: &SaleRequest, answer: &SaleAnswer, changes: usize) {
        match answer {
            SaleAnswer::Refused { .. } => assert_eq!(changes, 0, "{request:?} is refused and changes something"),
            SaleAnswer::Order { order, .. } => {
                let key = (room.clone(), order.order.clone());
                // After a crash it is compared with what it was.
                let Some(versions) = self.orders.get(&key) else {
                    return assert!(request.is_read(), "{order:?} is kept by nobody");
                };
                assert_eq!(versions.last(), Some(&version_of(order)), "an order is told as it is not");
                let status = match order.state {
                    OrderState::Checkout => Some(SeatStatus::Checkout),
                    OrderState::Booked => Some(SeatStatus::Booked),
                    _ => None,
                };
                let claim = Some(Claim::Order(order.order.clone()));
                let own = self.seats.iter().filter(|((of, _), taken)| of == room && taken.claim == claim);
                let own: Vec<_> = own.map(|((_, seat), taken)| (seat, taken.status)).collect();
                let standing = order.seats.iter().filter(|seat| !order.refunded.contains(seat)).count();
                let is_whole = own.iter().all(|(_, is)| Some(*is) == status) && own.len() == standing;
                assert!(status.map_or(own.is_empty(), |_| is_whole), "{order:?} has {own:?}");
                let is_right = match request {
                    SaleRequest::Book { .. } => order.state == OrderState::Booked,
                    SaleRequest::Checkout { .. } => {
                        matches!(order.state, OrderState::Checkout | OrderState::Booked)
                    }
                    _ => true,
                };
                assert!(is_right, "{request:?} is answered with {order:?}");
                self.answered.insert(to, (key, versions.len() - 1));
            }
            _ => {}
        }
        if request.is_read() {
            assert_eq!(changes, 0, "{request:?} changes something");
        }
    }

    /// The shop has got an answer: from here on it may rely on it.
    pub(crate) fn told(&mut self, to: ApiTicket, answer: &SaleAnswer) {
        let SaleAnswer::Order { .. } = answer else { return };
        let Some((key, version)) = self.answered.get(&to).cloned() else { return };
        if self.orders.contains_key(&key) {
            let told = self.told.entry(key).or_default();
            *told = version.max(*told);
        }
    }

    /// After a crash: what the shards have is what there is, and each order is as it was told, or as it became later.
    pub(crate) fn begin_anew(&mut self, shards: &[&Shard]) {
        self.seats.clear();
        self.answered.clear();
        let (was, told) = (std::mem::take(&mut self.orders), std::mem::take(&mut self.told));
        for shard in shards {
            for room in shard.rooms() {
                let state = shard.selections(room.as_str()).expect("it is listed");
                for (seat, claim) in state.claims() {
                    let taken = Taken { status: seat.status, claim };
                    self.seats.insert((room.clone(), seat.seat.clone()), taken);
                }
                for kept in shard.beside(room.as_str()) {
                    if let KeptEntry::Order(id, Some(order)) = kept.entry {
                        self.orders.insert((room.clone(), id), vec![version(&order)]);
                    }
                }
            }
        }
        for (key, first) in told {
            let Some(found) = self.orders.get(&key) else { panic!("{key:?} is lost: it was told as {:?}", was[&key]) };
            self.check_order(&key, (&was[&key], first), &found[0]);
            self.told.insert(key, 0);
        }
    }

    fn check_order(&self, key: &(RoomId, OrderId), (was, first): (&[Version], usize), found: &Version) {
        let has_lapsed = |of: &Version| of.0 == OrderState::Checkout && found.0 == OrderState::Expired;
        let may_be = |of: &Version| *of == *found || has_lapsed(of) && (&of.1, &of.2) == (&found.1, &found.2);
        assert!(
            was[first..].iter().any(may_be),
            "{key:?} is {found:?} after a crash, and was told as {:?}, which became {:?}",
            was[first],
            &was[first + 1..]
        );
        if matches!(found.0, OrderState::Checkout | OrderState::Booked) {
            let claim = Some(Claim::Order(key.1.clone()));
            for seat in found.1.difference(&found.2) {
                let taken = self.seats.get(&(key.0.clone(), seat.clone()));
                assert!(taken.is_some_and(|taken| taken.claim == claim), "{key:?} has lost {seat}: {taken:?}");
            }
        }
    }

    /// All is at rest: what the log says is what there is.
    pub(crate) fn check_log(&self, logged: &Seats) {
        let seats = self.seats.iter().map(|(key, of)| (key.clone(), Logged::new(of.status, of.claim.as_ref())));
        assert_eq!(seats.collect::<Seats>(), *logged, "what is taken is not what the log says");
    }
}

fn ends_by_itself(change: &Change) -> bool {
    use butaca::engine::command::ReleaseReason::{Disconnected, Expired};
    matches!(change.kind, ChangeKind::Released { reason: Expired | Disconnected })
}

/// Whether an order may become that.
fn follows(was: OrderState, is: OrderState) -> bool {
    use OrderState::{Booked, Cancelled, Checkout, Expired, Refunded};
    match was {
        Checkout => matches!(is, Booked | Cancelled | Expired | Refunded),
        Booked => matches!(is, Booked | Refunded),
        Cancelled | Expired => matches!(is, Booked),
        Refunded => is == Booked,
    }
}

/// Shared with the shards that tell it.
pub(crate) type Shared = Arc<std::sync::Mutex<Truth>>;
