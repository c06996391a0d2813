//! The settings of a room as the backend writes them.
//!
//! Invariant: an unknown field is an error, and so is what means nothing together. Never here: what a setting does.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::requests::{Wrong, shared};
use super::words::{Moment, Name, Within};
use crate::engine::command::{LayoutName, RoomPatch, RoomPlan, RoomSettings, Sale, SaleRequest};
use crate::layout::catalog::Catalog;
use crate::limits::api::API_HOLD_MS_MIN;
use crate::limits::{HOLD_TTL_MS_MAX, ROOM_HOLDS_MAX};

/// The state of a sale.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum SaleWord {
    Scheduled,
    Open,
    Paused,
    Closed,
}

impl SaleWord {
    fn with(self, opens_at: Option<Moment>) -> Result<Sale, Wrong> {
        let sale = match self {
            Self::Scheduled => return Ok(Sale::Scheduled { opens_at: opens_at.map(|moment| moment.0) }),
            Self::Open => Sale::Open,
            Self::Paused => Sale::Paused,
            Self::Closed => Sale::Closed,
        };
        if opens_at.is_some() { Err("opens_at: it needs \"sale\": \"scheduled\"".into()) } else { Ok(sale) }
    }
}

/// The layout of a room: its name for the latest version, or `{"id", "version"}` for that one.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(untagged, deny_unknown_fields, expecting = "a layout is its name, or {\"id\", \"version\"}")]
pub(super) enum LayoutBody {
    Latest(Name),
    Version { id: Name, version: Name },
}

impl LayoutBody {
    fn find(&self, layouts: &Catalog) -> Result<RoomPlan, Wrong> {
        let found = match self {
            Self::Latest(id) => layouts.latest(id.as_str()),
            Self::Version { id, version } => layouts.get(id.as_str(), version.as_str()),
        };
        found.map(RoomPlan).ok_or_else(|| "layout: there is none of this name, or not in this version".into())
    }
}

/// How settings name a layout.
fn name_of(plan: &RoomPlan) -> LayoutName {
    LayoutName::of(&plan.0)
}

type HoldMs = Within<API_HOLD_MS_MIN, HOLD_TTL_MS_MAX>;
type MaxSeats = Within<0, { ROOM_HOLDS_MAX as u64 }>;

/// The settings of a room. What is absent has its default.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomBody {
    /// Whether clients may hold seats; `open` by default.
    sale: Option<SaleWord>,
    /// When a scheduled sale opens by itself.
    opens_at: Option<Moment>,
    /// How long a cart lives; the server's `HOLD_TTL_MS` by default.
    #[schema(inline)]
    hold_ms: Option<HoldMs>,
    /// Seats of one owner; 0 is no limit; the server's `MAX_SEATS_PER_CLIENT` by default.
    #[schema(inline)]
    max_seats: Option<MaxSeats>,
    /// Whether no hold may leave a single seat alone.
    no_orphans: Option<bool>,
    /// When the event is over.
    ends_at: Option<Moment>,
    /// What members are told with the state of the sale.
    message: Option<Name>,
    /// The layout; without one any name is a seat.
    #[schema(inline)]
    layout: Option<LayoutBody>,
}

/// What a file asks for of a room: the same as the body of `PUT`. Layouts are those of `layouts`.
///
/// # Errors
/// One line: these are no settings of a room.
pub fn room_of_file(json: &str, layouts: &Catalog) -> Result<SaleRequest, String> {
    serde_json::from_str::<RoomBody>(json).map_err(|error| error.to_string())?.request(layouts)
}

impl RoomBody {
    pub(super) fn request(self, layouts: &Catalog) -> Result<SaleRequest, Wrong> {
        let plan = self.layout.map(|layout| layout.find(layouts)).transpose()?;
        let settings = RoomSettings {
            sale: self.sale.unwrap_or(SaleWord::Open).with(self.opens_at)?,
            hold_ms: self.hold_ms.map(|ms| ms.0),
            max_seats: self.max_seats.map(seats),
            no_orphans: self.no_orphans.unwrap_or(false),
            ends_at: self.ends_at.map(|moment| moment.0),
            message: self.message.as_ref().map(shared),
            layout: plan.as_ref().map(name_of),
        };
        Ok(SaleRequest::PutRoom { settings, plan })
    }
}

fn seats(max: MaxSeats) -> u32 {
    u32::try_from(max.0).expect("the bound is small")
}

/// What is to be different: `null` gives the default back, what is absent stays.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomPatchBody {
    /// Whether clients may hold seats.
    #[schema(nullable = false)]
    sale: Option<SaleWord>,
    /// When a scheduled sale opens by itself.
    #[schema(nullable = false)]
    opens_at: Option<Moment>,
    /// How long a cart lives.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<HoldMs>, inline)]
    hold_ms: Option<Option<HoldMs>>,
    /// Seats of one owner; 0 is no limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<MaxSeats>, inline)]
    max_seats: Option<Option<MaxSeats>>,
    /// Whether no hold may leave a single seat alone.
    #[schema(nullable = false)]
    no_orphans: Option<bool>,
    /// When the event is over.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Moment>)]
    ends_at: Option<Option<Moment>>,
    /// What members are told with the state of the sale.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Name>)]
    message: Option<Option<Name>>,
    /// The layout.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<LayoutBody>, inline)]
    layout: Option<Option<LayoutBody>>,
}

/// A field that is there, which may be null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl RoomPatchBody {
    pub(super) fn request(self, layouts: &Catalog) -> Result<SaleRequest, Wrong> {
        let plan = self.layout.as_ref().and_then(Option::as_ref).map(|layout| layout.find(layouts)).transpose()?;
        let sale = match (self.sale, self.opens_at) {
            (Some(word), opens_at) => Some(word.with(opens_at)?),
            (None, Some(_)) => return Err("opens_at: it needs \"sale\": \"scheduled\"".into()),
            (None, None) => None,
        };
        let patch = RoomPatch {
            sale,
            hold_ms: self.hold_ms.map(|ms| ms.map(|ms| ms.0)),
            max_seats: self.max_seats.map(|max| max.map(seats)),
            no_orphans: self.no_orphans,
            ends_at: self.ends_at.map(|moment| moment.map(|moment| moment.0)),
            message: self.message.map(|text| text.as_ref().map(shared)),
            layout: self.layout.map(|_| plan.as_ref().map(name_of)),
        };
        Ok(SaleRequest::PatchRoom { patch, plan })
    }
}
