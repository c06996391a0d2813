//! Requests of this shard's connections until they are answered, by whichever shard owns their rooms then.
//!
//! A connection's requests are answered in their order: those under way are all with one shard, and the next one goes
//! elsewhere only when they are answered. Invariants: what is answered was asked, and is answered once; a request that
//! nobody answers is refused in the end; one that would be done twice is sent again only when its owner has said that
//! it was not done. Never here: decisions about seats.

use crate::cluster::names::PartId;
use crate::engine::command::{Asker, CartRequest, Effect, Reject, RequestType, Resumed};
use crate::engine::ids::{RoomId, SeatId, ShardId, ShardSet, Spread};
use crate::engine::time::Millis;
use crate::limits::cluster::COMMAND_AGAIN_MS;
use crate::node::Node;
use crate::node::letters::{Command, Letter, Wanted};

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) command: Command,
    since: Millis,
    since_ns: u64,
    /// Another shard was asked before.
    was_sent: bool,
    /// Who was asked, and when.
    pub(super) asked: Option<(ShardId, Millis)>,
    /// Whoever was asked is gone, or what it answered is: what it has done is not known.
    is_lost: bool,
}

impl Waiting {
    /// Requests about the part go there now: one that was sent elsewhere is sent again.
    pub(super) fn comes_back(&mut self, part: PartId, spread: Spread, to: Option<ShardId>) {
        let of = self.command.wanted.room().and_then(|room| spread.part_of(room.as_str()));
        let is_elsewhere = self.asked.is_some_and(|(asked, _)| Some(asked) != to);
        if of != Some(part.0) || !is_elsewhere {
            return;
        }
        if self.may_be_repeated() {
            crate::marks::hit("a request that is sent again");
            self.asked = None;
        } else if to.is_none() {
            // Who hands a part over answers before; who is gone does not.
            crate::marks::hit("a request of which nobody knows whether it was done");
            self.is_lost = true;
        }
    }

    /// How long ago it was asked, if another node's shard has been asked last: in nanoseconds.
    pub(super) fn forwarded_ns(&self, own_shards: usize, now_ns: u64) -> Option<u64> {
        let is_abroad = self.asked.is_some_and(|(shard, _)| shard.index() >= own_shards);
        is_abroad.then(|| now_ns.saturating_sub(self.since_ns))
    }

    /// What these addresses were asked is asked again, or not known.
    pub(super) fn comes_back_from(&mut self, from: ShardSet) {
        if self.asked.is_some_and(|(asked, _)| from.contains(asked)) {
            if self.may_be_repeated() {
                self.asked = None;
            } else {
                self.is_lost = true;
            }
        }
    }

    /// What stands before it is asked again, and was answered too late if it was answered.
    pub(super) fn is_behind(&mut self) {
        if self.may_be_repeated() {
            self.asked = None;
        }
    }

    /// Whether asking twice does what asking once does: the best seats of now are others than those of before, and the
    /// cart would have both.
    fn may_be_repeated(&self) -> bool {
        !matches!(&self.command.wanted, Wanted::Cart { request: CartRequest::SelectBest { .. }, .. })
    }
}

impl Node {
    /// Keeps a request until it is answered, and asks whoever owns its room.
    pub(in crate::node) fn ask_somebody(&mut self, slot: u32, command: Command) {
        let (since, since_ns) = (self.at.now.mono, self.at.ns);
        let Some(parted) = self.parted.as_mut() else { return };
        parted.waiting.entry(slot).or_default().push_back(Waiting {
            command,
            since,
            since_ns,
            was_sent: false,
            asked: None,
            is_lost: false,
        });
        self.pump(slot);
    }

    /// Sends whatever may be sent.
    pub(super) fn pump_all(&mut self) {
        let slots: Vec<u32> = self.parted.iter().flat_map(|parted| parted.waiting.keys().copied()).collect();
        slots.into_iter().for_each(|slot| self.pump(slot));
    }

    /// Requests that were asked for while effects were performed go on. Whether there were some.
    pub(in crate::node) fn pump_queued(&mut self) -> bool {
        let Some(parted) = self.parted.as_mut().filter(|parted| !parted.pumps.is_empty()) else { return false };
        for (slot, generation) in std::mem::take(&mut parted.pumps) {
            if self.sessions.live(slot, generation).is_some() {
                self.pump(slot);
            }
        }
        true
    }

