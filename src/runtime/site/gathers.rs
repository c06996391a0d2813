//! Which HTTP requests wait for other shards: for the figures of all shards, or for the selections of one room. Pure.
//!
//! A gathering of figures serves every request that came before it began, and the next one begins [`SITE_PAUSE_MS`]
//! after it. So the shards are asked ten times a second at most, however often clients ask, and an answer is never
//! older than its question. Invariants: one gathering runs at a time; a request is answered by a gathering that began
//! after it, unless its connection has ended. Never here: sockets, bodies.

use std::collections::HashMap;

use crate::engine::ids::ConnId;
use crate::figures::stats::ShardFigures;
use crate::limits::site::{SITE_ANSWER_MS, SITE_PAUSE_MS, SITE_WAITING_MAX};
use crate::runtime::site::exchange::Exchange;

/// What is made of the figures of all shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// `/stats`
    Stats,
    /// `/metrics`
    Metrics,
}

/// Somebody who waits for figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    /// By its name, since it may end and another take its slot.
    pub(super) conn: ConnId,
    pub(super) exchange: Exchange,
    pub(super) page: Page,
}

/// A gathering that is over.
#[derive(Debug)]
pub(super) struct Gathered {
    /// In the order of the shards.
    pub(super) shards: Vec<ShardFigures>,
    /// Shards that did not answer in time.
    pub(super) missing: usize,
    pub(super) waiters: Vec<Waiter>,
}

/// A gathering that runs.
#[derive(Debug)]
struct Running {
    gathered: Gathered,
    until_ms: u64,
}

/// A request for the selections of a room that another shard owns.
#[derive(Debug)]
struct RoomAsk {
    exchange: Exchange,
    until_ms: u64,
}

/// All answers of this shard that are being put together.
#[derive(Debug, Default)]
pub(crate) struct Gathers {
    /// The number of the last gathering.
    number: u64,
    running: Option<Running>,
    /// Those who asked after it began.
    waiters: Vec<Waiter>,
    /// When the next one may begin.
    next_ms: u64,
    /// By the connection's slot.
    rooms: HashMap<u32, RoomAsk>,
}

impl Gathers {
    /// The connection has ended.
    pub(crate) fn forget(&mut self, slot: u32) {
        if !self.rooms.is_empty() {
            self.rooms.remove(&slot);
        }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_none() && self.waiters.is_empty() && self.rooms.is_empty()
    }

    /// Somebody waits for figures. False at the bound: too many do.
    #[must_use]
    pub(super) fn wait(&mut self, waiter: Waiter) -> bool {
        let has_room = self.waiters.len() < SITE_WAITING_MAX;
        if has_room {
            self.waiters.push(waiter);
        }
        has_room
    }

    /// Begins a gathering of the figures of so many shards, when somebody waits for it and it may begin: its number, by
    /// which they are asked.
    pub(super) fn begin(&mut self, now_ms: u64, shards: usize) -> Option<u64> {
        if self.running.is_some() || self.waiters.is_empty() || now_ms < self.next_ms {
            return None;
        }
        self.number += 1;
        self.next_ms = now_ms + SITE_PAUSE_MS;
        let gathered = Gathered { shards: Vec::new(), missing: shards, waiters: std::mem::take(&mut self.waiters) };
        self.running = Some(Running { gathered, until_ms: now_ms + SITE_ANSWER_MS });
        Some(self.number)
    }

    /// A shard has told its figures. What comes after its gathering is over is nobody's.
    pub(super) fn told(&mut self, number: u64, figures: ShardFigures) {
        if let Some(Running { gathered, .. }) = self.running.as_mut().filter(|_| number == self.number) {
            gathered.missing = gathered.missing.checked_sub(1).expect("each shard answers once");
            gathered.shards.push(figures);
        }
    }

    /// The gathering, when all shards have told theirs or its time is over.
    pub(super) fn take_gathered(&mut self, now_ms: u64) -> Option<Gathered> {
        let is_over = |running: &mut Running| running.gathered.missing == 0 || running.until_ms <= now_ms;
        let mut gathered = self.running.take_if(is_over)?.gathered;
        gathered.shards.sort_by_key(|figures| figures.shard);
        Some(gathered)
    }

    /// Somebody waits for the selections of a room.
    pub(super) fn wait_for_room(&mut self, exchange: Exchange, now_ms: u64) {
        self.rooms.insert(exchange.slot, RoomAsk { exchange, until_ms: now_ms + SITE_ANSWER_MS });
    }

    /// Who waited for the selections that have come.
    pub(super) fn take_room(&mut self, slot: u32) -> Option<Exchange> {
        self.rooms.remove(&slot).map(|ask| ask.exchange)
    }

