//! Readers for the answers of Redis. A reader returns nothing when the answer is not what was asked for.

use ::redis::Value;

/// A text.
pub(super) fn text(value: Value) -> Option<String> {
    if let Value::BulkString(bytes) = value {
        String::from_utf8(bytes).ok()
    } else if let Value::SimpleString(text) = value {
        Some(text)
    } else {
        matches!(value, Value::Okay).then(|| "OK".into())
    }
}

/// A number from 0 on.
pub(super) fn number(value: &Value) -> Option<u64> {
    if let Value::Int(number) = value { u64::try_from(*number).ok() } else { None }
}

/// A list.
pub(super) fn array(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(values) = value { Some(values) } else { None }
}

/// The fields of a hash: pairs, or a flat list in the older protocol.
pub(super) fn pairs(value: Value) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    if let Value::Map(pairs) = value {
        return pairs.into_iter().map(|(key, value)| Some((bytes(key)?, bytes(value)?))).collect();
    }
    let mut flat = array(value)?.into_iter();
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    while let Some(key) = flat.next() {
        pairs.push((bytes(key)?, bytes(flat.next()?)?));
    }
    Some(pairs)
}

/// Bytes.
pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}

/// An entry of a stream: the first half of its id, and the value of its one field.
pub(super) fn event(value: Value) -> Option<(u64, Vec<u8>)> {
    let mut entry = array(value)?.into_iter();
    let id = text(entry.next()?)?;
    let place = id.split_once('-')?.0.parse().ok()?;
    let (_, event) = pairs(entry.next()?)?.into_iter().next()?;
    Some((place, event))
}
