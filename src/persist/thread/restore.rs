//! Which of the stored holds are still true at a start.
//!
//! Invariants: a restored hold ends when it was to end, and never later than a new one would, whatever the wall clock
//! did in between; the holds of a shard come in the order in which they end, as its queue of deadlines needs them.
//! Pure: what was read and the time come in as arguments. Never here: I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::acts::event::{Lapsed, Resumed};
use crate::engine::command::{
    Claim, Kept, KeptEntry, LayoutName, OrderState, Owner, RestoredRoom, RestoredSeat, RoomPlan, Sale,
};
use crate::engine::ids::{RoomId, SeatId, shard_of};
use crate::engine::time::WallMillis;
use crate::limits::{BACK_TO_CART_MS, ROOM_HOLDS_MAX, SHARD_HOLDS_MAX};
use crate::planted::{Bug, has};

use crate::persist::record::{StoredBeside, StoredHold};
use crate::persist::stores::store::{Damage, Loaded};

/// What a server starts with.
#[derive(Default, Debug)]
pub struct Restored {
    /// What v1 connections held, of each shard, by the time it ends.
    pub shards: Vec<Vec<StoredHold>>,
    /// All else, of each shard, by room.
    pub rooms: Vec<BTreeMap<RoomId, RestoredRoom>>,
    /// Orders that have ended meanwhile, and carts that have; the store is to learn it.
    pub ended: Vec<Kept>,
    /// Holds that were over by now, or whose records cannot be read; the store is to forget them.
    pub expired: Vec<(RoomId, SeatId)>,
    /// Holds that now end earlier than the store has it, because the wall clock was set back; the store is to learn it.
    pub shortened: Vec<StoredHold>,
    /// Records that were skipped.
    pub skipped: u64,
    /// What is missing, when that was accepted.
    pub damage: Option<Damage>,
    /// What each shard has to know of the log.
    pub log: Vec<Resumed>,
    /// Where the end of each cart is told, among what its shard has to tell.
    carts: BTreeMap<(RoomId, Owner), usize>,
}

impl Restored {
    /// How many holds are given back.
    #[must_use]
    pub fn holds(&self) -> usize {
        let seats = self.rooms.iter().flat_map(BTreeMap::values).map(|room| room.seats.len()).sum::<usize>();
        self.shards.iter().map(Vec::len).sum::<usize>() + seats
    }
}

impl Restored {
    /// Gives the rooms their layouts, as far as they are at hand. Returns the rooms whose layout is not.
    pub fn furnish(&mut self, layout: impl Fn(&LayoutName) -> Option<RoomPlan>) -> Vec<RoomId> {
        let mut bare = Vec::new();
        for (id, room) in self.rooms.iter_mut().flatten() {
            let Some(name) = room.settings.as_ref().and_then(|settings| settings.layout.as_ref()) else { continue };
            room.plan = layout(name);
            if room.plan.is_none() {
                bare.push(id.clone());
            }
        }
        bare
    }

    fn room(&mut self, room: &RoomId, shards: usize) -> &mut RestoredRoom {
        self.rooms[shard_of(room.as_str(), shards).index()].entry(room.clone()).or_default()
    }

