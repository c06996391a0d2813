//! What nodes write to each other, as letters of entries: letters of shards, and what only the clusters' threads say.
//!
//! A letter of a shard has `incarnation u64` of the life that it is for, `shards u8` of the writer and its own `kind
//! u8` before its bytes. Invariant: what is for an earlier life is nobody's. Never here: what a letter means.

use crate::cluster::entry::Letter;
use crate::cluster::names::{Life, PartId};
use crate::engine::command::Position;
use crate::engine::ids::{Epoch, RoomId};
use crate::limits::cluster::GIVEN_BYTES_MAX;

/// A letter of a shard.
const SHARDS: u8 = 1;
/// A part was given to the reader.
const GIVEN: u8 = 2;
/// The writer has taken the reader for dead, and knows nothing of it any more.
const FORGOTTEN: u8 = 3;

const HEAD_BYTES: usize = size_of::<u64>() + size_of::<[u8; 2]>();

/// A letter of a shard to this life.
pub(super) fn shards_letter(to: &Life, own_shards: usize, letter: &Letter) -> Letter {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + letter.bytes.len());
    bytes.extend_from_slice(&to.incarnation.to_be_bytes());
    bytes.push(u8::try_from(own_shards).expect("SHARDS_MAX fits a byte"));
    bytes.push(letter.kind);
    bytes.extend_from_slice(&letter.bytes);
    Letter { kind: SHARDS, bytes }
}

/// The part was given to the reader, with this fence, and its rooms stand here. Rooms for which there is no place live
/// anew.
pub(super) fn given(part: PartId, fence: u64, lives: &[(RoomId, Position)]) -> Letter {
    let mut bytes = [&part.0.to_be_bytes()[..], &fence.to_be_bytes()].concat();
    for (room, at) in lives {
        let name = room.as_str().as_bytes();
        if bytes.len() + 1 + name.len() + 16 > GIVEN_BYTES_MAX {
            break;
        }
        bytes.push(u8::try_from(name.len()).expect("an id has at most 128 bytes"));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&at.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&at.seq.to_be_bytes());
    }
    Letter { kind: GIVEN, bytes }
}

/// This life was taken for dead.
pub(super) fn forgotten(life: &Life) -> Letter {
    Letter { kind: FORGOTTEN, bytes: life.incarnation.to_be_bytes().to_vec() }
}

/// A part that was given to this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Given {
    pub(super) part: PartId,
    pub(super) fence: u64,
    /// Where its rooms stand.
    pub(super) lives: Vec<(RoomId, Position)>,
}

/// What a letter of another node says.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// A letter of one of its so many shards.
    Letter { shards: usize, letter: Letter },
    /// The part was given to this node.
    Given(Given),
    /// This node was taken for dead.
    Forgotten,
    /// Nothing for this life, or nothing that this version knows.
    Nothing,
}

/// What the letter says to this life.
pub(super) fn read(own: &Life, letter: &Letter) -> Said {
    let said = match letter.kind {
        SHARDS => letter_in(own, &letter.bytes),
        GIVEN => given_in(&letter.bytes),
        FORGOTTEN => (letter.bytes == own.incarnation.to_be_bytes()).then_some(Said::Forgotten),
        _ => None,
    };
    said.unwrap_or(Said::Nothing)
}

fn letter_in(own: &Life, bytes: &[u8]) -> Option<Said> {
    let (incarnation, rest) = bytes.split_first_chunk::<8>()?;
    let (&[shards, kind], bytes) = rest.split_first_chunk::<2>()?;
    let is_ours = u64::from_be_bytes(*incarnation) == own.incarnation;
    let letter = Letter { kind, bytes: bytes.to_vec() };
    is_ours.then(|| Said::Letter { shards: usize::from(shards), letter })
}

fn given_in(bytes: &[u8]) -> Option<Said> {
    let (part, rest) = bytes.split_first_chunk::<2>()?;
    let (fence, mut rest) = rest.split_first_chunk::<8>()?;
    let mut lives = Vec::new();
    while let Some((&len, tail)) = rest.split_first() {
        let (name, tail) = tail.split_at_checked(usize::from(len))?;
        let (epoch, tail) = tail.split_first_chunk::<8>()?;
        let (seq, tail) = tail.split_first_chunk::<8>()?;
        let at = Position { epoch: Epoch(u64::from_be_bytes(*epoch)), seq: u64::from_be_bytes(*seq) };
        lives.push((RoomId::new(str::from_utf8(name).ok()?)?, at));
        rest = tail;
    }
    Some(Said::Given(Given { part: PartId(u16::from_be_bytes(*part)), fence: u64::from_be_bytes(*fence), lives }))
}

#[cfg(test)]
mod tests {
    use super::{Given, Said, forgotten, given, read, shards_letter};
    use crate::cluster::entry::Letter;
    use crate::cluster::names::{Life, NodeName, PartId};
    use crate::engine::command::Position;
    use crate::engine::ids::{Epoch, RoomId};

    fn life(incarnation: u64) -> Life {
        Life { node: NodeName::new("own").expect("a name"), incarnation }
    }

    #[test]
    fn what_is_written_is_read_by_the_life_that_it_is_for() {
        let letter = Letter { kind: 9, bytes: b"abc".to_vec() };
        let written = shards_letter(&life(3), 2, &letter);
        assert_eq!(read(&life(3), &written), Said::Letter { shards: 2, letter });
        assert_eq!(read(&life(4), &written), Said::Nothing);
        (0..10).for_each(|end| {
            let cut = Letter { kind: written.kind, bytes: written.bytes[..end].to_vec() };
            assert_eq!(read(&life(3), &cut), Said::Nothing);
        });
        let lives = vec![(RoomId::new("a room").expect("an id"), Position { epoch: Epoch(5), seq: 7 })];
        let letter = given(PartId(7), 1 << 40, &lives);
        assert_eq!(read(&life(3), &letter), Said::Given(Given { part: PartId(7), fence: 1 << 40, lives }));
        assert_eq!(read(&life(3), &forgotten(&life(3))), Said::Forgotten);
        assert_eq!(read(&life(3), &forgotten(&life(2))), Said::Nothing);
        assert_eq!(read(&life(3), &Letter { kind: 200, bytes: vec![1] }), Said::Nothing, "a later version");
    }
}
