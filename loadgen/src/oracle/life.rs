//! One life of a room: everything its members were told between two changes of the epoch, put together by `seq`.
//!
//! The idea: all members must see the same events, so one log stands for all their maps. Each message is compared with
//! the log's entry of that number; a member's map at any moment is the log's map at the number it has reached.
//! Invariants: entries up to `frontier` are all known and applied to `holders`; `hash` is the sum over held seats, so
//! that a full state of thousands of seats is compared by one number.
//! Never here: which member said what; time is only an argument.

use std::collections::VecDeque;

use super::event::{Event, Reason, What};
use super::raw::{Place, Recent};
use super::violation::Kind;
use crate::limits::{ROOM_LOG_MAX, ROOM_REBASE_MAX, WAITING_LISTS_MAX};
use crate::names::{FREE, Seat, Who};

/// An event that is known, with what was worked out about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) place: Place,
    arrived_ms: u64,
    hash: u64,
    judged: bool,
}

/// Something that the log itself proves wrong.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) seat: Option<Seat>,
    pub(super) who: Who,
    pub(super) detail: String,
}

/// What [`Life::put`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// Nobody had said it before.
    New,
    /// It agrees with what is known, or nothing is known any more.
    Same,
    /// Something else is known under this number.
    Different(Event),
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    hash: u64,
    who: Who,
    list: Option<Vec<(Seat, Who)>>,
}

/// One life of a room.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) epoch: Box<[u8]>,
    pub(super) recent: Recent,
    /// The highest number anybody has seen.
    pub(super) highest: u64,
    /// The number up to which everything is known.
    pub(super) frontier: u64,
    /// How late holds expired, in milliseconds: (count, sum, largest).
    pub(super) lateness: (u64, u64, u64),
    base: u64,
    base_hash: u64,
    hash: u64,
    count: u64,
    begun: bool,
    /// The beginning may no longer move back.
    fixed: bool,
    entries: VecDeque<Option<Entry>>,
    holders: Vec<Who>,
    deadlines: Vec<u64>,
    history: Vec<Vec<(u64, Who)>>,
    due: VecDeque<(u64, u64, Seat)>,
    waiting: Vec<Waiting>,
    /// Between which numbers nobody was told the events.
    untold: Vec<(u64, u64)>,
}

