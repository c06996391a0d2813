//! Every close code that a client can bring about, and the frames that must not close anything.

use crate::harness::client::{frame, text_frame};
use crate::harness::{Client, Got, Server, check};

#[test]
fn the_close_handshake() {
    check(
        &[],
        &[
            ("1000 is answered with 1000", "a* 88 82 00000000 03e8\n a! 1000"),
            ("without a code: 1000", "a* 88 80 00000000\n a! 1000"),
            ("4321 is the client's own", "a* 88 84 00000000 10e1 6f6b\n a! 4321"),
            ("1001 of a browser that goes", "a* 88 82 00000000 03e9\n a! 1001"),
            (
                "what was asked before is answered before",
                r#"
                a> {"type":"ping"}
                a* 88 82 00000000 03e8
                a< {"type":"pong"}
                a! 1000
                "#,
            ),
        ],
    );
}

#[test]
fn protocol_errors_are_1002() {
    check(
        &[],
        &[
            ("an unmasked frame", "a* 81 02 7b7d\n a! 1002"),
            ("an unmasked ping", "a* 89 00\n a! 1002"),
            ("a reserved bit", "a* c1 80 00000000\n a! 1002"),
            ("another reserved bit", "a* 91 80 00000000\n a! 1002"),
            ("a reserved data opcode", "a* 83 80 00000000\n a! 1002"),
            ("a reserved control opcode", "a* 8b 80 00000000\n a! 1002"),
            ("a continuation of nothing", "a* 80 81 00000000 61\n a! 1002"),
            ("a message inside a fragmented one", "a* 01 81 00000000 61 81 81 00000000 62\n a! 1002"),
            ("a fragmented ping", "a* 09 81 00000000 61\n a! 1002"),
            ("a ping of 126 bytes", "a* 89 fe 007e\n a! 1002"),
            ("half a close code", "a* 88 81 00000000 03\n a! 1002"),
            ("a close code that may not be sent", "a* 88 82 00000000 03ed\n a! 1002"),
            ("a close code below 1000", "a* 88 82 00000000 03e7\n a! 1002"),
        ],
    );
}

#[test]
fn messages_that_are_not_taken() {
    check(
        &[("MAX_MESSAGE_BYTES", "1024"), ("MAX_USER_INFO_BYTES", "512")],
        &[
            ("1003: binary", "a* 82 81 00000000 61\n a! 1003"),
            ("1003: binary in fragments", "a* 02 81 00000000 61 80 81 00000000 61\n a! 1003"),
            ("1007: a byte that is never in UTF-8", "a* 81 83 00000000 61ff61\n a! 1007"),
            ("1007: a character that ends with its message", "a* 81 82 00000000 61c3\n a! 1007"),
            ("1007: across fragments", "a* 01 82 00000000 61e2 00 81 00000000 28\n a! 1007"),
            ("1007: a surrogate, before its frame is whole", "a* 81 fe 0100 00000000 6161eda080\n a! 1007"),
            ("1007: in the reason of a close", "a* 88 83 00000000 03e8 ff\n a! 1007"),
            ("1009: too long, seen from the header", "a* 81 fe 0401 00000000\n a! 1009"),
            ("1009: as long as a length can be", "a* 81 ff 7fffffffffffffff 00000000\n a! 1009"),
            ("1009: in fragments", "a* 01 fe 0400 00000000\n a* 20202020\n a."),
        ],
    );
}

/// A message at the limit is taken, whole or in fragments; one byte more is not.
#[test]
fn the_message_limit_is_exact() {
    let server = Server::start(&[("MAX_MESSAGE_BYTES", "2048"), ("MAX_USER_INFO_BYTES", "512")]);
    let ping = |len: usize| format!(r#"{{"type":"ping"{}}}"#, " ".repeat(len - r#"{"type":"ping"}"#.len()));
    let mut client = Client::connect(&server, "a");
    client.send(&ping(2_048));
    assert_eq!(client.json()["type"], "pong");
    let whole = ping(2_048);
    let (first, rest) = whole.as_bytes().split_at(1_000);
    client.write(&frame(0x01, first));
    client.write(&frame(0x89, b"between"));
    client.write(&frame(0x80, rest));
    assert_eq!(client.got(), Got::Pong(b"between".to_vec()));
    assert_eq!(client.json()["type"], "pong");
    let mut other = Client::connect(&server, "b");
    other.send(&ping(2_049));
    other.expect_close(1009);
    client.write(&frame(0x01, first));
    client.write(&frame(0x80, &[b' '; 1_049]));
    client.expect_close(1009);
}

/// 4,096 fragments are a message, one more is too many.
#[test]
fn fragments_are_counted() {
    let server = Server::start(&[]);
    let message = r#"{"type":"ping"}"#;
    let in_fragments = |count: usize| -> Vec<u8> {
        let mut bytes = frame(0x01, message.as_bytes());
        (2..count).for_each(|_| bytes.extend(frame(0x00, b"")));
        bytes.extend(frame(0x80, b" "));
        bytes
    };
    let mut client = Client::connect(&server, "a");
    client.write(&in_fragments(4_096));
    assert_eq!(client.json()["type"], "pong");
    client.write(&in_fragments(4_097));
    client.expect_close(1009);
}

#[test]
fn frames_that_change_nothing() {
    check(
        &[],
        &[
            ("a ping is answered with its payload", "a* 89 83 00000000 616263\n a^ 616263"),
            ("an empty ping", "a* 89 80 00000000\n a^"),
            ("a pong that nobody asked for", "a* 8a 81 00000000 61\n a> {\"type\":\"ping\"}\n a< {\"type\":\"pong\"}"),
            (
                "a fragmented request, a ping within, a character cut in two",
                "a* 01 8c 00000000 7b2274797065223a2270696e\n a* 89 81 00000000 70\n a^ 70\n a* 00 87 00000000 67222c2278223a\n \
                 a* 00 82 00000000 22c3\n a* 80 83 00000000 a9227d\n a< {\"type\":\"pong\"}",
            ),
            (
                "an empty fragment",
                "a* 01 80 00000000 80 8f 00000000 7b2274797065223a2270696e67227d\n a< {\"type\":\"pong\"}",
            ),
        ],
    );
}

/// After a close frame nothing that follows counts: its seat is not taken.
#[test]
fn nothing_counts_after_a_close() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let mut client = Client::connect(&server, "a");
        let close = frame(0x88, &1000_u16.to_be_bytes());
        let select = text_frame(&crate::harness::client::select("r", "A1"));
        client.write(&[close, select].concat());
        client.expect_close(1000);
        assert_eq!(server.get("/room/r/selections").json()["count"], 0);
    }
}
