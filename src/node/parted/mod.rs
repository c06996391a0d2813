//! A shard of a node among several: which rooms it decides about, where the others are asked, and what happens when
//! that changes.
//!
//! `waiting` keeps requests until they are answered, whoever answers; `views` sees holes in what is told of rooms and
//! mends them. Invariants: nothing is decided about a part that this shard has not been told to serve, or whose grant
//! is over; a request is answered once. Never here: who owns what; how letters travel.

mod done;
mod errands;
mod known;
mod late;
mod views;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Node;
use super::letters::{Letter, Return};
use crate::cluster::names::PartId;
use crate::engine::command::Input;
use crate::engine::ids::{ConnId, RoomId, ShardId, ShardSet};
use crate::engine::time::Millis;
use crate::persist::parts::{PartAck, PartLink, PartNews, StoredPart};
use crate::planted::{Bug, has};

use errands::Errands;
use waiting::Waiting;

/// What a shard of a node among several knows of the parts.
#[derive(Debug)]
pub struct Parted {
    link: Arc<PartLink<Letter>>,
    /// Where each part's requests go. This shard itself: it serves the part.
    owners: Vec<Option<ShardId>>,
    /// Parts of which nothing is decided for now, though they are this shard's: their grant is over.
    paused: Vec<PartId>,
    /// Parts that are to be given away when the store has this batch.
    settling: Vec<(PartId, u64, u64)>,
    /// Parts of which nothing may change here: from [`PartNews::Freeze`] on until they are served again, or forgotten.
    frozen: Vec<PartId>,
    /// Connections that have ended since.
    ended: Vec<ConnId>,
    /// Requests without an answer, by slot.
    waiting: BTreeMap<u32, VecDeque<Waiting>>,
    /// Slots whose requests may go on, with their generations.
    pumps: Vec<(u32, u32)>,
    /// Members that have asked for full states: since when.
    returning: BTreeMap<u32, Millis>,
    /// Members that have asked this shard to be let in before it served their rooms.
    early: BTreeMap<(ConnId, RoomId), Return>,
    /// Feeds of which something was missed.
    lost: Vec<u32>,
    /// Questions of who is no connection.
    errands: Errands,
    /// Who has written the letter that is being read, if that is another node.
    hears: Option<ShardSet>,
    /// How long a request may wait before it is refused.
    patience_ms: u64,
}

impl Parted {
    /// Nothing is known yet. A request is refused after so many milliseconds.
    #[must_use]
    pub fn new(link: Arc<PartLink<Letter>>, patience_ms: u64) -> Self {
        let parts = link.spread().parts().expect("a cluster has parts");
        Self {
            owners: vec![None; usize::from(parts)],
            link,
            paused: Vec::new(),
            settling: Vec::new(),
            frozen: Vec::new(),
            ended: Vec::new(),
            waiting: BTreeMap::new(),
            pumps: Vec::new(),
            returning: BTreeMap::new(),
            early: BTreeMap::new(),
            lost: Vec::new(),
            errands: Errands::default(),
            hears: None,
            patience_ms,
        }
    }

    pub(super) fn part_of(&self, room: &str) -> PartId {
        PartId(self.link.spread().part_of(room).expect("a cluster has parts"))
    }

    /// Where requests about a room go now.
    pub(super) fn owner_of(&self, room: &str) -> Option<ShardId> {
        self.owners[self.part_of(room).index()]
    }

    /// Whether rooms of this shard may not change: what changed would be lost.
    fn keeps_still(&self) -> bool {
        !(self.frozen.is_empty() && self.paused.is_empty() || has(Bug::ChangesFrozen))
    }

    /// Where the room would be on this node.
    pub(super) fn home_of(&self, room: &str) -> ShardId {
        self.link.spread().shard_of(room)
    }
}

impl Node {
    /// The same shard, of a node among several.
    #[must_use]
    pub fn with_parts(mut self, parted: Option<Parted>) -> Self {
        if parted.is_some() {
            self.post.reach_all();
        }
        self.parted = parted.map(Box::new);
        self
    }

    /// Whether a shard of this node has the room, as far as is known here.
    #[must_use]
    pub fn is_of_this_node(&self, room: &str) -> bool {
        let owner = |parted: &Parted| parted.owner_of(room).is_some_and(|owner| owner.index() < self.shards);
        self.parted.as_deref().is_none_or(owner)
    }

