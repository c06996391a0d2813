//! What the server writes: one whole text frame a message, and the bodies of HTTP that tell selections.
//!
//! Invariants: `type` comes first, then the fields of the published service in its order, then the added ones; nothing
//! is allocated but room in `out`; a v1 client never gets a type that is not here.
//! Never here: who gets what, and when.

use super::code::Code;
use super::frame::text_frame;
use super::json_object::Object;
use super::raw_member::raw_member;
use crate::engine::command::{Change, ChangeKind, SeatStatus, Selection};
use crate::engine::ids::Epoch;
use crate::engine::time::WallMillis;

/// How much of a holder's `user_info` strangers see: the setting `BROADCAST_USER_INFO`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum BroadcastUserInfo {
    /// All of it, as published.
    #[default]
    Full,
    /// Its member `name` alone.
    Name,
    /// Nothing: `{}`.
    None,
}

/// Appends `room_joined`, with what the client can prove later who it was, if there is such.
pub fn room_joined(
    out: &mut Vec<u8>,
    room: &str,
    client: &str,
    seq: u64,
    epoch: Epoch,
    now: WallMillis,
    resume: Option<&str>,
) {
    text_frame(out, |out| {
        let object = Object::with_type(out, "room_joined").text("room_id", room).text("client_id", client);
        let object = object.number("seq", seq).epoch(epoch).time("now", now);
        match resume {
            Some(resume) => object.text("resume", resume).end(),
            None => object.end(),
        }
    });
}

/// Appends `current_selections`, the full state of a room.
pub fn current_selections<'a>(
    out: &mut Vec<u8>,
    room: &str,
    seq: u64,
    epoch: Epoch,
    selections: impl Iterator<Item = Selection<'a>>,
    share: BroadcastUserInfo,
) {
    text_frame(out, |out| {
        let mut object = Object::with_type(out, "current_selections").text("room_id", room);
        object.selections(room, selections, share);
        object.number("seq", seq).epoch(epoch).end();
    });
}

/// Appends `room_left`.
pub fn room_left(out: &mut Vec<u8>, room: &str, client: &str) {
    text_frame(out, |out| Object::with_type(out, "room_left").text("room_id", room).text("client_id", client).end());
}

/// Appends `seat_selected` without `user_info`, or `seat_released`, for the client whose seat it is.
pub fn change_for_actor(out: &mut Vec<u8>, change: &Change) {
    write_change(out, change, None);
}

/// Appends `seat_selected` with as much of `user_info` as strangers see, or `seat_released`.
pub fn change_for_members(out: &mut Vec<u8>, change: &Change, share: BroadcastUserInfo) {
    write_change(out, change, Some(share));
}

/// Appends `seat_selected` for a client that selects a seat it holds already.
pub fn selected_again(out: &mut Vec<u8>, room: &str, seat: &str, client: &str, seq: u64, expires_at: WallMillis) {
    text_frame(out, |out| {
        let object = Object::of_seat(out, "seat_selected", seat, room, client);
        object.number("seq", seq).time("expires_at", expires_at).end();
    });
}

/// Appends `pong`.
pub fn pong(out: &mut Vec<u8>, now: WallMillis) {
    text_frame(out, |out| Object::with_type(out, "pong").time("timestamp", now).end());
}

/// Appends `error` with what is known of the request.
pub fn error(
    out: &mut Vec<u8>,
    code: Code,
    message: &str,
    now: WallMillis,
    room: Option<&str>,
    seat: Option<&str>,
    request_type: Option<&str>,
) {
    refused(out, &Refused { code, message, room, seat, request_type }, now, None);
}

/// A refusal, and what is known of the request.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Why.
    pub code: Code,
    /// The same for people.
    pub message: &'a str,
    /// The room.
    pub room: Option<&'a str>,
    /// The seat.
    pub seat: Option<&'a str>,
    /// The `type` of the request.
    pub request_type: Option<&'a str>,
}

/// Appends `error`, with when it may be asked again if that is known.
pub fn refused(out: &mut Vec<u8>, refused: &Refused<'_>, now: WallMillis, retry_after_ms: Option<u32>) {
    let Refused { code, message, room, seat, request_type } = *refused;
    text_frame(out, |out| {
        let mut object = Object::with_type(out, "error").text("code", code.as_str()).text("message", message);
        object = object.time("timestamp", now);
        for (name, value) in [("room_id", room), ("seat_id", seat), ("request_type", request_type)] {
            if let Some(value) = value {
                object = object.text(name, value);
            }
        }
        if let Some(ms) = retry_after_ms {
            object = object.number("retry_after_ms", ms.into());
        }
        object.end();
    });
}

