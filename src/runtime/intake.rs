//! What a socket brings: request heads and frames, read through one scratch buffer, to the end of what is there.
//!
//! Invariants: bytes are read only while the connection's answers have room; the rest of a partial frame, or of
//! requests that must wait, is kept with the connection and bounded by one scratch buffer; nothing is consumed twice.
//!
//! Never here: what a request does (the node), what an HTTP answer says (`site`).

use std::sync::Arc;

use crate::limits::{
    FRAMES_PER_CLOCK, FRAMES_PER_LOOK_MAX, HTTP_HEAD_BYTES_MAX, MESSAGES_PER_MEASURE, READ_NS_PER_TURN,
    READS_PER_SOCKET_MAX, SCRATCH_BYTES,
};
use crate::node::{Arrival, Event, Next, Opening};
use crate::runtime::core::Core;
use crate::runtime::random;
use crate::runtime::site::exchange::Exchange;
use crate::runtime::socket::Phase;
use crate::wire::dear;
use crate::wire::frame::{self, Step};
use crate::wire::http::{self, Bearer, HttpRequest, Protocol, Target};
use crate::wire::message::Reader;
use crate::wire::respond::{self, Manner};
use crate::wire::v2;

/// The buffer that all sockets of a shard are read into, and the parser's.
pub(crate) struct Intake {
    scratch: Vec<u8>,
    readers: Readers,
}

/// What reads the messages of either protocol.
struct Readers {
    first: Reader,
    second: v2::read::Reader,
}

impl Intake {
    pub(crate) fn new(message_bytes_max: usize, user_info_bytes_max: usize) -> Self {
        // A whole message, its header and the beginning of the next one always fit.
        let len = SCRATCH_BYTES.max(message_bytes_max + HTTP_HEAD_BYTES_MAX);
        let readers =
            Readers { first: Reader::new(user_info_bytes_max), second: v2::read::Reader::new(user_info_bytes_max) };
        Self { scratch: vec![0; len], readers }
    }
}

/// How looking at received bytes ended.
#[derive(Debug)]
enum Flow {
    /// Everything that was whole has been consumed.
    More,
    /// Answers must leave or arrive first.
    Stall,
    /// Others must have their turn first.
    Enough,
    /// The connection is not read here any more.
    Over,
    /// The connection is to move to another shard.
    Move,
}

impl Core {
    /// Whether this phase of the turn has read for as long as it may.
    pub(crate) fn has_read_enough(&self) -> bool {
        self.clock.nanos().saturating_sub(self.reading_since_ns) >= READ_NS_PER_TURN
    }

    /// Reads one socket, until it is empty or others must have their turn.
    pub(crate) fn read(&mut self, intake: &mut Intake, slot: u32, generation: u32) {
        let Some(socket) = self.sockets.live(slot, generation) else { return };
        socket.read_queued = false;
        let mut have = 0;
        if let Some(unread) = socket.unread.take() {
            have = unread.len();
            intake.scratch[..have].copy_from_slice(&unread);
        }
        let mut look_first = std::mem::take(&mut socket.stalled);
        for _ in 0..READS_PER_SOCKET_MAX {
            let mut last = false;
            if !std::mem::take(&mut look_first) {
                match self.receive(intake, slot, have) {
                    Some(0) => return,
                    Some(received) => {
                        last = have + received < intake.scratch.len();
                        have += received;
                    }
                    None => {
                        self.keep_unread(slot, &intake.scratch[..have], false);
                        return;
                    }
                }
            }
            let (used, flow) = self.consume(intake, slot, have);
            let rest = used..have;
            match flow {
                Flow::Over => return,
                Flow::Move => return self.hand_over(slot, intake.scratch[rest].to_vec()),
                Flow::Stall => return self.keep_unread(slot, &intake.scratch[rest], true),
                Flow::Enough => {
                    self.keep_unread(slot, &intake.scratch[rest], true);
                    return self.resume_reading(slot);
                }
                Flow::More => {
                    have = rest.len();
                    intake.scratch.copy_within(rest, 0);
                }
            }
            let Some(socket) = self.sockets.get_mut(slot) else { return };
            if last && !socket.hung_up {
                socket.readable = false;
                break;
            }
            if !self.reads.is_empty() || self.has_read_enough() {
                break;
            }
        }
        self.keep_unread(slot, &intake.scratch[..have], false);
        if self.sockets.get(slot).is_some_and(|socket| socket.readable) {
            self.resume_reading(slot);
        }
    }

