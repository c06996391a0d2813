//! Letters to other nodes as bytes, and back.
//!
//! What shards write to each other is what nodes do, in the `letters` of an entry ([`crate::cluster::entry`]), whose
//! version says how they are to be read. A letter is a kind and, first, `address u8, shards of the writer u8, base u8,
//! shards u8`: to whom it goes, and which addresses the reader has in the writer's eyes. What else, and in which order,
//! is in `words`, `sale` and `happened`; the alphabet is in `bytes`. A letter that is longer than [`PIECE_BYTES`] goes
//! in pieces, since an entry is bounded and the full state of an arena is not. A full state travels once a turn and
//! reader, however many are told it.
//!
//! Invariants: what is written is read; whatever the bytes are, reading ends in a letter or in [`Malformed`], and
//! allocates no more than a small multiple of what was given; what a letter says of connections of a third node is
//! dropped (an actor) or makes it malformed. Golden letters in `tests/pure/afar` keep every byte. Never here: streams;
//! who decides what.

mod bytes;
mod happened;
mod route;
mod sale;
mod states;
mod words;

use bytes::{Afar, Paper, Pen, record};
use route::Route;
pub use route::Stretch;
use states::{States, Written};

use super::errand::{Done, Errand};
use super::letters::{Command, Letter, News, Return};
use crate::audience::budget::Budget;
use crate::cluster::entry;
use crate::engine::command::RoomNews;
use crate::engine::ids::{ConnId, ShardId};
use crate::layout::catalog::Catalog;
use crate::limits::cluster::{LETTER_BYTES_MAX, PIECE_BYTES};

const COMMAND: u8 = 1;
const RESYNC: u8 = 2;
const GONE: u8 = 3;
const ANSWER: u8 = 4;
const NEWS: u8 = 5;
const ROOM: u8 = 6;
const NOT_MINE: u8 = 7;
const AWAY: u8 = 8;
const RETURN: u8 = 9;
const ERRAND: u8 = 10;
const DONE: u8 = 11;
/// A full state: its number and its bytes.
const STATE: u8 = 64;
/// The full states of this turn are not needed any more.
const FORGET: u8 = 65;
/// A part of a letter: which one, and its bytes. All parts together are the letter's kind and its bytes.
const PIECE: u8 = 66;

const FIRST: u8 = 0;
const MIDDLE: u8 = 1;
const LAST: u8 = 2;

/// Why bytes are no letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// A kind that this program does not know.
    Kind(u8),
    /// The bytes end too early, or go on after the end.
    Length,
    /// Longer than a letter may be.
    TooLong,
    /// A text that is none, or no id.
    Text,
    /// A value that there is not.
    Value,
    /// It is for a shard that is not here, or about a connection that it cannot be about.
    Address,
}

record!(Command { conn, client, origin, ticket, identity, wanted });
record!(Return { conn, client, origin, identity, room });

/// Writes letters to one life of another node.
#[derive(Debug)]
pub struct Writer {
    own: u8,
    reader: Stretch,
    states: Written,
}

impl Writer {
    /// For a node with so many shards, which knows the reader by these addresses.
    #[must_use]
    pub fn new(shards: usize, reader: Stretch) -> Self {
        let own = u8::try_from(shards).expect("SHARDS_MAX fits a byte");
        Self { own, reader, states: Written::default() }
    }

    /// Appends a letter to one of the reader's addresses, after the full state that it needs. `false`: it is none that
    /// travels, or is too long, and nothing was written.
    #[must_use]
    pub fn write(&mut self, to: ShardId, letter: &Letter, out: &mut Vec<entry::Letter>) -> bool {
        assert!(self.reader.find(to).is_some(), "{to:?} is not the reader's");
        let [base, shards] = self.reader.bytes();
        let address = u8::try_from(to.index()).expect("SHARDS_MAX fits a byte");
        let mut pen = Pen { out: vec![address, self.own, base, shards], states: &mut self.states };
        let Some(kind) = put_letter(letter, &mut pen) else { return false };
        let bytes = pen.out;
        for (number, state) in self.states.fresh() {
            post(STATE, [&number.to_be_bytes(), state.bytes()].concat(), out);
        }
        let fits = bytes.len() < LETTER_BYTES_MAX;
        if fits {
            post(kind, bytes, out);
        }
        fits
    }

