//! Views of rooms on one shard: who looks at what, and when which room is served next.
//!
//! A pass over a room sends each member what it is owed, with one send. Passes are cut into slices, so that a big room
//! never keeps small ones waiting, and paced: the next pass over a room starts no sooner than k times the cost of its
//! last pass after that pass's start, at most [`Pace::max_ns`] later. A room of twenty costs 0.15 ms a pass and never
//! notices; a room of a thousand costs 7 ms and gets its events three or four at a time, for a third of the price.
//!
//! Invariants: a view exists while somebody on this shard looks at its room; a view that is owed something is queued or
//! waits for its time, once. Never here: sockets.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::RandomState;

use crate::audience::view::View;
use crate::engine::ids::{RoomId, ShardId};

/// Members up to which a room is small: it is served whole and before big ones.
pub(crate) const SMALL_ROOM_MEMBERS: usize = 64;
/// Members of a big room that are served before others get their turn.
pub(crate) const SLICE_MEMBERS: usize = 64;

/// How passes are spread over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// k: a pass may take one k-th of the time.
    pub(crate) factor: u64,
    /// The longest pause between the starts of two passes, in nanoseconds.
    pub(crate) max_ns: u64,
}

/// A view and its place in the schedule.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) view: View,
    pub(crate) room: RoomId,
    pub(crate) owner: ShardId,
    /// Seats that are held, as the owner told last; not kept by the owner itself.
    pub(crate) held: usize,
    /// It is queued or waits for its time.
    scheduled: bool,
    /// Since when its members have been owed something.
    pub(crate) owed_since_ns: u64,
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

/// All views of a shard.
#[derive(Debug)]
pub(crate) struct Views {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_room: HashMap<RoomId, u32, RandomState>,
    small: VecDeque<u32>,
    big: VecDeque<u32>,
    /// Views that are owed something and wait for their time: `(not before, view)`.
    paced: BinaryHeap<Reverse<(u64, u32)>>,
    pace: Pace,
}

impl Views {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            by_room: HashMap::default(),
            small: VecDeque::new(),
            big: VecDeque::new(),
            paced: BinaryHeap::new(),
            pace,
        }
    }

    pub(crate) fn find(&self, room: &str) -> Option<u32> {
        self.by_room.get(room).copied()
    }

    pub(crate) fn get(&self, index: u32) -> &Entry {
        self.entries[index as usize].as_ref().expect("the view exists while it has members")
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Entry {
        self.entries[index as usize].as_mut().expect("the view exists while it has members")
    }

    /// All views.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &View> {
        self.entries.iter().flatten().map(|entry| &entry.view)
    }

    /// Adds a member and returns the view's index and the member's index in it.
    pub(crate) fn add(&mut self, room: &RoomId, owner: ShardId, slot: u32) -> (u32, u32) {
        let index = match self.find(room.as_str()) {
            Some(index) => index,
            None => self.create(room, owner),
        };
        (index, self.get_mut(index).view.add(slot))
    }

    fn create(&mut self, room: &RoomId, owner: ShardId) -> u32 {
        let entry = Entry {
            view: View::default(),
            room: room.clone(),
            owner,
            held: 0,
            scheduled: false,
            owed_since_ns: 0,
            pass_began_ns: 0,
            pass_cost_ns: 0,
            usual_cost_ns: 0,
            not_before_ns: 0,
            running: false,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).expect("fewer views than members")
        });
        self.entries[index as usize] = Some(entry);
        self.by_room.insert(room.clone(), index);
        index
    }

    /// Removes a member and says which members moved; the view ends with its last member.
    pub(crate) fn remove(&mut self, index: u32, at: u32) -> [Option<crate::audience::view::Moved>; 2] {
        let entry = self.get_mut(index);
        let moved = entry.view.remove(at);
        if entry.view.is_empty() {
            let entry = self.entries[index as usize].take().expect("found above");
            self.by_room.remove(&entry.room);
            if entry.scheduled {
                self.small.retain(|&queued| queued != index);
                self.big.retain(|&queued| queued != index);
                self.paced.retain(|Reverse((_, waiting))| *waiting != index);
            }
            self.free.push(index);
        }
        moved
    }

    /// Puts a view that is owed something into the schedule.
    pub(crate) fn schedule(&mut self, index: u32, now_ns: u64) {
        let entry = self.entries[index as usize].as_mut().expect("the view exists while it has members");
        if entry.scheduled || !entry.view.is_due() {
            return;
        }
        entry.scheduled = true;
        entry.owed_since_ns = now_ns;
        if entry.not_before_ns > now_ns {
            self.paced.push(Reverse((entry.not_before_ns, index)));
        } else {
            self.enqueue(index);
        }
    }

    fn enqueue(&mut self, index: u32) {
        let entry = self.get_mut(index);
        if entry.view.len() <= SMALL_ROOM_MEMBERS { self.small.push_back(index) } else { self.big.push_back(index) }
    }

    /// Queues the views whose time has come.
    pub(crate) fn release_paced(&mut self, now_ns: u64) {
        while let Some(&Reverse((not_before, index))) = self.paced.peek() {
            if not_before > now_ns {
                return;
            }
            self.paced.pop();
            self.enqueue(index);
        }
    }

    /// When the first paced view may be served.
    pub(crate) fn next_paced_ns(&self) -> Option<u64> {
        self.paced.peek().map(|Reverse((not_before, _))| *not_before)
    }

    /// Whether a view can be served now.
    pub(crate) fn has_work(&self) -> bool {
        !self.small.is_empty() || !self.big.is_empty()
    }

    /// The next view to serve. Small rooms come first, but a big one must not starve: `big_turn` says that it is its turn.
    pub(crate) fn next(&mut self, big_turn: bool, now_ns: u64) -> Option<u32> {
        let index = if big_turn {
            self.big.pop_front().or_else(|| self.small.pop_front())
        } else {
            self.small.pop_front().or_else(|| self.big.pop_front())
        }?;
        let entry = self.get_mut(index);
        if !entry.running {
            entry.running = true;
            entry.pass_began_ns = now_ns;
            entry.pass_cost_ns = 0;
            entry.view.begin_pass();
        }
        Some(index)
    }

    /// A slice of a pass is over; `done` says whether the pass is too.
    pub(crate) fn slice_done(&mut self, index: u32, cost_ns: u64, done: bool, now_ns: u64) {
        let pace = self.pace;
        let Some(entry) = self.entries[index as usize].as_mut() else { return };
        entry.pass_cost_ns += cost_ns;
        if !done {
            // The rest of the pass goes behind the other rooms; it was queued when the pass began.
            self.big.push_back(index);
            return;
        }
        // A pass in which replies had taken the frames along already was cheap and says little about the next one: the
        // cost that counts falls slowly.
        entry.usual_cost_ns = entry.pass_cost_ns.max(entry.usual_cost_ns - entry.usual_cost_ns / 8);
        let pause = (entry.usual_cost_ns * pace.factor).min(pace.max_ns);
        entry.not_before_ns = entry.pass_began_ns + pause;
        entry.running = false;
        entry.scheduled = false;
        self.schedule(index, now_ns);
    }
}
