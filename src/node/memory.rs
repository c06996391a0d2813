//! A shard's part of the budget of memory: what is counted here, what one connection or one room may take now, and who
//! takes nothing of what it is sent.
//!
//! Invariant: what is counted is told to the budget exactly several times a second. Never here: what gives way
//! (`relief`).

use std::collections::BTreeMap;

use super::Node;
use crate::audience::budget::{Budget, Kind, Tally};
use crate::limits::{LOG_FAIR_BYTES_MIN, OUTBOUND_QUEUE_BYTES_MIN};

/// The part of the budget that sessions and feeds do not keep themselves.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) budget: Budget,
    /// Answers that the store holds back.
    pub(super) withheld: Tally,
    /// Holds.
    pub(super) holds: Tally,
    /// Connections whose socket is full, by slot, and when it last took a byte, in tenths of a second.
    pub(super) stalled: BTreeMap<u32, u32>,
    /// What full states and bodies took when it was last asked what was given back.
    shared: usize,
    /// When somebody looks whether something must give way, in nanoseconds.
    pub(super) next_look_ns: u64,
}

impl Memory {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            budget: budget.clone(),
            withheld: Tally::new(budget, Kind::Withheld),
            holds: Tally::new(budget, Kind::Holds),
            stalled: BTreeMap::new(),
            shared: 0,
            next_look_ns: 0,
        }
    }
}

impl Node {
    /// What may wait for one connection now, before its requests wait.
    pub(super) fn queue_bytes(&self) -> usize {
        self.memory.budget.fair(Kind::Outboxes, self.bounds.queue_bytes, OUTBOUND_QUEUE_BYTES_MIN)
    }

    /// How long a room's log may be now that would otherwise be kept up to `bytes`.
    pub(super) fn fair_log_bytes(&self, bytes: usize) -> usize {
        self.memory.budget.fair(Kind::Logs, bytes, LOG_FAIR_BYTES_MIN)
    }

    /// Whether requests wait until the store has answered earlier ones.
    pub(super) fn withholds_too_much(&self) -> bool {
        self.memory.budget.is_over(Kind::Withheld)
    }

    /// This turn's time in tenths of a second, as outboxes keep it.
    pub(super) fn tenths(&self) -> u32 {
        u32::try_from(self.at.now.mono.0 / 100).expect("thirteen years")
    }

    /// Whether new bodies of HTTP answers are refused: they, or what waits for slow readers, take all that they may.
    #[must_use]
    pub fn is_short_of_bodies(&self) -> bool {
        self.memory.budget.is_over(Kind::HttpBodies) || self.memory.budget.is_over(Kind::Outboxes)
    }

    /// Takes note of what the socket took: when it took nothing, it has stood still since it last did not take
    /// everything.
    pub(super) fn note_taken(&mut self, slot: u32, sent: usize, is_blocked: bool) {
        if sent > 0 && !self.memory.stalled.is_empty() {
            self.memory.stalled.remove(&slot);
        }
        if is_blocked {
            let now = self.tenths();
            self.memory.stalled.entry(slot).or_insert(now);
        }
    }

    /// Whether somebody is looked after: a shard that sleeps must wake for it.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.memory.stalled.is_empty()
    }

    /// Bytes that wait for slow sockets, and what each of them is behind in its rooms' logs.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        let waiting: u64 = self.sessions.iter().map(|(_, session)| session.unsent_len() as u64).sum();
        waiting + self.feeds.iter().map(|feed| feed.view.behind_bytes()).sum::<u64>()
    }

    /// Brings the budget exactly up to date with this shard.
    pub fn count_memory(&mut self) {
        self.sessions.outboxes().settle();
        self.feeds.logs().settle();
        self.memory.withheld.settle();
        self.memory.holds.set(self.seats.hold_bytes());
        self.memory.holds.settle();
        self.limit_holds();
    }

    /// Until the next look the seats of this shard may take its part of what is left: together no more than there is,
    /// and a shard that has all the work comes to have nearly all of it.
    pub(super) fn limit_holds(&mut self) {
        let budget = &self.memory.budget;
        let left = budget.max(Kind::Holds).saturating_sub(budget.used(Kind::Holds));
        self.seats.limit_hold_bytes(self.seats.hold_bytes().saturating_add(left / self.shards));
    }

    /// Bytes that were given back since the last time that this was asked.
    pub fn take_freed(&mut self) -> usize {
        let Memory { withheld, holds, shared, budget, .. } = &mut self.memory;
        let now = budget.used(Kind::FullStates) + budget.used(Kind::HttpBodies);
        let ended = std::mem::replace(shared, now).saturating_sub(now);
        let tallies = [self.sessions.outboxes(), self.feeds.logs(), withheld, holds];
        ended + tallies.into_iter().map(Tally::take_freed).sum::<usize>()
    }
}
