//! What the oracle knows of the second protocol: whether requests of carts are answered truly, wholly or not at all,
//! and whether a cart is told as it is, to nobody but its owner.

use butaca::auth::session::read_session;
use butaca::engine::command::{
    Caller, CartRequest, CartTold, CartView, CartWhy, Details, Effect, Input, Owner, Reject, SessionId, Told,
};
use butaca::engine::ids::{ConnId, Epoch, SeatId, ShardId};
use butaca::engine::shard::Shard;
use butaca::engine::time::{Now, WallMillis};

use super::frames::Map;
use crate::simulation::frames::{Room, Seat};
use crate::simulation::names;
use crate::simulation::oracle::{Oracle, Whose};

/// The seats of a cart, in the order of selecting, and when it ends.
pub(crate) type Content = (Vec<Seat>, Option<WallMillis>);

/// Whether a cart is told for this reason because something ended by itself.
pub(crate) fn ends_by_itself(why: &CartWhy) -> bool {
    use butaca::engine::command::CartReason::{Disconnected, Expired};
    matches!(why, CartWhy::Expiring { .. } | CartWhy::Changed { reason: Expired | Disconnected, .. })
}

fn numbers(seats: &[SeatId]) -> Vec<Seat> {
    seats.iter().map(names::number).collect()
}

fn content(view: &CartView) -> Content {
    (numbers(&view.seats), view.expires_at)
}

impl Oracle {
    /// Looks at what a shard has made of a request of the second protocol.
    pub(crate) fn observe_second(&mut self, id: ShardId, now: Now, input: &Input<'_>, effects: &[Effect]) {
        let (caller, request) = match *input {
            Input::Cart { caller, request, .. } => (caller, Some(request)),
            Input::Resume { caller, .. } => (caller, None),
            _ => unreachable!("the caller has looked"),
        };
        let mut effects = effects;
        if request != Some(&CartRequest::Leave) {
            let (is_let_in, gone) = self.meets(id, now, caller);
            if let Some(gone) = gone {
                let Some((Effect::Superseded { conn }, rest)) = effects.split_first() else {
                    panic!("{gone:?} is not told that its session goes on elsewhere: {effects:?}")
                };
                assert_eq!(*conn, gone);
                effects = rest;
            }
            if !is_let_in {
                return assert!(effects.is_empty(), "who was superseded is answered: {effects:?}");
            }
        }
        let before = self.cart_at(id, input, caller);
        effects.iter().for_each(|effect| {
            if !matches!(effect, Effect::Resumed(_) | Effect::Synced(_) | Effect::Refused { .. }) {
                self.check_effect(id, now, input, effect);
            }
        });
        // A room whose whole cart is swapped lives on.
        self.close_empty_rooms();
        self.settle(now, true);
        let replies: Vec<&Effect> = effects.iter().filter(|effect| is_reply(effect)).collect();
        let [reply] = replies[..] else { panic!("one reply to {input:?}: {effects:?}") };
        let changes = effects.iter().filter(|effect| matches!(effect, Effect::Change(_))).count();
        self.check_reply(id, now, (input, caller), reply, (changes, &before));
    }

    fn meets(&mut self, id: ShardId, now: Now, caller: Caller<'_>) -> (bool, Option<ConnId>) {
        let identity = caller.identity.expect("who speaks the second protocol is somebody");
        let Owner::Session(session) = identity.owner else { panic!("nobody has a token") };
        let (holds, shards) = (&self.holds, self.shards);
        let has_cart = |session| {
            let is_here = |room: Room| names::owner(room, shards) == id;
            holds.iter().any(|((room, _), held)| is_here(*room) && held.whose == Whose::Session(session))
        };
        self.carts.meet(now, (id, caller.conn), (session, identity.incarnation), has_cart)
    }

    /// What the caller has in the room of its request.
    fn cart_at(&self, id: ShardId, input: &Input<'_>, caller: Caller<'_>) -> Vec<Seat> {
        let Input::Cart { room, .. } = input else { return Vec::new() };
        let session = self.carts.session(id, caller.conn);
        session.map_or(Vec::new(), |session| self.cart(session, names::number_of(room)).0)
    }

