//! Answers that need nobody and must wait all the same: replies come in the order of requests. Never here: what they
//! say.

use super::Node;
use super::session::Parked;
use crate::marks;
use crate::planted::{self, Bug};

impl Node {
    /// Queues an answer that needs nobody, behind those to earlier requests.
    pub(super) fn answer_in_turn(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if session.open_requests() == 0 || planted::has(Bug::AnswerOvertakes) {
            return self.answer(slot, write);
        }
        assert!(session.parked.is_none(), "nothing is read behind what is parked");
        marks::hit("a parked answer");
        let mut answer = Vec::new();
        write(&mut answer);
        session.parked = Some(Box::new(Parked::Answer(answer.into())));
    }
}
