//! What the nodes are told of in figures: who is there, and which parts this one has and should have.
//!
//! Never here: what follows from it.

use crate::cluster::names::PartId;
use crate::cluster::placement::should_own;
use crate::cluster::roster::Beat;
use crate::figures::nodes::NodeRow;
use crate::peers::Shards;

use super::Cluster;

impl<S: Shards> Cluster<S> {
    /// The heartbeats were read, this one's too. `lives.rs` calls it at the end of `beat`.
    pub(super) fn tell_nodes(&self, own: &Beat) {
        let (now, lease_ms) = (self.now(), self.setup.redis.lease_ms);
        let others = self.member.roster().live(now, lease_ms).filter(|beat| beat.life.node != own.life.node);
        let mut live: Vec<&Beat> = others.chain([own]).collect();
        live.sort_unstable_by(|one, other| one.life.node.cmp(&other.life.node));
        let takers = || live.iter().filter(|beat| beat.ready).map(|beat| (&beat.life.node, beat.shards));
        let is_own = |part: &u16| should_own(PartId(*part), takers()) == Some(&own.life.node);
        let wanted = (0..self.setup.parts).filter(is_own).count();
        let rows: Vec<NodeRow> = live.iter().map(|beat| row(beat, own)).collect();
        self.parts.nodes().change(|figures| {
            figures.nodes = rows.len() as u64;
            figures.parts_owned = own.parts.len() as u64;
            figures.parts_wanted = wanted as u64;
            figures.parts_moving = (self.reading.len() + self.forgetting.len()) as u64;
            figures.parts_ownerless = self.owners.unserved() as u64;
        });
        self.parts.nodes().set_rows(rows);
    }

    /// A part was read that this node has taken. `storing.rs` calls it in `read_parts`.
    pub(super) fn count_taken(&self, is_handed_over: bool) {
        self.parts.nodes().change(|figures| {
            figures.parts_taken += 1;
            figures.parts_handed_over += u64::from(is_handed_over);
        });
    }
}

fn row(beat: &Beat, own: &Beat) -> NodeRow {
    NodeRow {
        node: beat.life.node.as_str().to_owned(),
        is_this: beat.life.node == own.life.node,
        shards: u64::from(beat.shards),
        parts: beat.parts.len() as u64,
        is_ready: beat.ready,
    }
}
