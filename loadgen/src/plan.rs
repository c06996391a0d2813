//! What the people of a sale are going to do: drawn from the seed before anything runs.
//!
//! Invariants: pure; the same seed and model give the same plan, whatever the server does; decisions that depend on the
//! map are drawn from the user's own generator. Never here: sockets, clocks.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp, Geometric, weighted::WeightedIndex};
use serde::Serialize;

use crate::names::{Hall, Seat};

/// The numbers of the user model. Durations are in seconds before `--time-scale`.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "User model")]
pub struct Model {
    /// Share of the users who are connected before the sale opens
    #[arg(long, default_value_t = 0.6)]
    pub early_share: f64,
    /// Mean of the exponential arrival times of the others
    #[arg(long, default_value_t = 15.0)]
    pub arrival_mean_secs: f64,
    /// Weights of groups of 1, 2, 3, 4 seats
    #[arg(long, value_delimiter = ',', default_value = "8,49,13,30")]
    pub group_weights: Vec<f64>,
    /// Exponent of the Zipf law by which the blocks are wanted, in the order of their price
    #[arg(long, default_value_t = 1.0)]
    pub zipf: f64,
    /// Parameter of the geometric law by which the rows are wanted, from the front
    #[arg(long, default_value_t = 0.15)]
    pub row_geometric: f64,
    /// Share of snipers, who want the best seats at once
    #[arg(long, default_value_t = 0.2)]
    pub sniper_share: f64,
    /// How many seats the snipers want
    #[arg(long, default_value_t = 200)]
    pub sniper_seats: u32,
    /// How long a sniper looks at most
    #[arg(long, default_value_t = 1.0)]
    pub sniper_look_secs: f64,
    /// How long a user looks at the map: from, to
    #[arg(long, value_delimiter = ',', default_value = "4,8")]
    pub look_secs: Vec<f64>,
    /// How long a group's clicks take: from, to
    #[arg(long, value_delimiter = ',', default_value = "10,15")]
    pub select_secs: Vec<f64>,
    /// How long a refused user thinks: from, to
    #[arg(long, value_delimiter = ',', default_value = "0.8,2")]
    pub retry_secs: Vec<f64>,
    /// Refusals after which a user gives up
    #[arg(long, default_value_t = 5)]
    pub give_up: u32,
    /// Share of the users who keep their seats to the end
    #[arg(long, default_value_t = 0.57)]
    pub keep_share: f64,
    /// Weights of what the others do: release, drop the socket, go silent until expiry
    #[arg(long, value_delimiter = ',', default_value = "50,30,20")]
    pub fate_weights: Vec<f64>,
    /// Share of the sockets that reconnect, a second
    #[arg(long, default_value_t = 0.0033)]
    pub reconnects_per_sec: f64,
    /// Share of bots
    #[arg(long, default_value_t = 0.05)]
    pub bot_share: f64,
    /// Selects of a bot, a second
    #[arg(long, default_value_t = 3.0)]
    pub bot_rate: f64,
    /// Share of sockets that read slowly
    #[arg(long, default_value_t = 0.01)]
    pub slow_share: f64,
    /// How slowly, in bytes a second
    #[arg(long, default_value_t = 10_000.0)]
    pub slow_bytes_per_sec: f64,
    /// Share of sockets that stop reading
    #[arg(long, default_value_t = 0.001)]
    pub deaf_share: f64,
}