    /// The turn is over: nobody needs its full states any more.
    pub fn finish(&mut self, out: &mut Vec<entry::Letter>) {
        if self.states.clear() {
            out.push(entry::Letter { kind: FORGET, bytes: Vec::new() });
        }
    }
}

/// Appends a letter, in pieces when it is a long one.
fn post(kind: u8, bytes: Vec<u8>, out: &mut Vec<entry::Letter>) {
    if bytes.len() <= PIECE_BYTES {
        return out.push(entry::Letter { kind, bytes });
    }
    crate::marks::hit("a letter in pieces");
    let pieces = bytes.len().div_ceil(PIECE_BYTES);
    for (at, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
        let bytes = match at {
            0 => [&[FIRST, kind], piece].concat(),
            _ if at + 1 == pieces => [&[LAST], piece].concat(),
            _ => [&[MIDDLE], piece].concat(),
        };
        out.push(entry::Letter { kind: PIECE, bytes });
    }
}

/// Appends what a letter says, and says of which kind it is.
fn put_letter(letter: &Letter, pen: &mut Pen<'_>) -> Option<u8> {
    Some(match letter {
        Letter::Command(command) => {
            command.put(pen);
            COMMAND
        }
        Letter::Resync { conn, room } => {
            conn.put(pen);
            room.put(pen);
            RESYNC
        }
        Letter::Gone { conn } => {
            conn.put(pen);
            GONE
        }
        Letter::Away { conn } => {
            conn.put(pen);
            AWAY
        }
        Letter::Return(member) => {
            member.put(pen);
            RETURN
        }
        Letter::Errand(errand) => {
            errand.put(pen);
            ERRAND
        }
        Letter::Done(done) => {
            done.put(pen);
            DONE
        }
        Letter::NotMine { conn, ticket } => {
            conn.put(pen);
            ticket.put(pen);
            NOT_MINE
        }
        Letter::Answer { to, effect, captured } => {
            if !happened::is_answer(effect) {
                return None;
            }
            to.put(pen);
            happened::put_effect(effect, pen);
            happened::put_captured(captured.as_ref(), pen);
            ANSWER
        }
        Letter::News(news) => {
            news.put(pen);
            NEWS
        }
        Letter::Room(news) => {
            news.put(pen);
            ROOM
        }
        Letter::From { letter, .. } => return put_letter(letter, pen),
    })
}

/// Reads the letters of one life of another node.
#[derive(Debug)]
pub struct Reader {
    own: usize,
    writer: Stretch,
    states: States,
    /// What has come of a letter in pieces.
    pieces: Vec<u8>,
    layouts: Catalog,
}

impl Reader {
    /// For a node with so many shards, which knows the writer by these addresses. Full states count in the budget.
    #[must_use]
    pub fn new(shards: usize, writer: Stretch, budget: &Budget) -> Self {
        let layouts = Catalog::default();
        Self { own: shards, writer, states: States::new(budget), pieces: Vec::new(), layouts }
    }

    /// The same, where these layouts are known: letters name them.
    #[must_use]
    pub fn with_layouts(self, layouts: Catalog) -> Self {
        Self { layouts, ..self }
    }

    /// What this is: a letter for one of this node's shards, or nothing yet.
    ///
    /// # Errors
    /// What is wrong with it; then the next one can be read as if this one had been lost.
    pub fn read(&mut self, letter: &entry::Letter) -> Result<Option<(ShardId, Letter)>, Malformed> {
        if letter.kind != PIECE {
            return self.take(letter.kind, &letter.bytes);
        }
        let Some((&place, piece)) = letter.bytes.split_first() else { return Err(Malformed::Length) };
        match place {
            FIRST => self.pieces.clear(),
            MIDDLE | LAST => {}
            _ => return Err(Malformed::Value),
        }
        if place != FIRST && self.pieces.is_empty() {
            crate::marks::hit("a piece whose beginning was lost");
            return Ok(None);
        }
        if self.pieces.len() + piece.len() > LETTER_BYTES_MAX {
            self.pieces = Vec::new();
            return Err(Malformed::TooLong);
        }
        self.pieces.extend_from_slice(piece);
        if place != LAST {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.pieces);
        let (&kind, bytes) = whole.split_first().ok_or(Malformed::Length)?;
        if kind == PIECE { Err(Malformed::Kind(kind)) } else { self.take(kind, bytes) }
    }

