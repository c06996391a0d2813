//! One room as one shard's members see it: a log of frames and how far each member has got.
//!
//! A frame is encoded once and appended once; a pass then serves each member the part of the log that it has not had,
//! so that k frames cost a member one send. Invariants: a member is served every frame appended after it was added, in
//! order, once, or it is skipping and owed a full state; the log is never cut above what a member still needs; during a
//! pass the members before `next` are served and those from `next` on are not.
//!
//! Never here: sockets, seats, time.

/// A place in the stream of a view's frames, in bytes since the view began. It wraps; only differences count, and they
/// stay within the bound of the log.
type Position = u32;

/// A connection that looks at the room: its slot on this shard, and how far it has been served.
#[derive(Clone, Copy, Debug)]
struct Member {
    slot: u32,
    served: Position,
    /// Frames pass it by until it gets a full state.
    skipping: bool,
}

/// A member that now stands at another index of the view, because one before it was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Its connection's slot.
    pub slot: u32,
    /// Its new index.
    pub index: u32,
}

/// The next member of a pass: send it the log from `from` on (see [`View::tail`]). It counts as served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Serve {
    /// Its index in the view.
    pub index: u32,
    /// Its connection's slot.
    pub slot: u32,
    /// Where in the log begins what it is owed.
    pub from: usize,
}

/// A room as seen from one shard.
#[derive(Debug, Default)]
pub struct View {
    log: Vec<u8>,
    /// Position of the first byte of `log`.
    base: Position,
    members: Vec<Member>,
    /// The first member that the running pass has not served.
    next: usize,
    /// Where the log ended when the running pass began; `None` when no pass is running.
    pass_end: Option<Position>,
}

