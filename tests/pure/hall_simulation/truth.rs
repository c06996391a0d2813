//! What is true of halls: who holds what until when, every state that a room has had, who is waited for, and what
//! `select_best` must have chosen.
//!
//! It hears what shards decide and panics at the first that cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use butaca::engine::command::{
    CartReason, CartRequest, CartView, CartWhy, Change, ChangeKind, Claim, Effect, Input, Owner, Reject, ReleaseReason,
    RoomChanged, SaleAnswer, SaleRequest,
};
use butaca::engine::ids::{ConnId, Epoch, RoomId, ShardId};
use butaca::engine::shard::Shard;
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::node::observer::Observed;

use super::halls::{self, Best, Hall, SEATS};
use super::server::{GRACE_MS, RESTORE_GRACE_MS, SEATS_MAX};
use crate::simulation::frames::{Room, Seat};
use crate::simulation::names;

/// Shared with the shards that tell it.
pub(crate) type Shared = Arc<Mutex<Truth>>;

/// The seats that are not free.
pub(crate) type Map = BTreeSet<Seat>;

/// Who has a seat, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) owner: Owner,
    pub(crate) expires_at: WallMillis,
}

/// What a connection has proven.
#[derive(Clone, Default, Debug)]
pub(crate) struct Proven {
    /// Whom it may act for, and until when.
    pub(crate) owners: BTreeMap<Owner, WallMillis>,
    /// The room that its token is for, if it is not for all.
    pub(crate) room: Option<Room>,
    pub(crate) seats_max: Option<u32>,
}

pub(crate) struct Truth {
    pub(crate) halls: Vec<Hall>,
    pub(crate) seats: BTreeMap<(Room, Seat), Held>,
    /// The maps of each life of each room, by number.
    histories: BTreeMap<(Room, u64), BTreeMap<u64, Map>>,
    pub(crate) present: BTreeMap<Room, (Epoch, u64)>,
    /// Which of the halls a room is.
    layouts: BTreeMap<Room, usize>,
    /// Which socket each connection is, and what each socket has proven.
    sockets: BTreeMap<ConnId, usize>,
    pub(crate) proven: Vec<Proven>,
    /// For whom each connection acts, as far as a shard has met it.
    met: BTreeMap<(ShardId, ConnId), Owner>,
    /// Until when those are waited for who have no connection.
    waits: BTreeMap<(ShardId, Owner), Millis>,
    /// What the store had when it had everything.
    safe: BTreeMap<(Room, Seat), Held>,
    pub(crate) chosen: u64,
}

impl Default for Truth {
    fn default() -> Self {
        let (seats, histories, present, layouts, sockets, proven, met, waits, safe) = Default::default();
        let halls = halls::all();
        Self { halls, seats, histories, present, layouts, sockets, proven, met, waits, safe, chosen: 0 }
    }
}

/// Whether an effect tells what ends by itself.
fn is_due(effect: &Effect) -> bool {
    match effect {
        Effect::Change(change) => {
            matches!(change.kind, ChangeKind::Released { reason: ReleaseReason::Expired | ReleaseReason::Disconnected })
        }
        Effect::Cart(told) => matches!(
            told.why,
            CartWhy::Expiring { .. } | CartWhy::Changed { reason: CartReason::Expired | CartReason::Disconnected, .. }
        ),
        Effect::Keep(_) => true,
        _ => false,
    }
}

impl Truth {
    /// The connection is this socket.
    pub(crate) fn is_of(&mut self, conn: ConnId, socket: usize) {
        self.sockets.insert(conn, socket);
        if self.proven.len() <= socket {
            self.proven.resize(socket + 1, Proven::default());
        }
    }

    /// What the owner has in the room.
    pub(crate) fn cart(&self, owner: &Owner, room: Room) -> BTreeSet<Seat> {
        let own = self.seats.iter().filter(|((of, _), held)| *of == room && held.owner == *owner);
        own.map(|((_, seat), _)| *seat).collect()
    }

    pub(crate) fn map_of(&self, room: Room) -> Map {
        self.seats.keys().filter(|(of, _)| *of == room).map(|(_, seat)| *seat).collect()
    }

    /// The map of a room as it was at this number of this life.
    pub(crate) fn map(&self, room: Room, epoch: u64, seq: u64) -> Option<&Map> {
        self.histories.get(&(room, epoch))?.get(&seq)
    }

    /// The number on the wire of the seats of this version of the hall.
    pub(crate) fn hall_of_version(&self, version: &str) -> Option<&Hall> {
        self.halls.iter().find(|hall| **hall.layout.version() == *version)
    }

