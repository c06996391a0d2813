//! What the shop's backend, and who asks by HTTP, ask of rooms of another node, as bytes. As `words`: the bytes of what
//! is there never change.
//!
//! A layout travels by its name: every node has all of them. One that the reader has not got yet is none there, and the
//! owner of the room refuses it (`no_layout`). Never here: what is asked for.

use super::Malformed;
use super::bytes::{Afar, Paper, Pen, choice, record};
use crate::engine::command::{
    BookMode, CancelTo, LayoutName, OrderState, OrderTold, OwnerName, Places, RoomPatch, RoomPlan, RoomSettings,
    RoomTold, SaleAnswer, SaleRequest, SeatTold, SeatsQuery, Tally, Wanted, Whose,
};
use crate::node::errand::{Answered, Asked, Done, Errand, Names};

record!(Errand { by, number, asked });
record!(Done { number, answered });
record!(Names { found, next, parts });
record!(Places { seats, sections });
record!(SeatsQuery { state, seat, owner, order, after, limit });
record!(OrderTold { order, state, owner, seats, refunded, expires_at });
record!(SeatTold { seat, status, client, owner, order, label, at, expires_at });
record!(Tally { free, held, checkout, booked, blocked });
record!(RoomTold { room, epoch, seq, settings, members });
record!(RoomSettings { sale, hold_ms, max_seats, no_orphans, ends_at, message, layout });
record!(RoomPatch { sale, hold_ms, max_seats, no_orphans, ends_at, message, layout });

choice!(OwnerName { 0 => Session(session), 1 => Subject(subject), 2 => Holder(holder), 3 => Client(client) });
choice!(Wanted { 0 => Seats(seats), 1 => Best(query) });
choice!(Whose { 0 => Seats(seats), 1 => Owner(owner) });
choice!(BookMode { 0 => Held, 1 => HeldOrFree });
choice!(CancelTo { 0 => Cart, 1 => Free });
choice!(OrderState { 0 => Checkout, 1 => Booked, 2 => Cancelled, 3 => Expired, 4 => Refunded });

choice!(SaleRequest {
    0 => Hold { holder, wanted, ttl_ms },
    1 => Release { whose, reason },
    2 => Checkout { order, owner, seats, ttl_ms },
    3 => Book { order, mode },
    4 => Cancel { order, to },
    5 => Refund { order, seats },
    6 => Block { what, label, release_held },
    7 => Unblock { what, label },
    8 => Reconcile { booked, blocked, dry_run },
    9 => PutRoom { settings, plan },
    10 => PatchRoom { patch, plan },
    11 => DeleteRoom { force },
    12 => GetRoom,
    13 => GetOrder { order },
    14 => Counts,
    15 => Seats { query },
});

choice!(SaleAnswer {
    0 => Held { seats, cart },
    1 => Released { seats },
    2 => Order { order, is_new },
    3 => Blocks { changed, released },
    4 => Reconciled { booked, blocked, freed },
    5 => Room { room, is_new },
    6 => Deleted,
    7 => Counts { total, sections, categories },
    8 => Seats { seats, more },
    9 => Refused { reject, details },
});

choice!(Asked {
    0 => Sale { room, request },
    1 => Selections { room, head_only },
    2 => Rooms { after, limit, from },
    3 => UsesLayout { layout },
    4 => Disconnect { whom, ban_ms },
});

choice!(Answered {
    0 => Sale { answer },
    1 => Selections { body },
    2 => Length { bytes },
    3 => Busy,
    4 => Rooms { names },
    5 => UsesLayout { uses },
    6 => Disconnected { closed },
    7 => NotMine,
});

impl Afar for RoomPlan {
    fn put(&self, pen: &mut Pen<'_>) {
        LayoutName::of(&self.0).put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        Self::take_some(from)?.ok_or(Malformed::Value)
    }
    fn take_some(from: &mut Paper<'_>) -> Result<Option<Self>, Malformed> {
        let name = LayoutName::take(from)?;
        Ok(from.layouts.get(&name.id, &name.version).map(Self))
    }
}
