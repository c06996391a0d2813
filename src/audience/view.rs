//! One room as one shard's members see it: a log of frames, and how far each member has got.
//!
//! A frame is encoded once and appended once. A pass then serves each member the part of the log that it has not had,
//! so k frames cost a member one send. A member whose socket is full is *behind*: passes leave it out, and it reads the
//! log at its own pace. Invariants: a member is served every frame appended after it was added, in order, once, or it
//! is skipping and owed a full state; the log is never cut above what a member still needs; a member always stands at
//! the beginning of a frame; during a pass the members before `next` have been served and those from `next` on have
//! not.
//!
//! Never here: sockets, seats, time.

use crate::limits::{EMPTY_LOG_BYTES_MAX, LOG_LOOK_PART};
use crate::planted::{Bug, has};

use super::frames::begun_frame;

/// A place in the stream of a view's frames, in bytes since the view began. It wraps; only differences count, and they
/// stay within the bound of the log.
pub type Position = u32;

/// A part of the stream, of whole frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where it begins.
    pub from: Position,
    /// Where the next frame begins.
    pub to: Position,
}

/// How a member gets its frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// From passes, and with its replies.
    Served,
    /// From the log, when its socket takes more.
    Behind,
    /// Not at all, until it gets a full state.
    Skipping,
}

/// A connection that looks at the room: its slot on this shard, and how far it has been served.
#[derive(Clone, Copy, Debug)]
struct Member {
    slot: u32,
    /// Up to here it was served, or its outbox says which parts of the log it is going to be sent.
    served: Position,
    /// While it is behind: what it still needs of the log begins here.
    needs: Position,
    mode: Mode,
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
    pub from: Position,
}

/// A pass that is running.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Where the log ended when it began.
    end: Position,
    /// The least that those whom it has met still need.
    low: Position,
}

/// A room as seen from one shard.
#[derive(Debug, Default)]
pub struct View {
    /// What was cut, up to `start`, and then what is needed.
    log: Vec<u8>,
    start: usize,
    /// Position behind the last byte of `log`.
    end: Position,
    members: Vec<Member>,
    /// How many members are behind.
    behind: usize,
    /// How many members skip.
    skipping: usize,
    /// The first member that the running pass has not met.
    next: usize,
    pass: Option<Pass>,
    /// Up to here at least the passes have served all whom they serve.
    passed: Position,
    /// Where the log ended when the members were last looked through for those too far behind.
    looked_at: Position,
    /// Bytes of memory that were counted for the log last.
    counted: usize,
}

impl View {
    /// Members in the view.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The connection of the member at `index`, by its slot.
    #[must_use]
    pub fn slot_at(&self, index: u32) -> u32 {
        self.members[index as usize].slot
    }

    /// Whether nobody looks at the room from here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Members that passes serve.
    #[must_use]
    pub fn served_len(&self) -> usize {
        self.members.len() - self.behind - self.skipping
    }

