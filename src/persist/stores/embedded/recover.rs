//! What a start does with the files: it opens them when they are whole, or makes a new store from what can be read of
//! them and says so.
//!
//! Three things are compared: what can be read, the tally that was stored with it, and the witness beside it. Files
//! that are sound are opened where they are. All others are read without being changed. A new store takes their place
//! only when the loss is accepted; the old files are put aside. Invariant: something that was committed and cannot be
//! read is never passed over in silence. Never here: formats.

use std::fs;
use std::io;

use crate::persist::stores::store::{Damage, Loaded, StoreError};

use super::keys::{TALLY, is_log, take_in};
use super::library::{Library, LibraryError};
use super::look::{Look, look};
use super::place::Place;
use super::salvage::Salvage;
use super::tally::Tally;
use super::witness::{Found, Witness};

/// A store that was opened at a start.
pub(super) struct Start {
    pub(super) library: Library,
    pub(super) tally: Tally,
    pub(super) witness: Witness,
    pub(super) loaded: Loaded,
}

/// Why files that looked sound are not taken as they are.
enum Refusal {
    Doubt(String),
    Error(StoreError),
}

impl From<LibraryError> for Refusal {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::Unreadable(text) => Self::Doubt(text),
            LibraryError::Away(text) => Self::Error(failed("opening", &text)),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Error(away(&error))
    }
}

/// Opens what is there, or begins.
///
/// # Errors
/// When the files cannot be used for now, or something is missing and that is not accepted.
pub(super) fn start(place: &Place, accepts_loss: bool) -> Result<Start, StoreError> {
    place.tidy().map_err(|error| away(&error))?;
    let found = Found::read(&place.witness()).map_err(|error| away(&error))?;
    if fs::symlink_metadata(place.holds()).is_err() {
        let is_new = found == Found::Nothing;
        let doubt = if is_new { None } else { Some("its files are gone") };
        return begun(place, Salvage::default(), &found, doubt, accepts_loss);
    }
    let seen = look(&place.holds(), &mut |_| ()).map_err(|error| away(&error))?;
    let doubt = match suspicion(&seen, &found) {
        Some(doubt) => doubt,
        None => match opened(place, &seen, &found, accepts_loss) {
            Ok(start) => return Ok(start),
            Err(Refusal::Doubt(doubt)) => doubt,
            Err(Refusal::Error(error)) => return Err(error),
        },
    };
    let salvage = Salvage::read(place).map_err(|error| away(&error))?;
    begun(place, salvage, &found, Some(&doubt), accepts_loss)
}

/// What makes the files doubtful before they are opened.
fn suspicion(seen: &Look, found: &Found) -> Option<String> {
    if let Some(fault) = seen.fault() {
        return Some(fault.to_owned());
    }
    match (found, seen.tally) {
        (Found::Nothing, Some(_)) if !seen.is_uncounted => Some("what says what should be there is missing".into()),
        (Found::Unreadable, _) => Some("what says what should be there cannot be read".into()),
        (Found::Entry(entry), Some(tally)) => missing_batches(tally.number, entry.bound()),
        // Only the tables can tell, and they are asked without cutting the journal.
        (Found::Entry(entry), None) if entry.bound() > 0 && (!seen.has_tables || seen.is_torn()) => {
            Some("its journal has nothing of what was written last".into())
        }
        (Found::Entry(_) | Found::Nothing, _) => None,
    }
}

fn missing_batches(number: u64, bound: u64) -> Option<String> {
    (number < bound).then(|| format!("the last {} of its batches are missing", bound - number))
}

/// Opens files that look sound, and reads them.
fn opened(place: &Place, seen: &Look, found: &Found, accepts_loss: bool) -> Result<Start, Refusal> {
    seen.cut()?;
    let library = Library::open(&place.holds())?;
    let (mut loaded, mut counted, mut stored) = (Loaded::default(), Tally::default(), None);
    library.each(&mut |key, value| {
        if key == TALLY {
            stored = Tally::decode(value);
        } else {
            if !is_log(key) {
                counted.add(key, value);
            }
            take_in(key, value, &mut loaded);
        }
    })?;
    if !seen.is_uncounted {
        doubt(stored, counted, found).map_or(Ok(()), |doubt| Err(Refusal::Doubt(doubt)))?;
    }
    loaded.damage = unreadable(&loaded);
    if let Some(damage) = loaded.damage.take_if(|_| !accepts_loss) {
        return Err(Refusal::Error(StoreError::Damaged(damage)));
    }
    library.sync()?;
    counted.number = stored.map_or(0, |stored| stored.number).max(bound(found));
    let witness = Witness::begin(&place.witness(), found, counted)?;
    Ok(Start { library, tally: counted, witness, loaded })
}

