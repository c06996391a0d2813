//! A small file beside the embedded store that says what should be in it, written with each commit.
//!
//! A journal that has lost its end is as good as one that never had it: only a second place can tell. After a kill all
//! that was written is there, so what was written last is compared; after the machine has lost its power only what was
//! synced. The kernel's name of the boot tells the two apart.
//! The file has two places of [`PLACE_BYTES`] that are written in turn, so that one of them is always whole.
//! Invariant: what it says was committed before. Never here: what follows from a difference.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::tally::{TALLY_BYTES, Tally};
use crate::limits::store::STORE_NUMBERS_MAX;

const MAGIC: &[u8; 8] = b"butacaW1";
/// magic, turn (8), boot (16), written ([`TALLY_BYTES`]), number that is synced (8), XXH3 of all that (8).
const PLACE_BYTES: usize = 8 + 8 + 16 + TALLY_BYTES + 8 + 8;

type Boot = [u8; 16];

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    boot: Boot,
    /// After the last batch that was written.
    pub(super) written: Tally,
    /// The last batch that a loss of power does not undo.
    pub(super) synced: u64,
    turn: u64,
}

/// What was found in the place of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// There is no file.
    Nothing,
    /// There is one, and nothing in it can be believed.
    Unreadable,
    Entry(Entry),
}

/// The file, for writing.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    boot: Boot,
    turn: u64,
}

impl Entry {
    /// The number of the last batch that must be there.
    pub(super) fn bound(&self) -> u64 {
        // Without a name every boot could be another one.
        let is_same = self.boot == boot() && self.boot != Boot::default();
        if is_same { self.written.number } else { self.synced.min(self.written.number) }
    }
}

impl Found {
    /// What the file of this name says.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(newest(&bytes).map_or(Self::Unreadable, Self::Entry)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(error),
        }
    }
}

impl Witness {
    /// Goes on with the file that was found, or begins it: this was written and is synced. A full disk does not keep a
    /// file from being gone on with, and a crash leaves the old words or the new ones.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn begin(path: &Path, found: &Found, tally: Tally) -> io::Result<Self> {
        let boot = boot();
        if let Found::Entry(entry) = found {
            let file = File::options().write(true).open(path)?;
            let mut witness = Self { file, boot, turn: entry.turn };
            witness.note(tally, tally.number)?;
            witness.sync()?;
            return Ok(witness);
        }
        let new = path.with_extension("check-new");
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let mut witness = Self { file, boot, turn: 0 };
        witness.note(tally, tally.number)?;
        witness.note(tally, tally.number)?;
        witness.file.sync_all()?;
        fs::rename(&new, path)?;
        Ok(witness)
    }

    /// This was committed, and the batches up to `synced` survive a loss of power.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn note(&mut self, written: Tally, synced: u64) -> io::Result<()> {
        assert!(synced <= written.number, "what is synced was written before");
        self.turn += 1;
        let bytes = encode(&Entry { boot: self.boot, written, synced, turn: self.turn });
        self.file.write_all_at(&bytes, (self.turn % 2) * PLACE_BYTES as u64)
    }

    /// Makes what was noted survive a loss of power.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PLACE_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&entry.turn.to_le_bytes());
    bytes.extend_from_slice(&entry.boot);
    bytes.extend_from_slice(&entry.written.encode());
    bytes.extend_from_slice(&entry.synced.to_le_bytes());
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The newer of the places that are whole.
fn newest(bytes: &[u8]) -> Option<Entry> {
    bytes.chunks_exact(PLACE_BYTES).take(2).filter_map(decode).max_by_key(|entry| entry.turn)
}

fn decode(place: &[u8]) -> Option<Entry> {
    let (said, sum) = place.split_last_chunk::<8>()?;
    let (magic, rest) = said.split_first_chunk::<8>()?;
    let (turn, rest) = rest.split_first_chunk::<8>()?;
    let (boot, rest) = rest.split_first_chunk::<16>()?;
    let (written, synced) = rest.split_first_chunk::<TALLY_BYTES>()?;
    let synced = u64::from_le_bytes(synced.try_into().ok()?);
    let turn = u64::from_le_bytes(*turn);
    let is_whole = magic == MAGIC && u64::from_le_bytes(*sum) == xxh3_64(said) && turn < STORE_NUMBERS_MAX;
    let written = Tally::decode(written).filter(|_| is_whole)?;
    Some(Entry { boot: *boot, written, synced, turn })
}

/// The kernel's name of the present boot, as far as 16 bytes tell it; zeros when there is none.
fn boot() -> Boot {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = text.bytes().filter(u8::is_ascii_hexdigit);
    let mut boot = Boot::default();
    for (at, digit) in digits.take(32).enumerate() {
        let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or_default();
        boot[at / 2] = boot[at / 2] << 4 | value;
    }
    boot
}

#[cfg(test)]
mod tests {
    use super::{Entry, Found, PLACE_BYTES, Tally, Witness, boot};

    fn tally(number: u64) -> Tally {
        Tally { number, holds: 2 * number, digest: 3 * number }
    }

    #[test]
    fn the_last_word_counts_and_damage_of_one_place_leaves_the_one_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("holds.check");
        assert_eq!(Found::read(&path).expect("it is ours"), Found::Nothing);
        let mut witness = Witness::begin(&path, &Found::Nothing, tally(7)).expect("it is ours");
        let said = |written: u64, synced: u64| {
            let found = Found::read(&path).expect("it is ours");
            matches!(found, Found::Entry(entry) if entry.written == tally(written) && entry.synced == synced)
        };
        assert!(said(7, 7));
        for number in 8..20 {
            witness.note(tally(number), number - 1).expect("it is ours");
            assert!(said(number, number - 1));
        }
        let bytes = std::fs::read(&path).expect("it is ours");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).expect("it is ours");
            assert!(said(19, 18) || said(18, 17), "byte {at}");
        }
        std::fs::write(&path, &bytes).expect("it is ours");
        let found = Found::read(&path).expect("it is ours");
        Witness::begin(&path, &found, tally(3)).expect("it is ours");
        assert!(said(3, 3), "what goes on is newer, whatever its numbers");
        std::fs::write(&path, &bytes[..PLACE_BYTES - 1]).expect("it is ours");
        assert_eq!(Found::read(&path).expect("it is ours"), Found::Unreadable);
    }

    #[test]
    fn another_boot_asks_only_for_what_was_synced() {
        let entry = Entry { boot: boot(), written: tally(9), synced: 5, turn: 1 };
        let other = Entry { boot: [7; 16], ..entry };
        let unnamed = Entry { boot: [0; 16], ..entry };
        assert_eq!([entry.bound(), other.bound(), unnamed.bound()], [9, 5, 5]);
    }
}
