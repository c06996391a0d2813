//! Names of things: rooms, seats and clients by text, connections and shards by number.
//!
//! Invariants: a text id is 1 to [`ID_BYTES_MAX`] bytes of UTF-8 that can be seen; a pair (room, seat) is
//! never flattened into one string; a [`ConnId`] is never used again while anything may still name it.
//! Never here: what a room or a seat is.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::limits::{CONN_SLOTS_MAX, ID_BYTES_MAX, SHARDS_MAX};

/// A checked text id. The kind keeps a seat from being passed as a room; the text is shared, so a clone allocates
/// nothing.
pub struct TextId<Kind> {
    text: Arc<str>,
    kind: PhantomData<fn() -> Kind>,
}

/// Kind of [`RoomId`].
pub enum RoomKind {}
/// Kind of [`SeatId`].
pub enum SeatKind {}
/// Kind of [`ClientId`].
pub enum ClientKind {}
/// Kind of [`OrderId`].
pub enum OrderKind {}

/// A room: one seat map on sale.
pub type RoomId = TextId<RoomKind>;
/// A seat of a room.
pub type SeatId = TextId<SeatKind>;
/// A client's display name: broadcast to strangers, neither unique nor secret.
pub type ClientId = TextId<ClientKind>;
/// An order of the shop, within its room.
pub type OrderId = TextId<OrderKind>;

/// Whether `text` may name a room, a seat or a client: two ids that look alike to people should be one id.
#[must_use]
pub fn is_valid_id(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= ID_BYTES_MAX;
    // Nearly every id is ASCII, and every message has two of them.
    fits && (text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_hidden))
}

/// Whether the server itself speaks of somebody by this name, so that no client may have it.
#[must_use]
pub fn is_reserved_client(name: &str) -> bool {
    name == "system" || name.starts_with("holder:")
}

/// What is not seen, or changes the order of what is: control characters, the ends of lines and paragraphs, and
/// Unicode's `Default_Ignorable_Code_Point` (zero widths, joiners, directions, tags, fillers). Two of the last are
/// allowed, since keyboards put them behind an emoji: the text and picture selectors U+FE0E and U+FE0F. The joiners
/// U+200C and U+200D are not: rooms and seats need none, and what a person's name needs has its place in `user_info`.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0d}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

