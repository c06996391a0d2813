//! Durable mode: effects that wait until the store has what they tell.
//!
//! One queue a shard keeps the order of rooms and of connections. An effect passes at once when it tells nothing new: a
//! refusal, or a release that needs no commit because a restart would have the same result. It waits all the same when
//! something of its room or of its connection waits. When the store does not answer in time the selects that wait are
//! undone: nobody was told of them. Invariants: effects leave in the order in which they came in, except that full
//! states come behind the changes that they contain when these fail; what waits is bounded by what a shard decides in
//! the time until the refusal, and counted in bytes, of each connection and of all. Pure. Never here: encodings (what
//! was captured is opaque), the store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::audience::full_states::Captured;
use crate::engine::command::{
    Asker, CartReason, CartTold, CartView, CartWhy, Change, ChangeKind, Details, Effect, Entered, Reject,
    ReleaseReason, RequestType, ResumedCart, SaleAnswer, SeatStatus, Synced, Told,
};
use crate::engine::ids::{ConnId, Epoch, RoomId, SeatId};
use crate::engine::time::Millis;
use crate::limits::store::STORE_REFUSE_MS;
use crate::planted::{Bug, has};

/// An effect, and the full state of its room when it was decided, for one that is answered with it.
pub type Waiting = (Effect, Option<Captured>);

/// The effects of one shard that wait.
#[derive(Debug, Default)]
pub struct Gate {
    queue: VecDeque<Entry>,
    /// How much of it is of each connection, and of each room.
    conns: BTreeMap<ConnId, Withheld>,
    rooms: BTreeMap<RoomId, Withheld>,
    bytes: usize,
}

/// How much is withheld.
#[derive(Clone, Copy, Default, Debug)]
struct Withheld {
    effects: u32,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// The batch that must be committed.
    batch: u64,
    since: Millis,
    waiting: Waiting,
}

/// What has to be done when the store has not answered.
#[derive(Debug, Default)]
pub struct Failed {
    /// Selects to undo, by room and life of the room, with the number that the room's sequence goes back to.
    pub retracts: Vec<Retract>,
    /// What is to be performed after that, in order: refusals in the place of the selects, and all else that waited.
    /// Who joined one of the rooms to undo is to be told so without a full state, which comes at the end.
    pub effects: Vec<Effect>,
}

/// Selects of one room that are undone.
#[derive(Debug)]
pub struct Retract {
    /// The room.
    pub room: RoomId,
    /// The life of the room.
    pub epoch: Epoch,
    /// Each seat that is still held, with the `seq` of its select, the last first.
    pub selects: Vec<(SeatId, u64)>,
    /// The number of the last change that remains.
    pub seq: u64,
}

impl Gate {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How much waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of memory that what waits takes, about; full states, which others share, are not among them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same of one connection.
    #[must_use]
    pub fn bytes_of(&self, conn: ConnId) -> usize {
        self.conns.get(&conn).map_or(0, |withheld| withheld.bytes)
    }

