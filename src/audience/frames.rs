//! Where frames begin and end among bytes that we have written ourselves (RFC 6455 section 5.2): whole, unmasked frames.
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

/// Length of the unmasked frame that `bytes` begin with, header included.
fn frame_len(bytes: &[u8]) -> usize {
    match bytes[1] & 0x7f {
        126 => 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
        127 => {
            let long = u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes"));
            10 + usize::try_from(long).expect("our own frames fit memory")
        }
        short => 2 + usize::from(short),
    }
}
