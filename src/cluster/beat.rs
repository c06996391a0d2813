//! A heartbeat as bytes.
//!
//! `version u8, shards u8, reads u8, ready u8, incarnation u64, number u64, name`, then `count u16` and for each part
//! `part u16, fence u64`, then `count u16` and for each node `name, number u64`; a name is `length u8, text`; all
//! numbers big-endian. A later version adds at the end only: what this one does not know it leaves out. Invariant: what
//! [`Beat::write`] makes [`Beat::read`] gives back. Never here: what a heartbeat means.

use super::names::{Life, NodeName, PartId};
use super::roster::Beat;
use crate::limits::cluster::{CLUSTER_NODES_MAX, CLUSTER_PARTS_MAX};

const VERSION: u8 = 1;

impl Beat {
    /// The heartbeat as bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.shards, self.version, u8::from(self.ready)];
        bytes.extend_from_slice(&self.life.incarnation.to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        put_name(&mut bytes, &self.life.node);
        put_count(&mut bytes, self.parts.len());
        for (part, fence) in &self.parts {
            bytes.extend_from_slice(&part.0.to_be_bytes());
            bytes.extend_from_slice(&fence.to_be_bytes());
        }
        put_count(&mut bytes, self.sent.len());
        for (node, number) in &self.sent {
            put_name(&mut bytes, node);
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// The heartbeat that these bytes are; `None` when they are none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [version, shards, reads, ready] = take(&mut rest)?;
        if version == 0 || shards == 0 {
            return None;
        }
        let incarnation = u64::from_be_bytes(take(&mut rest)?);
        let number = u64::from_be_bytes(take(&mut rest)?);
        let life = Life { node: take_name(&mut rest)?, incarnation };
        let mut parts = Vec::new();
        for _ in 0..take_count(&mut rest, usize::from(CLUSTER_PARTS_MAX))? {
            parts.push((PartId(u16::from_be_bytes(take(&mut rest)?)), u64::from_be_bytes(take(&mut rest)?)));
        }
        let mut sent = Vec::new();
        for _ in 0..take_count(&mut rest, CLUSTER_NODES_MAX)? {
            sent.push((take_name(&mut rest)?, u64::from_be_bytes(take(&mut rest)?)));
        }
        let is_whole = rest.is_empty() || version > VERSION;
        is_whole.then_some(Self { life, number, shards, version: reads, ready: ready != 0, parts, sent })
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend_from_slice(&u16::try_from(count).expect("the bounds are lower").to_be_bytes());
}

fn put_name(bytes: &mut Vec<u8>, name: &NodeName) {
    bytes.push(u8::try_from(name.as_str().len()).expect("a name is shorter"));
    bytes.extend_from_slice(name.as_str().as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn take_count(rest: &mut &[u8], most: usize) -> Option<usize> {
    let count = usize::from(u16::from_be_bytes(take(rest)?));
    (count <= most).then_some(count)
}

fn take_name(rest: &mut &[u8]) -> Option<NodeName> {
    let [length] = take(rest)?;
    let (name, left) = rest.split_at_checked(usize::from(length))?;
    *rest = left;
    NodeName::new(str::from_utf8(name).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::names::{Life, NodeName, PartId};
    use super::super::roster::Beat;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let node = |name| NodeName::new(name).expect("a name");
        let beat = Beat {
            life: Life { node: node("host-1:8001"), incarnation: 7 },
            number: u64::MAX,
            shards: 4,
            version: 1,
            ready: true,
            parts: vec![(PartId(0), 1), (PartId(4_095), 1 << 40)],
            sent: vec![(node("b"), 9)],
        };
        let bytes = beat.write();
        assert_eq!(Beat::read(&bytes), Some(beat.clone()));
        (0..bytes.len()).for_each(|end| assert_eq!(Beat::read(&bytes[..end]), None, "{end}"));
        let mut longer = [&bytes[..], b"x"].concat();
        assert_eq!(Beat::read(&longer), None);
        longer[0] = 2;
        assert_eq!(Beat::read(&longer), Some(beat), "a later version adds at the end");
    }
}
