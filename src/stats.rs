//! Plain counters and histograms that one shard owns and bumps, merged for reading.
//!
//! Invariants: bumping is an addition on a field, without atomics or allocation; counters only grow, gauges are
//! overwritten by their owner, high-water marks merge by the larger; no label comes from a client.
//! Never here: text formats (`metrics.rs` has them), clocks.

use crate::engine::command::{Reject, RequestType};

/// What a message asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// `join_room`
    Join,
    /// `leave_room`
    Leave,
    /// `select_seat`
    Select,
    /// `release_seat`
    Release,
    /// `ping`
    Ping,
    /// Something that could not be read as one of these.
    Unknown,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was done, or had been done already.
    Ok,
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
    /// `bad_json`
    BadJson,
    /// `bad_request`
    BadRequest,
    /// `unknown_type`
    UnknownType,
    /// `rate_limited`
    RateLimited,
}

/// Why a connection was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// `MAX_CONNECTIONS` is reached.
    Limit,
    /// `MAX_CONNECTIONS_PER_IP` is reached.
    PerIp,
    /// The process is out of file descriptors.
    Files,
    /// The server is going away.
    Draining,
}

/// All commands with their labels, in the order of their numbers.
pub const COMMANDS: [(Command, &str); 6] = [
    (Command::Join, "join_room"),
    (Command::Leave, "leave_room"),
    (Command::Select, "select_seat"),
    (Command::Release, "release_seat"),
    (Command::Ping, "ping"),
    (Command::Unknown, "unknown"),
];

/// All outcomes with their labels, in the order of their numbers.
pub const OUTCOMES: [(Outcome, &str); 11] = [
    (Outcome::Ok, "ok"),
    (Outcome::SeatTaken, "seat_taken"),
    (Outcome::NotHeld, "not_held"),
    (Outcome::NotOwner, "not_owner"),
    (Outcome::LimitExceeded, "limit_exceeded"),
    (Outcome::Overloaded, "overloaded"),
    (Outcome::PersistenceUnavailable, "persistence_unavailable"),
    (Outcome::BadJson, "bad_json"),
    (Outcome::BadRequest, "bad_request"),
    (Outcome::UnknownType, "unknown_type"),
    (Outcome::RateLimited, "rate_limited"),
];

/// All refusals with their labels, in the order of their numbers.
pub const REFUSALS: [(Refusal, &str); 4] =
    [(Refusal::Limit, "limit"), (Refusal::PerIp, "per_ip"), (Refusal::Files, "files"), (Refusal::Draining, "draining")];

impl From<RequestType> for Command {
    fn from(request: RequestType) -> Self {
        match request {
            RequestType::Join => Self::Join,
            RequestType::Leave => Self::Leave,
            RequestType::Select => Self::Select,
            RequestType::Release => Self::Release,
            RequestType::Ping => Self::Ping,
        }
    }
}

impl From<Reject> for Outcome {
    fn from(reject: Reject) -> Self {
        match reject {
            Reject::SeatTaken => Self::SeatTaken,
            Reject::NotHeld => Self::NotHeld,
            Reject::NotOwner => Self::NotOwner,
            Reject::LimitExceeded => Self::LimitExceeded,
            Reject::Overloaded => Self::Overloaded,
            Reject::PersistenceUnavailable => Self::PersistenceUnavailable,
        }
    }
}

