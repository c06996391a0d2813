//! Redis as a store: one writer, fenced; a hash a room; every key expires by itself.
//!
//! The writer holds a lease with a token that only grows. At its start it claims every part of the key space with the
//! token; each later call checks the part's fence inside Redis, so a deposed writer can change nothing. Calls are
//! numbered, and the fence knows the last one. So a Redis that was emptied, or a copy that lagged behind when it took
//! over, is recognised, and a call that was given up and reaches Redis late changes nothing. Invariants: after any
//! error the connection is dropped, so a late answer is never taken for that of another call; an unexpected answer is
//! an error. Every key expires [`REDIS_KEEP_MS`] and a hold's life after it was last written. Never here: threads,
//! batches of shards.

mod address;
mod answer;
mod compat;
pub mod layouts;
mod link;
pub mod owner;
pub mod parts;
mod scripts;
mod survey;

use std::collections::BTreeSet;
use std::sync::Arc;

use ::redis::{Cmd, Value};

use crate::acts::chapter;
use crate::config::RedisSettings;
use crate::engine::ids::RoomId;
use crate::engine::time::WallMillis;
use crate::limits::acts::REDIS_CHAPTERS_PER_CALL_MAX;
use crate::limits::store::{
    REDIS_CALLS_AT_ONCE_MAX, REDIS_KEEP_LASTING_MS, REDIS_KEEP_MS, REDIS_PARTS, REDIS_ROOMS_PER_CALL_MAX,
};
use crate::persist::batch::{Deltas, RoomDelta};

use self::address::Address;
use self::answer::{array, number, pairs, text};
use self::link::{CallError, Link, words};
use self::scripts::{Keys, Share, Step, Writer, cut};
use self::survey::Survey;
use super::identity::Identity;
use super::store::{Continuity, Loaded, LogShare, Store, StoreError, Taken};

/// How Redis is reached and used.
#[derive(Clone)]
pub struct RedisConfig {
    /// Where it is, and under which names to write.
    pub settings: RedisSettings,
    /// How long a hold lives.
    pub hold_ttl_ms: u64,
    /// Whether the server begins with what is left when something is missing.
    pub accepts_loss: bool,
}

impl RedisConfig {
    /// Whether the address can be used at all.
    ///
    /// # Errors
    /// One line that says what is wrong with it, without the password.
    pub fn check(&self) -> Result<(), String> {
        Address::new(&self.settings).map(drop)
    }
}

/// Redis with this server as its writer.
pub struct RedisStore {
    config: RedisConfig,
    address: Address,
    keys: Keys,
    /// Kept for as long as this is the writer: whoever can lock its file may take the lease over.
    identity: Arc<Identity>,
    about: String,
    token: String,
    link: Option<Link>,
    /// How many numbers calls have got. One that is tried again gets a new one.
    numbered: u64,
    /// The last call to each part that was answered.
    last: [u64; REDIS_PARTS],
    /// Whether a loss was heard of and not yet passed on.
    is_lost: bool,
    /// When all fences are to be looked at again; at once after a new connection.
    next_look: WallMillis,
    /// When it was opened.
    opened: WallMillis,
    /// What the start has found, until it has read everything.
    survey: Survey,
    /// Whether something is kept that does not end by itself: then no key does for a long time.
    is_lasting: bool,
}

impl RedisStore {
    /// Connects and becomes the writer. `about` are words about this server for the operator of another one.
    ///
    /// # Errors
    /// When Redis is away, or another server is the writer.
    pub fn open(
        config: &RedisConfig,
        identity: &Arc<Identity>,
        about: &str,
        now: WallMillis,
    ) -> Result<Self, StoreError> {
        let address = Address::new(&config.settings).map_err(StoreError::Away)?;
        let mut store = Self {
            config: config.clone(),
            address,
            keys: Keys::new(&config.settings.namespace),
            identity: Arc::clone(identity),
            about: about.to_owned(),
            token: String::new(),
            link: None,
            numbered: 0,
            last: [0; REDIS_PARTS],
            is_lost: false,
            next_look: WallMillis::default(),
            opened: now,
            survey: Survey::default(),
            is_lasting: false,
        };
        store.acquire(now)?;
        Ok(store)
    }

