//! One node as a member of the cluster: which parts it has, takes, keeps and hands over. Events in, orders out.
//!
//! Invariants: [`Member::may_decide`] is true for one node at most, whatever is lost, late or stopped; a part that is
//! handed over is without a decision for [`CLUSTER_HAND_OVER_MS`] at most, unless its lease is lost meanwhile.
//! Never here: seats, mail, Redis.

use super::call::{Answer, Call, Kind};
use super::lease::Lease;
use super::names::{Life, NodeName, PartId};
use super::part::{Part, State};
use super::placement::should_own;
use super::roster::{Beat, Roster};
use crate::engine::time::Millis;
use crate::limits::cluster::{
    CLUSTER_CALL_MS, CLUSTER_HAND_OVER_MS, CLUSTER_LEASE_MS_MAX, CLUSTER_LEASE_MS_MIN, CLUSTER_PARTS_MAX,
    CLUSTER_RENEWALS_PER_LEASE,
};
use crate::planted::{self, Bug};

/// What all nodes of a cluster agree on, and what is this node's own.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Parts of the key space.
    pub parts: u16,
    /// Length of a lease.
    pub lease_ms: u64,
    /// Shards of this node.
    pub shards: u8,
    /// The newest version of letters and records that this node reads.
    pub version: u8,
}

/// What a member is told.
#[derive(Debug)]
pub enum Event<'a> {
    /// Time has passed.
    Tick,
    /// What all nodes last said of themselves, and the era of the Redis that says so.
    Beats { beats: &'a [Beat], era: u64 },
    /// The answer to a call that was sent at this time.
    Answered { call: &'a Call, sent_at: Millis, answer: &'a Answer },
    /// The rooms of the part are read, under this fence.
    Loaded { part: PartId, fence: u64 },
    /// What was decided about the part is committed, under this fence.
    Settled { part: PartId, fence: u64 },
    /// Another node says that it has given the part to this one, with this fence.
    Given { part: PartId, fence: u64 },
    /// This node is to end: everything is handed over.
    Drain,
}

/// What a member wants done.
#[derive(PartialEq, Eq, Debug)]
pub enum Order {
    /// Make this call.
    Call(Call),
    /// Read the rooms of the part, until that succeeds or they are to be forgotten; then [`Event::Loaded`].
    Load { part: PartId, fence: u64 },
    /// Decide about it from now on, and tell everybody that this node has it. After a hand-over that came to nothing,
    /// too.
    Serve { part: PartId, fence: u64 },
    /// Stop deciding and commit; then [`Event::Settled`].
    Freeze { part: PartId, fence: u64 },
    /// Write all of it again: Redis has lost something.
    Rewrite { part: PartId },
    /// Forget its rooms, and send what waits for it after it, if it is known where to.
    Forget { part: PartId, to: Option<Life> },
    /// Tell this node that it has got the part.
    Tell { part: PartId, fence: u64, to: Life },
}

/// A node as a member of the cluster.
#[derive(Debug)]
pub struct Member {
    own: Life,
    rules: Rules,
    parts: Vec<Part>,
    roster: Roster,
    /// The era of Redis, and when this node has first seen it.
    era: Option<(u64, Millis)>,
    beats: u64,
    is_draining: bool,
}

impl Member {
    /// A node that has nothing yet.
    #[must_use]
    pub fn new(own: Life, rules: Rules) -> Self {
        assert!(rules.parts > 0 && rules.parts <= CLUSTER_PARTS_MAX, "the settings bound it");
        assert!((CLUSTER_LEASE_MS_MIN..=CLUSTER_LEASE_MS_MAX).contains(&rules.lease_ms), "the settings bound it");
        let parts = (0..rules.parts).map(|part| Part::new(PartId(part))).collect();
        Self { own, rules, parts, roster: Roster::default(), era: None, beats: 0, is_draining: false }
    }

    /// Whether this node decides about the part. To be asked with a time that was read after the last wait.
    #[must_use]
    pub fn may_decide(&self, part: PartId, now: Millis) -> bool {
        self.parts[part.index()].may_decide(now)
    }