    pub(crate) fn hear(&mut self, id: ShardId, observed: &Observed<'_>) {
        match observed {
            Observed::Decided { now, input, effects, .. } => self.decided(id, *now, input, effects),
            Observed::Undone { .. } => panic!("the store has answered in time"),
            Observed::Dropped { .. } => panic!("every socket takes everything"),
        }
    }

    fn decided(&mut self, id: ShardId, now: Now, input: &Input<'_>, effects: &[Effect]) {
        if let Input::RestoreRoom { waits_until, .. } = input {
            assert!(*waits_until >= now.mono.after(RESTORE_GRACE_MS), "who was here is not waited for");
            return;
        }
        let due = effects.iter().take_while(|effect| is_due(effect)).count();
        effects[..due].iter().for_each(|effect| self.effect(id, now, input, effect));
        if let Input::Gone { conn } = input {
            self.part(id, now, *conn);
        }
        if let Input::Cart { caller, .. } | Input::Resume { caller, .. } = input {
            let owner = &caller.identity.expect("who has a cart is somebody").owner;
            self.meets(id, now, caller.conn, owner, input);
        }
        let free: BTreeMap<Room, Map> = (0..2).map(|room| (room, self.map_of(room))).collect();
        effects[due..].iter().for_each(|effect| self.effect(id, now, input, effect));
        if let Input::Cart { caller, room, request } = input {
            let owner = caller.identity.expect("looked at above").owner.clone();
            let before = &free[&names::number_of(room)];
            self.check_choice(names::number_of(room), (caller.conn, &owner), request, before, &effects[due..]);
        }
    }

    /// A connection comes to a shard for somebody.
    fn meets(&mut self, id: ShardId, now: Now, conn: ConnId, owner: &Owner, input: &Input<'_>) {
        let proven = &self.proven[self.sockets[&conn]];
        let until = proven.owners.get(owner);
        assert!(until.is_some(), "{conn:?} acts for {owner:?}, whom it has not proven to be: {proven:?}");
        assert!(until.is_some_and(|until| *until >= now.wall), "{conn:?} goes on with a token that is over");
        if let Input::Cart { room, request, .. } = input
            && **request != CartRequest::Leave
        {
            let is_let_in = proven.room.is_none_or(|only| only == names::number_of(room));
            assert!(is_let_in, "{conn:?} is let into {room}, its token is for {proven:?}");
        }
        if self.met.get(&(id, conn)).is_some_and(|known| known != owner) {
            self.part(id, now, conn);
        }
        if !matches!(input, Input::Cart { request: CartRequest::Leave, .. }) {
            self.met.insert((id, conn), owner.clone());
        }
    }

    fn part(&mut self, id: ShardId, now: Now, conn: ConnId) {
        let Some(owner) = self.met.remove(&(id, conn)) else { return };
        if !self.is_met(id, &owner) {
            self.waits.insert((id, owner), now.mono.after(GRACE_MS));
        }
    }

    fn is_met(&self, id: ShardId, owner: &Owner) -> bool {
        self.met.iter().any(|((of, _), met)| *of == id && met == owner)
    }

    fn effect(&mut self, id: ShardId, now: Now, input: &Input<'_>, effect: &Effect) {
        match effect {
            Effect::Change(change) => self.changed(id, now, input, change),
            Effect::Superseded { conn } => _ = self.met.remove(&(id, *conn)),
            Effect::Entered(entered) => self.stands(names::number(&entered.room), entered.at.epoch, entered.at.seq),
            Effect::Room(news) => {
                if let RoomChanged::Renewed { at } = news.what {
                    let room = names::number(&news.room);
                    assert!(!self.histories.contains_key(&(room, at.epoch.0)), "another layout is another life");
                    self.begins(room, at.epoch, at.seq);
                }
            }
            Effect::Api(answer) => self.sold(input, &answer.room, &answer.answer),
            Effect::Cart(told) => {
                let Some(owner) = self.met.get(&(id, told.to.conn())).cloned() else {
                    panic!("a cart is told to somebody who was not met: {told:?}")
                };
                let room = names::number(&told.room);
                if told.why == CartWhy::Extended {
                    self.extended(room, &owner, told.cart.expires_at.expect("it has seats"));
                }
                self.check_cart(room, &owner, &told.cart);
            }
            Effect::Resumed(resumed) => {
                let owner = self.met[&(id, resumed.to.conn)].clone();
                resumed.carts.iter().for_each(|of| self.check_cart(names::number(&of.room), &owner, &of.cart));
            }
            _ => {}
        }
    }