    fn check_reply(
        &self,
        id: ShardId,
        now: Now,
        (input, caller): (&Input<'_>, Caller<'_>),
        reply: &Effect,
        (changes, before): (usize, &[Seat]),
    ) {
        let Input::Cart { room, request, .. } = *input else {
            let (Effect::Resumed(resumed), Some(session)) = (reply, self.carts.session(id, caller.conn)) else {
                panic!("{input:?} is answered with {reply:?}")
            };
            for found in &resumed.carts {
                let truth = self.cart(session, names::number(&found.room));
                assert_eq!(content(&found.cart), truth, "a cart of {:?} is told to {:?}", found.room, caller.conn);
            }
            return;
        };
        let room = names::number_of(room);
        let session = || self.carts.session(id, caller.conn).expect("it was met");
        if let Effect::Refused { reject, details, .. } = reply {
            assert_eq!(changes, 0, "a request that is refused changes nothing");
            let is_true = self.is_true(now, (session(), room), request, *reject, details.as_deref(), caller.conn);
            return assert!(is_true, "a refusal that lies: {request:?} {reply:?}");
        }
        match (request, reply) {
            (CartRequest::Select { seats, release, .. }, Effect::Cart(told)) => {
                let (CartWhy::Held { seats: held }, after) = (&told.why, self.cart(session(), room).0) else {
                    panic!("{request:?} is answered with {reply:?}")
                };
                assert_eq!(held, seats);
                let (seats, release) = (numbers(seats), numbers(release));
                assert!(seats.iter().all(|seat| after.contains(seat)), "a part of {seats:?} is held: {after:?}");
                assert!(release.iter().all(|seat| before.contains(seat) && !after.contains(seat)));
                let new = seats.iter().filter(|seat| !before.contains(seat)).count();
                assert_eq!(changes, new + release.len(), "nothing but what was asked for");
                let most = self.rules.seats_per_client_max as usize;
                assert!(most == 0 || new == 0 || after.len() <= most, "more than {most} seats");
            }
            (CartRequest::Release { .. } | CartRequest::ReleaseAll, Effect::Cart(told)) => {
                let CartWhy::Released { seats } = &told.why else { panic!("{request:?} is answered with {reply:?}") };
                let gone = if let CartRequest::Release { seats } = request { numbers(seats) } else { before.to_vec() };
                assert_eq!((numbers(seats), changes), (gone.clone(), gone.len()));
                assert!(gone.iter().all(|seat| before.contains(seat)), "strangers' seats are released");
            }
            (CartRequest::Extend, Effect::Cart(told)) => assert_eq!((&told.why, changes), (&CartWhy::Extended, 0)),
            (CartRequest::Sync, Effect::Synced(synced)) => {
                assert!(self.is_member(room, caller.conn), "a stranger gets a map");
                assert_eq!((Some((synced.at.epoch, synced.at.seq)), changes), (self.present(room), 0));
                assert_eq!(content(&synced.cart), self.cart(session(), room));
            }
            (CartRequest::Join { .. }, Effect::Entered(entered)) => {
                assert_eq!((content(&entered.cart), changes), (self.cart(session(), room), 0));
            }
            (CartRequest::Leave, Effect::Left { .. }) => assert_eq!(changes, 0),
            _ => panic!("{request:?} is answered with {reply:?}"),
        }
    }

