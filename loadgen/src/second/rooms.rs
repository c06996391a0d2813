//! What all members together were told of a room: the map at each number that a snapshot or a delta led to.
//!
//! The idea: a member is a number; its map is the map of that number, whoever came there and how. A delta is read once
//! and recognised by its bytes afterwards. Invariants: the map of a number is one, so a second way to it must lead to
//! the same; maps that nobody stands at are dropped, their hashes stay. Never here: carts, time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::map::Map;
use crate::limits::{DELTAS_KEPT_MAX, REFUSAL_SLACK, ROOM_LOG_MAX, SKIPS_KEPT_MAX, STAMP_STEP_NS};
use crate::names::Seat;

/// A delta that was read.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// How many changes it has.
    pub(crate) count: u64,
    /// When the commands behind its holds were due, where that is known: rounded down, so that a few stand for
    /// thousands of deliveries, and how many.
    pub(crate) stamps: Vec<(u64, u64)>,
    changes: Vec<(Seat, u8)>,
    bytes: Box<[u8]>,
    /// The numbers from which it was found to lead where it should.
    proven: Vec<u64>,
}

#[derive(Debug)]
struct Version {
    map: Map,
    members: u32,
}

/// One life of a room.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) epoch: Box<str>,
    /// The highest number anybody has seen.
    pub(crate) highest: u64,
    seats: u32,
    versions: HashMap<u64, Version>,
    hashes: BTreeMap<u64, u64>,
    recent: VecDeque<Known>,
    /// Between which numbers a member was told nothing but the map at the end.
    skipped: Vec<(u64, u64)>,
    /// Numbers of deltas in which a seat was.
    touched: HashMap<Seat, Vec<u64>>,
    /// The number and the due time of the last request of this thread that won a seat.
    won: HashMap<Seat, (u64, u64)>,
}

/// The lives of a room, in the order in which they were heard of.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) lives: Vec<Life>,
}

impl Room {
    pub(crate) fn taken(&self) -> u64 {
        self.lives.last().and_then(Life::newest).map_or(0, |map| u64::from(map.taken()))
    }
}

impl Life {
    /// Nothing is known of it but its name and its seats.
    pub(crate) fn new(epoch: &str, seats: u32) -> Self {
        Self {
            epoch: epoch.into(),
            highest: 0,
            seats,
            versions: HashMap::new(),
            hashes: BTreeMap::new(),
            recent: VecDeque::new(),
            skipped: Vec::new(),
            touched: HashMap::new(),
            won: HashMap::new(),
        }
    }

    /// The map of a number that somebody stands at.
    pub(crate) fn map(&self, seq: u64) -> Option<&Map> {
        self.versions.get(&seq).map(|version| &version.map)
    }

    /// The map of the highest number that has one.
    pub(crate) fn newest(&self) -> Option<&Map> {
        let (seq, _) = self.hashes.last_key_value()?;
        self.map(*seq)
    }

