//! Who is told what with the second protocol: an effect becomes frames on the shard where it is read.
//!
//! Invariants: a reply has the `id` of the request that it answers; a cart is told as it is at the moment of the
//! change; own frames never wait for a tick. Never here: decisions; how bytes leave.

use super::Asked;
use crate::audience::full_states::Captured;
use crate::audience::outbox::Kind;
use crate::engine::command::{
    Asker, CartTold, CartWhy, Details, Effect, Entered, Reject, RequestType, Resumed, Synced, Told,
};
use crate::engine::ids::{OrderId, RoomId};
use crate::node::Node;
use crate::planted::{self, Bug};
use crate::wire::code::{self, Code};
use crate::wire::v2::map;
use crate::wire::v2::request::{OwnedRequestId, RequestId};
use crate::wire::v2::write::{self, CartChange, Joined, LayoutName, Refusal};

impl Node {
    /// An effect has reached the shard of its connection, which speaks the second protocol. Returns who has been
    /// answered.
    pub(in crate::node) fn second_answered(
        &mut self,
        slot: u32,
        effect: Effect,
        captured: Option<Captured>,
    ) -> Option<Asker> {
        match effect {
            Effect::Entered(entered) => Some(self.entered(slot, &entered, captured)),
            Effect::Synced(synced) => Some(self.synced(slot, &synced, captured)),
            Effect::Resumed(resumed) => {
                let to = resumed.to;
                self.take_asked(slot);
                self.resumed(slot, *resumed);
                Some(to)
            }
            Effect::Cart(told) => self.cart_told(slot, &told),
            Effect::Left { to, room, .. } => {
                self.leave_second(slot, &room);
                let asked = self.take_asked(slot);
                self.write(slot, Kind::Reply, |out| write::room_left(out, asked.id(), room.as_str()));
                Some(to)
            }
            Effect::Refused { to, reject, request, room, details, .. } => {
                self.refused_second(slot, (reject, request), &room, details.as_deref());
                Some(to)
            }
            Effect::Joined { .. }
            | Effect::Snapshot { .. }
            | Effect::Change(_)
            | Effect::Again { .. }
            | Effect::Superseded { .. }
            | Effect::Api(_)
            | Effect::Keep(_)
            | Effect::Room(_) => unreachable!("it is no answer to a connection of the second protocol"),
        }
    }

    /// The request that is answered now.
    fn take_asked(&mut self, slot: u32) -> Asked {
        let second = self.sessions.get_mut(slot).and_then(|session| session.second_mut());
        let asked = second.and_then(|second| {
            let asked = second.busy().asked.pop_front();
            second.settle();
            asked
        });
        asked.expect("every request of a connection of the second protocol is kept until it is answered")
    }

