//! One room: its seats, its holds, its sequence of changes, and how many members it has on which shard.
//!
//! Invariants: a seat has one owner or is not in the room at all; `seq` moves by one with every change of a seat and
//! with nothing else; `audience` is the set of shards with at least one member.
//! Never here: whether a command is allowed (the shard decides), deadlines, who the members are.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::command::{
    Act, Change, ChangeKind, Claim, Position, ReleaseReason, RoomSettings, SeatStatus, Ticket, transition,
};
use super::deadlines::HoldNumber;
use super::ids::{ClientId, ConnId, Epoch, Origin, RoomId, SeatId, ShardId, ShardSet};
use super::keyed::{Keyed, KeyedMap};
use super::orders::{Order, Orders};
use super::slab::{Slab, Slot};
use super::time::WallMillis;
use crate::layout::Layout;
use crate::layout::hall::{Hall, Mark};
use crate::limits::{ROOM_HOLDS_MAX, SEQ_MAX};
use crate::planted::{Bug, has};

mod state;

pub use state::{Members, RoomState};

/// Who has a seat.
#[derive(Clone, Debug)]
pub(super) enum Holder {
    /// A v1 connection.
    Conn(ConnId),
    /// The party of this cart.
    Cart(Slot),
    /// This order of the room.
    Order(Slot),
    /// Nobody: it is blocked, with these words.
    Block(Box<Arc<str>>),
}

impl Holder {
    /// The v1 connection, if it is one.
    pub(super) fn conn(&self) -> Option<ConnId> {
        match self {
            Self::Conn(conn) => Some(*conn),
            Self::Cart(_) | Self::Order(_) | Self::Block(_) => None,
        }
    }

    /// The order, if it is in one.
    pub(super) fn order(&self) -> Option<Slot> {
        match self {
            Self::Order(order) => Some(*order),
            Self::Conn(_) | Self::Cart(_) | Self::Block(_) => None,
        }
    }

    /// The cart, if it is in one.
    pub(super) fn cart(&self) -> Option<Slot> {
        match self {
            Self::Cart(cart) => Some(*cart),
            Self::Conn(_) | Self::Order(_) | Self::Block(_) => None,
        }
    }
}

/// What a seat is turned into.
pub(super) struct Turned {
    pub(super) holder: Holder,
    pub(super) number: HoldNumber,
    /// When that ends by itself; `None`: as before, or never.
    pub(super) expires_at: Option<WallMillis>,
}

/// Who is told of a change in its own frame, and which of its requests that answers.
pub(super) type Told = (Option<ConnId>, Option<Ticket>);

/// By what right somebody has a seat, for the store.
pub(super) type Claimed = Option<Box<Claim>>;

/// Why a seat is not free.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) number: HoldNumber,
    /// Not [`SeatStatus::Free`].
    pub(super) status: SeatStatus,
    pub(super) holder: Holder,
    pub(super) client: ClientId,
    /// Where the client comes from.
    pub(super) origin: Origin,
    pub(super) user_info: Arc<str>,
    pub(super) at: WallMillis,
    /// When it ends by itself; it means nothing for what is booked or blocked.
    pub(super) expires_at: WallMillis,
    /// The room's `seq` after the last change of the seat, for the reply to a second select.
    pub(super) seq: u64,
}

impl Hold {
    /// When it ends by itself.
    pub(super) fn ends_at(&self) -> Option<WallMillis> {
        matches!(self.status, SeatStatus::Held | SeatStatus::Checkout).then_some(self.expires_at)
    }
}

/// A seat that is not free.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: SeatId,
    /// Its place in the layout of the room, if that has one.
    pub(super) place: Option<u32>,
    pub(super) hold: Hold,
}

fn selected(hold: &Hold, was: SeatStatus, claim: Claimed) -> ChangeKind {
    let (status, at, expires_at, origin) = (hold.status, hold.at, hold.ends_at(), hold.origin);
    ChangeKind::Selected { status, was, at, expires_at, user_info: Arc::clone(&hold.user_info), origin, claim }
}

/// Shows on the map what a seat is.
fn show(hall: &mut Option<Box<Hall>>, place: Option<u32>, status: SeatStatus) {
    let Some((hall, place)) = hall.as_mut().zip(place) else { return };
    let mark = match status {
        SeatStatus::Free => Mark::Free,
        SeatStatus::Held | SeatStatus::Checkout => Mark::Held,
        SeatStatus::Booked => Mark::Booked,
        SeatStatus::Blocked => Mark::Blocked,
    };
    hall.set(place, mark);
}

