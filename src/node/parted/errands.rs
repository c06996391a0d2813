//! Questions to shards of other nodes by who is no connection: sent to whoever owns the room, also when that changes.
//!
//! Invariants: a question ends once ([`Outcome`]), within the time that requests wait; what would be done twice, or
//! answered otherwise the second time, is not asked twice. Never here: what is done with an answer.

use super::done;
use crate::cluster::names::PartId;
use crate::engine::ids::{ShardId, ShardSet};
use crate::engine::time::Millis;
use crate::node::Node;
use crate::node::errand::{Answered, Asked, Done, Errand, Outcome};
use crate::node::letters::Letter;

/// A question without an answer.
#[derive(Debug)]
pub(super) struct Open {
    asked: Asked,
    /// Who is asked, or is to be asked again.
    at: At,
    until: Millis,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// Nobody yet.
    Nobody,
    /// This shard.
    Shard(ShardId),
}

/// All questions of this shard, and those of others to it.
#[derive(Debug, Default)]
pub(super) struct Errands {
    last: u32,
    open: std::collections::BTreeMap<u32, Open>,
    outcomes: Vec<(u32, Outcome)>,
    /// What only the shell can answer.
    questions: Vec<Errand>,
}

impl Errands {
    fn end(&mut self, number: u32, outcome: Outcome) {
        self.open.remove(&number);
        self.outcomes.push((number, outcome));
    }

    /// Those that had been asked there have no answer.
    fn come_back(&mut self, is_of: impl Fn(&Open, ShardId) -> bool) {
        let lost = |open: &Open| matches!(open.at, At::Shard(at) if is_of(open, at));
        let numbers: Vec<u32> = self.open.iter().filter(|(_, open)| lost(open)).map(|(number, _)| *number).collect();
        for number in numbers {
            let open = self.open.get_mut(&number).expect("it was listed");
            if open.asked.room().is_some() && open.asked.may_be_repeated() {
                open.at = At::Nobody;
            } else {
                self.end(number, Outcome::Nobody);
            }
        }
    }
}

impl Node {
    /// Where the room is on this node, when it is here at all.
    #[must_use]
    pub fn home(&self, room: &str) -> ShardId {
        self.parted.as_ref().map_or_else(|| self.owner(room), |parted| parted.home_of(room))
    }

    /// How long a question about a room may wait for somebody who decides; 0 without other nodes.
    #[must_use]
    pub fn patience_ms(&self) -> u64 {
        self.parted.as_ref().map_or(0, |parted| parted.patience_ms)
    }

    /// How many parts this shard decides about now; 0 without other nodes.
    #[must_use]
    pub fn parts_decided(&self) -> usize {
        let Some(parted) = self.parted.as_deref() else { return 0 };
        let (own, now) = (Some(self.id), self.at.now.mono);
        let all = (0..).map(PartId).zip(&parted.owners);
        all.filter(|(part, owner)| **owner == own && parted.link.may_decide(*part, now)).count()
    }

    /// The shards of other nodes that own rooms, and how many parts are nobody's for now.
    #[must_use]
    pub fn owners_abroad(&self) -> (Vec<ShardId>, usize) {
        let Some(parted) = &self.parted else { return (Vec::new(), 0) };
        let mut found = ShardSet::EMPTY;
        parted.owners.iter().flatten().for_each(|owner| found.insert(*owner));
        let own = parted.link.spread().shards();
        let abroad = found.iter().filter(|shard| shard.index() >= own).collect();
        (abroad, parted.owners.iter().filter(|owner| owner.is_none()).count())
    }

    /// Asks the owner of the room, or this shard of another node. The outcome has this number.
    pub fn send_errand(&mut self, asked: Asked, to: Option<ShardId>) -> u32 {
        let (by, until) = (self.id, self.at.now.mono.after(self.patience_ms()));
        let parted = self.parted.as_mut().expect("only a node among several asks others");
        let errands = &mut parted.errands;
        errands.last = errands.last.wrapping_add(1);
        let number = errands.last;
        let at = to.map_or(At::Nobody, At::Shard);
        errands.open.insert(number, Open { asked: asked.clone(), at, until });
        match to {
            Some(to) => self.post.letter(to, Letter::Errand(Box::new(Errand { by, number, asked }))),
            None => self.pump_errands(),
        }
        number
    }

