//! Requests: what can be asked, and its text.

use crate::names::{Names, Seat};
use crate::scan;

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// `join_room`
    Join,
    /// `leave_room`
    Leave,
    /// `select_seat`
    Select,
    /// `release_seat`
    Release,
    /// `ping`
    Ping,
    /// `resume`, of the second protocol like all that follow
    Resume,
    /// `select_best`
    Best,
    /// `release_seats` with `all`
    ReleaseAll,
    /// `extend_hold`
    Extend,
    /// `sync`
    Sync,
}

impl Ask {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Join => "join_room",
            Self::Leave => "leave_room",
            Self::Select => "select_seat",
            Self::Release => "release_seat",
            Self::Ping => "ping",
            Self::Resume | Self::Best | Self::ReleaseAll | Self::Extend | Self::Sync => self.second_name(),
        }
    }

    /// The type of the request in the second protocol.
    pub(crate) fn second_name(self) -> &'static str {
        match self {
            Self::Select => "select_seats",
            Self::Release | Self::ReleaseAll => "release_seats",
            Self::Resume => "resume",
            Self::Best => "select_best",
            Self::Extend => "extend_hold",
            Self::Sync => "sync",
            Self::Join | Self::Leave | Self::Ping => self.name(),
        }
    }

    /// Whether it changes seats.
    pub(crate) fn is_command(self) -> bool {
        matches!(self, Self::Select | Self::Release | Self::Best | Self::ReleaseAll | Self::Extend)
    }
}

/// A request that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) ask: Ask,
    pub(super) seat: Seat,
    pub(super) due: u64,
    /// The number the client had reached when it sent.
    pub(super) seq: u64,
}

/// Writes a request's text into `line`. The due time of a select travels in it.
pub(super) fn write(line: &mut Vec<u8>, names: &Names, room: usize, ask: Ask, seat: Seat, due: u64) {
    line.clear();
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(ask.name().as_bytes());
    if ask != Ask::Ping {
        line.extend_from_slice(b"\",\"room_id\":\"");
        line.extend_from_slice(names.room(room).as_bytes());
    }
    if matches!(ask, Ask::Select | Ask::Release) {
        line.extend_from_slice(b"\",\"seat_id\":\"");
        names.push_seat(line, seat);
    }
    line.push(b'"');
    if ask == Ask::Select {
        // In `name`, because a server may be set to pass on that alone.
        line.extend_from_slice(b",\"user_info\":{\"name\":\"g");
        line.extend_from_slice(scan::STAMP);
        line.extend_from_slice(format!("{due:016x}").as_bytes());
        line.extend_from_slice(b"\"}");
    }
    line.push(b'}');
}
