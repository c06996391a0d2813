//! Butaca: a real-time seat-selection server for ticket on-sales.

pub mod limits;

pub mod engine;

pub mod wire;

pub mod audience;

pub mod config;

pub mod persist;
