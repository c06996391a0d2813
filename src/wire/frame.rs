//! WebSocket frames, RFC 6455: reading those of clients and writing those of the server.
//!
//! Owns: the rules of headers, masking, fragments, control frames and UTF-8, and the close code of each violation.
//! Invariants: a violation is reported as early as it is certain, from the header alone where the header shows it; a
//! text that is handed out is valid UTF-8; bytes of a frame that is not whole are never changed; no message grows
//! beyond the limit and none has more than [`FRAGMENTS_MAX`] fragments. Never here: JSON, sockets, the decision to
//! close. This is the only file that names tungstenite's frames. Extensions are never negotiated, so a reserved bit is
//! always a violation. A length in more bytes than it needs is accepted.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::mask::apply_mask;
use super::utf8::{InvalidText, check_masked_front, whole_characters};
use crate::limits::{CONTROL_PAYLOAD_MAX, FRAGMENTS_MAX};

/// Closing because all is done.
pub const CLOSE_NORMAL: u16 = 1000;
/// Closing because the server ends.
pub const CLOSE_GOING_AWAY: u16 = 1001;
/// Closing because the peer broke the protocol.
pub const CLOSE_PROTOCOL: u16 = 1002;
/// Closing because of a binary message.
pub const CLOSE_UNSUPPORTED: u16 = 1003;
/// Closing because a text was not UTF-8.
pub const CLOSE_INVALID_TEXT: u16 = 1007;
/// Closing because a message was too long, or in too many fragments.
pub const CLOSE_TOO_BIG: u16 = 1009;
/// Closing because the consumer is so slow that even its resynchronisation found no room.
pub const CLOSE_SLOW: u16 = 4008;
/// Closing because no pong came in time.
pub const CLOSE_NO_PONG: u16 = 4012;
/// Closing because the client went on sending too many messages.
pub const CLOSE_TOO_MANY: u16 = 4013;
/// Closing because the token is wrong or its time is over.
pub const CLOSE_UNAUTHORIZED: u16 = 4500;
/// Closing because an operator has removed the client.
pub const CLOSE_REMOVED: u16 = 4503;
/// Closing because the session goes on with another connection.
pub const CLOSE_ELSEWHERE: u16 = 4505;

/// What the peer did wrong. The connection is to be closed with `code`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// 1002, 1007 or 1009.
    pub code: u16,
    /// For the close frame.
    pub reason: &'static str,
}

/// What one frame brought.
#[derive(PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// A whole text message: valid UTF-8, unmasked.
    Text(&'a mut [u8]),
    /// A whole binary message, unmasked.
    Binary(&'a mut [u8]),
    /// A ping, which is answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong,
    /// The peer closes, with this code if it gave one.
    Close(Option<u16>),
    /// A fragment that does not end its message. It is kept in the [`Assembly`].
    Part,
}

/// What [`read_frame`] found.
#[derive(PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// No whole frame. The caller keeps the bytes as they are and brings them again with more behind them.
    Incomplete,
    /// A frame of `used` bytes.
    Frame {
        /// Length of the frame with its header. The next frame begins there.
        used: usize,
        /// What it brought.
        event: Event<'a>,
    },
}

/// A message under way in several fragments. One word while there is none.
///
/// It belongs to the connection and goes wherever the connection's unread bytes go. It forgets a message at the next
/// [`read_frame`] after the one that handed it out, also when there are no bytes left to read.
#[derive(Default, Debug)]
pub struct Assembly(Option<Box<UnderWay>>);

/// What is known of the message, and of the frame that is not whole yet.
#[derive(Default, Debug)]
struct UnderWay {
    /// Of the first fragment. `None`: no fragment has come, only the front of a frame is being checked.
    kind: Option<Kind>,
    /// The unmasked payloads of the fragments.
    payload: Vec<u8>,
    /// How many there were.
    fragments: usize,
    /// Text: so much of `payload` is whole characters.
    checked: usize,
    /// Text: so much of the frame that is not whole yet ends with a whole character.
    front_checked: usize,
    /// The message has been handed out.
    handed_out: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Text,
    Binary,
}