impl View {
    /// Members in the view.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody looks at the room from here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a frame waits for somebody.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.log.is_empty()
    }

    /// Bytes of frames that are kept.
    #[must_use]
    pub fn log_len(&self) -> usize {
        self.log.len()
    }

    /// The slots of all members.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|member| member.slot)
    }

    fn end(&self) -> Position {
        self.base.wrapping_add(u32::try_from(self.log.len()).expect("the log is bounded"))
    }

    /// Adds a member that has seen everything so far (it has the full state) and returns its index.
    pub fn add(&mut self, slot: u32) -> u32 {
        let served = self.end();
        self.members.push(Member { slot, served, skipping: false });
        u32::try_from(self.members.len() - 1).expect("members are bounded")
    }

    /// Removes the member at `index` and says who moved because of it, at most two.
    pub fn remove(&mut self, index: u32) -> [Option<Moved>; 2] {
        let mut hole = index as usize;
        let mut moved = [None, None];
        if self.pass_end.is_some() && hole < self.next {
            // The last of the served fills the hole, so that no member still to be served slips under `next`.
            self.next -= 1;
            if hole != self.next {
                self.members[hole] = self.members[self.next];
                moved[0] = Some(Moved { slot: self.members[hole].slot, index });
            }
            hole = self.next;
        }
        self.members.swap_remove(hole);
        if let Some(member) = self.members.get(hole) {
            moved[1] = Some(Moved { slot: member.slot, index: u32::try_from(hole).expect("members are bounded") });
        }
        if self.members.is_empty() {
            self.cut_all();
        }
        moved
    }

    /// Appends frames for everybody, written by `write`, and returns where in the log they begin (see [`View::tail`]).
    ///
    /// Returns `None` when the log would outgrow `bytes_max` (at most 2 GiB): then everybody skips (see
    /// [`View::is_skipping`]), the log is empty and the caller must resynchronise those who skip.
    pub fn append(&mut self, bytes_max: usize, write: impl FnOnce(&mut Vec<u8>)) -> Option<usize> {
        let from = self.log.len();
        if self.members.is_empty() {
            return Some(from);
        }
        write(&mut self.log);
        if self.log.len() <= bytes_max {
            return Some(from);
        }
        for member in &mut self.members {
            member.skipping = true;
        }
        self.cut_all();
        None
    }

    /// The frames in the log from `from` on.
    #[must_use]
    pub fn tail(&self, from: usize) -> &[u8] {
        &self.log[from..]
    }

    /// What the member at `index` has not been served; nothing while it skips.
    #[must_use]
    pub fn owed(&self, index: u32) -> &[u8] {
        let member = &self.members[index as usize];
        if member.skipping {
            return &[];
        }
        &self.log[member.served.wrapping_sub(self.base) as usize..]
    }

    /// The member at `index` has been served everything so far.
    pub fn settle(&mut self, index: u32) {
        let end = self.end();
        self.members[index as usize].served = end;
    }

    /// Lets frames pass the member by until [`View::resume`].
    pub fn skip(&mut self, index: u32) {
        self.members[index as usize].skipping = true;
    }

    /// Whether frames pass the member by.
    #[must_use]
    pub fn is_skipping(&self, index: u32) -> bool {
        self.members[index as usize].skipping
    }

    /// The member has got a full state: from here on it is served again.
    pub fn resume(&mut self, index: u32) {
        let end = self.end();
        let member = &mut self.members[index as usize];
        member.skipping = false;
        member.served = end;
    }

    /// Begins a pass over all members, unless one is running.
    pub fn begin_pass(&mut self) {
        if self.pass_end.is_none() {
            self.pass_end = Some(self.end());
            self.next = 0;
        }
    }

    /// The next member of the running pass that is owed something; `None` ends the pass. Frames that arrive during a
    /// pass go to the members not yet served and wait for the next pass for the others: a pass that looped until nobody
    /// is behind would never end under load.
    pub fn step(&mut self) -> Option<Serve> {
        let pass_end = self.pass_end?;
        let end = self.end();
        while let Some(member) = self.members.get_mut(self.next) {
            let index = u32::try_from(self.next).expect("members are bounded");
            self.next += 1;
            if !member.skipping && member.served != end {
                let from = member.served.wrapping_sub(self.base) as usize;
                member.served = end;
                return Some(Serve { index, slot: member.slot, from });
            }
        }
        self.finish_pass(pass_end);
        None
    }

    /// Everybody has been served at least up to where the log ended when the pass began: the log is cut there.
    fn finish_pass(&mut self, pass_end: Position) {
        let done = pass_end.wrapping_sub(self.base) as usize;
        if done >= self.log.len() {
            self.log.clear();
        } else {
            self.log.drain(..done);
        }
        self.base = pass_end;
        self.pass_end = None;
        self.next = 0;
    }

    /// Forgets all frames: nobody needs them.
    fn cut_all(&mut self) {
        self.base = self.end();
        self.log = Vec::new();
        self.pass_end = None;
        self.next = 0;
        for member in &mut self.members {
            member.served = self.base;
        }
    }

    /// Gives memory back that a burst left behind. Only an idle view shrinks.
    pub fn shrink(&mut self) {
        if self.log.is_empty() {
            self.log = Vec::new();
        }
    }

    /// Panics when an invariant of the module's first lines does not hold.
    pub fn check_invariants(&self) {
        assert!(self.next <= self.members.len(), "the pass is inside the members");
        let len = self.log.len();
        for (index, member) in self.members.iter().enumerate() {
            let behind = self.end().wrapping_sub(member.served) as usize;
            assert!(member.skipping || behind <= len, "member {index} is owed frames that were cut");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::View;

    fn serve(view: &mut View) -> Vec<(u32, String)> {
        let mut served = Vec::new();
        while let Some(step) = view.step() {
            served.push((step.slot, String::from_utf8_lossy(view.tail(step.from)).into_owned()));
        }
        served
    }

    fn put(view: &mut View, frame: &str) {
        view.append(1_000, |log| log.extend_from_slice(frame.as_bytes())).expect("room in the log");
        view.check_invariants();
    }

    #[test]
    fn several_frames_are_one_slice() {
        let mut view = View::default();
        view.add(7);
        view.add(8);
        put(&mut view, "a");
        put(&mut view, "b");
        view.begin_pass();
        assert_eq!(serve(&mut view), [(7, "ab".into()), (8, "ab".into())]);
        assert!(!view.is_due());
    }

    #[test]
    fn frames_that_arrive_during_a_pass_reach_everybody_once() {
        let mut view = View::default();
        (0..3).for_each(|slot| _ = view.add(slot));
        put(&mut view, "a");
        view.begin_pass();
        let first = view.step().expect("somebody is owed a frame");
        assert_eq!((first.slot, view.tail(first.from)), (0, &b"a"[..]));
        put(&mut view, "b");
        assert_eq!(serve(&mut view), [(1, "ab".into()), (2, "ab".into())]);
        assert!(view.is_due(), "member 0 waits for the next pass");
        view.begin_pass();
        assert_eq!(serve(&mut view), [(0, "b".into())]);
        assert!(!view.is_due());
    }

    #[test]
    fn a_member_removed_during_a_pass_hides_nobody() {
        for gone in 0..4 {
            let mut view = View::default();
            let mut index_of: Vec<u32> = (0..4).map(|slot| view.add(slot)).collect();
            put(&mut view, "a");
            view.begin_pass();
            let mut got: Vec<u32> = Vec::new();
            for _ in 0..2 {
                got.extend(view.step().map(|step| step.slot));
            }
            for moved in view.remove(index_of[gone as usize]).into_iter().flatten() {
                index_of[moved.slot as usize] = moved.index;
            }
            view.check_invariants();
            got.extend(serve(&mut view).into_iter().map(|(slot, _)| slot));
            got.retain(|&slot| slot != gone);
            got.sort_unstable();
            assert_eq!(got, (0..4).filter(|&slot| slot != gone).collect::<Vec<u32>>(), "with {gone} removed");
            for slot in (0..4).filter(|&slot| slot != gone) {
                assert_eq!(view.members[index_of[slot as usize] as usize].slot, slot, "indices follow the moves");
            }
        }
    }

    #[test]
    fn a_log_at_its_bound_makes_everybody_skip() {
        let mut view = View::default();
        let index = view.add(1);
        let full = view.append(10, |log| log.resize(11, b'x'));
        assert_eq!(full, None);
        assert!(view.is_skipping(index) && !view.is_due());
        put(&mut view, "unseen");
        view.resume(index);
        put(&mut view, "seen");
        assert_eq!(view.owed(index), b"seen");
    }
}
