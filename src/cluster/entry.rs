//! One entry of a stream: all letters of one turn from one node to another, as bytes.
//!
//! `version u8, name length u8, name, incarnation u64, number u64, count u16`, then for each letter `kind u8, length
//! u32, bytes`; all numbers big-endian. The version says how letters are to be read; a node writes the oldest version
//! among its live peers. Invariants: what [`Entry::write`] makes [`Entry::read`] gives back; reading allocates no more
//! than it was given. Never here: what a letter means.

use super::names::{Life, NodeName};
use crate::limits::cluster::{ENTRY_BYTES_MAX, ENTRY_LETTERS_MAX};

/// The newest version that this program writes and reads.
pub const VERSION: u8 = 1;
/// Bytes before the letters, but for the name.
const HEAD_BYTES: usize = size_of::<(u8, u8)>() + size_of::<(u64, u64)>() + size_of::<u16>();
/// Bytes of a letter beside its own.
const LETTER_HEAD_BYTES: usize = size_of::<u8>() + size_of::<u32>();

/// A letter whose meaning is not known here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// What it is.
    pub kind: u8,
    /// The rest.
    pub bytes: Vec<u8>,
}

impl Letter {
    /// What it takes in an entry.
    #[must_use]
    pub fn size(&self) -> usize {
        LETTER_HEAD_BYTES + self.bytes.len()
    }
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// How its letters are to be read.
    pub version: u8,
    /// Who wrote it.
    pub from: Life,
    /// Its number among those from this life to this node, from 1.
    pub number: u64,
    /// The letters, in order.
    pub letters: Vec<Letter>,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// A version that this program does not know.
    Version(u8),
    /// More bytes or letters than an entry may have.
    TooLong,
    /// The bytes end too early, or go on after the end.
    Length,
    /// The name is none.
    Name,
}

impl Entry {
    /// Bytes of an entry of this node without letters.
    #[must_use]
    pub fn head_size(from: &Life) -> usize {
        HEAD_BYTES + from.node.as_str().len()
    }

    /// The entry as bytes. Its writer has kept the bounds.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let size = Self::head_size(&self.from) + self.letters.iter().map(Letter::size).sum::<usize>();
        assert!(size <= ENTRY_BYTES_MAX && self.letters.len() <= ENTRY_LETTERS_MAX, "the outbox cuts");
        let mut bytes = Vec::with_capacity(size);
        let name = self.from.node.as_str();
        bytes.push(self.version);
        bytes.push(u8::try_from(name.len()).expect("a name is shorter"));
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&self.from.incarnation.to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(self.letters.len()).expect("the bound is lower").to_be_bytes());
        for letter in &self.letters {
            bytes.push(letter.kind);
            bytes.extend_from_slice(&u32::try_from(letter.bytes.len()).expect("the bound is lower").to_be_bytes());
            bytes.extend_from_slice(&letter.bytes);
        }
        debug_assert_eq!(bytes.len(), size);
        bytes
    }

    /// The entry that these bytes are.
    ///
    /// # Errors
    /// What is wrong with them; then nothing was taken from them.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let mut rest = bytes;
        let [version, length] = take(&mut rest)?;
        if version == 0 || version > VERSION {
            return Err(Malformed::Version(version));
        }
        let name = take_slice(&mut rest, usize::from(length))?;
        let node = std::str::from_utf8(name).ok().and_then(NodeName::new).ok_or(Malformed::Name)?;
        let from = Life { node, incarnation: u64::from_be_bytes(take(&mut rest)?) };
        let number = u64::from_be_bytes(take(&mut rest)?);
        let count = usize::from(u16::from_be_bytes(take(&mut rest)?));
        if count > ENTRY_LETTERS_MAX {
            return Err(Malformed::TooLong);
        }
        let mut letters = Vec::with_capacity(count.min(rest.len() / LETTER_HEAD_BYTES));
        for _ in 0..count {
            let [kind] = take(&mut rest)?;
            let length = u32::from_be_bytes(take(&mut rest)?);
            let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
            letters.push(Letter { kind, bytes: take_slice(&mut rest, length)?.to_vec() });
        }
        if !rest.is_empty() {
            return Err(Malformed::Length);
        }
        Ok(Self { version, from, number, letters })
    }
}

fn take_slice<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Malformed::Length)?;
    *rest = left;
    Ok(taken)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let taken = take_slice(rest, N)?;
    Ok(taken.try_into().expect("as many were taken"))
}

#[cfg(test)]
mod tests {
    use super::super::names::{Life, NodeName};
    use super::{Entry, Letter, Malformed};
    use crate::limits::cluster::ENTRY_BYTES_MAX;

    fn entry() -> Entry {
        let from = Life { node: NodeName::new("host-1:8001").expect("a name"), incarnation: 7 };
        let letters = vec![Letter { kind: 1, bytes: vec![] }, Letter { kind: 255, bytes: b"abc".to_vec() }];
        Entry { version: 1, from, number: u64::MAX, letters }
    }

    /// What this version has written once: it stays readable.
    const WRITTEN: &[u8] = b"\x01\x0bhost-1:8001\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xff\0\x02\
                             \x01\0\0\0\0\xff\0\0\0\x03abc";

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(entry().write(), WRITTEN);
        assert_eq!(Entry::read(WRITTEN), Ok(entry()));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let change = |at: usize, to: u8| {
            let mut bytes = WRITTEN.to_vec();
            bytes[at] = to;
            Entry::read(&bytes)
        };
        assert_eq!(change(0, 2), Err(Malformed::Version(2)));
        assert_eq!(change(0, 0), Err(Malformed::Version(0)));
        assert_eq!(change(2, 0xff), Err(Malformed::Name));
        assert_eq!(change(29, 0xff), Err(Malformed::TooLong), "letters");
        assert_eq!(change(37, 0xff), Err(Malformed::Length), "a letter that is longer than all");
        (0..WRITTEN.len()).for_each(|end| assert_eq!(Entry::read(&WRITTEN[..end]), Err(Malformed::Length), "{end}"));
        assert_eq!(Entry::read(&[WRITTEN, b"x"].concat()), Err(Malformed::Length));
        assert_eq!(Entry::read(&vec![1; ENTRY_BYTES_MAX + 1]), Err(Malformed::TooLong));
    }
}