/// What one shard counts. Every field is its shard's to bump; a reader gets a copy.
#[derive(Clone, Default, Debug)]
pub struct ShardStats {
    /// Gauge: open sockets, those of HTTP requests included.
    pub connections: u64,
    /// Gauge: rooms owned here that have a member or a hold.
    pub rooms: u64,
    /// Gauge: memberships of the rooms owned here.
    pub members: u64,
    /// Gauge: held seats of the rooms owned here.
    pub holds: u64,
    /// Gauge: bytes that wait for slow sockets, and what each of them is behind in the rooms' logs.
    pub outbound_queue_bytes: u64,
    /// High water: bytes that waited for one socket, in its outbox or in a log.
    pub outbound_queue_high_water: u64,
    /// High water: messages taken from the mailbox at once.
    pub mesh_depth_high_water: u64,
    /// Commands by [`Command`] and [`Outcome`].
    pub commands: [[u64; OUTCOMES.len()]; COMMANDS.len()],
    /// Room events handed to members' sockets.
    pub deliveries: u64,
    /// `send` calls that took bytes.
    pub sends: u64,
    /// Bytes the kernel took.
    pub bytes_sent: u64,
    /// Bytes the kernel brought.
    pub bytes_received: u64,
    /// Messages posted to other shards.
    pub mesh_sent: u64,
    /// Messages taken from the mailbox.
    pub mesh_received: u64,
    /// Times the watchdog had to wake the shard.
    pub watchdog_pokes: u64,
    /// Times a connection fell so far behind that its room events were dropped.
    pub slow_consumers: u64,
    /// Full states sent instead of what was dropped.
    pub resyncs: u64,
    /// Sockets handed to the owner of their room.
    pub handovers_out: u64,
    /// Sockets taken over.
    pub handovers_in: u64,
    /// Turns of the driver.
    pub turns: u64,
    /// Connections accepted.
    pub accepts: u64,
    /// Connections refused, by [`Refusal`].
    pub refused: [u64; REFUSALS.len()],
    /// Passes over a room's members.
    pub passes: u64,
    /// Frames that went out in the same send as one before them.
    pub merged_frames: u64,
    /// Time the engine took for a command.
    pub decision: Histogram,
    /// Time from reading a command to handing its reply to the kernel.
    pub reply: Histogram,
    /// Time from a change to the end of the pass that carried it, once a member.
    pub fan_out: Histogram,
}

impl ShardStats {
    /// Counts a command.
    pub fn count(&mut self, command: Command, outcome: Outcome) {
        self.commands[command as usize][outcome as usize] += 1;
    }

    /// Counts a connection that was not taken.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.refused[refusal as usize] += 1;
    }

    /// Commands of all kinds.
    #[must_use]
    pub fn commands_total(&self) -> u64 {
        self.commands.iter().flatten().sum()
    }

    /// Adds what another shard counted.
    pub fn merge(&mut self, other: &Self) {
        let sums = [
            (&mut self.connections, other.connections),
            (&mut self.rooms, other.rooms),
            (&mut self.members, other.members),
            (&mut self.holds, other.holds),
            (&mut self.outbound_queue_bytes, other.outbound_queue_bytes),
            (&mut self.deliveries, other.deliveries),
            (&mut self.sends, other.sends),
            (&mut self.bytes_sent, other.bytes_sent),
            (&mut self.bytes_received, other.bytes_received),
            (&mut self.mesh_sent, other.mesh_sent),
            (&mut self.mesh_received, other.mesh_received),
            (&mut self.watchdog_pokes, other.watchdog_pokes),
            (&mut self.slow_consumers, other.slow_consumers),
            (&mut self.resyncs, other.resyncs),
            (&mut self.handovers_out, other.handovers_out),
            (&mut self.handovers_in, other.handovers_in),
            (&mut self.turns, other.turns),
            (&mut self.accepts, other.accepts),
            (&mut self.passes, other.passes),
            (&mut self.merged_frames, other.merged_frames),
        ];
        sums.into_iter().for_each(|(ours, theirs)| *ours += theirs);
        add(self.commands.as_flattened_mut(), other.commands.as_flattened());
        add(&mut self.refused, &other.refused);
        self.outbound_queue_high_water = self.outbound_queue_high_water.max(other.outbound_queue_high_water);
        self.mesh_depth_high_water = self.mesh_depth_high_water.max(other.mesh_depth_high_water);
        self.decision.merge(&other.decision);
        self.reply.merge(&other.reply);
        self.fan_out.merge(&other.fan_out);
    }
}