    /// Whether something of this room waits.
    #[must_use]
    pub fn waits_for(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    /// Whether the effect may be performed at once.
    #[must_use]
    pub fn admits(&self, effect: &Effect) -> bool {
        if self.is_empty() && !needs_commit(effect) {
            return true;
        }
        let (conn, room) = parties(effect);
        let conn_is_free = conn.is_none_or(|conn| !self.conns.contains_key(&conn));
        let tells_state = !matches!(effect, Effect::Refused { .. } | Effect::Left { .. });
        let mut told: &[ResumedCart] = &[];
        if let Effect::Resumed(resumed) = effect {
            told = &resumed.carts;
        }
        let mut rooms = room.into_iter().chain(told.iter().map(|found| &found.room));
        let room_waits = rooms.any(|room| self.rooms.contains_key(room));
        !needs_commit(effect) && conn_is_free && !(tells_state && room_waits)
    }

    /// Keeps the effect until this batch is committed.
    pub fn withhold(&mut self, now: Millis, batch: u64, waiting: Waiting) {
        debug_assert!(!self.admits(&waiting.0), "what may be told at once is not kept");
        if let Some(last) = self.queue.back() {
            assert!(last.batch <= batch, "what is decided later waits for no earlier batch");
            assert!(last.since <= now, "what waits stands in the order of its time");
        }
        let (conn, room) = parties(&waiting.0);
        let bytes = bytes_of(&waiting);
        self.bytes += bytes;
        if let Some(room) = room {
            self.rooms.entry(room.clone()).or_default().add(bytes);
        }
        if let Some(conn) = conn {
            self.conns.entry(conn).or_default().add(bytes);
        }
        self.queue.push_back(Entry { batch, since: now, waiting });
        debug_assert!(self.bytes >= bytes, "what is withheld is counted");
    }

    /// The next effect that waits for no more than this batch.
    pub fn next_committed(&mut self, batch: u64) -> Option<Waiting> {
        let batch = batch + u64::from(has(Bug::AckTooEarly));
        let entry = self.queue.pop_front_if(|entry| entry.batch <= batch)?;
        self.count_down(&entry.waiting);
        debug_assert!(!self.queue.is_empty() || self.rooms.is_empty(), "rooms are counted while something waits");
        assert!(!self.queue.is_empty() || self.conns.is_empty(), "connections are counted while something waits");
        Some(entry.waiting)
    }

    /// Whether something has waited too long.
    #[must_use]
    pub fn is_overdue(&self, now: Millis) -> bool {
        self.queue.front().is_some_and(|entry| now.since(entry.since) >= STORE_REFUSE_MS)
    }

    /// Gives everything up that waits.
    pub fn fail(&mut self) -> Failed {
        (self.conns, self.rooms, self.bytes) = Default::default();
        let waiting: Vec<Effect> = self.queue.drain(..).map(|entry| entry.waiting.0).collect();
        let mut undoing = Undoing::default();
        let kept: Vec<Effect> = waiting.into_iter().filter_map(|effect| undoing.undo(effect)).collect();
        let (mut states, mut effects): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|effect| matches!(effect, Effect::Snapshot { .. }));
        states.extend(effects.iter().filter_map(|effect| undoing.state_after(effect)));
        effects.extend(states.into_iter().map(|effect| undoing.renumber(effect)));
        effects.extend(undoing.carts_after());
        effects.iter_mut().for_each(|effect| undoing.show_as_it_is(effect));
        debug_assert!(self.is_empty(), "everything that waited is given up");
        let retracts = undoing.rooms.into_iter().map(|((room, _), undone)| Retract {
            room,
            epoch: undone.epoch,
            // What was released since is over, and the log has said so.
            selects: undone
                .selects
                .into_iter()
                .rev()
                .filter(|(seat, select)| undone.held.get(seat) == Some(select))
                .collect(),
            seq: undone.seq,
        });
        Failed { retracts: retracts.collect(), effects }
    }

    /// Drops what is told of these rooms, and gives back what the backend is to be answered.
    pub fn forget(&mut self, is_gone: impl Fn(&str) -> bool) -> Vec<Effect> {
        let of_gone = |entry: &Entry| parties(&entry.waiting.0).1.is_some_and(|room| is_gone(room.as_str()));
        let (gone, kept) = std::mem::take(&mut self.queue).into_iter().partition::<VecDeque<_>, _>(of_gone);
        self.queue = kept;
        debug_assert!(self.queue.iter().is_sorted_by_key(|entry| entry.batch), "what is left keeps its order");
        gone.iter().for_each(|entry| self.count_down(&entry.waiting));
        gone.into_iter().map(|entry| entry.waiting.0).filter(|effect| matches!(effect, Effect::Api(_))).collect()
    }

    fn count_down(&mut self, waiting: &Waiting) {
        let (conn, room) = parties(&waiting.0);
        let bytes = bytes_of(waiting);
        assert!(self.bytes >= bytes, "what leaves was counted when it came");
        self.bytes -= bytes;
        if let Some(room) = room {
            down(&mut self.rooms, room, bytes);
        }
        if let Some(conn) = conn {
            down(&mut self.conns, &conn, bytes);
        }
    }
}

