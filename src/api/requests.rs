//! What the bodies of calls say, and what that asks of a room.
//!
//! Invariants: an unknown field is an error, so that a typo in a booking does not pass silently; what stands here as a
//! [`SaleRequest`] means something. Never here: answers.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{Name, Within};
use crate::auth::session::read_session;
use crate::engine::command::{BestQuery, BookMode, CancelTo, OwnerName, Places, SaleRequest, Wanted, Whose};
use crate::engine::ids::SeatId;
use crate::limits::api::{API_BAN_S_MAX, API_HOLD_TTL_S_MAX, API_ORDER_TTL_S_MAX};
use crate::limits::{ID_BYTES_MAX, NAMES_PER_FILTER_MAX, ROOM_HOLDS_MAX, SEATS_PER_REQUEST_MAX};

/// What is wrong with a body that is JSON.
pub(super) type Wrong = String;

type Quantity = Within<1, { SEATS_PER_REQUEST_MAX as u64 }>;
type Accessible = Within<0, { SEATS_PER_REQUEST_MAX as u64 }>;
type HoldTtl = Within<1, API_HOLD_TTL_S_MAX>;
type BanS = Within<0, API_BAN_S_MAX>;
type OrderTtl = Within<1, API_ORDER_TTL_S_MAX>;

/// The longest name of a holder: strangers see it behind `holder:`, as a client id.
const HOLDER_BYTES_MAX: usize = ID_BYTES_MAX - "holder:".len();

/// The text of a name, to be kept by rooms.
pub(super) fn shared(name: &Name) -> Arc<str> {
    name.as_str().into()
}

/// Which seats are wanted, when it is left to the server which ones.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Best {
    /// How many.
    #[schema(inline)]
    quantity: Quantity,
    /// Only in these sections.
    sections: Option<Vec<Name>>,
    /// Only of these categories.
    categories: Option<Vec<Name>>,
    /// How many of them must be accessible.
    #[schema(inline)]
    accessible: Option<Accessible>,
    /// In one row, next to each other; `true` by default.
    adjacent: Option<bool>,
}

impl Best {
    fn query(self) -> Result<BestQuery, Wrong> {
        let (sections, categories) = (self.sections.unwrap_or_default(), self.categories.unwrap_or_default());
        for (what, names) in [("sections", &sections), ("categories", &categories)] {
            if names.len() > NAMES_PER_FILTER_MAX {
                return Err(format!("{what}: there are more than {NAMES_PER_FILTER_MAX}"));
            }
        }
        let small = |number: u64| u32::try_from(number).expect("bounds of requests are small");
        let accessible = self.accessible.map_or(0, |accessible| accessible.0);
        if accessible > self.quantity.0 {
            return Err("accessible: it is more than quantity".into());
        }
        let texts = |names: Vec<Name>| names.iter().map(|name| name.as_str().into()).collect();
        Ok(BestQuery {
            quantity: small(self.quantity.0),
            sections: texts(sections),
            categories: texts(categories),
            accessible: small(accessible),
            adjacent: self.adjacent.unwrap_or(true),
        })
    }
}

/// Seats for a holder: either `seats` or `best`.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldBody {
    /// For whom: a kiosk, a sale by telephone.
    #[schema(max_length = 121)]
    holder: Name,
    /// These seats, 1 to 50.
    #[schema(min_items = 1, max_items = 50)]
    seats: Option<Vec<Name>>,
    /// The best seats.
    best: Option<Best>,
    /// How long, in seconds; the room's `hold_ms` by default.
    #[schema(inline)]
    ttl_s: Option<HoldTtl>,
}

impl HoldBody {
    pub(super) fn request(self) -> Result<SaleRequest, Wrong> {
        let wanted = match (self.seats, self.best) {
            (Some(seats), None) => Wanted::Seats(distinct("seats", &seats, SEATS_PER_REQUEST_MAX)?),
            (None, Some(best)) => Wanted::Best(best.query()?),
            (Some(_), Some(_)) | (None, None) => return Err("it needs either seats or best".into()),
        };
        if self.holder.as_str().len() > HOLDER_BYTES_MAX {
            return Err(format!("holder: allowed are 1 to {HOLDER_BYTES_MAX} bytes"));
        }
        let ttl_ms = self.ttl_s.map(|ttl| ttl.0 * 1_000);
        Ok(SaleRequest::Hold { holder: shared(&self.holder), wanted, ttl_ms })
    }
}

/// Seats that are named, each once, at least one.
fn distinct(what: &str, names: &[Name], max: usize) -> Result<Vec<SeatId>, Wrong> {
    if names.is_empty() || names.len() > max {
        return Err(format!("{what}: allowed are 1 to {max}, and there are {}", names.len()));
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(format!("{what}: {:?} stands there twice", twice.as_str())),
        None => Ok(names.iter().map(Name::id).collect()),
    }
}

/// An owner: exactly one of these.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnerBody {
    /// A session of protocol v2, as `hello` names it.
    session_id: Option<String>,
    /// The subject of tokens.
    subject: Option<Name>,
    /// Whom the backend itself has named.
    holder: Option<Name>,
    /// The client id of a connection of protocol v1.
    client_id: Option<Name>,
}

