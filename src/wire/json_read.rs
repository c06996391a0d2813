//! One JSON object, taken apart: its members as text or as what they are instead, and the raw text of one of them.
//!
//! Invariants: what is accepted is JSON (RFC 8259) without lone surrogates and no deeper than [`JSON_DEPTH_MAX`]; of two
//! members with one name the last one counts; a raw text is exactly what the client wrote, numbers included.
//! Never here: the names of messages. This is the only file that names simd-json.
//!
//! simd-json rewrites its input and refuses numbers that no machine word holds, which are good JSON all the same. So the
//! input is copied first, raw texts are found in the copy by the positions that simd-json recorded, and numbers are checked
//! here and made small. A short text is first tried as it is, since hardly any needs that.
//!
//! What a text costs follows from its length, not from what is in it: a long one is scanned once and parsed once, a short
//! one parsed twice at most.
//!
//! A lone surrogate (`"\ud800"`) is refused: it has no UTF-8, and many readers refuse a whole message that has one, so
//! passing it on would let one client keep a room's events from the others (RFC 7493 section 2.1 forbids it as well).

use memchr::memchr2;
use simd_json::{Buffers, Error, ErrorType, Node, Tape};

use crate::limits::{JSON_DEPTH_MAX, JSON_SHORT_BYTES};

/// Why a text is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unreadable {
    /// Not JSON.
    NotJson,
    /// An escape names half of a surrogate pair: JSON to some, but no text (RFC 7493 section 2.1).
    LoneSurrogate,
    /// Nested too deeply.
    TooDeep,
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

/// Buffers that are used again for every text.
pub(super) struct ObjectReader {
    buffers: Buffers,
    tape: Tape<'static>,
    /// The text as it was written.
    raw: Vec<u8>,
    /// A short text with small numbers, when it needed them.
    tame: Vec<u8>,
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
    pub(super) fn new() -> Self {
        let buffers = Buffers::with_max_depth(0, JSON_DEPTH_MAX);
        Self {
            buffers,
            tape: Tape(Vec::new()),
            raw: Vec::new(),
            tame: Vec::new(),
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
            Ok(()) => pick(&tape.0, self.buffers.structural_indexes(), &self.raw, names),
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
/// were; `None` when one is not written as JSON wants it. Whether the rest is JSON is not looked at, and does not change: a
/// number stands alone in good JSON, and two values in a row are none with a space between them either.
fn tame_numbers(text: &mut [u8]) -> Option<usize> {
    let mut tamed = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at + 1),
            b'-' | b'0'..=b'9' => {
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
            _ => at += 1,
        }
    }
    Some(tamed)
}

/// Digits that fit any machine word.
const SMALL_DIGITS: usize = 18;

/// The place behind the string whose content begins at `at`; the end when it does not end.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(offset) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if text[at + offset] == b'"' {
            return at + offset + 1;
        }
        at += offset + 2;
    }
    text.len()
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

