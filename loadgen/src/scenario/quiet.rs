//! Connections that do nothing: `connect` measures their opening, `idle` what they cost afterwards.

use crate::client::Reply;
use crate::names::Who;
use crate::session::{Script, Session};
use crate::worker::Worker;

/// Joined, and silent.
#[derive(Debug, Default)]
pub struct Quiet;

impl Script for Quiet {
    fn begin(&mut self, _session: &mut Session, _start: u64, _begin: u64, _end: u64) {}

    fn due(&mut self, _session: &mut Session, _worker: &mut Worker, now: u64) -> u64 {
        now + 10_000_000
    }

    fn reply(&mut self, _session: &mut Session, _worker: &mut Worker, _who: Who, _reply: Reply, _now: u64) {}
}
