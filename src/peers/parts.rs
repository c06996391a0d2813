//! What the cluster's thread does: it carries out the orders of [`Member`], and tells shards what follows.
//!
//! Invariants: what a call was sent with is never younger than when it was sent; a part that is forgotten is loaded
//! again only after its shard has forgotten it; grants follow every event of the member at once. Never here: when what
//! is due.

mod figures;
mod lives;
mod storing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::Book;
use super::owners::Owners;
use super::shared::Shared;
use super::shares::Shares;
use super::wrap::{self, Given};
use super::{Setup, Shards};
use crate::cluster::call::{Answer, Call};
use crate::cluster::entry::VERSION;
use crate::cluster::member::{Event, Member, Order, Rules};
use crate::cluster::names::{Life, PartId};
use crate::engine::command::Position;
use crate::engine::ids::{RoomId, ShardId, Spread};
use crate::engine::time::Millis;
use crate::persist::link::StoreLink;
use crate::persist::parts::{PartAck, PartLink, PartNews};
use crate::persist::queue::{Offer, Queue};
use crate::persist::stores::redis::parts::{PartStore, Step};
use crate::persist::stores::store::StoreError;

pub(super) struct Cluster<S: Shards> {
    setup: Setup,
    shards: S,
    link: Arc<StoreLink>,
    parts: Arc<PartLink<S::Letter>>,
    shared: Arc<Shared>,
    store: PartStore,
    own: Life,
    book: Arc<Mutex<Book>>,
    member: Member,
    shares: Shares,
    owners: Owners,
    /// Calls that are to be made, in order.
    calls: Vec<Call>,
    /// Parts that are to be read, with their fences.
    reading: BTreeMap<PartId, u64>,
    /// Where the rooms of parts stand that were given to this node, with the fence that they then had.
    given: BTreeMap<PartId, (u64, Vec<(RoomId, Position)>)>,
    /// Parts that a shard has, or is being told to have.
    held: BTreeMap<PartId, Held>,
    /// Parts that a shard is to forget, or, once it has, of which its last batch may not have been taken.
    forgetting: BTreeSet<PartId>,
    forgotten: Vec<PartId>,
    /// News that a shard's mailbox had no room for.
    news: Vec<VecDeque<PartNews>>,
    /// The last batch of each shard that was taken.
    taken: Vec<u64>,
    /// For how many of our beats the heart of each life has not moved.
    silent: BTreeMap<Life, (u64, u64)>,
    /// Holds that were restored, and records that were skipped.
    restored: (u64, u64),
}

#[derive(Debug)]
struct Held {
    fence: u64,
    /// The last batch of its shard that may know nothing of it, once the shard has it.
    known_after: Option<u64>,
}

type Links<S> = (S, Arc<StoreLink>, Arc<PartLink<<S as Shards>::Letter>>, Arc<Shared>);

impl<S: Shards> Cluster<S> {
    pub(super) fn new(
        setup: Setup,
        (shards, link, parts, shared): Links<S>,
        (store, own, book): (PartStore, Life, Arc<Mutex<Book>>),
    ) -> Self {
        let spread = parts.spread();
        let rules = Rules {
            parts: setup.parts,
            lease_ms: setup.redis.lease_ms,
            shards: u8::try_from(spread.shards()).expect("SHARDS_MAX fits a byte"),
            version: VERSION,
        };
        Self {
            member: Member::new(own.clone(), rules),
            shares: Shares::new(spread),
            owners: Owners::new(setup.parts),
            calls: Vec::new(),
            reading: BTreeMap::new(),
            given: BTreeMap::new(),
            held: BTreeMap::new(),
            forgetting: BTreeSet::new(),
            forgotten: Vec::new(),
            news: std::iter::repeat_with(VecDeque::new).take(spread.shards()).collect(),
            taken: vec![0; spread.shards()],
            silent: BTreeMap::new(),
            restored: (0, 0),
            setup,
            shards,
            link,
            parts,
            shared,
            store,
            own,
            book,
        }
    }

