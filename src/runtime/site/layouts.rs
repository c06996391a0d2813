//! `/layouts/{layout}/{version}`: a plan of a hall, as it was written and for ever.
//!
//! Invariants: a version never changes, so who has it need never ask again; what is compressed and what is not have
//! marks of their own. Never here: which layouts there are.

use std::sync::Arc;

use crate::audience::shared::SharedBytes;
use crate::layout::document::Document;
use crate::runtime::core::Core;
use crate::runtime::site::answer::Answer;
use crate::runtime::site::exchange::Exchange;
use crate::wire::respond::JSON;

/// A year, which is as good as for ever.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A layout that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) layout: &'a str,
    pub(super) version: &'a str,
    pub(super) takes_gzip: bool,
    /// The marks of what the client has got already.
    pub(super) has: Option<&'a [u8]>,
}

impl Core {
    pub(super) fn answer_layout(&mut self, exchange: Exchange, asked: Asked<'_>) {
        let Some(layout) = self.board.layouts.get(asked.layout, asked.version) else {
            return self.answer_message(exchange, 404, "there is no such layout, or not in this version", &[]);
        };
        let mark = mark(layout.document(), asked.takes_gzip);
        let mut extra = vec![("Cache-Control", FOR_EVER), ("ETag", mark.as_str()), ("Vary", "Accept-Encoding")];
        if asked.takes_gzip {
            extra.push(("Content-Encoding", "gzip"));
        }
        let body = if asked.takes_gzip { layout.document().gzip() } else { layout.document().json() };
        let is_known = asked.has.is_some_and(|has| names(has, &mark));
        let (status, head_only) = if is_known { (304, true) } else { (200, exchange.head_only) };
        let answer = Answer { status, content_type: JSON, extra: &extra };
        self.respond_with(Exchange { head_only, ..exchange }, answer, &SharedBytes::Kept(Arc::clone(body)));
    }
}

fn mark(document: &Document, is_gzip: bool) -> String {
    format!("\"{}{}\"", document.version(), if is_gzip { "-gzip" } else { "" })
}

/// Whether a list of marks has this one; what is like it is it here (RFC 9110 section 13.1.2).
fn names(list: &[u8], mark: &str) -> bool {
    let marks = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    marks.map(|one| one.strip_prefix(b"W/").unwrap_or(one)).any(|one| one == b"*" || one == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_mark_is_found_in_a_list() {
        for yes in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", " \"b\",W/\"a\" "] {
            assert!(names(yes.as_bytes(), "\"a\""), "{yes}");
        }
        for no in ["", "a", "\"a-gzip\"", "\"b\"", "w/\"a\"", "W/*x"] {
            assert!(!names(no.as_bytes(), "\"a\""), "{no}");
        }
    }
}
