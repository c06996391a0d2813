//! Where shards leave the answers that the API's thread has asked them for: its mailbox.
//!
//! The API is no shard and owns no rooms: it asks by [`crate::runtime::mail::Mail::Desk`], each question under a number
//! of its own, and finds the answers here. Invariants: a question is answered once, or not at all, since a shard may
//! end; what lies here is bounded by the number of open questions. Never here: what a question means.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::figures::stats::ShardFigures;

/// Names a question of the API: the answer says which one it is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct DeskTicket(pub(crate) u64);

/// What is asked of a shard.
#[derive(Debug)]
pub(crate) enum DeskQuestion {
    /// Its figures.
    Figures,
}

/// The answer to a [`DeskQuestion`].
#[derive(Debug)]
pub(crate) enum DeskTold {
    /// To [`DeskQuestion::Figures`].
    Figures(Box<ShardFigures>),
}

/// The mailbox of the API's thread.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    told: Mutex<Vec<(DeskTicket, DeskTold)>>,
    bell: Notify,
}

impl Desk {
    /// A shard answers.
    pub(crate) fn put(&self, ticket: DeskTicket, told: DeskTold) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push((ticket, told));
        self.bell.notify_one();
    }

    /// Waits until there is something, and takes all of it.
    pub(crate) async fn take(&self) -> Vec<(DeskTicket, DeskTold)> {
        loop {
            let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
            if !told.is_empty() {
                return told;
            }
            // A bell that rang since then is remembered.
            self.bell.notified().await;
        }
    }
}
