//! Who is there: the last heartbeat of each node, and since when it has not moved.
//!
//! Invariants: a beat is fresh by the reader's own clock, since its number moved; the newest life of a name counts; no
//! more than [`CLUSTER_NODES_MAX`] nodes. Never here: who owns what.

use std::collections::BTreeMap;

use super::names::{Life, NodeName, PartId};
use crate::engine::time::Millis;
use crate::limits::cluster::{CLUSTER_BEAT_KEPT_MS, CLUSTER_NODES_MAX};

/// What a node says of itself, twice a second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beat {
    /// Who says it.
    pub life: Life,
    /// Moves with each beat.
    pub number: u64,
    /// Its shards: the weight of the node.
    pub shards: u8,
    /// The newest version of letters and records that it reads.
    pub version: u8,
    /// Whether it may get parts: it is not draining, and has waited long enough after an era began.
    pub ready: bool,
    /// The parts that it has, with their fences.
    pub parts: Vec<(PartId, u64)>,
    /// The last entry for each node that Redis has confirmed.
    pub sent: Vec<(NodeName, u64)>,
}

/// All nodes that were heard of.
#[derive(Debug, Default)]
pub struct Roster {
    seen: BTreeMap<NodeName, (Beat, Millis)>,
}

impl Roster {
    /// Takes in what was read now: the beats of all who are there. Who is no longer among them has left, and gets no
    /// parts, however fresh the last beat is; what it had stays its own for as long as without that.
    pub fn note_all(&mut self, now: Millis, beats: &[Beat]) {
        beats.iter().for_each(|beat| self.note(now, beat));
        for (name, (last, _)) in &mut self.seen {
            if last.ready && beats.iter().all(|beat| beat.life.node != *name) {
                crate::marks::hit("a node that has left");
                last.ready = false;
            }
        }
    }

    /// Takes in a beat that was read now.
    pub fn note(&mut self, now: Millis, beat: &Beat) {
        if self.seen.len() >= CLUSTER_NODES_MAX && !self.seen.contains_key(&beat.life.node) {
            self.forget_gone(now);
        }
        let full = self.seen.len() >= CLUSTER_NODES_MAX;
        match self.seen.get_mut(&beat.life.node) {
            Some((last, at)) => {
                if (beat.life.incarnation, beat.number) > (last.life.incarnation, last.number) {
                    (*last, *at) = (beat.clone(), now);
                }
            }
            None if full => crate::marks::hit("a node more than are known"),
            None => _ = self.seen.insert(beat.life.node.clone(), (beat.clone(), now)),
        }
    }

    /// Forgets who has been silent for so long that Redis has forgotten it, too.
    fn forget_gone(&mut self, now: Millis) {
        self.seen.retain(|_, (_, at)| now.since(*at) < CLUSTER_BEAT_KEPT_MS);
    }

    /// The beats that have moved within this time.
    pub fn live(&self, now: Millis, within_ms: u64) -> impl Iterator<Item = &Beat> {
        self.seen.values().filter(move |(_, at)| now.since(*at) < within_ms).map(|(beat, _)| beat)
    }

    /// The version that all live nodes and this one read: what a node speaks.
    #[must_use]
    pub fn version(&self, now: Millis, within_ms: u64, own: u8) -> u8 {
        self.live(now, within_ms).map(|beat| beat.version).chain([own]).min().unwrap_or(own)
    }

    /// The live node that says it has the part, with the highest fence.
    #[must_use]
    pub fn owner_of(&self, part: PartId, now: Millis, within_ms: u64) -> Option<(&Life, u64)> {
        let claims = self.live(now, within_ms).flat_map(|beat| beat.parts.iter().map(move |claim| (beat, claim)));
        let claims = claims.filter(|(_, (of, _))| *of == part).map(|(beat, (_, fence))| (&beat.life, *fence));
        claims.max_by_key(|(_, fence)| *fence)
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::{Life, NodeName, PartId};
    use super::{Beat, Roster};
    use crate::engine::time::Millis;
    use crate::limits::cluster::{CLUSTER_BEAT_KEPT_MS, CLUSTER_NODES_MAX};

    #[test]
    fn who_has_left_gets_no_parts_however_fresh_its_beat() {
        let beat = |node: &str, number| {
            let life = Life { node: NodeName::new(node).expect("a name"), incarnation: 1 };
            Beat { life, number, shards: 1, version: 1, ready: true, parts: vec![(PartId(3), 7)], sent: vec![] }
        };
        let mut roster = Roster::default();
        let ready = |roster: &Roster| -> Vec<String> {
            let live = roster.live(Millis(20), 1_000).filter(|beat| beat.ready);
            live.map(|beat| beat.life.node.as_str().to_owned()).collect()
        };
        roster.note_all(Millis(10), &[beat("a", 1), beat("b", 1)]);
        assert_eq!(ready(&roster), ["a", "b"]);
        roster.note_all(Millis(20), &[beat("b", 2)]);
        assert_eq!(ready(&roster), ["b"]);
        assert!(roster.owner_of(PartId(3), Millis(20), 1_000).is_some(), "what it had is its own until its lease ends");
        roster.note_all(Millis(20), &[beat("a", 2), beat("b", 2)]);
        assert_eq!(ready(&roster), ["a", "b"], "a Redis that had lost its beat has it again");
    }

    #[test]
    fn nodes_that_are_long_gone_make_room_for_others() {
        let beat = |number: usize| {
            let node = NodeName::new(&format!("pod-{number}")).expect("a name");
            let life = Life { node, incarnation: 1 };
            Beat { life, number: 1, shards: 1, version: 1, ready: true, parts: vec![], sent: vec![] }
        };
        let mut roster = Roster::default();
        (0..CLUSTER_NODES_MAX).for_each(|number| roster.note(Millis(0), &beat(number)));
        roster.note(Millis(CLUSTER_BEAT_KEPT_MS - 1), &beat(CLUSTER_NODES_MAX));
        let is_known =
            |roster: &Roster, number| roster.live(Millis(0), u64::MAX).any(|of| of.life == beat(number).life);
        assert!(!is_known(&roster, CLUSTER_NODES_MAX), "those before may come back");
        roster.note(Millis(CLUSTER_BEAT_KEPT_MS), &beat(CLUSTER_NODES_MAX));
        assert!(is_known(&roster, CLUSTER_NODES_MAX) && !is_known(&roster, 0));
    }
}
