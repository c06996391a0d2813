//! The connections of one load thread and its readiness loop.
//!
//! Owns: sockets, the bytes of half frames, unsent bytes. Invariant: a token whose generation is old is ignored, so a
//! slot can be connected again at once. Never here: what messages mean; that is the [`Driver`]'s.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::clock::now_ns;
use crate::limits::{RECEIVE_BYTES, RECEIVE_BYTES_SLOW, SCRATCH_BYTES};
use crate::net::epoll::Epoll;
use crate::net::socket::{self, Moved};
use crate::num::index32;
use crate::target::Targets;
use crate::ws::{self, Front};

/// How a connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reading {
    /// Everything at once.
    #[default]
    Eager,
    /// Only when [`Worker::allow_sip`] is called.
    Sipping,
}

/// Why a connection ended without our wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It never opened.
    Refused(String),
    /// The server sent a close frame with this code.
    Closed(u16),
    /// The stream ended.
    Cut,
    /// The server broke the framing.
    Wrong(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum State {
    #[default]
    Closed,
    Connecting,
    Upgrading,
    Open,
}

#[derive(Debug, Default)]
struct Conn {
    socket: Option<OwnedFd>,
    state: State,
    generation: u32,
    reading: Reading,
    client_id: Box<str>,
    rest: Vec<u8>,
    /// How long `rest` must be before it is looked at again.
    need: usize,
    unsent: Vec<u8>,
    /// When everything that had come was received; 0 is never.
    dry_at: u64,
}

/// What a scenario does with its connections.
pub trait Driver {
    /// The upgrade succeeded.
    fn opened(&mut self, worker: &mut Worker, who: usize, now: u64);
    /// A text message came.
    fn text(&mut self, worker: &mut Worker, who: usize, payload: &[u8], now: u64);
    /// The connection is gone; its slot may be connected again.
    fn lost(&mut self, worker: &mut Worker, who: usize, why: Lost, now: u64);
    /// Does what is due; returns when to be called next.
    fn due(&mut self, worker: &mut Worker, now: u64) -> u64;
}

/// What the loop counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Time in which there was nothing to do.
    pub idle_ns: u64,
    /// Calls of `recv` that brought bytes.
    pub reads: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Text messages received.
    pub messages: u64,
    /// Last time at which everything that had arrived was read.
    pub drained_ns: u64,
}

/// The connections of one thread.
#[derive(Debug)]
pub struct Worker {
    /// What was counted.
    pub traffic: Traffic,
    /// How many connections are open or opening.
    pub live: usize,
    targets: Arc<Targets>,
    sources: usize,
    epoll: Epoll,
    conns: Vec<Conn>,
    scratch: Vec<u8>,
    frame: Vec<u8>,
    /// Slow readers that may read, and how much.
    sips: Vec<(usize, usize)>,
}

/// How far a socket is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Until {
    /// One buffer.
    Once,
    /// Until less came than there was room for: then nothing is left.
    Short,
    /// Until it says so. Behind the last bytes may stand the end of the stream, which is not reported again.
    TheEnd,
}

/// Whose turn it is to serve a slot: who comes back goes to the next node.
fn turn(who: usize, generation: u32) -> usize {
    who.wrapping_add(usize::try_from(generation).expect("32 bits fit"))
}

impl Worker {
    /// A worker with `slots` closed connections, which will come from `sources` addresses.
    ///
    /// # Errors
    /// When there is no file left for the epoll set.
    pub fn new(targets: Arc<Targets>, slots: usize, sources: usize) -> io::Result<Self> {
        let conns = (0..slots).map(|_| Conn::default()).collect();
        let scratch = vec![0; SCRATCH_BYTES];
        Ok(Self {
            traffic: Traffic::default(),
            live: 0,
            targets,
            sources,
            epoll: Epoll::new()?,
            conns,
            scratch,
            frame: Vec::new(),
            sips: Vec::new(),
        })
    }

    /// Begins to open slot `who` under `client_id`.
    ///
    /// # Errors
    /// What the kernel says at once; later failures come as [`Driver::lost`].
    pub fn connect(&mut self, who: usize, client_id: &str, reading: Reading) -> io::Result<()> {
        let number = u8::try_from(2 + who % self.sources).expect("SOURCES_MAX is below 250");
        let buffer = if reading == Reading::Sipping { RECEIVE_BYTES_SLOW } else { RECEIVE_BYTES };
        let conn = &mut self.conns[who];
        assert_eq!(conn.state, State::Closed, "a slot is one connection at a time");
        conn.generation = conn.generation.wrapping_add(1);
        let target = self.targets.of(turn(who, conn.generation));
        let socket = socket::connect(Ipv4Addr::new(127, 0, 0, number), target.addr, buffer)?;
        let token = u64::from(conn.generation) << 32 | u64::from(index32(who));
        self.epoll.add(&socket, token)?;
        *conn = Conn {
            socket: Some(socket),
            state: State::Connecting,
            generation: conn.generation,
            reading,
            client_id: client_id.into(),
            ..Conn::default()
        };
        self.live += 1;
        Ok(())
    }

