//! Queueing HTTP answers: the head, and the body where it is needed.
//!
//! Invariants: a body for HEAD is never copied; one of [`SHARED_BODY_BYTES_MIN`] or more is shared by all who are
//! sent it. Never here: what the bodies say.

use std::sync::Arc;

use crate::audience::budget::Kind as Memory;
use crate::audience::shared::{Shared, SharedBytes};
use crate::files::{File, PAGE_POLICY};
use crate::limits::site::SHARED_BODY_BYTES_MIN;
use crate::node::Event;
use crate::runtime::core::Core;
use crate::runtime::site::exchange::Exchange;
use crate::wire::respond::{self, JSON, Manner};

/// What an answer says beside how it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) content_type: &'a str,
    /// Further header lines.
    pub(super) extra: &'a [(&'a str, &'a str)],
}

impl Answer<'_> {
    /// JSON with this status.
    pub(super) fn json(status: u16) -> Self {
        Self { status, content_type: JSON, extra: &[] }
    }
}

impl Core {
    /// A body that others may be sent as well.
    pub(super) fn shared(&self, body: Vec<u8>) -> SharedBytes {
        SharedBytes::Counted(Shared::new(body, Memory::HttpBodies, &self.board.budget))
    }

    /// Answers with this body.
    pub(super) fn respond_with(&mut self, exchange: Exchange, answer: Answer<'_>, body: &SharedBytes) {
        let Exchange { slot, head_only, keep_alive } = exchange;
        let bytes = body.bytes();
        let is_shared = !head_only && bytes.len() >= SHARED_BODY_BYTES_MIN;
        let Answer { status, content_type, extra } = answer;
        let site = Arc::clone(&self.site);
        let manner = Manner { keep_alive, allow_origin: &site.cors_allow_origin, now: self.now.wall };
        self.node.answer(slot, |out| {
            respond::respond(out, status, content_type, bytes, manner, head_only || is_shared, extra);
        });
        if is_shared {
            self.node.answer_shared(slot, body.clone());
        }
        self.responded(exchange);
    }

    /// Answers with the head alone of a body that nobody made, and says its length when that is known.
    pub(super) fn respond_head(&mut self, exchange: Exchange, answer: Answer<'_>, body_len: Option<usize>) {
        let Answer { status, content_type, extra } = answer;
        let site = Arc::clone(&self.site);
        let manner =
            Manner { keep_alive: exchange.keep_alive, allow_origin: &site.cors_allow_origin, now: self.now.wall };
        self.node.answer(exchange.slot, |out| {
            respond::respond_head(out, status, content_type, body_len, manner, extra);
        });
        self.responded(exchange);
    }

    /// A file of the web client. The policy binds the page; on other files browsers ignore it.
    pub(super) fn answer_file(&mut self, exchange: Exchange, file: &File) {
        let extra = [("Content-Security-Policy", PAGE_POLICY), ("Cache-Control", "no-cache")];
        let answer = Answer { status: 200, content_type: file.content_type, extra: &extra };
        self.respond_with(exchange, answer, &SharedBytes::Static(file.body));
    }

    /// Answers OPTIONS.
    pub(super) fn answer_options(&mut self, exchange: Exchange) {
        let site = Arc::clone(&self.site);
        let manner =
            Manner { keep_alive: exchange.keep_alive, allow_origin: &site.cors_allow_origin, now: self.now.wall };
        self.node.answer(exchange.slot, |out| respond::respond_options(out, manner));
        self.responded(exchange);
    }

    /// Queues a refusal or the like. What becomes of the connection is the caller's.
    pub(crate) fn respond_message(&mut self, exchange: Exchange, status: u16, message: &str, extra: &[(&str, &str)]) {
        let site = Arc::clone(&self.site);
        let manner =
            Manner { keep_alive: exchange.keep_alive, allow_origin: &site.cors_allow_origin, now: self.now.wall };
        self.node.answer(exchange.slot, |out| {
            respond::respond_message(out, status, message, manner, exchange.head_only, extra);
        });
    }

    /// Answers with a refusal.
    pub(super) fn answer_message(&mut self, exchange: Exchange, status: u16, message: &str, extra: &[(&str, &str)]) {
        self.respond_message(exchange, status, message, extra);
        self.responded(exchange);
    }

    /// An answer has been queued: the next request may come, or the connection ends.
    fn responded(&mut self, Exchange { slot, keep_alive, .. }: Exchange) {
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        socket.awaits_answer = false;
        let waits = socket.stalled;
        if keep_alive {
            self.check_after(slot, self.connections.handshake_ms);
        } else {
            self.handle(Event::Finish { slot });
        }
        // Also when it closes: its peer's end is to be read.
        if waits {
            self.resume_reading(slot);
        }
    }
}
