//! Redis as the nodes of a cluster share it: parts with a lease each, what is written of them, the log, heartbeats.
//!
//! Invariants: after any error of a connection it is dropped, so a late answer is never taken for that of another call;
//! an unexpected answer is an error; every wait is bounded ([`Link`]). What a call that had no answer has done is not
//! known: it may be made again with another number. Never here: which call comes when; threads; batches of shards.

pub mod mail;
mod scripts;

use std::collections::BTreeMap;

use ::redis::{Cmd, Value};

use self::scripts::{PartKeys, Terms, Written};
use super::address::Address;
use super::answer::{array, number, pairs, text};
use super::link::{Link, words};
use super::scripts::{How, pieces};
use super::{strange, take_in};
use crate::acts::event::{Event, Placed};
use crate::cluster::call::{Answer, Call};
use crate::cluster::names::{Life, NodeName, PartId};
use crate::config::RedisSettings;
use crate::engine::ids::{RoomId, room_hash};
use crate::engine::time::WallMillis;
use crate::limits::store::{REDIS_CALLS_AT_ONCE_MAX, REDIS_KEEP_LASTING_MS, REDIS_KEEP_MS, REDIS_ROOMS_PER_CALL_MAX};
use crate::persist::batch::{Deltas, Logged, RoomDelta};
use crate::persist::stores::store::{Loaded, StoreError};

/// How the cluster uses Redis.
#[derive(Clone)]
pub struct PartsConfig {
    /// Where it is, and under which names to write.
    pub settings: RedisSettings,
    /// How long a hold lives.
    pub hold_ttl_ms: u64,
    /// How long a lease of a part is.
    pub lease_ms: u64,
    /// Most events of the log.
    pub log_events_max: usize,
}

/// What a commit writes.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// Counted under each fence of the part, from 1. One that is committed again keeps its number.
    pub number: u64,
    /// The changes.
    pub deltas: &'a Deltas,
    /// Its events for the log.
    pub logged: &'a Logged,
}

/// A call, and what it writes when it is a commit.
#[derive(Debug)]
pub struct Step<'a> {
    call: &'a Call,
    written: Written<'a>,
}

impl<'a> Step<'a> {
    /// A call that writes nothing.
    #[must_use]
    pub fn plain(call: &'a Call) -> Self {
        Self { call, written: Written::default() }
    }
}

/// The pieces of a share, in order: a call each. All but the last only put beside what a room will be.
#[derive(Debug)]
pub struct Cut<'a>(Vec<Written<'a>>);

impl<'a> Cut<'a> {
    /// Of one share.
    #[must_use]
    pub fn new(share: &Share<'a>) -> Self {
        let mut cut = Vec::new();
        let mut last = Written { pieces: Vec::new(), events: Some((share.number, share.logged)) };
        for (room, delta) in share.deltas {
            for piece in pieces(room, delta) {
                let is_beside = matches!(piece.how, How::ReplacementBegins | How::ReplacementGoesOn);
                if is_beside {
                    cut.push(Written { pieces: vec![piece], events: None });
                } else {
                    last.pieces.push(piece);
                }
            }
        }
        cut.push(last);
        Self(cut)
    }

    /// Calls that it takes; at least one.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.len()
    }

    /// With as many calls.
    pub fn steps(self, calls: &'a [Call]) -> impl Iterator<Item = Step<'a>> {
        assert_eq!(calls.len(), self.0.len(), "a call a piece");
        calls.iter().zip(self.0).map(|(call, written)| Step { call, written })
    }
}

/// What a part had.
#[derive(Default, Debug)]
pub struct LoadedPart {
    /// Its records.
    pub loaded: Loaded,
    /// How many events its rooms have had.
    pub numbers: BTreeMap<RoomId, u64>,
    /// Records that were counted and are not there.
    pub missing: u64,
}

/// What a node finds when it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begun {
    /// It is this life from now on.
    Life(u64),
    /// The namespace has so many parts.
    OtherParts(u64),
    /// A single writer uses the namespace.
    SingleWriter,
}

