//! How effects become frames and frames reach connections: here through views and outboxes, elsewhere through mail.
//!
//! It follows the runtime: a broadcast is encoded once and appended to the room's log on each shard with members; an own
//! reply takes what is owed along, so that a connection gets everything in the order in which it happened; one whose
//! socket was full is sent the log at its own pace, with its replies in between.

use butaca::audience::outbox::{Kind, LogPart};
use butaca::audience::view::Serve;
use butaca::engine::command::{Change, ChangeKind, Effect, Input, ReleaseReason};
use butaca::engine::ids::RoomId;

use super::client::own_seen;
use super::frames::{Message, Room, Seen};
use super::mail::{Letter, Own, Standing};
use super::names;
use super::node::{LAG_BYTES, LOG_BYTES, Node, Shared};

impl Node {
    pub(crate) fn perform(&mut self, effect: Effect, shared: &mut Shared) {
        let mut frames = Vec::new();
        let (to, room, standing) = match effect {
            Effect::Joined { to, room, seq, epoch, .. } => {
                let to = to.conn;
                let number = names::number(&room);
                self.note_heat(number, shared);
                shared.frames.write(&mut frames, Message::Joined { room: number, seq, epoch });
                self.write_state(&mut frames, &room, true, shared);
                (to, number, Standing::Joined)
            }
            Effect::Left { to, room, .. } => {
                let (to, room) = (to.conn, names::number(&room));
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
                (to.conn, room, Standing::Same)
            }
            Effect::Refused { to, request, room, seat, .. } => {
                let (room, seat) = (names::number(&room), seat.as_ref().map(names::number));
                shared.frames.write(&mut frames, Message::Error { request, room, seat });
                (to.conn, room, Standing::Same)
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
            && view.append(LAG_BYTES, |log| log.extend_from_slice(public))
        {
            self.drop_laggards(room, shared);
        }
        let (Some(slot), Some(own)) = (actor, own) else { return };
        if let Some(&at) = self.conn(slot).rooms.get(&room) {
            self.views.get_mut(&room).expect("it has a member").settle(at);
        }
        let is_remote = names::owner(room, self.out.len()) != self.id;
        let conn = self.conn(slot);
        conn.outbox.write(Kind::Reply, |out| out.extend_from_slice(&own.frame));
        if conn.outbox.next_log().is_some() {
            shared.note("a reply behind a log");
        }
        let conn = self.conn(slot);
        if own.answers && is_remote {
            conn.remote -= 1;
        }
    }

    /// Who is too far behind lags: no room sends it events any more, and a full state has to come.
    fn drop_laggards(&mut self, room: Room, shared: &mut Shared) {
        let view = self.views.get_mut(&room).expect("it has a member");
        let is_full = view.log_len() > LOG_BYTES;
        for slot in view.drop_laggards(LAG_BYTES, LOG_BYTES) {
            shared.note(if is_full { "a log at its bound" } else { "a member too far behind" });
            let conn = self.conn(slot);
            shared.pipes[conn.pipe].lagged = true;
            let is_too_slow = conn.outbox.lag();
            for (room, at) in conn.rooms.clone() {
                self.views.get_mut(&room).expect("it has a member").skip(at);
            }
            if is_too_slow {
                self.too_slow.push(slot);
            }
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
            (Standing::Left, Some(_)) => {
                self.keep_owed(slot, room, shared);
                self.leave_view(slot, room);
            }
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

    /// What the outbox names of the log of a room that the connection leaves.
    fn keep_owed(&mut self, slot: u32, room: Room, shared: &mut Shared) {
        let view = &self.views[&room];
        let conn = self.conns[slot as usize].as_mut().expect("the connection is there");
        if !view.is_behind(conn.rooms[&room]) {
            return;
        }
        let before = conn.outbox.unsent_len();
        if !conn.outbox.keep_log(number(room), LAG_BYTES, |span| view.read(span)) {
            shared.note("a laggard that leaves without what it was owed");
            shared.pipes[conn.pipe].lagged = true;
        } else if conn.outbox.unsent_len() > before {
            shared.note("a laggard that leaves with what it was owed");
        }
    }

    /// Moves what the connection is owed of all its rooms into its outbox, or names it there while its socket is full.
    fn take_owed(&mut self, slot: u32, shared: &mut Shared) {
        let conn = self.conns[slot as usize].as_mut().expect("the connection is there");
        for (&room, &at) in &conn.rooms {
            let view = self.views.get_mut(&room).expect("it has a member");
            let owed = view.owed(at);
            if owed.is_empty() {
                continue;
            }
            let copies = !conn.blocked && !view.is_behind(at);
            if copies && conn.outbox.push_events(owed, LAG_BYTES) {
                view.settle(at);
                continue;
            }
            if copies {
                shared.note("events that did not fit the outbox");
            }
            let span = view.claim(at);
            conn.outbox.push_log(LogPart { view: number(room), span });
        }
    }

    /// Serves some members of a room that is owed something. The pass may go on in a later turn.
    pub(crate) fn pass(&mut self, room: Room, steps: usize, shared: &mut Shared) {
        for _ in 0..steps {
            let Some(view) = self.views.get_mut(&room) else { return };
            if view.is_due() {
                view.begin_pass();
            }
            let Some(Serve { index, slot, from }) = view.step() else { return };
            let conn = self.conns[slot as usize].as_mut().expect("a member is there");
            if conn.blocked || !conn.outbox.is_idle() {
                shared.note("a member whose socket was full already");
                view.fall_behind(index, from, 0);
                continue;
            }
            let events = view.tail(from);
            let sent = shared.send(conn.pipe, events);
            if sent < events.len() {
                shared.note("a send that the socket did not take whole");
                conn.outbox.finish_first(view.fall_behind(index, from, sent));
                conn.blocked = true;
            }
        }
        shared.note("a pass that was interrupted");
    }

    /// Sends what waits for a connection whose socket may take more; when all has left, it is brought up to date if it
    /// lags.
    pub(crate) fn flush(&mut self, slot: u32, shared: &mut Shared) {
        if self.conns[slot as usize].is_none() {
            return;
        }
        self.conn(slot).blocked = false;
        self.take_owed(slot, shared);
        let conn = self.conns[slot as usize].as_mut().expect("looked at above");
        while !conn.blocked && !conn.outbox.is_empty() {
            let part = conn.outbox.next_log();
            let room = |part: LogPart| usize::try_from(part.view).expect("few rooms");
            let bytes = part.map_or(conn.outbox.unsent(), |part| self.views[&room(part)].read(part.span));
            let sent = shared.send(conn.pipe, bytes);
            conn.blocked = sent < bytes.len();
            let Some(part) = part else {
                conn.outbox.advance(sent);
                continue;
            };
            let at = conn.rooms[&room(part)];
            let view = self.views.get_mut(&room(part)).expect("it has a member");
            let (next, rest) = view.took(at, part.span.from, sent);
            if !rest.is_empty() {
                shared.note("a frame of a log that was begun");
            }
            conn.outbox.advance_log(next, rest);
        }
        if conn.blocked {
            return;
        }
        for (room, &at) in &conn.rooms {
            let view = self.views.get_mut(room).expect("it has a member");
            if view.is_behind(at) {
                shared.note("a member that catches up from the log");
                assert!(view.catch_up(at), "something is owed that was not named");
            }
        }
        if conn.outbox.is_lagging() {
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

/// How an outbox names a room's view.
fn number(room: Room) -> u32 {
    u32::try_from(room).expect("few rooms")
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
