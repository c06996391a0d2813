//! The feeds of one shard: what happens in the rooms that somebody here looks at, and when which room is served next.
//!
//! A feed is fed with changes. Its v1 log is written from them while it has members; its ring keeps the last of them
//! while somebody may need what happened since. Members of the second protocol are told by its deltas, once a tick.
//!
//! A pass over a room sends each member what it is owed, with one send. Passes are cut into slices, so that a big room
//! never keeps small ones waiting, and paced: the next pass over a room starts no sooner than [`Pace::pause_ns`]
//! after the start of its last one. A room of twenty costs 0.15 ms a pass and never notices; a busy room of a thousand
//! costs 7 ms and gets its events three or four at a time, for a third of the price.
//!
//! Invariants: a feed exists while somebody on this shard looks at its room or its ring is kept; a feed whose members
//! are owed something is queued or waits for its time, once. Never here: sockets, encodings.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::RandomState;

use super::budget::{Budget, Kind, Tally};
use super::deltas::Deltas;
use super::pace::{Demand, Pace};
use super::ring::Ring;
use super::view::{Moved, View};
use crate::engine::ids::{Epoch, RoomId, ShardId};
use crate::engine::time::Millis;
use crate::limits::{RING_BYTES_MAX, SMALL_ROOM_MEMBERS};
use crate::planted::{self, Bug};

/// One room on this shard, and its place in the schedule.
#[derive(Debug)]
pub struct Feed {
    /// The room.
    pub room: RoomId,
    /// Who owns it.
    pub owner: ShardId,
    /// The life of the room, and the number of the last change that was told; `None`: not known. Only a node among
    /// several keeps it.
    pub at: Option<(Epoch, u64)>,
    /// Something was missed, or the room has another owner: nothing is told before that has shown where the room
    /// stands.
    pub is_lost: bool,
    /// Seats that are held, after the last change.
    pub held: usize,
    /// The members, and the log of frames from which they are served.
    pub view: View,
    /// The last changes, while somebody may need them.
    pub ring: Option<Ring>,
    /// The members of the second protocol, and what they, or those who come back, need to know.
    pub deltas: Option<Box<Deltas>>,
    /// When somebody of them was last there.
    pub deltas_used: Millis,
    /// It is queued for a tick, or waits for its time.
    ticks: bool,
    /// When the next tick may begin.
    next_tick_ns: u64,
    /// What the tick that is running, or was the last, has cost.
    tick_cost_ns: u64,
    /// Since when its members have been owed something, in nanoseconds.
    pub owed_since_ns: u64,
    /// It is queued or waits for its time.
    scheduled: bool,
    /// When the running pass began.
    pass_began_ns: u64,
    /// What the running pass has cost so far.
    pass_cost_ns: u64,
    /// What a pass costs, by the dearest of the last ones.
    usual_cost_ns: u64,
    /// When the next pass may begin.
    not_before_ns: u64,
    running: bool,
}

/// All feeds of a shard.
#[derive(Debug)]
pub struct Feeds {
    feeds: Vec<Option<Feed>>,
    free: Vec<u32>,
    by_room: HashMap<RoomId, u32, RandomState>,
    small: VecDeque<u32>,
    big: VecDeque<u32>,
    /// Feeds that are owed something and wait for their time: `(not before, feed)`.
    paced: BinaryHeap<Reverse<(u64, u32)>>,
    /// Feeds whose members of the second protocol are told now, and those that wait for their tick.
    ticking: VecDeque<u32>,
    ticks: BinaryHeap<Reverse<(u64, u32)>>,
    pace: Pace,
    demand: Demand,
    /// Between two ticks of a room.
    tick_ns: u64,
    /// What all logs take, and what is remembered of rooms for members of the second protocol.
    logs: Tally,
}

impl Feeds {
    pub fn new(pace: Pace, tick_ns: u64, budget: &Budget) -> Self {
        Self {
            feeds: Vec::new(),
            free: Vec::new(),
            by_room: HashMap::default(),
            small: VecDeque::new(),
            big: VecDeque::new(),
            paced: BinaryHeap::new(),
            ticking: VecDeque::new(),
            ticks: BinaryHeap::new(),
            pace,
            demand: Demand::default(),
            logs: Tally::new(budget, Kind::Logs),
            tick_ns,
        }
    }

