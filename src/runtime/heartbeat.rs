//! Connections whose time has come: for a deadline, or for a heartbeat.
//!
//! Invariant: a connection is looked at again before its silence has lasted too long. Never here: what is queued.

use crate::limits::ANSWER_LOOK_MS;
use crate::node::Event;
use crate::runtime::core::Core;
use crate::runtime::socket::Phase;
use crate::wire::frame;

impl Core {
    /// Looks at a connection, unless that has been put off since.
    pub(crate) fn check(&mut self, slot: u32, generation: u32) {
        let now = self.tenths();
        let (ping_after, pong_within) = (self.connections.ping_after_ms, self.connections.pong_within_ms);
        let Some(socket) = self.sockets.live(slot, generation) else { return };
        if socket.check_at > now {
            return;
        }
        let silence_ms = u64::from(now - socket.heard) * 100;
        let tries_again = socket.phase == Phase::Open && socket.full;
        match socket.phase {
            Phase::Http if socket.awaits_answer => self.check_after(slot, ANSWER_LOOK_MS),
            Phase::Preamble | Phase::Http | Phase::Closing => self.end(slot),
            Phase::Open if socket.pinged && silence_ms >= ping_after + pong_within => {
                self.handle(Event::CutOff { slot, code: frame::CLOSE_NO_PONG, reason: "no pong in time" });
            }
            Phase::Open if socket.pinged => self.check_after(slot, ping_after + pong_within - silence_ms),
            Phase::Open if silence_ms >= ping_after => {
                socket.pinged = true;
                self.node.answer(slot, |out| frame::ping(out, b""));
                // With a long time for the pong, the next ping must not wait for the end of it.
                self.check_after(slot, pong_within.min(ping_after));
            }
            Phase::Open => self.check_after(slot, ping_after - silence_ms),
        }
        if tries_again {
            self.writable(slot);
            self.look_again(slot);
        }
    }
}