    /// Until when this node decides about the part, unless its lease is renewed. `None`: it does not.
    #[must_use]
    pub fn decides_until(&self, part: PartId) -> Option<Millis> {
        self.parts[part.index()].decides_until()
    }

    /// Who has the part, as far as is known: where commands go.
    #[must_use]
    pub fn owner_of(&self, part: PartId, now: Millis) -> Option<&Life> {
        if self.parts[part.index()].is_owned() {
            return Some(&self.own);
        }
        self.roster.owner_of(part, now, self.rules.lease_ms).map(|(life, _)| life)
    }

    /// Whether this node has anything, whether or not it decides.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.parts.iter().any(Part::is_owned)
    }

    /// All nodes that were heard of.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What this node says of itself now.
    pub fn beat(&mut self, now: Millis, sent: Vec<(NodeName, u64)>) -> Beat {
        self.beats += 1;
        Beat {
            life: self.own.clone(),
            number: self.beats,
            shards: self.rules.shards,
            version: self.rules.version,
            ready: self.may_take(now) && !self.is_draining,
            parts: self.parts.iter().filter(|part| part.is_owned()).map(|part| (part.id, part.fence)).collect(),
            sent,
        }
    }

    /// The header of a commit of this part, to which the shell adds the changes. `None`: the part is not this node's,
    /// or may not be; the shell asks again.
    pub fn commit(&mut self, now: Millis, part: PartId) -> Option<Call> {
        let is_owned = self.parts[part.index()].is_owned();
        if is_owned { self.guarded(now, part.index(), Kind::Commit) } else { None }
    }

    /// A call about a part that this node has. What it may have lost meanwhile it asks for as if it took it: in an era
    /// in which a lease of another one can have been lost it does not ask at all.
    fn guarded(&mut self, now: Millis, index: usize, kind: Kind) -> Option<Call> {
        let is_held = self.parts[index].is_held(now) || planted::has(Bug::RenewsBlindly);
        if !is_held && !self.may_take(now) {
            return None;
        }
        let era = self.era.map(|(era, _)| era).filter(|_| !is_held);
        Some(self.parts[index].call(now, &self.own, era, kind))
    }

    /// The one door.
    pub fn handle(&mut self, now: Millis, event: Event<'_>, orders: &mut Vec<Order>) {
        match event {
            Event::Tick => (0..self.parts.len()).for_each(|part| self.tick(now, part, orders)),
            Event::Beats { beats, era } => {
                self.note_era(now, era);
                self.roster.note_all(now, beats);
            }
            Event::Answered { call, sent_at, answer } => self.answered(now, (call, sent_at), answer, orders),
            Event::Loaded { part, fence } => self.loaded(part, fence, orders),
            Event::Settled { part, fence } => self.settled(now, part, fence, orders),
            Event::Given { part, fence } => self.given(now, part, fence, orders),
            Event::Drain => self.is_draining = true,
        }
    }

    fn note_era(&mut self, now: Millis, era: u64) {
        if self.era.is_none_or(|(known, _)| known != era) {
            crate::marks::hit("an era begins");
            self.era = Some((era, now));
        }
    }

    /// Whether every lease that this Redis may have lost is over.
    fn may_take(&self, now: Millis) -> bool {
        let waited = |(_, since): (u64, Millis)| now.since(since) >= self.rules.lease_ms;
        self.era.is_some_and(|era| waited(era) || planted::has(Bug::TakesInNewEra))
    }

    /// Which life should have the part. `None`: nobody is ready.
    fn should_own(&self, now: Millis, part: PartId) -> Option<Life> {
        let ready = || self.roster.live(now, self.rules.lease_ms).filter(|beat| beat.ready && self.is_current(beat));
        let name = should_own(part, ready().map(|beat| (&beat.life.node, beat.shards)))?;
        ready().find(|beat| beat.life.node == *name).map(|beat| beat.life.clone())
    }

    /// Of this node's own beats only those of this life count, and only until it drains.
    fn is_current(&self, beat: &Beat) -> bool {
        beat.life.node != self.own.node || beat.life == self.own && !self.is_draining
    }

    fn tick(&mut self, now: Millis, index: usize, orders: &mut Vec<Order>) {
        let part = &self.parts[index];
        let waits = part.asked_at.is_some_and(|asked| now.since(asked) < CLUSTER_CALL_MS);
        match part.state.clone() {
            State::Elsewhere => self.want(now, index, orders),
            State::Taking if !waits => self.parts[index].state = State::Elsewhere,
            State::Taking => {}
            State::Loading => self.renew(now, index, orders),
            State::Serving => {
                self.renew(now, index, orders);
                self.let_go(now, index, orders);
            }
            State::Freezing { since, .. } | State::Giving { since, .. } => {
                if now.since(since) >= CLUSTER_HAND_OVER_MS {
                    self.regain(now, index, orders);
                }
            }
            State::Regaining { .. } if !waits => self.renew_now(now, index, orders),
            State::Regaining { .. } => {}
        }
    }

    /// A part that should be this node's and that nobody has is taken.
    fn want(&mut self, now: Millis, index: usize, orders: &mut Vec<Order>) {
        let id = self.parts[index].id;
        let is_claimed = self.roster.owner_of(id, now, self.rules.lease_ms).is_some_and(|(life, _)| *life != self.own);
        let is_wanted = self.parts[index].given.is_some()
            || !is_claimed && self.should_own(now, id).is_some_and(|life| life == self.own);
        let Some((era, _)) = self.era else { return };
        if !is_wanted || !self.may_take(now) {
            return;
        }
        let part = &mut self.parts[index];
        part.state = State::Taking;
        let above = part.highest;
        orders.push(Order::Call(part.call(now, &self.own, Some(era), Kind::Take { above })));
    }

    fn renew(&mut self, now: Millis, index: usize, orders: &mut Vec<Order>) {
        let part = &self.parts[index];
        let every = self.rules.lease_ms / CLUSTER_RENEWALS_PER_LEASE;
        let is_due = part.lease.is_none_or(|lease| now.since(lease.since) >= every);
        if is_due && part.asked_at.is_none_or(|asked| now.since(asked) >= CLUSTER_CALL_MS) {
            self.renew_now(now, index, orders);
        }
    }

    fn renew_now(&mut self, now: Millis, index: usize, orders: &mut Vec<Order>) {
        orders.extend(self.guarded(now, index, Kind::Renew).map(Order::Call));
    }

    /// A part that should be another node's is handed over.
    fn let_go(&mut self, now: Millis, index: usize, orders: &mut Vec<Order>) {
        if !self.is_draining && !self.may_take(now) {
            // Nobody is ready to take it just after an era has begun; this node only looks as if it were not.
            return;
        }
        let Part { id, stays_until, .. } = self.parts[index];
        if now < stays_until {
            return;
        }
        let Some(to) = self.should_own(now, id).filter(|to| *to != self.own) else { return };
        crate::marks::hit("a part is handed over");
        let part = &mut self.parts[index];
        part.state = State::Freezing { since: now, to };
        orders.push(Order::Freeze { part: id, fence: part.fence });
    }

    fn regain(&mut self, now: Millis, index: usize, orders: &mut Vec<Order>) {
        crate::marks::hit("a hand-over that took too long");
        let part = &mut self.parts[index];
        if planted::has(Bug::ResumesUnasked) {
            part.state = State::Serving;
            return orders.push(Order::Serve { part: part.id, fence: part.fence });
        }
        part.state = State::Regaining { from: part.number + 1 };
        self.renew_now(now, index, orders);
    }

    fn loaded(&mut self, part: PartId, fence: u64, orders: &mut Vec<Order>) {
        let part = &mut self.parts[part.index()];
        if part.state == State::Loading && part.fence == fence {
            part.state = State::Serving;
            orders.push(Order::Serve { part: part.id, fence });
        }
    }

    fn settled(&mut self, now: Millis, part: PartId, fence: u64, orders: &mut Vec<Order>) {
        let index = part.index();
        let State::Freezing { since, to } = self.parts[index].state.clone() else { return };
        if self.parts[index].fence != fence {
            return;
        }
        if let Some(call) = self.guarded(now, index, Kind::Give { to: to.clone() }) {
            self.parts[index].state = State::Giving { since, to };
            orders.push(Order::Call(call));
        }
    }

    fn given(&mut self, now: Millis, part: PartId, fence: u64, orders: &mut Vec<Order>) {
        let index = part.index();
        let part = &mut self.parts[index];
        if part.is_owned() || fence < part.highest {
            return;
        }
        part.saw(fence);
        part.given = Some(fence);
        if part.state == State::Elsewhere {
            self.want(now, index, orders);
        }
    }

    fn answered(&mut self, now: Millis, (call, sent_at): (&Call, Millis), answer: &Answer, orders: &mut Vec<Order>) {
        assert!(call.by == self.own, "an answer comes to its caller");
        if let Answer::NewEra { era } = *answer {
            self.note_era(now, era);
        }
        let part = &mut self.parts[call.part.index()];
        if call.number == part.number {
            part.asked_at = None;
        }
        let brought = Lease::granted(sent_at, now, self.rules.lease_ms);
        if matches!(call.kind, Kind::Take { .. }) {
            return take_answered(part, call, answer, brought, orders);
        }
        if !part.is_owned() || call.fence != part.fence {
            return;
        }
        match answer {
            Answer::Granted { .. } | Answer::Lost { .. } => {
                if matches!(answer, Answer::Lost { .. }) {
                    crate::marks::hit("a loss is heard of");
                    orders.push(Order::Rewrite { part: part.id });
                }
                part.heard = part.heard.max(call.number);
                let is_refused = matches!((&call.kind, answer), (Kind::Give { .. }, Answer::Lost { .. }));
                if !is_refused {
                    granted(part, call, brought, orders);
                } else if let State::Giving { since, to } = part.state.clone() {
                    // The other would read less than was told. Once more when all is written.
                    part.state = State::Freezing { since, to };
                }
            }
            Answer::Taken { .. } if planted::has(Bug::RefusalIsGrant) => granted(part, call, brought, orders),
            Answer::Taken { by, fence } => {
                crate::marks::hit("a node is deposed");
                part.left(*fence);
                orders.push(Order::Forget { part: part.id, to: by.clone().filter(|by| *by != self.own) });
            }
            Answer::Stale | Answer::NewEra { .. } => {}
        }
    }
}

