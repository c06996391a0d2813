//! What calls are answered, and how the answers of shards are told.
//!
//! Invariants: `durable` says whether what is told outlives the process; a refusal of a shard is one of the table of
//! problems. Never here: who asked.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{self, Conflict, Kind, Problem};
use super::words::Moment;
use crate::auth::session::session_text;
use crate::engine::command::{
    CartView, Details, OrderState, OrderTold, OwnerName, Reject, RoomTold, Sale, SeatStatus, SeatTold, Tally,
};
use crate::engine::ids::{SeatId, TextId};

/// An owner: one of these.
#[derive(Serialize, ToSchema, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum OwnerAnswer {
    SessionId(String),
    Subject(String),
    Holder(String),
    ClientId(String),
}

impl From<&OwnerName> for OwnerAnswer {
    fn from(owner: &OwnerName) -> Self {
        match owner {
            OwnerName::Session(session) => Self::SessionId(session_text(*session)),
            OwnerName::Subject(name) => Self::Subject(name.to_string()),
            OwnerName::Holder(name) => Self::Holder(name.to_string()),
            OwnerName::Client(name) => Self::ClientId(name.as_str().into()),
        }
    }
}

/// A room.
#[derive(Serialize, ToSchema, PartialEq, Eq, Debug)]
pub(super) struct RoomAnswer {
    room: String,
    /// Whether the backend has made it, or a client by naming it.
    declared: bool,
    /// `scheduled`, `open`, `paused`, `closed`.
    sale: &'static str,
    /// When a scheduled sale opens.
    opens_at: Option<Moment>,
    /// How long a cart lives; null: as the server has it.
    hold_ms: Option<u64>,
    /// Seats of one owner; null: as the server has it.
    max_seats: Option<u32>,
    no_orphans: bool,
    ends_at: Option<Moment>,
    message: Option<String>,
    /// Its layout; null: any name is a seat.
    #[schema(inline)]
    layout: Option<LayoutOfRoom>,
    /// The life of the room in which `seq` counts.
    epoch: String,
    /// The number of its last change.
    seq: u64,
    members: usize,
    durable: bool,
}

impl RoomAnswer {
    pub(super) fn new(told: &RoomTold, durable: bool) -> Self {
        let settings = told.settings.clone().unwrap_or_default();
        let opens_at = match settings.sale {
            Sale::Scheduled { opens_at } => opens_at.map(Moment),
            Sale::Open | Sale::Paused | Sale::Closed => None,
        };
        Self {
            room: told.room.as_str().into(),
            declared: told.settings.is_some(),
            sale: settings.sale.word(),
            opens_at,
            hold_ms: settings.hold_ms,
            max_seats: settings.max_seats,
            no_orphans: settings.no_orphans,
            ends_at: settings.ends_at.map(Moment),
            message: settings.message.map(|text| text.to_string()),
            layout: settings
                .layout
                .map(|name| LayoutOfRoom { id: name.id.to_string(), version: name.version.to_string() }),
            epoch: told.epoch.to_string(),
            seq: told.seq,
            members: told.members,
            durable,
        }
    }
}

/// A layout in one version.
#[derive(Serialize, ToSchema, PartialEq, Eq, Debug)]
pub(super) struct LayoutOfRoom {
    id: String,
    version: String,
}

/// Rooms in the order of their names.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct RoomsAnswer {
    pub(super) rooms: Vec<RoomAnswer>,
    /// What to give as `after` for more; null: there are none.
    pub(super) next: Option<String>,
}

/// It is gone.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct DeletedAnswer {
    pub(super) deleted: bool,
    pub(super) durable: bool,
}

/// How many connections there were.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct DisconnectAnswer {
    pub(super) closed: usize,
}

/// A seat.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct SeatAnswer {
    seat: String,
    /// `free`, `held`, `checkout`, `booked`, `blocked`.
    state: &'static str,
    /// The name that strangers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// Why it is blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Moment>,
    /// Until when; null: for good.
    expires_at: Option<Moment>,
}

