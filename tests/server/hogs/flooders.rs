//! Crowds of one kind each that send as fast as the server takes it, and read whatever comes.
//!
//! Who is closed comes back at once. Never here: judgement.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::second;
use crate::harness::Server;
use crate::harness::client::{frame, join, release, select, text_frame, upgrade};

/// How long one that has nothing to do waits for its sockets.
const PAUSE: Duration = Duration::from_millis(5);
/// Sent at once at most, so that one thread plays many.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of one repeated train, about.
const TRAIN_BYTES: usize = 32 * 1024;

/// Where a crowd speaks, and how it begins.
#[derive(Clone, Copy)]
enum Way {
    /// A WebSocket, with this query.
    Socket(&'static str),
    /// Plain HTTP on the clients' port.
    Http,
    /// The API of the backend.
    Api,
    /// A connection for each train, reset behind it.
    Reset,
}

/// One kind of flood.
#[derive(Clone, Copy)]
pub(super) struct Flood {
    pub(super) name: &'static str,
    way: Way,
    /// What number so-and-so sends, again and again.
    train: fn(usize) -> Vec<u8>,
}

pub(super) const FLOODS: &[Flood] = &[
    Flood { name: "JSON full of numbers that are none", way: Way::Socket(""), train: numbers },
    Flood { name: "JSON that is nested", way: Way::Socket(""), train: nested },
    Flood { name: "WebSocket pings", way: Way::Socket(""), train: |_| whole(&frame(0x89, b"")) },
    Flood { name: "pings", way: Way::Socket(""), train: |_| told(&[r#"{"type":"ping"}"#.into()]) },
    Flood { name: "selects of a seat that is taken", way: Way::Socket(""), train: |_| told(&[select("f", "A")]) },
    Flood { name: "selects and releases, 4 KiB", way: Way::Socket(""), train: turns },
    Flood { name: "joining again", way: Way::Socket(""), train: |_| told(&[join("f")]) },
    Flood { name: "joining and leaving 64 rooms", way: Way::Socket(""), train: churn },
    Flood { name: "what is no JSON", way: Way::Socket(""), train: |_| told(&["{".into()]) },
    Flood { name: "fragments of one byte", way: Way::Socket(""), train: |_| fragments() },
    Flood { name: "binary frames", way: Way::Socket(""), train: |_| whole(&frame(0x82, b"x")) },
    Flood { name: "GET /health", way: Way::Http, train: |_| asked("GET", "/health") },
    Flood { name: "GET /stats", way: Way::Http, train: |_| asked("GET", "/stats") },
    Flood { name: "GET /metrics", way: Way::Http, train: |_| asked("GET", "/metrics") },
    Flood { name: "GET the page", way: Way::Http, train: |_| asked("GET", "/") },
    Flood { name: "GET selections", way: Way::Http, train: |_| asked("GET", "/room/f/selections") },
    Flood { name: "HEAD selections", way: Way::Http, train: |_| asked("HEAD", "/room/f/selections") },
    Flood { name: "connecting, asking, resetting", way: Way::Reset, train: |_| text_frame(&join("f")) },
    Flood { name: "v2: pings", way: Way::Socket("?v=2"), train: |_| told(&[r#"{"type":"ping"}"#.into()]) },
    Flood { name: "v2: a fresh map again and again", way: Way::Socket("?v=2"), train: syncs },
    Flood { name: "v2: joining and leaving a hall of 50,000", way: Way::Socket("?v=2"), train: second_churn },
    Flood { name: "v2: the best seats of 50,000", way: Way::Socket("?v=2"), train: best },
    Flood { name: "v2: carts in a hall of 50,000", way: Way::Socket("?v=2"), train: carts },
    Flood { name: "v2: sessions that are none", way: Way::Socket("?v=2"), train: liars },
    Flood { name: "API: GET the rooms", way: Way::Api, train: |_| asked("GET", "/v1/rooms") },
    Flood { name: "API: GET the seats of 50,000", way: Way::Api, train: |_| asked("GET", "/v1/rooms/stadium/seats") },
    Flood { name: "API: holds and releases", way: Way::Api, train: api_holds },
    Flood { name: "API: 1 MiB of JSON", way: Way::Api, train: |_| posted("/v1/rooms/f/hold", &"[".repeat(1_000_000)) },
];

impl Flood {
    /// What they do, until somebody says that it is over: so many, on two threads.
    pub(super) fn rage(self, server: &Server, count: usize, is_over: &AtomicBool) {
        std::thread::scope(|threads| {
            for part in [0..count / 2, count / 2..count] {
                threads.spawn(move || self.play(server, part, is_over));
            }
        });
    }

    fn play(self, server: &Server, numbers: Range<usize>, is_over: &AtomicBool) {
        let mut all: Vec<Flooder> = numbers.map(|number| Flooder::new(self, number)).collect();
        let mut scratch = vec![0; PIECE_BYTES];
        while !is_over.load(Ordering::Acquire) {
            let mut has_moved = false;
            for flooder in &mut all {
                has_moved |= flooder.look(server, &mut scratch);
            }
            if !has_moved {
                wait(&all);
            }
        }
    }

    fn opening(self, number: usize) -> Vec<u8> {
        match self.way {
            Way::Socket(query) => upgrade(&format!("flooder{number}"), query).into_bytes(),
            Way::Reset => upgrade(&format!("flooder{number}"), "").into_bytes(),
            Way::Http | Way::Api => Vec::new(),
        }
    }
}

/// Until one of them can be read or written, or for a moment.
fn wait(all: &[Flooder]) {
    let flags = PollFlags::IN | PollFlags::OUT;
    let sockets = all.iter().filter_map(|flooder| flooder.socket.as_ref());
    let mut polled: Vec<PollFd<'_>> = sockets.map(|socket| PollFd::new(socket, flags)).collect();
    let pause = Timespec { tv_sec: 0, tv_nsec: PAUSE.subsec_nanos().into() };
    poll(&mut polled, Some(&pause)).expect("these are sockets");
}

/// One of a crowd.
struct Flooder {
    flood: Flood,
    number: usize,
    socket: Option<TcpStream>,
    opening: Vec<u8>,
    train: Vec<u8>,
    /// How much of the opening, and then of the train, has been sent.
    sent: usize,
    is_open: bool,
}

impl Flooder {
    fn new(flood: Flood, number: usize) -> Self {
        let (opening, train) = (flood.opening(number), (flood.train)(number));
        Self { flood, number, socket: None, opening, train, sent: 0, is_open: false }
    }

    /// Sends what goes and reads what is there. Says whether anything moved.
    fn look(&mut self, server: &Server, scratch: &mut [u8]) -> bool {
        let Some(socket) = &mut self.socket else { return self.dial(server) };
        let (bytes, is_train) =
            if self.is_open { (&self.train[self.sent..], true) } else { (&self.opening[self.sent..], false) };
        let sent = socket.write(&bytes[..bytes.len().min(PIECE_BYTES)]);
        let read = socket.read(scratch);
        let has_gone = matches!(read, Ok(0)) || [&sent, &read].into_iter().any(is_end);
        if let Ok(count) = sent {
            self.sent += count;
            if count == bytes.len() {
                (self.sent, self.is_open) = (0, true);
            }
        }
        let is_done = is_train && self.sent == 0 && matches!(self.flood.way, Way::Reset);
        if has_gone || is_done {
            self.hang_up();
        }
        sent.is_ok() || read.is_ok() || has_gone
    }

    /// A server that drains takes nobody, and then there is nothing to do.
    fn dial(&mut self, server: &Server) -> bool {
        let address = match self.flood.way {
            Way::Api => server.api.expect("the API is on"),
            Way::Socket(_) | Way::Http | Way::Reset => server.address,
        };
        self.socket = TcpStream::connect(address).ok().inspect(|socket| {
            socket.set_nonblocking(true).expect("a socket option");
        });
        (self.sent, self.is_open) = (0, self.opening.is_empty());
        self.socket.is_some()
    }

    fn hang_up(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        if matches!(self.flood.way, Way::Reset) && self.number.is_multiple_of(2) {
            super::sockets::Hostile(socket).reset();
        }
    }
}

fn is_end(of: &std::io::Result<usize>) -> bool {
    matches!(of, Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted))
}

/// The same again until it is a train.
fn whole(bytes: &[u8]) -> Vec<u8> {
    bytes.repeat((TRAIN_BYTES / bytes.len()).max(1))
}

fn told(texts: &[String]) -> Vec<u8> {
    whole(&texts.iter().flat_map(|text| text_frame(text)).collect::<Vec<u8>>())
}

fn asked(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(20).into_bytes()
}

fn posted(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn numbers(_: usize) -> Vec<u8> {
    text_frame(&format!(r#"{{"type":"x","a":1e400,"b":[{}0]}}"#, "1e400,".repeat(10_000)))
}

fn nested(_: usize) -> Vec<u8> {
    text_frame(&format!(r#"{{"type":"x","a":{}"#, "[".repeat(60_000)))
}

fn turns(number: usize) -> Vec<u8> {
    let (room, name) = (format!("f {}", number % 4), "y".repeat(4_000));
    let hold = |seat: usize| {
        format!(r#"{{"type":"select_seat","room_id":"{room}","seat_id":"{seat}","user_info":{{"x":"{name}"}}}}"#)
    };
    told(&[join(&room), hold(number), release(&room, &number.to_string())])
}

fn churn(number: usize) -> Vec<u8> {
    let rooms = (0..64).map(|room| format!("churn {number} {room}"));
    let texts: Vec<String> =
        rooms.flat_map(|room| [join(&room), format!(r#"{{"type":"leave_room","room_id":"{room}"}}"#)]).collect();
    told(&texts)
}

fn fragments() -> Vec<u8> {
    let mut bytes = frame(0x01, b"{");
    bytes.extend(frame(0x00, b" ").repeat(4_000));
    bytes.extend(frame(0x80, b"}"));
    bytes
}

fn syncs(_: usize) -> Vec<u8> {
    told(&[second::second("join_room", "stadium"), second::second("sync", "stadium")])
}

fn second_churn(_: usize) -> Vec<u8> {
    told(&[second::second("join_room", "stadium"), second::second("leave_room", "stadium")])
}

fn best(_: usize) -> Vec<u8> {
    let ask = r#"{"type":"select_best","room_id":"stadium","quantity":10}"#;
    told(&[ask.into(), second::second("release_seats", "stadium").replace('}', r#","all":true}"#)])
}

fn carts(number: usize) -> Vec<u8> {
    let seats: Vec<String> = (0..10).map(|seat| format!(r#""{}""#, number * 100 + seat)).collect();
    let hold = format!(r#"{{"type":"select_seats","room_id":"stadium","seats":[{}]}}"#, seats.join(","));
    told(&[hold, second::second("release_seats", "stadium").replace('}', r#","all":true}"#)])
}

fn liars(_: usize) -> Vec<u8> {
    let rooms: Vec<String> = (0..64).map(|room| format!(r#""{}{room}""#, "r".repeat(100))).collect();
    let token = "A".repeat(100);
    told(&[format!(r#"{{"type":"resume","session_token":"{token}","rooms":[{}]}}"#, rooms.join(","))])
}

fn api_holds(number: usize) -> Vec<u8> {
    let body = format!(r#"{{"holder":"till {number}","seats":["{number}"]}}"#);
    let mut bytes = posted("/v1/rooms/stadium/hold", &body);
    bytes.extend(posted("/v1/rooms/stadium/release", &format!(r#"{{"holder":"till {number}","all":true}}"#)));
    bytes
}
