//! Letters from other nodes: whatever comes is a letter or malformed, and what is a letter takes as many bytes again.

use butaca::audience::budget::{Budget, Kind};
use butaca::cluster::entry::Letter;
use butaca::limits::SHARDS_MAX;
use butaca::node::afar::{Reader, Stretch, Writer};

/// What an address, a text that is missing or a number may take more when it is written again.
const SLACK_BYTES: usize = 64;

/// Reads `data` as letters: a kind, two bytes of length, the bytes; and so on.
pub fn run(data: &[u8]) {
    let budget = Budget::default();
    let mut reader = Reader::new(3, Stretch::new(20, 2), &budget);
    let mut writer = Writer::new(SHARDS_MAX - 3, Stretch::new(SHARDS_MAX - 3, 3));
    let mut rest = data;
    while let Some((&[kind, high, low], behind)) = rest.split_first_chunk() {
        let (bytes, next) = behind.split_at(behind.len().min(usize::from(u16::from_be_bytes([high, low]))));
        rest = next;
        let Ok(Some((to, letter))) = reader.read(&Letter { kind, bytes: bytes.to_vec() }) else { continue };
        assert!(to.index() < 3, "a letter for a shard that is not here");
        let (at, mut out) = (butaca::engine::ids::ShardId::new(SHARDS_MAX - 3 + to.index()), Vec::new());
        assert!(writer.write(at, &letter, &mut out), "what travelled can travel");
        writer.finish(&mut out);
        let size: usize = out.iter().map(Letter::size).sum();
        assert!(size <= data.len() + SLACK_BYTES, "{size} bytes of {}", data.len());
    }
    reader.hole();
    drop(reader);
    drop(writer);
    assert_eq!(budget.used(Kind::FullStates), 0, "nothing is kept");
}
