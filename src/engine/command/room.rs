//! What is decided about a room as a whole. Never here: how that is applied.

use std::fmt;
use std::sync::Arc;

use crate::engine::time::WallMillis;
use crate::layout::Layout;

/// Whether clients may hold seats in a room.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Sale {
    /// From this moment on; without one, when it is said.
    Scheduled {
        /// When.
        opens_at: Option<WallMillis>,
    },
    /// They may.
    #[default]
    Open,
    /// Not for now.
    Paused,
    /// Not any more.
    Closed,
}

impl Sale {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scheduled { .. } => "scheduled",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

/// Which layout a room has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayoutName {
    /// The layout.
    pub id: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
}

impl LayoutName {
    /// The name of a layout.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        Self { id: Arc::clone(layout.id()), version: Arc::clone(layout.version()) }
    }
}

/// What the members of a room are told of its layout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomLayout {
    /// Which one.
    pub name: LayoutName,
    /// Its number of seats.
    pub seats: u32,
}

impl RoomLayout {
    /// What is told of this one.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        let seats = u32::try_from(layout.len()).expect("a layout is bounded");
        Self { name: LayoutName::of(layout), seats }
    }
}

/// A layout itself. Two of one name are one: a version never changes.
#[derive(Clone)]
pub struct RoomPlan(pub Arc<Layout>);

impl PartialEq for RoomPlan {
    fn eq(&self, other: &Self) -> bool {
        LayoutName::of(&self.0) == LayoutName::of(&other.0)
    }
}

impl Eq for RoomPlan {}

impl fmt::Debug for RoomPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LayoutName::of(&self.0).fmt(f)
    }
}

/// What the backend has decided about a room. What is absent is as the server has it for every room.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RoomSettings {
    /// Whether clients may hold seats.
    pub sale: Sale,
    /// How long a hold lives.
    pub hold_ms: Option<u64>,
    /// Seats that one owner may have here; 0 is no limit.
    pub max_seats: Option<u32>,
    /// Whether a hold may leave a single seat alone. It needs a layout.
    pub no_orphans: bool,
    /// When the event is over. The room goes some time after it.
    pub ends_at: Option<WallMillis>,
    /// What members are told with the state of the sale.
    pub message: Option<Arc<str>>,
    /// The layout; without one any text is a seat.
    pub layout: Option<LayoutName>,
}

/// What is to be different: `None` leaves it as it is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RoomPatch {
    /// See [`RoomSettings::sale`].
    pub sale: Option<Sale>,
    /// See [`RoomSettings::hold_ms`]; `Some(None)`: as the server has it.
    pub hold_ms: Option<Option<u64>>,
    /// See [`RoomSettings::max_seats`].
    pub max_seats: Option<Option<u32>>,
    /// See [`RoomSettings::no_orphans`].
    pub no_orphans: Option<bool>,
    /// See [`RoomSettings::ends_at`].
    pub ends_at: Option<Option<WallMillis>>,
    /// See [`RoomSettings::message`].
    pub message: Option<Option<Arc<str>>>,
    /// See [`RoomSettings::layout`].
    pub layout: Option<Option<LayoutName>>,
}
