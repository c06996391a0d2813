//! Figures: what is counted and measured, each described by one row of a table.
//!
//! Owns: the fields that shards, the store thread and the process fill in ([`shard`], [`store`], [`server`]), and how
//! they are added up ([`row`]), written as Prometheus text ([`text`]) and put into `/stats` ([`json`]). Invariants: a
//! new figure costs one row and one field; every row is read by all of these; no label comes from a client. Never
//! here: clocks, sockets, when somebody asks.

pub mod histogram;
pub mod json;
pub mod nodes;
pub mod row;
pub mod server;
pub mod shard;
pub mod stats;
pub mod store;
pub mod text;