    fn is_true(
        &self,
        now: Now,
        (session, room): (SessionId, Room),
        request: &CartRequest,
        reject: Reject,
        details: Option<&Details>,
        conn: ConnId,
    ) -> bool {
        let whose = |seat: Seat| self.holds.get(&(room, seat)).map(|held| held.whose);
        let own = Some(Whose::Session(session));
        let conflicts = || numbers_of(details);
        let empty = Vec::new();
        let (seats, release) = match request {
            CartRequest::Select { seats, release, .. } => (numbers(seats), numbers(release)),
            CartRequest::Release { seats } => (Vec::new(), numbers(seats)),
            _ => (empty.clone(), empty),
        };
        match reject {
            Reject::SeatsUnavailable => {
                let taken = |seat: &Seat| whose(*seat).is_some_and(|of| Some(of) != own);
                seats.into_iter().filter(taken).collect::<Vec<_>>() == conflicts() && !conflicts().is_empty()
            }
            Reject::NotHeld | Reject::NotOwner => {
                let theirs: Vec<Seat> = release.into_iter().filter(|&seat| whose(seat) != own).collect();
                let all_free = theirs.iter().all(|&seat| whose(seat).is_none());
                theirs == conflicts() && !theirs.is_empty() && (reject == Reject::NotHeld || !all_free)
            }
            Reject::LimitExceeded => {
                let most = self.rules.seats_per_client_max as usize;
                let more = seats.iter().filter(|&&seat| whose(seat) != own).count();
                most != 0 && self.cart(session, room).0.len() + more > most + release.len()
            }
            Reject::HoldExpired { .. } if *request == CartRequest::Extend => self.cart(session, room).0.is_empty(),
            Reject::HoldExpired { .. } => {
                let kept = self.carts.kept(now, session, room);
                kept.is_some_and(|clock| clock.ends <= now.mono) && self.carts.clock(session, room).is_none()
            }
            Reject::ExtendLimit => self.carts.is_at_limit(session, room),
            Reject::BadRequest if *request == CartRequest::Sync => !self.is_member(room, conn),
            Reject::BadRequest => seats.iter().any(|seat| release.contains(seat)),
            _ => false,
        }
    }

    /// A cart is told as it is, to a connection of its owner.
    pub(crate) fn check_cart(&mut self, id: ShardId, now: Now, told: &CartTold) {
        let room = names::number(&told.room);
        let session = self.carts.session(id, told.to.conn()).expect("only who was met is told of a cart");
        if told.why == CartWhy::Extended && matches!(told.to, Told::Asker(..)) {
            self.carts.extend(now, session, room);
        }
        assert_eq!(content(&told.cart), self.cart(session, room), "the cart in room {room}: {:?}", told.why);
    }

    /// What a session has in a room.
    pub(crate) fn cart(&self, session: SessionId, room: Room) -> Content {
        let own = self.holds.iter().filter(|((of, _), held)| *of == room && held.whose == Whose::Session(session));
        let mut seats: Vec<(u64, Seat)> = own.map(|((_, seat), held)| (held.seq, *seat)).collect();
        seats.sort_unstable();
        let clock = self.carts.clock(session, room).filter(|_| !seats.is_empty());
        (seats.into_iter().map(|(_, seat)| seat).collect(), clock.map(|clock| clock.expires_at))
    }

    /// What a session has in a room, if the room's owner knows this socket as the one of the session.
    pub(crate) fn cart_told_to(&self, session: &str, room: Room, pipe: usize) -> Option<Content> {
        let session = read_session(session).expect("a name of a session");
        let conn = self.carts.conn(names::owner(room, self.shards), session)?;
        (self.pipes.get(&conn) == Some(&pipe)).then(|| self.cart(session, room))
    }

    /// Each shard has the same in its carts.
    pub(crate) fn compare_carts(&self, (id, shard): (ShardId, &Shard)) {
        for (conn, session) in self.carts.present(id) {
            for room in self.rooms_of(id) {
                let cart = shard.cart_of(conn, names::room_id(room).as_str());
                assert_eq!(content(&cart), self.cart(session, room), "what {conn:?} has in room {room}");
            }
        }
    }

    /// The map of a room after a change.
    pub(crate) fn map(&self, room: Room, epoch: Epoch, seq: u64) -> Option<Map> {
        Some(self.state(room, epoch, seq)?.keys().map(|&seat| (seat, 1)).collect())
    }
}

fn numbers_of(details: Option<&Details>) -> Vec<Seat> {
    details.map_or(Vec::new(), |details| details.conflicts.iter().map(|(seat, _)| names::number(seat)).collect())
}

/// Whether somebody who asked is answered by it.
fn is_reply(effect: &Effect) -> bool {
    match effect {
        Effect::Cart(told) => matches!(told.to, Told::Asker(..)),
        Effect::Entered(_) | Effect::Synced(_) | Effect::Resumed(_) | Effect::Left { .. } => true,
        Effect::Refused { .. } => true,
        _ => false,
    }
}
