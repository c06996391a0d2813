//! The stub's sockets: a thread a connection, blocking, for small populations.
//!
//! Invariant: everything ends when the stub is dropped.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadgen::clock::wall_ms;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::world::{Bug, World};

/// A running stub.
pub(crate) struct Stub {
    pub(crate) addr: SocketAddr,
    world: Arc<Mutex<World>>,
    /// Dropping it ends the clock thread.
    _clock: Sender<()>,
}

impl Stub {
    pub(crate) fn start(bug: Bug) -> Self {
        Self::with_ttl(bug, 300_000)
    }

    pub(crate) fn with_ttl(bug: Bug, ttl_ms: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = listener.local_addr().expect("it is bound");
        let world = Arc::new(Mutex::new(World::new(bug, ttl_ms)));
        let (clock, stop) = channel();
        let accepting = Arc::clone(&world);
        std::thread::spawn(move || {
            for (id, stream) in (1..).zip(listener.incoming().flatten()) {
                let world = Arc::clone(&accepting);
                std::thread::spawn(move || serve(id, stream, &world));
            }
        });
        let ticking = Arc::clone(&world);
        std::thread::spawn(move || tick(&ticking, &stop));
        Self { addr, world, _clock: clock }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.addr)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let world = self.world.lock().expect("no stub thread panics");
        world.conns.values().for_each(|conn| conn.stream.shutdown(Shutdown::Both).unwrap_or_default());
    }
}

fn tick(world: &Mutex<World>, stop: &Receiver<()>) {
    while stop.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        world.lock().expect("no stub thread panics").expire(wall_ms());
    }
}

fn head(stream: &mut TcpStream) -> Option<(String, Option<String>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 2_048];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&bytes).ok()?.is_complete() {
            let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
            let key = key.map(|header| String::from_utf8_lossy(header.value).into_owned());
            return Some((request.path?.to_owned(), key));
        }
    }
}

fn serve(id: u64, mut stream: TcpStream, world: &Mutex<World>) {
    let Some((path, key)) = head(&mut stream) else { return };
    let Some((client, key)) = path.strip_prefix("/ws/").zip(key) else {
        return answer(&mut stream, &path, world);
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.set_nodelay(true).expect("an option of every TCP socket");
    // A reader that does not read must not hold up everybody for ever.
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("an option of every TCP socket");
    let writer = stream.try_clone().expect("a file is left");
    world.lock().expect("no stub thread panics").open(id, client.to_owned(), writer);
    if stream.write_all(upgrade.as_bytes()).is_ok() {
        let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
        while let Ok(message) = socket.read() {
            match message {
                Message::Text(text) => world.lock().expect("no stub thread panics").request(id, &text, wall_ms()),
                Message::Close(_) => break,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
    world.lock().expect("no stub thread panics").close(id);
}

fn answer(stream: &mut TcpStream, path: &str, world: &Mutex<World>) {
    let world = world.lock().expect("no stub thread panics");
    let room = path.strip_prefix("/room/").and_then(|rest| rest.strip_suffix("/selections"));
    let body = match (path, room) {
        (_, Some(room)) => world.selections(room).to_string(),
        ("/health", _) => "{\"status\":\"healthy\"}".to_owned(),
        _ => format!("{{\"active_connections\":{},\"shards\":[]}}", world.conns.len()),
    };
    let status = if room.is_some() && world.bug == Bug::Unasked { "503 Service Unavailable" } else { "200 OK" };
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap_or_default();
}