    /// The room stands here. One that nobody has seen has no history.
    fn stands(&mut self, room: Room, epoch: Epoch, seq: u64) {
        if !self.histories.contains_key(&(room, epoch.0)) {
            assert!(self.map_of(room).is_empty(), "room {room} begins anew with seats in it");
            return self.begins(room, epoch, seq);
        }
        assert_eq!(self.present[&room], (epoch, seq), "where room {room} stands");
    }

    fn begins(&mut self, room: Room, epoch: Epoch, seq: u64) {
        let map = self.map_of(room);
        self.histories.insert((room, epoch.0), BTreeMap::from([(seq, map)]));
        self.present.insert(room, (epoch, seq));
    }

    fn sold(&mut self, input: &Input<'_>, room: &RoomId, answer: &SaleAnswer) {
        let Input::Sale { request, .. } = input else { panic!("nobody has asked: {answer:?}") };
        let plan = match request {
            SaleRequest::PutRoom { plan, .. } | SaleRequest::PatchRoom { plan, .. } => plan,
            _ => return,
        };
        if let (SaleAnswer::Room { .. }, Some(plan)) = (answer, plan) {
            let hall = self.halls.iter().position(|hall| hall.plan() == *plan).expect("a hall of ours");
            self.layouts.insert(names::number(room), hall);
        }
    }

    fn extended(&mut self, room: Room, owner: &Owner, expires_at: WallMillis) {
        let own = self.seats.iter_mut().filter(|((of, _), held)| *of == room && held.owner == *owner);
        own.for_each(|(_, held)| held.expires_at = expires_at);
    }

    fn check_cart(&self, room: Room, owner: &Owner, told: &CartView) {
        let seats: BTreeSet<Seat> = told.seats.iter().map(names::number).collect();
        assert_eq!(seats, self.cart(owner, room), "the cart of {owner:?} in room {room}");
        for seat in seats {
            let held = &self.seats[&(room, seat)];
            assert_eq!(Some(held.expires_at), told.expires_at, "all seats of a cart end together");
        }
    }

    fn changed(&mut self, id: ShardId, now: Now, input: &Input<'_>, change: &Change) {
        let (room, seat) = (names::number(&change.room), names::number(&change.seat));
        self.stands(room, change.epoch, change.seq - 1);
        match &change.kind {
            ChangeKind::Selected { expires_at, claim, .. } => {
                let Input::Cart { caller, .. } = input else { panic!("{input:?} selects a seat") };
                let owner = caller.identity.expect("who has a cart is somebody").owner.clone();
                assert_eq!(claim.as_deref(), Some(&Claim::Cart(owner.clone())), "a stranger gets the seat");
                let held = Held { owner, expires_at: expires_at.expect("a cart has an end") };
                assert!(self.seats.insert((room, seat), held).is_none(), "room {room} seat {seat} has two owners");
            }
            ChangeKind::Released { reason } => {
                let held = self.seats.remove(&(room, seat)).expect("a free seat is released");
                let is_right = match (reason, input) {
                    (ReleaseReason::Released, Input::Cart { caller, .. }) => {
                        caller.identity.is_some_and(|identity| identity.owner == held.owner)
                    }
                    (ReleaseReason::Expired, _) => held.expires_at <= now.wall,
                    (ReleaseReason::Disconnected, _) => {
                        let waits_until = self.waits.get(&(id, held.owner.clone()));
                        !self.is_met(id, &held.owner) && waits_until.is_some_and(|until| *until <= now.mono)
                    }
                    _ => false,
                };
                assert!(is_right, "{held:?} loses seat {seat} of room {room} as {reason:?} by {input:?}");
            }
        }
        let map = self.map_of(room);
        self.histories.get_mut(&(room, change.epoch.0)).expect("it stands there").insert(change.seq, map);
        self.present.insert(room, (change.epoch, change.seq));
    }

