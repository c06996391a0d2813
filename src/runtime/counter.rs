//! What the API asks of this shard, and where its answers go.
//!
//! Invariant: what is decided in a turn is answered at its end, all at once, since each answer wakes the API's thread.
//! Never here: what a request means.

use std::collections::BinaryHeap;

use crate::engine::command::{ApiAnswer, ApiTicket};
use crate::engine::ids::RoomId;
use crate::limits::api::ROOMS_LOOKED_AT_ONCE;
use crate::node::Event;
use crate::node::errand::{Asked, Names};
use crate::runtime::core::Core;
use crate::runtime::declaring::DECLARED;
use crate::runtime::desk::{Asker, DeskQuestion, DeskTold};

impl Core {
    /// The API asks.
    pub(crate) fn asked_by_desk(&mut self, ticket: ApiTicket, question: DeskQuestion) {
        match question {
            DeskQuestion::Figures => {
                let told = DeskTold::Figures(Box::new(self.own_figures()));
                self.desk.put([(ticket, told)]);
            }
            DeskQuestion::Rooms { after, limit, from } => {
                let told = DeskTold::Rooms(self.rooms_behind(after.as_ref(), limit, from));
                self.desk.put([(ticket, told)]);
            }
            DeskQuestion::Sale { room, request } if self.node.decides(room.as_str()) => {
                self.handle(Event::Sale { room, request, reply_to: ticket });
            }
            DeskQuestion::Sale { room, request } => {
                self.ask_abroad(Asker::Desk(ticket), Asked::Sale { room, request }, None);
            }
            DeskQuestion::Abroad { to, asked } => self.ask_abroad(Asker::Desk(ticket), *asked, Some(to)),
            DeskQuestion::Owners => {
                let (shards, ownerless) = self.node.owners_abroad();
                self.desk.put([(ticket, DeskTold::Owners { shards, ownerless })]);
            }
            DeskQuestion::UsesLayout(id) => {
                let told = DeskTold::UsesLayout(self.node.seats().uses_layout(&id));
                self.desk.put([(ticket, told)]);
            }
            DeskQuestion::Disconnect(whom) => {
                let closed = self.node.remove(&whom);
                self.take_orders();
                self.desk.put([(ticket, DeskTold::Disconnected(closed))]);
            }
        }
    }

    /// The names of the first rooms behind `after` among so many as may be looked at in a turn, and where that ends.
    pub(crate) fn rooms_behind(&self, after: Option<&RoomId>, limit: usize, from: usize) -> Names {
        let mut first: BinaryHeap<&RoomId> = BinaryHeap::new();
        let (rooms, has_more) = self.node.seats().rooms_in(from, ROOMS_LOOKED_AT_ONCE);
        for room in rooms.filter(|room| after.is_none_or(|after| *room > after)) {
            if first.len() < limit {
                first.push(room);
            } else if first.peek().is_some_and(|last| room < *last) {
                first.pop();
                first.push(room);
            }
        }
        let found = first.into_iter().cloned().collect();
        Names { found, next: has_more.then(|| from + ROOMS_LOOKED_AT_ONCE), parts: self.node.parts_decided() }
    }

    /// The end of a turn: what may be answered by now leaves for the API.
    pub(crate) fn answer_desk(&mut self) {
        let answers = self.node.api_answers();
        if answers.is_empty() {
            return;
        }
        let (of_file, asked): (Vec<_>, Vec<_>) = answers.drain(..).partition(|answer| answer.to == DECLARED);
        of_file.iter().for_each(|answer| self.declared_told(answer));
        if !asked.is_empty() {
            let told = |ApiAnswer { to, answer, .. }| (to, DeskTold::Sale(Box::new(answer)));
            self.desk.put(asked.into_iter().map(told));
        }
    }
}
