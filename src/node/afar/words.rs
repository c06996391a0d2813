//! What the engine's words are as bytes. The bytes of what is there never change: see the golden letters in the tests.
//!
//! Never here: what they mean.

use super::Malformed;
use super::bytes::{Afar, Paper, Pen, choice, record, wrapper};
use crate::engine::command::{
    Asker, CartReason, CartRequest, CartTold, CartView, CartWhy, Details, Entered, Identity, LayoutName, OrderView,
    OwnedRequest, Owner, Position, Reject, ReleaseReason, RequestType, Resumed, ResumedCart, RoomChanged, RoomLayout,
    Sale, SeatStatus, SessionId, Synced, Ticket, Told,
};
use crate::engine::ids::{Epoch, Origin};
use crate::engine::time::WallMillis;
use crate::layout::best::BestQuery;
use crate::node::letters::Wanted;

wrapper!(Ticket, Epoch, WallMillis);

impl Afar for SessionId {
    fn put(&self, pen: &mut Pen<'_>) {
        self.number().put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        u128::take(from).map(Self::new)
    }
}

record!(Origin { address, owner });
record!(Asker { conn, ticket });
record!(Position { epoch, seq });
record!(Identity { owner, incarnation, max_seats });
record!(BestQuery { quantity, sections, categories, accessible, adjacent });
record!(CartView { seats, expires_at, extends_left, orders });
record!(OrderView { order, status, seats, expires_at });
record!(CartTold { to, room, seq, epoch, why, cart });
record!(Entered { to, room, at, since, members, layout, sale, hold_ms, max_seats, cart });
record!(Synced { to, room, at, cart });
record!(Resumed { to, carts });
record!(ResumedCart { room, cart });
record!(LayoutName { id, version });
record!(RoomLayout { name, seats });
record!(Details { conflicts, alternatives });

choice!(Owner { 0 => Conn(conn), 1 => Session(session), 2 => Subject(subject), 3 => Holder(holder) });
choice!(SeatStatus { 0 => Free, 1 => Held, 2 => Checkout, 3 => Booked, 4 => Blocked });
choice!(Sale { 0 => Scheduled { opens_at }, 1 => Open, 2 => Paused, 3 => Closed });
choice!(Told { 0 => Asker(asker, request), 1 => Conn(conn) });
choice!(RoomChanged { 0 => Sale { sale, message }, 1 => Renewed { at }, 2 => Deleted });
choice!(Wanted { 0 => First(request), 1 => Cart { room, request }, 2 => Resume { rooms } });

choice!(OwnedRequest {
    0 => Join { room },
    1 => Leave { room },
    2 => Select { room, seat, user_info },
    3 => Release { room, seat },
});

choice!(CartRequest {
    0 => Join { since },
    1 => Leave,
    2 => Select { seats, release, user_info },
    3 => SelectBest { query, release, user_info },
    4 => Release { seats },
    5 => ReleaseAll,
    6 => Extend,
    7 => Sync,
});

choice!(CartWhy {
    0 => Held { seats },
    1 => Released { seats },
    2 => Extended,
    3 => Expiring { left_ms },
    4 => Changed { reason, gone, order },
});

choice!(CartReason {
    0 => Expired,
    1 => Disconnected,
    2 => ReleasedByOperator,
    3 => Checkout,
    4 => PaymentFailed,
    5 => Booked,
    6 => Cancelled,
    7 => OtherConnection,
    8 => Restored,
});

choice!(ReleaseReason {
    0 => Released,
    1 => Expired,
    2 => Disconnected,
    3 => Cancelled,
    4 => PaymentFailed,
    5 => Refunded,
    6 => ReleasedByOperator,
    7 => Unblocked,
    8 => RoomDeleted,
});

choice!(RequestType {
    0 => Join,
    1 => Leave,
    2 => Select,
    3 => Release,
    4 => SelectSeats,
    5 => SelectBest,
    6 => ReleaseSeats,
    7 => Extend,
    8 => Sync,
    9 => Resume,
});

choice!(Reject {
    0 => SeatTaken,
    1 => NotHeld,
    2 => NotOwner,
    3 => LimitExceeded,
    4 => AddressLimit,
    5 => TooSoon { retry_after_ms },
    6 => Overloaded,
    7 => PersistenceUnavailable,
    8 => BadRequest,
    9 => SeatsUnavailable,
    10 => UnknownSeat,
    11 => UnknownRoom,
    12 => NotEnoughSeats { free },
    13 => NoAdjacentSeats { largest },
    14 => OrphanSeat,
    15 => SaleNotOpen,
    16 => SalePaused,
    17 => SaleClosed,
    18 => ExtendLimit,
    19 => HoldExpired { retry_after_ms },
    20 => InCheckout,
    21 => UnknownOrder,
    22 => OrderExists,
    23 => OrderEnded,
    24 => SeatsLost,
    25 => AmbiguousOwner,
    26 => RoomDiffers,
    27 => LayoutMismatch,
    28 => OrdersInCheckout,
    29 => NoLayout,
});
