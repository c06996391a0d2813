//! How effects become frames and frames reach connections: here through views and outboxes, elsewhere through mail.
//!
//! It follows the runtime: a broadcast is encoded once and appended to the room's log on each shard with members; an own
//! reply takes what is owed along, so that a connection gets everything in the order in which it happened.

use butaca::audience::outbox::{Fit, Kind};
use butaca::engine::command::{Change, ChangeKind, Effect, Input, ReleaseReason};
use butaca::engine::ids::RoomId;

use super::client::own_seen;
use super::frames::{Message, Room, Seen};
use super::mail::{Letter, Own, Standing};
use super::names;
use super::node::{LOG_BYTES, Node, OUTBOUND_BYTES, Shared};

impl Node {
    pub(crate) fn perform(&mut self, effect: Effect, shared: &mut Shared) {
        let mut frames = Vec::new();
        let (to, room, standing) = match effect {
            Effect::Joined { to, room, seq, epoch, .. } => {
                let number = names::number(&room);
                self.note_heat(number, shared);
                shared.frames.write(&mut frames, Message::Joined { room: number, seq, epoch });
                self.write_state(&mut frames, &room, true, shared);
                (to, number, Standing::Joined)
            }
            Effect::Left { to, room, .. } => {
                let room = names::number(&room);
                shared.frames.write(&mut frames, Message::Left { room });
                (to, room, Standing::Left)
            }
            Effect::Snapshot { to, room, .. } => {
                self.write_state(&mut frames, &room, false, shared);
                (to, names::number(&room), Standing::CaughtUp)
            }
            Effect::Change(change) => return self.announce(&change, shared),
            Effect::Again { to, room, seat, seq, expires_at, .. } => {
                let (room, seat) = (names::number(&room), names::number(&seat));
                shared.frames.write(&mut frames, Message::Again { room, seat, seq, expires_at });
                (to, room, Standing::Same)
            }
            Effect::Refused { to, request, room, seat, .. } => {
                let (room, seat) = (names::number(&room), seat.as_ref().map(names::number));
                shared.frames.write(&mut frames, Message::Error { request, room, seat });
                (to, room, Standing::Same)
            }
        };
        if to.shard() != self.id {
            let answer = Letter::Answer { to, room, standing, frames };
            return self.out[to.shard().index()].push_back(answer);
        }
        if let Some(slot) = self.find(to) {
            self.answered(slot, room, standing, &frames, shared);
        }
    }

