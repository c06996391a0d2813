//! From requests to the engine and from its effects to frames: here, or on the shard where the member or the owner is.
//!
//! Invariants: a room's commands are decided by its owner alone, in the order in which they arrive; an actor's own frame
//! stands where its event stands in the room's order; replies of one connection come in the order of its requests.
//!
//! Never here: sockets; how bytes leave.

use std::sync::Arc;

use crate::audience::outbox::Kind;
use crate::engine::command::{Caller, Change, ChangeKind, Effect, Input, ReleaseReason, RequestType};
use crate::engine::ids::{ConnId, RoomId, SeatId, ShardId};
use crate::figures::shard::{Command as Counted, Outcome};
use crate::limits::{REMOTE_COMMANDS_MAX, ROOM_LOG_BYTES_MAX, ROOMS_PER_CONNECTION_MAX};
use crate::runtime::connection::Parked;
use crate::runtime::core::Core;
use crate::runtime::full_states::Captured;
use crate::runtime::mesh::{Command, Mail, OwnNews, Standing};
use crate::wire::message::{self, BadMessage, Code, Request};

/// One decision in so many is measured: reading the clock twice costs as much as deciding.
const MEASURED_DECISIONS: u64 = 16;

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handled {
    /// It was answered, or will be.
    Here,
    /// It waits for the answers to what was sent before it, and so does everything behind it.
    Parked,
    /// The connection moves to another shard and asks there.
    HandOver(ShardId),
}

