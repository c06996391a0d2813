//! The events of one commit as one record of a store: a record costs a store more than what is in it.
//!
//! A record is nine zeros, which no event begins with, since its number is not 0, and then for each event its place (8
//! bytes, little-endian), its length (4) and the event ([`Event::encode`]). A record that does not begin so is one
//! event, as versions before wrote it. Its own place is that of its last event. Invariant: what is read was written.
//! Never here: stores.

use super::event::{Event, Placed};
use crate::limits::acts::LOG_CHAPTER_BYTES_MAX;

/// How a chapter begins.
const MAGIC: [u8; 9] = [0; 9];

/// The events in chapters, in their order, each with its place: a record of at most [`LOG_CHAPTER_BYTES_MAX`], or of
/// one event.
pub fn chapters<'a>(events: impl IntoIterator<Item = &'a Placed>) -> Vec<(u64, Vec<u8>)> {
    let events: Vec<&Placed> = events.into_iter().collect();
    // What an event costs is more than what it takes here: a chapter is allocated once.
    let mut left: usize = events.iter().map(|(_, event)| event.cost()).sum();
    let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
    for (place, event) in events {
        let is_full = |(_, bytes): &(u64, Vec<u8>)| bytes.len() + event.cost() > LOG_CHAPTER_BYTES_MAX;
        if all.last().is_none_or(is_full) {
            let mut bytes = Vec::with_capacity((MAGIC.len() + left).min(LOG_CHAPTER_BYTES_MAX));
            bytes.extend_from_slice(&MAGIC);
            all.push((*place, bytes));
        }
        left -= event.cost();
        let (of, bytes) = all.last_mut().expect("one was just begun");
        debug_assert!(*of <= *place, "places only grow");
        *of = *place;
        bytes.extend_from_slice(&place.to_le_bytes());
        let at = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        event.encode(bytes);
        let len = u32::try_from(bytes.len() - at - 4).expect("LOG_EVENT_BYTES_MAX fits");
        bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }
    all
}

/// The events of a record that stands at this place, as far as they can be read.
pub fn read(place: u64, bytes: &[u8]) -> Vec<Placed> {
    let Some(mut rest) = bytes.strip_prefix(&MAGIC) else {
        return Event::decode(bytes).map(|event| (place, event)).into_iter().collect();
    };
    let mut events = Vec::new();
    while let Some((placed, behind)) = next(rest) {
        events.push(placed);
        rest = behind;
    }
    events
}

fn next(bytes: &[u8]) -> Option<(Placed, &[u8])> {
    let (place, rest) = bytes.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (event, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some(((u64::from_le_bytes(*place), Event::decode(event)?), rest))
}

#[cfg(test)]
mod tests {
    use super::{chapters, read};
    use crate::acts::event::{Event, Number, Placed};
    use crate::engine::ids::RoomId;
    use crate::limits::acts::LOG_CHAPTER_BYTES_MAX;

    fn event(place: u64, len: usize) -> Placed {
        let room = RoomId::new("Teatro Año").unwrap();
        let text = format!("{{\"id\":\"{}\"}}", "a".repeat(len)).into();
        (place, Event { room, n: place, number: Number::Passing, text })
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let events: Vec<Placed> = [(7, 1), (9, 300), (10, 0)].map(|(place, len)| event(place, len)).into();
        let written = chapters(&events);
        let [(place, bytes)] = &written[..] else { panic!("one record: {written:?}") };
        assert_eq!((*place, read(*place, bytes)), (10, events.clone()));
        for len in 0..bytes.len() {
            let found = read(10, &bytes[..len]);
            assert!(found.len() < 3 && found[..] == events[..found.len()], "{len} bytes");
        }
        assert_eq!(chapters(&[]), []);
    }

    #[test]
    fn an_event_that_stands_alone_is_one_of_a_version_before() {
        let (place, event) = event(7, 20);
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert_eq!(read(place, &bytes), [(place, event)]);
        let (place, bytes) = chapters(&[self::event(8, 20)]).remove(0);
        assert_eq!((place, Event::decode(&bytes)), (8, None), "and such a version passes over what it cannot read");
    }

    #[test]
    fn a_record_is_bounded() {
        let half = LOG_CHAPTER_BYTES_MAX / 2;
        let events: Vec<Placed> = [(1, half), (2, half), (3, 3 * half), (4, 1)].map(|(p, len)| event(p, len)).into();
        let places: Vec<u64> = chapters(&events).iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [1, 2, 3, 4]);
    }
}
