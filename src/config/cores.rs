//! How many threads own rooms, what they run on, and how big rooms trade latency for cost. Never here: what the machine
//! has.

use super::values::Values;

/// What the shards run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runtime {
    /// glommio where io_uring is granted, else threads.
    Auto,
    /// glommio, or no start.
    Glommio,
    /// Plain threads.
    Threads,
}

/// Threads, and the pace of rooms.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Threads that own rooms; `None`: one per usable CPU.
    pub shards: Option<usize>,
    /// What those threads run on.
    pub runtime: Runtime,
    /// A room's next pass starts this many times its last pass's cost after that one's start.
    pub pace_factor: u32,
    /// Longest pause between two passes over a room.
    pub pace_max_ms: u64,
    /// Members from which a room's sockets stay spread over the shards.
    pub hot_room_members: usize,
}

impl Cores {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        Ok(Self {
            shards: values.usize_if_set("SHARDS")?,
            runtime: match values.choice("RUNTIME")? {
                Some("glommio") => Runtime::Glommio,
                Some("threads") => Runtime::Threads,
                _ => Runtime::Auto,
            },
            pace_factor: values.u32("PACE_FACTOR")?,
            pace_max_ms: values.u64("PACE_MAX_MS")?,
            hot_room_members: values.usize("HOT_ROOM_MEMBERS")?,
        })
    }
}
