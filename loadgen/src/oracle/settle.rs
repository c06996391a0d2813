//! What can only be judged over time: holes, deadlines, and the end of a run.

use super::violation::Kind;
use super::{Doubt, Oracle};
use crate::limits::{REFUSAL_SLACK, REFUSALS_KEPT_MAX};
use crate::names::{FREE, Seat, Who};

impl Oracle {
    /// A select was refused as taken. `since` is the number the client had reached when it sent.
    pub fn refused_as_taken(&mut self, who: Who, seat: Seat, since: u64) {
        let member = self.members[who as usize];
        let Some(life) = self.life(who) else { return };
        // It was decided before it came, so not long after what anybody has seen by now.
        let until = life.highest + REFUSAL_SLACK;
        if member.joined && !life.was_held_between(seat, since, until) && self.doubts.len() < REFUSALS_KEPT_MAX {
            self.doubts.push(Doubt { who, room: member.room, life: member.life, seat, seq: since, until });
        }
    }

    /// Gives up on events that nobody can tell any more.
    pub(super) fn bridge(&mut self, room: usize, life: usize) {
        let members = self.rooms[room].members.iter().map(|who| self.members[*who as usize]);
        let listening = members.filter(|member| member.joined && !member.deaf && member.life == life);
        let reachable = listening.map(|member| member.seq).min().unwrap_or(u64::MAX);
        let mut faults = std::mem::take(&mut self.faults);
        self.rooms[room].lives[life].bridge(reachable, &mut faults);
        self.blame(FREE, room, &mut faults);
        self.faults = faults;
    }

    /// Looks for holds beyond their deadline and gives up on holes. `wall_ms` is a moment up to which everything was
    /// read.
    pub fn sweep(&mut self, wall_ms: u64, grace_ms: u64) {
        let mut faults = std::mem::take(&mut self.faults);
        for room in 0..self.rooms.len() {
            for life in 0..self.rooms[room].lives.len() {
                if self.rooms[room].lives[life].has_hole() {
                    self.bridge(room, life);
                }
            }
            // Only the newest life can hold anything; an older one nobody hears of any more.
            if let Some(life) = self.rooms[room].lives.last_mut().filter(|life| !life.has_hole()) {
                life.overdue(wall_ms, grace_ms, &mut faults);
            }
            self.blame(FREE, room, &mut faults);
        }
        self.faults = faults;
    }

    /// Whether every listening member has seen everything that any of them saw.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.members.iter().filter(|member| member.joined && !member.deaf).all(|member| {
            let life = &self.rooms[member.room].lives[member.life];
            !member.behind && member.seq == life.highest && !life.has_hole()
        })
    }

    /// The end: whoever is not level now has lost something.
    pub fn settle(&mut self) {
        for who in 0..crate::num::index32(self.members.len()) {
            // A slow reader may be in the middle of its full state.
            if !self.members[who as usize].deaf {
                self.resolve(who);
            }
        }
        self.sweep(0, 0);
        for who in 0..crate::num::index32(self.members.len()) {
            let member = self.members[who as usize];
            if !member.joined || member.deaf {
                continue;
            }
            let newest = self.rooms[member.room].lives.len() - 1;
            let highest = self.rooms[member.room].lives[member.life].highest;
            if member.life != newest {
                self.tell(Kind::LostEvent, who, None, "still in an older epoch of the room than others".to_owned());
            } else if member.behind {
                self.tell(
                    Kind::SilentGap,
                    who,
                    None,
                    format!("jumped to seq {} by an own reply; no full state came", member.seq),
                );
            } else if member.seq < highest {
                let next =
                    self.rooms[member.room].lives[member.life].entry(member.seq + 1).map(|entry| entry.event.seat);
                self.tell(
                    Kind::LostEvent,
                    who,
                    next,
                    format!("got nothing after seq {}, others reached {highest}", member.seq),
                );
            }
        }
        for doubt in std::mem::take(&mut self.doubts) {
            if self.rooms[doubt.room].lives[doubt.life].has_hole() {
                self.unjudged += 1;
                continue;
            }
            if !self.rooms[doubt.room].lives[doubt.life].was_held_between(doubt.seat, doubt.seq, doubt.until) {
                let detail =
                    format!("refused as taken, but nobody held it between seq {} and {}", doubt.seq, doubt.until);
                self.tell(Kind::FalseRefusal, doubt.who, Some(doubt.seat), detail);
            }
        }
    }
}