    /// Something was lost: what is half here is not waited for.
    pub fn hole(&mut self) {
        self.pieces = Vec::new();
        self.states.clear();
    }

    fn take(&mut self, kind: u8, bytes: &[u8]) -> Result<Option<(ShardId, Letter)>, Malformed> {
        match kind {
            STATE => {
                let (number, state) = bytes.split_first_chunk().ok_or(Malformed::Length)?;
                self.states.put(u64::from_be_bytes(*number), state);
                return Ok(None);
            }
            FORGET => {
                self.states.clear();
                return if bytes.is_empty() { Ok(None) } else { Err(Malformed::Length) };
            }
            _ => {}
        }
        let (&[address, writers, base, shards], rest) = bytes.split_first_chunk().ok_or(Malformed::Length)?;
        let reader = Stretch::read(base, shards).ok_or(Malformed::Address)?;
        let is_known = usize::from(writers) == self.writer.shards() && reader.shards() == self.own;
        if !is_known || base < writers {
            return Err(Malformed::Address);
        }
        let to = reader.find_number(usize::from(address)).ok_or(Malformed::Address)?;
        let to = ShardId::new(to);
        let mut paper = Paper::new(rest, Route { reader, writer: self.writer }, &self.layouts, &self.states);
        let mut letter = self.take_letter(kind, to, &mut paper)?;
        paper.end()?;
        if let ANSWER | NEWS | ROOM = kind {
            letter = Letter::From { by: self.writer.addresses(), letter: Box::new(letter) };
        }
        Ok(Some((to, letter)))
    }

    fn take_letter(&self, kind: u8, to: ShardId, from: &mut Paper<'_>) -> Result<Letter, Malformed> {
        // Who asks is where the letter comes from, and who is answered is where it goes.
        let asks =
            |conn: ConnId| if self.writer.find(conn.shard()).is_some() { Ok(conn) } else { Err(Malformed::Address) };
        let is_told = |conn: ConnId| if conn.shard() == to { Ok(conn) } else { Err(Malformed::Address) };
        Ok(match kind {
            COMMAND => {
                let command = Command::take(from)?;
                asks(command.conn)?;
                Letter::Command(Box::new(command))
            }
            RESYNC => Letter::Resync { conn: asks(Afar::take(from)?)?, room: Afar::take(from)? },
            GONE => Letter::Gone { conn: asks(Afar::take(from)?)? },
            AWAY => Letter::Away { conn: asks(Afar::take(from)?)? },
            RETURN => {
                let member = Return::take(from)?;
                asks(member.conn)?;
                Letter::Return(Box::new(member))
            }
            NOT_MINE => Letter::NotMine { conn: is_told(Afar::take(from)?)?, ticket: Afar::take(from)? },
            ANSWER => {
                let to = is_told(Afar::take(from)?)?;
                let effect = Box::new(happened::take_answer(to, from)?);
                Letter::Answer { to, effect, captured: happened::take_captured(from)? }
            }
            ERRAND => {
                let errand = Errand::take(from)?;
                if self.writer.find(errand.by).is_none() {
                    return Err(Malformed::Address);
                }
                Letter::Errand(Box::new(errand))
            }
            DONE => Letter::Done(Box::new(Done::take(from)?)),
            NEWS => Letter::News(Box::new(News::take(from)?)),
            ROOM => Letter::Room(Box::new(RoomNews::take(from)?)),
            _ => return Err(Malformed::Kind(kind)),
        })
    }
}