    /// Receives behind the `have` bytes that are there. `None`: nothing has come. `Some(0)`: the connection is over.
    fn receive(&mut self, intake: &mut Intake, slot: u32, have: usize) -> Option<usize> {
        let now = self.tenths();
        let socket = self.sockets.get_mut(slot)?;
        match socket.receive(&mut intake.scratch[have..]) {
            Ok(None) => {
                socket.readable = false;
                None
            }
            Ok(Some(0)) => {
                socket.readable = false;
                socket.hung_up = true;
                self.hung_up(slot);
                Some(0)
            }
            Ok(Some(received)) => {
                socket.heard = now;
                socket.pinged = false;
                self.node.figures.bytes_received += received as u64;
                Some(received)
            }
            Err(_) => {
                self.breaks(slot);
                Some(0)
            }
        }
    }

    /// The peer will send nothing more: what it is owed already still leaves.
    fn hung_up(&mut self, slot: u32) {
        let Some(socket) = self.sockets.get(slot) else { return };
        if socket.awaits_answer {
            return;
        }
        self.handle(Event::HungUp { slot });
    }

    fn keep_unread(&mut self, slot: u32, rest: &[u8], stalled: bool) {
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        socket.stalled = stalled;
        socket.unread = (!rest.is_empty()).then(|| Box::new(rest.to_vec()));
    }

    /// Consumes what is whole of the first `have` bytes of the scratch buffer.
    fn consume(&mut self, intake: &mut Intake, slot: u32, have: usize) -> (usize, Flow) {
        let Intake { scratch, readers } = intake;
        let mut used = 0;
        for taken in 0..FRAMES_PER_LOOK_MAX {
            let Some(socket) = self.sockets.get(slot) else { return (used, Flow::Over) };
            let bytes = &mut scratch[used..have];
            let (phase, awaits_answer) = (socket.phase, socket.awaits_answer);
            let step = match phase {
                Phase::Closing => return (have, Flow::More),
                Phase::Preamble => self.read_proxy_header(slot, bytes).ok_or((bytes.len(), Flow::More)),
                Phase::Http if awaits_answer || self.must_wait(slot) => return (used, Flow::Stall),
                Phase::Http if taken > 0 && self.has_read_enough() => return (used, Flow::Enough),
                Phase::Http => self.read_head(slot, bytes),
                Phase::Open if self.must_wait(slot) => return (used, Flow::Stall),
                Phase::Open if is_time_to_look(taken) && self.has_read_enough() => return (used, Flow::Enough),
                Phase::Open => self.read_frame(readers, slot, bytes),
            };
            match step {
                Ok(0) => return (used, Flow::More),
                Ok(len) => used += len,
                Err((len, flow)) => return (used + len, flow),
            }
        }
        (used, Flow::Enough)
    }

    /// Whether the connection's next message must wait until answers have left or arrived.
    fn must_wait(&mut self, slot: u32) -> bool {
        if self.node.is_worth_flushing(slot) {
            self.flush(slot);
        }
        !self.node.takes_requests(slot)
    }