impl Model {
    /// Says what is out of range.
    ///
    /// # Errors
    /// One line with the flag and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let shares = [
            ("--early-share", self.early_share),
            ("--sniper-share", self.sniper_share),
            ("--keep-share", self.keep_share),
            ("--bot-share", self.bot_share),
            ("--slow-share", self.slow_share),
            ("--deaf-share", self.deaf_share),
        ];
        if let Some((flag, value)) = shares.iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            return Err(format!("{flag} {value}: must be from 0 to 1"));
        }
        for (flag, range) in
            [("--look-secs", &self.look_secs), ("--select-secs", &self.select_secs), ("--retry-secs", &self.retry_secs)]
        {
            if range.len() != 2 || range[0] < 0.0 || range[0] > range[1] || !range[1].is_finite() {
                return Err(format!("{flag}: must be two numbers FROM,TO with 0 <= FROM <= TO"));
            }
        }
        for (flag, weights, count) in
            [("--group-weights", &self.group_weights, 4), ("--fate-weights", &self.fate_weights, 3)]
        {
            if weights.len() != count || WeightedIndex::new(weights).is_err() {
                return Err(format!("{flag}: must be {count} weights that are not all 0"));
            }
        }
        let positive = [
            ("--row-geometric", self.row_geometric, 1.0),
            ("--arrival-mean-secs", self.arrival_mean_secs, 1e6),
            ("--bot-rate", self.bot_rate, 1e4),
        ];
        if let Some((flag, value, most)) = positive.iter().find(|(_, value, most)| !(*value > 0.0 && value <= most)) {
            return Err(format!("{flag} {value}: must be above 0 and at most {most}"));
        }
        let free = [
            ("--zipf", self.zipf),
            ("--reconnects-per-sec", self.reconnects_per_sec),
            ("--slow-bytes-per-sec", self.slow_bytes_per_sec),
            ("--sniper-look-secs", self.sniper_look_secs),
        ];
        match free.iter().find(|(_, value)| !(*value >= 0.0 && value.is_finite())) {
            Some((flag, value)) => Err(format!("{flag} {value}: must be 0 or more")),
            None => Ok(()),
        }
    }
}

/// What kind of client it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Looks, picks a group, decides.
    Human,
    /// Wants the best seats at once.
    Sniper,
    /// Clicks at a steady rate.
    Bot,
    /// Watches and reads slowly.
    Slow,
    /// Watches and stops reading.
    Deaf,
}

/// What becomes of the seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are kept.
    Keep,
    /// They are given back.
    Release,
    /// The socket is dropped.
    Drop,
    /// Nothing is said until they expire.
    Silent,
}

/// One user's plan. Times are in seconds from the opening, scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// What it is.
    pub role: Role,
    /// When it connects; 0: before the opening.
    pub arrives: f64,
    /// How long it looks.
    pub look: f64,
    /// Time between two clicks.
    pub click_gap: f64,
    /// How many seats it wants.
    pub group: usize,
    /// What becomes of them.
    pub fate: Fate,
    /// How long after the last click that is.
    pub fate_after: f64,
    /// When it reconnects.
    pub reconnects: Vec<f64>,
    /// For what cannot be planned.
    pub seed: u64,
}

fn between(rng: &mut SmallRng, range: &[f64]) -> f64 {
    rng.random_range(range[0]..=range[1])
}

fn role(rng: &mut SmallRng, model: &Model) -> Role {
    let mut draw: f64 = rng.random();
    for (role, share) in [
        (Role::Deaf, model.deaf_share),
        (Role::Slow, model.slow_share),
        (Role::Bot, model.bot_share),
        (Role::Sniper, model.sniper_share),
    ] {
        if draw < share {
            return role;
        }
        draw -= share;
    }
    Role::Human
}

/// The plan of `users` users for a sale of `secs` seconds, every duration times `scale`.
///
/// # Panics
/// When the model was not checked.
#[must_use]
pub fn users(seed: u64, model: &Model, users: usize, secs: f64, scale: f64) -> Vec<User> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let groups = WeightedIndex::new(&model.group_weights).expect("checked");
    let fates = WeightedIndex::new(&model.fate_weights).expect("checked");
    let arrivals = Exp::new(1.0 / model.arrival_mean_secs).expect("checked");
    let mut plan = Vec::with_capacity(users);
    for _ in 0..users {
        let role = role(&mut rng, model);
        let early = rng.random::<f64>() < model.early_share;
        let arrives = if early { 0.0 } else { (arrivals.sample(&mut rng) * scale).clamp(1e-3, secs * 0.9) };
        let look = if role == Role::Sniper {
            rng.random_range(0.0..=model.sniper_look_secs)
        } else {
            between(&mut rng, &model.look_secs)
        };
        let group = groups.sample(&mut rng) + 1;
        let click_gap = between(&mut rng, &model.select_secs) / 4.0;
        let kept = rng.random::<f64>() < model.keep_share;
        let fate = [Fate::Release, Fate::Drop, Fate::Silent][fates.sample(&mut rng)];
        let fate_after = rng.random_range(2.0..=10.0) * scale;
        let reconnects = reconnects(&mut rng, model.reconnects_per_sec / scale, arrives, secs);
        let sniper = role == Role::Sniper;
        plan.push(User {
            role,
            arrives,
            look: look * scale,
            click_gap: if sniper { 0.05 * scale } else { click_gap * scale },
            group,
            fate: if kept { Fate::Keep } else { fate },
            fate_after,
            reconnects,
            seed: rng.random(),
        });
    }
    plan
}

