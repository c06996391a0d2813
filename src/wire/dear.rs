//! How dear a text is to read, by its signs: commas, colons, quotation marks, brackets that open, and backslashes.
//! Reading JSON costs by these and hardly by its length, since a long string is passed over at once.
//!
//! Invariants: a text is counted in one pass that costs the same whatever is in it; each sign inside of a string counts
//! as well, but only its backslashes and its own two marks make a text one that has too many. Never here: who pays.

use memchr::{memchr_iter, memchr2};

use crate::limits::JSON_SIGNS_PER_TOKEN;

/// Bytes counted at a time: as many as a byte can count.
const CHUNK: usize = 255;

fn is_sign(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b'"' | b'{' | b'[' | b'\\')
}

/// Signs anywhere in a text. The inner loop counts in bytes, so that it becomes a few wide instructions.
fn signs(text: &[u8]) -> usize {
    let of_chunk = |chunk: &[u8]| chunk.iter().fold(0_u8, |count, &byte| count.wrapping_add(u8::from(is_sign(byte))));
    text.chunks(CHUNK).map(|chunk| usize::from(of_chunk(chunk))).sum()
}

/// Messages that this text counts as beyond itself.
#[must_use]
pub fn more_than_one(text: &[u8]) -> u32 {
    // Nearly all are shorter than they would have to be.
    if text.len() < JSON_SIGNS_PER_TOKEN {
        return 0;
    }
    u32::try_from(signs(text) / JSON_SIGNS_PER_TOKEN).unwrap_or(u32::MAX)
}

/// Whether a text has more signs than this, those in strings aside. Of one that has, no more is looked at than shows
/// it.
pub(super) fn has_too_many(text: &[u8], max: usize) -> bool {
    if text.len() <= max || signs(text) <= max {
        return false;
    }
    let (mut count, mut at) = (0, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == b'"' {
            let end = end_of_string(text, at);
            count += 2 + memchr_iter(b'\\', &text[at..end]).count();
            at = end;
        } else {
            count += usize::from(is_sign(byte));
        }
        if count > max {
            return true;
        }
    }
    false
}

/// The place behind the string whose content begins at `at`; the end when it does not end.
pub(super) fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(offset) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if text[at + offset] == b'"' {
            return at + offset + 1;
        }
        at += offset + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{has_too_many, is_sign, more_than_one, signs};
    use crate::limits::JSON_SIGNS_PER_TOKEN;

    #[test]
    fn strings_are_passed_over() {
        let check =
            |text: &str, max, expected| assert_eq!(has_too_many(text.as_bytes(), max), expected, "{text} {max}");
        check("[1,2,3]", 3, false);
        check("[1,2,3]", 2, true);
        check(r#"{"a":",,,,,,"}"#, 6, false);
        check(r#"{"a":",,,,,,"}"#, 5, true);
        check(r#"["\n\"\\,",1]"#, 8, false);
        check(r#"["\n\"\\,",1]"#, 7, true);
        check(r#"[","#, 3, false);
        check("", 0, false);
    }

    #[test]
    fn what_is_short_counts_as_itself() {
        assert_eq!(more_than_one(",".repeat(JSON_SIGNS_PER_TOKEN - 1).as_bytes()), 0);
        assert_eq!(more_than_one(",".repeat(JSON_SIGNS_PER_TOKEN).as_bytes()), 1);
        assert_eq!(more_than_one("y".repeat(1 << 16).as_bytes()), 0);
        assert_eq!(more_than_one(",".repeat(10 * JSON_SIGNS_PER_TOKEN).as_bytes()), 10);
    }

    proptest! {
        #[test]
        fn each_is_counted_once(text in proptest::collection::vec(prop_oneof![Just(b','), Just(b'\\'), any::<u8>()], 0..2_000)) {
            prop_assert_eq!(signs(&text), text.iter().filter(|&&byte| is_sign(byte)).count());
        }
    }
}
