//! Reads what a check needs from a message without building a JSON tree: one pass over the top level of the object.
//!
//! Invariant: a nested value is skipped whole, so nothing inside `user_info` can be taken for a field of the message.
//! Never here: judgement; what is not understood is told as [`Kind::Unknown`] or [`Kind::Broken`].

use memchr::memchr2;

/// The `type` of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// `seat_selected`
    Selected,
    /// `seat_released`
    Released,
    /// `room_joined`
    Joined,
    /// `room_left`
    Left,
    /// `current_selections`
    FullState,
    /// `error`
    Refused,
    /// `pong`
    Pong,
    /// A type that v1 does not know.
    Unknown,
    /// Not a JSON object with a string `type`.
    #[default]
    Broken,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"seat_selected" => Self::Selected,
            b"seat_released" => Self::Released,
            b"room_joined" => Self::Joined,
            b"room_left" => Self::Left,
            b"current_selections" => Self::FullState,
            b"error" => Self::Refused,
            b"pong" => Self::Pong,
            _ => Self::Unknown,
        }
    }
}

/// The fields of a message; what is missing is empty. Strings are without quotes and as written (escapes are kept).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: Kind,
    /// `seq`
    pub seq: Option<u64>,
    /// `epoch`
    pub epoch: &'a [u8],
    /// `room_id`
    pub room: &'a [u8],
    /// `seat_id`
    pub seat: &'a [u8],
    /// `client_id`
    pub client: &'a [u8],
    /// `reason`
    pub reason: &'a [u8],
    /// `code`
    pub code: &'a [u8],
    /// `request_type`
    pub request: &'a [u8],
    /// `expires_at`
    pub expires_at: &'a [u8],
    /// `user_info`, raw
    pub user_info: &'a [u8],
    /// `selections`, raw
    pub selections: &'a [u8],
}

/// Reads a message.
#[must_use]
pub fn message(bytes: &[u8]) -> Message<'_> {
    let mut found = Message::default();
    let mut fields = Fields::new(bytes);
    for (key, value) in fields.by_ref() {
        match key {
            b"type" => found.kind = Kind::of(text(value)),
            b"seq" => found.seq = number(value),
            b"epoch" => found.epoch = text(value),
            b"room_id" => found.room = text(value),
            b"seat_id" => found.seat = text(value),
            b"client_id" => found.client = text(value),
            b"reason" => found.reason = text(value),
            b"code" => found.code = text(value),
            b"request_type" => found.request = text(value),
            b"expires_at" => found.expires_at = text(value),
            b"user_info" => found.user_info = value,
            b"selections" => found.selections = value,
            _ => {}
        }
    }
    if !fields.whole {
        found.kind = Kind::Broken;
    }
    found
}

/// The objects of an array such as `selections`, each raw.
pub fn objects(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = array.strip_prefix(b"[").unwrap_or_default();
    std::iter::from_fn(move || {
        rest = skip_space(rest);
        let length = value_length(rest).filter(|_| rest.first() == Some(&b'{'))?;
        let (object, behind) = rest.split_at(length);
        rest = skip_space(behind);
        rest = rest.strip_prefix(b",").unwrap_or(rest);
        Some(object)
    })
}

/// Stands before the 16 hex digits of a command's due time, inside `user_info`.
pub const STAMP: &[u8] = b"@@";

/// The due time that travels in `user_info`.
#[must_use]
pub fn stamp(user_info: &[u8]) -> Option<u64> {
    let start = memchr::memmem::find(user_info, STAMP)? + STAMP.len();
    let digits = user_info.get(start..start + 16)?;
    let mut value = 0;
    for digit in digits {
        value = value << 4 | u64::from(char::from(*digit).to_digit(16)?);
    }
    Some(value)
}

/// The pairs of an object's top level.
struct Fields<'a> {
    rest: &'a [u8],
    /// Set when the object ended as it should.
    whole: bool,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let bytes = skip_space(bytes);
        match bytes.strip_prefix(b"{") {
            Some(rest) => Self { rest: skip_space(rest), whole: skip_space(rest).first() == Some(&b'}') },
            None => Self { rest: &[], whole: false },
        }
    }

    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let key_length = string_length(self.rest)?;
        let (key, rest) = self.rest.split_at(key_length);
        let rest = skip_space(skip_space(rest).strip_prefix(b":")?);
        let (value, rest) = rest.split_at(value_length(rest)?);
        let rest = skip_space(rest);
        self.rest = match rest.first()? {
            b',' => skip_space(&rest[1..]),
            b'}' => {
                self.whole = true;
                &[]
            }
            _ => return None,
        };
        Some((text(key), value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() { None } else { self.pair() }
    }
}

#[inline]
fn skip_space(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    &bytes[length..]
}

/// The length of the string at the front, with its quotes.
#[inline]
fn string_length(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The length of the value at the front, whatever it is.
#[inline]
fn value_length(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => string_length(bytes),
        b'{' | b'[' => nested_length(bytes),
        _ => {
            let length = bytes
                .iter()
                .take_while(|byte| !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace())
                .count();
            (length > 0).then_some(length)
        }
    }
}

fn nested_length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += string_length(&bytes[at..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[inline]
fn text(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or_default()
}

/// A decimal number; `None` for anything else.
#[must_use]
pub fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, message, objects, stamp};

    #[test]
    fn fields_are_found_in_any_order() {
        let text = br#" {"user_info":{"seq":9,"type":"error","a":["}",{"x":"\"]"}],"t":"@@00000000000000ff"} ,
            "room_id" : "r\"1", "seq":12,"type":"seat_selected","seat_id":"1-2-3","client_id":"c"}"#;
        let found = message(text);
        assert_eq!((found.kind, found.seq), (Kind::Selected, Some(12)));
        assert_eq!((found.room, found.seat, found.client), (&b"r\\\"1"[..], &b"1-2-3"[..], &b"c"[..]));
        assert_eq!(stamp(found.user_info), Some(255));
    }

    #[test]
    fn lists_come_apart() {
        let text = br#"{"type":"current_selections","selections":[{"seat_id":"a"}, {"seat_id":"b","user_info":{"x":[1,2]}}],"seq":3}"#;
        let found = message(text);
        let seats: Vec<_> = objects(found.selections).map(|object| message(object).seat).collect();
        assert_eq!(seats, [b"a", b"b"]);
        assert_eq!(objects(b"[]").count(), 0);
    }

    #[test]
    fn what_is_not_an_object_is_broken() {
        for wrong in
            [&b""[..], b"[]", b"{", b"{\"type\":\"pong\"", b"{\"type\"}", b"nonsense", b"{\"type\":\"pong\" 1}"]
        {
            assert_eq!(message(wrong).kind, Kind::Broken, "{}", String::from_utf8_lossy(wrong));
        }
        assert_eq!(message(b"{\"type\":\"confetti\"}").kind, Kind::Unknown);
        assert_eq!(message(b"{}").kind, Kind::Broken);
    }
}
