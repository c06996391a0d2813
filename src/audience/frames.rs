//! Where frames begin and end in bytes that this server has written itself (RFC 6455 section 5.2): whole, unmasked
//! frames.
//!
//! Never here: what a frame says.

use std::ops::Range;

/// Where in `frames` the frame lies of which a part, but not all, is among the first `sent` bytes; an empty range when
/// there is none.
#[must_use]
pub fn begun_frame(frames: &[u8], sent: usize) -> Range<usize> {
    let mut start = 0;
    while start < sent && start < frames.len() {
        let end = start + frame_len(&frames[start..]);
        if sent < end {
            return start..end;
        }
        start = end;
    }
    0..0
}

/// How many frames `frames` holds, all of them whole.
#[must_use]
pub fn count_frames(frames: &[u8]) -> usize {
    let (mut start, mut count) = (0, 0);
    while start < frames.len() {
        start += frame_len(&frames[start..]);
        count += 1;
    }
    count
}

/// Length of the unmasked frame that `bytes` begin with, header included; at least 1 and never beyond their end. Bytes
/// that are no frames, such as an HTTP answer in an outbox, have lengths too: which ones does not matter, as long as
/// they are within the bytes.
fn frame_len(bytes: &[u8]) -> usize {
    let len = match (bytes.get(1).map(|byte| byte & 0x7f), bytes) {
        (Some(126), [_, _, high, low, ..]) => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        (Some(127), [_, _, a, b, c, d, e, f, g, h, ..]) => {
            usize::try_from(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
                .unwrap_or(usize::MAX)
                .saturating_add(10)
        }
        (Some(short @ 0..126), _) => 2 + usize::from(short),
        (Some(_) | None, _) => bytes.len(),
    };
    len.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::{begun_frame, count_frames};

    /// The rest of an answer over HTTP may be looked at like frames when its connection is slow or ends.
    #[test]
    fn what_is_no_frame_never_leads_beyond_its_end() {
        let texts: [&[u8]; 6] =
            [b"~", b"a~", b"HTTP/1.1 200 OK\r\n\r\n{\"~\":\"\x7f\"}~", b"x\x7f~~~~~~~~~~", b"x~~~", b"x\x7f1234567"];
        for text in texts {
            for len in 0..=text.len() {
                assert!(count_frames(&text[..len]) <= len);
                for sent in 0..=len {
                    let begun = begun_frame(&text[..len], sent);
                    assert!(
                        begun.end <= len && (begun.is_empty() || begun.contains(&sent)),
                        "{sent} of {len}: {begun:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn lengths_of_all_three_forms_are_read() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let mut frame = vec![0x81];
            match len {
                0..126 => frame.push(u8::try_from(len).expect("short")),
                126..65_536 => {
                    frame.extend([&[126][..], &u16::try_from(len).expect("two bytes").to_be_bytes()].concat())
                }
                _ => frame.extend([&[127][..], &(len as u64).to_be_bytes()].concat()),
            }
            frame.resize(frame.len() + len, b'x');
            let frames = [&frame[..], b"\x81\x01y"].concat();
            assert_eq!(count_frames(&frames), 2);
            assert_eq!(begun_frame(&frames, 1), 0..frame.len());
        }
    }
}