/// The rooms whose changes are undone.
#[derive(Default)]
struct Undoing {
    rooms: BTreeMap<(RoomId, u64), Undone>,
    /// Carts of those who have not got their seats.
    carts: Vec<CartTold>,
}

struct Undone {
    epoch: Epoch,
    selects: Vec<(SeatId, u64)>,
    /// The selects that are still held.
    held: BTreeMap<SeatId, u64>,
    seq: u64,
}

impl Undoing {
    /// What an effect becomes; nothing when it tells only of a hold that never was.
    fn undo(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Change(mut change) => {
                let undone = self.of(&change.room, change.epoch, change.seq - 1);
                assert!(undone.seq < change.seq, "the changes of a room wait in their order");
                match &change.kind {
                    ChangeKind::Selected { status, was, .. }
                        if (*was, *status) != (SeatStatus::Free, SeatStatus::Held) =>
                    {
                        // The backend did it: that stands, and with it the select before it.
                        if !has(Bug::UndoneUnderCheckout) {
                            undone.held.remove(&change.seat);
                        }
                        undone.seq += 1;
                        Arc::make_mut(&mut change).seq = undone.seq;
                        Some(Effect::Change(change))
                    }
                    ChangeKind::Selected { .. } => {
                        undone.selects.push((change.seat.clone(), change.seq));
                        undone.held.insert(change.seat.clone(), change.seq);
                        let reject = Reject::PersistenceUnavailable;
                        asker(&change).map(|to| refused(to, reject, RequestType::Select, &change))
                    }
                    ChangeKind::Released { reason } => {
                        if undone.held.remove(&change.seat).is_none() {
                            undone.seq += 1;
                            if has(Bug::SkippedNumber) {
                                return Some(Effect::Change(change));
                            }
                            Arc::make_mut(&mut change).seq = undone.seq;
                            return Some(Effect::Change(change));
                        }
                        debug_assert!(change.answers.is_none() || *reason == ReleaseReason::Released);
                        asker(&change).map(|to| refused(to, Reject::NotHeld, RequestType::Release, &change))
                    }
                }
            }
            Effect::Again { to, ref room, ref seat, epoch, seq, .. } => {
                let undone = self.rooms.get(&(room.clone(), epoch.0));
                if undone.is_some_and(|undone| undone.held.get(seat) == Some(&seq)) {
                    let (room, seat) = (room.clone(), Some(seat.clone()));
                    let (reject, request) = (Reject::PersistenceUnavailable, RequestType::Select);
                    return Some(Effect::Refused { to, reject, request, room, seat, details: None });
                }
                Some(effect)
            }
            Effect::Joined { .. } => Some(self.renumber(effect)),
            Effect::Cart(told) => Some(self.undo_cart(told)),
            Effect::Entered(mut entered) => {
                self.take_out_undone(&entered.room, &mut entered.cart);
                Some(Effect::Entered(entered))
            }
            Effect::Synced(mut synced) => {
                self.take_out_undone(&synced.room, &mut synced.cart);
                Some(Effect::Synced(synced))
            }
            Effect::Resumed(mut resumed) => {
                resumed.carts.iter_mut().for_each(|found| self.take_out_undone(&found.room, &mut found.cart));
                Some(Effect::Resumed(resumed))
            }
            Effect::Api(mut answer) => {
                // What has become of it is not known, and asking again is safe.
                let (reject, details) = (Reject::PersistenceUnavailable, Details::default());
                answer.answer = SaleAnswer::Refused { reject, details };
                Some(Effect::Api(answer))
            }
            Effect::Left { .. }
            | Effect::Snapshot { .. }
            | Effect::Refused { .. }
            | Effect::Superseded { .. }
            | Effect::Keep(_)
            | Effect::Room(_) => Some(effect),
        }
    }

    /// The cart as it was at this point without what has never been: so each is told in the order of what happened, and
    /// the last one is what its owner has.
    fn take_out_undone(&self, room: &RoomId, cart: &mut Arc<CartView>) {
        let lives = self.rooms.iter().filter(|((of, _), _)| of == room);
        let is_undone = |seat: &SeatId| lives.clone().any(|(_, undone)| undone.held.contains_key(seat));
        if cart.seats.iter().any(is_undone) {
            let cart = Arc::make_mut(cart);
            cart.seats.retain(|seat| !is_undone(seat));
            cart.expires_at = cart.expires_at.filter(|_| !cart.seats.is_empty());
        }
    }

    /// Who asked for seats of a room whose changes are undone has not got them. All else is told with the cart as it
    /// was then, without them.
    fn undo_cart(&mut self, mut told: Box<CartTold>) -> Effect {
        if let (Told::Asker(to, request), CartWhy::Held { .. }) = (told.to, &told.why)
            && self.rooms.contains_key(&(told.room.clone(), told.epoch.0))
        {
            let (reject, room) = (Reject::PersistenceUnavailable, told.room.clone());
            self.carts.push(*told);
            return Effect::Refused { to, reject, request, room, seat: None, details: None };
        }
        self.take_out_undone(&told.room, &mut told.cart);
        if let Some(undone) = self.rooms.get(&(told.room.clone(), told.epoch.0)) {
            told.seq = undone.seq;
        }
        Effect::Cart(told)
    }

    /// Who has not got its seats may have given others back in the same step: it is told what it has.
    fn carts_after(&self) -> Vec<Effect> {
        let why = || CartWhy::Changed { reason: CartReason::Restored, gone: Vec::new(), order: None };
        let seq = |told: &CartTold| self.rooms.get(&(told.room.clone(), told.epoch.0)).map_or(told.seq, |of| of.seq);
        let after = |told: &CartTold| {
            let to = Told::Conn(told.to.conn());
            Effect::Cart(Box::new(CartTold { to, why: why(), seq: seq(told), ..told.clone() }))
        };
        self.carts.iter().map(after).collect()
    }

    fn of(&mut self, room: &RoomId, epoch: Epoch, seq: u64) -> &mut Undone {
        let fresh = || Undone { epoch, selects: Vec::new(), held: BTreeMap::new(), seq };
        self.rooms.entry((room.clone(), epoch.0)).or_insert_with(fresh)
    }

    /// Who joined a room whose changes are undone gets its full state behind them.
    fn state_after(&self, effect: &Effect) -> Option<Effect> {
        let Effect::Joined { to, room, seq, epoch, .. } = effect else { return None };
        let is_undone = self.rooms.contains_key(&(room.clone(), epoch.0));
        is_undone.then(|| Effect::Snapshot { to: to.conn, room: room.clone(), seq: *seq, epoch: *epoch })
    }

    /// What a v2 member is shown of a room is shown as it is when everything has been undone.
    fn show_as_it_is(&self, effect: &mut Effect) {
        let seq = |room: &RoomId, epoch: Epoch| self.rooms.get(&(room.clone(), epoch.0)).map(|undone| undone.seq);
        let (room, epoch, at) = if let Effect::Entered(entered) = effect {
            (&entered.room, entered.at.epoch, &mut entered.at.seq)
        } else if let Effect::Synced(synced) = effect {
            (&synced.room, synced.at.epoch, &mut synced.at.seq)
        } else {
            return;
        };
        if let Some(seq) = seq(room, epoch) {
            *at = seq;
        }
    }

    /// A full state has the number that its room has at this point.
    fn renumber(&self, mut effect: Effect) -> Effect {
        if let Effect::Joined { room, seq, epoch, .. } | Effect::Snapshot { room, seq, epoch, .. } = &mut effect
            && let Some(undone) = self.rooms.get(&(room.clone(), epoch.0))
        {
            *seq = undone.seq;
        }
        effect
    }
}

