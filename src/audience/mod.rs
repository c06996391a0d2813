//! The audience: what the members of a room are still owed. Pure: `std` only, no socket, no clock.
//!
//! A shard keeps one [`feeds::Feed`] for each room that somebody on it looks at, whichever shard owns the room: the
//! room's last changes ([`ring::Ring`]) and the log of frames that its members read ([`view::View`]). It keeps one
//! [`outbox::Outbox`] for each connection that could not be served at once. A member whose socket was full goes on
//! reading the room's log when it can; its outbox holds only what must stand before or behind that. The runtime moves
//! the bytes. Which bytes are owed to whom, in which order, and what gives way at a bound is decided here, so that the
//! simulation can check it.
//!
//! Members of the second protocol are positions in the room's history ([`history::History`]): [`deltas::Deltas`] tells
//! them what has happened, once a tick.

pub mod budget;
pub mod deltas;
pub mod feeds;
pub mod frames;
pub mod full_states;
pub mod history;
pub mod maps;
pub mod outbox;
pub mod pace;
pub mod ring;
pub mod shared;
pub mod view;