    /// Whether `who` can send.
    #[must_use]
    pub fn is_open(&self, who: usize) -> bool {
        self.conns[who].state == State::Open
    }

    /// Whether `who` has no connection at all.
    #[must_use]
    pub fn is_closed(&self, who: usize) -> bool {
        self.conns[who].state == State::Closed
    }

    /// Ends the connection at once, with a reset. Nothing is reported.
    pub fn cut(&mut self, who: usize) {
        let conn = &mut self.conns[who];
        if conn.state != State::Closed {
            *conn = Conn { generation: conn.generation, ..Conn::default() };
            self.live -= 1;
        }
    }

    /// The last moment at which the server had surely not ended this connection: its end may wait unread.
    #[must_use]
    pub fn there_until(&self, who: usize, now: u64) -> u64 {
        let conn = &self.conns[who];
        if conn.socket.as_ref().is_some_and(socket::has_unread) { conn.dry_at } else { now }
    }

    /// Sends a close frame and then cuts.
    pub fn bid_farewell(&mut self, who: usize) {
        self.send_frame(who, ws::CLOSE, &1_000_u16.to_be_bytes());
        self.cut(who);
    }

    /// Sends one text message. A connection that is not open swallows it.
    pub fn send_text(&mut self, who: usize, payload: &[u8]) {
        self.send_frame(who, ws::TEXT, payload);
    }

    fn send_frame(&mut self, who: usize, opcode: u8, payload: &[u8]) {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        ws::push_frame(&mut frame, opcode, payload);
        if self.is_open(who) {
            self.send_bytes(who, &frame);
        }
        self.frame = frame;
    }

    /// Sends, and keeps what the socket does not take. A failed socket shows at the next read.
    fn send_bytes(&mut self, who: usize, bytes: &[u8]) {
        let conn = &mut self.conns[who];
        let Some(socket) = &conn.socket else { return };
        let mut done = 0;
        if conn.unsent.is_empty()
            && let Moved::Bytes(count) = socket::send(socket, bytes)
        {
            done = count;
        }
        conn.unsent.extend_from_slice(&bytes[done..]);
    }

    fn flush(&mut self, who: usize) {
        let conn = &mut self.conns[who];
        let Some(socket) = &conn.socket else { return };
        while !conn.unsent.is_empty() {
            let Moved::Bytes(count) = socket::send(socket, &conn.unsent) else { return };
            conn.unsent.drain(..count);
        }
    }

    /// Lets a [`Reading::Sipping`] connection read at most `bytes` at the next turn.
    pub fn allow_sip(&mut self, who: usize, bytes: usize) {
        self.sips.push((who, bytes.clamp(1, SCRATCH_BYTES)));
    }