    /// Sorts out what was kept beside seats: carts whose time is over are forgotten, orders whose time is over have
    /// expired.
    fn take_beside(&mut self, beside: Vec<StoredBeside>, now: WallMillis, shards: usize) {
        for StoredBeside { room, entry } in beside {
            match entry {
                KeptEntry::Cart(owner, Some(cart)) if cart.expires_at > now => {
                    self.room(&room, shards).carts.push((owner, cart));
                }
                KeptEntry::Cart(owner, _) => self.ended.push(Kept { room, entry: KeptEntry::Cart(owner, None) }),
                KeptEntry::Order(id, Some(mut order)) => {
                    let is_over = order.expires_at.is_none_or(|ends_at| ends_at <= now);
                    let is_sold = order.state == OrderState::Booked && has(Bug::BookingRunsOut);
                    if (order.state == OrderState::Checkout || is_sold) && is_over {
                        let of = Arc::make_mut(&mut order);
                        (of.state, of.expires_at) = (OrderState::Expired, None);
                        let entry = KeptEntry::Order(id.clone(), Some(Arc::clone(&order)));
                        self.ended.push(Kept { room: room.clone(), entry: entry.clone() });
                        self.lapse(&room, order.seats.clone(), Some(entry), shards);
                    }
                    self.room(&room, shards).orders.push((id, order));
                }
                KeptEntry::Settings(Some(mut settings)) => {
                    if let Sale::Scheduled { opens_at: Some(opens_at) } = settings.sale
                        && opens_at <= now
                    {
                        Arc::make_mut(&mut settings).sale = Sale::Open;
                        let entry = KeptEntry::Settings(Some(Arc::clone(&settings)));
                        self.ended.push(Kept { room: room.clone(), entry: entry.clone() });
                        self.lapse(&room, Vec::new(), Some(entry), shards);
                    }
                    self.room(&room, shards).settings = Some(settings);
                }
                KeptEntry::Events(Some(n)) => {
                    self.count_on(&room, n, shards);
                    self.log[shard_of(room.as_str(), shards).index()].kept.insert(room);
                }
                KeptEntry::Order(_, None) | KeptEntry::Settings(None) | KeptEntry::Events(None) => {}
            }
        }
    }

    /// These seats became free while no server looked.
    fn lapse(&mut self, room: &RoomId, seats: Vec<SeatId>, kept: Option<KeptEntry>, shards: usize) {
        let lapsed = &mut self.log[shard_of(room.as_str(), shards).index()].lapsed;
        lapsed.push(Lapsed { room: room.clone(), seats, records: Vec::new(), kept });
    }

    /// A seat of a cart whose time is over: all of a cart are one act.
    fn lapse_of_cart(&mut self, room: &RoomId, seat: SeatId, owner: Owner, shards: usize) {
        let shard = shard_of(room.as_str(), shards).index();
        let next = self.log[shard].lapsed.len();
        let at = *self.carts.entry((room.clone(), owner)).or_insert(next);
        if at == next {
            return self.lapse(room, vec![seat], None, shards);
        }
        self.log[shard].lapsed[at].seats.push(seat);
    }

    /// The records of what has lapsed are forgotten with what is told of that.
    fn note_records(&mut self) {
        let expired: BTreeSet<(&RoomId, &SeatId)> = self.expired.iter().map(|(room, seat)| (room, seat)).collect();
        for lapsed in self.log.iter_mut().flat_map(|log| &mut log.lapsed) {
            let records = lapsed.seats.iter().filter(|seat| expired.contains(&(&lapsed.room, seat)));
            lapsed.records = records.cloned().collect();
        }
    }

    /// The room has had so many events at least.
    pub(super) fn count_on(&mut self, room: &RoomId, n: u64, shards: usize) {
        let known = self.log[shard_of(room.as_str(), shards).index()].numbers.entry(room.clone()).or_default();
        *known = n.max(*known);
    }

    /// How long a hold in this room can have been given.
    fn longest_hold_ms(&self, room: &RoomId, hold_ttl_ms: u64, shards: usize) -> u64 {
        let of = self.rooms[shard_of(room.as_str(), shards).index()].get(room);
        let own = of.and_then(|room| room.settings.as_ref()?.hold_ms).unwrap_or(0);
        let back = if of.is_some_and(|room| !room.orders.is_empty()) { BACK_TO_CART_MS } else { 0 };
        hold_ttl_ms.max(own).max(back)
    }

