//! The scripts: what the clients of each scenario do.
//!
//! `flow` (fanout, rooms, closed), `contend`, `quiet` (connect, idle), `onsale`, `multi` and `sale` (multiplex, arena,
//! stadium, flash, storm, soak), with `carts` in the second protocol. Never here: connections, verification, figures.

mod carts;
pub mod contend;
pub mod flow;
pub mod multi;
pub mod onsale;
pub mod quiet;
pub mod sale;
pub mod storm;
