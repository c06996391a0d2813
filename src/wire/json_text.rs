//! Pieces of JSON text, appended without allocating anything but the room they take.
//!
//! Never here: the names of fields and messages.

use crate::engine::time::WallMillis;

/// Appends `text` as a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if needs_escape(byte) {
            out.extend_from_slice(&bytes[copied..at]);
            escape(out, byte);
            copied = at + 1;
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a point in time as a JSON string.
pub(super) fn time(out: &mut Vec<u8>, at: WallMillis) {
    out.push(b'"');
    out.extend_from_slice(&at.rfc3339());
    out.push(b'"');
}

/// Appends 16 hexadecimal digits.
pub(super) fn hex(out: &mut Vec<u8>, value: u64) {
    for byte in value.to_be_bytes() {
        out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0x0f)]);
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

/// RFC 8259 section 7: these and nothing else must be escaped.
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0x0f)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{number, string};

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let every_ascii: String = (0..=0x7f).map(char::from).collect();
        for text in ["", "plain", "quote\" and \\", "\u{0}\u{1f}\n\r\t", "κόσμε 🎭 \u{2028}", &every_ascii] {
            let mut out = b"before".to_vec();
            string(&mut out, text);
            let read: String = serde_json::from_slice(&out[6..]).expect("it is JSON");
            assert_eq!(read, text);
        }
    }

    #[test]
    fn numbers_are_decimal() {
        let mut out = Vec::new();
        number(&mut out, 0);
        out.push(b' ');
        number(&mut out, u64::MAX);
        assert_eq!(out, b"0 18446744073709551615");
    }
}