    /// Which request of a connection may be sent now, and where.
    fn next_to_ask(&self, slot: u32) -> Option<(usize, ShardId)> {
        let parted = self.parted.as_ref()?;
        let queue = parted.waiting.get(&slot)?;
        let at = queue.iter().position(|waiting| waiting.asked.is_none())?;
        let with = queue.iter().take(at).find_map(|waiting| waiting.asked).map(|(shard, _)| shard);
        let room = queue[at].command.wanted.room()?.as_str();
        let to = parted.owner_of(room).filter(|to| with.is_none_or(|with| with == *to))?;
        if self.is_unshown(slot, room) {
            crate::marks::hit("a request that waits until its room is shown anew");
            return None;
        }
        Some((at, to))
    }

    /// Sends the requests of a connection that may be sent, in order.
    fn pump(&mut self, slot: u32) {
        let now = self.at.now.mono;
        loop {
            let Some((at, to)) = self.next_to_ask(slot) else { return };
            let Some(queue) = self.parted.as_mut().and_then(|parted| parted.waiting.get_mut(&slot)) else { return };
            queue[at].asked = Some((to, now));
            let command = queue[at].command.clone();
            let is_again = std::mem::replace(&mut queue[at].was_sent, to != self.id);
            let Some(session) = self.sessions.get_mut(slot) else { return };
            session.touched.insert(to);
            if to == self.id {
                let ticket = command.ticket;
                self.passed_on(&command);
                let is_back = |parted: &super::Parted| {
                    let queue = parted.waiting.get(&slot);
                    queue.into_iter().flatten().any(|of| of.command.ticket == ticket && of.asked.is_none())
                };
                if self.parted.as_deref().is_some_and(is_back) {
                    return;
                }
            } else {
                crate::marks::hit("a request for another shard");
                self.figures.forwarded_again += u64::from(is_again);
                self.post.letter(to, Letter::Command(Box::new(command)));
            }
        }
    }

    /// Asks again what has no answer for long, and refuses what has none for too long.
    pub(super) fn refuse_overdue(&mut self) {
        let now = self.at.now.mono;
        let Some(parted) = self.parted.as_mut() else { return };
        let own_shards = parted.link.spread().shards();
        for waiting in parted.waiting.values_mut().flatten() {
            let is_lost = |(to, at): (ShardId, Millis)| to.index() >= own_shards && now.since(at) >= COMMAND_AGAIN_MS;
            if waiting.asked.is_some_and(is_lost) && waiting.may_be_repeated() {
                waiting.asked = None;
            }
        }
        let patience_ms = parted.patience_ms;
        let is_over = |waiting: &Waiting| waiting.is_lost || now.since(waiting.since) >= patience_ms;
        let due = parted.waiting.iter().filter(|(_, queue)| queue.front().is_some_and(is_over));
        let due: Vec<u32> = due.map(|(slot, _)| *slot).collect();
        for slot in due {
            crate::marks::hit("a request that nobody decides");
            let parted = self.parted.as_mut().expect("looked at above");
            let Some(first) = parted.waiting.get_mut(&slot).and_then(|queue| queue.front_mut()) else { continue };
            // Nobody else answers it.
            first.asked = Some((self.id, now));
            let (conn, refusal) = (first.command.conn, refusal(&first.command));
            self.answered(conn, refusal, None);
        }
    }
}

/// What is told in the place of an answer that does not come.
fn refusal(command: &Command) -> Effect {
    let to = Asker { conn: command.conn, ticket: command.ticket };
    let (request, room, seat): (RequestType, &RoomId, Option<&SeatId>) = match &command.wanted {
        Wanted::First(request) => (request.as_ref().kind(), request.room(), request.seat()),
        Wanted::Cart { room, request: CartRequest::Leave } => {
            return Effect::Left { to, client: command.client.clone(), room: room.clone() };
        }
        Wanted::Cart { room, request } => (request.kind(), room, None),
        Wanted::Resume { .. } => return Effect::Resumed(Box::new(Resumed { to, carts: Vec::new() })),
    };
    let (room, seat, reject) = (room.clone(), seat.cloned(), Reject::PersistenceUnavailable);
    Effect::Refused { to, reject, request, room, seat, details: None }
}
