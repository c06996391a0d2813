//! The rooms that a file has declared, on their way into this shard.
//!
//! Invariants: they are asked for as the API asks, when what was stored is back and before the next client is read; a
//! room that is there with other settings keeps them, since the backend has changed it since then. Never here: files.

use crate::engine::command::{ApiAnswer, ApiTicket, Reject, SaleAnswer};
use crate::limits::DECLARE_AGAIN_MS;
use crate::node::Event;
use crate::runtime::core::Core;

/// The API counts its questions from 1.
pub(crate) const DECLARED: ApiTicket = ApiTicket(0);

impl Core {
    /// Asks for the rooms of the file, once the shard serves; again, now and then, for those that the store has
    /// refused.
    pub(crate) fn declare_rooms(&mut self) {
        if self.declared.is_empty() || self.now.mono.0 < self.declare_at_ms || !self.board.serves(self.id) {
            return;
        }
        self.declare_at_ms = self.now.mono.0 + DECLARE_AGAIN_MS;
        let own = self.declared.iter().filter(|(room, _)| self.node.decides(room.as_str()));
        let rooms: Vec<_> = own.map(|(room, request)| (room.clone(), request.clone())).collect();
        for (room, request) in rooms {
            self.handle(Event::Sale { room, request, reply_to: DECLARED });
        }
    }

    /// A room of the file is there, or cannot be.
    pub(crate) fn declared_told(&mut self, ApiAnswer { room, answer, .. }: &ApiAnswer) {
        if let SaleAnswer::Refused { reject, .. } = answer {
            if matches!(reject, Reject::PersistenceUnavailable | Reject::Overloaded) {
                return;
            }
            if *reject == Reject::RoomDiffers {
                tracing::warn!(%room, "the room is not as ROOMS_FILE says; what was decided since then stays");
            } else {
                tracing::error!(%room, ?reject, "the room of ROOMS_FILE cannot be");
            }
        }
        self.declared.remove(room);
    }
}
