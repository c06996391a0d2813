//! Questions to shards of other nodes leave, and so do answers to theirs.
//!
//! The shard where a room would be on this node asks for it. Never here: which node owns a room (`node`); what an
//! answer does (`outcomes`).

use crate::engine::ids::{ConnId, ShardId};
use crate::node::errand::{Answered, Asked};
use crate::runtime::core::Core;
use crate::runtime::desk::Asker;
use crate::runtime::site::letters::{Told, Wanted};

impl Core {
    /// Asks the owner of a room, or a shard of another node.
    pub(crate) fn ask_abroad(&mut self, asker: Asker, asked: Asked, to: Option<ShardId>) {
        let number = self.node.send_errand(asked, to);
        self.askers.insert(number, asker);
    }

    /// Whether a shard of another node is asked for the selections by this name: it lives at that address, and its
    /// question has this number.
    pub(crate) fn is_abroad(&self, by: ConnId) -> bool {
        by.shard().index() >= self.mesh.shards()
    }

    /// Somebody has asked this shard for the selections of a room that it does not decide about. A shard of another
    /// node knows where to ask by itself.
    pub(crate) fn ask_owner(&mut self, by: ConnId, Wanted { room, head_only }: Wanted) {
        if self.is_abroad(by) {
            return self.tell_abroad(by, Told::Nobody);
        }
        self.ask_abroad(Asker::Site(by), Asked::Selections { room, head_only }, None);
    }

    /// The selections that a shard of another node has asked for.
    pub(crate) fn tell_abroad(&mut self, by: ConnId, told: Told) {
        let answered = match told {
            Told::Selections(body) => Answered::Selections { body },
            Told::Length(bytes) => Answered::Length { bytes },
            Told::Busy => Answered::Busy,
            Told::Nobody | Told::Figures(..) => Answered::NotMine,
        };
        self.node.errand_done(by.shard(), by.generation(), answered);
    }
}
