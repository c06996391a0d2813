//! Streams of Redis between the nodes of a cluster: a stream of mail a node, and the log of all.
//!
//! A reader has a connection of its own, which waits inside Redis; a writer has another. Invariants: as for all
//! connections; ids of one stream only grow as long as the era stays. Never here: what an entry means.

use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};

use super::super::address::Address;
use super::super::answer::{array, event, pairs, text};
use super::super::link::{Link, words};
use super::super::strange;
use super::PartsConfig;
use super::scripts::PartKeys;
use crate::acts::event::Event;
use crate::cluster::names::NodeName;
use crate::limits::cluster::{MAIL_ENTRIES_MAX, MAIL_KEPT_MS, MAIL_PER_READ_MAX, MAIL_WAIT_MS};
use crate::persist::stores::store::StoreError;

/// An entry of the log: its place, and its event; none for a gap.
pub(super) fn log_entry(value: Value) -> Option<(u64, Option<Event>)> {
    let (place, bytes) = event(value)?;
    Some((place, Event::decode(&bytes)))
}

/// One connection for streams.
pub struct Streams {
    address: Address,
    keys: PartKeys,
    link: Option<Link>,
}

/// What a read has brought.
#[derive(Default, Debug)]
pub struct Streamed {
    /// Entries of the own mail: their ids and bytes.
    pub mail: Vec<(String, Vec<u8>)>,
    /// Events of the log, or gaps, with their places.
    pub log: Vec<(u64, Option<Event>)>,
}

impl Streamed {
    /// Whether the mail was read to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.mail.len() < MAIL_PER_READ_MAX
    }
}

impl Streams {
    /// Not connected yet.
    ///
    /// # Errors
    /// One line that says what is wrong with the address, without the password.
    pub fn new(config: &PartsConfig) -> Result<Self, String> {
        let address = Address::new(&config.settings)?;
        Ok(Self { address, keys: PartKeys::new(&config.settings.namespace), link: None })
    }

    fn ask(&mut self, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        let away = |error| StoreError::Away(words(error));
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.address).map_err(away)?,
        };
        let answers = link.call(commands).map_err(|failed| away(failed.error))?;
        self.link = Some(link);
        Ok(answers)
    }

    /// Posts these entries, in order. A stream has a bound: what nobody reads for long is a hole.
    ///
    /// # Errors
    /// Redis is away: any of them may be there or not.
    pub fn post<'a>(&mut self, entries: impl Iterator<Item = (&'a NodeName, &'a Arc<[u8]>)>) -> Result<(), StoreError> {
        let add = |(to, bytes): (&NodeName, &Arc<[u8]>)| {
            let mut made = cmd("XADD");
            made.arg(self.keys.mail(to)).arg("MAXLEN").arg("~").arg(MAIL_ENTRIES_MAX).arg("*").arg("e").arg(&**bytes);
            made
        };
        let commands = entries.map(add).collect();
        self.ask(commands).map(drop)
    }

    /// Waits up to [`MAIL_WAIT_MS`] for entries behind these ids, and returns what is there.
    ///
    /// # Errors
    /// Redis is away.
    pub fn read(&mut self, own: &NodeName, mail_after: &str, log_after: u64) -> Result<Streamed, StoreError> {
        let mail = self.keys.mail(own);
        let mut made = cmd("XREAD");
        made.arg("COUNT").arg(MAIL_PER_READ_MAX).arg("BLOCK").arg(MAIL_WAIT_MS).arg("STREAMS");
        made.arg(&mail).arg(self.keys.log()).arg(mail_after).arg(format!("{log_after}-1"));
        let answer = self.ask(vec![made])?.pop().unwrap_or_default();
        let mut found = Streamed::default();
        if matches!(answer, Value::Nil) {
            return Ok(found);
        }
        for (key, entries) in streams(answer).ok_or_else(strange)? {
            let entries = array(entries).ok_or_else(strange)?.into_iter();
            if key == mail {
                found.mail = entries.map(entry).collect::<Option<_>>().ok_or_else(strange)?;
            } else {
                found.log = entries.map(log_entry).collect::<Option<_>>().ok_or_else(strange)?;
            }
        }
        Ok(found)
    }

    /// What was read of the own mail goes, up to this id; the stream lives on for [`MAIL_KEPT_MS`].
    ///
    /// # Errors
    /// Redis is away.
    pub fn trim(&mut self, own: &NodeName, read: &str) -> Result<(), StoreError> {
        let (mut trim, mut keep) = (cmd("XTRIM"), cmd("PEXPIRE"));
        trim.arg(self.keys.mail(own)).arg("MINID").arg("~").arg(read);
        keep.arg(self.keys.mail(own)).arg(MAIL_KEPT_MS);
        self.ask(vec![trim, keep]).map(drop)
    }

    /// Forgets the mail of earlier lives of this node.
    ///
    /// # Errors
    /// Redis is away.
    pub fn empty(&mut self, own: &NodeName) -> Result<(), StoreError> {
        let mut made = cmd("DEL");
        made.arg(self.keys.mail(own));
        self.ask(vec![made]).map(drop)
    }
}

/// What XREAD answers: streams with their entries, in either protocol.
fn streams(answer: Value) -> Option<Vec<(String, Value)>> {
    if let Value::Map(streams) = answer {
        return streams.into_iter().map(|(key, entries)| Some((text(key)?, entries))).collect();
    }
    let pair = |stream| {
        let mut stream = array(stream)?.into_iter();
        Some((text(stream.next()?)?, stream.next()?))
    };
    array(answer)?.into_iter().map(pair).collect()
}

/// An entry of the mail: its id and its bytes.
fn entry(value: Value) -> Option<(String, Vec<u8>)> {
    let mut entry = array(value)?.into_iter();
    let id = text(entry.next()?)?;
    let (_, bytes) = pairs(entry.next()?)?.into_iter().next()?;
    Some((id, bytes))
}
