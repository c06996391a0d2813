//! Heartbeats: which lives there are, which have ended, and what that means for addresses and owners.
//!
//! Invariant: a life has ended when another one of its node has begun, or when its heart has stood still while Redis
//! was there; one that goes on after that is a stranger. Never here: parts of this node.

use std::collections::BTreeSet;

use crate::cluster::entry::VERSION;
use crate::cluster::member::Event;
use crate::cluster::names::{Life, NodeName};
use crate::cluster::roster::Beat;
use crate::engine::ids::room_hash;
use crate::limits::cluster::{CLUSTER_BEAT_MS, SILENT_LEASES};
use crate::peers::{Shards, wrap};
use crate::persist::parts::PartNews;
use crate::persist::stores::store::StoreError;

use super::Cluster;

impl<S: Shards> Cluster<S> {
    /// Says that this node is there, and hears who else is.
    pub(in crate::peers) fn beat(&mut self) -> Result<(), StoreError> {
        let sent_at = self.now();
        // Of those who are there: names of nodes that are no more would outgrow what a beat may say.
        let nodes: BTreeSet<NodeName> = self.book().lives().map(|life| life.node.clone()).collect();
        let sent = self.shared.sent().into_iter().filter(|(node, _)| nodes.contains(node)).collect();
        let beat = self.member.beat(sent_at, sent);
        let fresh = room_hash(&format!("{} {}", self.setup.fresh[1], beat.number));
        let (said, era) = self.store.beat(&self.own, beat.number, &beat.write(), fresh)?;
        let beats: Vec<Beat> = said.iter().filter_map(|bytes| Beat::read(bytes)).collect();
        self.shared.set_era(era);
        self.shared.add_beats(beats.iter().filter(|beat| beat.life.node != self.own.node).cloned());
        self.tell(|_| Event::Beats { beats: &beats, era });
        let lease_ms = self.setup.redis.lease_ms;
        self.link.status.renewed(sent_at, lease_ms);
        self.note_back();
        let own = self.own.node.clone();
        if beats.iter().any(|beat| beat.life.node == own && beat.life.incarnation > self.own.incarnation) {
            let name = own.as_str();
            self.shards.replaced(format!("NODE_ID={name}: another server has begun with this name"));
        }
        for beat in beats.iter().filter(|beat| beat.life.node != own) {
            self.meet(beat);
            self.owners.note_beat(beat);
        }
        self.end_lives(&beats);
        let (unserved, parts) = (self.owners.unserved(), self.setup.parts);
        let text = format!("{unserved} of {parts} parts of the rooms have no server");
        self.link.status.set_unserved((unserved > 0).then_some(text));
        let version = self.member.roster().version(self.now(), lease_ms, VERSION);
        self.shared.set_version(version);
        self.tell_nodes(&beat);
        Ok(())
    }

    /// A heart of another node has moved, or not.
    fn meet(&mut self, beat: &Beat) {
        let last = self.silent.get(&beat.life).copied();
        let is_moved = last.is_none_or(|(number, _)| beat.number > number);
        if !is_moved {
            if let Some((_, silent)) = self.silent.get_mut(&beat.life) {
                *silent += 1;
            }
            return;
        }
        self.silent.insert(beat.life.clone(), (beat.number, 0));
        let mut book = self.book();
        let shards = usize::from(beat.shards);
        let is_dead = !book.meet(&beat.life, shards);
        if is_dead && book.revive(&beat.life, shards) {
            drop(book);
            tracing::warn!(node = beat.life.node.as_str(), "a node that was taken for dead lives");
            self.shared.add_letter(&beat.life.node, wrap::forgotten(&beat.life));
            self.parts.wake();
        }
    }

    fn is_dead(&self, silent: u64) -> bool {
        silent * CLUSTER_BEAT_MS >= self.setup.redis.lease_ms * SILENT_LEASES
    }

    /// Lives that have ended: another one of the same node has begun, or their heart stands still.
    fn end_lives(&mut self, beats: &[Beat]) {
        let now = self.now();
        let is_over = |life: &Life| {
            let newer = |beat: &Beat| beat.life.node == life.node && beat.life.incarnation > life.incarnation;
            let is_gone = !beats.iter().any(|beat| beat.life == *life) && self.silent.contains_key(life);
            let is_silent = self.silent.get(life).is_some_and(|(_, silent)| self.is_dead(*silent));
            beats.iter().any(newer) || is_silent || is_gone
        };
        let mut book = self.book();
        let over: Vec<Life> = book.lives().filter(|life| is_over(life)).cloned().collect();
        let ended: Vec<_> = over.iter().filter_map(|life| Some((life.clone(), book.end(now, life)?))).collect();
        drop(book);
        for (life, of) in ended {
            tracing::info!(node = life.node.as_str(), incarnation = life.incarnation, "a node has ended");
            self.tell_all(|| PartNews::Ended { of });
        }
        self.silent.retain(|life, _| beats.iter().any(|beat| beat.life == *life));
    }

    /// Says that this node is no more.
    pub(in crate::peers) fn leave(&mut self) {
        if let Err(error) = self.store.leave(&self.own) {
            tracing::warn!("others were not told that this node ends: {error}");
        }
    }
}