/// What a read of the log has brought.
#[derive(Default, Debug)]
pub struct LogPage {
    /// Events, or gaps, with their places.
    pub events: Vec<(u64, Option<Event>)>,
    /// The last place that was given.
    pub last: u64,
    /// Whether more may be there.
    pub is_full: bool,
}

impl LogPage {
    /// The events without the gaps.
    pub fn placed(self) -> impl Iterator<Item = Placed> {
        self.events.into_iter().filter_map(|(place, event)| Some((place, event?)))
    }
}

/// A connection to the Redis of a cluster.
pub struct PartStore {
    address: Address,
    keys: PartKeys,
    terms: Terms,
    keep_ms: u64,
    link: Option<Link>,
    /// The era that was heard of last, as Redis says it.
    era: (u64, String),
    /// Parts in which something is kept that does not end by itself.
    lasting: Vec<bool>,
}

impl PartStore {
    /// Not connected yet.
    ///
    /// # Errors
    /// One line that says what is wrong with the address, without the password.
    pub fn new(config: &PartsConfig) -> Result<Self, String> {
        Ok(Self {
            address: Address::new(&config.settings)?,
            keys: PartKeys::new(&config.settings.namespace),
            terms: Terms { lease_ms: config.lease_ms, log_events_max: config.log_events_max },
            keep_ms: config.hold_ttl_ms + REDIS_KEEP_MS,
            link: None,
            era: (0, String::new()),
            lasting: Vec::new(),
        })
    }

