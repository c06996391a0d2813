//! Where shards leave the answers that the API's thread has asked them for: its mailbox.
//!
//! The API is no shard and owns no rooms: it asks by [`crate::runtime::mail::Mail::Desk`], each question under a
//! number of its own, and finds the answers here. Invariants: a question is answered once, or not at all, since a
//! shard may end; what lies here is bounded by the number of open questions. Never here: what a question means.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::engine::command::{ApiTicket, OwnerName, SaleAnswer, SaleRequest};
use crate::engine::ids::{ConnId, RoomId, ShardId};
use crate::figures::stats::ShardFigures;
use crate::node::errand::{Asked, Names};

/// The rooms that a file asks for as the API would, in the order of their names.
pub(crate) type Declared = BTreeMap<RoomId, Box<SaleRequest>>;

/// What is asked of a shard.
#[derive(Debug)]
pub(crate) enum DeskQuestion {
    /// Its figures.
    Figures,
    /// The names of the first rooms behind `after`, at most `limit`, in any order, among so many of those that it owns
    /// as are looked at at once, from `from` on.
    Rooms { after: Option<RoomId>, limit: usize, from: usize },
    /// Something of a room that it owns.
    Sale { room: RoomId, request: Box<SaleRequest> },
    /// Every connection of this owner that it serves is to be closed.
    Disconnect(OwnerName),
    /// Whether a room that it owns has this layout.
    UsesLayout(Box<str>),
    /// The shards of other nodes that own rooms.
    Owners,
    /// Ask one of those.
    Abroad { to: ShardId, asked: Box<Asked> },
}

/// The answer to a [`DeskQuestion`].
#[derive(Debug)]
pub(crate) enum DeskTold {
    /// To [`DeskQuestion::Figures`].
    Figures(Box<ShardFigures>),
    /// To [`DeskQuestion::Rooms`].
    Rooms(Names),
    /// To [`DeskQuestion::Sale`].
    Sale(Box<SaleAnswer>),
    /// To [`DeskQuestion::Disconnect`]: how many there were.
    Disconnected(usize),
    /// To [`DeskQuestion::UsesLayout`].
    UsesLayout(bool),
    /// To [`DeskQuestion::Owners`]. So many parts are nobody's at this moment.
    Owners { shards: Vec<ShardId>, ownerless: usize },
    /// Nobody who decides about it has answered.
    Nobody,
}

/// Who has asked a shard something that another node is to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker {
    /// The API.
    Desk(ApiTicket),
    /// A connection of a shard of this node.
    Site(ConnId),
}

/// The mailbox of the API's thread.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    told: Mutex<Vec<(ApiTicket, DeskTold)>>,
    bell: Notify,
}

impl Desk {
    /// A shard answers, all that it can answer now at once.
    pub(crate) fn put(&self, told: impl IntoIterator<Item = (ApiTicket, DeskTold)>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
        self.bell.notify_one();
    }

    /// Waits until there is something, and takes all of it.
    pub(crate) async fn take(&self) -> Vec<(ApiTicket, DeskTold)> {
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
