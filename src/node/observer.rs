//! An observer that hears every decision of a shard: the oracle of a simulation.
//!
//! Invariant: what it hears changes nothing. A server has none.

use std::fmt;

use crate::engine::command::{Effect, Input};
use crate::engine::ids::ConnId;
use crate::engine::shard::Shard;
use crate::engine::time::Now;
use crate::persist::shard::gate::Retract;

/// What has been decided.
#[derive(Debug)]
pub enum Observed<'a> {
    /// The engine has made these effects of an input.
    Decided { now: Now, input: &'a Input<'a>, effects: &'a [Effect], seats: &'a Shard },
    /// Changes that nobody was told of are undone; these effects take the place of all that waited.
    Undone { retracts: &'a [Retract], effects: &'a [Effect], seats: &'a Shard },
    /// Events pass this connection by, because it reads too slowly.
    Dropped { conn: ConnId },
}

/// The one who hears it.
pub struct Observer(Box<dyn FnMut(Observed<'_>) + Send>);

impl Observer {
    /// Calls this with each decision.
    #[must_use]
    pub fn new(hear: impl FnMut(Observed<'_>) + Send + 'static) -> Self {
        Self(Box::new(hear))
    }

    pub(super) fn hear(&mut self, observed: Observed<'_>) {
        (self.0)(observed);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