/// Reads the first frame of `bytes`. `message_bytes_max` bounds a message, all fragments together.
///
/// # Errors
/// The peer broke the protocol or a limit. Nothing more can be read from this connection.
pub fn read_frame<'a>(
    bytes: &'a mut [u8],
    assembly: &'a mut Assembly,
    message_bytes_max: usize,
) -> Result<Step<'a>, Violation> {
    assembly.forget_what_was_handed_out();
    check_first_bytes(bytes, assembly)?;
    let Some(header) = Header::parse(bytes) else {
        return Ok(Step::Incomplete);
    };
    let length = assembly.check_length(&header, message_bytes_max)?;
    let end = header.payload_at + length;
    if bytes.len() < end {
        assembly.check_front(&header, &bytes[header.payload_at..])?;
        return Ok(Step::Incomplete);
    }
    let payload = &mut bytes[header.payload_at..end];
    apply_mask(payload, header.key);
    let event = match header.opcode {
        OpCode::Control(Control::Ping) => Event::Ping(payload),
        OpCode::Control(Control::Pong) => Event::Pong,
        OpCode::Control(Control::Close | Control::Reserved(_)) => Event::Close(close_code(payload)?),
        OpCode::Data(Data::Binary) if header.is_final => Event::Binary(payload),
        OpCode::Data(Data::Text) if header.is_final => {
            assembly.0 = None;
            std::str::from_utf8(payload).map_err(|_| INVALID_TEXT)?;
            Event::Text(payload)
        }
        OpCode::Data(Data::Text) => assembly.append(Some(Kind::Text), payload, false)?,
        OpCode::Data(Data::Binary) => assembly.append(Some(Kind::Binary), payload, false)?,
        OpCode::Data(Data::Continue | Data::Reserved(_)) => assembly.append(None, payload, header.is_final)?,
    };
    Ok(Step::Frame { used: end, event })
}

/// What the first two bytes, or the first alone, show to be wrong.
fn check_first_bytes(bytes: &[u8], assembly: &Assembly) -> Result<(), Violation> {
    let Some(&first) = bytes.first() else {
        return Ok(());
    };
    let is_final = first & 0x80 != 0;
    if first & 0x70 != 0 {
        return Err(protocol("a reserved bit is set"));
    }
    let is_control = match OpCode::from(first & 0x0f) {
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            return Err(protocol("reserved opcode"));
        }
        OpCode::Data(Data::Continue) => {
            assembly.check_continuation()?;
            false
        }
        OpCode::Data(Data::Text | Data::Binary) if assembly.is_under_way() => {
            return Err(protocol("a new message inside a fragmented one"));
        }
        OpCode::Data(Data::Text | Data::Binary) => false,
        OpCode::Control(_) if !is_final => return Err(protocol("a fragmented control frame")),
        OpCode::Control(_) => true,
    };
    match bytes.get(1) {
        Some(second) if second & 0x80 == 0 => Err(protocol("an unmasked frame")),
        Some(second) if is_control && usize::from(second & 0x7f) > CONTROL_PAYLOAD_MAX => {
            Err(protocol("a control frame of more than 125 bytes"))
        }
        _ => Ok(()),
    }
}

/// What is needed of a frame's header once its first bytes are found right.
struct Header {
    is_final: bool,
    opcode: OpCode,
    key: [u8; 4],
    /// Where the payload begins.
    payload_at: usize,
    /// As the header says; not checked.
    length: u64,
}

impl Header {
    /// The header at the front of `bytes`, or `None` when it is not whole. The first two bytes have been checked.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let parsed =
            FrameHeader::parse(&mut cursor).expect("reserved opcodes have been refused and a slice has no errors");
        let (header, length) = parsed?;
        let payload_at = usize::try_from(cursor.position()).expect("a header has at most 14 bytes");
        let key = header.mask.expect("unmasked frames have been refused");
        Some(Self { is_final: header.is_final, opcode: header.opcode, key, payload_at, length })
    }
}

