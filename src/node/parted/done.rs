//! Answers to questions of other nodes leave.
//!
//! Never here: who answers.

use crate::engine::command::{ApiTicket, SaleAnswer};
use crate::engine::ids::ShardId;
use crate::node::Node;
use crate::node::errand::{Answered, Done};
use crate::node::letters::Letter;

/// A ticket of the backend of another node.
const AFAR: u64 = 1 << 63;

/// Names a question of the backend of another node, of this shard.
pub(super) fn ticket(by: ShardId, number: u32) -> ApiTicket {
    let address = u64::try_from(by.index()).expect("shards are few");
    ApiTicket(AFAR | address << 32 | u64::from(number))
}

impl Node {
    /// A question of another node is answered.
    pub fn errand_done(&mut self, by: ShardId, number: u32, answered: Answered) {
        self.post.letter(by, Letter::Done(Box::new(Done { number, answered })));
    }

    /// Sends the answer to the backend of another node. `false`: it is this node's.
    pub(in crate::node) fn answer_afar(&mut self, to: ApiTicket, answer: &SaleAnswer) -> bool {
        if to.0 & AFAR == 0 {
            return false;
        }
        let address = usize::try_from(to.0 >> 32 & 0xff).expect("a byte");
        let number = u32::try_from(to.0 & u64::from(u32::MAX)).expect("half of it");
        self.errand_done(ShardId::new(address), number, Answered::Sale { answer: Box::new(answer.clone()) });
        true
    }
}
