//! What one thread counts and times while a run goes on.
//!
//! Invariants: latency runs from the time a command was DUE, so a late generator or a stalled server cannot hide; only
//! commands due inside the measured window count; what is older than the membership of who gets it is no news to time,
//! but counted and timed apart. Never here: what is right or wrong.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::limits::{LATENCY_US_MAX, SLICES_MAX};
use crate::names::Seat;
use crate::num::whole;

/// A histogram of microseconds with three digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are constants that are allowed")
}

fn small_histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("the bounds are constants that are allowed")
}

/// Why the server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// `seat_taken`
    SeatTaken,
    /// `not_held`
    NotHeld,
    /// `not_owner`
    NotOwner,
    /// `limit_exceeded`
    LimitExceeded,
    /// `overloaded`
    Overloaded,
    /// `persistence_unavailable`
    PersistenceUnavailable,
    /// `rate_limited`
    RateLimited,
    /// `seats_unavailable`
    SeatsUnavailable,
    /// `extend_limit`
    ExtendLimit,
    /// `hold_expired`
    HoldExpired,
    /// `not_enough_seats`
    NotEnoughSeats,
    /// `no_adjacent_seats`
    NoAdjacentSeats,
    /// `orphan_seat`
    OrphanSeat,
    /// `sale_not_open`
    SaleNotOpen,
    /// `sale_paused`
    SalePaused,
    /// `sale_closed`
    SaleClosed,
    /// Anything else.
    Other,
}

impl Code {
    /// The code of a wire name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"seat_taken" => Self::SeatTaken,
            b"not_held" => Self::NotHeld,
            b"not_owner" => Self::NotOwner,
            b"limit_exceeded" => Self::LimitExceeded,
            b"overloaded" => Self::Overloaded,
            b"persistence_unavailable" => Self::PersistenceUnavailable,
            b"rate_limited" => Self::RateLimited,
            b"seats_unavailable" => Self::SeatsUnavailable,
            b"extend_limit" => Self::ExtendLimit,
            b"hold_expired" => Self::HoldExpired,
            b"not_enough_seats" => Self::NotEnoughSeats,
            b"no_adjacent_seats" => Self::NoAdjacentSeats,
            b"orphan_seat" => Self::OrphanSeat,
            b"sale_not_open" => Self::SaleNotOpen,
            b"sale_paused" => Self::SalePaused,
            b"sale_closed" => Self::SaleClosed,
            _ => Self::Other,
        }
    }

    /// The wire name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SeatTaken => "seat_taken",
            Self::NotHeld => "not_held",
            Self::NotOwner => "not_owner",
            Self::LimitExceeded => "limit_exceeded",
            Self::Overloaded => "overloaded",
            Self::PersistenceUnavailable => "persistence_unavailable",
            Self::RateLimited => "rate_limited",
            Self::SeatsUnavailable => "seats_unavailable",
            Self::ExtendLimit => "extend_limit",
            Self::HoldExpired => "hold_expired",
            Self::NotEnoughSeats => "not_enough_seats",
            Self::NoAdjacentSeats => "no_adjacent_seats",
            Self::OrphanSeat => "orphan_seat",
            Self::SaleNotOpen => "sale_not_open",
            Self::SalePaused => "sale_paused",
            Self::SaleClosed => "sale_closed",
            Self::Other => "other",
        }
    }
}

/// A slice of the run's time.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Due to delivered.
    pub delivery: Histogram<u32>,
    /// Due to answered.
    pub reply: Histogram<u32>,
    /// Commands sent.
    pub commands: u64,
    /// Events received.
    pub deliveries: u64,
    /// Refusals received.
    pub refusals: u64,
    /// Seats held at its end.
    pub held: u64,
    /// Connections open at its end.
    pub live: u64,
    /// Whether anybody looked at `held` and `live` in it.
    pub seen: bool,
}

impl Default for Slice {
    fn default() -> Self {
        let (delivery, reply) = (small_histogram(), small_histogram());
        Self { delivery, reply, commands: 0, deliveries: 0, refusals: 0, held: 0, live: 0, seen: false }
    }
}