    /// Sends commands and returns their answers, or the first error, over a new connection if there is none.
    fn ask(&mut self, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        let expected = commands.len();
        let away = |error| StoreError::Away(words(error));
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.address).map_err(away)?,
        };
        let answers = link.call(commands).map_err(|failed| away(failed.error))?;
        if answers.len() != expected {
            return Err(strange());
        }
        self.link = Some(link);
        Ok(answers)
    }

    /// A new life of this node, when the namespace is one of a cluster with so many parts.
    ///
    /// # Errors
    /// Redis is away.
    pub fn begin(&mut self, parts: u16, now: WallMillis, fresh: u64) -> Result<Begun, StoreError> {
        let single = match self.ask(vec![self.keys.has_single_writer()]) {
            Ok(mut answers) => answers.pop().as_ref().and_then(number).ok_or_else(strange)?,
            // Who may not look finds none.
            Err(StoreError::Away(why)) if why.contains("NOPERM") => 0,
            Err(error) => return Err(error),
        };
        if single > 0 {
            return Ok(Begun::SingleWriter);
        }
        let answer = self.ask(vec![self.keys.begin(parts, now.0, &format!("{fresh:016x}"))])?.pop();
        let found = array(answer.unwrap_or_default()).ok_or_else(strange)?;
        let found: Option<Vec<u64>> = found.into_iter().map(|value| text(value)?.parse().ok()).collect();
        match found.as_deref() {
            Some(&[found, life]) if found == u64::from(parts) && life > 0 => Ok(Begun::Life(life)),
            Some(&[found, _]) => Ok(Begun::OtherParts(found)),
            _ => Err(strange()),
        }
    }

    /// The secret that all nodes share: `fresh` from the first one on.
    ///
    /// # Errors
    /// Redis is away, or holds something else under its name.
    pub fn secret(&mut self, fresh: [u64; 2]) -> Result<[u64; 2], StoreError> {
        let asked = self.keys.secret(&format!("{:016x}{:016x}", fresh[0], fresh[1]));
        let found = self.ask(asked.into())?.pop().and_then(text).ok_or_else(strange)?;
        let half = |at: std::ops::Range<usize>| found.get(at).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let halves = half(0..16).zip(half(16..32)).filter(|_| found.len() == 32);
        halves.map(|(first, second)| [first, second]).ok_or_else(strange)
    }

    /// Says this of this node, and hears what all nodes last said, and the era.
    ///
    /// # Errors
    /// Redis is away.
    pub fn beat(
        &mut self,
        life: &Life,
        number: u64,
        says: &[u8],
        fresh: u64,
    ) -> Result<(Vec<Vec<u8>>, u64), StoreError> {
        let asked = self.keys.beat(life, number, says, &format!("{fresh:016x}"));
        let answer = self.ask(vec![asked])?.pop().unwrap_or_default();
        let mut answer = array(answer).ok_or_else(strange)?.into_iter();
        let (era, said) = (answer.next().and_then(text), answer.next().and_then(array));
        let era = self.note_era(era.ok_or_else(strange)?);
        let behind_numbers = |value| {
            let Value::BulkString(bytes) = value else { return None };
            let mut spaces = bytes.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(at, _)| at);
            let at = spaces.nth(1)?;
            Some(bytes[at + 1..].to_vec())
        };
        Ok((said.ok_or_else(strange)?.into_iter().filter_map(behind_numbers).collect(), era))
    }

    /// This life is over: nobody is told of it any more.
    ///
    /// # Errors
    /// Redis is away.
    pub fn leave(&mut self, life: &Life) -> Result<(), StoreError> {
        self.ask(vec![self.keys.leave(life)]).map(drop)
    }

    fn note_era(&mut self, said: String) -> u64 {
        if self.era.1 != said {
            self.era = (room_hash(&said), said);
        }
        self.era.0
    }

    /// Makes these calls, in order, and says what Redis answers to each.
    ///
    /// # Errors
    /// Redis is away: any of them may be done or not.
    pub fn calls(&mut self, steps: &[Step<'_>]) -> Result<Vec<Answer>, StoreError> {
        let mut answers = Vec::with_capacity(steps.len());
        for steps in steps.chunks(REDIS_CALLS_AT_ONCE_MAX) {
            let commands = steps.iter().map(|step| self.command(step)).collect();
            for answer in self.ask(commands)? {
                answers.push(self.answer(answer).ok_or_else(strange)?);
            }
        }
        Ok(answers)
    }

    fn command(&self, step: &Step<'_>) -> Cmd {
        let era = match step.call.era {
            None => "",
            Some(era) if era == self.era.0 => &self.era.1,
            Some(_) => "another one",
        };
        let is_lasting = self.lasting.get(step.call.part.index()).is_some_and(|is_lasting| *is_lasting);
        let keep_ms = if is_lasting { REDIS_KEEP_LASTING_MS } else { self.keep_ms };
        self.keys.call(step.call, era, &self.terms, keep_ms, &step.written)
    }

    fn answer(&mut self, said: Value) -> Option<Answer> {
        let mut said = array(said)?.into_iter().map(text);
        let mut next = || said.next().flatten();
        let answer = match next()?.as_str() {
            "GRANTED" => Answer::Granted { fence: next()?.parse().ok()? },
            "LOST" => Answer::Lost { fence: next()?.parse().ok()? },
            "STALE" => Answer::Stale,
            "TAKEN" => {
                let (node, incarnation) = (next()?, next()?.parse().ok()?);
                let by = NodeName::new(&node).map(|node| Life { node, incarnation });
                Answer::Taken { by, fence: next()?.parse().ok()? }
            }
            "ERA" => Answer::NewEra { era: self.note_era(next()?) },
            _ => return None,
        };
        Some(answer)
    }

    /// From now on this part keeps for long what it has: something in it does not end by itself.
    pub fn note_lasting(&mut self, part: PartId, deltas: &Deltas) {
        if deltas.values().any(RoomDelta::is_lasting) {
            self.set_lasting(part, true);
        }
    }

    fn set_lasting(&mut self, part: PartId, is_lasting: bool) {
        if self.lasting.len() <= part.index() {
            self.lasting.resize(part.index() + 1, false);
        }
        self.lasting[part.index()] = is_lasting;
    }

    /// The rooms of which a part has something.
    ///
    /// # Errors
    /// Redis is away.
    pub fn rooms(&mut self, part: PartId) -> Result<Vec<RoomId>, StoreError> {
        let answer = self.ask(vec![self.keys.rooms(part)])?.pop().unwrap_or_default();
        room_names(answer).ok_or_else(strange)
    }

    /// All that these parts have. To be asked for by who has taken them.
    ///
    /// # Errors
    /// Redis is away.
    pub fn load(&mut self, parts: &[PartId], now: WallMillis) -> Result<Vec<LoadedPart>, StoreError> {
        let asked = parts.iter().flat_map(|part| self.keys.look(*part)).collect();
        let mut answers = self.ask(asked)?.into_iter();
        let (mut loaded, mut rooms) = (Vec::new(), Vec::new());
        for index in 0..parts.len() {
            let mut next = || answers.next().unwrap_or_default();
            let (names, counts, numbers) = (next(), next(), next());
            let counts: BTreeMap<RoomId, (u64, u64)> = by_room(counts, count).ok_or_else(strange)?;
            let mut names = room_names(names).ok_or_else(strange)?;
            names.extend(counts.keys().cloned());
            names.sort_unstable();
            names.dedup();
            rooms.extend(names.into_iter().map(|room| (index, counts.get(&room).copied(), room)));
            let numbers = by_room(numbers, |text| text.parse().ok()).ok_or_else(strange)?;
            loaded.push(LoadedPart { numbers, ..LoadedPart::default() });
        }
        for rooms in rooms.chunks(REDIS_ROOMS_PER_CALL_MAX) {
            let asked = rooms.iter().map(|(index, _, room)| self.keys.room(parts[*index], room)).collect();
            for ((index, count, room), answer) in rooms.iter().zip(self.ask(asked)?) {
                let fields = pairs(answer).ok_or_else(strange)?;
                let of = &mut loaded[*index];
                // What can have expired by itself is not missed.
                let counted =
                    count.filter(|(_, until)| *until > now.after(REDIS_KEEP_MS).0).map_or(0, |(held, _)| held);
                of.missing += counted.saturating_sub(fields.len() as u64);
                fields.into_iter().for_each(|(name, bytes)| take_in(room, &name, &bytes, &mut of.loaded));
            }
        }
        for (part, of) in parts.iter().zip(&loaded) {
            self.set_lasting(*part, of.loaded.is_lasting());
        }
        Ok(loaded)
    }

    /// The first events of the log behind a place.
    ///
    /// # Errors
    /// Redis is away.
    pub fn log_behind(&mut self, place: u64) -> Result<LogPage, StoreError> {
        let mut answers = self.ask(self.keys.log_behind(place).into())?.into_iter();
        let last = answers.next().and_then(text).and_then(|text| text.parse().ok()).unwrap_or_default();
        let entries = array(answers.next().unwrap_or_default()).ok_or_else(strange)?;
        let is_full = entries.len() == crate::limits::acts::REDIS_LOG_PER_CALL_MAX;
        let events: Option<Vec<_>> = entries.into_iter().map(mail::log_entry).collect();
        Ok(LogPage { events: events.ok_or_else(strange)?, last, is_full })
    }
}

fn room_names(answer: Value) -> Option<Vec<RoomId>> {
    Some(array(answer)?.into_iter().filter_map(|name| RoomId::new(&text(name)?)).collect())
}

/// The fields of a hash whose names are rooms; what is none is left out.
fn by_room<T>(answer: Value, read: impl Fn(&str) -> Option<T>) -> Option<BTreeMap<RoomId, T>> {
    let field = |(room, value): (Vec<u8>, Vec<u8>)| {
        let room = RoomId::new(str::from_utf8(&room).ok()?)?;
        Some((room, read(str::from_utf8(&value).ok()?)?))
    };
    Some(pairs(answer)?.into_iter().filter_map(field).collect())
}

/// As the script writes it: the number of records, and until when the room is kept.
fn count(text: &str) -> Option<(u64, u64)> {
    let (held, until) = text.split_once(' ')?;
    Some((held.parse().ok()?, until.parse().ok()?))
}