    fn acquire(&mut self, now: WallMillis) -> Result<(), StoreError> {
        let call = self.keys.acquire(&self.writer(), now);
        let answer = self.call(vec![call])?.pop();
        let mut words = array(answer.unwrap_or_default()).ok_or_else(strange)?.into_iter();
        let mut next = || words.next().and_then(text);
        match (next().as_deref(), next()) {
            (Some("1"), Some(token)) => self.token = token,
            (Some("0"), Some(holder)) => {
                let left_ms = words.next().as_ref().and_then(number).unwrap_or_default();
                let (namespace, left_s) = (&self.config.settings.namespace, left_ms / 1_000 + 1);
                let text = format!(
                    "another server ({holder}) is the writer of the Redis namespace \"{namespace}\"; \
                     its lease ends in {left_s} s unless it is renewed"
                );
                return Err(StoreError::Taken(Taken { text, lease_ms: Some(left_ms) }));
            }
            _ => return Err(strange()),
        }
        self.refuse_nodes()?;
        self.look_around()?;
        let claims = (0..REDIS_PARTS).map(|part| self.keys.claim(&self.writer(), part)).collect();
        let answers = self.call(claims)?;
        self.judge(answers.into_iter()).map(drop)
    }

    /// Several nodes share this namespace: what they have is not this server's. Who may not look finds none.
    fn refuse_nodes(&mut self) -> Result<(), StoreError> {
        let found = self.call(vec![self.keys.has_nodes()]).ok().and_then(|mut answers| number(&answers.pop()?));
        if found.is_none_or(|found| found == 0) {
            return Ok(());
        }
        self.close();
        let namespace = &self.config.settings.namespace;
        let text = format!("the Redis namespace \"{namespace}\" is one of several nodes: CLUSTER=1 joins them");
        Err(StoreError::Taken(Taken { text, lease_ms: None }))
    }

    /// The secret that all servers with this namespace share: `fresh` from the first one on.
    ///
    /// # Errors
    /// Redis is away, or holds something else under its name.
    pub fn secret(&mut self, fresh: [u64; 2]) -> Result<[u64; 2], StoreError> {
        let digits = |half: u64| format!("{half:016x}");
        let asked = self.keys.secret(&(digits(fresh[0]) + &digits(fresh[1])));
        let found = self.call(asked.into())?.pop().and_then(text).ok_or_else(strange)?;
        let half = |at: std::ops::Range<usize>| found.get(at).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let halves = half(0..16).zip(half(16..32)).filter(|_| found.len() == 32);
        halves.map(|(first, second)| [first, second]).ok_or_else(strange)
    }