impl OwnerBody {
    pub(super) fn name(&self) -> Result<OwnerName, Wrong> {
        owner([
            self.session_id.as_deref().map(session),
            self.subject.as_ref().map(|name| Ok(OwnerName::Subject(shared(name)))),
            self.holder.as_ref().map(|name| Ok(OwnerName::Holder(shared(name)))),
            self.client_id.as_ref().map(|name| Ok(OwnerName::Client(name.id()))),
        ])
    }
}

/// The one that is given.
fn owner<const N: usize>(given: [Option<Result<OwnerName, Wrong>>; N]) -> Result<OwnerName, Wrong> {
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(owner), None) => owner,
        (_, _) => Err("it needs exactly one name of an owner".into()),
    }
}

/// The longest text of an owner in a query.
pub(super) const OWNER_BYTES_MAX: usize = ID_BYTES_MAX + "session_id:".len();

/// An owner as a list is asked for one: `session_id:…`, `subject:…`, `holder:…`, and whatever else is a client id, or
/// the bare name of a subject or a holder.
pub(super) fn owner_of_query(text: &str) -> Result<OwnerName, Wrong> {
    let name = |text: &str| Name::new(text).ok_or_else(|| "a name has 1 to 128 bytes".to_owned());
    match text.split_once(':') {
        Some(("session_id", id)) => session(id),
        Some(("subject", subject)) => name(subject).map(|name| OwnerName::Subject(shared(&name))),
        Some(("holder", holder)) => name(holder).map(|name| OwnerName::Holder(shared(&name))),
        Some(("client_id", client)) => name(client).map(|name| OwnerName::Client(name.id())),
        Some(_) | None => name(text).map(|name| OwnerName::Client(name.id())),
    }
}

fn session(text: &str) -> Result<OwnerName, Wrong> {
    read_session(text).map(OwnerName::Session).ok_or_else(|| "session_id: it is none".into())
}

/// Who is removed: exactly one of these, `ban_s` aside.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct DisconnectBody {
    /// A session of protocol v2.
    session_id: Option<String>,
    /// The subject of tokens.
    subject: Option<Name>,
    /// The client id of connections.
    client_id: Option<Name>,
    /// For how many seconds it may not come back.
    #[schema(inline)]
    ban_s: Option<BanS>,
}

impl DisconnectBody {
    /// Who, and for how long in seconds.
    pub(super) fn read(self) -> Result<(OwnerName, u64), Wrong> {
        let Self { session_id, subject, client_id, ban_s } = self;
        let owner = OwnerBody { session_id, subject, holder: None, client_id };
        Ok((owner.name()?, ban_s.map_or(0, |ban| ban.0)))
    }
}

/// What an operator frees: exactly one of these, `reason` aside.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseBody {
    /// Seats, whoever holds them.
    seats: Option<Vec<Name>>,
    /// All that a holder has.
    holder: Option<Name>,
    /// All that a session has.
    session_id: Option<String>,
    /// All that a subject has.
    subject: Option<Name>,
    /// Why, for people: the log says it.
    reason: Option<Name>,
}

impl ReleaseBody {
    pub(super) fn request(self) -> Result<SaleRequest, Wrong> {
        let owner =
            OwnerBody { session_id: self.session_id, subject: self.subject, holder: self.holder, client_id: None };
        let has_owner = owner.session_id.is_some() || owner.subject.is_some() || owner.holder.is_some();
        let whose = match (self.seats, has_owner) {
            (Some(seats), false) => Whose::Seats(distinct("seats", &seats, ROOM_HOLDS_MAX)?),
            (None, true) => Whose::Owner(owner.name()?),
            (Some(_), true) | (None, false) => return Err("it needs either seats or one owner".into()),
        };
        Ok(SaleRequest::Release { whose, reason: self.reason.map(|reason| reason.as_str().into()) })
    }
}

/// A checkout.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckoutBody {
    /// Whose cart.
    owner: OwnerBody,
    /// Which of its seats; all of them by default.
    #[schema(min_items = 1)]
    seats: Option<Vec<Name>>,
    /// How long it may take to pay, in seconds; 900 by default.
    #[schema(inline)]
    ttl_s: Option<OrderTtl>,
}

impl CheckoutBody {
    pub(super) fn request(self, order: &Name) -> Result<SaleRequest, Wrong> {
        let owner = self.owner.name().map_err(|wrong| format!("owner: {wrong}"))?;
        let seats = self.seats.map(|seats| distinct("seats", &seats, ROOM_HOLDS_MAX)).transpose()?;
        let ttl_ms = self.ttl_s.map(|ttl| ttl.0 * 1_000);
        Ok(SaleRequest::Checkout { order: order.id(), owner, seats, ttl_ms })
    }
}

/// When an order may be booked.
#[derive(Clone, Copy, Deserialize, ToSchema, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum BookWord {
    /// While it is in checkout.
    Held,
    /// Also later, if nobody else has taken its seats.
    HeldOrFree,
}

/// A booking.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct BookBody {
    /// When it may be booked.
    mode: Option<BookWord>,
}

