//! A WebSocket client on a plain socket: it sees every frame, sends any bytes, and hides nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustix::net::{RecvFlags, recv};
use serde_json::Value;

use super::server::Server;
use super::wait::eventually;

/// The key of RFC 6455 section 1.3, and what the server must make of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What came from the server.
#[derive(PartialEq, Eq, Debug)]
pub enum Got {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame: code and reason.
    Close(Option<u16>, String),
    /// The end of the stream; `reset`: by a RST.
    End {
        reset: bool,
    },
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    pub id: String,
    bytes: Vec<u8>,
    used: usize,
}

/// A masked frame with this first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..126 => bytes.push(0x80 | u8::try_from(short).expect("short")),
        medium if u16::try_from(medium).is_ok() => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&u16::try_from(medium).expect("looked at").to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let key = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A masked text frame.
pub fn text_frame(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// The request for an upgrade; every byte of the id that could matter is written with a percent sign.
pub fn upgrade(id: &str, query: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let path: String =
        id.bytes().map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect();
    format!(
        "GET /ws/{path}{query} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

impl Client {
    pub fn connect(server: &Server, id: &str) -> Self {
        Self::connect_on(server.dial(), id, "")
    }

    /// Connects and joins; what the server says to that is read.
    pub fn join(server: &Server, id: &str, room: &str) -> Self {
        let mut client = Self::connect(server, id);
        client.enter(room);
        client
    }

    /// Connects, again and again until there is a place: the server may not have noticed yet that somebody has gone.
    pub fn connect_when_free(server: &Server, id: &str) -> Self {
        eventually("a place is free", || {
            let mut client = Self::unanswered(server.dial(), id);
            // One that is far too many is closed without an answer.
            client.stream.write_all(upgrade(id, "").as_bytes()).ok()?;
            client.is_let_in().then_some(client)
        })
    }

    pub fn connect_on(stream: TcpStream, id: &str, query: &str) -> Self {
        let mut client = Self::unanswered(stream, id);
        client.write(upgrade(id, query).as_bytes());
        client.upgraded();
        client
    }

    /// A client on a connection on which nothing has been sent.
    pub fn unanswered(stream: TcpStream, id: &str) -> Self {
        Self { stream, id: id.into(), bytes: Vec::new(), used: 0 }
    }

    /// Reads the answer to the upgrade, which is yes.
    pub fn upgraded(&mut self) {
        let head = self.answer_to_upgrade();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&format!("\r\nSec-WebSocket-Accept: {ACCEPT}\r\n")), "{head}");
    }

    /// Reads the answer to the upgrade and says whether it is yes.
    pub fn is_upgraded(&mut self) -> bool {
        self.answer_to_upgrade().starts_with("HTTP/1.1 101 ")
    }

    /// Reads the answer to the upgrade, unless the server hangs up without one, and says whether it is yes.
    pub fn is_let_in(&mut self) -> bool {
        while !self.rest().windows(4).any(|four| four == b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            match self.stream.read(&mut bytes) {
                Ok(len @ 1..) => self.bytes.extend_from_slice(&bytes[..len]),
                Ok(0) => return false,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("{} waits in vain: {error}", self.id),
            }
        }
        self.is_upgraded()
    }

    /// The head of the answer to the upgrade.
    pub fn answer_to_upgrade(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.rest().windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read_more(), "no answer to the upgrade");
        };
        let head = String::from_utf8_lossy(&self.rest()[..end]).into_owned();
        self.used += end;
        head
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    pub fn send(&mut self, text: &str) {
        self.write(&text_frame(text));
    }

    pub fn select(&mut self, room: &str, seat: &str) {
        self.send(&select(room, seat));
    }

    pub fn release(&mut self, room: &str, seat: &str) {
        self.send(&release(room, seat));
    }

    /// Joins, and reads `room_joined`.
    pub fn enter(&mut self, room: &str) -> Value {
        self.send(&join(room));
        let joined = self.json();
        assert_eq!((&joined["type"], &joined["room_id"]), (&"room_joined".into(), &room.into()), "{joined}");
        joined
    }

    /// Reads until everything that the room's owner had for this connection so far has come: asks for something that
    /// the owner refuses, and returns what came before the refusal.
    pub fn up_to_now(&mut self, room: &str) -> Vec<Value> {
        self.release(room, "nobody holds this");
        let mut before = Vec::new();
        loop {
            let message = self.json();
            if message["code"] == "not_held" && message["seat_id"] == "nobody holds this" {
                return before;
            }
            before.push(message);
        }
    }

    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the socket is open");
    }

    /// The next text as JSON; pings are answered on the way.
    pub fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next text; pings are answered on the way.
    pub fn text(&mut self) -> String {
        loop {
            match self.got() {
                Got::Text(text) => return text,
                Got::Ping(payload) => self.write(&frame(0x8a, &payload)),
                other => panic!("{} waits for a text and gets {other:?}", self.id),
            }
        }
    }

    /// The server closes with this code, and then the stream ends.
    pub fn expect_close(&mut self, code: u16) {
        let got = self.got();
        let Got::Close(Some(found), _) = got else { panic!("{} waits for close {code} and gets {got:?}", self.id) };
        assert_eq!(found, code, "{}", self.id);
        assert_eq!(self.got(), Got::End { reset: false }, "after the close frame");
    }

    /// The next thing that comes.
    pub fn got(&mut self) -> Got {
        loop {
            if let Some(got) = self.take_frame() {
                return got;
            }
            let mut bytes = [0; 64 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    assert!(self.rest().is_empty(), "the stream ends within a frame");
                    return Got::End { reset: false };
                }
                Ok(len) => self.bytes.extend_from_slice(&bytes[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Got::End { reset: true },
                Err(error) => panic!("{} waits in vain: {error}", self.id),
            }
        }
    }

    /// Whether something has come that was not read.
    pub fn has_something(&self) -> bool {
        let peeked = recv(&self.stream, &mut [0_u8; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        !self.rest().is_empty() || peeked.is_ok_and(|(_, len)| len > 0)
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 4 * 1024];
        let len = self.stream.read(&mut bytes).expect("an answer in time");
        self.bytes.extend_from_slice(&bytes[..len]);
        len > 0
    }

    fn take_frame(&mut self) -> Option<Got> {
        let rest = self.rest();
        let (&first, &second) = (rest.first()?, rest.get(1)?);
        let (head, len) = match second {
            126 => (4, usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().expect("two")))),
            127 => {
                (10, usize::try_from(u64::from_be_bytes(rest.get(2..10)?.try_into().expect("eight"))).expect("fits"))
            }
            short => (2, usize::from(short)),
        };
        assert_eq!(second & 0x80, 0, "a server never masks");
        let payload = rest.get(head..head + len)?.to_vec();
        self.used += head + len;
        if self.used > 1 << 16 {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text is UTF-8");
        Some(match first {
            0x81 => Got::Text(text(&payload)),
            0x89 => Got::Ping(payload),
            0x8a => Got::Pong(payload),
            0x88 => match payload.split_first_chunk::<2>() {
                Some((code, reason)) => Got::Close(Some(u16::from_be_bytes(*code)), text(reason)),
                None => Got::Close(None, String::new()),
            },
            other => panic!("a frame that begins with {other:#x}"),
        })
    }
}

pub fn join(room: &str) -> String {
    format!(r#"{{"type":"join_room","room_id":"{room}"}}"#)
}

pub fn leave(room: &str) -> String {
    serde_json::json!({"type": "leave_room", "room_id": room}).to_string()
}

pub fn select(room: &str, seat: &str) -> String {
    format!(r#"{{"type":"select_seat","room_id":"{room}","seat_id":"{seat}","user_info":{{"name":"N"}}}}"#)
}

pub fn release(room: &str, seat: &str) -> String {
    format!(r#"{{"type":"release_seat","room_id":"{room}","seat_id":"{seat}"}}"#)
}
