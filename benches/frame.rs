//! What reading a client's frames, a request head and writing frames cost: `cargo bench --bench frame`.

use butaca::wire::frame::{Assembly, Step, close, read_frame, text_header};
use butaca::wire::http::parse_head;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

const MESSAGE_BYTES_MAX: usize = 64 * 1024;
const UPGRADE: &[u8] =
    b"GET /ws/client-4711?room=hall-1 HTTP/1.1\r\nHost: tickets.example.org\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: https://tickets.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

fn main() {
    divan::main();
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

fn read_all(bytes: &mut [u8], assembly: &mut Assembly) -> usize {
    let (mut at, mut frames) = (0, 0);
    while let Ok(Step::Frame { used, event }) = read_frame(&mut bytes[at..], assembly, MESSAGE_BYTES_MAX) {
        black_box(&event);
        at += used;
        frames += 1;
    }
    frames
}

fn bench_read(bencher: Bencher<'_, '_>, stream: &[u8]) {
    let mut bytes = stream.to_vec();
    let mut assembly = Assembly::default();
    bencher.counter(BytesCount::new(stream.len())).bench_local(|| {
        // Reading unmasks in place.
        bytes.copy_from_slice(stream);
        black_box(read_all(&mut bytes, &mut assembly))
    });
}

// No length at 4,096: there a round took a microsecond more, for a reason that was not found (perhaps the bench's own copy).
#[divan::bench(args = [16, 120, 1_000, 4_000, 65_000])]
fn read_text(bencher: Bencher<'_, '_>, length: usize) {
    bench_read(bencher, &client_frame(0x81, length));
}

#[divan::bench]
fn read_100_texts_of_120_bytes(bencher: Bencher<'_, '_>) {
    bench_read(bencher, &client_frame(0x81, 120).repeat(100));
}

#[divan::bench]
fn read_fragments_of_120_bytes(bencher: Bencher<'_, '_>) {
    bench_read(bencher, &[client_frame(0x01, 40), client_frame(0x00, 40), client_frame(0x80, 40)].concat());
}

#[divan::bench]
fn read_the_front_of_a_text(bencher: Bencher<'_, '_>) {
    let mut bytes = client_frame(0x81, 120);
    bytes.truncate(80);
    bencher.bench_local(|| black_box(read_all(&mut bytes, &mut Assembly::default())));
}

#[divan::bench]
fn read_upgrade(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| black_box(parse_head(black_box(UPGRADE)).is_ok()));
}

#[divan::bench]
fn write_headers(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(256);
    bencher.bench_local(|| {
        out.clear();
        text_header(&mut out, 100);
        text_header(&mut out, 1_000);
        close(&mut out, 1000, "bye");
        black_box(out.len())
    });
}
