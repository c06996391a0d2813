//! What the store thread needs of a store. Two are real: Redis and the embedded one.
//!
//! Invariants: a commit that returned an error may have happened, wholly or in part, and may be repeated: it says what
//! is, not what to add. Never here: threads, batches of shards.

use std::fmt;

use crate::acts::event::Placed;
use crate::engine::command::KeptEntry;
use crate::engine::ids::{RoomId, SeatId};
use crate::engine::time::WallMillis;

use crate::persist::batch::Deltas;
use crate::persist::record::{self, StoredBeside, StoredHold, Unusable, beside};

/// Why a store did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreError {
    /// It does not answer, or refuses for now. Trying again may help.
    Away(String),
    /// Another server is the writer: at a start, so that this one must not start.
    Taken(Taken),
    /// Another server has become the writer: this one must grant nothing more.
    Deposed(String),
    /// At a start: something that was committed is missing, and nobody has said that it may be. Nothing was changed.
    Damaged(Damage),
}

/// Who is in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// One line for the operator.
    pub text: String,
    /// How long the other one's lease lasts unless it is renewed; `None` when it certainly lives.
    pub lease_ms: Option<u64>,
}

/// What a store has lost while no server looked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Holds that are missing, at least.
    pub missing: u64,
    /// One line for the operator.
    pub text: String,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(text) | Self::Deposed(text) | Self::Taken(Taken { text, .. }) => f.write_str(text),
            Self::Damaged(damage) => f.write_str(&damage.text),
        }
    }
}

impl std::error::Error for StoreError {}

/// Whether a store still has what was committed before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Continuity {
    /// It has.
    Kept,
    /// It has lost something: it was emptied, or a copy took over that lagged behind. A full state is due.
    Lost,
}

/// All that a store had.
#[derive(Default, Debug)]
pub struct Loaded {
    /// The holds whose records can be trusted.
    pub holds: Vec<StoredHold>,
    /// Records that were skipped: damaged, or of an unknown version.
    pub skipped: u64,
    /// The seats of the records that a server may have written and this one cannot read. They are for sale again, and
    /// the store is to forget them.
    pub unreadable: Vec<(RoomId, SeatId)>,
    /// What is kept beside seats, as far as it can be trusted.
    pub beside: Vec<StoredBeside>,
    /// Records of a version that only a later server knows.
    pub newer: u64,
    /// What is missing, when that was accepted.
    pub damage: Option<Damage>,
    /// The events of the log that can be read, in any order.
    pub log: Vec<Placed>,
    /// Where the records of the log stand, for a store that removes them one by one.
    pub chapters: Vec<u64>,
}

/// What a commit does to the log.
#[derive(Clone, Copy, Default, Debug)]
pub struct LogShare<'a> {
    /// What comes behind all that is there, in its order.
    pub coming: &'a [Placed],
    /// The places of the oldest events, which go, with whatever else is there up to the last of them.
    pub going: &'a [u64],
    /// Whether an answer to the backend waits: the store syncs before it returns, also where it would do so later.
    pub is_awaited: bool,
}

impl Loaded {
    /// Whether something in it may outlive every hold.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        let is_cart = |stored: &StoredBeside| matches!(stored.entry, KeptEntry::Cart(..));
        self.beside.iter().any(|stored| !is_cart(stored)) || self.holds.iter().any(|hold| hold.held.is_lasting())
    }

    /// Takes in a record.
    pub fn take_in(&mut self, room: &RoomId, name: &str, bytes: &[u8]) {
        let room = room.clone();
        let unusable = if beside::is_name(name) {
            match beside::decode(&room, name, bytes) {
                Ok(entry) => return self.beside.push(StoredBeside { room, entry }),
                Err(unusable) => unusable,
            }
        } else {
            let Some(seat) = SeatId::new(name) else {
                self.skipped += 1;
                return;
            };
            match record::decode(&room, &seat, bytes) {
                Ok(held) => return self.holds.push(StoredHold { room, seat, held }),
                Err(unusable) => {
                    self.unreadable.push((room, seat));
                    unusable
                }
            }
        };
        self.skipped += 1;
        let is_newer = |unusable| match unusable {
            Unusable::UnknownVersion(version) => record::is_later_version(version),
            Unusable::Damaged => false,
        };
        self.newer += u64::from(is_newer(unusable));
    }
}

/// A place where held seats survive this process.
pub trait Store: Send {
    /// All that is held.
    ///
    /// # Errors
    /// When the store is away, or another server has become the writer.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// The rooms of which something is held.
    ///
    /// # Errors
    /// When the store is away, or another server has become the writer.
    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError>;

    /// Makes the changes, with what the log has of them, and returns when they are as safe as this store can make them.
    ///
    /// # Errors
    /// When the store is away, or another server has become the writer.
    fn commit_logged(&mut self, deltas: &Deltas, log: LogShare<'_>, now: WallMillis) -> Result<Continuity, StoreError>;

    /// The same of changes of which the log has nothing.
    ///
    /// # Errors
    /// When the store is away, or another server has become the writer.
    fn commit(&mut self, deltas: &Deltas, now: WallMillis) -> Result<Continuity, StoreError> {
        self.commit_logged(deltas, LogShare::default(), now)
    }

    /// Shows that this server is still the writer, and that the store has kept what it was given. Called about once in
    /// [`crate::limits::store::REDIS_RENEW_MS`].
    ///
    /// # Errors
    /// When the store is away, or another server has become the writer.
    fn renew(&mut self, now: WallMillis) -> Result<Continuity, StoreError>;

    /// For how long after a successful [`Store::renew`] no other server can become the writer.
    fn lease_ms(&self) -> u64;

    /// Lets another server become the writer. What fails here heals by itself when the lease ends.
    fn close(&mut self);
}
