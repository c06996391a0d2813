//! The log of acts as its readers see it: every committed act on seats, an order or a room is one event.
//!
//! `event` is one of them, `chapter` those of a commit, `ring` all that are kept. The way of an event: the node tells
//! it beside the changes (`node::acts`), the shard's batch takes it to the store (`persist`), and the ring shows it
//! once it is committed. Never here: what an act is, how a store keeps it.

pub mod chapter;
pub mod event;
pub mod ring;