fn mix(seat: Seat, who: Who) -> u64 {
    let mut x = (u64::from(seat) << 32 | u64::from(who)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn hash_of(list: &[(Seat, Who)]) -> u64 {
    list.iter().fold(0, |sum, (seat, who)| sum.wrapping_add(mix(*seat, *who)))
}

impl Life {
    pub(super) fn new(epoch: &[u8], seats: u32, raw_limit: usize) -> Self {
        let seats = seats as usize;
        Self {
            epoch: epoch.into(),
            recent: Recent::new(raw_limit),
            highest: 0,
            frontier: 0,
            lateness: (0, 0, 0),
            base: 0,
            base_hash: 0,
            hash: 0,
            count: 0,
            begun: false,
            fixed: false,
            entries: VecDeque::new(),
            holders: vec![FREE; seats],
            deadlines: vec![0; seats],
            history: vec![Vec::new(); seats],
            due: VecDeque::new(),
            waiting: Vec::new(),
            untold: Vec::new(),
        }
    }

    /// Begins, or begins anew, at a full state.
    fn begin(&mut self, seq: u64, list: &[(Seat, Who)]) {
        (self.base, self.frontier, self.begun) = (seq, seq, true);
        self.highest = self.highest.max(seq);
        self.holders.fill(FREE);
        for (seat, who) in list {
            self.holders[*seat as usize] = *who;
        }
        self.hash = hash_of(list);
        self.count = list.len() as u64;
        self.base_hash = self.hash;
    }

    /// A member was told the whole room as of `seq`.
    pub(super) fn full_state(&mut self, seq: u64, who: Who, list: Vec<(Seat, Who)>, faults: &mut Vec<Fault>) {
        if !self.begun || (seq < self.base && !self.fixed && self.base - seq <= ROOM_REBASE_MAX) {
            let older = if self.begun { self.base - seq } else { 0 };
            (0..older).for_each(|_| self.entries.push_front(None));
            self.history.iter_mut().for_each(Vec::clear);
            self.begin(seq, &list);
            for (seat, who) in list {
                self.history[seat as usize].push((seq, who));
            }
            self.advance(faults);
            return;
        }
        self.highest = self.highest.max(seq);
        if seq <= self.frontier {
            self.compare(&Waiting { seq, hash: hash_of(&list), who, list: Some(list) }, faults);
        } else {
            let hash = hash_of(&list);
            let kept = self.waiting.iter().filter(|waiting| waiting.list.is_some()).count();
            self.waiting.push(Waiting { seq, hash, who, list: (kept < WAITING_LISTS_MAX).then_some(list) });
        }
    }

    fn hash_at(&self, seq: u64) -> Option<u64> {
        if seq == self.base {
            return Some(self.base_hash);
        }
        self.entry(seq).map(|entry| entry.hash)
    }

    fn compare(&self, told: &Waiting, faults: &mut Vec<Fault>) {
        let Some(known) = self.hash_at(told.seq) else { return };
        if known == told.hash {
            return;
        }
        let mut detail = format!("the full state at seq {} is not what the events before it add up to", told.seq);
        let mut seat = None;
        if let Some(list) = &told.list {
            let mut map = vec![FREE; self.holders.len()];
            list.iter().for_each(|(seat, who)| map[*seat as usize] = *who);
            let differs = (0..).zip(&map).find(|(seat, who)| self.holder_at(*seat, told.seq) != **who);
            if let Some((found, who)) = differs {
                seat = Some(found);
                let told = if *who == FREE { "free" } else { "held by another" };
                detail.push_str(&format!("; the first seat that differs was told as {told}"));
            }
        }
        faults.push(Fault { kind: Kind::WrongFullState, seat, who: told.who, detail });
    }

    /// The entry of a number, when it is known.
    pub(super) fn entry(&self, seq: u64) -> Option<&Entry> {
        let index = usize::try_from(seq.checked_sub(self.base + 1)?).ok()?;
        self.entries.get(index)?.as_ref()
    }

    /// The entry of a number for adding what was learned later.
    pub(super) fn entry_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let index = usize::try_from(seq.checked_sub(self.base + 1)?).ok()?;
        self.entries.get_mut(index)?.as_mut()
    }

    /// Writes down what a member was told, or compares it with what is known.
    pub(super) fn put(&mut self, event: Event, arrived_ms: u64, faults: &mut Vec<Fault>) -> Put {
        self.highest = self.highest.max(event.seq);
        let Some(ahead) = event.seq.checked_sub(self.base + 1).filter(|ahead| *ahead < 4 * ROOM_REBASE_MAX) else {
            return Put::Same;
        };
        let index = usize::try_from(ahead).expect("just bounded");
        if index >= self.entries.len() {
            self.entries.resize(index + 1, None);
        }
        if let Some(known) = &self.entries[index] {
            let known = known.event;
            let same = (known.seat, known.who, known.what) == (event.seat, event.who, event.what);
            return if same { Put::Same } else { Put::Different(known) };
        }
        self.entries[index] = Some(Entry { event, place: Place::default(), arrived_ms, hash: 0, judged: false });
        self.advance(faults);
        Put::New
    }

    /// Applies entries while they are known, then looks at the full states that waited for them.
    fn advance(&mut self, faults: &mut Vec<Fault>) {
        let before = self.frontier;
        while let Some(entry) = self.entry(self.frontier + 1).copied() {
            if !entry.judged {
                self.judge(&entry, faults);
            }
            self.apply(&entry.event);
            self.frontier += 1;
            let hash = self.hash;
            let entry = self.entry_mut(self.frontier).expect("it was there a moment ago");
            (entry.hash, entry.judged) = (hash, true);
        }
        if self.frontier != before && !self.waiting.is_empty() {
            let frontier = self.frontier;
            let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|told| told.seq <= frontier);
            self.waiting = waiting;
            for told in &ready {
                let told: &Waiting = told;
                self.compare(told, faults);
            }
        }
        if self.entries.len() > ROOM_LOG_MAX {
            self.forget();
        }
    }

    fn apply(&mut self, event: &Event) {
        let seat = event.seat as usize;
        let before = self.holders[seat];
        if before != FREE {
            self.hash = self.hash.wrapping_sub(mix(event.seat, before));
            self.count -= 1;
        }
        let after = if event.what == What::Selected { event.who } else { FREE };
        if after != FREE {
            self.hash = self.hash.wrapping_add(mix(event.seat, after));
            self.count += 1;
        }
        self.holders[seat] = after;
        self.deadlines[seat] = event.deadline_ms;
        self.history[seat].push((event.seq, after));
    }

    /// What the log itself forbids.
    fn judge(&mut self, entry: &Entry, faults: &mut Vec<Fault>) {
        let event = entry.event;
        let holder = self.holders[event.seat as usize];
        let mut fault = |kind, detail: &str| {
            let detail = format!("seq {}: {detail}", event.seq);
            faults.push(Fault { kind, seat: Some(event.seat), who: event.who, detail });
        };
        match event.what {
            What::Selected => {
                if holder != FREE {
                    fault(Kind::DoubleGrant, "a seat was given away while it was held");
                }
                if event.deadline_ms > 0 {
                    self.due.push_back((event.deadline_ms, event.seq, event.seat));
                }
            }
            What::Released(_) if holder == FREE => fault(Kind::ReleaseOfFree, "a free seat was released"),
            What::Released(_) if holder != event.who => {
                fault(Kind::StrangerRelease, "a seat was released by somebody else than its holder")
            }
            What::Released(Reason::Expired) => {
                let deadline = self.deadlines[event.seat as usize];
                if deadline > 0 && entry.arrived_ms + 50 < deadline {
                    fault(
                        Kind::EarlyExpiry,
                        &format!("a hold expired {} ms before its deadline", deadline - entry.arrived_ms),
                    );
                }
                if deadline > 0 {
                    let late = entry.arrived_ms.saturating_sub(deadline);
                    self.lateness = (self.lateness.0 + 1, self.lateness.1 + late, self.lateness.2.max(late));
                }
            }
            What::Released(Reason::Released | Reason::Disconnected | Reason::Unsaid) => {}
        }
    }

    /// Holds that should have ended by `wall_ms` and did not.
    pub(super) fn overdue(&mut self, wall_ms: u64, grace_ms: u64, faults: &mut Vec<Fault>) {
        while let Some((deadline, seq, seat)) = self.due.front().copied() {
            if deadline + grace_ms >= wall_ms {
                return;
            }
            self.due.pop_front();
            let who = self.holders[seat as usize];
            let same_hold = self.history[seat as usize].last() == Some(&(seq, who));
            if who != FREE && same_hold {
                let detail = format!("seq {seq}: a hold is {} ms older than its deadline", wall_ms - deadline);
                faults.push(Fault { kind: Kind::LateExpiry, seat: Some(seat), who, detail });
            }
        }
    }

    /// When something is missing that nobody can tell any more (`reachable` says from which number on somebody still
    /// listens), the oldest full state beyond the hole becomes the truth.
    pub(super) fn bridge(&mut self, reachable: u64, faults: &mut Vec<Fault>) {
        while !self.waiting.is_empty() && reachable > self.frontier {
            let oldest = self
                .waiting
                .iter()
                .enumerate()
                .filter(|(_, told)| told.list.is_some())
                .min_by_key(|(_, told)| told.seq);
            let Some((index, _)) = oldest else { return };
            let told = self.waiting.swap_remove(index);
            self.untold.push((self.frontier, told.seq));
            let known = usize::try_from(told.seq - self.base).expect("a log is short").min(self.entries.len());
            self.entries.drain(..known);
            let list = told.list.expect("it was chosen for its list");
            self.begin(told.seq, &list);
            self.fixed = true;
            for (seat, who) in (0..).zip(self.holders.clone()) {
                let seat: Seat = seat;
                let history = &mut self.history[seat as usize];
                if history.last().map_or(FREE, |(_, known)| *known) != who {
                    history.push((told.seq, who));
                }
            }
            self.advance(faults);
        }
    }

    /// Whether something is missing between what is known and what was seen.
    pub(super) fn has_hole(&self) -> bool {
        self.begun && (self.highest > self.frontier || !self.waiting.is_empty())
    }

    /// How many full states wait for the events before them.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets the older half of the log.
    fn forget(&mut self) {
        let applied = usize::try_from(self.frontier - self.base).expect("a log is short");
        let count = (self.entries.len() / 2).min(applied);
        if count == 0 {
            return;
        }
        let base = self.base + count as u64;
        self.base_hash = self.hash_at(base).expect("it is applied");
        self.entries.drain(..count);
        (self.base, self.fixed) = (base, true);
        for history in &mut self.history {
            let old = history.iter().rposition(|(seq, _)| *seq <= base).unwrap_or(0);
            history.drain(..old);
        }
    }

    /// Who held the seat when the room was at `seq`.
    #[inline]
    pub(super) fn holder_at(&self, seat: Seat, seq: u64) -> Who {
        let history = &self.history[seat as usize];
        history.iter().rev().find(|(changed, _)| *changed <= seq).map_or(FREE, |(_, who)| *who)
    }

    /// Whether anybody held the seat at some moment from one number to another.
    pub(super) fn was_held_between(&self, seat: Seat, from: u64, to: u64) -> bool {
        let history = &self.history[seat as usize];
        let within =
            history.iter().rev().take_while(|(changed, _)| *changed > from).filter(|(changed, _)| *changed <= to);
        // Where every member got a full state in the place of events, anybody may have held it for a while.
        let untold = self.untold.iter().any(|(before, until)| *before < to && from < *until);
        untold || self.holder_at(seat, from) != FREE || within.clone().any(|(_, who)| *who != FREE)
    }

    /// The last changes of a seat.
    pub(super) fn history(&self, seat: Seat) -> &[(u64, Who)] {
        let history = &self.history[seat as usize];
        &history[history.len().saturating_sub(8)..]
    }

    /// The held seats, as far as everything is known.
    pub(super) fn held(&self) -> impl Iterator<Item = (Seat, Who)> + '_ {
        (0..).zip(self.holders.iter().copied()).filter(|(_, who)| *who != FREE)
    }

    /// How many seats are held.
    pub(super) fn held_count(&self) -> u64 {
        self.count
    }

    /// A number that stands for the map: the sum of the hashes of its held seats.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}
