//! How the bytes leave that a slice of a room owes to its members: to many of them by one call.
//!
//! Invariant: what became of each is reported before anything else is asked of the node. Never here: who is served.

use std::os::fd::AsFd;

use crate::node::{Send, Source, Taken};
use crate::runtime::core::Core;
use crate::runtime::send_ring::Sender;

impl Core {
    /// Sends what the slice owes to its members.
    pub(crate) fn send_slice(&mut self) {
        while self.node.offer_members() {
            self.send_offers();
        }
        while self.send_next(Source::Slice) {}
    }

    fn send_offers(&mut self) {
        let Self { node, sockets, sender: Sender { ring, done }, .. } = self;
        let socket_of = |slot| sockets.get(slot).expect("a session has a socket");
        match ring {
            Some(ring) => {
                let results = ring.send_all(node.offers().map(|send| (socket_of(send.slot).fd.as_fd(), send.bytes)));
                let offers = node.offers().map(|Send { slot, bytes }| (slot, bytes.len()));
                done.extend(offers.zip(results).map(|((slot, len), result)| (slot, len, result)));
            }
            None => done.extend(node.offers().map(|Send { slot, bytes }| {
                let result = socket_of(slot).send(bytes);
                (slot, bytes.len(), result)
            })),
        }
        let taken = done.iter().map(|(_, _, result)| result.as_ref().map_or(Taken::Broken, |&sent| Taken::Bytes(sent)));
        node.sent_all(taken, &mut self.orders);
        let mut done = std::mem::take(done);
        for (slot, len, result) in done.drain(..) {
            match result {
                Ok(sent) if sent == len => {}
                Ok(_) => self.blocked(slot),
                Err(_) => self.breaks(slot),
            }
        }
        self.sender.done = done;
        self.carry_out();
    }
}
