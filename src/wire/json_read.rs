//! One JSON object, taken apart: its members as text or as what they are instead, and the raw text of one of them.
//!
//! Invariants: what is accepted is JSON (RFC 8259) without lone surrogates and no deeper than [`JSON_DEPTH_MAX`]; of
//! two members with one name the last one counts; a raw text is exactly what the client wrote, numbers included. Never
//! here: the names of messages. This is the only file that names simd-json.
//!
//! simd-json rewrites its input and refuses numbers that no machine word holds, which are good JSON all the same. So
//! the input is copied first, raw texts are found in the copy by the positions that simd-json recorded, and numbers are
//! checked here and made small. A short text is first tried as it is, since hardly any needs that.
//!
//! What a text costs follows from its length, not from what is in it: a long one is scanned once and parsed once, a
//! short one parsed twice at most.
//!
//! A lone surrogate (`"\ud800"`) is refused: it has no UTF-8, and many readers refuse a whole message that has one, so
//! passing it on would let one client keep a room's events from the others (RFC 7493 section 2.1 forbids it as well).

use simd_json::{Buffers, Error, ErrorType, Node, StaticNode, Tape};

use super::dear::{end_of_string, has_too_many};
use crate::limits::{JSON_DEPTH_MAX, JSON_LIST_MAX, JSON_SHORT_BYTES};

/// Why a text is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unreadable {
    /// Not JSON.
    NotJson,
    /// An escape names half of a surrogate pair: JSON to some, but no text (RFC 7493 section 2.1).
    LoneSurrogate,
    /// Nested too deeply.
    TooDeep,
    /// It has so many parts that nobody looks at them.
    TooMany,
    /// JSON, but not an object.
    NotAnObject,
}

/// A member's value.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Member<'a> {
    /// There is none.
    #[default]
    Missing,
    /// A string, with its escapes resolved.
    Text(&'a str),
    /// An object, as it was written.
    Object(&'a str),
    /// Something else.
    Other,
}

/// A member's value, told apart further.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) enum Value<'a> {
    /// There is none.
    #[default]
    Missing,
    /// A string, with its escapes resolved.
    Text(&'a str),
    /// A number, as it was written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// An object, as it was written.
    Object(&'a str),
    /// A list of strings, [`JSON_LIST_MAX`] at most.
    Texts(Vec<&'a str>),
    /// A list that is longer.
    LongList,
    /// Something else: `null`, or a list of something else.
    Other,
}

/// Buffers that are used again for every text.
pub(super) struct ObjectReader {
    buffers: Buffers,
    tape: Tape<'static>,
    /// The text as it was written.
    raw: Vec<u8>,
    /// A short text with small numbers, when it needed them.
    tame: Vec<u8>,
    /// A text with more of what makes one dear (see `dear`) is not taken.
    signs_max: usize,
    /// Parses since the start.
    #[cfg(test)]
    parses: usize,
}

/// Whether an escape names half of a surrogate pair without its other half. Looked at only in what is refused.
fn has_lone_surrogate(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let escape = &rest[at..];
        let skip = match code_unit(escape) {
            Some(0xd800..=0xdbff) => match escape.get(6..).and_then(code_unit) {
                Some(0xdc00..=0xdfff) => 12,
                _ => return true,
            },
            Some(0xdc00..=0xdfff) => return true,
            _ => 2,
        };
        rest = escape.get(skip..).unwrap_or_default();
    }
    false
}

/// What `\uXXXX` at the front names.
fn code_unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    let text = str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u16::from_str_radix(text, 16).ok()
}

impl ObjectReader {
    pub(super) fn new(signs_max: usize) -> Self {
        let buffers = Buffers::with_max_depth(0, JSON_DEPTH_MAX);
        Self {
            buffers,
            tape: Tape(Vec::new()),
            raw: Vec::new(),
            tame: Vec::new(),
            signs_max,
            #[cfg(test)]
            parses: 0,
        }
    }

    /// Reads the members called `names` of the object that `text` is. `text` is rewritten.
    pub(super) fn read<'a, const N: usize>(
        &'a mut self,
        text: &'a mut [u8],
        names: [&str; N],
    ) -> Result<[Member<'a>; N], Unreadable> {
        self.read_as(text, names, Member::of)
    }

    /// The same, told apart further.
    pub(super) fn read_values<'a, const N: usize>(
        &'a mut self,
        text: &'a mut [u8],
        names: [&str; N],
    ) -> Result<[Value<'a>; N], Unreadable> {
        self.read_as(text, names, Value::of)
    }

    fn read_as<'a, V: Default, const N: usize>(
        &'a mut self,
        text: &'a mut [u8],
        names: [&str; N],
        value: impl Fn(Written<'_, 'a>) -> V,
    ) -> Result<[V; N], Unreadable> {
        if has_too_many(text, self.signs_max) {
            return Err(Unreadable::TooMany);
        }
        self.raw.clear();
        self.raw.extend_from_slice(text);
        let is_short = text.len() <= JSON_SHORT_BYTES;
        if !is_short && tame_numbers(text).is_none() {
            return Err(Unreadable::NotJson);
        }
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        #[cfg(test)]
        {
            self.parses += 1;
        }
        let mut result = simd_json::fill_tape(text, &mut self.buffers, &mut tape);
        if is_short && result.as_ref().is_err_and(|error| !is_too_deep(error)) {
            // A number may be the reason.
            self.tame.clear();
            self.tame.extend_from_slice(&self.raw);
            if tame_numbers(&mut self.tame).is_some_and(|tamed| tamed > 0) {
                #[cfg(test)]
                {
                    self.parses += 1;
                }
                result = simd_json::fill_tape(&mut self.tame, &mut self.buffers, &mut tape);
            }
        }
        let members = match result {
            Ok(()) => pick(&tape.0, self.buffers.structural_indexes(), &self.raw, names, value),
            Err(error) if is_too_deep(&error) => Err(Unreadable::TooDeep),
            Err(_) if has_lone_surrogate(&self.raw) => Err(Unreadable::LoneSurrogate),
            Err(_) => Err(Unreadable::NotJson),
        };
        self.tape = tape.reset();
        members
    }
}