/// What the backend has in a room.
#[derive(Debug)]
pub(super) struct Sold {
    /// What it has decided; nothing for a room that a client has made.
    pub(super) settings: Option<RoomSettings>,
    /// The number of the deadline of the room as a whole; 0 when it has none.
    pub(super) alarm: u64,
    pub(super) orders: Orders,
}

impl Sold {
    fn is_nothing(&self) -> bool {
        self.settings.is_none() && self.orders.len() == 0
    }
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) epoch: Epoch,
    pub(super) seq: u64,
    /// The seats that are not free, by id and by slot.
    by_id: KeyedMap<SeatId, Slot>,
    seats: Slab<Seat>,
    /// What the backend has decided, and its orders: a room without is as it was before there was one.
    sale: Option<Box<Sold>>,
    /// With a layout: what each of its seats is.
    hall: Option<Box<Hall>>,
    members: usize,
    /// The members of each shard that has some.
    members_on: Vec<(ShardId, u32)>,
    audience: ShardSet,
    keyed: Keyed,
}

impl Room {
    pub(super) fn new(id: RoomId, epoch: Epoch, keyed: Keyed) -> Self {
        Self {
            id,
            epoch,
            seq: 0,
            by_id: KeyedMap::with_hasher(keyed),
            seats: Slab::new(),
            sale: None,
            hall: None,
            members: 0,
            members_on: Vec::new(),
            audience: ShardSet::EMPTY,
            keyed,
        }
    }

