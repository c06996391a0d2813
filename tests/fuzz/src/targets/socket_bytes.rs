//! Everything a connection reads: heads, then frames, then requests, the same however the bytes are cut.
//!
//! The first byte decides whether a good upgrade stands before the rest, the second how the bytes are cut.

use butaca::limits::USER_INFO_BYTES;
use butaca::wire::frame::{Assembly, Event, Step, close, pong, read_frame};
use butaca::wire::http::{Target, parse_head};
use butaca::wire::message::Reader;

const UPGRADE: &[u8] = b"GET /ws/a?room=r HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Reads `data` as the bytes of one connection.
pub fn run(data: &[u8]) {
    let [has_upgrade, cut, bytes @ ..] = data else { return };
    let mut stream = if has_upgrade % 4 == 0 { Vec::new() } else { UPGRADE.to_vec() };
    stream.extend_from_slice(bytes);
    let whole = Connection::default().read_all(&stream, usize::MAX);
    let in_pieces = Connection::default().read_all(&stream, usize::from(*cut) + 1);
    assert_eq!(in_pieces, whole, "another cut, another result");
}

/// One connection, and in words what came of its bytes.
#[derive(Default)]
struct Connection {
    is_socket: bool,
    has_ended: bool,
    assembly: Assembly,
    waiting: Vec<u8>,
    story: Vec<String>,
}

impl Connection {
    /// The bytes come in pieces of growing length, from `piece` up, so that the cuts fall everywhere.
    fn read_all(mut self, stream: &[u8], piece: usize) -> Vec<String> {
        let mut reader = Reader::new(USER_INFO_BYTES);
        let (mut rest, mut piece) = (stream, piece);
        while !rest.is_empty() && !self.has_ended {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            self.waiting.extend_from_slice(now);
            self.read_waiting(&mut reader);
            (rest, piece) = (later, piece.saturating_add(piece / 3));
        }
        self.story
    }

    fn read_waiting(&mut self, reader: &mut Reader) {
        while !self.has_ended {
            let used = if self.is_socket { self.read_frame(reader) } else { self.read_head() };
            match used {
                Some(used) => drop(self.waiting.drain(..used)),
                None => return,
            }
        }
    }

    fn read_head(&mut self) -> Option<usize> {
        match parse_head(&self.waiting) {
            Ok(None) => None,
            Ok(Some((used, request))) => {
                self.is_socket = matches!(request.target, Target::Socket { .. });
                self.has_ended = !self.is_socket && !request.keep_alive;
                self.story.push(format!("{request:?}"));
                Some(used)
            }
            Err(error) => {
                self.has_ended = true;
                self.story.push(format!("{error:?}"));
                None
            }
        }
    }

    fn read_frame(&mut self, reader: &mut Reader) -> Option<usize> {
        let before = self.waiting.clone();
        match read_frame(&mut self.waiting, &mut self.assembly, MESSAGE_BYTES_MAX) {
            Ok(Step::Incomplete) => {
                assert_eq!(self.waiting, before, "bytes of a frame that is not whole stay as they are");
                None
            }
            Ok(Step::Frame { used, event }) => {
                self.has_ended = matches!(event, Event::Close(_));
                self.story.push(tell(event, reader));
                Some(used)
            }
            Err(violation) => {
                self.has_ended = true;
                close(&mut Vec::new(), violation.code, violation.reason);
                self.story.push(format!("{violation:?}"));
                None
            }
        }
    }
}

fn tell(event: Event<'_>, reader: &mut Reader) -> String {
    match event {
        Event::Text(text) => {
            let written = std::str::from_utf8(text).expect("a text is UTF-8").to_owned();
            assert!(written.len() <= MESSAGE_BYTES_MAX);
            format!("{written:?} {:?}", reader.read(text))
        }
        Event::Ping(payload) => {
            pong(&mut Vec::new(), payload);
            format!("ping {payload:?}")
        }
        other => format!("{other:?}"),
    }
}
