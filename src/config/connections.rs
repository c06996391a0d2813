//! The bounds of one connection and of all: how many, how long their messages, how fast, how long each step may take.
//!
//! Invariant: `user_info_bytes_max` is below `message_bytes_max`. Never here: what happens at a bound.

use super::values::Values;

/// The bounds of one connection and of all.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Connections of the whole server; `None`: what the file limit allows.
    pub max: Option<usize>,
    /// Connections from one address, or one IPv6 network of 64 bits; 0 is no limit.
    pub per_ip_max: usize,
    /// Longest message of a client.
    pub message_bytes_max: usize,
    /// Longest `user_info`; below `message_bytes_max`.
    pub user_info_bytes_max: usize,
    /// What may wait for one slow connection.
    pub outbound_queue_bytes: usize,
    /// What clients can make grow, all of it together, in bytes of memory; `None`: half of what the machine grants.
    pub memory_budget_bytes: Option<usize>,
    /// Time for a whole request head from the first moment, however slowly it comes.
    pub handshake_ms: u64,
    /// Silence of a client after which it is pinged.
    pub ping_after_ms: u64,
    /// Silence after the ping after which it is closed.
    pub pong_within_ms: u64,
    /// How long a closing connection waits for the client's close frame.
    pub close_within_ms: u64,
    /// How long a full state may be on its way to a slow consumer that drops events again.
    pub slow_consumer_ms: u64,
}

/// How fast messages may come.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Messages a second of one connection; 0 is no limit.
    pub messages_per_s: u32,
    /// Messages of one connection at once.
    pub burst: u32,
    /// Messages a second from one address to one shard; 0 is no limit.
    pub messages_per_s_per_ip: u32,
}

impl Connections {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        let connections = Self {
            max: values.usize_if_set("MAX_CONNECTIONS")?,
            per_ip_max: values.usize("MAX_CONNECTIONS_PER_IP")?,
            message_bytes_max: values.usize("MAX_MESSAGE_BYTES")?,
            user_info_bytes_max: values.usize("MAX_USER_INFO_BYTES")?,
            outbound_queue_bytes: values.usize("OUTBOUND_QUEUE_BYTES")?,
            memory_budget_bytes: values.usize_if_set("MEMORY_BUDGET_BYTES")?,
            handshake_ms: values.u64("HANDSHAKE_MS")?,
            ping_after_ms: values.u64("PING_AFTER_MS")?,
            pong_within_ms: values.u64("PONG_WITHIN_MS")?,
            close_within_ms: values.u64("CLOSE_WITHIN_MS")?,
            slow_consumer_ms: values.u64("SLOW_CONSUMER_MS")?,
        };
        if connections.user_info_bytes_max >= connections.message_bytes_max {
            let why = format!("must be below MAX_MESSAGE_BYTES, which is {}", connections.message_bytes_max);
            let default = connections.user_info_bytes_max.to_string();
            return Err(format!("{}: {why}", values.shown("MAX_USER_INFO_BYTES", &default)));
        }
        Ok(connections)
    }
}

impl Rates {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        Ok(Self {
            messages_per_s: values.u32("RATE_MESSAGES_PER_S")?,
            burst: values.u32("RATE_BURST")?,
            messages_per_s_per_ip: values.u32("RATE_MESSAGES_PER_S_PER_IP")?,
        })
    }
}
