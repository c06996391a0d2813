//! What the API and who asks by HTTP are told of rooms of other nodes, and what other nodes ask of this shard's shell.
//!
//! Invariant: whoever asked is answered once, at the latest when requests have waited for as long as they may. Never
//! here: which node owns a room (`node`).

use crate::engine::command::{ApiTicket, OwnerName};
use crate::engine::ids::{ConnId, ShardId};
use crate::node::errand::{Answered, Asked, Errand, Outcome};
use crate::runtime::core::Core;
use crate::runtime::declaring::DECLARED;
use crate::runtime::desk::{Asker, DeskQuestion, DeskTold};
use crate::runtime::mail::Mail;
use crate::runtime::site::letters::{Question, Told, Wanted};

impl Core {
    /// The end of a turn: what other nodes have asked is answered, and so is who has asked them.
    pub(crate) fn go_on_abroad(&mut self) {
        if !self.node.has_errands() {
            return;
        }
        for Errand { by, number, asked } in self.node.take_questions() {
            self.asked_from_abroad(by, number, asked);
        }
        for (number, outcome) in self.node.take_outcomes() {
            match self.askers.remove(&number) {
                Some(Asker::Desk(ticket)) => self.desk_told(ticket, outcome),
                Some(Asker::Site(by)) => self.site_told(by, outcome),
                None => crate::marks::hit("a question whose asker is gone"),
            }
        }
    }

    fn asked_from_abroad(&mut self, by: ShardId, number: u32, asked: Asked) {
        let answered = match asked {
            Asked::Selections { room, head_only } => {
                let question = Question::Selections(Wanted { room, head_only });
                return self.asked(ConnId::new(by, 0, number), question);
            }
            Asked::Rooms { after, limit, from } => {
                Answered::Rooms { names: self.rooms_behind(after.as_ref(), limit, from) }
            }
            Asked::UsesLayout { layout } => Answered::UsesLayout { uses: self.node.seats().uses_layout(&layout) },
            Asked::Disconnect { whom, ban_ms } => Answered::Disconnected { closed: self.ban(&whom, ban_ms) },
            Asked::Sale { .. } => unreachable!("the node answers it"),
        };
        self.node.errand_done(by, number, answered);
    }

    /// Lets nobody of this owner come for a while, and closes its connections: how many this shard serves. The other
    /// shards of this node need not own a room and be asked, too: what they answer nobody waits for.
    fn ban(&mut self, whom: &OwnerName, ban_ms: u64) -> usize {
        for shard in (0..self.mesh.shards()).map(ShardId::new).filter(|shard| *shard != self.id) {
            let question = DeskQuestion::Disconnect(whom.clone());
            self.lanes.post(shard, Mail::Desk { ticket: DECLARED, question });
        }
        let now_ms = self.now.mono.0;
        self.board.bans.put(whom, now_ms.saturating_add(ban_ms), now_ms);
        let closed = self.node.remove(whom);
        self.take_orders();
        closed
    }

    fn desk_told(&mut self, ticket: ApiTicket, outcome: Outcome) {
        let told = match outcome {
            Outcome::Yours(Asked::Sale { room, request }) => {
                return self.asked_by_desk(ticket, DeskQuestion::Sale { room, request });
            }
            Outcome::Told(Answered::Sale { answer }) => DeskTold::Sale(answer),
            Outcome::Told(Answered::Rooms { names }) => DeskTold::Rooms(names),
            Outcome::Told(Answered::UsesLayout { uses }) => DeskTold::UsesLayout(uses),
            Outcome::Told(Answered::Disconnected { closed }) => DeskTold::Disconnected(closed),
            Outcome::Yours(_) | Outcome::Nobody | Outcome::Told(_) => DeskTold::Nobody,
        };
        self.desk.put([(ticket, told)]);
    }

    fn site_told(&mut self, by: ConnId, outcome: Outcome) {
        let told = match outcome {
            Outcome::Yours(Asked::Selections { room, head_only }) => {
                return self.asked(by, Question::Selections(Wanted { room, head_only }));
            }
            Outcome::Told(Answered::Selections { body }) => Told::Selections(body),
            Outcome::Told(Answered::Length { bytes }) => Told::Length(bytes),
            Outcome::Told(Answered::Busy) => Told::Busy,
            Outcome::Yours(_) | Outcome::Nobody | Outcome::Told(_) => Told::Nobody,
        };
        self.tell_shard(by, told);
    }
}
