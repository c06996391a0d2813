//! The ids of a run, and their numbers.

use butaca::engine::ids::{ClientId, RoomId, SeatId, ShardId, TextId, shard_of};

use super::frames::{Name, Room, Seat};

pub(crate) fn room_id(room: Room) -> RoomId {
    id('r', room)
}

pub(crate) fn seat_id(seat: Seat) -> SeatId {
    id('s', seat)
}

pub(crate) fn client_id(name: Name) -> ClientId {
    id('c', name)
}

/// The number in an id.
pub(crate) fn number<Kind>(id: &TextId<Kind>) -> usize {
    number_of(id.as_str())
}

/// The number in the text of an id.
pub(crate) fn number_of(text: &str) -> usize {
    text[1..].parse().expect("an id of `names`")
}

pub(crate) fn owner(room: Room, shards: usize) -> ShardId {
    shard_of(room_id(room).as_str(), shards)
}

/// The `user_info` of a select. Some are long, so that frames are.
pub(crate) fn user_info(tag: u64) -> String {
    let padding = if tag.is_multiple_of(5) { 120 } else { 0 };
    // As a JSON value is written again: names in order, no blanks.
    format!(r#"{{"padding":"{}","tag":{tag}}}"#, "x".repeat(padding))
}

fn id<Kind>(kind: char, number: usize) -> TextId<Kind> {
    TextId::new(&format!("{kind}{number}")).expect("a valid id")
}
