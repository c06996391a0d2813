//! One life of a node: its one shard, what its cluster's thread would do, and its mail. All rooms are in one part.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use butaca::audience::budget::Budget;
use butaca::audience::pace::Pace;
use butaca::auth::session::SessionTokens;
use butaca::cluster::entry;
use butaca::cluster::names::PartId;
use butaca::engine::command::Position;
use butaca::engine::ids::{RoomId, ShardId, ShardSet, Spread};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::{Millis, Now};
use butaca::node::afar::{Reader, Stretch, Writer};
use butaca::node::hot::HotRooms;
use butaca::node::letters::Letter;
use butaca::node::observer::Observer;
use butaca::node::parted::Parted;
use butaca::node::{self, Bounds, Event, Moment, Node, Order, SecondRules, Source, Taken};
use butaca::persist::link::StoreLink;
use butaca::persist::parts::{PartAck, PartLink, PartNews, StoredPart};
use butaca::persist::stores::store::Store as _;
use butaca::persist::thread::pump::Pump;
use butaca::persist::thread::restore::sift;
use butaca::wire::message::BroadcastUserInfo;

use super::redis::Redis;
use super::truth::Shared;

const PART: PartId = PartId(0);
const HOLD_MS: u64 = 600_000;
/// How long a request may wait for somebody who decides.
pub(crate) const PATIENCE_MS: u64 = 3_000;

/// What one node has for the life of another one: an entry of the mail.
pub(crate) struct Entry {
    pub(crate) from: usize,
    letters: Vec<entry::Letter>,
}

pub(crate) struct Machine {
    pub(crate) life: usize,
    pub(crate) node: Node,
    parts: Arc<PartLink<Letter>>,
    store: Arc<StoreLink>,
    pump: Pump,
    orders: Vec<Order>,
    /// What the cluster's thread tells the shard, in order.
    pub(crate) news: VecDeque<PartNews>,
    pens: BTreeMap<usize, (Writer, Reader)>,
    budget: Budget,
    /// Lives that are over: nobody listens to them.
    over: Vec<usize>,
    /// What is to be posted to which life.
    pub(crate) outbox: VecDeque<(usize, Entry)>,
    /// The rooms were another one's, and the shard has not forgotten them.
    is_deposed: bool,
    /// The last batch that was taken and will not be committed.
    dropped: u64,
    pub(crate) sent: Vec<(u32, Vec<u8>)>,
    pub(crate) ended: Vec<u32>,
    pub(crate) slots: u32,
}

/// Where life `of` is in the eyes of life `by`.
fn address(by: usize, of: usize) -> usize {
    if by == of { 0 } else { of + 1 }
}

fn rules() -> node::Rules {
    node::Rules {
        share: BroadcastUserInfo::Full,
        pace: Pace { factor: 0, max_ns: 0 },
        hot_room_members: 1_000,
        slow_consumer_ms: 1_000,
        silence_ms: 60_000,
        hold_ttl_ms: HOLD_MS,
        restore_grace_ms: 300,
        is_durable: true,
        second: SecondRules { grace_ms: 300, ..SecondRules::default() },
    }
}