/// Appends the body of `/room/{room_id}/selections` and returns its `count`.
pub fn selections_body<'a>(
    out: &mut Vec<u8>,
    room: &str,
    selections: impl Iterator<Item = Selection<'a>>,
    share: BroadcastUserInfo,
) -> u64 {
    let mut object = Object::empty(out).text("room_id", room);
    let count = object.selections(room, selections, share);
    object.number("count", count).end();
    count
}

/// How long that is, without making it: one seat at a time.
#[must_use]
pub fn selections_body_len<'a>(
    room: &str,
    selections: impl Iterator<Item = Selection<'a>>,
    share: BroadcastUserInfo,
) -> usize {
    let (mut len, mut count, mut one) = (0, 0, Vec::new());
    for selection in selections {
        one.clear();
        selection_body(&mut one, room, &selection, share);
        len += one.len() + usize::from(count > 0);
        count += 1;
    }
    one.clear();
    let mut object = Object::empty(&mut one).text("room_id", room);
    object.selections(room, std::iter::empty(), share);
    object.number("count", count).end();
    len + one.len()
}

/// Appends one seat that is not free as `current_selections` tells it.
pub fn selection_body(out: &mut Vec<u8>, room: &str, selection: &Selection<'_>, share: BroadcastUserInfo) {
    let object = Object::empty(out).text("client_id", selection.client.as_str());
    let object = object.text("seat_id", selection.seat.as_str()).text("room_id", room);
    let object = object.user_info(selection.user_info, share);
    let object = object.time("timestamp", selection.at).time_or_null("expires_at", selection.expires_at);
    object.text("status", selection.status.word()).end();
}

fn write_change(out: &mut Vec<u8>, change: &Change, share: Option<BroadcastUserInfo>) {
    let (room, seat, client) = (change.room.as_str(), change.seat.as_str(), change.client.as_str());
    text_frame(out, |out| match &change.kind {
        ChangeKind::Selected { status, was, expires_at, user_info, .. } => {
            let mut object = Object::of_seat(out, "seat_selected", seat, room, client);
            if let Some(share) = share {
                object = object.user_info(user_info, share);
            }
            object = object.number("seq", change.seq).time_or_null("expires_at", *expires_at);
            if (*was, *status) != (SeatStatus::Free, SeatStatus::Held) {
                object = object.text("status", status.word());
            }
            object.end();
        }
        ChangeKind::Released { reason } => {
            let object = Object::of_seat(out, "seat_released", seat, room, client);
            object.number("seq", change.seq).text("reason", reason.word()).end();
        }
    });
}

impl<'a> Object<'a> {
    /// The seat comes before the room, as the published service wrote it.
    fn of_seat(out: &'a mut Vec<u8>, kind: &str, seat: &str, room: &str, client: &str) -> Self {
        Self::with_type(out, kind).text("seat_id", seat).text("room_id", room).text("client_id", client)
    }

    fn time_or_null(mut self, name: &str, at: Option<WallMillis>) -> Self {
        match at {
            Some(at) => self.time(name, at),
            None => {
                self.member(name).extend_from_slice(b"null");
                self
            }
        }
    }

    fn user_info(mut self, written: &str, share: BroadcastUserInfo) -> Self {
        let out = self.member("user_info");
        match share {
            BroadcastUserInfo::Full => out.extend_from_slice(written.as_bytes()),
            BroadcastUserInfo::None => out.extend_from_slice(b"{}"),
            BroadcastUserInfo::Name => {
                let mut shared = Object::empty(out);
                if let Some(name) = raw_member(written, "name") {
                    shared.member("name").extend_from_slice(name.as_bytes());
                }
                shared.end();
            }
        }
        self
    }

    /// The member `selections`. Returns how many there are.
    fn selections<'s>(
        &mut self,
        room: &str,
        selections: impl Iterator<Item = Selection<'s>>,
        share: BroadcastUserInfo,
    ) -> u64 {
        let out = self.member("selections");
        out.push(b'[');
        let mut count = 0;
        for selection in selections {
            if count > 0 {
                out.push(b',');
            }
            count += 1;
            selection_body(out, room, &selection, share);
        }
        out.push(b']');
        count
    }
}
