//! Layouts that the backend has put, kept in Redis: whoever serves this namespace next has them, on whichever machine.
//!
//! The keys: `{ns:lease}:layouts` a hash, a field a version (`VERSION:NAME`) with its document;
//! `{ns:lease}:layout_order` the same fields in the order in which they were put, and a field without a version for a
//! name that was deleted. A version never changes, so a call that is made again, or comes late, does no harm.
//! Invariants: a connection of its own, so that a large layout never stands in the way of seats; what is answered is in
//! Redis. Never here: what a layout means; which rooms have it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::redis::{Cmd, Value};

use crate::config::RedisSettings;
use crate::persist::stores::shelf::{Found, Keeper};
use crate::persist::stores::store::StoreError;

use super::address::Address;
use super::answer::{array, bytes, text};
use super::link::{Link, words};
use super::scripts::Keys;

/// The layouts of one namespace.
pub struct RedisShelf {
    address: Address,
    keys: Keys,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    /// What is there, as far as this process knows.
    known: BTreeSet<String>,
}

impl fmt::Debug for RedisShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisShelf").finish_non_exhaustive()
    }
}

impl RedisShelf {
    /// The layouts of the namespace that the settings name. Nothing is asked yet.
    ///
    /// # Errors
    /// One line: the address cannot be used.
    pub fn new(settings: &RedisSettings) -> Result<Self, String> {
        let address = Address::new(settings)?;
        Ok(Self { address, keys: Keys::new(&settings.namespace), state: Mutex::default() })
    }

    /// All that is there, the latest last.
    ///
    /// # Errors
    /// Redis is away, or has something else under these names.
    pub fn read(&self) -> Result<Vec<Found>, StoreError> {
        let mut state = self.state();
        let fields = array(self.call(&mut state, self.keys.layout_order())?).ok_or_else(strange)?;
        let (mut found, mut known) = (Vec::with_capacity(fields.len()), BTreeSet::new());
        for field in fields {
            let field = text(field).ok_or_else(strange)?;
            let Some((_, name)) = field.split_once(':') else { continue };
            // One a call: a document has megabytes.
            if let Some(document) = bytes(self.call(&mut state, self.keys.layout(&field))?) {
                found.push((name.to_owned(), document));
                known.insert(field);
            }
        }
        state.known = known;
        Ok(found)
    }

    /// The fields of what is there, the latest last, and of the names that were deleted (`:NAME`).
    ///
    /// # Errors
    /// Redis is away, or has something else under this name.
    pub fn order(&self) -> Result<Vec<String>, StoreError> {
        let mut state = self.state();
        let fields = array(self.call_anew(&mut state, &self.keys.layout_order())?).ok_or_else(strange)?;
        fields.into_iter().map(|field| text(field).ok_or_else(strange)).collect()
    }

    /// The document of one that [`Self::order`] has named; nothing if it has gone meanwhile.
    ///
    /// # Errors
    /// Redis is away.
    pub fn document(&self, field: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut state = self.state();
        let document = bytes(self.call(&mut state, self.keys.layout(field))?);
        if document.is_some() {
            state.known.insert(field.to_owned());
        }
        Ok(document)
    }

    /// Writes what was there anew, when Redis has lost it. `all`: name, version and document, the latest of a name
    /// last.
    ///
    /// # Errors
    /// Redis is away.
    pub fn rewrite<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str, &'a [u8])>) -> Result<(), StoreError> {
        let mut state = self.state();
        for (name, version, document) in all {
            let field = field(name, version);
            if state.known.contains(&field) {
                self.call(&mut state, self.keys.put_layout(&field, document))?;
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Who panicked with the lock has left no connection behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call, over a new connection if there is none. After an error there is none.
    fn call(&self, state: &mut State, command: Cmd) -> Result<Value, StoreError> {
        let away = |error| StoreError::Away(words(error));
        let mut link = match state.link.take() {
            Some(link) => link,
            None => Link::open(&self.address).map_err(away)?,
        };
        let answer = link.call(vec![command]).map_err(|failed| away(failed.error))?.pop();
        state.link = Some(link);
        answer.ok_or_else(strange)
    }

    /// One call. A connection that has stood still may have been closed meanwhile: then another one is made.
    fn call_anew(&self, state: &mut State, command: &Cmd) -> Result<Value, StoreError> {
        let had_link = state.link.is_some();
        let answer = self.call(state, command.clone());
        if had_link && answer.is_err() { self.call(state, command.clone()) } else { answer }
    }

    fn change(&self, state: &mut State, command: &Cmd) -> Result<(), String> {
        let answer = self.call_anew(state, command).map_err(|error| error.to_string())?;
        if text(answer).as_deref() == Some("OK") { Ok(()) } else { Err(strange().to_string()) }
    }
}

impl Keeper for RedisShelf {
    fn put(&self, name: &str, version: &str, document: &[u8]) -> Result<(), String> {
        let (mut state, field) = (self.state(), field(name, version));
        self.change(&mut state, &self.keys.put_layout(&field, document))?;
        state.known.insert(field);
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        let mut state = self.state();
        self.change(&mut state, &self.keys.delete_layout(name))?;
        state.known.retain(|field| field.split_once(':').is_none_or(|(_, of)| of != name));
        Ok(())
    }
}

/// A version is a hash: it has no colon.
fn field(name: &str, version: &str) -> String {
    format!("{version}:{name}")
}

fn strange() -> StoreError {
    StoreError::Away("Redis gave an answer that does not belong to the question".into())
}