fn take_answered(part: &mut Part, call: &Call, answer: &Answer, brought: Lease, orders: &mut Vec<Order>) {
    match answer {
        Answer::Granted { fence } | Answer::Lost { fence }
            if part.state == State::Taking && call.number == part.number =>
        {
            part.taken(*fence, brought);
            orders.push(Order::Load { part: part.id, fence: *fence });
        }
        Answer::Granted { fence } | Answer::Lost { fence } => part.saw(*fence),
        Answer::Taken { by, fence } => {
            // The answer to a call that was made before the part was given says nothing about that.
            if part.given.is_none_or(|given| given <= call.fence) {
                part.saw(*fence);
                part.given = part.given.filter(|_| by.as_ref() == Some(&call.by)).map(|_| *fence);
            }
            if part.state == State::Taking {
                part.state = State::Elsewhere;
            }
        }
        Answer::Stale | Answer::NewEra { .. } if part.state == State::Taking => part.state = State::Elsewhere,
        Answer::Stale | Answer::NewEra { .. } => {}
    }
}

/// A call about a part that this node has under this fence was granted.
fn granted(part: &mut Part, call: &Call, brought: Lease, orders: &mut Vec<Order>) {
    let fence = part.fence;
    if let Kind::Give { to } = &call.kind {
        part.left(fence + 1);
        orders.push(Order::Forget { part: part.id, to: Some(to.clone()) });
        return orders.push(Order::Tell { part: part.id, fence: fence + 1, to: to.clone() });
    }
    part.lease = Some(part.lease.map_or(brought, |lease| lease.or_later(brought)));
    if matches!(part.state, State::Regaining { from } if call.number >= from) {
        part.state = State::Serving;
        orders.push(Order::Serve { part: part.id, fence });
    }
}