/// Walks the top level of a parsed document: nodes and structural characters side by side, since each key, string,
/// number, word and bracket that opens is one node and one position.
fn pick<'a, const N: usize>(
    nodes: &[Node<'a>],
    structurals: &[u32],
    raw: &'a [u8],
    names: [&str; N],
) -> Result<[Member<'a>; N], Unreadable> {
    let Some(Node::Object { len, .. }) = nodes.first() else {
        return Err(Unreadable::NotAnObject);
    };
    let position = |at: usize| structurals[at] as usize;
    let mut members = [Member::Missing; N];
    let mut node = 1;
    let mut structural = 1;
    for _ in 0..*len {
        // A key, a colon, a value, and a comma or the end.
        let first = structural + 2;
        let last = last_of_value(first, |at| raw[position(at)]);
        let (member, inner_nodes) = match nodes[node + 1] {
            Node::String(text) => (Member::Text(text), 0),
            Node::Object { count, .. } => {
                let written = std::str::from_utf8(&raw[position(first)..=position(last)]);
                (Member::Object(written.expect("it was checked, and brackets are whole characters")), count)
            }
            Node::Array { count, .. } => (Member::Other, count),
            Node::Static(_) => (Member::Other, 0),
        };
        if let Node::String(key) = nodes[node]
            && let Some(index) = names.iter().position(|name| *name == key)
        {
            members[index] = member;
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
mod tests {
    use super::{Member, ObjectReader, Unreadable, tame_numbers};
    use crate::limits::JSON_DEPTH_MAX;

    fn read(text: &str) -> Result<[String; 2], Unreadable> {
        let mut reader = ObjectReader::new();
        let mut bytes = text.as_bytes().to_vec();
        let members = reader.read(&mut bytes, ["a", "b"])?;
        Ok(members.map(|member| match member {
            Member::Missing => "-".to_owned(),
            Member::Text(text) => format!("text {text}"),
            Member::Object(raw) => format!("object {raw}"),
            Member::Other => "other".to_owned(),
        }))
    }

    fn check(text: &str, a: &str, b: &str) {
        assert_eq!(read(text), Ok([a.to_owned(), b.to_owned()]), "{text}");
    }

    fn check_refused(text: &str, why: Unreadable) {
        assert_eq!(read(text), Err(why), "{text}");
    }

    #[test]
    fn members_are_found_wherever_they_stand() {
        check("{}", "-", "-");
        check(r#" { "a" : "x" , "b" : { } } "#, "text x", "object { }");
        check(r#"{"z":[1,{"a":"no"},[]],"b":{"a":"no","n":[{}]},"a":""}"#, "text ", r#"object {"a":"no","n":[{}]}"#);
        check(r#"{"b":{"}":"\"}"},"a":"}"}"#, "text }", r#"object {"}":"\"}"}"#);
        check(r#"{"a":null,"b":[{}]}"#, "other", "other");
        check(r#"{"a":1,"b":false,"c":0}"#, "other", "other");
    }

    #[test]
    fn keys_and_texts_are_compared_without_their_escapes() {
        check(r#"{"\u0061":"\u0041\n\"","\u0062":{"\u0061":"\u0041"}}"#, "text A\n\"", r#"object {"\u0061":"\u0041"}"#);
        check(r#"{"a":"\ud83c\udfad"}"#, "text 🎭", "-");
    }

    #[test]
    fn the_last_member_of_a_name_counts() {
        check(r#"{"a":"1","b":{"n":1},"\u0061":2,"b":{"n":3}}"#, "other", r#"object {"n":3}"#);
        check(r#"{"b":{"n":1},"b":"x"}"#, "-", "text x");
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let odd = r#"{"n":[1.0,1e400,-0,12345678901234567890123,1E-5,0.1e+9,-1.5],"s":"1e400 \" -9"}"#;
        check(&format!(r#"{{"a":"x1","b":{odd},"c":-1e999}}"#), "text x1", &format!("object {odd}"));
    }

    #[test]
    fn numbers_become_small_and_nothing_moves() {
        let mut text = br#"{"a1":[1e400,-12.5E+3, true,false,null],"-1\"2":"3\\","e":0}"#.to_vec();
        assert_eq!(tame_numbers(&mut text), Some(2));
        let expected = r#"{"a1":[0    ,0       , true,false,null],"-1\"2":"3\\","e":0}"#;
        assert_eq!(String::from_utf8(text).as_deref(), Ok(expected));
        for text in ["01", "-", "1.", "1.e4", "1e", "1e+", "1-1", "--1", "1.5.5", "-01", "{\"a\":1e4e4}", "0-"] {
            assert_eq!(tame_numbers(&mut text.as_bytes().to_vec()), None, "{text}");
        }
    }

    /// Short and long, what is read and what is refused: a long text is parsed once, a short one twice at most.
    #[test]
    fn no_text_is_parsed_often() {
        let list = |item: &str| format!(r#"{{"type":"x","a":1e400,"b":[{}0]}}"#, format!("{item},").repeat(10_000));
        let long = format!("1.{}e-300", "2".repeat(20_000));
        for (text, parses) in [
            ("{}".to_owned(), 1),
            ("{".to_owned(), 1),
            (r#"{"a":1e400}"#.to_owned(), 2),
            (r#"{"a":1e400"#.to_owned(), 2),
            (r#"{"a":01}"#.to_owned(), 1),
            (list("1e400"), 1),
            (list("1e400,"), 1),
            (list("[]"), 1),
            (list("01"), 0),
            (list(&format!("\"{}\"", "\\".repeat(6))), 1),
            (format!(r#"{{"a":{long},"b":{long}}}"#), 1),
            (format!("{}1e400", "[".repeat(60_000)), 1),
            ("\"".repeat(60_000), 1),
        ] {
            let mut reader = ObjectReader::new();
            reader.read(&mut text.clone().into_bytes(), ["a", "b"]).ok();
            assert_eq!(reader.parses, parses, "{}", &text[..text.len().min(60)]);
        }
    }

    /// What a short text is, it is too when something long stands beside it.
    #[test]
    fn length_changes_nothing() {
        let pad = format!(r#""z":"{}""#, "\\n x".repeat(600));
        for (text, is_json) in [
            (r#"{"a":1e400,PAD}"#, true),
            (r#"{PAD,"a":[-0,1.5E-7,12345678901234567890123,0.0,{"n":-1e999}]}"#, true),
            (r#"{"a":1.,PAD}"#, false),
            (r#"{"a":12"x",PAD}"#, false),
            (r#"{"a":1e5true,PAD}"#, false),
            (r#"{"a":truee5,PAD}"#, false),
            (r#"{"a":1e5 2,PAD}"#, false),
            (r#"{1e5:2,PAD}"#, false),
            (r#"{\"a":1,PAD}"#, false),
            (r#"{"a":"\x",PAD}"#, false),
            (r#"{PAD,"a":"x}"#, false),
        ] {
            let text = text.replace("PAD", &pad);
            assert_eq!(read(&text).is_ok(), is_json, "{text}");
            assert_eq!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), is_json, "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let malformed = r#"|}|{}{}|{} x|{"a":}|{"a" 1}|{"a":1,}|{,}|{'a':1}|{a:1}|{"a":01}|{"a":1.}|{"a":.5}|{"a":+1}
            |{"a":1e}|{"a":-}|{"a":NaN}|{"a":tru}|{"a":truex}|{"a":"\x"}|{"a":"\u12g4"}|{"a":"x}|{"a":[1}|{"a":[1,]}
            |{"b":{"n":1e400,}}|{"a":1/**/}|{"z":1e400 1}|{"z":1e4e4}|{"z":1e400}}|{"b":{"n":1e400|{"b":1-1}|{"b":--1}"#;
        for text in malformed.split('|') {
            check_refused(text, Unreadable::NotJson);
        }
        for text in [
            "\u{feff}{}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\u{1}\"}",
            "{\"b\":{\"n\":\"\t\"}}",
            "{\"b\":1e400,\"a\":\"\0\"}",
        ] {
            check_refused(text, Unreadable::NotJson);
        }
    }

    #[test]
    fn what_is_json_but_no_object_is_refused() {
        for text in ["[]", "[{}]", "1", "\"{}\"", "null", "1e400"] {
            check_refused(text, Unreadable::NotAnObject);
        }
    }

    #[test]
    fn a_lone_surrogate_is_refused_wherever_it_stands() {
        for text in [
            r#"{"b":{"n":"\ud800"}}"#,
            r#"{"b":{"\udc00":1}}"#,
            r#"{"b":{"n":"\ud800\u0041"}}"#,
            r#"{"b":{"n":"\udfad\ud83c"}}"#,
            r#"{"z":"\ud800","n":1e400}"#,
        ] {
            check_refused(text, Unreadable::LoneSurrogate);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!(r#"{{"z":{}1e400{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
        check(&nested(JSON_DEPTH_MAX), "-", "-");
        check_refused(&nested(JSON_DEPTH_MAX + 1), Unreadable::TooDeep);
        check_refused(&"[".repeat(60_000), Unreadable::TooDeep);
        check_refused(&"{\"a\":".repeat(10_000), Unreadable::TooDeep);
    }

    #[test]
    fn a_reader_is_used_again() {
        let mut reader = ObjectReader::new();
        for round in 0..3 {
            let mut text = format!(r#"{{"a":"{round}","b":{{"n":1e40{round}}}}}"#).into_bytes();
            let [a, b] = reader.read(&mut text, ["a", "b"]).expect("it is an object");
            assert_eq!(a, Member::Text(&round.to_string()));
            assert_eq!(b, Member::Object(&format!(r#"{{"n":1e40{round}}}"#)));
            assert!(reader.read(&mut b"{".to_vec(), ["a", "b"]).is_err());
        }
    }

    #[test]
    fn half_a_character_is_called_by_its_name() {
        let lone = [r#"{"a":"\ud83c"}"#, r#"{"a":"Ana \uDF3D"}"#, r#"{"a":"\ud83c\ud83c\udf3d"}"#];
        lone.into_iter().for_each(|text| check_refused(text, Unreadable::LoneSurrogate));
        for other in [r#"{"a":"\ud83c\udfad"#, r#"{"a":"\\ud83c"#, r#"{"a":"\u+83c"}"#, r#"{"a":"\u12"}"#] {
            check_refused(other, Unreadable::NotJson);
        }
    }
}