/// Plain sums over the whole run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Commands sent: selects and releases.
    pub commands: u64,
    /// Selects that were granted.
    pub won: u64,
    /// Releases that were carried out.
    pub freed: u64,
    /// Refusals of any kind.
    pub refused: u64,
    /// `seat_selected` and `seat_released` received, own replies included.
    pub deliveries: u64,
    /// Those of them that were due before their reader had joined: a server may give it an older full state and the
    /// events since.
    pub caught_up: u64,
    /// Connections that joined.
    pub joins: u64,
    /// Connections that were made again by plan.
    pub reconnects: u64,
    /// Connections that the server ended, or did not accept, without a fault of ours.
    pub lost: u64,
    /// Connections that read as fast as this program could, and were closed as too slow.
    pub cut_as_slow: u64,
    /// Slow readers that the server gave up.
    pub slow_closed: u64,
    /// Holds that ended by their deadline.
    pub expired: u64,
    /// Holds found again after a restart.
    pub adopted: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.won += other.won;
        self.freed += other.freed;
        self.refused += other.refused;
        self.deliveries += other.deliveries;
        self.caught_up += other.caught_up;
        self.joins += other.joins;
        self.reconnects += other.reconnects;
        self.lost += other.lost;
        self.slow_closed += other.slow_closed;
        self.cut_as_slow += other.cut_as_slow;
        self.expired += other.expired;
        self.adopted += other.adopted;
    }
}

/// The counters and clocks of one thread.
#[derive(Clone, Debug)]
pub struct Measure {
    /// Sums.
    pub totals: Totals,
    /// Due to answered.
    pub reply: Histogram<u64>,
    /// Due to delivered, for others' selects.
    pub delivery: Histogram<u64>,
    /// The same for selects that were due before their reader had joined.
    pub catching_up: Histogram<u64>,
    /// Connect to joined.
    pub open: Histogram<u64>,
    /// How late the generator itself sent.
    pub lag: Histogram<u64>,
    /// Refusals by code.
    pub refusals: BTreeMap<Code, u64>,
    /// Selects by seat, over all rooms.
    pub attempts: Vec<u32>,
    /// Refusals as taken by seat, over all rooms.
    pub contested: Vec<u32>,
    /// The run in slices.
    pub slices: Vec<Slice>,
    /// Events and commands inside the window.
    pub window_deliveries: u64,
    /// See [`Measure::window_deliveries`].
    pub window_commands: u64,
    begin: u64,
    end: u64,
    slice_ns: u64,
}

impl Measure {
    /// A measure whose window is not known yet.
    #[must_use]
    pub fn new(seats: u32) -> Self {
        let seats = seats as usize;
        Self {
            totals: Totals::default(),
            reply: histogram(),
            delivery: histogram(),
            catching_up: histogram(),
            open: histogram(),
            lag: histogram(),
            refusals: BTreeMap::new(),
            attempts: vec![0; seats],
            contested: vec![0; seats],
            slices: Vec::new(),
            window_deliveries: 0,
            window_commands: 0,
            begin: u64::MAX,
            end: u64::MAX,
            slice_ns: 1,
        }
    }

    /// The measured window is from `begin` to `end`, in slices of a round length.
    pub fn set_window(&mut self, begin: u64, end: u64) {
        let least = (end - begin) / SLICES_MAX as u64 + 1;
        let steps = [100, 200, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 3_600_000];
        let step = steps.iter().map(|ms| ms * 1_000_000).find(|ns| *ns >= least).unwrap_or(least);
        (self.begin, self.end, self.slice_ns) = (begin, end, step);
    }

    /// Length of a slice in seconds.
    #[must_use]
    pub fn slice_secs(&self) -> f64 {
        self.slice_ns as f64 / 1e9
    }

    #[inline]
    fn inside(&self, now: u64) -> bool {
        now >= self.begin && now < self.end
    }

    #[inline]
    fn slice(&mut self, now: u64) -> Option<&mut Slice> {
        if now < self.begin {
            return None;
        }
        let index = usize::try_from((now - self.begin) / self.slice_ns).ok().filter(|index| *index < 2 * SLICES_MAX)?;
        if index >= self.slices.len() {
            self.slices.resize_with(index + 1, Slice::default);
        }
        Some(&mut self.slices[index])
    }

    /// A command that was due at `due` is sent.
    pub fn sent(&mut self, due: u64, now: u64) {
        self.totals.commands += 1;
        if self.inside(due) {
            self.window_commands += 1;
            self.lag.saturating_record(now.saturating_sub(due) / 1_000);
        }
        if let Some(slice) = self.slice(now) {
            slice.commands += 1;
        }
    }

