//! The client's side of RFC 6455 by hand: upgrade, masked frames out, plain frames in.
//!
//! Invariant: what is written here is always valid; what is read is refused when a server may not send it.
//! Never here: JSON, sockets.

use memchr::memmem;

use crate::limits::MESSAGE_BYTES_MAX;

/// Text frame.
pub const TEXT: u8 = 1;
/// Close frame.
pub const CLOSE: u8 = 8;
/// Ping frame.
pub const PING: u8 = 9;
/// Pong frame.
pub const PONG: u8 = 10;

/// A fixed mask: it protects proxies from hostile pages, and there is neither here.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The accept key that belongs to the fixed key of [`upgrade_request`].
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The request that opens a socket.
#[must_use]
pub fn upgrade_request(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// The server's answer: `None` while it is not whole, else its length.
///
/// # Errors
/// The first line, when it is not a correct 101.
pub fn upgrade_response(bytes: &[u8]) -> Option<Result<usize, String>> {
    let end = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let head = &bytes[..end];
    if head.starts_with(b"HTTP/1.1 101") && memmem::find(head, ACCEPT).is_some() {
        return Some(Ok(end));
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or(head);
    Some(Err(String::from_utf8_lossy(line).into_owned()))
}

/// Appends one masked frame.
pub fn push_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => out.push(0x80 | short),
        (_, Ok(middle)) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    for (byte, mask) in out[start..].iter_mut().zip(MASK.iter().cycle()) {
        *byte ^= mask;
    }
}

/// One whole frame of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// 1 text, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// What it carries.
    pub payload: &'a [u8],
}

/// What stands at the front of the received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// A whole frame and its length with the header.
    Whole(Frame<'a>, usize),
    /// So many bytes are needed in all before anything can be said (again).
    Short(usize),
    /// Something that this server may not send, and what.
    Wrong(&'static str),
}

/// Looks at the front of `bytes`. Seat servers of v1 send neither fragments nor binary, so both are wrong.
#[inline]
#[must_use]
pub fn front(bytes: &[u8]) -> Front<'_> {
    if bytes.len() < 2 {
        return Front::Short(2);
    }
    if bytes[1] & 0x80 != 0 {
        return Front::Wrong("a masked frame");
    }
    let (head, length) = match bytes[1] {
        126 if bytes.len() < 4 => return Front::Short(4),
        127 if bytes.len() < 10 => return Front::Short(10),
        126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
        127 => {
            let wide = u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes"));
            (10, usize::try_from(wide).unwrap_or(usize::MAX))
        }
        short => (2, usize::from(short)),
    };
    if length > MESSAGE_BYTES_MAX {
        return Front::Wrong("a message beyond the limit of this client");
    }
    let opcode = bytes[0] & 0x0f;
    if bytes[0] & 0x70 != 0 {
        return Front::Wrong("a reserved bit");
    }
    if bytes[0] & 0x80 == 0 || opcode == 0 {
        return Front::Wrong("a fragment");
    }
    if !matches!(opcode, TEXT | CLOSE | PING | PONG) {
        return Front::Wrong("a frame that is neither text nor control");
    }
    match bytes.get(head..head + length) {
        Some(payload) => Front::Whole(Frame { opcode, payload }, head + length),
        None => Front::Short(head + length),
    }
}

/// The code of a close frame; 1005 when there is none.
#[must_use]
pub fn close_code(payload: &[u8]) -> u16 {
    match payload {
        [high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 1005,
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Front, TEXT, front, push_frame, upgrade_response};

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let mut out = Vec::new();
        push_frame(&mut out, TEXT, b"Hello");
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn frames_come_apart() {
        assert_eq!(front(&[0x81]), Front::Short(2));
        assert_eq!(front(&[0x81, 2, b'h', b'i', 9]), Front::Whole(Frame { opcode: 1, payload: b"hi" }, 4));
        assert_eq!(front(&[0x81, 126, 1, 0]), Front::Short(260));
        assert_eq!(front(&[0x81, 0x80]), Front::Wrong("a masked frame"));
        assert_eq!(front(&[0x01, 0]), Front::Wrong("a fragment"));
        assert_eq!(front(&[0xc1, 0]), Front::Wrong("a reserved bit"));
        assert_eq!(front(&[0x82, 0]), Front::Wrong("a frame that is neither text nor control"));
    }

    #[test]
    fn upgrades_are_judged() {
        assert!(upgrade_response(b"HTTP/1.1 101 S\r\n").is_none());
        let good = b"HTTP/1.1 101 S\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nx";
        assert_eq!(upgrade_response(good), Some(Ok(good.len() - 1)));
        assert_eq!(upgrade_response(b"HTTP/1.1 503 Busy\r\n\r\n"), Some(Err("HTTP/1.1 503 Busy".to_owned())));
    }
}