impl Core {
    /// Decides one input and does what comes of it.
    pub(crate) fn decide(&mut self, input: Input<'_>) {
        if let Some(refused) = self.forbidden(&input) {
            return self.save_and_perform(refused);
        }
        self.decisions += 1;
        let began = self.decisions.is_multiple_of(MEASURED_DECISIONS).then(|| self.clock.nanos());
        self.seats.handle(self.now, input, &mut self.effects);
        if let Some(began) = began {
            self.stats.decision.record(self.clock.nanos() - began, 1);
        }
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            self.save_and_perform(effect);
        }
        self.effects = effects;
    }

    /// Answers a request, passes it on, or parks it behind requests that another shard has not answered.
    pub(crate) fn request(&mut self, slot: u32, request: Request<'_>) -> Handled {
        let conn = self.conns.id(slot);
        let Some(client) = self.conns.get(slot).and_then(|conn| conn.client.clone()) else { return Handled::Here };
        let caller = Caller { conn, client: &client };
        if self.must_park(slot, request) {
            self.park(slot, request);
            return Handled::Parked;
        }
        match request {
            Request::Ping => {
                self.stats.count(Counted::Ping, Outcome::Ok);
                let now = self.now.wall;
                self.reply(slot, |out| message::pong(out, now));
            }
            Request::Join { room } => return self.join(slot, caller, room),
            Request::Leave { room } => {
                if self.passes(slot, room) {
                    self.decide(Input::Leave { caller, room });
                } else {
                    self.pass_on(slot, caller, RequestType::Leave, room, None, "");
                }
            }
            Request::Select { room, seat, user_info } => {
                if self.passes(slot, room) {
                    self.decide(Input::Select { caller, room, seat, user_info });
                } else {
                    self.pass_on(slot, caller, RequestType::Select, room, Some(seat), user_info);
                }
            }
            Request::Release { room, seat } => {
                if self.passes(slot, room) {
                    self.decide(Input::Release { caller, room, seat });
                } else {
                    self.pass_on(slot, caller, RequestType::Release, room, Some(seat), "");
                }
            }
        }
        Handled::Here
    }

    /// Whether the request would be answered before one that was sent earlier: only what goes to the same shard as the
    /// unanswered ones keeps its place behind them.
    fn must_park(&self, slot: u32, request: Request<'_>) -> bool {
        let Some(conn) = self.conns.get(slot) else { return false };
        if conn.remote == 0 {
            return false;
        }
        let room = match request {
            Request::Ping => return true,
            Request::Join { .. } if usize::from(conn.rooms) >= ROOMS_PER_CONNECTION_MAX => return true,
            Request::Join { room } | Request::Leave { room } => room,
            Request::Select { room, .. } | Request::Release { room, .. } => room,
        };
        self.owner(room) != conn.remote_owner
    }

    fn park(&mut self, slot: u32, request: Request<'_>) {
        let room_id = |room: &str| RoomId::new(room).expect("the wire checked it");
        let seat_id = |seat: &str| Some(SeatId::new(seat).expect("the wire checked it"));
        let parked = |request, room, seat, user_info: &str| {
            let room = room_id(room);
            Parked::Request { request, room, seat, user_info: user_info.into() }
        };
        let parked = match request {
            Request::Ping => {
                self.stats.count(Counted::Ping, Outcome::Ok);
                let mut answer = Vec::new();
                message::pong(&mut answer, self.now.wall);
                Parked::Answer(answer.into())
            }
            Request::Join { room } => parked(RequestType::Join, room, None, ""),
            Request::Leave { room } => parked(RequestType::Leave, room, None, ""),
            Request::Select { room, seat, user_info } => parked(RequestType::Select, room, seat_id(seat), user_info),
            Request::Release { room, seat } => parked(RequestType::Release, room, seat_id(seat), ""),
        };
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.parked = Some(Box::new(parked));
        }
    }

    /// Everything sent before has been answered: what was parked has its turn.
    pub(crate) fn unpark(&mut self, slot: u32) {
        let Some(parked) = self.conns.get_mut(slot).and_then(|conn| conn.parked.take()) else { return };
        match *parked {
            Parked::Answer(answer) => self.reply(slot, |out| out.extend_from_slice(&answer)),
            Parked::Request { request, room, seat, user_info } => {
                let room = room.as_str();
                let seat = seat.as_ref().map_or("", SeatId::as_str);
                let request = match request {
                    RequestType::Join => Request::Join { room },
                    RequestType::Leave => Request::Leave { room },
                    RequestType::Select => Request::Select { room, seat, user_info: &user_info },
                    RequestType::Release => Request::Release { room, seat },
                    RequestType::Ping => Request::Ping,
                };
                let handled = self.request(slot, request);
                debug_assert_eq!(handled, Handled::Here, "a connection that was answered before stays here");
            }
        }
    }

    /// Whether the room is owned here; notes that its owner knows the connection from now on.
    fn passes(&mut self, slot: u32, room: &str) -> bool {
        let owner = self.owner(room);
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.touched.insert(owner);
        }
        owner == self.id
    }

    fn pass_on(
        &mut self,
        slot: u32,
        caller: Caller<'_>,
        request: RequestType,
        room: &str,
        seat: Option<&str>,
        user_info: &str,
    ) {
        let owner = self.owner(room);
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.remote += 1;
            conn.remote_owner = owner;
        }
        let command = Command {
            conn: caller.conn,
            client: caller.client.clone(),
            request,
            room: RoomId::new(room).expect("the wire checked it"),
            seat: seat.map(|seat| SeatId::new(seat).expect("the wire checked it")),
            user_info: user_info.into(),
        };
        self.lanes.post(owner, Mail::Command(Box::new(command)));
    }

    fn join(&mut self, slot: u32, caller: Caller<'_>, room: &str) -> Handled {
        if let Some(to) = self.better_place(slot, room) {
            return Handled::HandOver(to);
        }
        let view = self.views.find(room);
        let Some(conn) = self.conns.get_mut(slot) else { return Handled::Here };
        let is_member = view.is_some_and(|view| conn.memberships.find(view).is_some());
        if usize::from(conn.rooms) >= ROOMS_PER_CONNECTION_MAX && !is_member {
            return self.refuse_join(slot, room, "a connection can be in 64 rooms at most");
        }
        // A member that joins again takes a place, too, until it is answered; in durable mode that may be after a commit.
        match conn.rooms.checked_add(1) {
            Some(rooms) => conn.rooms = rooms,
            None => return self.refuse_join(slot, room, "too many of your joins wait for their answers"),
        }
        if self.passes(slot, room) {
            self.decide(Input::Join { caller, room });
        } else {
            self.pass_on(slot, caller, RequestType::Join, room, None, "");
        }
        Handled::Here
    }

    fn refuse_join(&mut self, slot: u32, room: &str, why: &'static str) -> Handled {
        self.stats.count(Counted::Join, Outcome::Overloaded);
        let bad = BadMessage {
            code: Code::Overloaded,
            message: why.into(),
            room: Some(room),
            seat: None,
            request_type: Some("join_room"),
        };
        self.refuse(slot, &bad)
    }

    /// Answers what cannot be a request.
    pub(crate) fn refuse(&mut self, slot: u32, bad: &BadMessage<'_>) -> Handled {
        let now = self.now.wall;
        if let Some(conn) = self.conns.get_mut(slot)
            && conn.remote > 0
        {
            let mut answer = Vec::new();
            message::error(&mut answer, bad.code, &bad.message, now, bad.room, bad.seat, bad.request_type);
            conn.parked = Some(Box::new(Parked::Answer(answer.into())));
            return Handled::Parked;
        }
        self.reply(slot, |out| message::error(out, bad.code, &bad.message, now, bad.room, bad.seat, bad.request_type));
        Handled::Here
    }

    /// Tells whom it concerns. What was captured of the room's state is told in the place of its present state.
    pub(crate) fn perform(&mut self, effect: Effect, captured: Option<Vec<u8>>) {
        let captured = match captured.filter(|bytes| !bytes.is_empty()) {
            Some(frames) => Captured::alone(frames),
            None => self.capture(&effect, false),
        };
        match effect {
            Effect::Joined { to, room, .. } => {
                self.stats.count(Counted::Join, Outcome::Ok);
                let members = self.seats.members(room.as_str()).map_or(0, |members| members.total);
                self.board.set_hot(room.as_str(), members >= self.config.hot_room_members);
                self.answer_with(to, &room, Standing::Joined, captured);
            }
            Effect::Left { to, client, room } => {
                self.stats.count(Counted::Leave, Outcome::Ok);
                let mut frames = std::mem::take(&mut self.frame);
                message::room_left(&mut frames, room.as_str(), client.as_str());
                self.answer(to, &room, Standing::Left, frames);
            }
            Effect::Snapshot { to, room, .. } => {
                self.answer_with(to, &room, Standing::CaughtUp, captured);
            }
            Effect::Change(change) => self.announce(&change),
            Effect::Again { to, client, room, seat, seq, expires_at, .. } => {
                self.stats.count(Counted::Select, Outcome::Ok);
                let mut frames = std::mem::take(&mut self.frame);
                let (room_id, seat) = (room.as_str(), seat.as_str());
                message::selected_again(&mut frames, room_id, seat, client.as_str(), seq, expires_at);
                self.answer(to, &room, Standing::Same, frames);
            }
            Effect::Refused { to, reject, request, room, seat } => {
                self.stats.count(request.into(), reject.into());
                let now = self.now.wall;
                let mut frames = std::mem::take(&mut self.frame);
                let standing = if request == RequestType::Join { Standing::NotJoined } else { Standing::Same };
                let (text, request) = (message::reject_message(reject), message::request_type_name(request));
                let seat = seat.as_ref().map(SeatId::as_str);
                message::error(&mut frames, reject.into(), text, now, Some(room.as_str()), seat, Some(request));
                self.answer(to, &room, standing, frames);
            }
        }
    }

    /// Gives an answer to a connection, wherever it lives.
    fn answer(&mut self, to: ConnId, room: &RoomId, standing: Standing, frames: Vec<u8>) {
        self.answer_with(to, room, standing, Captured::alone(frames));
    }

    fn answer_with(&mut self, to: ConnId, room: &RoomId, standing: Standing, captured: Captured) {
        if to.shard() == self.id {
            if let Some(slot) = self.conns.find(to) {
                self.answered(slot, room, standing, &captured);
            }
            self.frame = captured.frames;
        } else {
            let Captured { frames, state, since } = captured;
            let captured = Captured { frames: frames.clone(), state, since };
            self.lanes.post(to.shard(), Mail::Answer { to, room: room.clone(), standing, captured });
            self.frame = frames;
        }
        self.frame.clear();
    }

    /// An answer has reached the shard of its connection.
    pub(crate) fn answered(&mut self, slot: u32, room: &RoomId, standing: Standing, captured: &Captured) {
        self.take_owed(slot);
        let view = self.views.find(room.as_str());
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let membership = view.and_then(|view| conn.memberships.find(view));
        match (standing, membership) {
            (Standing::Joined, None) => {
                let owner = self.owner(room.as_str());
                let (view, at) = self.views.add(room, owner, slot);
                let membership = crate::runtime::connection::Membership { view, at };
                if let Some(conn) = self.conns.get_mut(slot) {
                    conn.memberships.insert(membership);
                }
            }
            // It was a member already: the place that its request reserved is free again.
            (Standing::Joined, Some(_)) | (Standing::NotJoined, _) => conn.rooms = conn.rooms.saturating_sub(1),
            (Standing::Left, Some(membership)) => {
                conn.rooms = conn.rooms.saturating_sub(1);
                self.keep_owed(slot, membership.view);
                if let Some(conn) = self.conns.get_mut(slot) {
                    conn.memberships.remove(membership.view);
                }
                self.leave_view(membership.view, membership.at);
            }
            (Standing::CaughtUp, Some(membership)) => self.views.get_mut(membership.view).view.resume(membership.at),
            (Standing::CaughtUp, None) => return,
            (Standing::Left, None) | (Standing::Same, _) => {}
        }
        let kind = if standing == Standing::CaughtUp { Kind::Resync } else { Kind::Reply };
        if kind == Kind::Resync {
            let now = self.tenths();
            if let Some(out) = self.conns.outbox(slot) {
                out.set_resynced(now);
            }
        }
        self.write(slot, kind, |out| out.extend_from_slice(&captured.frames));
        let Some(state) = &captured.state else { return };
        self.full_states.begin(slot, self.conns.generation(slot), self.now.mono);
        if let Some(out) = self.conns.outbox(slot) {
            out.share(kind, Arc::clone(state));
            out.write(kind, |out| out.extend_from_slice(&captured.since));
        }
    }

    /// A command that this connection had passed on is answered.
    pub(crate) fn remote_done(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        conn.remote = conn.remote.saturating_sub(1);
        if conn.remote == 0 && conn.parked.is_some() {
            self.unpark(slot);
        }
        let Some(conn) = self.conns.get(slot) else { return };
        if conn.stalled && conn.parked.is_none() && conn.remote < REMOTE_COMMANDS_MAX / 2 {
            self.resume_reading(slot);
        }
    }

    /// A seat changed hands: every shard with members is told once, and the actor gets its own frame.
    fn announce(&mut self, change: &Change) {
        self.count_change(change);
        let mut public = std::mem::take(&mut self.frame);
        message::change_for_members(&mut public, change, self.share);
        self.full_states.note(change, &public);
        let mut own = Vec::new();
        let answers = change.actor.is_some() && !is_expiry(change);
        if change.actor.is_some() {
            message::change_for_actor(&mut own, change);
        }
        let mut told = change.audience;
        if let Some(actor) = change.actor {
            told.insert(actor.shard());
        }
        for shard in told.iter() {
            let has_members = change.audience.contains(shard);
            let frames: &[u8] = if has_members { &public } else { &[] };
            let actor = change.actor.filter(|actor| actor.shard() == shard);
            if shard == self.id {
                let slot = actor.and_then(|actor| self.conns.find(actor));
                self.tell(&change.room, frames, u64::from(has_members), slot, &own);
                continue;
            }
            let news = self.lanes.news(shard, &change.room);
            if news.count == 0 {
                news.held = self.seats.selections(change.room.as_str()).map_or(0, |state| state.len());
            }
            let from = news.frames.len();
            news.frames.extend_from_slice(frames);
            news.count += u64::from(has_members);
            if let Some(to) = actor {
                let place = from..news.frames.len();
                news.own.push(OwnNews { to, place, frame: own.as_slice().into(), answers });
            }
        }
        public.clear();
        self.frame = public;
    }

    fn count_change(&mut self, change: &Change) {
        match &change.kind {
            ChangeKind::Selected { .. } => self.stats.count(Counted::Select, Outcome::Ok),
            ChangeKind::Released { reason: ReleaseReason::Released } => self.stats.count(Counted::Release, Outcome::Ok),
            ChangeKind::Released { reason: ReleaseReason::Expired | ReleaseReason::Disconnected } => {}
        }
    }

    /// Tells the members on this shard of `count` events of a room; `actor` gets `own` in the place of them.
    pub(crate) fn tell(&mut self, room: &RoomId, frames: &[u8], count: u64, actor: Option<u32>, own: &[u8]) {
        if let Some(slot) = actor {
            self.take_owed(slot);
        }
        let view = self.views.find(room.as_str());
        if let Some(index) = view
            && !frames.is_empty()
        {
            let entry = self.views.get_mut(index);
            self.stats.deliveries += count * entry.view.len() as u64;
            let lag_bytes = self.config.outbound_queue_bytes.min(ROOM_LOG_BYTES_MAX);
            if entry.view.append(lag_bytes, |log| log.extend_from_slice(frames)) {
                self.drop_laggards(index);
            }
            self.views.schedule(index, self.now_ns);
        }
        if let Some(slot) = actor {
            if let Some(membership) =
                view.and_then(|index| self.conns.get(slot).and_then(|conn| conn.memberships.find(index)))
            {
                self.views.get_mut(membership.view).view.settle(membership.at);
            }
            self.write(slot, Kind::Reply, |out| out.extend_from_slice(own));
        }
    }

    /// Decides a command that another shard passed on.
    pub(crate) fn remote_command(&mut self, command: &Command) {
        let Command { conn, client, request, room, seat, user_info } = command;
        let caller = Caller { conn: *conn, client };
        let room = room.as_str();
        let seat = seat.as_ref().map_or("", SeatId::as_str);
        self.decide(match request {
            RequestType::Join => Input::Join { caller, room },
            RequestType::Leave => Input::Leave { caller, room },
            RequestType::Select => Input::Select { caller, room, seat, user_info },
            RequestType::Release => Input::Release { caller, room, seat },
            RequestType::Ping => unreachable!("a ping is answered where it arrives"),
        });
    }
}

fn is_expiry(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Released { reason: ReleaseReason::Expired })
}
