//! Butaca: a real-time seat-selection server for ticket on-sales.

pub mod limits;

pub mod engine;

pub mod wire;

pub mod persist;