    /// Looks what is there before anything is changed. A part that is gone stays seen until the loss is accepted.
    fn look_around(&mut self) -> Result<(), StoreError> {
        let asked = (0..REDIS_PARTS).flat_map(|part| self.keys.survey(part)).collect();
        let mut answers = self.call(asked)?.into_iter();
        self.survey = Survey::default();
        for _ in 0..REDIS_PARTS {
            let mut next = || answers.next().unwrap_or_default();
            let (fence, left, counts) = (next(), next(), next());
            self.survey.add(fence, &left, counts).ok_or_else(strange)?;
        }
        debug_assert!(answers.next().is_none(), "each answer belongs to a part");
        let damage = self.survey.damage(&self.config.settings.namespace, 0).filter(|_| !self.config.accepts_loss);
        damage.map_or(Ok(()), |damage| {
            self.close();
            Err(StoreError::Damaged(damage))
        })
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            token: &self.token,
            owner: self.identity.name(),
            about: &self.about,
            lease_ms: self.config.settings.lease_ms,
            keep_ms: if self.is_lasting { REDIS_KEEP_LASTING_MS } else { self.config.hold_ttl_ms + REDIS_KEEP_MS },
        }
    }

    /// Sends the commands, over a new connection if there is none.
    fn call(&mut self, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        let expected = commands.len();
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                self.next_look = WallMillis::default();
                Link::open(&self.address).map_err(|error| StoreError::Away(words(error)))?
            }
        };
        let answers = link.call(commands).map_err(|failed| self.away(failed))?;
        if answers.len() != expected {
            return Err(strange());
        }
        self.link = Some(link);
        Ok(answers)
    }

    /// In words, and with the key that is in our way if there is one: somebody else's, which is never overwritten.
    fn away(&self, failed: CallError) -> StoreError {
        let CallError { error, mistyped } = failed;
        let said = words(error);
        let ask = |key: &String| ::redis::cmd("TYPE").arg(key).take();
        let types = Link::open(&self.address).map_err(CallError::from);
        let types = types.and_then(|mut link| link.call(mistyped.iter().map(ask).collect()));
        let found = types.unwrap_or_default().into_iter().map(|kind| text(kind).unwrap_or_default());
        let wrong = mistyped.iter().zip(found).find(|(key, kind)| !Keys::is_type(key, kind));
        StoreError::Away(match wrong {
            Some((key, kind)) => format!("{said}: the key {key} is a {kind} of somebody else"),
            None => said,
        })
    }

    /// What the answers of several claims or commits mean together.
    fn judge(&mut self, answers: impl Iterator<Item = Value>) -> Result<Continuity, StoreError> {
        let mut continuity = Continuity::Kept;
        for answer in answers {
            match text(answer).as_deref() {
                Some("OK") => {}
                Some("LOST") => continuity = Continuity::Lost,
                // `STALE` is among what cannot be: it goes to a call that somebody gave up.
                Some("DEPOSED") => {
                    let namespace = &self.config.settings.namespace;
                    return Err(StoreError::Deposed(format!("the Redis namespace \"{namespace}\" has another writer")));
                }
                _ => {
                    self.link = None;
                    return Err(strange());
                }
            }
        }
        Ok(continuity)
    }

    /// Commits these shares of parts, at most [`REDIS_CALLS_AT_ONCE_MAX`]. A part's fence goes to the number of its
    /// last call.
    fn commit_shares(&mut self, shares: &[(usize, Share<'_>)], now: WallMillis) -> Result<(), StoreError> {
        assert!(shares.len() <= REDIS_CALLS_AT_ONCE_MAX, "no more calls than answers are read for");
        let mut steps = Vec::with_capacity(shares.len());
        for (part, _) in shares {
            let part = *part;
            self.numbered += 1;
            assert!(self.numbered > self.last[part], "a part's calls are numbered upwards");
            steps.push(Step { part, last: self.last[part], this: self.numbered, now });
        }
        let commit = |(step, (_, share)): (&Step, &(usize, Share<'_>))| self.keys.commit(&self.writer(), *step, share);
        let commands = steps.iter().zip(shares).map(commit).collect();
        let answers = self.call(commands)?;
        self.is_lost |= self.judge(answers.into_iter())? == Continuity::Lost;
        steps.iter().for_each(|step| self.last[step.part] = step.this);
        Ok(())
    }

    /// What the calls that have all succeeded now mean together, those of earlier attempts included.
    fn continuity(&mut self) -> Continuity {
        if std::mem::take(&mut self.is_lost) { Continuity::Lost } else { Continuity::Kept }
    }

    /// Looks at every fence: whether this is still the writer, and everything still there.
    fn look(&mut self, now: WallMillis) -> Result<Continuity, StoreError> {
        let nothing: Vec<_> = (0..REDIS_PARTS).map(|part| (part, Share::default())).collect();
        self.commit_shares(&nothing, now)?;
        self.next_look = now.after(REDIS_KEEP_MS / 4);
        Ok(self.continuity())
    }

    /// Reads the events of all parts. What one part still has and was trimmed in others is no log any more.
    fn read_log(&mut self, loaded: &mut Loaded) -> Result<(), StoreError> {
        let asked = (0..REDIS_PARTS).map(|part| self.keys.log_gone(part)).collect();
        let gone = self.call(asked)?.into_iter().filter_map(|place| text(place)?.parse().ok());
        let gone: u64 = gone.max().unwrap_or_default();
        let mut open: Vec<(usize, u64)> = (0..REDIS_PARTS).map(|part| (part, 0)).collect();
        while !open.is_empty() {
            let asked = open.iter().map(|&(part, behind)| self.keys.log(part, behind)).collect();
            let answers = self.call(asked)?;
            let mut further = Vec::new();
            for ((part, _), answer) in open.into_iter().zip(answers) {
                let entries = array(answer).ok_or_else(strange)?;
                let count = entries.len();
                let mut last = None;
                for entry in entries {
                    let (place, events) = answer::event(entry).ok_or_else(strange)?;
                    last = Some(place);
                    loaded.log.extend(chapter::read(place, &events).into_iter().filter(|(place, _)| *place > gone));
                }
                further.extend(last.filter(|_| count == REDIS_CHAPTERS_PER_CALL_MAX).map(|last| (part, last)));
            }
            open = further;
        }
        Ok(())
    }

    fn write_compat(&mut self, deltas: &Deltas, now: WallMillis) -> Result<(), StoreError> {
        let mut commands = compat::commands(deltas, now);
        while !commands.is_empty() {
            let rest = commands.split_off(commands.len().min(REDIS_CALLS_AT_ONCE_MAX * 4));
            self.call(std::mem::replace(&mut commands, rest))?;
        }
        Ok(())
    }
}

impl Store for RedisStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        let mut survey = std::mem::take(&mut self.survey);
        let mut rooms: BTreeSet<RoomId> = self.rooms()?.into_iter().collect();
        rooms.extend(survey.rooms().cloned());
        let rooms: Vec<RoomId> = rooms.into_iter().collect();
        let mut miscounted = Deltas::new();
        for rooms in rooms.chunks(REDIS_ROOMS_PER_CALL_MAX) {
            let asked = rooms.iter().map(|room| self.keys.seats(room)).collect();
            for (room, answer) in rooms.iter().zip(self.call(asked)?) {
                let fields = pairs(answer).ok_or_else(strange)?;
                if survey.found(room, fields.len() as u64, self.opened) {
                    miscounted.insert(room.clone(), RoomDelta::default());
                }
                fields.into_iter().for_each(|(seat, bytes)| take_in(room, &seat, &bytes, &mut loaded));
            }
        }
        self.read_log(&mut loaded)?;
        self.is_lasting |= loaded.is_lasting();
        loaded.damage = survey.damage(&self.config.settings.namespace, loaded.unreadable.len());
        // What a later server wrote is said by the one who reads it.
        let is_readable = loaded.newer == 0;
        if let Some(damage) = loaded.damage.take_if(|_| is_readable && !self.config.accepts_loss) {
            self.close();
            return Err(StoreError::Damaged(damage));
        }
        // These rooms are counted again.
        if !miscounted.is_empty() {
            self.is_lost |= self.commit(&miscounted, self.opened)? == Continuity::Lost;
        }
        Ok(loaded)
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        let asked = (0..REDIS_PARTS).map(|part| self.keys.rooms(part)).collect();
        let mut rooms = Vec::new();
        for answer in self.call(asked)? {
            let names = array(answer).ok_or_else(strange)?;
            rooms.extend(names.into_iter().filter_map(|name| RoomId::new(&text(name)?)));
        }
        Ok(rooms)
    }

    fn commit_logged(&mut self, deltas: &Deltas, log: LogShare<'_>, now: WallMillis) -> Result<Continuity, StoreError> {
        self.is_lasting |= deltas.values().any(RoomDelta::is_lasting);
        for shares in cut(deltas, log).chunks(REDIS_CALLS_AT_ONCE_MAX) {
            self.commit_shares(shares, now)?;
        }
        if self.config.settings.compat_keys {
            self.write_compat(deltas, now)?;
        }
        Ok(self.continuity())
    }

    fn renew(&mut self, now: WallMillis) -> Result<Continuity, StoreError> {
        let call = self.keys.renew(&self.writer());
        let answer = self.call(vec![call])?.pop().and_then(text).ok_or_else(strange)?;
        match answer.as_str() {
            "OK" => {}
            "LOST" => self.next_look = WallMillis::default(),
            holder => {
                let namespace = &self.config.settings.namespace;
                return Err(StoreError::Deposed(format!(
                    "the Redis namespace \"{namespace}\" has another writer ({holder})"
                )));
            }
        }
        if now >= self.next_look { self.look(now) } else { Ok(Continuity::Kept) }
    }

    fn lease_ms(&self) -> u64 {
        self.config.settings.lease_ms
    }

    fn close(&mut self) {
        let call = self.keys.release(&self.writer());
        if let Err(error) = self.call(vec![call]) {
            tracing::warn!("the lease in Redis was not given back, it ends by itself: {error}");
        }
    }
}

fn take_in(room: &RoomId, name: &[u8], bytes: &[u8], loaded: &mut Loaded) {
    match std::str::from_utf8(name) {
        Ok(name) => loaded.take_in(room, name, bytes),
        Err(_) => loaded.skipped += 1,
    }
}

fn strange() -> StoreError {
    StoreError::Away("Redis gave an answer that does not belong to the question".into())
}
