//! The messages of the protocol: requests of clients, and why one is refused.
//!
//! Owns: the names of fields, types and codes, here and in `reply`. Invariants: ids in a [`Message`] are valid; what a
//! refusal repeats is bounded; fields that are not known are ignored, whatever they hold.
//! Never here: how JSON is read (see `json_read`), what a request does.

use std::borrow::Cow;

pub use super::code::{CODES, Code, Fault};
use super::json_read::{Member, ObjectReader, Unreadable};
pub use super::reply::{
    BroadcastUserInfo, Refused, change_for_actor, change_for_members, current_selections, error, pong, refused,
    room_joined, room_left, selected_again, selection_body, selections_body, selections_body_len,
};
use crate::engine::command::{Request, RequestType};
use crate::engine::ids::is_valid_id;
use crate::limits::{ID_BYTES_MAX, JSON_SIGNS_MAX, REQUEST_TYPE_BYTES_MAX};

/// What a client says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// It asks something of a room.
    Request(Request<'a>),
    /// `join_room` with the proof that an earlier connection of the client was given, whatever it says.
    Rejoin {
        /// The room.
        room: &'a str,
        /// The proof.
        resume: &'a str,
    },
    /// `ping`
    Ping,
}

/// The `type` of a request.
#[must_use]
pub fn request_type_name(request: RequestType) -> &'static str {
    match request {
        RequestType::Join => "join_room",
        RequestType::Leave => "leave_room",
        RequestType::Select => "select_seat",
        RequestType::Release => "release_seat",
        RequestType::SelectSeats => "select_seats",
        RequestType::SelectBest => "select_best",
        RequestType::ReleaseSeats => "release_seats",
        RequestType::Extend => "extend_hold",
        RequestType::Sync => "sync",
        RequestType::Resume => "resume",
    }
}

/// Whether a text that did not come from a client just now may be sent to clients as `user_info`.
#[must_use]
pub fn is_object(text: &str) -> bool {
    text == "{}" || (text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// A message that is no request, and what is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadMessage<'a> {
    /// What is wrong.
    pub fault: Fault,
    /// What is wrong, naming the field.
    pub message: Cow<'static, str>,
    /// The room, when it is an id.
    pub room: Option<&'a str>,
    /// The seat, when it is an id.
    pub seat: Option<&'a str>,
    /// The `type`, when it is a text of at most [`REQUEST_TYPE_BYTES_MAX`] bytes.
    pub request_type: Option<&'a str>,
}

/// Reads requests. One a shard, since it keeps buffers: a few times the size of the largest message, or forty times the
/// size of one that is all brackets.
pub struct Reader {
    objects: ObjectReader,
    user_info_bytes_max: usize,
}

impl Reader {
    /// A reader that takes a `user_info` of at most so many bytes.
    #[must_use]
    pub fn new(user_info_bytes_max: usize) -> Self {
        Self { objects: ObjectReader::new(user_info_bytes_max + JSON_SIGNS_MAX), user_info_bytes_max }
    }

    /// Reads the text of one message. `text` is rewritten.
    ///
    /// # Errors
    /// It is no request. That changes nothing and ends nothing.
    pub fn read<'a>(&'a mut self, text: &'a mut [u8]) -> Result<Message<'a>, BadMessage<'a>> {
        let names = ["type", "room_id", "seat_id", "user_info", "resume"];
        let [kind, room, seat, user_info, resume] = self.objects.read(text, names).map_err(unreadable)?;
        let fields = Fields { kind, room, seat, user_info };
        let Member::Text(kind) = kind else {
            return Err(fields.bad_type("type", kind));
        };
        let request = match kind {
            "join_room" => match resume {
                Member::Text(resume) => return Ok(Message::Rejoin { room: fields.room()?, resume }),
                Member::Missing | Member::Object(_) | Member::Other => Request::Join { room: fields.room()? },
            },
            "leave_room" => Request::Leave { room: fields.room()? },
            "select_seat" => Request::Select {
                room: fields.room()?,
                seat: fields.seat()?,
                user_info: fields.user_info(self.user_info_bytes_max)?,
            },
            "release_seat" => Request::Release { room: fields.room()?, seat: fields.seat()? },
            "ping" => return Ok(Message::Ping),
            _ => return Err(fields.bad(Fault::Type, UNKNOWN_TYPE)),
        };
        Ok(Message::Request(request))
    }
}

const UNKNOWN_TYPE: &str = "type must be join_room, leave_room, select_seat, release_seat or ping";

/// What is told of a text that is no object.
pub(super) fn unreadable(why: Unreadable) -> BadMessage<'static> {
    let message = match why {
        Unreadable::NotJson => "the message is not JSON",
        Unreadable::LoneSurrogate => "a string has a lone surrogate, half a character, which has no UTF-8",
        Unreadable::TooDeep => "the message is nested too deeply",
        Unreadable::TooMany => "the message has too many parts",
        Unreadable::NotAnObject => "the message is not a JSON object",
    };
    BadMessage { fault: Fault::Json, message: message.into(), room: None, seat: None, request_type: None }
}

/// The fields of a message as they came.
struct Fields<'a> {
    kind: Member<'a>,
    room: Member<'a>,
    seat: Member<'a>,
    user_info: Member<'a>,
}

impl<'a> Fields<'a> {
    fn room(&self) -> Result<&'a str, BadMessage<'a>> {
        self.id("room_id", self.room)
    }

    fn seat(&self) -> Result<&'a str, BadMessage<'a>> {
        self.id("seat_id", self.seat)
    }

    fn user_info(&self, bytes_max: usize) -> Result<&'a str, BadMessage<'a>> {
        match self.user_info {
            Member::Missing => Ok("{}"),
            Member::Object(written) if written.len() <= bytes_max => Ok(written),
            Member::Object(_) => {
                Err(self.bad(Fault::Field, format!("user_info must be at most {bytes_max} bytes of JSON")))
            }
            Member::Text(_) | Member::Other => Err(self.bad(Fault::Field, "user_info must be an object")),
        }
    }

    fn id(&self, name: &'static str, member: Member<'a>) -> Result<&'a str, BadMessage<'a>> {
        match member {
            Member::Text(text) if is_valid_id(text) => Ok(text),
            Member::Text(_) => {
                let rule = "bytes of UTF-8 without control and invisible characters";
                Err(self.bad(Fault::Field, format!("{name} must be 1 to {ID_BYTES_MAX} {rule}")))
            }
            Member::Missing | Member::Object(_) | Member::Other => Err(self.bad_type(name, member)),
        }
    }

    /// The field is missing, or is not a string.
    fn bad_type(&self, name: &'static str, member: Member<'_>) -> BadMessage<'a> {
        let what = if member == Member::Missing { "is missing" } else { "must be a string" };
        self.bad(Fault::Field, format!("{name} {what}"))
    }

    fn bad(&self, fault: Fault, message: impl Into<Cow<'static, str>>) -> BadMessage<'a> {
        let text = |member: Member<'a>| if let Member::Text(text) = member { Some(text) } else { None };
        BadMessage {
            fault,
            message: message.into(),
            room: text(self.room).filter(|id| is_valid_id(id)),
            seat: text(self.seat).filter(|id| is_valid_id(id)),
            request_type: text(self.kind).filter(|kind| kind.len() <= REQUEST_TYPE_BYTES_MAX),
        }
    }
}