    /// Whether something waits for an answer, or for the shell.
    #[must_use]
    pub fn has_errands(&self) -> bool {
        let is_some = |parted: &super::Parted| {
            let Errands { open, outcomes, questions, .. } = &parted.errands;
            !open.is_empty() || !outcomes.is_empty() || !questions.is_empty()
        };
        self.parted.as_deref().is_some_and(is_some)
    }

    /// What questions of this shard have come to.
    pub fn take_outcomes(&mut self) -> Vec<(u32, Outcome)> {
        self.parted.as_mut().map(|parted| std::mem::take(&mut parted.errands.outcomes)).unwrap_or_default()
    }

    /// What other nodes ask that only the shell can answer.
    pub fn take_questions(&mut self) -> Vec<Errand> {
        self.parted.as_mut().map(|parted| std::mem::take(&mut parted.errands.questions)).unwrap_or_default()
    }

    /// A shard of another node asks.
    pub(in crate::node) fn errand(&mut self, errand: Errand) {
        let Errand { by, number, asked } = errand;
        // A layout that was put on another node a moment ago is here with the next refresh.
        if asked.lacks_layout() || asked.room().is_some_and(|room| !self.decides(room.as_str())) {
            return self.errand_done(by, number, Answered::NotMine);
        }
        if let Asked::Sale { room, request } = asked {
            crate::marks::hit("the backend asks by way of another node");
            return self.sell(&room, &request, done::ticket(by, number));
        }
        if let Some(parted) = self.parted.as_mut() {
            parted.errands.questions.push(Errand { by, number, asked });
        }
    }

    /// A shard of another node has answered.
    pub(in crate::node) fn errand_answered(&mut self, done: Done) {
        let Done { number, answered } = done;
        let Some(parted) = self.parted.as_mut() else { return };
        let errands = &mut parted.errands;
        let Some(open) = errands.open.get_mut(&number) else { return crate::marks::hit("an answer that comes late") };
        if matches!(answered, Answered::NotMine) && open.asked.room().is_some() {
            // It goes on when somebody has the part, or with the next tick.
            open.at = At::Nobody;
        } else {
            errands.end(number, Outcome::Told(answered));
        }
    }

    /// Questions about the part go there now.
    pub(super) fn errands_move(&mut self, part: PartId, to: Option<ShardId>) {
        let Some(parted) = self.parted.as_mut() else { return };
        let spread = parted.link.spread();
        let is_of = |open: &Open| open.asked.room().and_then(|room| spread.part_of(room.as_str())) == Some(part.0);
        parted.errands.come_back(|open, at| Some(at) != to && is_of(open));
    }

    /// What these addresses were asked has no answer.
    pub(super) fn errands_lost(&mut self, from: ShardSet) {
        if let Some(parted) = self.parted.as_mut() {
            parted.errands.come_back(|_, at| from.contains(at));
        }
    }

    /// Sends what can be sent now.
    pub(super) fn pump_errands(&mut self) {
        let (own, now) = (self.id, self.at.now.mono);
        let Some(parted) = self.parted.as_mut().filter(|parted| !parted.errands.open.is_empty()) else { return };
        let waits: Vec<u32> =
            parted.errands.open.iter().filter(|(_, open)| open.at == At::Nobody).map(|(number, _)| *number).collect();
        for number in waits {
            let Some(parted) = self.parted.as_mut() else { return };
            let open = parted.errands.open.get_mut(&number).expect("it was listed");
            let part = open.asked.room().and_then(|room| parted.link.spread().part_of(room.as_str()));
            let Some(part) = part.map(PartId) else { continue };
            match parted.owners[part.index()] {
                Some(owner) if owner == own && parted.link.may_decide(part, now) => {
                    let asked = open.asked.clone();
                    parted.errands.end(number, Outcome::Yours(asked));
                }
                Some(owner) if owner != own => {
                    open.at = At::Shard(owner);
                    let errand = Errand { by: own, number, asked: open.asked.clone() };
                    self.post.letter(owner, Letter::Errand(Box::new(errand)));
                }
                Some(_) | None => {}
            }
        }
    }

    /// Ends what has waited for long enough.
    pub(super) fn end_overdue_errands(&mut self) {
        let now = self.at.now.mono;
        let Some(parted) = self.parted.as_mut() else { return };
        let over: Vec<u32> =
            parted.errands.open.iter().filter(|(_, open)| open.until <= now).map(|(number, _)| *number).collect();
        for number in over {
            crate::marks::hit("a question that nobody answers");
            parted.errands.end(number, Outcome::Nobody);
        }
    }
}