    /// Reads one request head. `Ok(0)`: it is not whole.
    fn read_head(&mut self, slot: u32, bytes: &[u8]) -> Result<usize, (usize, Flow)> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let (len, request) = match http::parse_head(bytes) {
            Ok(None) => return Ok(0),
            Ok(Some(head)) => head,
            Err(error) => {
                let site = Arc::clone(&self.site);
                let manner = Manner { keep_alive: false, allow_origin: &site.cors_allow_origin, now: self.now.wall };
                let head_only = http::is_head(bytes);
                self.node.answer(slot, |out| respond::respond_error(out, error, manner, head_only));
                self.handle(Event::Finish { slot });
                return Err((bytes.len(), Flow::More));
            }
        };
        let HttpRequest { target, head_only, keep_alive, origin, forwarded_for, has, token } = request;
        let Target::Socket { client, room_hint, accept_key, protocol } = target else {
            self.respond(Exchange { slot, head_only, keep_alive }, &target, has);
            return Ok(len);
        };
        if !self.believe_forwarded(slot, forwarded_for) {
            return Err((bytes.len(), Flow::Over));
        }
        if !self.may_stay(slot, origin) || self.is_banned(slot, &client) || self.lacks_keys(slot) {
            return Err((bytes.len(), Flow::More));
        }
        self.note_origin(slot, forwarded_for);
        self.node.answer(slot, |out| respond::accept_upgrade(out, &accept_key, protocol));
        self.board.websocket_opened();
        self.becomes_open(slot);
        let opening = match protocol {
            Protocol::First => Opening::First,
            Protocol::Second { .. } => Opening::Second(random::session()),
        };
        let token = token.as_ref().map(Bearer::as_str);
        match self.handle(Event::Upgraded { slot, arrival: Arrival { client, hint: room_hint, opening, token } }) {
            Next::ReadOn => Ok(len),
            Next::Move => Err((len, Flow::Move)),
        }
    }

    /// Reads one frame. `Ok(0)`: it is not whole.
    fn read_frame(&mut self, readers: &mut Readers, slot: u32, bytes: &mut [u8]) -> Result<usize, (usize, Flow)> {
        let Some(socket) = self.sockets.get_mut(slot) else { return Err((0, Flow::Over)) };
        let mut assembly = std::mem::take(&mut socket.assembly);
        let len = bytes.len();
        let result = match frame::read_frame(bytes, &mut assembly, self.connections.message_bytes_max) {
            Ok(Step::Incomplete) => Ok(0),
            Ok(Step::Frame { used, event }) => {
                self.received(readers, slot, event).map_or(Ok(used), |flow| Err((used, flow)))
            }
            Err(violation) => {
                self.close(slot, violation.code, violation.reason);
                Err((len, Flow::More))
            }
        };
        if let Some(socket) = self.sockets.get_mut(slot) {
            socket.assembly = assembly;
        }
        result
    }

    /// Acts on one frame; says when reading does not simply go on.
    fn received(&mut self, readers: &mut Readers, slot: u32, event: frame::Event<'_>) -> Option<Flow> {
        match event {
            #[cfg(feature = "echo")]
            frame::Event::Text(text) if self.echoes(slot) => self.echo(slot, text, frame::text_header),
            #[cfg(feature = "echo")]
            frame::Event::Binary(bytes) if self.echoes(slot) => self.echo(slot, bytes, frame::binary_header),
            frame::Event::Text(text) => return self.text(readers, slot, text),
            frame::Event::Binary(_) => self.close(slot, frame::CLOSE_UNSUPPORTED, "messages are text"),
            frame::Event::Ping(payload) => {
                self.node.answer(slot, |out| frame::pong(out, payload));
                self.node.charge(slot);
            }
            frame::Event::Pong | frame::Event::Part => {}
            frame::Event::Close(code) => {
                self.handle(Event::Close { slot, code: code.unwrap_or(frame::CLOSE_NORMAL), reason: "" });
            }
        }
        None
    }

    /// Gives a message to the node. One in so many is measured: reading the clock twice costs as much as deciding.
    fn message(&mut self, event: Event<'_>) -> Next {
        self.messages = self.messages.wrapping_add(1);
        if !self.messages.is_multiple_of(MESSAGES_PER_MEASURE) {
            return self.handle(event);
        }
        let began = self.clock.nanos();
        let next = self.handle(event);
        self.node.figures.decision.record(self.clock.nanos() - began, 1);
        next
    }

    fn text(&mut self, readers: &mut Readers, slot: u32, text: &mut [u8]) -> Option<Flow> {
        let more = dear::more_than_one(text);
        if more > 0 {
            self.node.charge_more(slot, more);
        }
        let next = if self.node.speaks_second(slot) {
            match readers.second.read(text) {
                Ok(message) => self.message(Event::Second { slot, message }),
                Err(bad) => self.handle(Event::BadSecond { slot, bad: &bad }),
            }
        } else {
            match readers.first.read(text) {
                Ok(message) => self.message(Event::Message { slot, message }),
                Err(bad) => self.handle(Event::Bad { slot, bad: &bad }),
            }
        };
        (next == Next::Move).then_some(Flow::Move)
    }

    /// A client whose name begins with `echo` gets its messages back: for the Autobahn suite, over the ordinary code.
    #[cfg(feature = "echo")]
    fn echoes(&self, slot: u32) -> bool {
        self.node.client(slot).is_some_and(|client| client.as_str().starts_with("echo"))
    }

    #[cfg(feature = "echo")]
    fn echo(&mut self, slot: u32, payload: &[u8], header: fn(&mut Vec<u8>, usize)) {
        assert_ne!(payload, b"panic", "a test wants to see what a panic does");
        self.node.answer(slot, |out| {
            header(out, payload.len());
            out.extend_from_slice(payload);
        });
    }
}

/// Whether the clock is looked at before one more frame, behind this many of the same look.
fn is_time_to_look(taken: u32) -> bool {
    taken > 0 && taken.is_multiple_of(FRAMES_PER_CLOCK)
}
