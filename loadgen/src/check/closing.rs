//! Closing: each fault has its code, and closing politely is answered.

use super::{Context, Outcome, Step, ensure};
use crate::ws;

pub(super) const STEPS: &[Step] = &[
    ("a close frame is answered with 1000", polite),
    ("a binary message closes with 1003", binary),
    ("an unmasked frame closes with 1002", unmasked),
    ("a reserved bit closes with 1002", reserved),
    ("invalid UTF-8 closes with 1007", not_utf8),
    ("a message beyond the limit closes with 1009", too_big),
    ("a message in fragments with a ping between them is understood", fragments),
];

fn closes(context: &Context<'_>, bytes: &[u8], code: u16) -> Outcome {
    let mut peer = context.connect(&context.name("close"))?;
    peer.send_raw(bytes)?;
    let found = peer.close_code()?;
    ensure(found == code, || format!("expected close code {code}, got {found}"))
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ws::push_frame(&mut bytes, opcode, payload);
    bytes
}

fn polite(context: &Context<'_>) -> Outcome {
    closes(context, &frame(ws::CLOSE, &1_000_u16.to_be_bytes()), 1000)?;
    let mut peer = context.connect(&context.name("close"))?;
    peer.close()?;
    peer.close_code().map(|_| ())
}

fn binary(context: &Context<'_>) -> Outcome {
    closes(context, &frame(2, b"{}"), 1003)
}

fn unmasked(context: &Context<'_>) -> Outcome {
    closes(context, &[0x81, 2, b'{', b'}'], 1002)
}

fn reserved(context: &Context<'_>) -> Outcome {
    let mut bytes = frame(ws::TEXT, b"{}");
    bytes[0] |= 0x40;
    closes(context, &bytes, 1002)
}

fn not_utf8(context: &Context<'_>) -> Outcome {
    closes(context, &frame(ws::TEXT, &[b'"', 0xff, b'"']), 1007)
}

/// Only the head of the frame is sent: its length alone must be enough.
fn too_big(context: &Context<'_>) -> Outcome {
    let mut bytes = vec![0x81, 0x80 | 127];
    bytes.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    bytes.extend_from_slice(&[1, 2, 3, 4]);
    closes(context, &bytes, 1009)
}

fn fragments(context: &Context<'_>) -> Outcome {
    let mut peer = context.connect(&context.name("parts"))?;
    let (mut first, mut last) = (frame(ws::TEXT, b"{\"type\":"), frame(0, b"\"ping\"}"));
    first[0] &= 0x7f;
    first.append(&mut frame(ws::PING, b"between"));
    first.append(&mut last);
    peer.send_raw(&first)?;
    peer.expect("pong").map(|_| ())
}