impl Assembly {
    /// Whether a fragmented message has begun and not ended.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.0.as_ref().is_some_and(|message| message.kind.is_some() && !message.handed_out)
    }

    fn forget_what_was_handed_out(&mut self) {
        if self.0.as_ref().is_some_and(|message| message.handed_out) {
            self.0 = None;
        }
    }

    fn check_continuation(&self) -> Result<(), Violation> {
        match &self.0 {
            Some(message) if message.kind.is_some() && message.fragments < FRAGMENTS_MAX => Ok(()),
            Some(message) if message.kind.is_some() => Err(too_big("too many fragments")),
            _ => Err(protocol("a continuation of nothing")),
        }
    }

    /// The frame's length as a size, when the message stays within the limit.
    fn check_length(&self, header: &Header, message_bytes_max: usize) -> Result<usize, Violation> {
        let so_far = match header.opcode {
            OpCode::Data(_) => self.0.as_ref().map_or(0, |message| message.payload.len()),
            OpCode::Control(_) => 0,
        };
        let left = match header.opcode {
            OpCode::Data(_) => message_bytes_max.saturating_sub(so_far),
            OpCode::Control(_) => CONTROL_PAYLOAD_MAX,
        };
        usize::try_from(header.length).ok().filter(|&length| length <= left).ok_or(too_big("the message is too long"))
    }

    /// Checks what has come of a text frame, so that a spoilt text is refused before its frame is whole.
    fn check_front(&mut self, header: &Header, front: &[u8]) -> Result<(), Violation> {
        let kind = self.0.as_ref().and_then(|message| message.kind);
        let is_text = match header.opcode {
            OpCode::Data(Data::Text) => true,
            OpCode::Data(Data::Continue) => kind == Some(Kind::Text),
            OpCode::Data(Data::Binary | Data::Reserved(_)) | OpCode::Control(_) => false,
        };
        if is_text && !front.is_empty() {
            let message = self.0.get_or_insert_default();
            let before = &message.payload[message.checked..];
            message.front_checked = check_masked_front(before, front, header.key, message.front_checked)
                .map_err(|InvalidText| INVALID_TEXT)?;
        }
        Ok(())
    }

    /// Adds a whole fragment: the first brings the kind, the last ends the message.
    fn append(&mut self, kind: Option<Kind>, payload: &[u8], is_last: bool) -> Result<Event<'_>, Violation> {
        let message = self.0.get_or_insert_default();
        message.kind = message.kind.or(kind);
        message.payload.extend_from_slice(payload);
        message.fragments += 1;
        message.front_checked = 0;
        let kind = message.kind.expect("a continuation of nothing has been refused");
        if kind == Kind::Text {
            let unchecked = &message.payload[message.checked..];
            message.checked += whole_characters(unchecked).map_err(|InvalidText| INVALID_TEXT)?;
            if is_last && message.checked < message.payload.len() {
                return Err(INVALID_TEXT);
            }
        }
        message.handed_out = is_last;
        Ok(match kind {
            _ if !is_last => Event::Part,
            Kind::Text => Event::Text(&mut message.payload),
            Kind::Binary => Event::Binary(&mut message.payload),
        })
    }
}

/// The code of a close frame's payload: nothing, or a code and a reason in UTF-8 (RFC 6455 section 5.5.1).
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(protocol("a close frame with half a code")) };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(protocol("a close code that may not be sent"));
    }
    std::str::from_utf8(reason).map_err(|_| INVALID_TEXT)?;
    Ok(Some(code))
}

const INVALID_TEXT: Violation = Violation { code: CLOSE_INVALID_TEXT, reason: "the text is not UTF-8" };

fn protocol(reason: &'static str) -> Violation {
    Violation { code: CLOSE_PROTOCOL, reason }
}

fn too_big(reason: &'static str) -> Violation {
    Violation { code: CLOSE_TOO_BIG, reason }
}

/// Appends the header of a text frame whose payload of `payload_len` bytes the caller appends next.
pub fn text_header(out: &mut Vec<u8>, payload_len: usize) {
    header(out, OpCode::Data(Data::Text), payload_len);
}

/// Appends the header of a binary frame, for the echo.
#[cfg(feature = "echo")]
pub fn binary_header(out: &mut Vec<u8>, payload_len: usize) {
    header(out, OpCode::Data(Data::Binary), payload_len);
}

/// Appends a text frame whose payload is what `write` appends.
pub fn text_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    // Nearly every message needs the 4-byte header; the others are moved afterwards.
    const ROOM: usize = 4;
    let start = out.len();
    out.extend_from_slice(&[0; ROOM]);
    write(out);
    let payload_at = start + ROOM;
    let payload_len = out.len() - payload_at;
    let mut head = [0; 10];
    let mut unused = head.as_mut_slice();
    write_header(&mut unused, OpCode::Data(Data::Text), payload_len);
    let head_len = 10 - unused.len();
    if head_len > ROOM {
        out.resize(start + head_len + payload_len, 0);
        out.copy_within(payload_at..payload_at + payload_len, start + head_len);
    } else if head_len < ROOM {
        out.copy_within(payload_at.., start + head_len);
        out.truncate(start + head_len + payload_len);
    }
    out[start..start + head_len].copy_from_slice(&head[..head_len]);
}

/// Appends a ping. The payload has at most 125 bytes.
pub fn ping(out: &mut Vec<u8>, payload: &[u8]) {
    control(out, Control::Ping, payload);
}

/// Appends the pong that answers a ping with this payload.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    control(out, Control::Pong, payload);
}

/// Appends a close frame. The reason is cut, at the end of a character, to what a control frame holds.
pub fn close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_PAYLOAD_MAX - 2)];
    header(out, OpCode::Control(Control::Close), 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

fn control(out: &mut Vec<u8>, opcode: Control, payload: &[u8]) {
    assert!(payload.len() <= CONTROL_PAYLOAD_MAX, "a control frame of {} bytes", payload.len());
    header(out, OpCode::Control(opcode), payload.len());
    out.extend_from_slice(payload);
}

fn header(out: &mut Vec<u8>, opcode: OpCode, payload_len: usize) {
    write_header(out, opcode, payload_len);
}

fn write_header(out: &mut impl std::io::Write, opcode: OpCode, payload_len: usize) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    header.format(payload_len as u64, out).expect("there is room for a header");
}
