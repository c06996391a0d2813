//! Numbered mail: what goes to each node, and what has come from each.
//!
//! Invariants: entries of one life to one node are numbered from 1 without a gap; the reader is told of every gap, also
//! of one at the end; what comes twice is dropped; what an earlier life wrote is dropped. Never here: streams; what a
//! letter means.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::entry::{Entry, Letter};
use super::names::{Life, NodeName};
use super::roster::Beat;
use crate::limits::cluster::{ENTRIES_UNCONFIRMED_MAX, ENTRY_BYTES_MAX, ENTRY_LETTERS_MAX};
use crate::planted::{self, Bug};

#[derive(Debug, Default)]
struct Lane {
    /// Letters of this turn.
    letters: Vec<Letter>,
    /// The number of the last entry, and the last that is confirmed.
    number: u64,
    confirmed: u64,
    unconfirmed: VecDeque<(u64, Arc<[u8]>)>,
}

/// What one node has for the others.
#[derive(Debug)]
pub struct Outbox {
    own: Life,
    lanes: BTreeMap<NodeName, Lane>,
}

impl Outbox {
    /// Nothing was written yet.
    #[must_use]
    pub fn new(own: Life) -> Self {
        Self { own, lanes: BTreeMap::new() }
    }

    /// Posts a letter at the end of this turn. `false`: it is longer than an entry may be, and is not posted.
    #[must_use]
    pub fn post(&mut self, to: &NodeName, letter: Letter) -> bool {
        assert!(*to != self.own.node, "a node writes no letters to itself");
        let fits = Entry::head_size(&self.own) + letter.size() <= ENTRY_BYTES_MAX;
        if fits {
            self.lanes.entry(to.clone()).or_default().letters.push(letter);
        }
        fits
    }

    /// Makes entries of what was posted: one for each node, or more where the bounds say so.
    pub fn seal(&mut self, version: u8) {
        for lane in self.lanes.values_mut() {
            let mut letters = std::mem::take(&mut lane.letters).into_iter().peekable();
            while letters.peek().is_some() {
                let mut size = Entry::head_size(&self.own);
                let mut part = Vec::new();
                while let Some(letter) =
                    letters.next_if(|letter| part.len() < ENTRY_LETTERS_MAX && size + letter.size() <= ENTRY_BYTES_MAX)
                {
                    size += letter.size();
                    part.push(letter);
                }
                lane.number += 1;
                let entry = Entry { version, from: self.own.clone(), number: lane.number, letters: part };
                lane.unconfirmed.push_back((lane.number, entry.write().into()));
                if lane.unconfirmed.len() > ENTRIES_UNCONFIRMED_MAX {
                    crate::marks::hit("an entry is given up");
                    lane.unconfirmed.pop_front();
                }
            }
        }
    }

    /// What Redis has not confirmed, in order: to be sent, again where it was sent.
    pub fn unconfirmed(&self) -> impl Iterator<Item = (&NodeName, u64, &Arc<[u8]>)> {
        let of = |(to, lane)| {
            let lane: &Lane = lane;
            lane.unconfirmed.iter().map(move |(number, bytes)| (to, *number, bytes))
        };
        self.lanes.iter().flat_map(of)
    }

    /// Redis has this entry and those before it.
    pub fn confirm(&mut self, to: &NodeName, number: u64) {
        let Some(lane) = self.lanes.get_mut(to) else { return };
        lane.confirmed = lane.confirmed.max(number);
        while lane.unconfirmed.front().is_some_and(|(first, _)| *first <= number) {
            lane.unconfirmed.pop_front();
        }
    }

    /// The last entry for each node that Redis has: what the heartbeat says.
    #[must_use]
    pub fn sent(&self) -> Vec<(NodeName, u64)> {
        self.lanes.iter().map(|(to, lane)| (to.clone(), lane.confirmed)).collect()
    }
}

/// What is to be done with an entry that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is the next one: its letters are to be read.
    Next,
    /// The same, but something before it is missing: what this sender feeds is to be resynchronised.
    Hole,
    /// It was read before, or its writer has started again since.
    Drop,
}

#[derive(Debug)]
struct Heard {
    incarnation: u64,
    last: u64,
    /// How far its beats say that Redis had it, when the present read of the stream began.
    promised: u64,
}

/// What one node has read of the others.
#[derive(Debug, Default)]
pub struct Inbox {
    heard: BTreeMap<NodeName, Heard>,
}

impl Inbox {
    /// What was heard of a node, which counts from 1 again when it has started again.
    fn of(&mut self, life: &Life) -> &mut Heard {
        let fresh = || Heard { incarnation: life.incarnation, last: 0, promised: 0 };
        let heard = self.heard.entry(life.node.clone()).or_insert_with(fresh);
        if life.incarnation > heard.incarnation && !planted::has(Bug::EarlierLife) {
            crate::marks::hit("a sender has started again");
            *heard = fresh();
        }
        heard
    }

    /// What is to be done with this entry.
    pub fn accept(&mut self, from: &Life, number: u64) -> Verdict {
        let heard = self.of(from);
        if from.incarnation < heard.incarnation || number <= heard.last {
            crate::marks::hit("an entry comes twice");
            return Verdict::Drop;
        }
        let is_next = number == heard.last + 1;
        heard.last = number;
        if is_next || planted::has(Bug::HoleUnseen) {
            return Verdict::Next;
        }
        crate::marks::hit("a hole");
        Verdict::Hole
    }

    /// A beat was read: its sender says how far Redis has its mail to `own`.
    pub fn promise(&mut self, beat: &Beat, own: &NodeName) {
        let Some((_, sent)) = beat.sent.iter().find(|(to, _)| to == own) else { return };
        let heard = self.of(&beat.life);
        if beat.life.incarnation == heard.incarnation {
            heard.promised = heard.promised.max(*sent);
        }
    }

    /// The stream was read to its end by a read that began after the last promises: who has promised more than there
    /// was?
    pub fn read_through(&mut self) -> Vec<NodeName> {
        let behind = |(node, heard): (&NodeName, &mut Heard)| {
            let is_behind = heard.promised > heard.last && !planted::has(Bug::TailUnseen);
            if is_behind {
                crate::marks::hit("a hole at the end");
                heard.last = heard.promised;
            }
            is_behind.then(|| node.clone())
        };
        self.heard.iter_mut().filter_map(behind).collect()
    }
}
