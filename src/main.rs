//! The server as a process.

fn main() {}