    /// A shard has answered what the session holds there.
    fn resumed(&mut self, slot: u32, resumed: Resumed) {
        let generation = self.sessions.generation(slot);
        let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut()) else { return };
        if let Some(resuming) = second.resuming() {
            resuming.carts.extend(resumed.carts.into_iter().map(|found| (found.room, found.cart)));
        }
        self.go_on.push((slot, generation));
    }

    fn entered(&mut self, slot: u32, entered: &Entered, captured: Option<Captured>) -> Asker {
        let asked = self.take_asked(slot);
        if let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut()) {
            second.is_used = true;
        }
        let Entered { to, room, at, layout, sale, hold_ms, max_seats, cart, .. } = entered;
        self.shown_at(room.as_str(), (at.epoch, at.seq));
        if matches!(asked, Asked::Rejoin(_)) && self.knows_all(slot, room.as_str(), (at.epoch, at.seq)) {
            crate::marks::hit("a member that need not be told who owns its room");
            self.sessions.get_mut(slot).expect("the caller found it").free_room();
            return *to;
        }
        let (now, tick_ms) = (self.at.now.wall, self.rules.second.tick_ms);
        let joined = Joined {
            room: room.as_str(),
            epoch: at.epoch,
            seq: at.seq,
            now,
            layout: layout.as_ref().map(|layout| LayoutName {
                id: &layout.name.id,
                version: &layout.name.version,
                seats: layout.seats,
            }),
            sale: sale.word(),
            hold_ms: *hold_ms,
            max_seats: *max_seats,
            tick_ms,
        };
        self.write(slot, Kind::Reply, |out| write::room_joined(out, asked.id(), &joined));
        let knows = match captured {
            Some(Captured { state: Some(state), .. }) => {
                let state = self.as_wished(slot, (room, *at), state);
                self.write(slot, Kind::Reply, |out| map::snapshot(out, None, state.bytes(), cart));
                true
            }
            Some(Captured { state: None, since, .. }) if !since.is_empty() => {
                crate::marks::hit("somebody who comes back and is told what has changed");
                self.write(slot, Kind::Reply, |out| out.extend_from_slice(&since));
                true
            }
            Some(_) | None => false,
        };
        self.enter_second(slot, room, *at, knows);
        *to
    }

    fn synced(&mut self, slot: u32, synced: &Synced, captured: Option<Captured>) -> Asker {
        let asked = self.take_asked(slot);
        let Synced { to, room, at, cart } = synced;
        let is_renewed = self.awaits_rejoin(slot, room);
        if is_renewed && asked.id().is_none() {
            crate::marks::hit("a map that comes with another layout");
            return *to;
        }
        if let Some(state) = captured.and_then(|captured| captured.state) {
            let state = self.as_wished(slot, (room, *at), state);
            self.write(slot, Kind::Reply, |out| map::snapshot(out, asked.id(), state.bytes(), cart));
            // Who has not been told of another layout cannot read it: that, and the map again, follow.
            if !is_renewed {
                self.knows_map(slot, room, at.seq);
            }
        }
        *to
    }

    /// Whether the member is to be told all about the room again.
    fn awaits_rejoin(&self, slot: u32, room: &RoomId) -> bool {
        let busy = self.sessions.get(slot).and_then(|session| session.second()?.busy.as_ref());
        busy.is_some_and(|busy| {
            let is_wanted = busy.wants.iter().any(|want| want.rejoin && want.room == *room);
            is_wanted || busy.asked.iter().any(|asked| matches!(asked, Asked::Rejoin(of) if of == room))
        })
    }

    fn cart_told(&mut self, slot: u32, told: &CartTold) -> Option<Asker> {
        let CartTold { to, room, seq, why, cart, .. } = told;
        let (asker, asked) = match to {
            Told::Asker(asker, _) => (Some(*asker), self.take_asked(slot)),
            Told::Conn(_) => (None, Asked::Node),
        };
        let resuming = self.sessions.get_mut(slot).and_then(|session| session.second_mut()?.resuming());
        if !planted::has(Bug::StaleCart)
            && let Some((_, found)) = resuming.and_then(|of| of.carts.iter_mut().find(|(found, _)| found == room))
        {
            crate::marks::hit("a cart that changes while its session is looked for elsewhere");
            found.clone_from(cart);
        }
        let (id, at) = (asked.id(), (room.as_str(), *seq));
        let is_held = matches!(why, CartWhy::Held { .. });
        self.write(slot, Kind::Reply, |out| match why {
            CartWhy::Held { seats } => write::seats_held(out, id, at, seats, cart),
            CartWhy::Released { seats } => write::seats_released(out, id, at, seats, cart),
            CartWhy::Extended => write::hold_extended(out, id, room.as_str(), cart),
            CartWhy::Expiring { left_ms } => write::hold_expiring(out, room.as_str(), cart, u64::from(*left_ms)),
            CartWhy::Changed { reason, gone, order } => {
                let order = order.as_ref().map(OrderId::as_str);
                write::cart_changed(out, at, &CartChange { reason: reason.word(), gone, order }, cart);
            }
        });
        if let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut()) {
            second.is_used |= is_held;
        }
        asker
    }

    fn refused_second(
        &mut self,
        slot: u32,
        (reject, request): (Reject, RequestType),
        room: &RoomId,
        details: Option<&Details>,
    ) {
        if request == RequestType::Join {
            self.sessions.get_mut(slot).expect("the caller found it").free_room();
        }
        let Asked::Client { id, kind } = self.take_asked(slot) else { return };
        let now = self.at.now.wall;
        let is_outside = (reject, request) == (Reject::BadRequest, RequestType::Sync);
        let free = if let Reject::NotEnoughSeats { free } = reject { Some(free) } else { None };
        let largest_adjacent = if let Reject::NoAdjacentSeats { largest } = reject { Some(largest) } else { None };
        let refusal = Refusal {
            code: Code::from(reject),
            message: if is_outside { "join the room first" } else { code::reject_text(reject) },
            request_type: Some(kind.as_str()),
            room: Some(room.as_str()),
            conflicts: details.map_or(&[], |details| &details.conflicts),
            retry_after_ms: code::retry_after_ms(reject).unwrap_or(0),
            free,
            largest_adjacent,
            alternatives: details.map_or(&[], |details| &details.alternatives),
        };
        let id = id.as_ref().map(OwnedRequestId::as_ref);
        self.write(slot, Kind::Reply, |out| write::error(out, id, &refusal, now));
    }
}

impl Asked {
    /// What its client calls it.
    pub(super) fn id(&self) -> Option<RequestId<'_>> {
        match self {
            Self::Client { id, .. } => id.as_ref().map(OwnedRequestId::as_ref),
            Self::Node | Self::Rejoin(_) => None,
        }
    }
}
