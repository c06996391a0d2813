//! Who is more than one connection: sessions, subjects, holders of the backend, and clients from before a restart.
//! Which connections they have, and what is in their carts.
//!
//! A party without a connection is away: it waits until its grace is over. That is all there is to a phone that lost
//! its network and to a restart alike. Invariants: a connection belongs to one party at most; a cart has a seat or an
//! order between two inputs, and is in the list of its party; a party has a connection or a cart; one from before a
//! restart has no connection. Never here: what a room or a seat is, and when something ends.

use super::command::Owner;
use super::few::Few;
use super::ids::{ClientId, ConnId, Origin};
use super::keyed::{Index, Keyed, KeyedMap};
use super::slab::{Slab, Slot};
use super::time::{Millis, WallMillis};

/// Who a party is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// A session, a subject, a holder, or a v1 connection that has something in an order.
    Owner(Owner),
    /// A v1 client from before a restart, which came from there. What it holds has clocks of its own.
    Former(Box<(ClientId, Origin)>),
}

/// Every connection of the second protocol that looks at a room is one, or a part of one.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) who: Who,
    pub(super) conns: Few<ConnId>,
    /// Of the newest connection of a session.
    pub(super) incarnation: u64,
    /// Seats that it may have in one room, if its token says so.
    pub(super) max_seats: Option<u32>,
    /// The number of its grace while it is away; 0 while nobody is waited for.
    pub(super) grace: u64,
    pub(super) carts: Few<Slot>,
}

const _: () = assert!(size_of::<Party>() <= 80);

impl Party {
    /// Its owner, unless that is a client from before a restart.
    pub(super) fn owner(&self) -> Option<&Owner> {
        match &self.who {
            Who::Owner(owner) => Some(owner),
            Who::Former(_) => None,
        }
    }

    /// Its owner, as far as a store can know who that is: a connection does not outlive the process.
    pub(super) fn stored_owner(&self) -> Option<&Owner> {
        self.owner().filter(|owner| !matches!(owner, Owner::Conn(_)))
    }

    /// Whether it is of the backend, and so neither limited nor waited for.
    pub(super) fn is_holder(&self) -> bool {
        matches!(self.who, Who::Owner(Owner::Holder(_)))
    }

    /// Whether each of its seats has a clock of its own.
    pub(super) fn has_clock_a_seat(&self) -> bool {
        matches!(self.who, Who::Former(..) | Who::Owner(Owner::Conn(_)))
    }
}

/// All that a party has in one room.
#[derive(Debug)]
pub(super) struct Cart {
    pub(super) party: Slot,
    pub(super) room: Slot,
    /// The held seats, in the order of selecting.
    pub(super) seats: Vec<Slot>,
    /// Seats in checkout.
    pub(super) paying: u32,
    /// The orders that it is told of: all in checkout, and booked ones.
    pub(super) orders: Vec<Slot>,
    /// The one clock of its seats. It is kept while there are none for as long as the cart has orders.
    pub(super) clock: Option<Clock>,
    /// The number of its deadline; 0 while it has none.
    pub(super) alarm: u64,
}

/// The clock of a cart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    /// When the first seat was held.
    pub(super) first: Millis,
    /// The same, to be kept.
    pub(super) first_at: WallMillis,
    /// When all seats end.
    pub(super) ends: Millis,
    /// The same, as it is told.
    pub(super) expires_at: WallMillis,
    /// How often it was extended.
    pub(super) extends: u8,
    /// When the owner is warned, unless it has been or need not be.
    pub(super) warns: Option<Millis>,
}

#[derive(Debug)]
pub(super) struct Owners {
    /// By the first connection of each: nearly everybody has one.
    by_conn: Index,
    /// By all others of who has several.
    by_other_conn: KeyedMap<ConnId, Slot>,
    by_owner: Index,
    formers: KeyedMap<ClientId, Vec<Slot>>,
    pub(super) parties: Slab<Party>,
    pub(super) carts: Slab<Cart>,
}