impl Machine {
    pub(crate) fn new(life: usize, seed: u64, now: Now, truth: &Shared) -> Self {
        let (id, spread) = (ShardId::new(0), Spread::over(1).with_parts(1));
        let parts = Arc::new(PartLink::new(spread, 2_000));
        let store = Arc::new(StoreLink::new(1));
        store.status.renewed(now.mono, u64::from(u32::MAX));
        store.status.set_connected();
        store.note_restored(vec![Vec::new()]);
        let seat_rules = Rules { hold_ttl_ms: HOLD_MS, seats_per_client_max: 0 };
        let seeds = Seeds::replayed(seed ^ (life as u64 + 1) << 32, id);
        let budget = Budget::default();
        let made = node::Parts {
            id,
            shards: 1,
            rules: rules(),
            bounds: Bounds::default(),
            seats: Shard::new(id, 1, seeds, seat_rules).with_spread(spread),
            hot: HotRooms::default(),
            budget: budget.clone(),
            store: Some(Arc::clone(&store)),
        };
        let parted = Parted::new(Arc::clone(&parts), PATIENCE_MS);
        let mut node = Node::new(made).with_parts(Some(parted)).with_tokens(SessionTokens::new([1, 1]));
        let truth = Arc::clone(truth);
        node.observe(Observer::new(move |observed| {
            truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner).hear(&observed);
        }));
        let (orders, news, pens, over, outbox, sent, ended) = Default::default();
        let pump = Pump::new(1);
        let (is_deposed, dropped, slots) = (false, 0, 0);
        let mut made = Self {
            life,
            node,
            parts,
            store,
            pump,
            orders,
            news,
            pens,
            over,
            budget,
            outbox,
            is_deposed,
            dropped,
            sent,
            ended,
            slots,
        };
        made.turn(now, Event::Store);
        made
    }

    /// A turn with one event; what is to leave leaves.
    pub(crate) fn turn(&mut self, now: Now, event: Event<'_>) {
        let at = Moment { now, ns: now.mono.0 * 1_000_000 };
        self.node.begin_turn(at);
        self.node.handle(event, &mut self.orders);
        loop {
            while let Some(send) = self.node.next_send(Source::Replies) {
                let taken = Taken::Bytes(send.bytes.len());
                self.sent.push((send.slot, send.bytes.to_vec()));
                self.node.sent(taken, &mut self.orders);
            }
            self.node.take_orders(&mut self.orders);
            if self.node.next_slice(at.ns) {
                while let Some(send) = self.node.next_send(Source::Slice) {
                    let taken = Taken::Bytes(send.bytes.len());
                    self.sent.push((send.slot, send.bytes.to_vec()));
                    self.node.sent(taken, &mut self.orders);
                }
                self.node.take_orders(&mut self.orders);
                self.node.slice_done(at.ns, at.ns);
            } else if !self.obey() && !self.node.has_work() {
                break;
            }
        }
        self.node.hand_over_changes();
        self.write();
    }

    /// Whether a connection has ended.
    fn obey(&mut self) -> bool {
        let mut is_some = false;
        for order in std::mem::take(&mut self.orders) {
            if let Order::Drained(slot) | Order::End(slot) = order {
                self.node.handle(Event::Ended { slot }, &mut self.orders);
                self.ended.push(slot);
                is_some = true;
            }
        }
        is_some
    }

    fn pens(&mut self, other: usize) -> &mut (Writer, Reader) {
        let theirs = Stretch::new(address(self.life, other), 1);
        let budget = &self.budget;
        self.pens.entry(other).or_insert_with(|| (Writer::new(1, theirs), Reader::new(1, theirs, budget)))
    }

    /// The letters of the turn, an entry for each life.
    fn write(&mut self) {
        for other in 0..butaca::limits::SHARDS_MAX - 1 {
            let to = ShardId::new(other + 1);
            if other == self.life || self.node.letters(to).is_empty() {
                continue;
            }
            let letters: Vec<Letter> = self.node.letters(to).drain(..).collect();
            let (writer, mut bytes) = (&mut self.pens(other).0, Vec::new());
            for letter in &letters {
                assert!(writer.write(to, letter, &mut bytes), "{letter:?}");
            }
            writer.finish(&mut bytes);
            let from = self.life;
            self.outbox.push_back((other, Entry { from, letters: bytes }));
        }
    }

    /// An entry of the mail is read, or found missing.
    pub(crate) fn read(&mut self, now: Now, entry: &Entry, is_lost: bool) {
        if self.over.contains(&entry.from) {
            return;
        }
        let reader = &mut self.pens(entry.from).1;
        if is_lost {
            reader.hole();
            return self.tell_now(now, PartNews::Hole { from: self.set_of(entry.from) });
        }
        // What cannot be read is passed over.
        let found: Vec<_> = entry.letters.iter().filter_map(|letter| reader.read(letter).ok().flatten()).collect();
        found.into_iter().for_each(|(_, letter)| self.turn(now, Event::Letter(letter)));
    }

    fn tell_now(&mut self, now: Now, news: PartNews) {
        self.turn(now, Event::Part(news));
    }

    fn set_of(&self, life: usize) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        set.insert(ShardId::new(address(self.life, life)));
        set
    }

    /// The shard hears the next thing of the cluster's thread; what it answers.
    pub(crate) fn hear(&mut self, now: Now) -> Vec<PartAck> {
        if let Some(news) = self.news.pop_front() {
            if let PartNews::Ended { of } = &news {
                self.over.extend(of.iter().map(|address| address.index() - 1));
            }
            self.tell_now(now, news);
        }
        self.acks()
    }

    /// What the shard has answered to the cluster's thread.
    pub(crate) fn acks(&mut self) -> Vec<PartAck> {
        let acks = self.parts.take(0).acks;
        for ack in &acks {
            if let PartAck::Forgotten { .. } = ack {
                self.is_deposed = false;
                self.pump = Pump::new(1);
                self.drop_batches();
            }
        }
        acks
    }

    fn drop_batches(&mut self) {
        let offers = self.store.queue.take(0, 0).offers;
        self.dropped = offers.iter().map(|(_, offer)| offer.number).max().unwrap_or(0).max(self.dropped);
        if !self.is_deposed && self.dropped > 0 {
            self.store.note_committed(ShardId::new(0), std::mem::take(&mut self.dropped));
        }
    }

    /// What was handed over is committed, if this life owns the rooms.
    pub(crate) fn pump(&mut self, now: Now, redis: &mut Redis) {
        if self.is_deposed || redis.owner != Some(self.life) {
            self.drop_batches();
            return self.turn(now, Event::Store);
        }
        self.pump.add(self.store.queue.take(0, 0).offers, now.wall);
        if !self.pump.is_idle() {
            let committed = self.pump.commit(redis, now.wall).expect("it is in memory");
            committed.batches.iter().for_each(|&(shard, number)| self.store.note_committed(shard, number));
        }
        self.turn(now, Event::Store);
    }

    pub(crate) fn grant(&self, is_granted: bool) {
        self.parts.grant(PART, Millis(if is_granted { u64::MAX } else { 0 }));
    }

    /// This life takes the rooms from Redis, under a new fence.
    pub(crate) fn load(&mut self, now: Now, redis: &mut Redis, lives: Vec<(RoomId, Position)>) {
        (redis.owner, redis.fence) = (Some(self.life), redis.fence + 1);
        let loaded = redis.load().expect("it is in memory");
        let mut restored = sift(loaded, now.wall, HOLD_MS, 1, |_| true);
        let (rooms, holds) = (restored.rooms.remove(0), restored.shards.remove(0));
        let stored = Box::new(StoredPart { rooms, holds, lives, ..StoredPart::default() });
        self.news.push_back(PartNews::Load { part: PART, fence: redis.fence, stored });
        self.moved(Some(self.life));
    }

    pub(crate) fn moved(&mut self, to: Option<usize>) {
        let to = to.map(|to| ShardId::new(address(self.life, to)));
        self.news.push_back(PartNews::Moved { part: PART, to });
    }

    pub(crate) fn serve(&mut self) {
        self.grant(true);
        self.news.push_back(PartNews::Serve { part: PART });
    }

    pub(crate) fn freeze(&mut self, fence: u64) {
        self.grant(false);
        self.news.push_back(PartNews::Freeze { part: PART, fence });
    }

    /// Another life has the rooms.
    pub(crate) fn forget(&mut self, fence: u64) {
        self.grant(false);
        self.is_deposed = true;
        self.news.push_back(PartNews::Forget { part: PART, fence });
    }

    pub(crate) fn lives(&self) -> Vec<(RoomId, Position)> {
        self.parts.take_lives(PART)
    }

    pub(crate) fn end_of(&mut self, life: usize) {
        let of = self.set_of(life);
        self.news.push_back(PartNews::Ended { of });
    }

    pub(crate) fn decides(&self) -> bool {
        self.node.decides("r0")
    }
}
