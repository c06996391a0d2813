//! What the server writes in a simulation: whole WebSocket frames whose payload is the number of a message in a table.
//!
//! The bytes are real, so logs, cuts, partial sends and overflows are; only JSON is left out. Never here: who gets what.

use std::collections::BTreeMap;

use butaca::engine::command::{ReleaseReason, RequestType};
use butaca::engine::ids::Epoch;
use butaca::engine::time::WallMillis;
use butaca::wire::frame::text_frame;

/// Rooms, seats and names of clients by number. Their ids are made in `names`.
pub(crate) type Room = usize;
pub(crate) type Seat = usize;
pub(crate) type Name = usize;

/// A request of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Join(Room),
    Leave(Room),
    /// With a number that makes its `user_info` its own.
    Select(Room, Seat, u64),
    Release(Room, Seat),
    Ping,
}

impl Request {
    pub(crate) fn room(self) -> Option<Room> {
        match self {
            Self::Join(room) | Self::Leave(room) | Self::Select(room, ..) | Self::Release(room, _) => Some(room),
            Self::Ping => None,
        }
    }

    pub(crate) fn request_type(self) -> RequestType {
        match self {
            Self::Ping => unreachable!("a ping is not refused"),
            Self::Join(_) => RequestType::Join,
            Self::Leave(_) => RequestType::Leave,
            Self::Select(..) => RequestType::Select,
            Self::Release(..) => RequestType::Release,
        }
    }
}

/// What a client knows of a held seat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) client: Name,
    pub(crate) user_info: String,
    pub(crate) expires_at: WallMillis,
}

/// The held seats of a room.
pub(crate) type SeatMap = BTreeMap<Seat, Seen>;

/// A message of the server. `own`: in the frame for the one whose request or hold it is.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Joined { room: Room, seq: u64, epoch: Epoch },
    State { room: Room, seq: u64, epoch: Epoch, seats: SeatMap },
    Left { room: Room },
    Selected { room: Room, seat: Seat, seq: u64, seen: Seen, own: bool },
    Released { room: Room, seat: Seat, seq: u64, reason: ReleaseReason, own: bool },
    Again { room: Room, seat: Seat, seq: u64, expires_at: WallMillis },
    Error { request: RequestType, room: Room, seat: Option<Seat> },
    Pong,
}

/// Every message of a run.
#[derive(Default)]
pub(crate) struct Frames {
    messages: Vec<Message>,
}

impl Frames {
    /// Appends the frame of a message to `out`.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, message: Message) {
        let number = u64::try_from(self.messages.len()).expect("few messages");
        let padding = match &message {
            Message::State { seats, .. } => 40 + 60 * seats.len(),
            Message::Selected { seen, .. } => 30 + seen.user_info.len(),
            Message::Joined { .. } | Message::Left { .. } | Message::Released { .. } | Message::Again { .. } => 30,
            Message::Error { .. } | Message::Pong => 20,
        };
        text_frame(out, |out| {
            out.extend_from_slice(&number.to_be_bytes());
            out.resize(out.len() + padding, b'.');
        });
        self.messages.push(message);
    }

    /// Takes the first whole frame off `bytes`.
    pub(crate) fn read(&self, bytes: &mut Vec<u8>) -> Option<Message> {
        let (head, len) = match *bytes.get(..2)? {
            [0x81, 126] => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two bytes")))),
            [0x81, len] if len < 126 => (2, usize::from(len)),
            ref other => panic!("a frame begins with {other:?}"),
        };
        let number = bytes.get(head..head + len)?[..8].try_into().expect("eight bytes");
        bytes.drain(..head + len);
        let number = usize::try_from(u64::from_be_bytes(number)).expect("the number of a message");
        Some(self.messages[number].clone())
    }
}
