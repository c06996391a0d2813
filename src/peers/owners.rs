//! Who has which part, as far as this node knows, and what its shards were told of that.
//!
//! Invariant: what is known of a part only goes to higher fences. Never here: who should have it.

use super::book::Book;
use crate::cluster::names::{Life, PartId};
use crate::cluster::roster::Beat;
use crate::engine::ids::ShardId;

/// What is known of all parts.
#[derive(Debug)]
pub(super) struct Owners {
    parts: Vec<Known>,
}

#[derive(Default, Debug)]
struct Known {
    owner: Option<Life>,
    fence: u64,
    /// Where commands go, and under which fence, as the shards were told; `None` as long as nothing was told. Under
    /// another fence the same owner has read the part anew, and knows nobody who looks at its rooms.
    told: Option<Option<(ShardId, u64)>>,
}

impl Owners {
    pub(super) fn new(parts: u16) -> Self {
        Self { parts: (0..parts).map(|_| Known::default()).collect() }
    }

    /// The part is this one's, with this fence.
    pub(super) fn note(&mut self, part: PartId, owner: &Life, fence: u64) {
        let Some(known) = self.parts.get_mut(part.index()) else { return };
        if fence > known.fence || fence == known.fence && known.owner.is_none() {
            (known.owner, known.fence) = (Some(owner.clone()), fence);
        }
    }

    /// Nobody has it, as far as is known.
    pub(super) fn left(&mut self, part: PartId) {
        self.parts[part.index()].owner = None;
    }

    /// How many parts nobody has, as the shards were told.
    pub(super) fn unserved(&self) -> usize {
        self.parts.iter().filter(|known| known.told.flatten().is_none()).count()
    }

    /// What another node says that it has.
    pub(super) fn note_beat(&mut self, beat: &Beat) {
        beat.parts.iter().for_each(|(part, fence)| self.note(*part, &beat.life, *fence));
    }

    /// What the shards have to be told: parts whose commands go elsewhere, or nowhere, from now on.
    pub(super) fn take_moved(
        &mut self,
        book: &Book,
        is_there: impl Fn(PartId, &Life) -> bool,
    ) -> Vec<(PartId, Option<ShardId>)> {
        let count = self.parts.len();
        let mut moved = Vec::new();
        for (index, known) in self.parts.iter_mut().enumerate() {
            let part = PartId(u16::try_from(index).expect("parts are bounded"));
            let owner = known.owner.as_ref().filter(|owner| is_there(part, owner));
            // The same rule on every node, for each with its own number of shards.
            let to = owner.and_then(|owner| book.address(owner, index * book.shards(owner)? / count));
            let told = to.map(|to| (to, known.fence));
            if known.told != Some(told) {
                known.told = Some(told);
                moved.push((part, to));
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;
    use crate::cluster::names::{Life, NodeName, PartId};
    use crate::engine::ids::ShardId;
    use crate::peers::book::Book;

    #[test]
    fn shards_are_told_once_where_a_part_is() {
        let life = |node: &str| Life { node: NodeName::new(node).expect("a name"), incarnation: 1 };
        let (own, other) = (life("own"), life("a"));
        let (mut book, mut owners) = (Book::new(own.clone(), 2), Owners::new(4));
        assert!(book.meet(&other, 2));
        let to = |at: usize| Some(ShardId::new(at));
        let part = PartId;
        owners.note(part(0), &own, 1);
        owners.note(part(3), &other, 5);
        let all = owners.take_moved(&book, |_, _| true);
        assert_eq!(all, [(part(0), to(0)), (part(1), None), (part(2), None), (part(3), to(3))]);
        owners.note(part(3), &own, 4);
        assert_eq!(owners.take_moved(&book, |_, _| true), [], "an older fence");
        owners.note(part(3), &own, 6);
        assert_eq!(owners.take_moved(&book, |_, _| true), [(part(3), to(1))]);
        assert_eq!(owners.take_moved(&book, |part, _| part.0 != 0), [(part(0), None)]);
        owners.left(part(3));
        assert_eq!(owners.take_moved(&book, |part, _| part.0 != 0), [(part(3), None)]);
    }
}