    /// Whether a request for seats was answered by the contract. `taken`: the map before it.
    fn check_choice(
        &mut self,
        room: Room,
        (conn, owner): (ConnId, &Owner),
        request: &CartRequest,
        taken: &Map,
        effects: &[Effect],
    ) {
        let (query, release) = match request {
            CartRequest::Select { release, .. } => (None, release),
            CartRequest::SelectBest { query, release, .. } => (Some(query), release),
            _ => return,
        };
        let most = self.proven[self.sockets[&conn]].seats_max.unwrap_or(SEATS_MAX) as usize;
        let held = effects.iter().find_map(|effect| match effect {
            Effect::Cart(told) => match &told.why {
                CartWhy::Held { seats } => Some(seats.iter().map(names::number).collect::<Vec<_>>()),
                _ => None,
            },
            _ => None,
        });
        let refused = effects.iter().find_map(|effect| match effect {
            Effect::Refused { reject, .. } => Some(*reject),
            _ => None,
        });
        if let Some(seats) = &held {
            let is_new = seats.iter().any(|seat| !taken.contains(seat));
            assert!(!is_new || self.cart(owner, room).len() <= most, "{owner:?} has more than {most} seats");
        }
        let Some(query) = query else { return };
        let Some(hall) = self.layouts.get(&room).map(|&hall| &self.halls[hall]) else {
            return assert_eq!(held, None, "the best of a room without a layout");
        };
        let release: Vec<Seat> = release.iter().map(names::number).collect();
        let free: BTreeSet<Seat> = (0..SEATS).filter(|seat| !taken.contains(seat) || release.contains(seat)).collect();
        let best = hall.best(&free, query);
        self.chosen += u64::from(held.is_some());
        let is_right = match (best.clone(), &held, refused) {
            (Best::Seats(best), Some(seats), _) => best == *seats,
            (Best::Some, Some(seats), _) => hall.is_valid(seats, &free, query),
            (Best::NotEnough(free), None, Some(Reject::NotEnoughSeats { free: told })) => free == told as usize,
            (Best::NotAdjacent(largest), None, Some(Reject::NoAdjacentSeats { largest: told })) => {
                largest == told as usize
            }
            (Best::Some, None, Some(Reject::NoAdjacentSeats { .. })) => query.adjacent && query.accessible > 0,
            (_, None, Some(Reject::LimitExceeded)) => {
                self.cart(owner, room).len() + query.quantity as usize > most + release.len()
            }
            // What is said of the request or of the cart comes before any choice.
            (_, None, Some(Reject::NotHeld | Reject::NotOwner | Reject::HoldExpired { .. } | Reject::BadRequest)) => {
                true
            }
            (_, None, None) => effects.iter().any(|effect| matches!(effect, Effect::Superseded { .. })),
            _ => false,
        };
        assert!(is_right, "{query:?} of {free:?} is {held:?} {refused:?}, by the contract {best:?}");
    }

    /// The store has all that is decided.
    pub(crate) fn all_is_safe(&mut self) {
        self.safe = self.seats.clone();
    }

    /// The process has gone, and every connection with it.
    pub(crate) fn forgets_connections(&mut self) {
        (self.met, self.waits, self.sockets, self.proven) = Default::default();
    }

    /// After a start: what the shards have is what there is. `told`: carts that their owners were told of, and which
    /// the server has promised not to lose. `keeps`: what the store had is not lost either.
    pub(crate) fn begin_anew(&mut self, now: Now, shards: &[&Shard], told: &[(Room, Seat, Owner)], keeps: bool) {
        let before = std::mem::take(&mut self.seats);
        let safe = std::mem::take(&mut self.safe);
        (self.layouts, self.present) = Default::default();
        for (id, shard) in shards.iter().enumerate() {
            for room in shard.rooms() {
                let state = shard.selections(room.as_str()).expect("it is listed");
                let room = names::number(room);
                for (seat, claim) in state.claims() {
                    let Some(Claim::Cart(owner)) = claim else { panic!("nobody sells: {claim:?}") };
                    let expires_at = seat.expires_at.expect("a cart has an end");
                    self.waits.insert((ShardId::new(id), owner.clone()), now.mono.after(RESTORE_GRACE_MS));
                    self.seats.insert((room, names::number(seat.seat)), Held { owner, expires_at });
                }
                if let Some(hall) = state.hall() {
                    let hall = self.halls.iter().position(|of| of.layout.version() == hall.layout().version());
                    self.layouts.insert(room, hall.expect("a hall of ours"));
                }
                self.begins(room, state.epoch, state.seq);
            }
        }
        let is_alive = |held: &Held| held.expires_at > now.wall;
        for (key, held) in before.iter().filter(|(_, held)| is_alive(held)) {
            let is_told = told.contains(&(key.0, key.1, held.owner.clone()));
            let is_safe = keeps && safe.get(key).is_some_and(|of| of.owner == held.owner);
            if is_told || is_safe {
                let found = self.seats.get(key).map(|found| &found.owner);
                assert_eq!(found, Some(&held.owner), "{key:?} is lost, told {is_told}, safe {is_safe}");
            }
        }
    }
}