impl<Kind> TextId<Kind> {
    /// The id with this text, or `None` when [`is_valid_id`] says no.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        is_valid_id(text).then(|| Self { text: text.into(), kind: PhantomData })
    }

    /// The id with a text that was checked where it came in: what a request, an input or a layout names.
    #[must_use]
    pub fn checked(text: &str) -> Self {
        debug_assert!(is_valid_id(text), "{text:?} was let in");
        Self { text: text.into(), kind: PhantomData }
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<Kind> Clone for TextId<Kind> {
    fn clone(&self) -> Self {
        Self { text: Arc::clone(&self.text), kind: PhantomData }
    }
}

impl<Kind> PartialEq for TextId<Kind> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<Kind> Eq for TextId<Kind> {}

impl<Kind> PartialOrd for TextId<Kind> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<Kind> Ord for TextId<Kind> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<Kind> Hash for TextId<Kind> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Lets a map keyed by ids be asked with the text that a message brought.
impl<Kind> Borrow<str> for TextId<Kind> {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl<Kind> fmt::Debug for TextId<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<Kind> fmt::Display for TextId<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One core's share of the server, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardId(u8);

impl ShardId {
    /// The shard with this number, which is below [`SHARDS_MAX`].
    #[must_use]
    pub fn new(number: usize) -> Self {
        assert!(number < SHARDS_MAX, "shard {number} of at most {SHARDS_MAX}");
        Self(u8::try_from(number).expect("SHARDS_MAX fits a byte"))
    }

    /// Its number, to index with.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A hash of a room's id (FNV-1a, finished by SplitMix64, since the last bytes of a name hardly reach FNV's high bits),
/// so that every shard, every node and every later start agree without asking.
#[must_use]
pub fn room_hash(room: &str) -> u64 {
    let hash = room.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

/// Which shard owns a room.
#[must_use]
pub fn shard_of(room: &str, shards: usize) -> ShardId {
    assert!(shards > 0 && shards <= SHARDS_MAX);
    // The high half of a product is even over the shards (Lemire's range reduction).
    let shard = ((room_hash(room) >> 32) * shards as u64) >> 32;
    ShardId::new(usize::try_from(shard).expect("below the number of shards"))
}

/// Over which shards of a node rooms are spread, and over which parts of a cluster, when there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    shards: u8,
    /// 0: there is no cluster.
    parts: u16,
}

impl Spread {
    /// Over the shards of one node.
    #[must_use]
    pub fn over(shards: usize) -> Self {
        assert!(shards > 0 && shards <= SHARDS_MAX);
        Self { shards: u8::try_from(shards).expect("SHARDS_MAX fits a byte"), parts: 0 }
    }

    /// The same of a node of a cluster with so many parts: a part is on one shard.
    #[must_use]
    pub fn with_parts(self, parts: u16) -> Self {
        Self { parts, ..self }
    }

    /// Shards of this node.
    #[must_use]
    pub fn shards(self) -> usize {
        usize::from(self.shards)
    }

    /// Parts of the cluster.
    #[must_use]
    pub fn parts(self) -> Option<u16> {
        Some(self.parts).filter(|&parts| parts > 0)
    }

    /// The shard that owns the room, when this node does.
    #[must_use]
    pub fn shard_of(self, room: &str) -> ShardId {
        match self.parts() {
            None => shard_of(room, self.shards()),
            Some(parts) => self.shard_of_part(part_of(room, parts)),
        }
    }

    /// The part that the room is in, when there is a cluster.
    #[must_use]
    pub fn part_of(self, room: &str) -> Option<u16> {
        self.parts().map(|parts| part_of(room, parts))
    }

    /// The shard that owns a part, when this node does.
    #[must_use]
    pub fn shard_of_part(self, part: u16) -> ShardId {
        debug_assert!(part < self.parts);
        ShardId::new(usize::from(part) * self.shards() / usize::from(self.parts))
    }
}

/// The part of a cluster's rooms that this room is in, of so many.
#[must_use]
pub fn part_of(room: &str, parts: u16) -> u16 {
    assert!(parts > 0);
    // The high half of a product is even over the parts, as it is over shards.
    u16::try_from(((room_hash(room) >> 32) * u64::from(parts)) >> 32).expect("below the number of parts")
}

/// A set of shards, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ShardSet(u64);

impl ShardSet {
    /// The set without members.
    pub const EMPTY: Self = Self(0);

    /// Adds a shard.
    pub fn insert(&mut self, shard: ShardId) {
        self.0 |= 1 << shard.0;
    }

    /// Takes a shard out.
    pub fn remove(&mut self, shard: ShardId) {
        self.0 &= !(1 << shard.0);
    }

    /// Whether the shard is in the set.
    #[must_use]
    pub fn contains(self, shard: ShardId) -> bool {
        self.0 & (1 << shard.0) != 0
    }

    /// Whether no shard is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The shards of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        (0..SHARDS_MAX).map(ShardId::new).filter(move |&shard| self.contains(shard))
    }
}

/// One connection: the shard it lives on, its slot there, and the slot's generation.
///
/// 8 bits of shard, 24 bits of slot, 32 bits of generation. A slot is used again only with another generation, so what
/// still names the old connection finds nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

impl ConnId {
    /// The connection in `slot` of `shard` with this generation. `slot` is below [`CONN_SLOTS_MAX`].
    #[must_use]
    pub fn new(shard: ShardId, slot: u32, generation: u32) -> Self {
        assert!((slot as usize) < CONN_SLOTS_MAX, "slot {slot} is out of range");
        Self(u64::from(shard.0) << 56 | u64::from(slot) << 32 | u64::from(generation))
    }

    /// The shard on which the connection lives.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId(self.0.to_be_bytes()[0])
    }

    /// Its slot there.
    #[must_use]
    pub fn slot(self) -> u32 {
        u32::try_from(self.0 >> 32 & 0xff_ffff).expect("24 bits")
    }

    /// The slot's generation.
    #[must_use]
    pub fn generation(self) -> u32 {
        u32::try_from(self.0 & 0xffff_ffff).expect("32 bits")
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conn {}.{}.{}", self.shard().index(), self.slot(), self.generation())
    }
}

/// Where a connection comes from, and which one it is: what of it outlives the process with a hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Origin {
    /// A hash of the address under a key that outlives the process, so that a stored hold tells nobody the address. 0:
    /// not known, because it was not looked at or not kept.
    pub address: u64,
    /// A number that no other connection has, and that a later one may prove to own. 0: none.
    pub owner: u64,
}