    /// What the cluster's thread tells.
    pub(super) fn part_news(&mut self, news: PartNews) {
        match news {
            PartNews::Load { part, fence, stored } => self.load_part(part, fence, *stored),
            PartNews::Serve { part } => self.serve_part(part),
            PartNews::Freeze { part, fence } => self.freeze_part(part, fence),
            PartNews::Rewrite { .. } => {
                if let Some(saving) = self.saving.as_mut() {
                    saving.pending.owe_full_state();
                }
            }
            PartNews::Forget { part, fence } => self.forget_part(part, fence),
            PartNews::Moved { part, to } => self.part_moved(part, to),
            PartNews::Hole { from } => self.mail_lost(from),
            PartNews::Ended { of } => self.life_ended(of),
        }
    }

    fn load_part(&mut self, part: PartId, fence: u64, stored: StoredPart) {
        crate::marks::hit("a part that is taken in");
        // What is left of an earlier time is not what the store has.
        self.decide(Input::ForgetPart { part: part.0 });
        self.decide(Input::Freeze { part: part.0 });
        let StoredPart { rooms, holds, log, lives } = stored;
        self.restore_numbers(&log, &rooms);
        self.restore_rooms(&rooms);
        self.restore(&holds);
        lives.iter().for_each(|(room, at)| self.decide(Input::LiveOn { room: room.as_str(), at: *at }));
        self.log_lapsed(&log.lapsed);
        self.ack(PartAck::Loaded { part, fence });
    }

    fn serve_part(&mut self, part: PartId) {
        let own = self.id;
        let Some(parted) = self.parted.as_mut() else { return };
        parted.owners[part.index()] = Some(own);
        parted.settling.retain(|(of, ..)| *of != part);
        parted.paused.retain(|of| *of != part);
        parted.frozen.retain(|of| *of != part);
        let spread = parted.link.spread();
        parted.waiting.values_mut().flatten().for_each(|waiting| waiting.comes_back(part, spread, Some(own)));
        self.decide(Input::Thaw { part: part.0 });
        if !has(Bug::OwnViewsStay) {
            // Who looks at these rooms from this shard was told of them by another one.
            self.look_anew(own, |feed| spread.part_of(feed.room.as_str()) == Some(part.0));
        }
        self.end_connections();
        self.let_in_early(part);
        self.mend_lost();
        self.pump_all();
        self.errands_move(part, Some(own));
        self.pump_errands();
    }

    fn freeze_part(&mut self, part: PartId, fence: u64) {
        crate::marks::hit("a part that is about to be given away");
        self.decide(Input::Freeze { part: part.0 });
        let needed = self.saving.as_ref().map_or(0, super::saving::Saving::needed);
        let Some(parted) = self.parted.as_mut() else { return };
        parted.owners[part.index()] = None;
        parted.settling.push((part, fence, needed));
        parted.frozen.push(part);
        self.settle_parts();
    }

    /// The part is another node's. What was decided and not told is not true; who asked for it asks again.
    fn forget_part(&mut self, part: PartId, fence: u64) {
        crate::marks::hit("a part that is forgotten");
        let Some(parted) = self.parted.as_mut() else { return };
        let of_part = |room: &str| parted.link.spread().part_of(room) == Some(part.0);
        parted.owners[part.index()] = None;
        parted.settling.retain(|(of, ..)| *of != part);
        parted.paused.retain(|of| *of != part);
        parted.frozen.retain(|of| *of != part);
        parted.early.retain(|(_, room), _| !of_part(room.as_str()));
        let unanswered = self.saving.as_mut().map(|saving| saving.forget(of_part)).unwrap_or_default();
        let spread = parted.link.spread();
        parted.waiting.values_mut().flatten().for_each(|waiting| waiting.comes_back(part, spread, None));
        self.decide(Input::ForgetPart { part: part.0 });
        unanswered.into_iter().for_each(|answer| self.tell(answer, None));
        self.count_withheld();
        self.end_connections();
        self.ack(PartAck::Forgotten { part, fence });
    }

