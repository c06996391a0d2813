//! What clients of the second protocol are told: one whole text frame a message.
//!
//! Invariants: `type` comes first, then the `id` of the request that is answered; a cart is always told whole; nothing
//! is allocated but room in `out`. Never here: maps (see `map`), who gets what, and when.

use super::request::{RequestId, Written};
use crate::engine::command::{CartView, SeatStatus};
use crate::engine::ids::{Epoch, SeatId};
use crate::engine::time::WallMillis;
use crate::wire::code::Code;
use crate::wire::frame::text_frame;
use crate::wire::json_object::Object;
use crate::wire::json_text;

/// How a connection stands with authentication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthState {
    /// Nobody needs a token here.
    Off,
    /// It has yet to bring one.
    Required,
    /// It has brought one.
    Ok,
}

impl AuthState {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Required => "required",
            Self::Ok => "ok",
        }
    }
}

/// What a connection is told first.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// The session, which only its owner and the shop hear of.
    pub session_id: &'a str,
    /// With what a later connection goes on as this session.
    pub session_token: &'a str,
    /// Whether it goes on as an earlier one.
    pub resumed: bool,
    /// The time.
    pub now: WallMillis,
    /// How it stands with authentication.
    pub auth: AuthState,
    /// How long its carts wait for it, in milliseconds.
    pub grace_ms: u64,
    /// After how much silence it is pinged, in milliseconds.
    pub ping_ms: u64,
}

/// Appends `hello`, with the carts of the rooms that were asked for.
pub fn hello<'c>(
    out: &mut Vec<u8>,
    id: Option<RequestId<'_>>,
    hello: &Hello<'_>,
    carts: impl Iterator<Item = (&'c str, &'c CartView)>,
) {
    text_frame(out, |out| {
        let object = answer(out, "hello", id).text("session_id", hello.session_id);
        let object = object.text("session_token", hello.session_token).bool("resumed", hello.resumed);
        let object = object.time("now", hello.now).text("auth", hello.auth.as_str());
        let mut object = object.number("grace_ms", hello.grace_ms).number("ping_ms", hello.ping_ms);
        list(object.member("carts"), carts, |out, (room, view)| {
            cart(Object::empty(out).text("room_id", room), view).end();
        });
        object.end();
    });
}

/// The hall of a room.
#[derive(Clone, Copy, Debug)]
pub struct LayoutName<'a> {
    /// Its name.
    pub id: &'a str,
    /// Which version of it.
    pub version: &'a str,
    /// How many seats it has.
    pub seats: u32,
}

/// What a member is told of its room.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'a> {
    /// The room.
    pub room: &'a str,
    /// Its life.
    pub epoch: Epoch,
    /// The number of its last change.
    pub seq: u64,
    /// The time.
    pub now: WallMillis,
    /// Its hall, when it has one.
    pub layout: Option<LayoutName<'a>>,
    /// How its sale stands.
    pub sale: &'a str,
    /// How long a hold lives in it, in milliseconds.
    pub hold_ms: u64,
    /// Seats that one owner may have in it; 0 is no limit.
    pub max_seats: u32,
    /// Time between two deltas, in milliseconds.
    pub tick_ms: u64,
}

/// Appends `room_joined`.
pub fn room_joined(out: &mut Vec<u8>, id: Option<RequestId<'_>>, joined: &Joined<'_>) {
    text_frame(out, |out| {
        let object = answer(out, "room_joined", id).text("room_id", joined.room).epoch(joined.epoch);
        let mut object = object.number("seq", joined.seq).time("now", joined.now);
        let out = object.member("layout");
        match joined.layout {
            Some(LayoutName { id, version, seats }) => {
                Object::empty(out).text("id", id).text("version", version).number("seats", seats.into()).end();
            }
            None => out.extend_from_slice(b"null"),
        }
        let object = object.text("sale", joined.sale).number("hold_ms", joined.hold_ms);
        object.number("max_seats", joined.max_seats.into()).number("tick_ms", joined.tick_ms).end();
    });
}

/// Appends `room_left`.
pub fn room_left(out: &mut Vec<u8>, id: Option<RequestId<'_>>, room: &str) {
    text_frame(out, |out| answer(out, "room_left", id).text("room_id", room).end());
}