    fn write_state(&self, out: &mut Vec<u8>, room: &RoomId, unless_empty: bool, shared: &mut Shared) {
        let state = self.shard.selections(room.as_str()).expect("the room has a member");
        if unless_empty && state.is_empty() {
            return;
        }
        let seen = |selection: &butaca::engine::command::Selection<'_>| Seen {
            client: names::number(selection.client),
            user_info: selection.user_info.to_owned(),
            expires_at: selection.expires_at,
        };
        let seats = state.iter().map(|selection| (names::number(selection.seat), seen(&selection))).collect();
        let (room, seq, epoch) = (names::number(room), state.seq, state.epoch);
        shared.frames.write(out, Message::State { room, seq, epoch, seats });
    }

    fn announce(&mut self, change: &Change, shared: &mut Shared) {
        let room = names::number(&change.room);
        let (mut public, mut own) = (Vec::new(), Vec::new());
        shared.frames.write(&mut public, message(change, false));
        let mut told = change.audience;
        if let Some(actor) = change.actor {
            shared.frames.write(&mut own, message(change, true));
            told.insert(actor.shard());
        }
        let is_expiry = matches!(change.kind, ChangeKind::Released { reason: ReleaseReason::Expired });
        for shard in told.iter() {
            let public = if change.audience.contains(shard) { public.clone() } else { Vec::new() };
            let to = change.actor.filter(|actor| actor.shard() == shard);
            let own = to.map(|to| Own { to, frame: own.clone(), answers: !is_expiry });
            if shard == self.id {
                self.tell(room, &public, own, shared);
            } else {
                self.out[shard.index()].push_back(Letter::News { room, public, own });
            }
        }
    }

    /// Tells the members on this shard of an event; the actor gets its own frame in the place of the public one.
    pub(crate) fn tell(&mut self, room: Room, public: &[u8], own: Option<Own>, shared: &mut Shared) {
        let actor = own.as_ref().and_then(|own| self.find(own.to));
        if let Some(slot) = actor {
            self.take_owed(slot, shared);
        }
        if let Some(view) = self.views.get_mut(&room)
            && !public.is_empty()
            && view.append(LOG_BYTES, |log| log.extend_from_slice(public)).is_none()
        {
            self.log_was_cut(room, shared);
        }
        let (Some(slot), Some(own)) = (actor, own) else { return };
        if let Some(&at) = self.conn(slot).rooms.get(&room) {
            self.views.get_mut(&room).expect("it has a member").settle(at);
        }
        let is_remote = names::owner(room, self.out.len()) != self.id;
        let conn = self.conn(slot);
        conn.outbox.write(Kind::Reply, |out| out.extend_from_slice(&own.frame));
        if own.answers && is_remote {
            conn.remote -= 1;
        }
    }

    /// A room's log was cut at its bound: all its members here need the full state.
    fn log_was_cut(&mut self, room: Room, shared: &mut Shared) {
        shared.note("a log at its bound");
        for slot in self.views[&room].slots().collect::<Vec<u32>>() {
            let conn = self.conn(slot);
            conn.outbox.lag();
            shared.pipes[conn.pipe].lagged = true;
        }
    }

    /// An answer has reached the shard of its connection.
    pub(crate) fn answered(&mut self, slot: u32, room: Room, standing: Standing, frames: &[u8], shared: &mut Shared) {
        self.take_owed(slot, shared);
        let at = self.conn(slot).rooms.get(&room).copied();
        match (standing, at) {
            (Standing::Joined, None) => {
                let at = self.views.entry(room).or_default().add(slot);
                self.conn(slot).rooms.insert(room, at);
            }
            (Standing::Left, Some(_)) => self.leave_view(slot, room),
            (Standing::CaughtUp, Some(at)) => self.views.get_mut(&room).expect("it has a member").resume(at),
            (Standing::CaughtUp, None) => return,
            (Standing::Joined, Some(_)) | (Standing::Left, None) | (Standing::Same, _) => {}
        }
        let kind = if standing == Standing::CaughtUp { Kind::Resync } else { Kind::Reply };
        self.conn(slot).outbox.write(kind, |out| out.extend_from_slice(frames));
    }

    /// Answers a request that no shard has to decide.
    pub(crate) fn reply(&mut self, slot: u32, message: Message, shared: &mut Shared) {
        self.take_owed(slot, shared);
        let mut frame = Vec::new();
        shared.frames.write(&mut frame, message);
        self.conn(slot).outbox.write(Kind::Reply, |out| out.extend_from_slice(&frame));
    }

    pub(crate) fn leave_view(&mut self, slot: u32, room: Room) {
        let at = self.conn(slot).rooms.remove(&room).expect("it looks at the room");
        let view = self.views.get_mut(&room).expect("it has a member");
        let moved = view.remove(at);
        if view.is_empty() {
            self.views.remove(&room);
        }
        for moved in moved.into_iter().flatten() {
            self.conn(moved.slot).rooms.insert(room, moved.index);
        }
    }

    /// Moves what the connection is owed of all its rooms into its outbox.
    fn take_owed(&mut self, slot: u32, shared: &mut Shared) {
        let rooms: Vec<(Room, u32)> = self.conn(slot).rooms.iter().map(|(&room, &at)| (room, at)).collect();
        for (room, at) in rooms {
            let view = self.views.get_mut(&room).expect("it has a member");
            let owed = view.owed(at).to_vec();
            if !owed.is_empty() {
                view.settle(at);
                self.push_events(slot, &owed, 0, shared);
            }
        }
    }

    fn push_events(&mut self, slot: u32, events: &[u8], sent: usize, shared: &mut Shared) {
        let conn = self.conn(slot);
        let fit = conn.outbox.push_events(events, sent, OUTBOUND_BYTES);
        if fit == Fit::Queued {
            return;
        }
        shared.pipes[conn.pipe].lagged = true;
        for (room, at) in conn.rooms.clone() {
            self.views.get_mut(&room).expect("it has a member").skip(at);
        }
        match fit {
            Fit::Overflow => shared.note("an outbox at its bound"),
            Fit::TooSlow => self.too_slow.push(slot),
            Fit::Queued => {}
        }
    }

    /// Serves some members of a room that is owed something. The pass may go on in a later turn.
    pub(crate) fn pass(&mut self, room: Room, steps: usize, shared: &mut Shared) {
        for _ in 0..steps {
            let Some(view) = self.views.get_mut(&room) else { return };
            if view.is_due() {
                view.begin_pass();
            }
            let Some(serve) = view.step() else { return };
            let events = view.tail(serve.from).to_vec();
            let conn = self.conns[serve.slot as usize].as_ref().expect("a member is there");
            let sent = if conn.outbox.is_idle() { shared.pipes[conn.pipe].send(&events) } else { 0 };
            if sent < events.len() {
                shared.note("a send that the socket did not take whole");
                self.push_events(serve.slot, &events, sent, shared);
            }
        }
        shared.note("a pass that was interrupted");
    }

    /// Sends what waits for a connection; when all has left, it is brought up to date if it lags.
    pub(crate) fn flush(&mut self, slot: u32, shared: &mut Shared) {
        if self.conns[slot as usize].is_none() {
            return;
        }
        self.take_owed(slot, shared);
        let conn = self.conn(slot);
        let sent = shared.pipes[conn.pipe].send(conn.outbox.unsent());
        conn.outbox.advance(sent);
        if conn.outbox.unsent_len() == 0 && conn.outbox.is_lagging() {
            self.resynchronise(slot, shared);
        }
    }

    fn resynchronise(&mut self, slot: u32, shared: &mut Shared) {
        shared.note("a resynchronisation");
        let conn = self.id_of(slot);
        let entry = self.conn(slot);
        entry.outbox.caught_up();
        for room in entry.rooms.clone().into_keys() {
            let owner = names::owner(room, self.out.len());
            if owner == self.id {
                self.decide(Input::Resync { conn, room: names::room_id(room).as_str() }, shared);
            } else {
                self.out[owner.index()].push_back(Letter::Resync { conn, room });
            }
        }
    }

    /// Acts on one letter. One for a connection that has ended changes nothing.
    pub(crate) fn open_letter(&mut self, letter: Letter, shared: &mut Shared) {
        match letter {
            Letter::HandOver(letter) => self.arrive(letter, shared),
            Letter::Command { conn, client, request } => self.command(conn, &client, request, shared),
            Letter::Resync { conn, room } => {
                self.decide(Input::Resync { conn, room: names::room_id(room).as_str() }, shared);
            }
            Letter::Gone { conn } => self.decide(Input::Gone { conn }, shared),
            Letter::Answer { to, room, standing, frames } => {
                let Some(slot) = self.find(to) else { return shared.note("an answer that finds nobody") };
                self.answered(slot, room, standing, &frames, shared);
                if standing != Standing::CaughtUp {
                    self.conn(slot).remote -= 1;
                }
            }
            Letter::News { room, public, own } => self.tell(room, &public, own, shared),
        }
    }
}

fn message(change: &Change, own: bool) -> Message {
    let (room, seat, seq) = (names::number(&change.room), names::number(&change.seat), change.seq);
    let client = names::number(&change.client);
    match &change.kind {
        ChangeKind::Selected { expires_at, .. } if own => {
            Message::Selected { room, seat, seq, seen: own_seen(client, *expires_at), own }
        }
        ChangeKind::Selected { expires_at, user_info, .. } => {
            let seen = Seen { client, user_info: user_info.to_string(), expires_at: *expires_at };
            Message::Selected { room, seat, seq, seen, own }
        }
        ChangeKind::Released { reason } => Message::Released { room, seat, seq, reason: *reason, own },
    }
}
