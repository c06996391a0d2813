//! In which part a room is, and which node should own a part.
//!
//! Rendezvous hashing: each node draws one ticket a shard for each part, and the highest ticket wins. So a node with
//! twice the shards gets twice the parts, and one that comes or goes moves only what it gains or loses. In whole
//! numbers: logarithms differ between machines. Invariant: the answer follows from the arguments alone. Never here: who
//! owns a part at present.

use crate::engine::ids::{self, room_hash};

use super::names::{NodeName, PartId};
use crate::limits::cluster::CLUSTER_PARTS_MAX;

/// The part a room is in.
#[must_use]
pub fn part_of(room: &str, parts: u16) -> PartId {
    assert!(parts <= CLUSTER_PARTS_MAX);
    PartId(ids::part_of(room, parts))
}

/// Who should own the part, of these nodes and their shards.
#[must_use]
pub fn should_own<'a>(part: PartId, nodes: impl Iterator<Item = (&'a NodeName, u8)>) -> Option<&'a NodeName> {
    nodes.max_by_key(|(node, shards)| (best_ticket(part, node, *shards), *node)).map(|(node, _)| node)
}

fn best_ticket(part: PartId, node: &NodeName, shards: u8) -> u64 {
    let name = room_hash(node.as_str());
    let ticket = |shard: u8| mix(mix(name ^ u64::from(part.0)) ^ u64::from(shard));
    (0..shards.max(1)).map(ticket).max().unwrap_or_default()
}

/// `SplitMix64`.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::names::{NodeName, PartId};
    use super::{part_of, should_own};

    fn owners(nodes: &[(&str, u8)]) -> Vec<String> {
        let nodes: Vec<_> =
            nodes.iter().map(|(name, shards)| (NodeName::new(name).expect("a name"), *shards)).collect();
        let nodes = || nodes.iter().map(|(name, shards)| (name, *shards));
        (0..4_096).map(|part| should_own(PartId(part), nodes()).expect("somebody").as_str().to_owned()).collect()
    }

    #[test]
    fn parts_are_spread_by_shards() {
        let owners = owners(&[("a:1", 2), ("b:1", 2), ("c:1", 4)]);
        for (name, even) in [("a:1", 1_024), ("b:1", 1_024), ("c:1", 2_048)] {
            let has = owners.iter().filter(|owner| *owner == name).count();
            assert!(has > even * 8 / 10 && has < even * 12 / 10, "{name} has {has} of {even}");
        }
    }

    #[test]
    fn a_node_that_goes_moves_only_its_own() {
        let before = owners(&[("a:1", 2), ("b:1", 2), ("c:1", 2)]);
        let after = owners(&[("a:1", 2), ("b:1", 2)]);
        assert!(before.iter().zip(&after).all(|(before, after)| before == "c:1" || before == after));
    }

    #[test]
    fn rooms_are_spread_over_parts() {
        let mut rooms = [0; 256];
        (0..25_600).for_each(|number| rooms[part_of(&format!("room-{number}"), 256).index()] += 1);
        assert!(rooms.iter().all(|&count| count > 50 && count < 160), "{rooms:?}");
    }
}