    /// An event came to a member since `joined`; `stamp` is when the command behind it was due (0: not known or not to
    /// be timed).
    #[inline]
    pub fn delivered(&mut self, stamp: u64, joined: u64, now: u64) {
        self.totals.deliveries += 1;
        self.window_deliveries += u64::from(self.inside(now));
        let micros = now.saturating_sub(stamp) / 1_000;
        let (timed, news) = (self.inside(stamp), stamp >= joined);
        self.totals.caught_up += u64::from(stamp > 0 && !news);
        if timed {
            let clock = if news { &mut self.delivery } else { &mut self.catching_up };
            clock.saturating_record(micros);
        }
        if let Some(slice) = self.slice(now) {
            slice.deliveries += 1;
            if timed && news {
                slice.delivery.saturating_record(micros);
            }
        }
    }

    /// A delta of so many changes came; `stamps` are the times at which some of them were due, each with how many.
    #[inline]
    pub fn delivered_together(&mut self, changes: u64, stamps: &[(u64, u64)], joined: u64, now: u64) {
        self.totals.deliveries += changes;
        self.window_deliveries += if self.inside(now) { changes } else { 0 };
        for &(stamp, count) in stamps {
            let news = stamp >= joined;
            self.totals.caught_up += if news { 0 } else { count };
            if self.inside(stamp) {
                let clock = if news { &mut self.delivery } else { &mut self.catching_up };
                clock.saturating_record_n(now.saturating_sub(stamp) / 1_000, count);
            }
        }
        let (begin, end) = (self.begin, self.end);
        if let Some(slice) = self.slice(now) {
            slice.deliveries += changes;
            for &(stamp, count) in stamps.iter().filter(|(stamp, _)| (begin..end).contains(stamp) && *stamp >= joined) {
                slice
                    .delivery
                    .saturating_record_n(now.saturating_sub(stamp) / 1_000, u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
    }

    /// The answer to a command came.
    pub fn answered(&mut self, due: u64, now: u64) {
        if self.inside(due) {
            let micros = now.saturating_sub(due) / 1_000;
            self.reply.saturating_record(micros);
            if let Some(slice) = self.slice(now) {
                slice.reply.saturating_record(micros);
            }
        }
    }

    /// A refusal came.
    pub fn refused(&mut self, code: Code, seat: Option<Seat>, now: u64) {
        self.totals.refused += 1;
        *self.refusals.entry(code).or_default() += 1;
        if let (Code::SeatTaken | Code::SeatsUnavailable, Some(seat)) = (code, seat) {
            self.contested[seat as usize] += 1;
        }
        if let Some(slice) = self.slice(now) {
            slice.refusals += 1;
        }
    }

    /// The state of things at `now`, kept for the slice.
    pub fn level(&mut self, held: u64, live: u64, now: u64) {
        if let Some(slice) = self.slice(now) {
            (slice.held, slice.live, slice.seen) = (held, live, true);
        }
    }

    /// Takes over what another thread measured in the same window.
    pub fn merge(&mut self, other: &Self) {
        self.totals.add(&other.totals);
        let pairs = [
            (&mut self.reply, &other.reply),
            (&mut self.delivery, &other.delivery),
            (&mut self.catching_up, &other.catching_up),
            (&mut self.open, &other.open),
            (&mut self.lag, &other.lag),
        ];
        for (mine, theirs) in pairs {
            mine.add(theirs).expect("the bounds are the same");
        }
        for (code, count) in &other.refusals {
            *self.refusals.entry(*code).or_default() += count;
        }
        self.attempts.iter_mut().zip(&other.attempts).for_each(|(mine, theirs)| *mine += theirs);
        self.contested.iter_mut().zip(&other.contested).for_each(|(mine, theirs)| *mine += theirs);
        self.window_deliveries += other.window_deliveries;
        self.window_commands += other.window_commands;
        if self.slices.len() < other.slices.len() {
            self.slices.resize_with(other.slices.len(), Slice::default);
        }
        for (mine, theirs) in self.slices.iter_mut().zip(&other.slices) {
            mine.delivery.add(&theirs.delivery).expect("the bounds are the same");
            mine.reply.add(&theirs.reply).expect("the bounds are the same");
            mine.commands += theirs.commands;
            mine.deliveries += theirs.deliveries;
            mine.refusals += theirs.refusals;
            // Threads see different rooms, or the same room: the larger is right for one room, the sum for many. The
            // caller adds what it knows better.
            mine.held += theirs.held;
            mine.live += theirs.live;
            mine.seen |= theirs.seen;
        }
    }
}

/// Milliseconds of a quantile of a histogram of microseconds.
#[must_use]
pub fn quantile_ms<T: hdrhistogram::Counter>(histogram: &Histogram<T>, quantile: f64) -> f64 {
    if histogram.is_empty() { 0.0 } else { whole(histogram.value_at_quantile(quantile) as f64) as f64 / 1_000.0 }
}