/// Appends `seats_held`.
pub fn seats_held(
    out: &mut Vec<u8>,
    id: Option<RequestId<'_>>,
    (room, seq): (&str, u64),
    seats: &[SeatId],
    view: &CartView,
) {
    seats_told(out, ("seats_held", id), (room, seq), seats, view);
}

/// Appends `seats_released`.
pub fn seats_released(
    out: &mut Vec<u8>,
    id: Option<RequestId<'_>>,
    (room, seq): (&str, u64),
    seats: &[SeatId],
    view: &CartView,
) {
    seats_told(out, ("seats_released", id), (room, seq), seats, view);
}

fn seats_told(
    out: &mut Vec<u8>,
    (kind, id): (&str, Option<RequestId<'_>>),
    (room, seq): (&str, u64),
    seats: &[SeatId],
    view: &CartView,
) {
    text_frame(out, |out| {
        let mut object = answer(out, kind, id).text("room_id", room).number("seq", seq);
        seat_list(object.member("seats"), seats);
        cart(object, view).end();
    });
}

/// Appends `hold_extended`.
pub fn hold_extended(out: &mut Vec<u8>, id: Option<RequestId<'_>>, room: &str, view: &CartView) {
    text_frame(out, |out| cart(answer(out, "hold_extended", id).text("room_id", room), view).end());
}

/// Why a cart changed otherwise than by a request of the connection that is told.
#[derive(Clone, Copy, Debug)]
pub struct CartChange<'a> {
    /// The reason.
    pub reason: &'static str,
    /// What left the seats that are held.
    pub gone: &'a [SeatId],
    /// The order that it is about.
    pub order: Option<&'a str>,
}

/// Appends `cart`.
pub fn cart_changed(out: &mut Vec<u8>, (room, seq): (&str, u64), change: &CartChange<'_>, view: &CartView) {
    text_frame(out, |out| {
        let object = Object::with_type(out, "cart").text("room_id", room).number("seq", seq);
        let mut object = object.text("reason", change.reason);
        seat_list(object.member("gone"), change.gone);
        if let Some(order) = change.order {
            object = object.text("order", order);
        }
        cart(object, view).end();
    });
}

/// Appends `hold_expiring`.
pub fn hold_expiring(out: &mut Vec<u8>, room: &str, view: &CartView, left_ms: u64) {
    text_frame(out, |out| {
        let object = cart(Object::with_type(out, "hold_expiring").text("room_id", room), view);
        object.number("left_ms", left_ms).end();
    });
}

/// Appends `room_state`: how the sale stands, or that the room is `deleted`.
pub fn room_state(out: &mut Vec<u8>, room: &str, sale: &str, message: Option<&str>) {
    text_frame(out, |out| {
        let object = Object::with_type(out, "room_state").text("room_id", room).text("sale", sale);
        match message {
            Some(message) => object.text("message", message).end(),
            None => object.end(),
        }
    });
}

/// Appends `goaway`: the client should come back after a time between these two, by chance.
pub fn goaway(out: &mut Vec<u8>, reason: &str, (least_ms, most_ms): (u64, u64)) {
    text_frame(out, |out| {
        let mut object = Object::with_type(out, "goaway").text("reason", reason);
        list(object.member("reconnect_after_ms"), [least_ms, most_ms].into_iter(), json_text::number);
        object.end();
    });
}

/// Appends `pong`.
pub fn pong(out: &mut Vec<u8>, id: Option<RequestId<'_>>, t: Option<Written<'_>>, now: WallMillis) {
    text_frame(out, |out| {
        let mut object = answer(out, "pong", id);
        match t {
            Some(Written::Number(number)) => object.member("t").extend_from_slice(number.as_bytes()),
            Some(Written::Text(text)) => object = object.text("t", text),
            None => {}
        }
        object.time("now", now).end();
    });
}

/// Appends `authenticated`: until when the token is good.
pub fn authenticated(out: &mut Vec<u8>, id: Option<RequestId<'_>>, now: WallMillis, expires_at: WallMillis) {
    text_frame(out, |out| {
        answer(out, "authenticated", id).time("now", now).time("expires_at", expires_at).end();
    });
}

