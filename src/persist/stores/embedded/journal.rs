//! The journal of the library (fjall, format 3) as we read it before the library does.
//!
//! The library trusts more of a journal than a damaged disk allows: it cuts the file at the first byte that it does not
//! understand, takes lengths as they stand, and ends the process at a kind of record that it never writes. So every
//! journal is read here first, and the library sees only what is whole. A journal is a sequence of batches: a start (1,
//! count of items in 4 bytes, sequence number in 8), the items (2, kind, compression, keyspace in 8, length of the key
//! in 2 and of the value in 4, twice, key, value), and an end (3, XXH3 of the items in 8, `FJL` 3). Behind the last one
//! there is nothing, or space in reserve, all zeros. Invariants: nothing is taken from a batch before its end was seen
//! and agrees; nothing that a length in the file says is believed beyond what this server writes. Pure but for the
//! reading. Never here: what a batch means.

use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3;

use super::keys::{KEY_BYTES_MAX, TALLY};
use super::tally::Tally;
use crate::limits::acts::{LOG_CHAPTER_BYTES_MAX, LOG_EVENT_BYTES_MAX};
use crate::limits::store::EMBEDDED_SEQNO_MAX;
use crate::limits::{ID_BYTES_MAX, MESSAGE_BYTES_MAX};

/// The only keyspace that this server makes.
const KEYSPACE: u64 = 1;
/// The longest record.
const VALUE_BYTES_MAX: usize = LOG_EVENT_BYTES_MAX + LOG_CHAPTER_BYTES_MAX;

const _: () =
    assert!(1 + 3 * 8 + 2 + ID_BYTES_MAX + 4 + MESSAGE_BYTES_MAX + 8 <= VALUE_BYTES_MAX, "records are shorter");
/// How a batch ends.
const MAGIC: &[u8; 4] = b"FJL\x03";

/// One change of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Op {
    pub(super) key: Vec<u8>,
    /// `None` for a key that is removed.
    pub(super) value: Option<Vec<u8>>,
}

/// What of one journal can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    /// Bytes up to the end of the last batch that is whole.
    pub(super) clean_len: u64,
    /// Whether nothing follows but space in reserve.
    pub(super) is_whole: bool,
}

/// Reads journals one after the other, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Journals {
    seqno: Option<u64>,
    /// The tally of the last batch that had one.
    pub(super) tally: Option<Tally>,
    /// Whether the last batch had none: it was written by a version of the server that did not count.
    pub(super) is_uncounted: bool,
}

/// Why reading stops.
enum Stop {
    /// Nothing follows.
    End,
    /// What follows is not a whole batch, or not the next one.
    Broken,
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Broken } else { Self::Io(error) }
    }
}

impl Journals {
    /// Reads the batches of the next journal, up to the first that is not whole, and hands over what each changes.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn read(&mut self, journal: &mut dyn Read, take: &mut dyn FnMut(Vec<Op>)) -> io::Result<Extent> {
        let mut bytes = Bytes { from: journal, read: 0, hash: Xxh3::new() };
        let mut clean_len = 0;
        loop {
            match self.batch(&mut bytes) {
                Ok(ops) => take(ops),
                Err(Stop::End) => return Ok(Extent { clean_len, is_whole: true }),
                Err(Stop::Broken) => return Ok(Extent { clean_len, is_whole: false }),
                Err(Stop::Io(error)) => return Err(error),
            }
            clean_len = bytes.read;
        }
    }

    fn batch(&mut self, bytes: &mut Bytes<'_>) -> Result<Vec<Op>, Stop> {
        match bytes.first()? {
            None | Some(0) => return Err(Stop::End),
            Some(1) => {}
            Some(_) => return Err(Stop::Broken),
        }
        let count = u32::from_le_bytes(bytes.take()?);
        let seqno = u64::from_le_bytes(bytes.take()?);
        if seqno > EMBEDDED_SEQNO_MAX || self.seqno.is_some_and(|last| seqno <= last) {
            return Err(Stop::Broken);
        }
        bytes.hash.reset();
        let mut ops = Vec::new();
        for _ in 0..count {
            ops.push(bytes.item()?);
        }
        let found = bytes.hash.digest();
        let [tag] = bytes.take()?;
        let (sum, magic) = (u64::from_le_bytes(bytes.take()?), bytes.take()?);
        if tag != 3 || sum != found || &magic != MAGIC {
            return Err(Stop::Broken);
        }
        self.count(&ops)?;
        self.seqno = Some(seqno);
        Ok(ops)
    }

    /// A batch that is whole and not the next one stands for one that is missing.
    fn count(&mut self, ops: &[Op]) -> Result<(), Stop> {
        let Some(op) = ops.iter().find(|op| op.key == TALLY && op.value.is_some()) else {
            self.is_uncounted = true;
            return Ok(());
        };
        let tally = op.value.as_deref().and_then(Tally::decode).ok_or(Stop::Broken)?;
        if self.tally.is_some_and(|last| tally.number != last.number + 1) {
            return Err(Stop::Broken);
        }
        (self.tally, self.is_uncounted) = (Some(tally), false);
        Ok(())
    }
}

/// The bytes of a journal, counted, and those of items hashed.
struct Bytes<'a> {
    from: &'a mut dyn Read,
    read: u64,
    hash: Xxh3,
}

impl Bytes<'_> {
    /// The first byte of a batch, or `None` at the end of the file.
    fn first(&mut self) -> Result<Option<u8>, Stop> {
        match self.take() {
            Ok([tag]) => Ok(Some(tag)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        self.read += N as u64;
        Ok(bytes)
    }

    fn text(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.from.read_exact(&mut bytes)?;
        self.read += len as u64;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn item(&mut self) -> Result<Op, Stop> {
        const HEAD: usize = 1 + 1 + 1 + 8 + 2 + 4 + 4;
        let head: [u8; HEAD] = self.take()?;
        self.hash.update(&head);
        let [tag, kind, compression, rest @ ..] = &head;
        let (keyspace, lengths) = rest.split_first_chunk::<8>().expect("a head is long enough");
        let (key_len, lengths) = lengths.split_first_chunk::<2>().expect("a head is long enough");
        let (value_len, stored_len) = lengths.split_first_chunk::<4>().expect("a head is long enough");
        let key_len = usize::from(u16::from_le_bytes(*key_len));
        let value_bytes = usize::try_from(u32::from_le_bytes(*value_len)).map_err(|_| Stop::Broken)?;
        let is_known = *tag == 2 && *kind <= 1 && *compression == 0 && u64::from_le_bytes(*keyspace) == KEYSPACE;
        let is_short = key_len <= KEY_BYTES_MAX && value_bytes <= VALUE_BYTES_MAX && value_len == stored_len;
        if !is_known || !is_short || (*kind == 1 && value_bytes > 0) {
            return Err(Stop::Broken);
        }
        let (key, value) = (self.text(key_len)?, self.text(value_bytes)?);
        Ok(Op { key, value: (*kind == 0).then_some(value) })
    }
}