impl Owners {
    /// The first key is that of names that clients choose.
    pub(super) fn new(names: Keyed, connections: Keyed) -> Self {
        Self {
            by_conn: Index::new(connections),
            by_other_conn: KeyedMap::with_hasher(connections),
            by_owner: Index::new(names),
            formers: KeyedMap::with_hasher(names),
            parties: Slab::new(),
            carts: Slab::new(),
        }
    }

    /// Whose connection this is.
    pub(super) fn of_conn(&self, conn: ConnId) -> Option<Slot> {
        // Where only v1 is spoken it costs one look at a length.
        if self.by_conn.len() == 0 {
            return None;
        }
        let first = self.by_conn.find(&conn, |slot| self.parties[slot].conns.first() == Some(&conn));
        first.or_else(|| if self.by_other_conn.is_empty() { None } else { self.by_other_conn.get(&conn).copied() })
    }

    /// The party of this owner.
    pub(super) fn find(&self, owner: &Owner) -> Option<Slot> {
        self.by_owner.find(owner, |slot| self.parties[slot].owner() == Some(owner))
    }

    /// The party of this owner, made if need be.
    pub(super) fn find_or_add(&mut self, owner: &Owner) -> Slot {
        if let Some(slot) = self.find(owner) {
            return slot;
        }
        let slot = self.add(Who::Owner(owner.clone()));
        let parties = &self.parties;
        self.by_owner.insert(owner, slot, |slot| parties[slot].owner().expect("only owners are in it"));
        slot
    }

    /// The party of a client from before a restart, made if need be.
    pub(super) fn former(&mut self, client: &ClientId, origin: Origin) -> Slot {
        let who = Who::Former(Box::new((client.clone(), origin)));
        let known = self.formers.get(client).into_iter().flatten().find(|&&slot| self.parties[slot].who == who);
        if let Some(&slot) = known {
            return slot;
        }
        let slot = self.add(who);
        self.formers.entry(client.clone()).or_default().push(slot);
        slot
    }

    /// The parties of clients of this name from before a restart.
    pub(super) fn formers(&self, client: &ClientId) -> &[Slot] {
        if self.formers.is_empty() { &[] } else { self.formers.get(client).map_or(&[], Vec::as_slice) }
    }

    fn add(&mut self, who: Who) -> Slot {
        let (conns, carts) = (Few::None, Few::None);
        self.parties.insert(Party { who, conns, incarnation: 0, max_seats: None, grace: 0, carts })
    }

    /// One connection more.
    pub(super) fn attach(&mut self, party: Slot, conn: ConnId) {
        assert!(!matches!(self.parties[party].who, Who::Former(_)), "who was here before a restart has no connection");
        assert_eq!(self.of_conn(conn), None, "{conn:?} belongs to two");
        let conns = &mut self.parties[party].conns;
        conns.push(conn);
        if conns.len() == 1 {
            self.add_first(party);
        } else {
            self.by_other_conn.insert(conn, party);
        }
    }

    /// A connection is the first of a party.
    fn add_first(&mut self, party: Slot) {
        let parties = &self.parties;
        let first = |slot: Slot| parties[slot].conns.first().expect("who is in the index has a connection");
        self.by_conn.insert(first(party), party, first);
    }

    /// The connection is nobody's any more.
    pub(super) fn detach(&mut self, conn: ConnId) -> Option<Slot> {
        let party = self.of_conn(conn)?;
        if self.parties[party].conns.first() != Some(&conn) {
            self.by_other_conn.remove(&conn);
            self.parties[party].conns.retain(|of| of != conn);
            return Some(party);
        }
        self.by_conn.remove(&conn, party);
        self.parties[party].conns.retain(|of| of != conn);
        if let Some(next) = self.parties[party].conns.first() {
            self.by_other_conn.remove(next);
            self.add_first(party);
        }
        Some(party)
    }

    /// The cart of the party in the room.
    pub(super) fn cart_in(&self, party: Slot, room: Slot) -> Option<Slot> {
        self.parties[party].carts.iter().copied().find(|&cart| self.carts[cart].room == room)
    }