    /// What all logs of this shard take.
    pub fn logs(&mut self) -> &mut Tally {
        &mut self.logs
    }

    /// Counts what the log of the feed takes now.
    pub fn weigh(&mut self, index: u32) {
        let feed = self.feeds[index as usize].as_mut().expect("the feed exists while it is read");
        let (was, is) = feed.view.recount();
        self.logs.moves(was, is);
    }

    /// Counts what is remembered of the feed's room.
    pub fn weigh_history(&mut self, index: u32) {
        let feed = self.feeds[index as usize].as_mut().expect("the feed exists while it is read");
        if let Some(deltas) = feed.deltas.as_mut() {
            let (was, is) = deltas.recount();
            self.logs.moves(was, is);
        }
    }

    /// Memory is short: the longest histories are cut, until this shard's part of what is too much is free.
    pub fn shorten_histories(&mut self) {
        let sized = |(index, feed): (u32, &Feed)| Some((feed.deltas.as_ref()?.history().bytes(), index));
        let mut all: Vec<(usize, u32)> = self.remembering().filter_map(sized).filter(|(bytes, _)| *bytes > 0).collect();
        all.sort_unstable_by_key(|&(bytes, _)| std::cmp::Reverse(bytes));
        for (_, index) in all {
            if self.logs.excess() == 0 {
                return;
            }
            self.get_mut(index).deltas.as_mut().expect("it was found above").give_back();
            self.weigh_history(index);
        }
    }

    /// So many members are owed another event.
    pub fn ask_for(&mut self, deliveries: u64, now_ns: u64) {
        self.demand.add(deliveries, now_ns);
    }

    /// Empty logs give up what they keep for the next frames: in thousands of rooms it adds up.
    pub fn give_back(&mut self) {
        if self.logs.bytes() == 0 {
            return;
        }
        for feed in self.feeds.iter_mut().flatten() {
            feed.view.give_back();
            let (was, is) = feed.view.recount();
            self.logs.moves(was, is);
        }
    }

    /// The feeds with logs, by their indexes.
    pub fn with_logs(&self) -> impl Iterator<Item = (u32, usize)> {
        let all = self.feeds.iter().zip(0..);
        all.filter_map(|(feed, index)| Some((index, feed.as_ref()?.view.log_len()))).filter(|(_, len)| *len > 0)
    }

    pub fn find(&self, room: &str) -> Option<u32> {
        self.by_room.get(room).copied()
    }

    pub fn get(&self, index: u32) -> &Feed {
        self.feeds[index as usize].as_ref().expect("the feed exists while it is read")
    }

    /// The feed of this index, unless it has ended.
    pub fn existing(&self, index: u32) -> Option<&Feed> {
        self.feeds.get(index as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, index: u32) -> &mut Feed {
        self.feeds[index as usize].as_mut().expect("the feed exists while it is read")
    }

    /// All feeds, with their indexes.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &Feed)> {
        (0..).zip(&self.feeds).filter_map(|(index, feed)| Some((index, feed.as_ref()?)))
    }

    /// All feeds.
    pub fn iter(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.iter().flatten()
    }

    /// Adds a member and returns the feed's index and the member's index in it.
    pub fn add(&mut self, room: &RoomId, owner: ShardId, slot: u32) -> (u32, u32) {
        let index = match self.find(room.as_str()) {
            Some(index) => index,
            None => self.create(room, owner),
        };
        (index, self.get_mut(index).view.add(slot))
    }

