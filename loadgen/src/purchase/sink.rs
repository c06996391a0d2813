//! The relay's sink: a receiver of webhooks that takes the events of one room, once each and in order.
//!
//! Now and then it refuses, or takes an event and does not answer, as receivers do: then it comes again. Signatures are
//! the affair of the relay's own tests. Never here: what an event means.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use crate::limits::HTTP_BODY_MAX;

/// Every so many deliveries are refused for now.
const REFUSED_EVERY: usize = 71;
/// Every so many are taken without an answer.
const UNANSWERED_EVERY: usize = 53;

#[derive(Default)]
struct Taken {
    room: String,
    events: Vec<Value>,
    known: HashSet<String>,
    deliveries: usize,
    repeats: usize,
    faults: Vec<String>,
}

/// Takes events, for as long as the process lives.
#[derive(Clone, Default)]
pub(super) struct Sink(Arc<Mutex<Taken>>);

/// What is said to a delivery.
enum Said {
    Taken,
    NotNow,
    Nothing,
}

impl Sink {
    /// Listens for the events of this room; where.
    pub(super) fn listen(&self, at: &str, room: &str) -> io::Result<SocketAddr> {
        self.taken().room = room.to_owned();
        let listener = TcpListener::bind(at)?;
        let address = listener.local_addr()?;
        let sink = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sink = sink.clone();
                // A relay that was killed is no fault.
                std::thread::spawn(move || sink.converse(stream).ok());
            }
        });
        Ok(address)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().expect("nobody panicked")
    }

    /// How many events it has.
    pub(super) fn len(&self) -> usize {
        self.taken().events.len()
    }

    /// What it has, what was wrong about it, and how many came again.
    pub(super) fn account(&self) -> (Vec<Value>, Vec<String>, usize) {
        let taken = self.taken();
        (taken.events.clone(), taken.faults.clone(), taken.repeats)
    }

    /// Requests of one connection, one after the other.
    fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = loop {
                if let Some(length) = request_length(&bytes)? {
                    break length;
                }
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => bytes.extend_from_slice(&buffer[..count]),
                }
            };
            let body: Vec<u8> = bytes.drain(..length.1).skip(length.0).collect();
            let status = match self.taken().take(&body) {
                Said::Taken => "204 No Content",
                Said::NotNow => "503 Service Unavailable",
                Said::Nothing => return Ok(()),
            };
            // In one piece, or the kernel holds the second one back.
            stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
        }
    }
}

/// The lengths of a head and of a whole request, once it is here.
fn request_length(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes).map_err(|error| wrong(&error.to_string()))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse::<usize>().ok());
    let length = length.filter(|&length| length <= HTTP_BODY_MAX).ok_or_else(|| wrong("a body without a length"))?;
    Ok((bytes.len() >= head + length).then_some((head, head + length)))
}

impl Taken {
    fn take(&mut self, body: &[u8]) -> Said {
        self.deliveries += 1;
        if self.deliveries.is_multiple_of(REFUSED_EVERY) {
            return Said::NotNow;
        }
        let said = if self.deliveries.is_multiple_of(UNANSWERED_EVERY) { Said::Nothing } else { Said::Taken };
        let event = serde_json::from_slice(body).unwrap_or(Value::Null)["data"].take();
        let Some(id) = event["id"].as_str().map(str::to_owned) else {
            self.faults.push(format!("the sink got no event: {}", String::from_utf8_lossy(body)));
            return said;
        };
        if event["room"] != self.room.as_str() {
            return said;
        }
        if !self.known.insert(id) {
            self.repeats += 1;
            return said;
        }
        let after = self.events.last().map(|last| last["n"].as_u64().unwrap_or_default());
        if after.is_some_and(|n| event["n"] != n + 1) {
            self.faults.push(format!("the sink got, behind number {after:?}: {event}"));
        }
        self.events.push(event);
        said
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use serde_json::json;

    use super::Sink;

    #[test]
    fn events_are_taken_once_and_in_order() {
        let sink = Sink::default();
        let mut stream = TcpStream::connect(sink.listen("127.0.0.1:0", "r").expect("loopback")).expect("it listens");
        for (room, n) in [("r", 1), ("q", 9), ("r", 2), ("r", 2), ("r", 4)] {
            let body = json!({"data": {"id": format!("{room}/{n}"), "room": room, "n": n}}).to_string();
            // One head and body in two pieces.
            write!(stream, "POST /hook HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}", body.len(), &body[..5])
                .expect("sent");
            stream.write_all(&body.as_bytes()[5..]).expect("sent");
            let mut answer = [0; 46];
            stream.read_exact(&mut answer).expect("an answer");
            assert!(answer.starts_with(b"HTTP/1.1 204"));
        }
        let (events, faults, repeats) = sink.account();
        assert_eq!((events.len(), faults.len(), repeats), (3, 1, 1), "{faults:?}");
    }
}
