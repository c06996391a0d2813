//! Numbers and texts in a row of bytes, and the checksum of such a row. Never here: what they mean.

/// FNV-1a over the key, each part with its length first, and the body. Against accidents, not against an attacker.
pub(super) fn checksum(room: &str, name: &str, body: &[u8]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let part = |hash: u64, bytes: &[u8]| {
        let hash = bytes.len().to_le_bytes().into_iter().fold(hash, step);
        bytes.iter().copied().fold(hash, step)
    };
    part(part(part(0xcbf2_9ce4_8422_2325, room.as_bytes()), name.as_bytes()), body)
}

/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 8;

/// Appends the checksum of what stands from `start` on.
pub(super) fn seal(room: &str, name: &str, out: &mut Vec<u8>, start: usize) {
    let sum = checksum(room, name, &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// What was sealed, if it is what was sealed.
pub(super) fn unseal<'a>(room: &str, name: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    (u64::from_le_bytes(sum.try_into().ok()?) == checksum(room, name, body)).then_some(body)
}

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a text with its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u32::try_from(text.len()).expect("a text is short").to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a number that may be missing.
pub(super) fn put_option(out: &mut Vec<u8>, number: Option<u64>) {
    out.push(u8::from(number.is_some()));
    put(out, number.unwrap_or(0));
}

/// The next `N` bytes.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*chunk)
}

/// The next number.
pub(super) fn take_number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(rest)?))
}

/// The next byte.
pub(super) fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    Some(take::<1>(rest)?[0])
}

/// The next text.
pub(super) fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let len = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    std::str::from_utf8(rest.split_off(..len)?).ok()
}

/// The next number that may be missing.
pub(super) fn take_option(rest: &mut &[u8]) -> Option<Option<u64>> {
    let (is_there, number) = (take_byte(rest)?, take_number(rest)?);
    Some((is_there != 0).then_some(number))
}