    /// Takes in a seat that is in a cart, an order or blocked, unless that is over: then it is free.
    fn take_seat(
        &mut self,
        StoredHold { room, seat, held }: StoredHold,
        shards: usize,
        is_user_info: fn(&str) -> bool,
    ) {
        let of = self.room(&room, shards);
        let is_there = match &held.claim {
            Some(Claim::Cart(owner)) => of.carts.iter().any(|(by, _)| by == owner),
            Some(Claim::Order(id)) => of
                .orders
                .iter()
                .any(|(order, kept)| order == id && matches!(kept.state, OrderState::Checkout | OrderState::Booked)),
            Some(Claim::Block(_)) => true,
            None => false,
        };
        let cart = if let Some(Claim::Cart(owner)) = &held.claim { Some(owner.clone()) } else { None };
        let Some(claim) = held.claim.filter(|_| is_there && is_user_info(&held.user_info)) else {
            if let Some(owner) = cart {
                self.lapse_of_cart(&room, seat.clone(), owner, shards);
            }
            return self.expired.push((room, seat));
        };
        let (status, client, origin) = (held.status, held.client, held.origin);
        let (user_info, at, seq) = (held.user_info, held.at, held.seq);
        let of = self.room(&room, shards);
        of.seats.push(RestoredSeat { seat, status, claim, client, origin, user_info, at, seq });
    }
}

/// Sorts out what was loaded: what is over is dropped, the rest keeps its deadline, but lives no longer than
/// `hold_ttl_ms` from now. `is_user_info` says whether a text may be sent to clients as `user_info`.
#[must_use]
pub fn sift(
    loaded: Loaded,
    now: WallMillis,
    hold_ttl_ms: u64,
    shards: usize,
    is_user_info: fn(&str) -> bool,
) -> Restored {
    let mut restored = Restored { skipped: loaded.skipped, damage: loaded.damage, ..Restored::default() };
    restored.shards.resize_with(shards, Vec::new);
    restored.rooms.resize_with(shards, BTreeMap::new);
    restored.log.resize_with(shards, Resumed::default);
    // What cannot be read was skipped, and is to be forgotten as well.
    let count = (loaded.holds.len() + loaded.unreadable.len()) as u64 + restored.skipped;
    restored.expired = loaded.unreadable;
    let (plain, others): (Vec<_>, Vec<_>) = loaded.holds.into_iter().partition(|hold| hold.held.is_plain());
    restored.take_beside(loaded.beside, now, shards);
    others.into_iter().for_each(|hold| restored.take_seat(hold, shards, is_user_info));
    for mut hold in plain {
        if hold.held.expires_at <= now {
            restored.lapse(&hold.room, vec![hold.seat.clone()], None, shards);
            restored.expired.push((hold.room, hold.seat));
            continue;
        }
        let latest = now.after(restored.longest_hold_ms(&hold.room, hold_ttl_ms, shards));
        let place = &mut restored.shards[shard_of(hold.room.as_str(), shards).index()];
        if place.len() >= SHARD_HOLDS_MAX || !is_user_info(&hold.held.user_info) {
            restored.skipped += 1;
            continue;
        }
        let latest = if has(Bug::EternalHold) { WallMillis(u64::MAX) } else { latest };
        if hold.held.expires_at > latest {
            hold.held.expires_at = latest;
            hold.held.at = hold.held.at.min(now);
            restored.shortened.push(hold.clone());
        }
        hold.held.at = hold.held.at.min(now);
        place.push(hold);
    }
    for holds in &mut restored.shards {
        holds.sort_by_key(|hold| hold.held.expires_at);
        assert!(holds.len() <= SHARD_HOLDS_MAX, "a shard gets no more than it may own");
        debug_assert!(holds.iter().all(|hold| hold.held.expires_at > now), "what is over is not given back");
    }
    restored.note_records();
    let sorted = restored.holds() as u64 + restored.expired.len() as u64 + restored.skipped;
    assert_eq!(sorted, count, "each record is given back, to be forgotten or skipped");
    assert!(restored.shortened.len() <= restored.holds(), "what is shortened is given back");
    restored
}

const _: () = assert!(ROOM_HOLDS_MAX <= SHARD_HOLDS_MAX);