impl Origin {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { address: 0, owner: 0 };

    /// Nothing but the address is known.
    #[must_use]
    pub fn of_address(address: u64) -> Self {
        Self { address, owner: 0 }
    }

    /// Whether both are known to come from one address.
    #[must_use]
    pub fn is_neighbour_of(self, other: Self) -> bool {
        self.address != 0 && self.address == other.address
    }

    /// Whether both are known to be one owner.
    #[must_use]
    pub fn is_owner_of(self, other: Self) -> bool {
        self.owner != 0 && self.owner == other.owner
    }
}

/// Within which life of a room a sequence number counts. It changes when the numbers cannot be continued.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnId, ShardId, is_reserved_client, is_valid_id, shard_of};

    #[test]
    fn an_id_is_short_and_all_of_it_is_seen() {
        for good in ["a", " ", "~", "Ana María 🎭", "a/b:c", "100%", "座席", "❤\u{fe0f}", &"é".repeat(64), "مقعد"]
        {
            assert!(is_valid_id(good), "{good:?}");
        }
        for bad in ["", &"x".repeat(129), &"é".repeat(65), "\0", "a\nb", "\u{7f}", "\u{85}"] {
            assert!(!is_valid_id(bad), "{bad:?}");
        }
        // Directions, ends of lines, zero widths, joiners, fillers, tags.
        for hidden in "\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}\u{200b}\u{200c}\u{200d}\u{2060}\
                       \u{feff}\u{ad}\u{34f}\u{180e}\u{115f}\u{3164}\u{ffa0}\u{fe00}\u{e0067}"
            .chars()
        {
            for bad in [format!("{hidden}"), format!("Ana{hidden}"), format!("{hidden}座席")] {
                assert!(!is_valid_id(&bad), "{bad:?}");
            }
        }
    }

    #[test]
    fn names_of_the_server_are_not_for_clients() {
        for (name, expected) in [("system", true), ("holder:kiosk 1", true), ("holder:", true), ("holder", false)] {
            assert_eq!(is_reserved_client(name), expected, "{name}");
        }
        assert!(!is_reserved_client("System") && !is_reserved_client("a system"), "as they are written");
    }

    #[test]
    fn rooms_with_similar_names_are_spread_evenly() {
        for shards in [2, 3, 8, 64] {
            let mut rooms = vec![0_usize; shards];
            (0..64_000).for_each(|number| rooms[shard_of(&format!("room-{number:05}"), shards).index()] += 1);
            let even = 64_000 / shards;
            assert!(rooms.iter().all(|&count| count > even * 8 / 10 && count < even * 12 / 10), "{rooms:?}");
        }
    }

    #[test]
    fn a_connection_is_its_parts() {
        let id = ConnId::new(ShardId::new(63), 0xab_cdef, 0xfedc_ba98);
        assert_eq!((id.shard().index(), id.slot(), id.generation()), (63, 0xab_cdef, 0xfedc_ba98));
    }
}