impl From<&SeatTold> for SeatAnswer {
    fn from(told: &SeatTold) -> Self {
        Self {
            seat: text(&told.seat),
            state: told.status.word(),
            client_id: told.client.as_ref().map(text),
            owner: told.owner.as_ref().map(OwnerAnswer::from),
            order: told.order.as_ref().map(text),
            label: told.label.as_deref().map(str::to_owned),
            since: told.at.map(Moment),
            expires_at: told.expires_at.map(Moment),
        }
    }
}

fn text<Kind>(id: &TextId<Kind>) -> String {
    id.as_str().into()
}

fn texts(ids: &[SeatId]) -> Vec<String> {
    ids.iter().map(text).collect()
}

/// Seats in the order of their names.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct SeatsAnswer {
    pub(super) room: String,
    pub(super) seats: Vec<SeatAnswer>,
    /// What to give as `after` for more; null: there are none.
    pub(super) next: Option<String>,
}

impl SeatsAnswer {
    pub(super) fn new(room: &str, told: &[SeatTold], more: bool) -> Self {
        let next = told.last().filter(|_| more).map(|last| text(&last.seat));
        Self { room: room.into(), seats: told.iter().map(SeatAnswer::from).collect(), next }
    }
}

/// How many seats are what.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct TallyAnswer {
    /// Null without a layout.
    free: Option<u32>,
    held: u32,
    checkout: u32,
    booked: u32,
    blocked: u32,
}

impl From<&Tally> for TallyAnswer {
    fn from(tally: &Tally) -> Self {
        let Tally { free, held, checkout, booked, blocked } = *tally;
        Self { free, held, checkout, booked, blocked }
    }
}

/// How many seats are what: in all, by section and by category.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct CountsAnswer {
    room: String,
    total: TallyAnswer,
    sections: BTreeMap<String, TallyAnswer>,
    categories: BTreeMap<String, TallyAnswer>,
}

impl CountsAnswer {
    pub(super) fn new(room: &str, total: &Tally, by: [&[(Box<str>, Tally)]; 2]) -> Self {
        let [sections, categories] =
            by.map(|tallies| tallies.iter().map(|(name, tally)| (name.to_string(), tally.into())).collect());
        Self { room: room.into(), total: total.into(), sections, categories }
    }
}

/// What a holder has now.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct HoldAnswer {
    pub(super) room: String,
    /// Those of this request.
    pub(super) seats: Vec<String>,
    pub(super) cart: CartAnswer,
    pub(super) durable: bool,
}

impl HoldAnswer {
    pub(super) fn new(room: &str, seats: &[SeatId], cart: &CartView, durable: bool) -> Self {
        let cart = CartAnswer { seats: texts(&cart.seats), expires_at: cart.expires_at.map(Moment) };
        Self { room: room.into(), seats: texts(seats), cart, durable }
    }
}

/// All that an owner holds in a room.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct CartAnswer {
    seats: Vec<String>,
    /// When they become free by themselves.
    expires_at: Option<Moment>,
}

/// Seats that became free.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct ReleaseAnswer {
    pub(super) room: String,
    pub(super) seats: Vec<String>,
}

impl ReleaseAnswer {
    pub(super) fn new(room: &str, seats: &[SeatId]) -> Self {
        Self { room: room.into(), seats: texts(seats) }
    }
}

/// An order.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct OrderAnswer {
    order: String,
    room: String,
    /// `checkout`, `booked`, `cancelled`, `expired`, `refunded`.
    state: &'static str,
    /// All its seats.
    seats: Vec<String>,
    /// Those whose booking was undone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    refunded: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerAnswer>,
    /// When it ends by itself, in checkout.
    expires_at: Option<Moment>,
    durable: bool,
}

impl OrderAnswer {
    pub(super) fn new(room: &str, told: &OrderTold, durable: bool) -> Self {
        Self {
            order: text(&told.order),
            room: room.into(),
            state: told.state.word(),
            seats: texts(&told.seats),
            refunded: texts(&told.refunded),
            owner: told.owner.as_ref().map(OwnerAnswer::from),
            expires_at: told.expires_at.filter(|_| told.state == OrderState::Checkout).map(Moment),
            durable,
        }
    }
}