/// Who asked for the change.
fn asker(change: &Change) -> Option<Asker> {
    Some(Asker { conn: change.actor?, ticket: change.answers? })
}

fn refused(to: Asker, reject: Reject, request: RequestType, change: &Change) -> Effect {
    let (room, seat) = (change.room.clone(), Some(change.seat.clone()));
    Effect::Refused { to, reject, request, room, seat, details: None }
}

/// Whether an effect tells what a restart would forget. The end of a hold by its deadline or with its connection does
/// not: a restart ends the first by the same deadline, and the second by the absence of the client.
fn needs_commit(effect: &Effect) -> bool {
    match effect {
        Effect::Change(change) => match change.kind {
            ChangeKind::Released { reason } => !matches!(reason, ReleaseReason::Expired | ReleaseReason::Disconnected),
            ChangeKind::Selected { .. } => true,
        },
        Effect::Cart(told) => told.why == CartWhy::Extended,
        Effect::Api(_) | Effect::Room(_) => true,
        Effect::Joined { .. }
        | Effect::Left { .. }
        | Effect::Snapshot { .. }
        | Effect::Again { .. }
        | Effect::Refused { .. }
        | Effect::Entered(_)
        | Effect::Synced(_)
        | Effect::Resumed(_)
        | Effect::Superseded { .. }
        | Effect::Keep(_) => false,
    }
}

