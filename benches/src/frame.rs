//! Frames and heads: what reading a client's bytes and writing frame headers take.

use std::hint::black_box;

use butaca::wire::frame::{Assembly, Step, close, read_frame, text_header};
use butaca::wire::http::parse_head;

use super::Work;

pub(crate) const WORKS: [&str; 10] = [
    "read_text_of_16",
    "read_text_of_120",
    "read_text_of_1000",
    "read_text_of_4000",
    "read_text_of_65000",
    "read_100_texts_of_120",
    "read_fragments_of_120",
    "read_the_front_of_a_text",
    "read_upgrade",
    "write_headers",
];

const MESSAGE_BYTES_MAX: usize = 64 * 1024;
const UPGRADE: &[u8] =
    b"GET /ws/client-4711?room=hall-1 HTTP/1.1\r\nHost: tickets.example.org\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: https://tickets.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

pub(crate) fn prepare(name: &str) -> Work {
    match name {
        "read_text_of_16" => read(client_frame(0x81, 16)),
        "read_text_of_120" => read(client_frame(0x81, 120)),
        "read_text_of_1000" => read(client_frame(0x81, 1_000)),
        // Not 4,096: there a round took a microsecond more, for a reason that was not found (perhaps the copy in here).
        "read_text_of_4000" => read(client_frame(0x81, 4_000)),
        "read_text_of_65000" => read(client_frame(0x81, 65_000)),
        "read_100_texts_of_120" => read(client_frame(0x81, 120).repeat(100)),
        "read_fragments_of_120" => {
            read([client_frame(0x01, 40), client_frame(0x00, 40), client_frame(0x80, 40)].concat())
        }
        "read_the_front_of_a_text" => read(client_frame(0x81, 120)[..80].to_vec()),
        "read_upgrade" => Box::new(|| {
            black_box(parse_head(black_box(UPGRADE)).is_ok());
        }),
        "write_headers" => {
            let mut out = Vec::with_capacity(256);
            Box::new(move || {
                out.clear();
                text_header(&mut out, 100);
                text_header(&mut out, 1_000);
                close(&mut out, 1000, "bye");
                black_box(out.len());
            })
        }
        _ => panic!("there is no work {name}"),
    }
}

/// A masked frame.
fn client_frame(first: u8, length: usize) -> Vec<u8> {
    let key = [0x11, 0xf2, 0x33, 0x84];
    let mut frame = vec![first];
    match u16::try_from(length) {
        Ok(short @ 0..126) => frame.push(0x80 | u8::try_from(short).expect("below 126")),
        Ok(long) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&long.to_be_bytes());
        }
        Err(_) => panic!("no frame of a benchmark is that long"),
    }
    frame.extend_from_slice(&key);
    frame.extend(key.iter().cycle().take(length).map(|byte| byte ^ b'x'));
    frame
}

fn read(stream: Vec<u8>) -> Work {
    let mut bytes = stream.clone();
    let mut assembly = Assembly::default();
    Box::new(move || {
        // Reading unmasks in place.
        bytes.copy_from_slice(&stream);
        let mut at = 0;
        while let Ok(Step::Frame { used, event }) = read_frame(&mut bytes[at..], &mut assembly, MESSAGE_BYTES_MAX) {
            black_box(&event);
            at += used;
        }
    })
}