impl BookBody {
    pub(super) fn request(&self, order: &Name) -> SaleRequest {
        let mode = match self.mode {
            Some(BookWord::Held) | None => BookMode::Held,
            Some(BookWord::HeldOrFree) => BookMode::HeldOrFree,
        };
        SaleRequest::Book { order: order.id(), mode }
    }
}

/// Where the seats of a cancelled order go.
#[derive(Clone, Copy, Deserialize, ToSchema, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum CancelWord {
    /// Back to the cart, if that is still there.
    Cart,
    /// Nobody has them.
    Free,
}

/// A cancellation.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelBody {
    /// Where the seats go.
    to: CancelWord,
}

impl CancelBody {
    pub(super) fn request(&self, order: &Name) -> SaleRequest {
        let to = match self.to {
            CancelWord::Cart => CancelTo::Cart,
            CancelWord::Free => CancelTo::Free,
        };
        SaleRequest::Cancel { order: order.id(), to }
    }
}

/// A refund.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundBody {
    /// Of which seats; of all by default.
    #[schema(min_items = 1)]
    seats: Option<Vec<Name>>,
}

impl RefundBody {
    pub(super) fn request(&self, order: &Name) -> Result<SaleRequest, Wrong> {
        let seats = self.seats.as_ref().map(|seats| distinct("seats", seats, ROOM_HOLDS_MAX)).transpose()?;
        Ok(SaleRequest::Refund { order: order.id(), seats })
    }
}

/// What becomes of held seats that are to be blocked.
#[derive(Clone, Copy, Deserialize, ToSchema, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum HeldWord {
    /// They are taken away.
    Release,
}

/// Seats that go off sale.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockBody {
    /// These,
    seats: Option<Vec<Name>>,
    /// and all of these sections.
    sections: Option<Vec<Name>>,
    /// Why, for people.
    label: Name,
    /// What becomes of held ones; without it they are in the way.
    held: Option<HeldWord>,
}

impl BlockBody {
    pub(super) fn request(self) -> Result<SaleRequest, Wrong> {
        let what = places(self.seats.as_deref(), self.sections.as_deref())?;
        let release_held = self.held == Some(HeldWord::Release);
        Ok(SaleRequest::Block { what, label: shared(&self.label), release_held })
    }
}

/// Seats that come back on sale.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct UnblockBody {
    /// These,
    seats: Option<Vec<Name>>,
    /// and all of these sections.
    sections: Option<Vec<Name>>,
    /// Why, for people: the log says it.
    label: Option<Name>,
}

impl UnblockBody {
    pub(super) fn request(&self) -> Result<SaleRequest, Wrong> {
        let label = self.label.as_ref().map(|label| label.as_str().into());
        Ok(SaleRequest::Unblock { what: places(self.seats.as_deref(), self.sections.as_deref())?, label })
    }
}

fn places(seats: Option<&[Name]>, sections: Option<&[Name]>) -> Result<Places, Wrong> {
    let is_given = |names: Option<&[Name]>| names.is_some_and(|names| !names.is_empty());
    if !is_given(seats) && !is_given(sections) {
        return Err("it needs seats or sections".into());
    }
    let seats = seats.filter(|seats| !seats.is_empty());
    let seats = seats.map(|seats| distinct("seats", seats, ROOM_HOLDS_MAX)).transpose()?.unwrap_or_default();
    let sections = sections.unwrap_or_default();
    let mut sections: Vec<Box<str>> = sections.iter().map(|name| name.as_str().into()).collect();
    sections.sort_unstable();
    sections.dedup();
    Ok(Places { seats, sections })
}

/// A seat that was sold, as the shop's database says.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct BookedSeat {
    seat: Name,
    order: Name,
}

/// A seat that is off sale, as the shop's database says.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockedSeat {
    seat: Name,
    label: Name,
}

/// What the shop's database says. A list that is absent leaves its kind alone; one that is there is all of it.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct ReconcileBody {
    /// Every seat that was sold.
    booked: Option<Vec<BookedSeat>>,
    /// Every seat that is off sale.
    blocked: Option<Vec<BlockedSeat>>,
    /// Only say what would change.
    dry_run: Option<bool>,
}

impl ReconcileBody {
    pub(super) fn request(self) -> Result<SaleRequest, Wrong> {
        let booked = self.booked.iter().flatten().map(|booked| &booked.seat);
        let mut seats = booked.chain(self.blocked.iter().flatten().map(|blocked| &blocked.seat));
        let mut seen = HashSet::new();
        if let Some(twice) = seats.find(|seat| !seen.insert(*seat)) {
            return Err(format!("the seat {:?} stands there twice", twice.as_str()));
        }
        let booked = self.booked.map(|all| all.iter().map(|booked| (booked.seat.id(), booked.order.id())).collect());
        let of = |blocked: &BlockedSeat| (blocked.seat.id(), shared(&blocked.label));
        let blocked = self.blocked.map(|all| all.iter().map(of).collect());
        Ok(SaleRequest::Reconcile { booked, blocked, dry_run: self.dry_run.unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests;
