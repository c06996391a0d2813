//! A JSON object, appended member by member.
//!
//! Invariants: members stand in the order in which they are appended, separated as JSON wants it; nothing is allocated
//! but room in the buffer. Never here: the names of members.

use super::json_text;
use crate::engine::ids::Epoch;
use crate::engine::time::WallMillis;

/// A JSON object that is being appended, member by member.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    pub(super) fn empty(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out }
    }

    /// Members without brackets, for [`Object::members`]. The buffer is empty.
    pub(super) fn bare(out: &'a mut Vec<u8>) -> Self {
        debug_assert!(out.is_empty(), "what stands before would be a member");
        Self { out }
    }

    /// Appends members that were written before.
    pub(super) fn members(&mut self, bare: &[u8]) {
        self.separate();
        self.out.extend_from_slice(bare);
    }

    pub(super) fn with_type(out: &'a mut Vec<u8>, kind: &str) -> Self {
        Self::empty(out).text("type", kind)
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        json_text::string(self.member(name), value);
        self
    }

    pub(super) fn number(mut self, name: &str, value: u64) -> Self {
        json_text::number(self.member(name), value);
        self
    }

    pub(super) fn bool(mut self, name: &str, value: bool) -> Self {
        self.member(name).extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    pub(super) fn time(mut self, name: &str, at: WallMillis) -> Self {
        json_text::time(self.member(name), at);
        self
    }

    /// A string, since the number may not fit a JavaScript number.
    pub(super) fn epoch(mut self, Epoch(epoch): Epoch) -> Self {
        let out = self.member("epoch");
        out.push(b'"');
        json_text::hex(out, epoch);
        out.push(b'"');
        self
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// The name of the next member, and where its value goes.
    pub(super) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        self.separate();
        for part in ["\"", name, "\":"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out
    }

    /// Only an object without members ends with the bracket that opened it: no value does.
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{')) {
            self.out.push(b',');
        }
    }
}
