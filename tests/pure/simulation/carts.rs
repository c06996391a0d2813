//! What is true of sessions and of the clocks of their carts, kept apart from the shards.
//!
//! Who holds which seat is the oracle's; here is who is there, who is waited for until when, and when a cart ends.

use std::collections::BTreeMap;

use butaca::engine::command::SessionId;
use butaca::engine::ids::{ConnId, ShardId};
use butaca::engine::shard::CartRules;
use butaca::engine::time::{Millis, Now, WallMillis};

use super::frames::Room;

/// The clock of a cart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    pub(crate) first: Millis,
    pub(crate) ends: Millis,
    pub(crate) expires_at: WallMillis,
    pub(crate) extends: u8,
}

/// A session as one shard knows it.
#[derive(Clone, Copy, Debug)]
struct Party {
    conn: Option<ConnId>,
    incarnation: u64,
    /// Since when it has no connection.
    away_since: Millis,
}

pub(crate) struct Carts {
    pub(crate) rules: CartRules,
    hold_ms: u64,
    parties: BTreeMap<(ShardId, SessionId), Party>,
    /// For whom each connection acts, as far as a shard has met it.
    conns: BTreeMap<(ShardId, ConnId), SessionId>,
    /// The clocks of carts with seats.
    clocks: BTreeMap<(SessionId, Room), Clock>,
    /// The clocks of carts that were let go, and until when they are kept.
    kept: BTreeMap<(SessionId, Room), (Clock, Millis)>,
}

impl Carts {
    pub(crate) fn new(rules: CartRules, hold_ms: u64) -> Self {
        let (parties, conns, clocks, kept) = Default::default();
        Self { rules, hold_ms, parties, conns, clocks, kept }
    }

    /// The connection comes to a shard for its session. Returns whether it is let in, and which other connection must
    /// go.
    pub(crate) fn meet(
        &mut self,
        now: Now,
        (shard, conn): (ShardId, ConnId),
        (session, incarnation): (SessionId, u64),
        has_cart: impl Fn(SessionId) -> bool,
    ) -> (bool, Option<ConnId>) {
        if let Some(&known) = self.conns.get(&(shard, conn)) {
            if known == session {
                return (true, None);
            }
            self.part(now, shard, conn);
        }
        let known = self.parties.get(&(shard, session)).copied();
        let known = known.filter(|party| party.conn.is_some() || has_cart(session));
        if known.is_some_and(|party| incarnation < party.incarnation) {
            return (false, Some(conn));
        }
        let old = known.and_then(|party| party.conn);
        old.map(|old| self.conns.remove(&(shard, old)));
        self.conns.insert((shard, conn), session);
        let party = Party { conn: Some(conn), incarnation, away_since: now.mono };
        self.parties.insert((shard, session), party);
        (true, old)
    }

    /// The connection has ended, as far as a shard is concerned.
    pub(crate) fn part(&mut self, now: Now, shard: ShardId, conn: ConnId) {
        let Some(session) = self.conns.remove(&(shard, conn)) else { return };
        let party = self.parties.get_mut(&(shard, session)).expect("who is met is known");
        (party.conn, party.away_since) = (None, now.mono);
    }

    /// Whether nobody is waited for any more.
    pub(crate) fn is_given_up(&self, now: Now, shard: ShardId, session: SessionId) -> bool {
        let party = self.parties[&(shard, session)];
        party.conn.is_none() && party.away_since.after(self.rules.grace_ms) <= now.mono
    }

    /// For whom the connection acts.
    pub(crate) fn session(&self, shard: ShardId, conn: ConnId) -> Option<SessionId> {
        self.conns.get(&(shard, conn)).copied()
    }

    /// The connection of a session, as this shard knows it.
    pub(crate) fn conn(&self, shard: ShardId, session: SessionId) -> Option<ConnId> {
        self.parties.get(&(shard, session))?.conn
    }

    /// All whom this shard has met and who are there.
    pub(crate) fn present(&self, shard: ShardId) -> impl Iterator<Item = (ConnId, SessionId)> {
        let all = self.conns.iter().filter(move |((of, _), _)| *of == shard);
        all.map(|((_, conn), session)| (*conn, *session))
    }

    pub(crate) fn clock(&self, session: SessionId, room: Room) -> Option<Clock> {
        self.clocks.get(&(session, room)).copied()
    }

    /// The clock of before with which the cart goes on, if there is one.
    pub(crate) fn kept(&self, now: Now, session: SessionId, room: Room) -> Option<Clock> {
        self.kept.get(&(session, room)).filter(|(_, until)| *until > now.mono).map(|(clock, _)| *clock)
    }

    /// The clock of a cart that gets a seat.
    pub(crate) fn begin(&mut self, now: Now, session: SessionId, room: Room) -> Clock {
        if let Some(clock) = self.clock(session, room) {
            return clock;
        }
        let fresh = Clock {
            first: now.mono,
            ends: now.mono.after(self.hold_ms),
            expires_at: now.wall.after(self.hold_ms),
            extends: 0,
        };
        let clock = self.kept(now, session, room).unwrap_or(fresh);
        assert!(clock.ends > now.mono, "letting go is a new life");
        self.kept.remove(&(session, room));
        self.clocks.insert((session, room), clock);
        clock
    }

    /// The cart is extended.
    pub(crate) fn extend(&mut self, now: Now, session: SessionId, room: Room) -> Clock {
        let (extends_max, life_ms) = (self.rules.extends_max, self.rules.life_max_ms);
        let clock = self.clocks.get_mut(&(session, room)).expect("what is extended is there");
        let last = clock.first.after(life_ms);
        assert!(clock.extends < extends_max && clock.ends < last, "it is extended too often, or lives too long");
        let ms = self.hold_ms.min(last.since(now.mono));
        (clock.ends, clock.expires_at) = (now.mono.after(ms), now.wall.after(ms));
        clock.extends += 1;
        *clock
    }

    /// Whether an extension must be refused.
    pub(crate) fn is_at_limit(&self, session: SessionId, room: Room) -> bool {
        self.clock(session, room).is_some_and(|clock| {
            clock.extends >= self.rules.extends_max || clock.ends >= clock.first.after(self.rules.life_max_ms)
        })
    }

    /// Forgets the clocks of carts without seats. `let_go`: their owners gave them back.
    pub(crate) fn settle(&mut self, now: Now, let_go: bool, has_seats: impl Fn(SessionId, Room) -> bool) {
        let hold_ms = self.hold_ms;
        let kept = &mut self.kept;
        self.clocks.retain(|&(session, room), clock| {
            let stays = has_seats(session, room);
            if !stays && let_go {
                kept.insert((session, room), (*clock, now.mono.after(hold_ms)));
            }
            stays
        });
    }

    pub(crate) fn assert_empty(&self) {
        assert!(self.conns.is_empty() && self.clocks.is_empty(), "somebody is left");
    }
}
