//! What gives way when memory is short, and in which order.
//!
//! First nothing new is begun: who needs a full state waits for it, the oldest first, also one who has just joined; a
//! body of an HTTP answer is refused; a queue or a log may take a fair part of what is left, which falls while memory
//! fills (`Budget::fair`). What is only kept for those who may come back goes next: encoded maps, and histories of
//! rooms, the longest first, after which a member of the second protocol that comes back gets the whole map. Then the
//! heaviest give way: a room drops those who are behind in it, the longest log first, and they are resynchronised; the
//! connections with the longest queues are closed with 4008. And whoever takes nothing at all is closed in any case,
//! whatever it sends: after the time for which a peer may be silent, and soon when memory is short. Who has been
//! closed and does not even take our close frame is still looked after, since the frame before that may be a part of
//! something large: it ends after the same time, or when its turn comes among the heaviest. Invariant: who reads what
//! it is sent is never closed while somebody on its shard does not and has more queued. Never here: counting
//! (`memory`), sockets.

use super::session::{Membership, Session, Stage};
use super::{Node, Order};
use crate::audience::budget::Kind;
use crate::limits::{CLOSED_PER_LOOK_MAX, LAG_OF_CONNECTION_FACTOR, PRESSED_CONSUMER_MS, RELIEF_MS};
use crate::wire::frame;

impl Node {
    /// Several times a second: looks after memory.
    pub(super) fn relieve(&mut self) {
        if self.at.ns < self.memory.next_look_ns {
            return;
        }
        self.memory.next_look_ns = self.at.ns + RELIEF_MS * 1_000_000;
        self.count_memory();
        if self.is_draining() {
            return;
        }
        if self.memory.budget.is_pressed(Kind::FullStates) {
            self.maps.give_back();
        }
        self.relieve_logs();
        let over = self.close_stalled();
        self.relieve_outboxes();
        if over {
            self.relieve_full_states();
        }
    }

    /// Empty logs give up their buffers, histories what everybody has been told, and the longest ones lose those who
    /// are behind in them.
    fn relieve_logs(&mut self) {
        if self.feeds.logs().excess() > 0 {
            self.feeds.give_back();
            self.feeds.shorten_histories();
        }
        let mut excess = self.feeds.logs().excess();
        if excess == 0 {
            return;
        }
        let mut logs: Vec<(u32, usize)> = self.feeds.with_logs().collect();
        logs.sort_unstable_by_key(|&(_, len)| std::cmp::Reverse(len));
        for (feed, _) in logs {
            if excess == 0 {
                return;
            }
            let before = self.feeds.logs().bytes();
            let dropped = self.feeds.get_mut(feed).view.drop_behind();
            self.feeds.weigh(feed);
            dropped.into_iter().for_each(|slot| self.lag(slot));
            excess = excess.saturating_sub(before.saturating_sub(self.feeds.logs().bytes()));
        }
    }

    /// Closes whoever has taken nothing for too long, and lets those skip who are behind by too much in all their
    /// rooms together. Says whether memory for full states is used up.
    fn close_stalled(&mut self) -> bool {
        let kinds = [Kind::Outboxes, Kind::Logs, Kind::FullStates, Kind::HttpBodies];
        let is_pressed = kinds.iter().any(|&kind| self.memory.budget.is_pressed(kind));
        let patience = if is_pressed { PRESSED_CONSUMER_MS } else { self.rules.silence_ms.max(PRESSED_CONSUMER_MS) };
        let now = self.tenths();
        let all: Vec<(u32, u32)> = self.memory.stalled.iter().map(|(&slot, &since)| (slot, since)).collect();
        for (slot, since) in all {
            if self.sessions.get(slot).is_none_or(|session| !session.blocked) {
                self.memory.stalled.remove(&slot);
            } else if u64::from(now.saturating_sub(since)) * 100 >= patience {
                self.give_up(slot);
            } else if self.is_far_behind(slot) {
                self.lag(slot);
            }
        }
        self.memory.budget.is_over(Kind::FullStates)
    }

    /// Whether the connection is behind by more in all its rooms together than may be. In one room, the room's own
    /// bound counts.
    fn is_far_behind(&self, slot: u32) -> bool {
        let Some(session) = self.sessions.get(slot) else { return false };
        let (mut rooms, mut lag) = (0, 0);
        for Membership { feed, at } in session.memberships.iter() {
            rooms += 1;
            lag += self.feeds.get(feed).view.lag_of(at);
        }
        rooms > 1 && lag > LAG_OF_CONNECTION_FACTOR * self.bounds.queue_bytes
    }

    /// The longest queues are closed until this shard's part of what is too much is free.
    fn relieve_outboxes(&mut self) {
        let mut excess = self.sessions.outboxes().excess();
        if excess == 0 {
            return;
        }
        for (slot, _) in self.heaviest(|session| session.out.as_ref().map_or(0, |out| out.footprint())) {
            if excess == 0 {
                return;
            }
            let before = self.sessions.outboxes().bytes();
            self.give_up(slot);
            excess = excess.saturating_sub(before.saturating_sub(self.sessions.outboxes().bytes()));
        }
    }

    /// A few of those with the most unsent are closed, and at the next look a few more: they share what they wait for,
    /// so nobody knows what one of them costs.
    fn relieve_full_states(&mut self) {
        let heaviest = self.heaviest(Session::unsent_len);
        heaviest.into_iter().take(CLOSED_PER_LOOK_MAX).for_each(|(slot, _)| self.give_up(slot));
    }

    /// Those who do not take what is queued for them, the heaviest first.
    fn heaviest(&self, weight: impl Fn(&Session) -> usize) -> Vec<(u32, usize)> {
        let stalled = self.memory.stalled.keys().copied();
        let weighed = stalled.filter_map(|slot| Some((slot, self.sessions.get(slot).filter(|s| s.blocked)?)));
        let mut all: Vec<(u32, usize)> = weighed.map(|(slot, session)| (slot, weight(session))).collect();
        all.retain(|&(_, weight)| weight > 0);
        all.sort_unstable_by_key(|&(_, weight)| std::cmp::Reverse(weight));
        all
    }

    /// The connection does not take what it is sent: it is closed, and what waited for it is free, but for a frame
    /// that has begun to leave. From now on it has as long again to take that and our close frame; then it ends.
    fn give_up(&mut self, slot: u32) {
        self.memory.stalled.remove(&slot);
        let Some(session) = self.sessions.get(slot) else { return };
        self.figures.stalled_closed += 1;
        match session.stage {
            Stage::Open => {
                self.cut_off(slot, frame::CLOSE_SLOW, "too slow");
                let now = self.tenths();
                self.memory.stalled.insert(slot, now);
            }
            Stage::Http | Stage::Closing => self.orders.push(Order::End(slot)),
        }
    }
}

#[cfg(test)]
mod tests;
