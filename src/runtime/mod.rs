//! Sockets, clocks and executors: moves bytes and effects, decides nothing about seats.

pub mod clock;
pub mod preflight;
pub mod process;