/// A refusal, and what is known of the request.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// Why.
    pub code: Code,
    /// The same for people.
    pub message: &'a str,
    /// The `type` of the request.
    pub request_type: Option<&'a str>,
    /// The room.
    pub room: Option<&'a str>,
    /// Seats that stand in the way, and what they are.
    pub conflicts: &'a [(SeatId, SeatStatus)],
    /// When it may be asked again, in milliseconds; 0 when waiting is no help, or not needed.
    pub retry_after_ms: u32,
    /// How many seats are free.
    pub free: Option<u32>,
    /// How many seats are free next to each other, at most.
    pub largest_adjacent: Option<u32>,
    /// What can be had instead.
    pub alternatives: &'a [Vec<SeatId>],
}

impl<'a> Refusal<'a> {
    /// A refusal of which nothing but the code is known.
    #[must_use]
    pub fn of(code: Code) -> Self {
        Self {
            code,
            message: code.text(),
            request_type: None,
            room: None,
            conflicts: &[],
            retry_after_ms: 0,
            free: None,
            largest_adjacent: None,
            alternatives: &[],
        }
    }

    /// The same of this request.
    #[must_use]
    pub fn about(self, request_type: Option<&'a str>, room: Option<&'a str>) -> Self {
        Self { request_type, room, ..self }
    }
}

/// Appends `error`.
pub fn error(out: &mut Vec<u8>, id: Option<RequestId<'_>>, refusal: &Refusal<'_>, now: WallMillis) {
    text_frame(out, |out| {
        let mut object = answer(out, "error", id).text("code", refusal.code.as_str());
        object = object.text("message", refusal.message);
        for (name, value) in [("request_type", refusal.request_type), ("room_id", refusal.room)] {
            if let Some(value) = value {
                object = object.text(name, value);
            }
        }
        if !refusal.conflicts.is_empty() {
            list(object.member("conflicts"), refusal.conflicts.iter(), |out, (seat, status)| {
                Object::empty(out).text("seat_id", seat.as_str()).number("state", status.map_state().into()).end();
            });
        }
        for (name, value) in [("free", refusal.free), ("largest_adjacent", refusal.largest_adjacent)] {
            if let Some(value) = value {
                object = object.number(name, value.into());
            }
        }
        if !refusal.alternatives.is_empty() {
            list(object.member("alternatives"), refusal.alternatives.iter(), |out, seats| seat_list(out, seats));
        }
        object.number("retry_after_ms", refusal.retry_after_ms.into()).time("timestamp", now).end();
    });
}

/// A message that answers a request.
pub(super) fn answer<'a>(out: &'a mut Vec<u8>, kind: &str, id: Option<RequestId<'_>>) -> Object<'a> {
    let mut object = Object::with_type(out, kind);
    match id {
        Some(RequestId::Number(number)) => object.number("id", number),
        Some(RequestId::Text(text)) => object.text("id", text),
        Some(RequestId::Digits(digits)) => {
            object.member("id").extend_from_slice(digits.as_bytes());
            object
        }
        None => object,
    }
}

/// The member `cart`.
pub(super) fn cart<'a>(mut object: Object<'a>, view: &CartView) -> Object<'a> {
    let mut cart = Object::empty(object.member("cart"));
    seat_list(cart.member("seats"), &view.seats);
    let cart = ending(cart, view.expires_at);
    let mut cart = cart.number("extends_left", view.extends_left.into());
    list(cart.member("orders"), view.orders.iter(), |out, order| {
        let mut object = Object::empty(out).text("order", order.order.as_str()).text("status", order.status.word());
        seat_list(object.member("seats"), &order.seats);
        ending(object, order.expires_at).end();
    });
    cart.end();
    object
}

fn ending(mut object: Object<'_>, at: Option<WallMillis>) -> Object<'_> {
    match at {
        Some(at) => object.time("expires_at", at),
        None => {
            object.member("expires_at").extend_from_slice(b"null");
            object
        }
    }
}

fn seat_list(out: &mut Vec<u8>, seats: &[SeatId]) {
    list(out, seats.iter(), |out, seat| json_text::string(out, seat.as_str()));
}

/// Appends a list, item by item.
pub(super) fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}