    /// The same, made if need be.
    pub(super) fn cart_for(&mut self, party: Slot, room: Slot) -> Slot {
        if let Some(cart) = self.cart_in(party, room) {
            return cart;
        }
        let (seats, orders) = (Vec::new(), Vec::new());
        let cart = self.carts.insert(Cart { party, room, seats, paying: 0, orders, clock: None, alarm: 0 });
        self.parties[party].carts.push(cart);
        cart
    }

    /// The party that has this cart.
    pub(super) fn party_of(&self, cart: Slot) -> &Party {
        &self.parties[self.carts[cart].party]
    }

    /// Forgets an empty cart without a deadline.
    pub(super) fn remove_cart(&mut self, cart: Slot) {
        let Cart { party, seats, paying, orders, alarm, .. } = self.carts.remove(cart);
        assert!(seats.is_empty() && orders.is_empty(), "a cart with something in it is forgotten");
        assert!(paying == 0 && alarm == 0, "something of a cart that is forgotten goes on");
        self.parties[party].carts.retain(|of| of != cart);
    }

    /// All connections that belong to somebody.
    pub(super) fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.by_conn.slots().flat_map(|slot| self.parties[slot].conns.iter().copied())
    }

    /// Parties of which nothing is left.
    pub(super) fn of_nothing(&self) -> Vec<Slot> {
        let is_nothing = |slot: &Slot| self.parties[*slot].conns.is_empty() && self.parties[*slot].carts.is_empty();
        let all = self.by_owner.slots().chain(self.formers.values().flatten().copied());
        all.filter(is_nothing).collect()
    }

    /// Forgets a party of which nothing is left, and says whether it had been waited for.
    pub(super) fn remove_if_nothing(&mut self, party: Slot) -> bool {
        let of = &self.parties[party];
        if !of.conns.is_empty() || !of.carts.is_empty() {
            return false;
        }
        let Party { who, grace, .. } = self.parties.remove(party);
        match who {
            Who::Owner(owner) => {
                self.by_owner.remove(&owner, party);
            }
            Who::Former(former) => {
                let client = former.0;
                let all = self.formers.get_mut(&client).expect("it is known by its name");
                all.retain(|&of| of != party);
                if all.is_empty() {
                    self.formers.remove(&client);
                }
            }
        }
        grace != 0
    }

    /// Panics when an invariant does not hold. Returns how many seats are in carts, how many of them have clocks of
    /// their own, how many carts have deadlines and how many parties are waited for.
    pub(super) fn check_invariants(&self) -> (usize, usize, usize, usize) {
        let conns: usize = self.parties.iter().map(|party| party.conns.len()).sum();
        assert_eq!(conns, self.by_conn.len() + self.by_other_conn.len());
        for slot in self.by_conn.slots() {
            let conns = &self.parties[slot].conns;
            assert!(conns.iter().all(|&conn| self.of_conn(conn) == Some(slot)), "each of {conns:?} finds its party");
        }
        let formers: usize = self.formers.values().map(Vec::len).sum();
        assert_eq!(self.by_owner.len() + formers, self.parties.len());
        let (mut seats, mut own) = (0, 0);
        for party in self.parties.iter() {
            assert!(!party.conns.is_empty() || !party.carts.is_empty(), "a party of nothing");
            let is_found = party.owner().is_none_or(|owner| self.find(owner).is_some());
            assert!(is_found, "an owner that is not found");
            assert!(party.grace == 0 || party.conns.is_empty(), "somebody who is here is waited for");
            for &cart in party.carts.iter() {
                let cart = &self.carts[cart];
                assert!(!cart.seats.is_empty() || !cart.orders.is_empty(), "an empty cart");
                let has_clock = cart.alarm != 0;
                assert_eq!(has_clock, !cart.seats.is_empty() && !party.has_clock_a_seat());
                assert!(!has_clock || cart.clock.is_some());
                seats += cart.seats.len();
                own += if party.has_clock_a_seat() { cart.seats.len() } else { 0 };
            }
        }
        assert_eq!(self.parties.iter().map(|party| party.carts.len()).sum::<usize>(), self.carts.len());
        let alarms = self.carts.iter().filter(|cart| cart.alarm != 0).count();
        let graces = self.parties.iter().filter(|party| party.grace != 0).count();
        (seats, own, alarms, graces)
    }
}