/// What makes doubtful what was read.
fn doubt(stored: Option<Tally>, counted: Tally, found: &Found) -> Option<String> {
    let bound = bound(found);
    let Some(stored) = stored else {
        return (bound > 0).then(|| "its own count is missing".into());
    };
    let missing = missing_batches(stored.number, bound);
    missing.or_else(|| {
        let is_whole = stored.agrees(&counted);
        (!is_whole).then(|| format!("{} holds were counted and other {} are there", stored.holds, counted.holds))
    })
}

fn bound(found: &Found) -> u64 {
    if let Found::Entry(entry) = found { entry.bound() } else { 0 }
}

/// Begins a new store with what was read. When that is not all there was, it must be accepted. Without a doubt there
/// never was anything.
fn begun(
    place: &Place,
    salvage: Salvage,
    found: &Found,
    doubt: Option<&str>,
    accepts_loss: bool,
) -> Result<Start, StoreError> {
    let mut tally = salvage.tally();
    let mut damage = doubt.and_then(|doubt| damage(&salvage, tally, found, doubt));
    if let Some(damage) = damage.clone().filter(|_| !accepts_loss) {
        return Err(StoreError::Damaged(damage));
    }
    let mut loaded = Loaded::default();
    salvage.records.iter().for_each(|(key, value)| take_in(key, value, &mut loaded));
    let written = if let Found::Entry(entry) = found { entry.written.number } else { 0 };
    tally.number = tally.number.max(written);
    tally.number = tally.next_number();
    let aside = salvage.write(place, tally).map_err(|error| failed("making", error.text()))?;
    if let Some(aside) = aside {
        let why = doubt.unwrap_or_default();
        tracing::error!("the embedded store was not sound ({why}): its files are now in {}", aside.display());
        if let Some(damage) = &mut damage {
            damage.text = format!("{}; the damaged files are in {}", damage.text, aside.display());
        }
    }
    loaded.damage = damage;
    let library = Library::open(&place.holds()).map_err(|error| failed("opening", error.text()))?;
    let witness = Witness::begin(&place.witness(), found, tally).map_err(|error| away(&error))?;
    Ok(Start { library, tally, witness, loaded })
}

/// What is missing, or cannot be shown to be there; nothing when what was read is all that was ever committed.
fn damage(salvage: &Salvage, read: Tally, found: &Found, doubt: &str) -> Option<Damage> {
    let entry = if let Found::Entry(entry) = found { Some(entry) } else { None };
    let is_whole = match (salvage.stored, entry) {
        (Some(stored), Some(entry)) => stored.agrees(&read) && stored.number >= entry.bound(),
        // The last thing that was said is that nothing is held.
        (None, Some(entry)) => entry.written.holds == 0 && read.holds == 0,
        (_, None) => false,
    };
    let expected = entry.map(|entry| entry.written).or(salvage.stored).unwrap_or_default().holds;
    let text = format!("the embedded store is damaged ({doubt}): {} of {expected} holds can be read", read.holds);
    (!is_whole).then_some(Damage { missing: expected.saturating_sub(read.holds), text })
}

/// Records that are as they were written and that this server cannot read.
fn unreadable(loaded: &Loaded) -> Option<Damage> {
    let missing = loaded.unreadable.len() as u64;
    let text =
        format!("{missing} records of the embedded store cannot be read: another version of the server wrote them");
    (missing > 0).then_some(Damage { missing, text })
}

/// In the words of a store that is away.
pub(super) fn failed(doing: &str, text: &str) -> StoreError {
    StoreError::Away(format!("{doing} the embedded store failed: {text}"))
}

fn away(error: &io::Error) -> StoreError {
    StoreError::Away(format!("DATA_DIR: {error}"))
}