/// The connection that is told, and the room.
fn parties(effect: &Effect) -> (Option<ConnId>, Option<&RoomId>) {
    match effect {
        Effect::Joined { to, room, .. }
        | Effect::Left { to, room, .. }
        | Effect::Again { to, room, .. }
        | Effect::Refused { to, room, .. } => (Some(to.conn), Some(room)),
        Effect::Snapshot { to, room, .. } => (Some(*to), Some(room)),
        Effect::Change(change) => (change.actor, Some(&change.room)),
        Effect::Entered(entered) => (Some(entered.to.conn), Some(&entered.room)),
        Effect::Synced(synced) => (Some(synced.to.conn), Some(&synced.room)),
        Effect::Resumed(resumed) => (Some(resumed.to.conn), None),
        Effect::Cart(told) => (Some(told.to.conn()), Some(&told.room)),
        Effect::Superseded { conn } => (Some(*conn), None),
        Effect::Api(answer) => (None, Some(&answer.room)),
        Effect::Keep(kept) => (None, Some(&kept.room)),
        Effect::Room(news) => (None, Some(&news.room)),
    }
}

/// What a waiting effect takes, about.
fn bytes_of((effect, captured): &Waiting) -> usize {
    let cart = |cart: &CartView| size_of::<CartView>() + cart.seats.len() * size_of::<SeatId>();
    let boxed = match effect {
        Effect::Change(change) => {
            let user_info = match &change.kind {
                ChangeKind::Selected { user_info, .. } => user_info.len(),
                ChangeKind::Released { .. } => 0,
            };
            size_of::<Change>() + user_info
        }
        Effect::Entered(entered) => size_of::<Entered>() + cart(&entered.cart),
        Effect::Synced(synced) => size_of::<Synced>() + cart(&synced.cart),
        Effect::Resumed(resumed) => resumed.carts.iter().map(|resumed| cart(&resumed.cart)).sum(),
        Effect::Cart(told) => size_of::<CartTold>() + cart(&told.cart),
        Effect::Joined { .. }
        | Effect::Left { .. }
        | Effect::Again { .. }
        | Effect::Refused { .. }
        | Effect::Snapshot { .. }
        | Effect::Superseded { .. }
        | Effect::Api(_)
        | Effect::Keep(_)
        | Effect::Room(_) => 0,
    };
    size_of::<Entry>() + boxed + captured.as_ref().map_or(0, |captured| captured.since.len())
}

impl Withheld {
    fn add(&mut self, bytes: usize) {
        self.effects += 1;
        self.bytes += bytes;
    }
}

fn down<K: Ord>(counts: &mut BTreeMap<K, Withheld>, key: &K, bytes: usize) {
    let withheld = counts.get_mut(key).expect("what waits is counted");
    assert!(withheld.effects > 0, "a count of nothing is not kept");
    withheld.effects -= 1;
    withheld.bytes -= bytes;
    if withheld.effects == 0 {
        counts.remove(key);
    }
}