    fn create(&mut self, room: &RoomId, owner: ShardId) -> u32 {
        let feed = Feed {
            room: room.clone(),
            owner,
            at: None,
            is_lost: false,
            held: 0,
            view: View::default(),
            ring: None,
            deltas: None,
            deltas_used: Millis(0),
            ticks: false,
            next_tick_ns: 0,
            tick_cost_ns: 0,
            owed_since_ns: 0,
            scheduled: false,
            pass_began_ns: 0,
            pass_cost_ns: 0,
            usual_cost_ns: 0,
            not_before_ns: 0,
            running: false,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.feeds.push(None);
            u32::try_from(self.feeds.len() - 1).expect("fewer feeds than members and owned rooms")
        });
        self.feeds[index as usize] = Some(feed);
        self.by_room.insert(room.clone(), index);
        index
    }

    /// Removes a member and says which members moved; the feed ends with its last reader.
    pub fn remove(&mut self, index: u32, at: u32) -> [Option<Moved>; 2] {
        let moved = self.get_mut(index).view.remove(at);
        self.weigh(index);
        self.end_unread(index);
        moved
    }

    /// Keeps the changes of a room from `seq` on, whether or not somebody here looks at it.
    pub fn keep_ring(&mut self, room: &RoomId, owner: ShardId, (epoch, seq): (Epoch, u64)) {
        let index = self.find(room.as_str()).unwrap_or_else(|| self.create(room, owner));
        self.get_mut(index).ring.get_or_insert_with(|| Ring::new(epoch, seq, RING_BYTES_MAX));
    }

    /// What happens in the room from here on is remembered for its members of the second protocol, whether or not one
    /// is here. Returns the feed's index. One that stands elsewhere begins anew.
    pub fn remember(&mut self, room: &RoomId, owner: ShardId, at: (Epoch, u64), changes_max: usize) -> u32 {
        let index = self.find(room.as_str()).unwrap_or_else(|| self.create(room, owner));
        let deltas = self.get_mut(index).deltas.get_or_insert_with(|| Box::new(Deltas::new(at.0, at.1, changes_max)));
        if deltas.is_empty() && (deltas.history().epoch(), deltas.history().seq()) != at {
            deltas.renew(at.0, at.1, changes_max);
        }
        self.weigh_history(index);
        index
    }

    /// Nobody needs what is remembered for members of the second protocol any more.
    pub fn forget(&mut self, index: u32) {
        let feed = self.get_mut(index);
        debug_assert!(feed.deltas.as_ref().is_some_and(|deltas| deltas.is_empty()), "no member is forgotten");
        let counted = feed.deltas.take().map_or(0, |mut deltas| deltas.recount().0);
        if std::mem::take(&mut feed.ticks) {
            self.ticking.retain(|&queued| queued != index);
            self.ticks.retain(|Reverse((_, waiting))| *waiting != index);
        }
        self.logs.moves(counted, 0);
        self.end_unread(index);
    }

    /// All feeds that remember something for members of the second protocol, by index.
    pub fn remembering(&self) -> impl Iterator<Item = (u32, &Feed)> {
        self.numbered().filter(|(_, feed)| feed.deltas.is_some())
    }

    /// Puts a feed whose members of the second protocol are to be told something into the schedule.
    pub fn schedule_tick(&mut self, index: u32, now_ns: u64) {
        let feed = self.get_mut(index);
        if feed.ticks || !feed.deltas.as_ref().is_some_and(|deltas| deltas.is_due()) {
            return;
        }
        feed.ticks = true;
        let at = feed.next_tick_ns.max(now_ns);
        self.ticks.push(Reverse((at, index)));
    }

    /// The next feed whose members of the second protocol are told what has happened.
    pub fn next_tick(&mut self, now_ns: u64) -> Option<u32> {
        let index = self.ticking.pop_front()?;
        let tick_ns = self.tick_ns;
        let feed = self.get_mut(index);
        if feed.deltas.as_ref().is_some_and(|deltas| deltas.frame().is_none()) {
            (feed.next_tick_ns, feed.tick_cost_ns) = (now_ns + tick_ns, 0);
        }
        Some(index)
    }

    /// A slice of a tick is over; `done` says whether the tick is, too. A tick that costs much is followed by a longer
    /// pause: like the passes of the first protocol all ticks of a room may take a part of the time, whatever its
    /// members.
    pub fn tick_done(&mut self, index: u32, cost_ns: u64, done: bool, now_ns: u64) {
        let (pace, tick_ns) = (self.pace, self.tick_ns);
        let Some(feed) = self.feeds[index as usize].as_mut() else { return };
        feed.tick_cost_ns += cost_ns;
        if !done {
            crate::marks::hit("a tick that was interrupted");
            return self.ticking.push_back(index);
        }
        let began_ns = feed.next_tick_ns.saturating_sub(tick_ns);
        feed.next_tick_ns = feed.next_tick_ns.max(began_ns + pace.longest_pause_ns(feed.tick_cost_ns));
        feed.ticks = false;
        self.schedule_tick(index, now_ns);
    }

    /// Nobody needs the last changes of the room any more.
    pub fn drop_ring(&mut self, room: &str) {
        if let Some(index) = self.find(room) {
            self.get_mut(index).ring = None;
            self.end_unread(index);
        }
    }

    fn end_unread(&mut self, index: u32) {
        let feed = self.get_mut(index);
        if !feed.view.is_empty() {
            return;
        }
        if std::mem::take(&mut feed.scheduled) {
            feed.running = false;
            self.small.retain(|&queued| queued != index);
            self.big.retain(|&queued| queued != index);
            self.paced.retain(|Reverse((_, waiting))| *waiting != index);
        }
        let feed = self.get_mut(index);
        if feed.ring.is_none() && feed.deltas.is_none() {
            let mut feed = self.feeds[index as usize].take().expect("looked at above");
            let (was, _) = feed.view.recount();
            self.logs.moves(was, 0);
            self.by_room.remove(&feed.room);
            self.free.push(index);
        }
    }

    /// Puts a feed that is owed something into the schedule.
    pub fn schedule(&mut self, index: u32, now_ns: u64) {
        self.weigh(index);
        let feed = self.feeds[index as usize].as_mut().expect("the feed exists while it is read");
        if feed.scheduled || !feed.view.is_due() {
            return;
        }
        feed.scheduled = true;
        feed.owed_since_ns = now_ns;
        if feed.not_before_ns > now_ns {
            crate::marks::hit("a room that waits for its time");
            self.paced.push(Reverse((feed.not_before_ns, index)));
        } else {
            self.enqueue(index);
        }
    }

    fn enqueue(&mut self, index: u32) {
        let feed = self.get_mut(index);
        if feed.view.len() <= SMALL_ROOM_MEMBERS { self.small.push_back(index) } else { self.big.push_back(index) }
    }

    /// Queues the feeds whose time has come.
    pub fn release_paced(&mut self, now_ns: u64) {
        while let Some(&Reverse((next_tick, index))) = self.ticks.peek().filter(|due| due.0.0 <= now_ns) {
            debug_assert!(next_tick <= now_ns, "its time has come");
            self.ticks.pop();
            self.ticking.push_back(index);
        }
        while let Some(&Reverse((not_before, index))) = self.paced.peek() {
            if not_before > now_ns {
                return;
            }
            self.paced.pop();
            if !planted::has(Bug::PacedForgotten) {
                self.enqueue(index);
            }
        }
    }

    /// When the first paced feed may be served.
    pub fn next_paced_ns(&self) -> Option<u64> {
        let paced = self.paced.peek().map(|Reverse((not_before, _))| *not_before);
        let tick = self.ticks.peek().map(|Reverse((next, _))| *next);
        paced.into_iter().chain(tick).min()
    }

    /// Whether a feed can be served now.
    pub fn has_work(&self) -> bool {
        !self.small.is_empty() || !self.big.is_empty() || !self.ticking.is_empty()
    }

    /// The next feed to serve. Small rooms come first, but a big one must not starve: `big_turn` says that it is its
    /// turn.
    pub fn next(&mut self, big_turn: bool, now_ns: u64) -> Option<u32> {
        let index = if big_turn {
            self.big.pop_front().or_else(|| self.small.pop_front())
        } else {
            self.small.pop_front().or_else(|| self.big.pop_front())
        }?;
        let feed = self.get_mut(index);
        if !feed.running {
            feed.running = true;
            feed.pass_began_ns = now_ns;
            feed.pass_cost_ns = 0;
            feed.view.begin_pass();
        }
        Some(index)
    }

    /// A slice of a pass is over; `done` says whether the pass is too.
    pub fn slice_done(&mut self, index: u32, cost_ns: u64, done: bool, now_ns: u64) {
        let Some(feed) = self.feeds[index as usize].as_mut() else { return };
        feed.pass_cost_ns += cost_ns;
        if !done {
            crate::marks::hit("a pass that was interrupted");
            // The rest of the pass goes behind the other rooms; it was queued when the pass began.
            self.big.push_back(index);
            return;
        }
        // A pass in which replies had taken the frames along already was cheap and says little about the next one: the
        // cost that counts falls slowly.
        feed.usual_cost_ns = feed.pass_cost_ns.max(feed.usual_cost_ns - feed.usual_cost_ns / 8);
        let pause_ns = self.pace.pause_ns(feed.usual_cost_ns, self.demand.share(now_ns));
        feed.not_before_ns = feed.pass_began_ns + pause_ns;
        feed.running = false;
        feed.scheduled = false;
        self.schedule(index, now_ns);
    }
}