fn is_too_deep(error: &Error) -> bool {
    matches!(error.error(), ErrorType::DepthLimitExceeded)
}

/// Makes every number that is not a short whole one a `0` and spaces, so that nothing moves, and returns how many there
/// were; `None` when one is not written as JSON wants it. Whether the rest is JSON is not looked at, and does not
/// change: a number stands alone in good JSON, and two values in a row are none with a space between them either.
fn tame_numbers(text: &mut [u8]) -> Option<usize> {
    let mut tamed = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at + 1),
            b'-' | b'0'..=b'9' => {
                if let Some(len) = small_number(&text[at..]) {
                    at += len;
                    continue;
                }
                let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let len = text[at..].iter().take_while(|byte| is_part(byte)).count();
                let number = &mut text[at..at + len];
                if !is_number(number) {
                    return None;
                }
                if len > SMALL_DIGITS || !number.iter().all(u8::is_ascii_digit) {
                    number.fill(b' ');
                    number[0] = b'0';
                    tamed += 1;
                }
                at += len;
            }
            _ => {
                at += 1;
                // Two that begin nothing: there may be many.
                while text.get(at..at + NEAR).is_some_and(|near| !begins(near[0]) && !has_string_or_number(near)) {
                    at += NEAR;
                }
            }
        }
    }
    Some(tamed)
}

/// Bytes that are passed over at once.
const NEAR: usize = 16;

/// Whether a string or a number begins with this.
fn begins(byte: u8) -> bool {
    matches!(byte, b'"' | b'-' | b'0'..=b'9')
}

/// Whether one begins among these few bytes: all are looked at, so that it is one wide comparison.
fn has_string_or_number(near: &[u8]) -> bool {
    near.iter().fold(false, |has, &byte| has | begins(byte))
}

/// Digits that fit any machine word.
const SMALL_DIGITS: usize = 18;

