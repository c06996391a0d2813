//! What one shard counts and measures.
//!
//! Invariants: bumping is an addition on a field, without atomics or allocation; counters only grow, gauges are
//! overwritten by their owner; a field has its row in [`ROWS`]. Never here: clocks, formats.

use super::histogram::Histogram;
use super::row::Json::{Hidden, Key, P99Us};
use super::row::Kind::{Counter, Gauge, HighWater};
use super::row::Unit::{Bytes, Count, Nanos};
use super::row::{self, Json, Kind, Label, Row, STATS_ONLY, Scope, Slot, Unit};
use crate::engine::command::RequestType;
use crate::wire::code::{CODES, Code};

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

/// How it ended: it was done, or had been done already, or was refused.
pub type Outcome = Result<(), Code>;

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
    /// It is not in `ALLOWED_ORIGINS`.
    Origin,
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

/// Outcomes: success, and each code.
pub const OUTCOMES: usize = 1 + CODES.len();

/// All refusals with their labels, in the order of their numbers.
pub const REFUSALS: [(Refusal, &str); 5] = [
    (Refusal::Limit, "limit"),
    (Refusal::PerIp, "per_ip"),
    (Refusal::Files, "files"),
    (Refusal::Draining, "draining"),
    (Refusal::Origin, "origin"),
];