    /// Where it stands.
    pub(super) fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }

    /// Whether nothing keeps the room alive.
    pub(super) fn is_empty(&self) -> bool {
        self.members == 0 && self.seats.len() == 0 && self.sale.as_ref().is_none_or(|sale| sale.is_nothing())
    }

    /// What the backend has decided about it.
    pub(super) fn settings(&self) -> Option<&RoomSettings> {
        self.sale.as_ref()?.settings.as_ref()
    }

    /// The same, to be decided anew.
    pub(super) fn sale_mut(&mut self) -> &mut Sold {
        let keyed = self.keyed;
        self.sale.get_or_insert_with(|| Box::new(Sold { settings: None, alarm: 0, orders: Orders::new(keyed) }))
    }

    /// What belongs to the backend, taken out.
    pub(super) fn take_sale(&mut self) -> Option<Sold> {
        self.sale.take().map(|sale| *sale)
    }

    /// What belongs to the backend, if there is something.
    pub(super) fn sale(&self) -> Option<&Sold> {
        self.sale.as_deref()
    }

    /// The order in this slot, which is there.
    pub(super) fn order(&self, slot: Slot) -> &Order {
        self.sale().and_then(|sale| sale.orders.get(slot)).expect("the order is there")
    }

    /// Whether a seat of this name can be taken here.
    pub(super) fn has_place(&self, seat: &SeatId) -> bool {
        match &self.hall {
            Some(_) if has(Bug::PlaceUnchecked) => true,
            Some(hall) => hall.layout().index_of(seat.as_str()).is_some(),
            // A layout that is not at hand has no seats.
            None => self.settings().is_none_or(|settings| settings.layout.is_none()),
        }
    }

    /// With a layout: what each of its seats is.
    pub(super) fn hall(&self) -> Option<&Hall> {
        self.hall.as_deref()
    }

    /// The room has this layout from now on, or none, and lives anew in this epoch. All seats that are taken are in it.
    pub(super) fn furnish(&mut self, layout: Option<Arc<Layout>>, epoch: Option<Epoch>) {
        self.hall = layout.map(|layout| Box::new(Hall::new(layout)));
        for &slot in self.by_id.values() {
            let seat = &mut self.seats[slot];
            seat.place = self.hall.as_ref().and_then(|hall| hall.layout().index_of(seat.id.as_str()));
            show(&mut self.hall, seat.place, seat.hold.status);
            if epoch.is_some() {
                seat.hold.seq = 0;
            }
        }
        if let Some(epoch) = epoch {
            (self.epoch, self.seq) = (epoch, 0);
        }
    }

    /// Its place in the layout, if there is one.
    pub(super) fn place_of(&self, seat: &SeatId) -> Option<u32> {
        self.hall.as_ref()?.layout().index_of(seat.as_str())
    }

    pub(super) fn holds(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn audience(&self) -> ShardSet {
        self.audience
    }

    /// The seats that are not free, with their slots.
    pub(super) fn seats(&self) -> impl Iterator<Item = (Slot, &Seat)> {
        self.by_id.values().map(|&slot| (slot, &self.seats[slot]))
    }

    pub(super) fn member_count(&self) -> usize {
        self.members
    }

    /// Whether so many seats more may be taken here. The numbers of its changes must be enough for that and for the end
    /// of whatever is taken.
    pub(super) fn may_take(&self, seats: usize) -> bool {
        self.holds() + seats <= ROOM_HOLDS_MAX && self.may_change(seats)
    }

    /// Whether so many seats may change here, and whatever is not free may still end after that.
    pub(super) fn may_change(&self, seats: usize) -> bool {
        self.seq + seats as u64 <= SEQ_MAX - 2 * ROOM_HOLDS_MAX as u64
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        assert!(self.seq <= SEQ_MAX, "a grant leaves numbers for the ends of all holds");
        self.seq
    }

    /// The seat with this id and its slot, or `None` when it is free.
    pub(super) fn seat(&self, seat: &str) -> Option<(Slot, &Seat)> {
        self.by_id.get(seat).map(|&slot| (slot, &self.seats[slot]))
    }

    /// The seat in this slot, which is full.
    pub(super) fn seat_at(&self, slot: Slot) -> &Seat {
        &self.seats[slot]
    }

    /// Whether the seat in this slot is held by the hold with this number.
    pub(super) fn is_held_by(&self, seat: Slot, number: HoldNumber) -> bool {
        self.seats.get(seat).is_some_and(|seat| seat.hold.number == number && seat.hold.status == SeatStatus::Held)
    }

    /// One member more on this shard.
    pub(super) fn join(&mut self, shard: ShardId) {
        self.members += 1;
        match self.members_on.iter_mut().find(|(on, _)| *on == shard) {
            Some((_, members)) => *members += 1,
            None => {
                self.members_on.push((shard, 1));
                self.audience.insert(shard);
            }
        }
    }

    /// One member less on this shard.
    pub(super) fn leave(&mut self, shard: ShardId) {
        let at = self.members_on.iter().position(|&(on, _)| on == shard).expect("a member leaves");
        self.members -= 1;
        self.members_on[at].1 -= 1;
        if self.members_on[at].1 == 0 {
            self.members_on.swap_remove(at);
            self.audience.remove(shard);
        }
    }

    /// The free seat becomes what `seat.hold` says; its `seq` is set here. Returns the seat's slot and the change.
    pub(super) fn take(&mut self, mut seat: Seat, told: Told, claim: Claimed) -> (Slot, Arc<Change>) {
        assert!(self.seats.len() < ROOM_HOLDS_MAX && self.seq < SEQ_MAX, "a grant that its room cannot count");
        assert_ne!(seat.hold.status, SeatStatus::Free, "what is taken is not free");
        seat.hold.seq = self.next_seq();
        let kind = selected(&seat.hold, SeatStatus::Free, claim);
        let (id, place, client) = (seat.id.clone(), seat.place, seat.hold.client.clone());
        let slot = self.put(seat);
        (slot, self.change((id, place), client, told, kind))
    }

    fn put(&mut self, seat: Seat) -> Slot {
        let id = seat.id.clone();
        show(&mut self.hall, seat.place, seat.hold.status);
        let slot = self.seats.insert(seat);
        match self.by_id.entry(id) {
            Entry::Vacant(free) => free.insert(slot),
            Entry::Occupied(_) => panic!("a seat that is not free is granted"),
        };
        slot
    }

    /// The seat in this slot, which is not free, becomes something else that is not free. `hold` has the holder, the
    /// number and the end of what it is then.
    pub(super) fn turn(&mut self, slot: Slot, act: Act, to: Turned, claim: Claimed) -> Arc<Change> {
        let seq = self.next_seq();
        let seat = &mut self.seats[slot];
        let was = seat.hold.status;
        let status = transition(was, act).expect("it was looked at before");
        assert_ne!(status, SeatStatus::Free, "what becomes free is ended");
        let hold = &mut seat.hold;
        (hold.status, hold.holder, hold.number, hold.seq) = (status, to.holder, to.number, seq);
        hold.expires_at = to.expires_at.unwrap_or(hold.expires_at);
        show(&mut self.hall, seat.place, status);
        let kind = selected(hold, was, claim);
        let (id, place, client) = (seat.id.clone(), seat.place, seat.hold.client.clone());
        self.change((id, place), client, (None, None), kind)
    }

    /// Gives a seat back to what it was before a restart, which nobody is told. Returns the seat's slot.
    pub(super) fn restore(&mut self, seat: Seat) -> Slot {
        self.seq = self.seq.max(seat.hold.seq);
        self.put(seat)
    }

    /// Frees the seat in this slot as if it had never been held: nobody was told that it was.
    pub(super) fn retract(&mut self, slot: Slot) -> Hold {
        let Seat { id, place, hold } = self.seats.remove(slot);
        show(&mut self.hall, place, SeatStatus::Free);
        assert_eq!(self.by_id.remove(&id), Some(slot), "a seat has one slot");
        hold
    }

    /// The room's next change gets the number after this one: later ones were told to nobody.
    pub(super) fn go_back_to(&mut self, seq: u64) {
        self.seq = seq;
        for &slot in self.by_id.values() {
            let hold = &mut self.seats[slot].hold;
            hold.seq = hold.seq.min(seq);
        }
    }

    /// The seat in this slot, held by a client from before a restart, belongs to this connection from now on.
    pub(super) fn adopt(&mut self, slot: Slot, conn: ConnId) {
        let before = std::mem::replace(&mut self.seats[slot].hold.holder, Holder::Conn(conn));
        assert!(before.cart().is_some(), "a hold is adopted once");
    }

    /// The seat in this slot, held by a v1 connection that is not here any more, is in this cart from now on.
    pub(super) fn disown(&mut self, slot: Slot, cart: Slot) {
        let before = std::mem::replace(&mut self.seats[slot].hold.holder, Holder::Cart(cart));
        assert!(before.conn().is_some(), "only a connection's hold is left behind");
    }

    /// The cart that has this seat ends at another time.
    pub(super) fn put_off(&mut self, slot: Slot, expires_at: WallMillis) {
        self.seats[slot].hold.expires_at = expires_at;
    }

    /// The seat in this slot becomes free. Returns what it was and the change.
    pub(super) fn free(&mut self, slot: Slot, act: Act, reason: ReleaseReason, told: Told) -> (Hold, Arc<Change>) {
        let Seat { id, place, hold } = self.seats.remove(slot);
        show(&mut self.hall, place, SeatStatus::Free);
        assert_eq!(transition(hold.status, act), Ok(SeatStatus::Free), "{act:?} does not free a seat that is {hold:?}");
        assert_eq!(self.by_id.remove(&id), Some(slot), "a seat has one slot");
        self.next_seq();
        let change = self.change((id, place), hold.client.clone(), told, ChangeKind::Released { reason });
        (hold, change)
    }

    fn change(&self, at: (SeatId, Option<u32>), client: ClientId, told: Told, kind: ChangeKind) -> Arc<Change> {
        let ((seat, index), (actor, answers)) = (at, told);
        let (room, seq, epoch, audience) = (self.id.clone(), self.seq, self.epoch, self.audience);
        let held = u32::try_from(self.holds()).expect("ROOM_HOLDS_MAX fits");
        Arc::new(Change { room, seat, index, client, seq, epoch, actor, answers, held, audience, kind })
    }

    /// Panics when one of the cheap invariants does not hold.
    pub(super) fn check_counts(&self) {
        assert!(!self.is_empty(), "an empty room is kept");
        assert_eq!(self.by_id.len(), self.seats.len());
        assert_eq!(self.members_on.iter().map(|&(_, members)| members as usize).sum::<usize>(), self.members);
        let mut audience = ShardSet::EMPTY;
        self.members_on.iter().for_each(|&(shard, _)| audience.insert(shard));
        assert_eq!(audience, self.audience);
        assert_eq!(audience.iter().count(), self.members_on.len(), "a shard is counted twice");
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        self.check_counts();
        if let Some(hall) = &self.hall {
            assert_eq!(hall.free() as usize + self.seats.len(), hall.layout().len(), "a seat is free or taken");
        }
        if let Some(sale) = self.sale() {
            sale.orders.check_invariants();
        }
        for (id, &slot) in &self.by_id {
            let seat = &self.seats[slot];
            let hold = &seat.hold;
            if let Some(hall) = &self.hall {
                let place = hall.layout().index_of(id.as_str());
                assert!(place.is_some() && place == seat.place, "{id} is not where the layout has it");
                assert_eq!(hall.mark(place.unwrap_or(0)) as u8, hold.status.map_state(), "the map of {id}");
            }
            assert!(seat.id == *id && hold.seq <= self.seq);
            // The clock of a cart began with its first seat, or was put off: the wall clock may have been put since.
            let is_timed = matches!(hold.holder, Holder::Conn(_));
            assert!(hold.at <= hold.expires_at || !is_timed, "a hold ends before it begins");
            let is_right = match (&hold.holder, hold.status) {
                (Holder::Conn(_) | Holder::Cart(_), SeatStatus::Held) => true,
                (Holder::Order(_), status) => matches!(status, SeatStatus::Checkout | SeatStatus::Booked),
                (Holder::Block(_), SeatStatus::Blocked) => true,
                _ => false,
            };
            assert!(is_right, "{hold:?}");
        }
    }
}