    /// Whether a pass may have something to do, for those who are not behind.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.end != self.passed && self.served_len() > 0
    }

    /// Lets everybody skip who is behind. Returns their slots; they must be resynchronised.
    #[must_use]
    pub fn drop_behind(&mut self) -> Vec<u32> {
        let mut dropped = Vec::new();
        if self.behind > 0 {
            self.looked_at = self.end;
            self.drop_beyond(0, false, &mut dropped);
        }
        dropped
    }

    /// Adds a member that has seen everything so far (it has the full state) and returns its index.
    pub fn add(&mut self, slot: u32) -> u32 {
        self.members.push(Member { slot, served: self.end, needs: self.end, mode: Mode::Served });
        u32::try_from(self.members.len() - 1).expect("members are bounded")
    }

    /// Removes the member at `index` and says who moved because of it, at most two.
    pub fn remove(&mut self, index: u32) -> [Option<Moved>; 2] {
        if self.members[index as usize].mode != Mode::Served {
            self.set_mode(index, Mode::Served);
        }
        let mut hole = index as usize;
        let mut moved = [None, None];
        if self.pass.is_some() && hole < self.next {
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
        self.forget_unneeded();
        moved
    }

    /// Appends frames for everybody, written by `write`. Returns whether a member that is behind may need more than
    /// `lag_bytes` of the log: then [`View::drop_laggards`] must follow.
    #[must_use]
    pub fn append(&mut self, lag_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.members.len() == self.skipping {
            self.forget_all();
            return false;
        }
        let before = self.log.len();
        write(&mut self.log);
        let grown = u32::try_from(self.log.len() - before).expect("the log is bounded");
        self.end = self.end.wrapping_add(grown);
        self.log_len() > lag_bytes && self.grown_since_look() > lag_bytes / LOG_LOOK_PART
    }

    fn grown_since_look(&self) -> usize {
        self.end.wrapping_sub(self.looked_at) as usize
    }

    /// Lets those skip who are too far behind, and cuts the log where the others need it: who is behind by more than
    /// `lag_bytes` (less an eighth), and, when the log is longer than `log_bytes` even so, whoever else needs more than
    /// half of that. Returns the slots of all who skip from now on; they must be resynchronised.
    #[must_use]
    pub fn drop_laggards(&mut self, lag_bytes: usize, log_bytes: usize) -> Vec<u32> {
        debug_assert!(lag_bytes <= log_bytes, "the bound of the log is the last one");
        let mut dropped = Vec::new();
        let has_grown = self.log_len() > lag_bytes && self.grown_since_look() > lag_bytes / LOG_LOOK_PART;
        if has_grown || self.log_len() > log_bytes {
            self.looked_at = self.end;
            self.drop_beyond(lag_bytes - lag_bytes / LOG_LOOK_PART, false, &mut dropped);
        }
        if self.log_len() > log_bytes {
            self.drop_beyond(log_bytes / 2, true, &mut dropped);
        }
        dropped
    }

    fn drop_beyond(&mut self, bytes: usize, served_too: bool, dropped: &mut Vec<u32>) {
        let mut most = 0;
        for index in 0..self.members.len() {
            let member = self.members[index];
            let lag = match member.mode {
                Mode::Served => self.end.wrapping_sub(member.served),
                Mode::Behind => self.end.wrapping_sub(member.needs),
                Mode::Skipping => continue,
            };
            if lag as usize > bytes && (served_too || member.mode == Mode::Behind) {
                crate::marks::hit(if served_too { "a log at its bound" } else { "a member too far behind" });
                dropped.push(member.slot);
                self.skip(u32::try_from(index).expect("members are bounded"));
            } else {
                most = most.max(lag);
            }
        }
        self.cut(self.end.wrapping_sub(most));
    }

    /// The frames in the log from `from` on.
    #[must_use]
    pub fn tail(&self, from: Position) -> &[u8] {
        &self.log[self.log.len() - self.end.wrapping_sub(from) as usize..]
    }

    /// The frames of a part of the log.
    #[must_use]
    pub fn read(&self, span: Span) -> &[u8] {
        &self.tail(span.from)[..span.to.wrapping_sub(span.from) as usize]
    }

    /// What the member at `index` has not been served and its outbox does not name; nothing while it skips.
    #[must_use]
    pub fn owed(&self, index: u32) -> &[u8] {
        let member = &self.members[index as usize];
        if member.mode == Mode::Skipping {
            return &[];
        }
        self.tail(member.served)
    }

    /// The member at `index` has been served everything so far, or gets something else in the place of it.
    pub fn settle(&mut self, index: u32) {
        let member = &mut self.members[index as usize];
        if member.needs == member.served {
            member.needs = self.end;
        }
        member.served = self.end;
    }

    fn set_mode(&mut self, index: u32, mode: Mode) {
        let was = std::mem::replace(&mut self.members[index as usize].mode, mode);
        self.behind = self.behind + usize::from(mode == Mode::Behind) - usize::from(was == Mode::Behind);
        self.skipping = self.skipping + usize::from(mode == Mode::Skipping) - usize::from(was == Mode::Skipping);
        // The last one for whom the log was kept.
        let nobody_is_owed = self.behind == 0 && self.pass.is_none() && self.passed == self.end;
        if was == Mode::Behind && nobody_is_owed {
            self.cut(self.end);
        }
    }

    /// The member is behind and needs the log from `position` on: a pass that has met it must not cut it away.
    fn set_behind(&mut self, index: u32, position: Position) {
        self.members[index as usize].needs = position;
        self.set_mode(index, Mode::Behind);
        let end = self.end;
        if has(Bug::CutAboveLaggard) {
            return;
        }
        if let Some(pass) = self.pass.as_mut().filter(|pass| is_lower(position, pass.low, end)) {
            pass.low = position;
        }
    }

    /// The socket of the member at `index`, which a pass was serving, took only `sent` bytes of the log from `from` on:
    /// it is behind. Returns the rest of the frame that was begun, which must leave first of all.
    pub fn fall_behind(&mut self, index: u32, from: Position, sent: usize) -> &[u8] {
        let (position, rest) = self.after(from, sent);
        self.members[index as usize].served = position;
        self.set_behind(index, position);
        &self.tail(from)[rest]
    }

    /// What is owed to the member at `index` will be sent from the log, as a part that its outbox names: it is behind.
    #[must_use]
    pub fn claim(&mut self, index: u32) -> Span {
        let member = &mut self.members[index as usize];
        let span = Span { from: member.served, to: self.end };
        member.served = self.end;
        if member.mode == Mode::Served {
            self.set_behind(index, span.from);
        }
        span
    }

    /// The socket of the member at `index` took `sent` bytes of the log from `from` on, a part that its outbox names.
    /// Returns where the next frame begins, and the rest of the one that was begun.
    pub fn took(&mut self, index: u32, from: Position, sent: usize) -> (Position, &[u8]) {
        let (position, rest) = self.after(from, sent);
        if !rest.is_empty() {
            crate::marks::hit("a frame of a log that was begun");
        }
        self.members[index as usize].needs = position;
        (position, &self.tail(from)[rest])
    }

    /// Where the next frame begins after `sent` bytes from `from` on, and where the rest of the last one is.
    fn after(&self, from: Position, sent: usize) -> (Position, std::ops::Range<usize>) {
        let begun = begun_frame(self.tail(from), sent);
        let rest = if begun.is_empty() { sent..sent } else { sent..begun.end };
        (from.wrapping_add(u32::try_from(rest.end).expect("the log is bounded")), rest)
    }

    /// Everything that the outbox of the member at `index` named has left. Returns whether it has got everything: then
    /// passes serve it again.
    pub fn catch_up(&mut self, index: u32) -> bool {
        let member = &mut self.members[index as usize];
        if member.mode != Mode::Behind {
            return true;
        }
        member.needs = member.served;
        let is_served = member.served == self.end;
        if is_served {
            crate::marks::hit("a member that catches up from the log");
            self.set_mode(index, Mode::Served);
        }
        is_served
    }

    /// Whether the member at `index` reads the log at its own pace.
    #[must_use]
    pub fn is_behind(&self, index: u32) -> bool {
        self.members[index as usize].mode == Mode::Behind
    }

    /// Lets frames pass the member by until [`View::resume`].
    pub fn skip(&mut self, index: u32) {
        self.set_mode(index, Mode::Skipping);
        self.forget_unneeded();
    }

    /// Those who skip need no log.
    fn forget_unneeded(&mut self) {
        if self.members.len() == self.skipping {
            self.forget_all();
        }
    }

    /// Whether frames pass the member by.
    #[must_use]
    pub fn is_skipping(&self, index: u32) -> bool {
        self.members[index as usize].mode == Mode::Skipping
    }

    /// The member has got a full state: from here on it is served again. One that did not skip goes on where it is.
    pub fn resume(&mut self, index: u32) {
        if self.is_skipping(index) {
            self.set_mode(index, Mode::Served);
            let member = &mut self.members[index as usize];
            (member.served, member.needs) = (self.end, self.end);
        }
    }

    /// Begins a pass over all members, unless one is running.
    pub fn begin_pass(&mut self) {
        if self.pass.is_none() {
            self.pass = Some(Pass { end: self.end, low: self.end });
            self.next = 0;
        }
    }

    /// Whether a pass is running.
    pub fn has_pass(&self) -> bool {
        self.pass.is_some()
    }

    /// The next member of the running pass that is owed something; `None` ends the pass. Frames that arrive during a
    /// pass go to the members not yet served and wait for the next pass for the others: a pass that looped until nobody
    /// is behind would never end under load.
    pub fn step(&mut self) -> Option<Serve> {
        let met = self.meet();
        if met.is_none() {
            self.finish_pass();
        }
        met
    }

    /// The same, but the pass does not end, and the log stays as it is, until [`View::step`] finds nobody either.
    pub fn meet(&mut self) -> Option<Serve> {
        let pass = self.pass.as_mut()?;
        let end = self.end;
        while let Some(member) = self.members.get_mut(self.next) {
            let index = u32::try_from(self.next).expect("members are bounded");
            self.next += 1;
            match member.mode {
                Mode::Served if member.served != end => {
                    let from = std::mem::replace(&mut member.served, end);
                    return Some(Serve { index, slot: member.slot, from });
                }
                Mode::Behind if is_lower(member.needs, pass.low, end) => pass.low = member.needs,
                Mode::Served | Mode::Behind | Mode::Skipping => {}
            }
        }
        None
    }

    /// Everybody whom the pass serves has got everything up to where the log ended when it began. The log is cut there,
    /// or where those who are behind need it.
    fn finish_pass(&mut self) {
        let Some(pass) = self.pass.take() else { return };
        self.next = 0;
        self.passed = pass.end;
        self.cut(if self.behind == 0 { pass.end } else { pass.low });
    }

    /// Cuts the log up to `position`, above which nobody needs it. What is cut is moved out of memory only when it is
    /// more than half: one laggard must not cost a move of a long log with each pass.
    fn cut(&mut self, position: Position) {
        let kept = self.end.wrapping_sub(position) as usize;
        debug_assert!(kept <= self.log_len(), "the log was cut further before");
        self.start = self.log.len() - kept;
        if let Some(pass) = self.pass.as_mut() {
            let least = |of: Position| if is_lower(of, position, self.end) { position } else { of };
            (pass.low, pass.end) = (least(pass.low), least(pass.end));
        }
        if kept == 0 {
            self.log.clear();
            self.start = 0;
            if self.log.capacity() > EMPTY_LOG_BYTES_MAX {
                self.log = Vec::new();
            }
        } else if self.start > kept {
            self.log.drain(..self.start);
            self.start = 0;
            if self.log.capacity() > EMPTY_LOG_BYTES_MAX.max(4 * kept) {
                self.log.shrink_to(2 * kept);
            }
        }
    }

    /// Gives up what an empty log keeps for the next frames.
    pub fn give_back(&mut self) {
        if self.log_len() == 0 {
            self.log = Vec::new();
            self.start = 0;
        }
    }

    /// Forgets all frames: nobody needs them.
    fn forget_all(&mut self) {
        (self.pass, self.next, self.passed) = (None, 0, self.end);
        self.cut(self.end);
    }

    /// Panics when an invariant of the module's first lines does not hold.
    pub fn check_invariants(&self) {
        assert!(self.next <= self.members.len(), "the pass is inside the members");
        let len = self.log_len();
        let in_mode = |mode| self.members.iter().filter(|member| member.mode == mode).count();
        assert_eq!((self.behind, self.skipping), (in_mode(Mode::Behind), in_mode(Mode::Skipping)));
        for (index, member) in self.members.iter().enumerate() {
            let (owed, needed) = (self.end.wrapping_sub(member.served), self.end.wrapping_sub(member.needs));
            match member.mode {
                Mode::Served => {
                    assert!(owed as usize <= len, "member {index} is owed frames that were cut");
                    assert!(owed == 0 || self.is_due() || self.pass.is_some(), "member {index} is owed and not due");
                }
                Mode::Behind => {
                    assert!(needed as usize <= len, "member {index} needs frames that were cut");
                    assert!(owed <= needed, "member {index} was promised less than it has got");
                }
                Mode::Skipping => {}
            }
        }
    }
}

/// Whether `a` comes before `b` in a log that ends at `end`.
fn is_lower(a: Position, b: Position, end: Position) -> bool {
    end.wrapping_sub(a) > end.wrapping_sub(b)
}

mod weight;

#[cfg(test)]
mod tests;