    pub(super) fn now(&self) -> Millis {
        self.setup.clock.now().mono
    }

    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.link.queue)
    }

    pub(super) fn parts_link(&self) -> &PartLink<S::Letter> {
        &self.parts
    }

    pub(super) fn is_durable(&self) -> bool {
        self.setup.is_durable
    }

    /// Changes that are not committed.
    pub(super) fn backlog(&self) -> usize {
        self.shares.backlog().0
    }

    /// Whether something is to be asked of Redis at once.
    pub(super) fn is_busy(&self) -> bool {
        !self.calls.is_empty() || self.reading.keys().any(|part| !self.forgetting.contains(part))
    }

    /// Whether the last batches are committed, as far as they can be.
    pub(super) fn is_idle(&self) -> bool {
        self.shares.is_idle()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    pub(super) fn has_nothing(&self) -> bool {
        self.member.is_empty()
    }

    /// Whether nobody could take over what this node has.
    pub(super) fn is_alone(&self) -> bool {
        let live = self.member.roster().live(self.now(), self.setup.redis.lease_ms);
        !live.into_iter().any(|beat| beat.life.node != self.own.node && beat.ready)
    }

    pub(super) fn drain(&mut self) {
        tracing::info!("handing all parts over");
        self.tell(|_| Event::Drain);
        self.tick();
    }

    pub(super) fn drained(&self) {
        self.shards.drained();
    }

    fn spread(&self) -> Spread {
        self.parts.spread()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard_of(&self, part: PartId) -> ShardId {
        self.spread().shard_of_part(part.0)
    }

    fn tell_shard(&mut self, part: PartId, news: PartNews) {
        let shard = self.shard_of(part);
        self.news[shard.index()].push_back(news);
    }

    fn tell_all(&mut self, news: impl Fn() -> PartNews) {
        self.news.iter_mut().for_each(|shard| shard.push_back(news()));
    }

    /// Posts what the mailboxes take.
    pub(super) fn flush_news(&mut self) {
        self.note_moved();
        for (shard, waiting) in self.news.iter_mut().enumerate() {
            while let Some(news) = waiting.pop_front() {
                if let Err(back) = self.shards.tell(ShardId::new(shard), news) {
                    waiting.push_front(back);
                    break;
                }
            }
        }
    }

    /// Tells the shards whose parts have changed hands.
    fn note_moved(&mut self) {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, lease_ms) = (self.setup.clock.now().mono, self.setup.redis.lease_ms);
        let live: BTreeSet<&Life> = self.member.roster().live(now, lease_ms).map(|beat| &beat.life).collect();
        let is_there = |part, owner: &Life| {
            if *owner == self.own { self.held.contains_key(&part) } else { live.contains(owner) }
        };
        let moved = self.owners.take_moved(&book, is_there);
        drop(book);
        for (part, to) in moved {
            self.tell_all(|| PartNews::Moved { part, to });
        }
    }

    /// Tells the member, and does what it wants.
    fn tell<'a>(&mut self, event: impl FnOnce(Millis) -> Event<'a>) {
        let now = self.now();
        let mut orders = Vec::new();
        self.member.handle(now, event(now), &mut orders);
        for part in 0..self.setup.parts {
            let part = PartId(part);
            self.parts.grant(part, self.member.decides_until(part).unwrap_or_default());
        }
        orders.into_iter().for_each(|order| self.obey(order));
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Call(call) => self.calls.push(call),
            Order::Load { part, fence } => {
                self.owners.note(part, &self.own, fence);
                self.reading.insert(part, fence);
            }
            Order::Serve { part, .. } => self.tell_shard(part, PartNews::Serve { part }),
            Order::Freeze { part, fence } => self.tell_shard(part, PartNews::Freeze { part, fence }),
            Order::Rewrite { part } => {
                if self.held.contains_key(&part) {
                    self.tell_shard(part, PartNews::Rewrite { part });
                }
            }
            Order::Forget { part, to } => self.forget(part, to.as_ref()),
            Order::Tell { part, fence, to } => {
                let lives = self.parts.take_lives(part);
                self.shared.add_letter(&to.node, wrap::given(part, fence, &lives));
                self.parts.wake();
            }
        }
    }

    fn forget(&mut self, part: PartId, to: Option<&Life>) {
        let was_reading = self.reading.remove(&part);
        let held = self.held.remove(&part);
        let fence = held.as_ref().map(|held| held.fence).or(was_reading).unwrap_or_default();
        self.owners.left(part);
        if let Some(to) = to {
            self.owners.note(part, to, fence + 1);
        }
        if held.is_some() {
            self.shares.lost(part);
            self.forgetting.insert(part);
            self.tell_shard(part, PartNews::Forget { part, fence });
        }
    }

    /// What shards have answered, and what other nodes have given to this one.
    pub(super) fn take_news(&mut self) {
        let (acks, given) = self.shared.take_news();
        for ack in acks {
            match ack {
                PartAck::Loaded { part, fence } => {
                    let shard = self.shard_of(part);
                    let taken = self.taken[shard.index()];
                    if let Some(held) = self.held.get_mut(&part).filter(|held| held.fence == fence) {
                        held.known_after = Some(taken + 1);
                        self.tell(|_| Event::Loaded { part, fence });
                    }
                }
                PartAck::Settled { part, fence } => self.tell(|_| Event::Settled { part, fence }),
                PartAck::Forgotten { part, .. } => self.forgotten.push(part),
                PartAck::Purged { shard, of } => self.book().purged(shard, of),
            }
        }
        for Given { part, fence, lives } in given {
            if part.0 < self.setup.parts {
                self.given.insert(part, (fence, lives));
                self.tell(|_| Event::Given { part, fence });
            }
        }
    }

    /// What shards have handed over.
    pub(super) fn take_batches(&mut self, offers: Vec<(ShardId, Offer)>) {
        for (shard, offer) in offers {
            let number = offer.number;
            self.taken[shard.index()] = number;
            let of_shard = self.held.iter().filter(|(part, _)| self.shard_of(**part) == shard);
            let is_whole = |held: &Held| held.known_after.is_some_and(|after| number > after);
            let whole = of_shard.filter(|(_, held)| is_whole(held)).map(|(part, _)| part.0).collect::<Vec<_>>();
            self.shares.add(shard, offer, &whole);
        }
        // All that was handed over before they were forgotten is taken now.
        for part in std::mem::take(&mut self.forgotten) {
            if self.forgetting.remove(&part) {
                self.shares.forgotten(part);
            }
        }
    }

    pub(super) fn tick(&mut self) {
        self.tell(|_| Event::Tick);
        let now = self.now();
        self.book().free(now);
    }

    /// Makes the calls that are waiting.
    pub(super) fn call(&mut self) -> Result<(), StoreError> {
        while !self.calls.is_empty() {
            let calls = std::mem::take(&mut self.calls);
            let steps: Vec<_> = calls.iter().map(Step::plain).collect();
            // What is not answered is asked again by the member, with another number.
            let sent_at = self.now();
            let answers = self.store.calls(&steps)?;
            calls.iter().zip(&answers).for_each(|(call, answer)| self.answered(sent_at, call, answer));
        }
        Ok(())
    }

    fn answered(&mut self, sent_at: Millis, call: &Call, answer: &Answer) {
        self.tell(|_| Event::Answered { call, sent_at, answer });
    }

    fn note_back(&self) {
        if !self.link.status.is_connected() {
            tracing::info!("the store is back");
        }
        self.link.status.set_connected();
    }

    pub(super) fn note_away(&self, error: &StoreError) {
        if self.link.status.set_away(error.to_string()) {
            tracing::warn!("the store is away: {error}");
        }
    }
}