fn reconnects(rng: &mut SmallRng, per_sec: f64, from: f64, to: f64) -> Vec<f64> {
    let mut times = Vec::new();
    if let Ok(gaps) = Exp::new(per_sec) {
        let mut at = from + gaps.sample(rng);
        while at < to && at.is_finite() {
            times.push(at);
            at += gaps.sample(rng);
        }
    }
    times
}

/// How the seats of a hall are wanted.
#[derive(Clone, Debug)]
pub struct Taste {
    hall: Hall,
    blocks: WeightedIndex<f64>,
    rows: Geometric,
    best: u32,
}

/// Weights of a Zipf law over `count` ranks.
fn zipf(count: u32, exponent: f64) -> WeightedIndex<f64> {
    WeightedIndex::new((1..=count).map(|rank| f64::from(rank).powf(-exponent))).expect("ranks weigh more than nothing")
}

/// Draws a room of `rooms` for each user by the Zipf law.
#[must_use]
pub fn rooms_by_rank(seed: u64, users: usize, rooms: usize, exponent: f64) -> Vec<usize> {
    let law = zipf(crate::num::index32(rooms), exponent);
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x0072_6f6f_6d73);
    (0..users).map(|_| law.sample(&mut rng)).collect()
}

impl Taste {
    /// The taste of a checked model.
    ///
    /// # Panics
    /// When the model was not checked.
    #[must_use]
    pub fn new(hall: Hall, model: &Model) -> Self {
        let rows = Geometric::new(model.row_geometric).expect("checked");
        Self { hall, blocks: zipf(hall.blocks, model.zipf), rows, best: model.sniper_seats.clamp(1, hall.seats()) }
    }

    /// A group of adjacent free seats where possible, else fewer; empty when nothing was found.
    pub fn group(&self, rng: &mut SmallRng, size: usize, free: &dyn Fn(Seat) -> bool) -> Vec<Seat> {
        for attempt in 0..24 {
            let block = crate::num::index32(self.blocks.sample(rng));
            // When the front is sold out, users look further back.
            let depth = self.rows.sample(rng) + attempt / 4 * u64::from(self.hall.rows) / 6;
            let row = u32::try_from(depth % u64::from(self.hall.rows)).expect("below the number of rows");
            if let Some(seats) = self.in_row(rng, block, row, size, free) {
                return seats;
            }
        }
        self.anywhere(rng, free).into_iter().collect()
    }

    fn in_row(
        &self,
        rng: &mut SmallRng,
        block: u32,
        row: u32,
        size: usize,
        free: &dyn Fn(Seat) -> bool,
    ) -> Option<Vec<Seat>> {
        let seats = self.hall.row_seats as usize;
        let size = size.min(seats);
        let first = self.hall.seat(block, row, 0);
        let open: Vec<bool> = (first..first + self.hall.row_seats).map(free).collect();
        let start = rng.random_range(0..seats);
        let fits = |from: usize| from + size <= seats && open[from..from + size].iter().all(|open| *open);
        let from = (0..seats).map(|shift| (start + shift) % seats).find(|from| fits(*from))?;
        let from = first + crate::num::index32(from);
        Some((from..from + crate::num::index32(size)).collect())
    }

    /// One of the best seats, if one is free.
    pub fn best(&self, rng: &mut SmallRng, free: &dyn Fn(Seat) -> bool) -> Option<Seat> {
        let start = rng.random_range(0..self.best);
        (0..self.best).map(|shift| (start + shift) % self.best).find(|seat| free(*seat))
    }

    /// Any free seat.
    pub fn anywhere(&self, rng: &mut SmallRng, free: &dyn Fn(Seat) -> bool) -> Option<Seat> {
        let seats = self.hall.seats();
        (0..64).map(|_| rng.random_range(0..seats)).find(|seat| free(*seat))
    }

    /// Any seat, free or not.
    pub fn any(&self, rng: &mut SmallRng) -> Seat {
        rng.random_range(0..self.hall.seats())
    }
}