    /// Those whose room's owner has not answered in time.
    pub(super) fn take_late_rooms(&mut self, now_ms: u64) -> Vec<Exchange> {
        if self.rooms.is_empty() {
            return Vec::new();
        }
        self.rooms.extract_if(|_, ask| ask.until_ms <= now_ms).map(|(_, ask)| ask.exchange).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Gathers, Page, Waiter};
    use crate::engine::ids::{ConnId, ShardId};
    use crate::figures::shard::ShardStats;
    use crate::figures::stats::ShardFigures;
    use crate::limits::site::{SITE_ANSWER_MS, SITE_PAUSE_MS, SITE_WAITING_MAX};
    use crate::runtime::site::exchange::Exchange;

    fn waiter(slot: u32) -> Waiter {
        let exchange = Exchange { slot, head_only: false, keep_alive: true };
        Waiter { conn: ConnId::new(ShardId::new(0), slot, 0), exchange, page: Page::Stats }
    }

    fn figures(shard: usize) -> ShardFigures {
        let shard = ShardId::new(shard);
        ShardFigures { shard, stats: ShardStats::default(), clients: Vec::new(), rooms: Vec::new() }
    }

    fn slots(waiters: &[Waiter]) -> Vec<u32> {
        waiters.iter().map(|waiter| waiter.exchange.slot).collect()
    }

    #[test]
    fn who_asks_meanwhile_shares_the_next_gathering() {
        let mut gathers = Gathers::default();
        assert!(gathers.begin(0, 2).is_none(), "nobody asks");
        assert!(gathers.wait(waiter(1)));
        assert_eq!(gathers.begin(0, 2), Some(1));
        assert!(gathers.wait(waiter(2)) && gathers.begin(0, 2).is_none(), "one at a time");
        gathers.told(1, figures(1));
        assert!(gathers.take_gathered(1).is_none(), "one shard is missing");
        gathers.told(1, figures(0));
        let gathered = gathers.take_gathered(1).expect("all have told");
        assert_eq!((slots(&gathered.waiters), gathered.missing), (vec![1], 0));
        assert!(gathered.shards.is_sorted_by_key(|figures| figures.shard));
        assert!(gathers.wait(waiter(3)) && gathers.begin(SITE_PAUSE_MS - 1, 2).is_none(), "not yet");
        assert_eq!(gathers.begin(SITE_PAUSE_MS, 2), Some(2));
        gathers.told(2, figures(0));
        gathers.told(2, figures(1));
        assert_eq!(slots(&gathers.take_gathered(SITE_PAUSE_MS).expect("all have told").waiters), [2, 3]);
        assert!(gathers.is_empty());
    }

    #[test]
    fn a_shard_that_is_late_is_left_out_and_its_figures_are_nobodys() {
        let mut gathers = Gathers::default();
        assert!(gathers.wait(waiter(1)));
        gathers.begin(0, 2);
        gathers.told(1, figures(0));
        assert!(gathers.take_gathered(SITE_ANSWER_MS - 1).is_none());
        let gathered = gathers.take_gathered(SITE_ANSWER_MS).expect("its time is over");
        assert_eq!((gathered.shards.len(), gathered.missing), (1, 1));
        assert!(gathers.wait(waiter(2)));
        assert_eq!(gathers.begin(SITE_ANSWER_MS, 2), Some(2));
        gathers.told(1, figures(1));
        gathers.told(2, figures(0));
        assert!(gathers.take_gathered(SITE_ANSWER_MS).is_none(), "what came late counts for no other gathering");
    }

    #[test]
    fn at_the_bound_nobody_else_may_wait() {
        let mut gathers = Gathers::default();
        assert!((0..SITE_WAITING_MAX).all(|_| gathers.wait(waiter(1))));
        assert!(!gathers.wait(waiter(1)));
    }

    #[test]
    fn who_waits_for_a_room_is_answered_or_late() {
        let mut gathers = Gathers::default();
        let exchange = waiter(5).exchange;
        gathers.wait_for_room(exchange, 0);
        assert_eq!(gathers.take_room(5), Some(exchange));
        assert_eq!(gathers.take_room(5), None);
        gathers.wait_for_room(exchange, 0);
        assert!(gathers.take_late_rooms(SITE_ANSWER_MS - 1).is_empty());
        assert_eq!(gathers.take_late_rooms(SITE_ANSWER_MS), [exchange]);
        gathers.wait_for_room(exchange, 0);
        gathers.forget(5);
        assert!(gathers.is_empty());
    }
}
