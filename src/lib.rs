//! Butaca: a real-time seat-selection server for ticket on-sales.

pub mod limits;

pub mod marks;
pub mod planted;

pub mod engine;

pub mod wire;

pub mod audience;

pub mod figures;

pub mod config;

pub mod clock;

pub mod persist;

pub mod log;

mod slots;

pub mod node;

pub mod runtime;

mod storage;

mod signals;

pub mod server;