    /// The delta of these bytes, when it was read before.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.recent.iter().position(|known| *known.bytes == *bytes)
    }

    pub(crate) fn known(&self, index: usize) -> &Known {
        &self.recent[index]
    }

    /// Keeps a delta; it is the first of those that are recognised.
    pub(crate) fn learn(&mut self, bytes: &[u8], (from, to): (u64, u64), changes: Vec<(Seat, u8)>) {
        let mut stamps: Vec<(u64, u64)> = Vec::new();
        for &(seat, state) in &changes {
            self.touch(seat, to);
            let won = self.won.get(&seat).filter(|(seq, _)| state == 1 && (from..=to).contains(seq));
            if let Some(due) = won.map(|(_, due)| *due - *due % STAMP_STEP_NS) {
                match stamps.iter_mut().find(|(known, _)| *known == due) {
                    Some((_, count)) => *count += 1,
                    None => stamps.push((due, 1)),
                }
            }
        }
        self.recent.truncate(DELTAS_KEPT_MAX - 1);
        let count = changes.len() as u64;
        self.recent.push_front(Known { from, to, count, stamps, changes, bytes: bytes.into(), proven: Vec::new() });
    }

    fn touch(&mut self, seat: Seat, seq: u64) {
        let touched = self.touched.entry(seat).or_default();
        if touched.last().is_none_or(|last| *last < seq) {
            touched.push(seq);
        }
    }

    /// A member at `at` applies a delta. The map of where it leads must be what others came to.
    pub(crate) fn step(&mut self, at: u64, index: usize) -> Result<(), String> {
        let (to, known) = (self.recent[index].to, &mut self.recent[index]);
        if known.proven.contains(&at) && self.versions.contains_key(&to) {
            return Ok(());
        }
        known.proven.push(at);
        let mut map = self.versions[&at].map.clone();
        known.changes.iter().for_each(|&(seat, state)| map.set(seat, state));
        self.arrive(to, map, &format!("the deltas up to {to}"))
    }

    /// A snapshot came.
    pub(crate) fn snapshot(&mut self, seq: u64, map: Map) -> Result<(), String> {
        self.arrive(seq, map, &format!("the snapshot of {seq}"))
    }

    fn arrive(&mut self, seq: u64, map: Map, what: &str) -> Result<(), String> {
        self.highest = self.highest.max(seq);
        let told = match (self.hashes.get(&seq), self.versions.get(&seq)) {
            (Some(hash), _) if *hash == map.hash() => Ok(()),
            (Some(_), Some(known)) => Err(match known.map.first_difference(&map, self.seats) {
                Some((seat, others, here)) => {
                    format!("{what}: seat number {seat} is {here}, but others were told {others}")
                }
                None => format!("{what}: another map than others were told"),
            }),
            (Some(_), None) => Err(format!("{what}: another map than others were told")),
            (None, _) => {
                self.hashes.insert(seq, map.hash());
                Ok(())
            }
        };
        if self.hashes.len() > ROOM_LOG_MAX {
            self.hashes.pop_first();
        }
        self.versions.entry(seq).or_insert(Version { map, members: 0 });
        told
    }

    /// A member stands at this number from now on.
    pub(crate) fn enter(&mut self, seq: u64) {
        self.versions.get_mut(&seq).expect("a member comes to a number by its map").members += 1;
    }

    /// And from this one it has gone.
    pub(crate) fn leave(&mut self, seq: u64) {
        let Some(version) = self.versions.get_mut(&seq) else { return };
        version.members -= 1;
        if version.members == 0 && self.hashes.last_key_value().is_some_and(|(newest, _)| *newest != seq) {
            self.versions.remove(&seq);
        }
        // The newest one was kept although nobody stood there; a newer one takes its place.
        if self.versions.len() > 2 * DELTAS_KEPT_MAX {
            let newest = self.hashes.last_key_value().map(|(seq, _)| *seq);
            self.versions.retain(|seq, version| version.members > 0 || Some(*seq) == newest);
        }
    }

    /// A request of this thread that was due at `due` won these seats at `seq`.
    pub(crate) fn won(&mut self, seats: &[Seat], seq: u64, due: u64) {
        self.highest = self.highest.max(seq);
        self.won.extend(seats.iter().map(|seat| (*seat, (seq, due))));
        // Whoever gets a snapshot is not told of what came and went before it.
        seats.iter().for_each(|seat| self.touch(*seat, seq));
    }

    /// A member was given a snapshot in the middle of what it had been told.
    pub(crate) fn skip(&mut self, from: u64, to: u64) {
        if from < to && self.skipped.len() < SKIPS_KEPT_MAX {
            self.skipped.push((from, to));
        }
    }

    /// Whether seats may have come and gone without a trace between these numbers.
    pub(crate) fn was_skipped(&self, since: u64, until: u64) -> bool {
        self.skipped.iter().any(|&(from, to)| from <= until + REFUSAL_SLACK && to > since)
    }

    /// Whether the seat may have been taken at some time after `since`, up to `until`.
    pub(crate) fn may_be_taken(&self, seat: Seat, since: u64, until: u64) -> bool {
        self.touched.get(&seat).is_some_and(|list| {
            let after = list.partition_point(|to| *to <= since);
            list.get(after).is_some_and(|to| *to <= until + REFUSAL_SLACK)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Life;
    use crate::limits::STAMP_STEP_NS;
    use crate::second::map::Map;

    fn life() -> Life {
        let mut life = Life::new("a", 8);
        life.snapshot(5, Map::free(8)).expect("the first map");
        life.enter(5);
        life
    }

    #[test]
    fn two_ways_to_a_number_must_lead_to_the_same_map() {
        let mut life = life();
        for (bytes, from, to, changes) in
            [("one", 6, 7, vec![(1, 1), (2, 1)]), ("two", 8, 8, vec![(1, 0)]), ("both", 6, 8, vec![(1, 0), (2, 1)])]
        {
            life.learn(bytes.as_bytes(), (from, to), changes);
        }
        let by = |life: &Life, bytes: &str| life.find(bytes.as_bytes()).expect("it was learned");
        let (one, two, both) = (by(&life, "one"), by(&life, "two"), by(&life, "both"));
        life.step(5, one).expect("a step");
        life.enter(7);
        life.step(7, two).expect("a step");
        life.enter(8);
        life.step(5, both).expect("the same map");
        let mut other = Map::free(8);
        other.set(3, 1);
        assert!(life.snapshot(8, other).expect_err("another map").contains("seat number 2"));
        life.leave(7);
        assert!(life.map(7).is_none() && life.newest().is_some_and(|map| map.taken() == 1));
        let mut other = Map::free(8);
        other.set(1, 1);
        assert!(life.snapshot(7, other).is_err(), "its hash was kept");
    }

    #[test]
    fn a_refusal_is_proven_by_what_happened_about_its_time() {
        let mut life = life();
        life.learn(b"one", (6, 7), vec![(1, 1)]);
        assert!(life.may_be_taken(1, 5, 5) && !life.may_be_taken(1, 7, 9) && !life.may_be_taken(2, 5, 9));
        life.won(&[2], 9, 7 * STAMP_STEP_NS + 77);
        assert!(life.may_be_taken(2, 5, 8) && !life.may_be_taken(2, 9, 12));
        life.learn(b"two", (8, 10), vec![(2, 1), (1, 0)]);
        assert_eq!((life.known(0).count, &life.known(0).stamps[..]), (2, &[(7 * STAMP_STEP_NS, 1)][..]));
    }
}