/// The length of the short whole number at the front, if it is one that may stay as it is: nearly all are.
fn small_number(text: &[u8]) -> Option<usize> {
    let len = text.iter().take(SMALL_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let goes_on = matches!(text.get(len), Some(b'-' | b'+' | b'.' | b'e' | b'E'));
    ((1..=SMALL_DIGITS).contains(&len) && !goes_on && (len == 1 || text[0] != b'0')).then_some(len)
}

/// Whether these characters are a number, RFC 8259 section 6.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// A value as it was written and as it was parsed.
struct Written<'t, 'a> {
    /// The value, and what is in it.
    nodes: &'t [Node<'a>],
    /// The text from its first byte on.
    from: &'a [u8],
    /// How far its last structural character is from its first: the whole of what is in brackets.
    last: usize,
}

impl<'a> Written<'_, 'a> {
    fn in_brackets(&self) -> &'a str {
        str::from_utf8(&self.from[..=self.last]).expect("it was checked, and brackets are whole characters")
    }

    fn number(&self) -> &'a str {
        let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let len = self.from.iter().take_while(is_part).count();
        str::from_utf8(&self.from[..len]).expect("ASCII")
    }
}

impl<'a> Member<'a> {
    fn of(written: Written<'_, 'a>) -> Self {
        match written.nodes[0] {
            Node::String(text) => Self::Text(text),
            Node::Object { .. } => Self::Object(written.in_brackets()),
            Node::Array { .. } | Node::Static(_) => Self::Other,
        }
    }
}

impl<'a> Value<'a> {
    fn of(written: Written<'_, 'a>) -> Self {
        match written.nodes[0] {
            Node::String(text) => Self::Text(text),
            Node::Object { .. } => Self::Object(written.in_brackets()),
            Node::Array { len, .. } if len > JSON_LIST_MAX => Self::LongList,
            Node::Array { .. } => Self::list(&written.nodes[1..]),
            Node::Static(StaticNode::Bool(value)) => Self::Bool(value),
            Node::Static(StaticNode::Null) => Self::Other,
            Node::Static(_) => Self::Number(written.number()),
        }
    }

    fn list(items: &[Node<'a>]) -> Self {
        let text = |node: &Node<'a>| if let Node::String(text) = *node { Some(text) } else { None };
        items.iter().map(text).collect::<Option<Vec<_>>>().map_or(Self::Other, Self::Texts)
    }
}

/// Walks the top level of a parsed document: nodes and structural characters side by side, since each key, string,
/// number, word and bracket that opens is one node and one position.
fn pick<'a, V: Default, const N: usize>(
    nodes: &[Node<'a>],
    structurals: &[u32],
    raw: &'a [u8],
    names: [&str; N],
    value: impl Fn(Written<'_, 'a>) -> V,
) -> Result<[V; N], Unreadable> {
    let Some(Node::Object { len, .. }) = nodes.first() else {
        return Err(Unreadable::NotAnObject);
    };
    let position = |at: usize| structurals[at] as usize;
    let mut members = std::array::from_fn(|_| V::default());
    let mut node = 1;
    let mut structural = 1;
    for _ in 0..*len {
        // A key, a colon, a value, and a comma or the end.
        let first = structural + 2;
        let last = last_of_value(first, |at| raw[position(at)]);
        let inner_nodes = match nodes[node + 1] {
            Node::Object { count, .. } | Node::Array { count, .. } => count,
            Node::String(_) | Node::Static(_) => 0,
        };
        if let Node::String(key) = nodes[node]
            && let Some(index) = names.iter().position(|name| *name == key)
        {
            let nodes = &nodes[node + 1..node + 2 + inner_nodes];
            let from = position(first);
            members[index] = value(Written { nodes, from: &raw[from..], last: position(last) - from });
        }
        node += 2 + inner_nodes;
        structural = last + 2;
    }
    Ok(members)
}

/// The structural character that ends the value that `first` begins: its bracket, or itself.
fn last_of_value(first: usize, byte_at: impl Fn(usize) -> u8) -> usize {
    let mut depth = 0;
    let mut at = first;
    loop {
        match byte_at(at) {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