    fn part_moved(&mut self, part: PartId, to: Option<ShardId>) {
        let own = self.id;
        let Some(parted) = self.parted.as_mut() else { return };
        if parted.link.spread().shard_of_part(part.0) == own
            && (to == Some(own)) != (parted.owners[part.index()] == Some(own))
        {
            // Whether this shard serves it, it has been told by itself.
            return;
        }
        parted.owners[part.index()] = to;
        let spread = parted.link.spread();
        parted.waiting.values_mut().flatten().for_each(|waiting| waiting.comes_back(part, spread, to));
        self.errands_move(part, to);
        if let Some(to) = to {
            self.look_anew(to, |feed| spread.part_of(feed.room.as_str()) == Some(part.0));
        }
        // Who looks at a room is let in before it asks for something there: what it holds is its own again.
        self.mend_lost();
        self.pump_all();
        self.pump_errands();
    }

    fn mail_lost(&mut self, from: ShardSet) {
        crate::marks::hit("mail of another node that is lost");
        let Some(parted) = self.parted.as_mut() else { return };
        parted.waiting.values_mut().flatten().for_each(|waiting| waiting.comes_back_from(from));
        let feeds: Vec<u32> =
            self.feeds.numbered().filter(|(_, feed)| from.contains(feed.owner)).map(|(at, _)| at).collect();
        feeds.into_iter().for_each(|feed| self.lose(feed));
        self.mend_lost();
        self.pump_all();
        self.errands_lost(from);
        self.pump_errands();
    }

    fn life_ended(&mut self, of: ShardSet) {
        let waits_until = self.at.now.mono.after(self.rules.restore_grace_ms);
        self.not_let_in(|conn| of.contains(conn.shard()));
        for conn in self.seats.connections_on(of) {
            self.decide(Input::Away { conn, waits_until });
        }
        if let Some(parted) = self.parted.as_mut() {
            parted.waiting.values_mut().flatten().for_each(|waiting| waiting.comes_back_from(of));
        }
        self.errands_lost(of);
        self.ack(PartAck::Purged { shard: self.id, of });
    }

    /// A connection has ended. As long as rooms of this shard are about to be another node's, or may be, that changes
    /// nothing in them: the other one would not know it. It is noticed when they are served again, or forgotten.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.not_let_in(|of| of == conn);
        if let Some(parted) = self.parted.as_mut().filter(|parted| parted.keeps_still()) {
            crate::marks::hit("a connection that ends while its rooms are given away");
            return parted.ended.push(conn);
        }
        self.decide(Input::Gone { conn });
    }

    /// What ended while rooms had to stay as they were has ended now, if none has to any more.
    fn end_connections(&mut self) {
        let Some(parted) = self.parted.as_mut().filter(|parted| !parted.keeps_still()) else { return };
        for conn in std::mem::take(&mut parted.ended) {
            self.decide(Input::Gone { conn });
        }
    }

    /// The connection's node is about to end.
    pub(super) fn goes_away(&mut self, conn: ConnId) {
        self.not_let_in(|of| of == conn);
        let waits_until = self.at.now.mono.after(self.rules.restore_grace_ms);
        self.decide(Input::Away { conn, waits_until });
    }

    /// Whether something is to be asked again, or refused, at a tick.
    #[must_use]
    pub fn waits_for_owners(&self) -> bool {
        let waits = |parted: &Parted| {
            let is_quiet = parted.waiting.is_empty() && parted.returning.is_empty();
            !is_quiet || !parted.settling.is_empty() || !parted.paused.is_empty()
        };
        self.parted.as_deref().is_some_and(waits)
    }

    /// Once a tick: what lost its grant is not decided about, and what waits too long is asked again or refused.
    pub(super) fn look_after_parts(&mut self) {
        let (own, now) = (self.id, self.at.now.mono);
        let Some(parted) = self.parted.as_mut() else { return };
        let numbered = (0..).map(PartId).zip(&parted.owners);
        let own_parts: Vec<PartId> = numbered.filter(|(_, owner)| **owner == Some(own)).map(|(part, _)| part).collect();
        for part in own_parts {
            let Some(parted) = self.parted.as_mut() else { return };
            let (may, is_paused) = (parted.link.may_decide(part, now), parted.paused.contains(&part));
            if may && is_paused {
                parted.paused.retain(|of| *of != part);
                self.decide(Input::Thaw { part: part.0 });
                self.end_connections();
                self.let_in_early(part);
            } else if !may && !is_paused {
                parted.paused.push(part);
                self.decide(Input::Freeze { part: part.0 });
            }
        }
        self.settle_parts();
        self.return_again();
        self.refuse_overdue();
        self.end_overdue_errands();
        self.pump_errands();
        self.pump_all();
    }
}
