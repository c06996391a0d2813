//! Redis as the cluster needs it: what its scripts do, streams, heartbeats, and a replica that lags.
//!
//! [`Redis::call`] is the rule that the scripts have to equal. The oracle is here, too: whatever is committed continues
//! what was committed before, no command is in it twice.

use std::collections::{BTreeMap, BTreeSet};

use butaca::cluster::call::{Answer, Call, Kind};
use butaca::cluster::commands::Done;
use butaca::cluster::names::{Life, NodeName};
use butaca::cluster::roster::Beat;

/// What is kept of a part.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Data {
    /// Who holds which seat.
    pub seats: BTreeMap<u64, u64>,
    /// The commands that were done, in order: life, connection, number.
    pub log: Vec<(u64, u64, u64)>,
    /// How often it has changed.
    pub seq: u64,
    /// Which commands were done, for who asks again.
    pub done: Done,
}

#[derive(Clone, Debug, Default)]
struct Record {
    owner: Option<Life>,
    fence: u64,
    number: u64,
    /// The number of the last call that has found something lost: a loss is told until it was heard.
    lost_at: u64,
    until: u64,
    /// It was given, and is to be taken before anything else: a failover can have lost that the receiver had it before,
    /// under this very fence.
    is_given: bool,
    data: Data,
}

#[derive(Clone, Debug)]
struct Kept {
    parts: Vec<Record>,
    streams: BTreeMap<NodeName, Vec<(u64, Vec<u8>)>>,
    last_id: u64,
    beats: BTreeMap<NodeName, Beat>,
}

/// A Redis and its replica.
#[derive(Debug)]
pub struct Redis {
    kept: Kept,
    replica: Kept,
    /// Moves with each failover.
    pub era: u64,
    /// Parts that were given away in this era: who gave them, and under which fence.
    given: BTreeSet<(u16, Life, u64)>,
    lease_ms: u64,
}

impl Redis {
    /// An empty one, of so many parts and with leases of so long.
    #[must_use]
    pub fn new(parts: u16, lease_ms: u64) -> Self {
        let parts = vec![Record::default(); usize::from(parts)];
        let kept = Kept { parts, streams: BTreeMap::new(), last_id: 0, beats: BTreeMap::new() };
        Self { replica: kept.clone(), kept, era: 1, given: BTreeSet::new(), lease_ms }
    }

    /// The replica has caught up.
    pub fn replicate(&mut self) {
        self.replica = self.kept.clone();
    }

    /// The replica takes over, with what it has.
    pub fn fail_over(&mut self) {
        self.kept = self.replica.clone();
        self.era += 1;
        self.given.clear();
    }

    /// Whether this life has given the part away under this fence.
    #[must_use]
    pub fn was_given(&self, part: u16, by: &Life, fence: u64) -> bool {
        self.given.contains(&(part, by.clone(), fence))
    }

    /// What is kept of the part.
    #[must_use]
    pub fn data(&self, part: u16) -> &Data {
        &self.kept.parts[usize::from(part)].data
    }

    /// One script: the lease, the fence and the number, checked where they are changed.
    ///
    /// # Panics
    /// What is to be committed does not continue what was committed before.
    pub fn call(&mut self, now: u64, call: &Call, data: Option<&Data>) -> Answer {
        let record = &mut self.kept.parts[call.part.index()];
        let is_own = record.owner.as_ref() == Some(&call.by);
        let taken = Answer::Taken { by: record.owner.clone(), fence: record.fence };
        if call.era.is_some_and(|era| era != self.era) {
            return Answer::NewEra { era: self.era };
        }
        if let Kind::Take { above } = call.kind {
            if record.fence != call.fence || !is_own && now < record.until {
                return taken;
            }
            (record.owner, record.fence, record.number) = (Some(call.by.clone()), record.fence.max(above) + 1, 0);
            (record.lost_at, record.until, record.is_given) = (0, now + self.lease_ms, false);
            return Answer::Granted { fence: record.fence };
        }
        if !is_own || record.is_given || record.fence != call.fence {
            return taken;
        }
        if call.number <= record.number {
            return Answer::Stale;
        }
        if record.number < call.heard {
            record.lost_at = call.number;
        }
        let is_lost = record.lost_at > call.heard;
        (record.number, record.until) = (call.number, now + self.lease_ms);
        if let Some(data) = data {
            check(&record.data, data);
            record.data = data.clone();
        }
        if let Kind::Give { to } = &call.kind
            && !is_lost
        {
            self.given.insert((call.part.0, call.by.clone(), call.fence));
            (record.owner, record.fence, record.number) = (Some(to.clone()), record.fence + 1, 0);
            record.is_given = true;
        }
        if is_lost { Answer::Lost { fence: call.fence } } else { Answer::Granted { fence: call.fence } }
    }

    /// Adds an entry to the stream of a node.
    pub fn post(&mut self, to: &NodeName, bytes: &[u8]) {
        self.kept.last_id += 1;
        self.kept.streams.entry(to.clone()).or_default().push((self.kept.last_id, bytes.to_vec()));
    }

    /// What is in the stream after this id. What is before it is trimmed.
    pub fn read(&mut self, of: &NodeName, after: u64) -> Vec<(u64, Vec<u8>)> {
        let stream = self.kept.streams.entry(of.clone()).or_default();
        stream.retain(|(id, _)| *id > after);
        stream.clone()
    }

    /// Takes a beat in, unless it is older than what is there, and says all.
    pub fn beat(&mut self, beat: &Beat) -> Vec<Beat> {
        let last = self.kept.beats.entry(beat.life.node.clone()).or_insert_with(|| beat.clone());
        if (beat.life.incarnation, beat.number) > (last.life.incarnation, last.number) {
            *last = beat.clone();
        }
        self.kept.beats.values().cloned().collect()
    }

    /// The node takes its beat away.
    pub fn leave(&mut self, node: &NodeName) {
        self.kept.beats.remove(node);
    }
}

/// What is committed continues what was there, also what a failover has left of it.
fn check(before: &Data, after: &Data) {
    assert!(after.log.starts_with(&before.log), "two owners: {:?} does not continue {:?}", after.log, before.log);
    let fresh: BTreeSet<_> = after.log.iter().collect();
    assert_eq!(fresh.len(), after.log.len(), "a command is done twice: {:?}", after.log);
}
