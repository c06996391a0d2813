//! Commands to other nodes: each is done once, and answered until its asker has the answer.
//!
//! Commands are numbered by connection and part. The asker keeps what has no answer and sends it again, in order; the
//! owner keeps what it did, and commits that with the part. Each command says which one has to be done before it. Those
//! in between have their answers, even if a Redis that lost its last second knows nothing of them. Invariants: a
//! connection's commands to a part are done in order, each once.
//! Never here: what a command is.

use std::collections::{BTreeMap, VecDeque};

use super::names::{Life, PartId};
use crate::engine::time::Millis;
use crate::limits::cluster::{COMMAND_AGAIN_MS, COMMANDS_UNANSWERED_MAX};
use crate::planted::{self, Bug};

/// A command on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// The part that it is about.
    pub part: PartId,
    /// The connection, a number within the life of its node.
    pub conn: u64,
    /// Its number, from 1.
    pub number: u64,
    /// The oldest one without an answer: answers to older ones may be forgotten.
    pub oldest: u64,
    /// The one without an answer just before this one: it has to be done first. 0: there is none.
    pub before: u64,
    /// What is wanted.
    pub wanted: Vec<u8>,
}

#[derive(Debug, Default)]
struct Asking {
    last: u64,
    waiting: VecDeque<(u64, Vec<u8>)>,
    sent_at: Millis,
}

/// What the connections of this node have asked of others.
#[derive(Debug, Default)]
pub struct Asked {
    lanes: BTreeMap<(PartId, u64), Asking>,
}

impl Asked {
    /// A command of a connection. `None`: it has too many without an answer.
    pub fn ask(&mut self, now: Millis, part: PartId, conn: u64, wanted: Vec<u8>) -> Option<Command> {
        let lane = self.lanes.entry((part, conn)).or_default();
        if lane.waiting.len() >= COMMANDS_UNANSWERED_MAX {
            return None;
        }
        lane.last += 1;
        lane.sent_at = now;
        lane.waiting.push_back((lane.last, wanted.clone()));
        let oldest = lane.waiting.front().map_or(lane.last, |(number, _)| *number);
        let before = lane.waiting.iter().rev().nth(1).map_or(0, |(number, _)| *number);
        Some(Command { part, conn, number: lane.last, oldest, before, wanted })
    }

    /// An answer came. Whether it is the first one to this command: others are to be dropped.
    pub fn answered(&mut self, part: PartId, conn: u64, number: u64) -> bool {
        let Some(lane) = self.lanes.get_mut(&(part, conn)) else { return false };
        let at = lane.waiting.iter().position(|(of, _)| *of == number);
        at.is_some_and(|at| lane.waiting.remove(at).is_some())
    }

    /// The connection has ended.
    pub fn gone(&mut self, conn: u64) {
        self.lanes.retain(|(_, of), _| *of != conn);
    }

    /// What has no answer of the parts for which `is_due` says so, or for too long: to be sent again, in this order.
    pub fn again(&mut self, now: Millis, is_due: impl Fn(PartId) -> bool) -> Vec<Command> {
        if planted::has(Bug::NotSentAgain) {
            return Vec::new();
        }
        let mut again = Vec::new();
        for ((part, conn), lane) in &mut self.lanes {
            let Some(&(oldest, _)) = lane.waiting.front() else { continue };
            if !is_due(*part) && now.since(lane.sent_at) < COMMAND_AGAIN_MS {
                continue;
            }
            crate::marks::hit("a command is sent again");
            lane.sent_at = now;
            let mut before = 0;
            for (number, wanted) in &lane.waiting {
                let (part, conn, number, wanted) = (*part, *conn, *number, wanted.clone());
                again.push(Command { part, conn, number, oldest, before, wanted });
                before = number;
            }
        }
        again
    }

    /// Commands without an answer.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len()).sum()
    }
}

/// What an owner does with a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is new.
    Do,
    /// It was done; this was the answer.
    Again(Vec<u8>),
    /// It was done and its answer has arrived, or one before it is missing: the asker sends what it still wants.
    Ignore,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Doing {
    last: u64,
    answers: VecDeque<(u64, Vec<u8>)>,
}

/// What was done of one part, by asker. It is committed with the part and read with it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Done {
    askers: BTreeMap<(Life, u64), Doing>,
}

impl Done {
    /// What to do with a command of this node.
    pub fn meet(&mut self, from: &Life, command: &Command) -> Verdict {
        let doing = self.askers.entry((from.clone(), command.conn)).or_default();
        doing.answers.retain(|(number, _)| *number >= command.oldest);
        if command.number > doing.last && command.before <= doing.last || planted::has(Bug::DoneTwice) {
            return Verdict::Do;
        }
        if planted::has(Bug::NotAnsweredAgain) {
            return Verdict::Ignore;
        }
        let answer = doing.answers.iter().find(|(number, _)| *number == command.number);
        answer.map_or(Verdict::Ignore, |(_, answer)| {
            crate::marks::hit("a command is answered again");
            Verdict::Again(answer.clone())
        })
    }

    /// A command was done, with this answer.
    pub fn did(&mut self, from: &Life, command: &Command, answer: Vec<u8>) {
        let doing = self.askers.entry((from.clone(), command.conn)).or_default();
        doing.last = doing.last.max(command.number);
        // An honest asker has no more without an answer.
        if doing.answers.len() >= COMMANDS_UNANSWERED_MAX {
            doing.answers.pop_front();
        }
        doing.answers.push_back((command.number, answer));
    }

    /// A connection has ended, or the whole life when none is named.
    pub fn gone(&mut self, life: &Life, conn: Option<u64>) {
        self.askers.retain(|(of, number), _| of != life || conn.is_some_and(|conn| conn != *number));
    }
}
