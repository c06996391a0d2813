//! What is true of a sale: every seat and every order as they were decided, and what the shop was told.
//!
//! It hears what shards decide and panics at the first that cannot be: a seat that somebody else has is booked, a
//! booking ends unasked, an answer that was told is not true after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use butaca::engine::command::{
    ApiTicket, BookMode, Change, ChangeKind, Claim, Effect, Input, KeptEntry, KeptOrder, OrderState, OrderTold, Owner,
    RoomChanged, RoomSettings, SaleAnswer, SaleRequest, SeatStatus,
};
use butaca::engine::ids::{ClientId, OrderId, RoomId, SeatId};
use butaca::engine::shard::Shard;
use butaca::engine::time::WallMillis;
use butaca::limits::BACK_TO_CART_MS;
use butaca::node::observer::Observed;

use super::log::{Logged, Seats};
use super::rooms::Rooms;

/// For how long a seat may be held after a start, though the clock was set back: what a cart gets after a payment that
/// has failed, and what it has lived before.
const HELD_MS_MAX: u64 = BACK_TO_CART_MS + 10_000;

/// How far an order is: its state, its seats, and those whose booking was undone.
pub(crate) type Version = (OrderState, BTreeSet<SeatId>, BTreeSet<SeatId>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Taken {
    status: SeatStatus,
    claim: Option<Claim>,
    /// The name that strangers see: of a v1 client the only one.
    client: ClientId,
}

#[derive(Default)]
pub(crate) struct Truth {
    seats: BTreeMap<(RoomId, SeatId), Taken>,
    owners: BTreeMap<(RoomId, OrderId), (Option<Owner>, ClientId)>,
    /// All that each order was, in order.
    orders: BTreeMap<(RoomId, OrderId), Vec<Version>>,
    /// Which of them was the last when a request was answered.
    answered: BTreeMap<ApiTicket, ((RoomId, OrderId), usize)>,
    /// Up to which of them the shop has been told.
    told: BTreeMap<(RoomId, OrderId), usize>,
    /// What the shop has decided of rooms.
    rooms: Rooms,
    /// The orders that went with a room, by the request that deleted it.
    dropped: BTreeMap<ApiTicket, Vec<(RoomId, OrderId)>>,
    /// Those of which the shop has been told that they are gone.
    gone: BTreeSet<(RoomId, OrderId)>,
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
                let owner = (order.owner.clone(), order.client.clone());
                self.owners.insert((kept.room.clone(), id.clone()), owner);
            }
        }
        let is_gone = |effect: &Effect| {
            let Effect::Keep(kept) = effect else { return None };
            let KeptEntry::Order(id, None) = &kept.entry else { return None };
            Some((kept.room.clone(), id.clone()))
        };
        let dropped: Vec<_> = effects.iter().filter_map(is_gone).collect();
        let mut changes = 0;
        for effect in effects {
            match effect {
                Effect::Change(change) => {
                    changes += usize::from(!ends_by_itself(change));
                    self.changed(input, change);
                }
                Effect::Keep(kept) => self.kept(&kept.room, &kept.entry),
                Effect::Room(news) if news.what == RoomChanged::Deleted => self.rooms.deleted(&news.room),
                Effect::Api(answer) => {
                    let Input::Sale { request, .. } = input else { panic!("nobody has asked: {answer:?}") };
                    if answer.answer == SaleAnswer::Deleted {
                        self.dropped.insert(answer.to, dropped.clone());
                    }
                    self.rooms.answers(&answer.room, answer.to, &answer.answer);
                    self.answers(&answer.room, answer.to, request, &answer.answer, changes);
                }
                _ => {}
            }
        }
    }

    fn kept(&mut self, room: &RoomId, entry: &KeptEntry) {
        if let KeptEntry::Settings(settings) = entry {
            let taken = self.seats.keys().filter(|(of, _)| of == room).map(|(_, seat)| seat);
            self.rooms.kept(room, settings.as_deref(), taken);
        }
        let KeptEntry::Order(id, order) = entry else { return };
        let key = (room.clone(), id.clone());
        match order {
            None => {
                self.orders.remove(&key);
                self.told.remove(&key);
                // An answer that is read later tells of an order of its name that is no more.
                self.answered.retain(|_, (of, _)| *of != key);
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
                let is_asked = request.is_some();
                self.rooms.check_taken(&key.0, &key.1, is_asked || *was != SeatStatus::Free);
                self.seats.insert(key, Taken { status: *status, claim, client: change.client.clone() });
            }
            ChangeKind::Released { .. } => {
                let taken = self.seats.remove(&key).expect("a free seat is released");
                if let Some(SaleRequest::DeleteRoom { force: false }) = request {
                    assert_ne!(taken.status, SeatStatus::Checkout, "a room is deleted while somebody pays");
                }
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
        let (owner, client) = &self.owners[&(change.room.clone(), id.clone())];
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
                    // A connection of the first protocol, of which only the name is kept.
                    Some(Taken { claim: None, client: of, .. }) => {
                        *mode == BookMode::HeldOrFree && owner.is_none() && of == client
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
        match answer {
            SaleAnswer::Room { .. } => self.rooms.told(to),
            SaleAnswer::Deleted => {
                self.rooms.told(to);
                self.gone.extend(self.dropped.remove(&to).into_iter().flatten());
            }
            _ => {}
        }
        let SaleAnswer::Order { .. } = answer else { return };
        let Some((key, version)) = self.answered.get(&to).cloned() else { return };
        if self.orders.contains_key(&key) {
            let told = self.told.entry(key).or_default();
            *told = version.max(*told);
        }
    }

    /// After a crash: what the shards have is what there is, and each order is as it was told, or as it became later.
    /// `now`: by a clock that was set once at most; nothing can be said with one that was set to and fro.
    pub(crate) fn begin_anew(&mut self, now: Option<WallMillis>, shards: &[&Shard]) {
        self.seats.clear();
        self.answered.clear();
        self.dropped.clear();
        let mut settings = BTreeMap::new();
        let (was, told) = (std::mem::take(&mut self.orders), std::mem::take(&mut self.told));
        for shard in shards {
            for room in shard.rooms() {
                let state = shard.selections(room.as_str()).expect("it is listed");
                for (seat, claim) in state.claims() {
                    if let Some(now) = now.filter(|_| seat.status == SeatStatus::Held) {
                        let ends_at = seat.expires_at.expect("holds end");
                        assert!(ends_at <= now.after(HELD_MS_MAX), "{} is held until {ends_at:?}", seat.seat);
                    }
                    let taken = Taken { status: seat.status, claim, client: seat.client.clone() };
                    self.seats.insert((room.clone(), seat.seat.clone()), taken);
                }
                for kept in shard.beside(room.as_str()) {
                    if let KeptEntry::Settings(Some(found)) = &kept.entry {
                        settings.insert(room.clone(), RoomSettings::clone(found));
                    }
                    if let KeptEntry::Order(id, Some(order)) = kept.entry {
                        self.orders.insert((room.clone(), id), vec![version(&order)]);
                    }
                }
            }
        }
        self.rooms.begin_anew(&settings);
        for (room, seat) in self.seats.keys() {
            self.rooms.check_place(room, seat);
        }
        for (key, found) in &self.orders {
            let is_known = !self.gone.contains(key) || was.get(key).is_some_and(|was| was.contains(&found[0]));
            let has_lapsed = found[0].0 == OrderState::Expired && was.contains_key(key);
            assert!(is_known || has_lapsed, "{key:?} went with its room, and is back");
        }
        for (key, first) in told {
            let Some(found) = self.orders.get(&key) else { panic!("{key:?} is lost: it was told as {:?}", was[&key]) };
            self.check_order(&key, (&was[&key], first), &found[0]);
            // What has become of it while no server looked, nobody has been told.
            self.orders.get_mut(&key).expect("it was found").insert(0, was[&key][first].clone());
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

    /// All is at rest: who has a seat with the first protocol is there.
    pub(crate) fn check_holders(&self, is_here: impl Fn(&ClientId) -> bool) {
        for (key, taken) in self.seats.iter().filter(|(_, taken)| taken.claim.is_none()) {
            assert!(is_here(&taken.client), "{key:?} is held by {}, who is gone", taken.client);
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
