//! What one client knows of itself by the second protocol: its session, its cart, how far it has come, what it has
//! asked.
//!
//! Invariant: a cart is what the last message said of it. Never here: what others know.

use std::collections::VecDeque;

use crate::client::Ask;
use crate::names::Seat;

/// A request that is not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) ask: Ask,
    pub(crate) seats: Vec<Seat>,
    pub(crate) release: Vec<Seat>,
    pub(crate) quantity: u32,
    pub(crate) due: u64,
    /// The number that the client had reached.
    pub(crate) since: u64,
}

impl Asked {
    /// The seat that stands for all of it.
    pub(crate) fn seat(&self) -> Seat {
        self.seats.first().copied().unwrap_or(0)
    }

    /// Whether it may give this seat back.
    pub(crate) fn gives_back(&self, seat: Seat) -> bool {
        self.ask == Ask::ReleaseAll
            || (self.ask == Ask::Release && self.seats.contains(&seat))
            || self.release.contains(&seat)
    }
}

/// One client.
#[derive(Debug, Default)]
pub struct Mine {
    /// By what the shop's backend names its carts.
    pub session_id: String,
    /// The proof with which it goes on; empty: none.
    pub token: String,
    /// How long its carts wait for it.
    pub grace_ms: u64,
    /// The seats of its cart.
    pub cart: Vec<Seat>,
    /// When they end, wall clock; 0: not known.
    pub deadline_ms: u64,
    /// How often that may be put off.
    pub extends_left: u32,
    /// Seats it may have in the room; 0: no limit is known.
    pub max_seats: u32,
    /// Whether the room has a layout, so that seats have numbers and the best ones can be asked for.
    pub has_layout: bool,
    /// Orders of its cart, by name, with their status.
    pub orders: Vec<(String, String)>,
    pub(crate) last_id: u64,
    pub(crate) pending: VecDeque<Asked>,
    pub(crate) greeted: bool,
    pub(crate) joined: bool,
    pub(crate) deaf: bool,
    /// `room_joined` said this number, and its map or its delta has not come yet.
    pub(crate) awaiting: Option<u64>,
    /// The life of the room of which `room_joined` told last.
    pub(crate) life: usize,
    /// The session that its connection began with, for when it cannot go on as an earlier one.
    pub(crate) fresh: (String, String),
    /// Where it stands: a life of the room and a number, also while it is away.
    pub(crate) at: Option<(usize, u64)>,
    /// From where it asked to go on.
    pub(crate) since: Option<(usize, u64)>,
    /// Seats of the cart that were told of with a number.
    pub(crate) named: Vec<Seat>,
    /// When its connection ended, wall clock, and what it held then and must find again within the grace, with the
    /// milliseconds for which it had been told so.
    pub(crate) away_ms: u64,
    pub(crate) expected: Vec<(Seat, u64)>,
    /// What happened to it last.
    pub(crate) story: VecDeque<String>,
}

impl Mine {
    /// How far it has come; 0: it has no map.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.at.map_or(0, |(_, seq)| seq)
    }

    /// Writes down what it was told; the last few are kept.
    pub(crate) fn note(&mut self, line: String) {
        self.story.truncate(crate::limits::STORY_LINES_MAX - 1);
        self.story.push_front(line);
    }

    /// Forgets the session: there is the one that the connection began with, or none.
    pub(crate) fn forget_session(&mut self) {
        (self.session_id, self.token) = std::mem::take(&mut self.fresh);
        self.leave_cart();
    }

    /// The next connection is a new session.
    pub(crate) fn leave_session(&mut self) {
        self.token.clear();
        self.leave_cart();
    }

    fn leave_cart(&mut self) {
        self.cart.clear();
        self.named.clear();
        self.expected.clear();
        self.orders.clear();
    }
}
