//! UTF-8 of texts that come in pieces: a text that cannot become valid is recognised at the byte that spoils it.
//!
//! Never here: frames, and what happens to an invalid text.

use super::mask::apply_mask;
use crate::limits::UTF8_WINDOW_BYTES;

/// The text cannot become valid UTF-8, whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InvalidText;

/// How many bytes at the front of `text` are whole characters. What follows them, at most 3 bytes, is the beginning of
/// one.
pub(super) fn whole_characters(text: &[u8]) -> Result<usize, InvalidText> {
    match std::str::from_utf8(text) {
        Ok(_) => Ok(text.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(InvalidText),
    }
}

/// Goes on checking the masked front of a frame of which `checked` bytes are known to end with a whole character.
/// `before` is the beginning of a character at the end of the message so far. Returns the new `checked`.
///
/// The bytes stay as they are: the caller of the frame reader keeps them and brings them again with more.
pub(super) fn check_masked_front(
    before: &[u8],
    front: &[u8],
    key: [u8; 4],
    mut checked: usize,
) -> Result<usize, InvalidText> {
    let mut window = [0_u8; UTF8_WINDOW_BYTES];
    loop {
        // Once a character is whole, what was before is part of it.
        let before = if checked == 0 { before } else { &[] };
        let taken = (front.len() - checked).min(UTF8_WINDOW_BYTES - before.len());
        let (head, text) = window.split_at_mut(before.len());
        head.copy_from_slice(before);
        let text = &mut text[..taken];
        text.copy_from_slice(&front[checked..checked + taken]);
        apply_mask(text, std::array::from_fn(|i| key[(checked + i) % 4]));
        let whole = whole_characters(&window[..before.len() + taken])?;
        if whole == 0 {
            return Ok(checked);
        }
        checked += whole - before.len();
        if checked == front.len() {
            return Ok(checked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidText, UTF8_WINDOW_BYTES, check_masked_front, whole_characters};
    use crate::wire::mask::apply_mask;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    fn check_front(before: &[u8], front: &[u8], checked: usize) -> Result<usize, InvalidText> {
        let mut masked = front.to_vec();
        apply_mask(&mut masked, KEY);
        check_masked_front(before, &masked, KEY, checked)
    }

    #[test]
    fn a_spoilt_character_is_found_with_its_first_wrong_byte() {
        let check = |text: &[u8], expected| assert_eq!(whole_characters(text), expected, "{text:x?}");
        check(b"", Ok(0));
        check("κό".as_bytes(), Ok(4));
        check(b"a\xf4\x8f\xbf", Ok(1));
        check(b"a\xf4\x90", Err(InvalidText));
        check(b"a\xed\xa0", Err(InvalidText));
        check(b"a\xc0", Err(InvalidText));
        check(b"a\xf5", Err(InvalidText));
        check(b"a\x80", Err(InvalidText));
    }

    #[test]
    fn a_front_is_checked_to_its_last_whole_character() {
        assert_eq!(check_front(b"", b"", 0), Ok(0));
        assert_eq!(check_front(b"", "aκ".as_bytes(), 0), Ok(3));
        assert_eq!(check_front(b"", b"a\xf4\x8f", 0), Ok(1));
        assert_eq!(check_front(b"", b"a\xf4\x8f\xbf\xbfb", 1), Ok(6));
        assert_eq!(check_front(b"\xf4\x8f", b"\xbf", 0), Ok(0));
        assert_eq!(check_front(b"\xf4\x8f", b"\xbf\xbfb", 0), Ok(3));
        assert_eq!(check_front(b"\xf4", b"\x90", 0), Err(InvalidText));
    }

    #[test]
    fn a_front_longer_than_the_window_is_checked_in_turns() {
        let long = "€".repeat(UTF8_WINDOW_BYTES);
        assert_eq!(check_front(b"", long.as_bytes(), 0), Ok(long.len()));
        assert_eq!(check_front(b"\xe2\x82", &long.as_bytes()[2..], 0), Ok(long.len() - 2));
        let mut spoilt = long.into_bytes();
        *spoilt.last_mut().expect("it is long") = b'x';
        assert_eq!(check_front(b"", &spoilt, 0), Err(InvalidText));
    }
}