impl From<RequestType> for Command {
    fn from(request: RequestType) -> Self {
        match request {
            RequestType::Join => Self::Join,
            RequestType::Leave => Self::Leave,
            RequestType::Select | RequestType::SelectSeats | RequestType::SelectBest => Self::Select,
            RequestType::Release | RequestType::ReleaseSeats => Self::Release,
            RequestType::Extend | RequestType::Sync | RequestType::Resume => Self::Unknown,
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
    pub commands: [[u64; OUTCOMES]; COMMANDS.len()],
    /// Time from a command about a room of another node to its answer.
    pub forwarded: Histogram,
    /// Commands that were sent to another node again.
    pub forwarded_again: u64,
    /// Times something was missing of what another node told of a room.
    pub room_holes: u64,
    /// Room events handed to members' sockets.
    pub deliveries: u64,
    /// `send` calls that took bytes.
    pub sends: u64,
    /// Gauge: connections that lag and wait for their turn to be sent a full state.
    pub full_states_waiting: u64,
    /// How long the one that waits longest has waited. Of several shards the longest counts.
    pub full_state_wait_ms: u64,
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
    /// Full states that had to wait because there was no memory for one more.
    pub states_deferred: u64,
    /// HTTP answers refused because there was no memory for one more.
    pub bodies_refused: u64,
    /// Connections closed because they took nothing.
    pub stalled_closed: u64,
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
        self.commands[command as usize][column(outcome)] += 1;
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
    pub fn merge(&mut self, other: Self) {
        row::merge(ROWS, self, other);
    }
}

const COMMAND_NAMES: [&str; COMMANDS.len()] = names(COMMANDS);
const OUTCOME_NAMES: [&str; OUTCOMES] = outcome_names();

/// Where an outcome is counted.
const fn column(outcome: Outcome) -> usize {
    match outcome {
        Ok(()) => 0,
        Err(code) => 1 + code as usize,
    }
}

const fn outcome_names() -> [&'static str; OUTCOMES] {
    let mut names = ["ok"; OUTCOMES];
    let mut at = 0;
    while at < CODES.len() {
        names[1 + at] = CODES[at].1;
        at += 1;
    }
    names
}
const REFUSAL_NAMES: [&str; REFUSALS.len()] = names(REFUSALS);

const fn names<T: Copy, const LEN: usize>(labelled: [(T, &'static str); LEN]) -> [&'static str; LEN] {
    let mut names = [""; LEN];
    let mut at = 0;
    while at < LEN {
        names[at] = labelled[at].1;
        at += 1;
    }
    names
}

type Field = for<'a> fn(&'a mut ShardStats) -> Slot<'a>;
type ShardRow = Row<ShardStats>;

/// A number that each shard shows by itself.
const fn each(name: &'static str, json: Json, kind: Kind, unit: Unit, help: &'static str, slot: Field) -> ShardRow {
    Row { name, json, kind, unit, help, scope: Scope::Shard, labels: &[], slot }
}

/// Sockets handed between shards: one figure with two directions.
const fn handovers(json: &'static str, labels: &'static [Label], slot: Field) -> ShardRow {
    let (name, help) = ("butaca_handovers_total", "Sockets handed between shards");
    Row { name, json: Key(json), kind: Counter, unit: Count("sockets"), help, scope: Scope::Shard, labels, slot }
}

/// Counts of the whole server by these labels.
const fn labelled(
    name: &'static str,
    json: &'static str,
    unit: Unit,
    help: &'static str,
    labels: &'static [Label],
    slot: Field,
) -> ShardRow {
    Row { name, json: Key(json), kind: Counter, unit, help, scope: Scope::Server, labels, slot }
}

/// Durations of the whole server.
const fn durations(name: &'static str, json: Json, help: &'static str, slot: Field) -> ShardRow {
    Row { name, json, kind: Kind::Histogram, unit: Nanos, help, scope: Scope::Server, labels: &[], slot }
}

/// Every figure of a shard. Rows of one name stand together.
#[rustfmt::skip]
pub const ROWS: &[ShardRow] = &[
    each("butaca_connections", Key("connections"), Gauge, Count("sockets"),
        "Open sockets, those of HTTP requests included", |s| Slot::Number(&mut s.connections)),
    each("butaca_rooms", Key("rooms"), Gauge, Count("rooms"),
        "Rooms with a member or a hold", |s| Slot::Number(&mut s.rooms)),
    each("butaca_members", Key("members"), Gauge, Count("memberships"),
        "Memberships of rooms", |s| Slot::Number(&mut s.members)),
    each("butaca_seats_held", Key("holds"), Gauge, Count("seats"),
        "Held seats", |s| Slot::Number(&mut s.holds)),
    each("butaca_outbound_queue_bytes", Key("outbound_queue_bytes"), Gauge, Bytes,
        "Bytes that slow connections have not had, queued or in logs", |s| Slot::Number(&mut s.outbound_queue_bytes)),
    each("butaca_outbound_queue_high_water_bytes", Key("outbound_queue_high_water"), HighWater, Bytes,
        "Most bytes that ever waited for one connection", |s| Slot::Number(&mut s.outbound_queue_high_water)),
    each("butaca_full_states_waiting", Key("full_states_waiting"), Gauge, Count("connections"),
        "Connections that lag and wait for their full state", |s| Slot::Number(&mut s.full_states_waiting)),
    each("butaca_full_state_wait_seconds", Key("full_state_wait_ms"), HighWater, Unit::Millis,
        "How long the first of them has waited", |s| Slot::Number(&mut s.full_state_wait_ms)),
    each("butaca_mesh_depth_high_water", Key("mesh_depth_high_water"), HighWater, Count("messages"),
        "Most messages ever taken from the mailbox at once", |s| Slot::Number(&mut s.mesh_depth_high_water)),

    each("butaca_deliveries_total", Key("deliveries"), Counter, Count("events"),
        "Room events handed to members' sockets", |s| Slot::Number(&mut s.deliveries)),
    each("butaca_sends_total", Key("sends"), Counter, Count("calls"),
        "System calls that sent", |s| Slot::Number(&mut s.sends)),
    each("butaca_bytes_sent_total", Key("bytes_sent"), Counter, Bytes,
        "Bytes sent", |s| Slot::Number(&mut s.bytes_sent)),
    each("butaca_bytes_received_total", Key("bytes_received"), Counter, Bytes,
        "Bytes received", |s| Slot::Number(&mut s.bytes_received)),
    each("butaca_slow_consumers_total", Key("slow_consumers"), Counter, Count("times"),
        "Times a connection fell behind its queue's bound", |s| Slot::Number(&mut s.slow_consumers)),
    each("butaca_resyncs_total", Key("resyncs"), Counter, Count("full states"),
        "Full states sent instead of dropped events", |s| Slot::Number(&mut s.resyncs)),
    each("butaca_states_deferred_total", Key("states_deferred"), Counter, Count("full states"),
        "Full states that waited because memory was short", |s| Slot::Number(&mut s.states_deferred)),
    each("butaca_bodies_refused_total", Key("bodies_refused"), Counter, Count("answers"),
        "HTTP answers refused with 503 because memory was short", |s| Slot::Number(&mut s.bodies_refused)),
    each("butaca_stalled_closed_total", Key("stalled_closed"), Counter, Count("connections"),
        "Connections closed with 4008 because they took nothing", |s| Slot::Number(&mut s.stalled_closed)),
    each("butaca_mesh_messages_total", Key("mesh_sent"), Counter, Count("messages"),
        "Messages posted to other shards", |s| Slot::Number(&mut s.mesh_sent)),
    each(STATS_ONLY, Key("mesh_received"), Counter, Count("messages"),
        "Messages taken from the mailbox", |s| Slot::Number(&mut s.mesh_received)),
    each("butaca_watchdog_pokes_total", Key("watchdog_pokes"), Counter, Count("times"),
        "Times the watchdog had to wake the shard", |s| Slot::Number(&mut s.watchdog_pokes)),
    each("butaca_turns_total", Key("turns"), Counter, Count("turns"),
        "Turns of the driver", |s| Slot::Number(&mut s.turns)),
    each("butaca_accepts_total", Key("accepts"), Counter, Count("connections"),
        "Connections accepted", |s| Slot::Number(&mut s.accepts)),
    each("butaca_passes_total", Key("passes"), Counter, Count("passes"),
        "Passes over a room's members", |s| Slot::Number(&mut s.passes)),
    each("butaca_merged_frames_total", Hidden, Counter, Count("frames"),
        "Frames sent together with one before them", |s| Slot::Number(&mut s.merged_frames)),
    handovers("handovers_in", &[Label { name: "direction", values: &["in"] }],
        |s| Slot::Number(&mut s.handovers_in)),
    handovers("handovers_out", &[Label { name: "direction", values: &["out"] }],
        |s| Slot::Number(&mut s.handovers_out)),

    labelled("butaca_commands_total", "commands", Count("commands"), "Commands by type and result",
        &[Label { name: "type", values: &COMMAND_NAMES }, Label { name: "result", values: &OUTCOME_NAMES }],
        |s| Slot::Numbers(s.commands.as_flattened_mut())),
    labelled("butaca_refused_connections_total", "refused_connections", Count("connections"),
        "Connections that were not taken", &[Label { name: "reason", values: &REFUSAL_NAMES }],
        |s| Slot::Numbers(&mut s.refused)),

    durations("butaca_decision_seconds", Hidden,
        "Time the engine took for a command, one in sixteen measured", |s| Slot::Histogram(&mut s.decision)),
    durations("butaca_reply_seconds", Hidden,
        "Time from reading a command to handing its reply to the kernel", |s| Slot::Histogram(&mut s.reply)),
    durations("butaca_forwarded_command_seconds", P99Us("forwarded_p99_us"),
        "Time from a command about a room of another node to its answer", |s| Slot::Histogram(&mut s.forwarded)),
    each("butaca_forwarded_again_total", Key("forwarded_again"), Counter, Count("commands"),
        "Commands that were sent to another node again", |s| Slot::Number(&mut s.forwarded_again)),
    each("butaca_room_holes_total", Key("room_holes"), Counter, Count("holes"),
        "Times something was missing of what another node told of a room", |s| Slot::Number(&mut s.room_holes)),
    durations("butaca_fan_out_seconds", P99Us("fan_out_p99_us"),
        "Time from a change to the pass that carried it to a member", |s| Slot::Histogram(&mut s.fan_out)),
];

#[cfg(test)]
mod tests {
    use super::{COMMANDS, Command, REFUSALS, Refusal, ShardStats, column};
    use crate::wire::code::Code;

    #[test]
    fn labels_stand_at_their_numbers() {
        assert!(COMMANDS.iter().enumerate().all(|(at, (command, _))| *command as usize == at));
        assert!(REFUSALS.iter().enumerate().all(|(at, (refusal, _))| *refusal as usize == at));
    }

    #[test]
    fn counters_add_up_and_high_water_marks_keep_the_larger() {
        let mut all = ShardStats { connections: 2, mesh_depth_high_water: 7, ..ShardStats::default() };
        let mut other = ShardStats { connections: 3, mesh_depth_high_water: 5, ..ShardStats::default() };
        other.count(Command::Select, Err(Code::SeatTaken));
        other.refuse(Refusal::PerIp);
        other.decision.record(100, 2);
        all.merge(other.clone());
        all.merge(other);
        assert_eq!((all.connections, all.mesh_depth_high_water, all.commands_total()), (8, 7, 2));
        assert_eq!(all.commands[Command::Select as usize][column(Err(Code::SeatTaken))], 2);
        assert_eq!((all.refused, all.decision.count(), all.decision.sum()), ([0, 2, 0, 0, 0], 4, 400));
    }
}