    fn sip<D: Driver>(&mut self, driver: &mut D) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for (who, bytes) in std::mem::take(&mut self.sips) {
            if self.is_open(who) {
                self.read(who, &mut scratch[..bytes], driver, Until::Once);
            }
        }
        self.scratch = scratch;
    }

    /// Waits until something happens or `deadline` (a time of [`now_ns`]) comes, and performs it. The driver's due work
    /// is done between two reads when its time has come, so that a flood does not delay what must be sent.
    pub fn turn<D: Driver>(&mut self, driver: &mut D, mut deadline: u64) {
        if !self.sips.is_empty() {
            self.sip(driver);
        }
        let before = now_ns();
        let timeout = deadline.saturating_sub(before).min(20_000_000);
        let count = self.epoll.wait(timeout);
        let mut now = now_ns();
        if count == 0 || timeout > 0 {
            self.traffic.idle_ns += now - before;
        }
        if count < crate::limits::EPOLL_EVENTS_MAX {
            self.traffic.drained_ns = before;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for index in 0..count {
            let ready = self.epoll.ready(index);
            let who = usize::try_from(ready.token & 0xffff_ffff).expect("32 bits fit");
            if u64::from(self.conns[who].generation) != ready.token >> 32 {
                continue;
            }
            if self.conns[who].state == State::Connecting {
                self.connected(who, driver, now);
            }
            if ready.write && !self.conns[who].unsent.is_empty() {
                self.flush(who);
            }
            let waits = self.conns[who].reading == Reading::Sipping && self.conns[who].state == State::Open;
            if ready.read && !waits {
                self.read(who, &mut scratch, driver, if ready.ended { Until::TheEnd } else { Until::Short });
            }
            now = now_ns();
            if now >= deadline {
                deadline = driver.due(self, now);
            }
        }
        self.scratch = scratch;
    }

    fn connected<D: Driver>(&mut self, who: usize, driver: &mut D, now: u64) {
        let Some(socket) = &self.conns[who].socket else { return };
        if let Err(error) = socket::connected(socket) {
            return self.lose(who, Lost::Refused(error.to_string()), driver, now);
        }
        let target = self.targets.of(turn(who, self.conns[who].generation));
        let request = ws::upgrade_request(&target.host, &target.path_of(&self.conns[who].client_id));
        self.conns[who].state = State::Upgrading;
        self.send_bytes(who, &request);
    }

    fn lose<D: Driver>(&mut self, who: usize, why: Lost, driver: &mut D, now: u64) {
        if self.conns[who].state != State::Closed {
            self.cut(who);
            driver.lost(self, who, why, now);
        }
    }

    fn read<D: Driver>(&mut self, who: usize, scratch: &mut [u8], driver: &mut D, until: Until) {
        loop {
            let conn = &self.conns[who];
            let Some(socket) = &conn.socket else { return };
            let generation = conn.generation;
            let received = socket::receive(socket, scratch);
            // Only now: what was received has been there at this moment, however long this thread had no CPU.
            let now = now_ns();
            let count = match received {
                Moved::Bytes(count) => count,
                Moved::Nothing => {
                    self.conns[who].dry_at = now;
                    return;
                }
                Moved::Ended => {
                    let why = if conn.state == State::Open {
                        Lost::Cut
                    } else {
                        Lost::Refused("closed before the upgrade".to_owned())
                    };
                    return self.lose(who, why, driver, now);
                }
            };
            self.traffic.reads += 1;
            self.traffic.bytes_in += count as u64;
            if count < scratch.len() {
                self.conns[who].dry_at = now;
            }
            self.arrived(who, &scratch[..count], driver, now);
            let replaced = self.conns[who].generation != generation;
            if replaced || until == Until::Once || (until == Until::Short && count < scratch.len()) {
                return;
            }
        }
    }

    /// Hands out the whole frames of what was kept and `bytes`, and keeps the rest. Only the frame that was begun is
    /// put together; those behind it are read where they are.
    fn arrived<D: Driver>(&mut self, who: usize, mut bytes: &[u8], driver: &mut D, now: u64) {
        let generation = self.conns[who].generation;
        let mut kept = std::mem::take(&mut self.conns[who].rest);
        while !kept.is_empty() {
            let missing = self.conns[who].need.saturating_sub(kept.len());
            let (head, tail) = bytes.split_at(if missing == 0 { bytes.len() } else { missing.min(bytes.len()) });
            kept.extend_from_slice(head);
            bytes = tail;
            if kept.len() >= self.conns[who].need {
                let used = self.consume(who, &kept, driver, now);
                kept.drain(..used);
            }
            if bytes.is_empty() {
                return self.keep(who, generation, kept, &[]);
            }
        }
        let used = self.consume(who, bytes, driver, now);
        kept.shrink_to(4_096);
        self.keep(who, generation, kept, &bytes[used..]);
    }

    fn keep(&mut self, who: usize, generation: u32, mut kept: Vec<u8>, more: &[u8]) {
        let conn = &mut self.conns[who];
        if conn.state == State::Closed || conn.generation != generation {
            return;
        }
        kept.extend_from_slice(more);
        conn.rest = kept;
    }

    fn consume<D: Driver>(&mut self, who: usize, bytes: &[u8], driver: &mut D, now: u64) -> usize {
        let mut at = 0;
        if self.conns[who].state == State::Upgrading {
            match ws::upgrade_response(bytes) {
                None => return 0,
                Some(Err(line)) => {
                    self.lose(who, Lost::Refused(line), driver, now);
                    return bytes.len();
                }
                Some(Ok(length)) => at = length,
            }
            self.conns[who].state = State::Open;
            driver.opened(self, who, now);
        }
        let generation = self.conns[who].generation;
        while self.conns[who].generation == generation && self.conns[who].state == State::Open {
            match ws::front(&bytes[at..]) {
                Front::Whole(frame, length) => {
                    at += length;
                    self.frame_came(who, frame, driver, now);
                }
                Front::Short(need) => {
                    self.conns[who].need = need;
                    return at;
                }
                Front::Wrong(what) => {
                    self.lose(who, Lost::Wrong(what), driver, now);
                }
            }
        }
        bytes.len()
    }

    #[inline]
    fn frame_came<D: Driver>(&mut self, who: usize, frame: ws::Frame<'_>, driver: &mut D, now: u64) {
        match frame.opcode {
            ws::TEXT => {
                self.traffic.messages += 1;
                driver.text(self, who, frame.payload, now);
            }
            ws::PING => self.send_frame(who, ws::PONG, frame.payload),
            ws::CLOSE => self.lose(who, Lost::Closed(ws::close_code(frame.payload)), driver, now),
            _ => {}
        }
    }
}
