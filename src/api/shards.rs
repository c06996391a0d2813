//! Questions to shards: by letter, and the answer or the end of patience.
//!
//! Invariants: a question is answered once, in time or never; who hung up is waited for no longer. Never here: what is
//! asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::command::ApiTicket;
use crate::engine::ids::{RoomId, ShardId, Spread};
use crate::limits::api::{API_ANSWER_MS, API_CALLS_MAX};
use crate::runtime::desk::{Desk, DeskQuestion, DeskTold};
use crate::runtime::mail::Mail;
use crate::runtime::mailbox::Mesh;

#[derive(Debug, Default)]
struct Open {
    last: u64,
    askers: HashMap<ApiTicket, oneshot::Sender<DeskTold>>,
}

/// The way to the shards and back.
#[derive(Debug)]
pub(super) struct Shards {
    mesh: Mesh,
    desk: Arc<Desk>,
    open: Mutex<Open>,
    spread: Spread,
    /// How long a question may wait for somebody who decides about a room; 0 without other nodes.
    patience_ms: u64,
}

/// Too many wait, here or for that shard.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Busy;

/// A question that is on its way.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    shards: &'a Shards,
    ticket: ApiTicket,
    told: oneshot::Receiver<DeskTold>,
}

impl Shards {
    pub(super) fn new(mesh: Mesh, desk: Arc<Desk>, (spread, patience_ms): (Spread, u64)) -> Self {
        Self { mesh, desk, open: Mutex::default(), spread, patience_ms }
    }

    /// The shard that knows who owns the room: itself, when this node does.
    pub(super) fn home(&self, room: &RoomId) -> ShardId {
        self.spread.shard_of(room.as_str())
    }

    /// In how many parts the rooms of several nodes are; 0 without other nodes.
    pub(super) fn parts(&self) -> usize {
        self.spread.parts().map_or(0, usize::from)
    }

    /// Whether there may be other nodes.
    pub(super) fn has_others(&self) -> bool {
        self.spread.parts().is_some()
    }

    /// How long a call waits for shards.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(API_ANSWER_MS + self.patience_ms)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.mesh.shards()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a shard.
    pub(super) fn ask(&self, shard: ShardId, question: DeskQuestion) -> Result<Asked<'_>, Busy> {
        let (sender, told) = oneshot::channel();
        let mut open = self.open();
        if open.askers.len() >= API_CALLS_MAX {
            return Err(Busy);
        }
        open.last += 1;
        let ticket = ApiTicket(open.last);
        open.askers.insert(ticket, sender);
        drop(open);
        // From here on the ticket is given back when this ends.
        let asked = Asked { shards: self, ticket, told };
        self.mesh.post(shard, Mail::Desk { ticket, question }).map(|()| asked).map_err(|_| Busy)
    }

    /// Hands out answers, for ever.
    pub(super) async fn hand_out(&self) {
        loop {
            for (ticket, told) in self.desk.take().await {
                // Who is not there has lost patience.
                if let Some(asker) = self.open().askers.remove(&ticket) {
                    drop(asker.send(told));
                }
            }
        }
    }
}

impl Asked<'_> {
    /// The answer; `None`: there will be none.
    pub(super) async fn told(&mut self) -> Option<DeskTold> {
        (&mut self.told).await.ok()
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.shards.open().askers.remove(&self.ticket);
    }
}
