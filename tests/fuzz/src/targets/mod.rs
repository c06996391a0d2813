//! One function a target: it takes any bytes and panics when something that must be true of them is not.

pub mod http_head;
pub mod jwt;
pub mod layout_json;
pub mod letter;
pub mod message_json;
pub mod node_turns;
pub mod pretix_plan;
pub mod shard_ops;
pub mod socket_bytes;
pub mod v2_json;