/// What has been blocked, or is for sale again.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct BlocksAnswer {
    room: String,
    /// Seats that have changed; what was so already is not among them.
    changed: Vec<String>,
    /// Seats that were taken from their holders for it.
    released: Vec<String>,
    durable: bool,
}

impl BlocksAnswer {
    pub(super) fn new(room: &str, changed: &[SeatId], released: &[SeatId], durable: bool) -> Self {
        Self { room: room.into(), changed: texts(changed), released: texts(released), durable }
    }
}

/// What has changed, or would.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct ReconcileAnswer {
    room: String,
    booked: Vec<String>,
    blocked: Vec<String>,
    freed: Vec<String>,
    durable: bool,
}

impl ReconcileAnswer {
    pub(super) fn new(room: &str, changed: [&[SeatId]; 3], durable: bool) -> Self {
        let [booked, blocked, freed] = changed.map(texts);
        Self { room: room.into(), booked, blocked, freed, durable }
    }
}

/// What a refusal of a shard is here.
fn kind(reject: Reject) -> &'static Kind {
    match reject {
        Reject::SeatTaken | Reject::SeatsUnavailable => &problem::SEATS_UNAVAILABLE,
        Reject::NotHeld => &problem::NOT_HELD,
        Reject::NotOwner => &problem::NOT_OWNER,
        Reject::LimitExceeded | Reject::AddressLimit => &problem::LIMIT_EXCEEDED,
        Reject::Overloaded => &problem::OVERLOADED,
        Reject::PersistenceUnavailable => &problem::PERSISTENCE_UNAVAILABLE,
        Reject::BadRequest => &problem::INVALID,
        Reject::UnknownSeat => &problem::UNKNOWN_SEAT,
        Reject::UnknownRoom => &problem::UNKNOWN_ROOM,
        Reject::NotEnoughSeats { .. } => &problem::NOT_ENOUGH_SEATS,
        Reject::NoAdjacentSeats { .. } => &problem::NO_ADJACENT_SEATS,
        Reject::OrphanSeat => &problem::ORPHAN_SEAT,
        Reject::SaleNotOpen | Reject::SalePaused | Reject::SaleClosed => &problem::SALE_NOT_OPEN,
        Reject::ExtendLimit | Reject::HoldExpired { .. } | Reject::TooSoon { .. } => &problem::HOLD_EXPIRED,
        Reject::InCheckout => &problem::IN_CHECKOUT,
        Reject::UnknownOrder => &problem::UNKNOWN_ORDER,
        Reject::OrderExists => &problem::ORDER_EXISTS,
        Reject::OrderEnded => &problem::ORDER_ENDED,
        Reject::SeatsLost => &problem::SEATS_LOST,
        Reject::AmbiguousOwner => &problem::AMBIGUOUS_OWNER,
        Reject::RoomDiffers => &problem::ROOM_DIFFERS,
        Reject::LayoutMismatch => &problem::LAYOUT_MISMATCH,
        Reject::OrdersInCheckout => &problem::ORDERS_IN_CHECKOUT,
        Reject::NoLayout => &problem::NO_LAYOUT,
    }
}

/// A refusal of a shard as a problem.
pub(super) fn refused(reject: Reject, details: &Details) -> Problem {
    let kind = kind(reject);
    let detail = if let Reject::NotEnoughSeats { free } = reject {
        format!("there are {free}")
    } else if let Reject::NoAdjacentSeats { largest } = reject {
        format!("the most next to each other are {largest}")
    } else {
        kind.title.to_owned()
    };
    let is_unknown = reject == Reject::UnknownSeat;
    let state = |status: SeatStatus| if is_unknown { "unknown" } else { status.word() };
    let conflict = |(seat, status): &(SeatId, SeatStatus)| Conflict { seat: text(seat), state: state(*status) };
    let conflicts = details.conflicts.iter().map(conflict).collect();
    Problem { conflicts, ..Problem::new(kind, detail) }
}