/// What the store thread tells about itself.
#[derive(Clone, Default, Debug)]
pub struct StoreStats {
    /// Whether the store answers.
    pub connected: bool,
    /// Age of the oldest change that is not committed.
    pub lag_ms: u64,
    /// How long ago the oldest change was committed that is written and not synced.
    pub unsynced_ms: u64,
    /// Changes that are not committed.
    pub backlog_entries: u64,
    /// Groups committed.
    pub commits: u64,
    /// Changes committed.
    pub changes: u64,
    /// Commits that failed.
    pub errors: u64,
    /// Time of a commit.
    pub commit: Histogram,
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// Upper bounds of the buckets in nanoseconds, inclusive: 250 ns to 5 s, then everything.
#[rustfmt::skip]
pub const BUCKET_NANOS: [u64; 23] = [
    250, 500,
    US, 2 * US + 500, 5 * US, 10 * US, 25 * US, 50 * US, 100 * US, 250 * US, 500 * US,
    MS, 2 * MS + 500 * US, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS,
    S, 2 * S + 500 * MS, 5 * S,
];

/// Counts of durations in fixed buckets, 1-2.5-5 a decade.
#[derive(Clone, Default, Debug)]
pub struct Histogram {
    counts: [u64; BUCKET_NANOS.len() + 1],
    sum_nanos: u64,
}

impl Histogram {
    /// Notes `times` durations of this length.
    pub fn record(&mut self, nanos: u64, times: u64) {
        self.counts[BUCKET_NANOS.partition_point(|&bound| bound < nanos)] += times;
        self.sum_nanos = self.sum_nanos.saturating_add(nanos.saturating_mul(times));
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.counts, &other.counts);
        self.sum_nanos = self.sum_nanos.saturating_add(other.sum_nanos);
    }

    /// The count of each bucket by itself; the last is what lies above [`BUCKET_NANOS`].
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many durations were noted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All durations together.
    #[must_use]
    pub fn sum_nanos(&self) -> u64 {
        self.sum_nanos
    }

    /// The upper bound of the bucket in which this share of the durations ends; 0 when there are none.
    #[must_use]
    pub fn quantile_nanos(&self, per_mille: u64) -> u64 {
        let wanted = (self.count() * per_mille).div_ceil(1_000);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        let last = BUCKET_NANOS[BUCKET_NANOS.len() - 1];
        if wanted == 0 { 0 } else { bucket.and_then(|at| BUCKET_NANOS.get(at)).copied().unwrap_or(last) }
    }
}

fn add(ours: &mut [u64], theirs: &[u64]) {
    ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours += theirs);
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, Command, Histogram, OUTCOMES, Outcome, REFUSALS, Refusal, ShardStats};

    #[test]
    fn labels_stand_at_their_numbers() {
        assert!(COMMANDS.iter().enumerate().all(|(at, (command, _))| *command as usize == at));
        assert!(OUTCOMES.iter().enumerate().all(|(at, (outcome, _))| *outcome as usize == at));
        assert!(REFUSALS.iter().enumerate().all(|(at, (refusal, _))| *refusal as usize == at));
    }

    #[test]
    fn counters_add_up_and_high_water_marks_keep_the_larger() {
        let mut all = ShardStats { connections: 2, mesh_depth_high_water: 7, ..ShardStats::default() };
        let mut other = ShardStats { connections: 3, mesh_depth_high_water: 5, ..ShardStats::default() };
        other.count(Command::Select, Outcome::SeatTaken);
        other.refuse(Refusal::PerIp);
        other.decision.record(100, 2);
        all.merge(&other);
        all.merge(&other);
        assert_eq!((all.connections, all.mesh_depth_high_water, all.commands_total()), (8, 7, 2));
        assert_eq!(all.commands[Command::Select as usize][Outcome::SeatTaken as usize], 2);
        assert_eq!((all.refused, all.decision.count(), all.decision.sum_nanos()), ([0, 2, 0, 0], 4, 400));
    }

    #[test]
    fn a_duration_falls_into_the_bucket_that_ends_with_it() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_nanos(990), 0);
        histogram.record(0, 1);
        histogram.record(250, 97);
        histogram.record(251, 1);
        histogram.record(u64::MAX, 1);
        assert_eq!((histogram.counts()[0], histogram.counts()[1], histogram.counts()[23]), (98, 1, 1));
        assert_eq!(histogram.quantile_nanos(500), 250);
        assert_eq!(histogram.quantile_nanos(990), 500);
        assert_eq!(histogram.quantile_nanos(1_000), 5_000_000_000);
    }
}
