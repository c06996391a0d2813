//! Frames of clients: the rules as data, the same events however the bytes are cut, and tungstenite as a second
//! opinion.

use std::io::{self, Read, Write};

use butaca::limits::FRAGMENTS_MAX;
use butaca::wire::frame::{self, Assembly, Event, Step, Violation, read_frame};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use tungstenite::Message;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

const MAX: usize = 1_000;

/// An [`Event`] that outlives its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Part,
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(std::str::from_utf8(text).expect("texts are valid").to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong => Self::Pong,
            Event::Close(code) => Self::Close(code),
            Event::Part => Self::Part,
        }
    }
}

/// What comes of the bytes when they arrive in pieces that end at `cuts`: events, then a violation if there is one, and
/// how many bytes had come by then.
fn events(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> (Vec<Seen>, Option<Violation>, usize) {
    let (mut seen, mut waiting, mut assembly, mut from) = (Vec::new(), Vec::new(), Assembly::default(), 0);
    for to in cuts.chain([bytes.len()]) {
        waiting.extend_from_slice(&bytes[from.min(to)..to]);
        from = from.max(to);
        loop {
            let before = waiting.clone();
            match read_frame(&mut waiting, &mut assembly, MAX) {
                Ok(Step::Frame { used, event }) => {
                    seen.push(event.into());
                    waiting.drain(..used);
                }
                Ok(Step::Incomplete) => {
                    assert_eq!(waiting, before, "bytes of a frame that is not whole stay as they are");
                    break;
                }
                Err(violation) => return (seen, Some(violation), from),
            }
        }
    }
    (seen, None, from)
}

/// A frame as a client sends it, written by tungstenite. `first` is the first byte: bits and opcode.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0x11, 0xf2, 0x33, 0x84];
    let header = FrameHeader { opcode: OpCode::from(first & 0x0f), mask: Some(key), ..FrameHeader::default() };
    let mut frame = Vec::new();
    header.format(payload.len() as u64, &mut frame).expect("a Vec has room");
    frame[0] = first;
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn check(frames: &[(u8, &[u8])], expected: &[Seen], violation: Option<u16>) {
    let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| client_frame(*first, payload)).collect();
    let whole = events(&bytes, std::iter::empty());
    assert_eq!((whole.0.as_slice(), whole.1.map(|found| found.code)), (expected, violation), "{frames:x?}");
    let by_byte = events(&bytes, 0..bytes.len());
    assert_eq!((&by_byte.0, by_byte.1), (&whole.0, whole.1), "{frames:x?} byte by byte");
}

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

#[test]
fn whole_messages() {
    check(&[(TEXT, b""), (TEXT, "κόσμε".as_bytes())], &[text(""), text("κόσμε")], None);
    check(&[(0x82, b"\xff\x00")], &[Seen::Binary(vec![0xff, 0])], None);
    check(&[(PING, b"a"), (0x8a, b"b"), (PING, b"")], &[Seen::Ping(b"a".into()), Seen::Pong, Seen::Ping(vec![])], None);
    let long = "x".repeat(MAX);
    check(&[(TEXT, long.as_bytes())], &[text(&long)], None);
    check(&[(PING, &[7; 125])], &[Seen::Ping(vec![7; 125])], None);
}

#[test]
fn fragments() {
    let (a, b) = "κόσμε".as_bytes().split_at(3);
    check(
        &[(0x01, a), (PING, b"p"), (0x00, b""), (0x80, b)],
        &[Seen::Part, Seen::Ping(b"p".into()), Seen::Part, text("κόσμε")],
        None,
    );
    check(
        &[(0x02, b"\xff"), (0x80, b"\xfe"), (TEXT, b"t")],
        &[Seen::Part, Seen::Binary(vec![0xff, 0xfe]), text("t")],
        None,
    );
    check(&[(0x01, b""), (0x80, b"")], &[Seen::Part, text("")], None);
    let half = "x".repeat(MAX / 2);
    check(&[(0x01, half.as_bytes()), (0x80, half.as_bytes())], &[Seen::Part, text(&half.repeat(2))], None);
}

#[test]
fn violations_of_the_protocol() {
    for first in [0xc1, 0xa1, 0x91, 0xf1, 0xc9] {
        check(&[(first, b"")], &[], Some(1002));
    }
    for reserved in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(&[(0x80 | reserved, b"")], &[], Some(1002));
    }
    for fragmented_control in [0x08, 0x09, 0x0a] {
        check(&[(fragmented_control, b"")], &[], Some(1002));
    }
    for control in [0x88, 0x89, 0x8a] {
        check(&[(control, &[0; 126])], &[], Some(1002));
    }
    check(&[(0x80, b"x")], &[], Some(1002));
    check(&[(0x00, b"x")], &[], Some(1002));
    check(&[(TEXT, b"x"), (0x80, b"x")], &[text("x")], Some(1002));
    check(&[(0x01, b"x"), (TEXT, b"x")], &[Seen::Part], Some(1002));
    check(&[(0x02, b"x"), (0x01, b"x")], &[Seen::Part], Some(1002));
    check(&[(0x01, b"x"), (0x80, b"y"), (0x80, b"z")], &[Seen::Part, text("xy")], Some(1002));
}

#[test]
fn texts_that_are_not_utf8() {
    for wrong in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xce", b"abc\xf0\x9f\x8e"] {
        check(&[(TEXT, wrong)], &[], Some(1007));
        check(&[(0x01, b"ok"), (0x80, wrong)], &[Seen::Part], Some(1007));
    }
    check(&[(0x01, b"ok\xf0\x9f"), (0x80, b"no")], &[Seen::Part], Some(1007));
    check(&[(0x01, b"\xff"), (0x80, b"no")], &[], Some(1007));
    check(&[(0x01, b"\xf4"), (0x00, b"\x90"), (0x80, b"\x80\x80")], &[Seen::Part], Some(1007));
}

#[test]
fn limits() {
    check(&[(TEXT, &[b'x'; MAX + 1])], &[], Some(1009));
    check(&[(0x82, &[b'x'; MAX + 1])], &[], Some(1009));
    check(&[(0x01, &[b'x'; MAX]), (0x80, b"x")], &[Seen::Part], Some(1009));
    check(
        &[(0x01, &[b'x'; MAX]), (PING, b"p"), (0x80, b"")],
        &[Seen::Part, Seen::Ping(b"p".into()), text(&"x".repeat(MAX))],
        None,
    );
    let mut frames = vec![(0x01, &b""[..])];
    frames.resize(FRAGMENTS_MAX - 1, (0x00, b""));
    let parts = vec![Seen::Part; FRAGMENTS_MAX - 1];
    frames.push((0x80, b"x"));
    check(&frames, &[parts.clone(), vec![text("x")]].concat(), None);
    frames[FRAGMENTS_MAX - 1] = (0x00, b"x");
    frames.push((0x80, b"x"));
    check(&frames, &[parts, vec![Seen::Part]].concat(), Some(1009));
}

#[test]
fn closing() {
    check(&[(0x88, b"")], &[Seen::Close(None)], None);
    let check_code = |code: u16, is_allowed: bool| {
        let payload = [&code.to_be_bytes()[..], b"bye"].concat();
        let (seen, violation) = if is_allowed { (vec![Seen::Close(Some(code))], None) } else { (vec![], Some(1002)) };
        check(&[(0x88, &payload)], &seen, violation);
    };
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        check_code(code, true);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check_code(code, false);
    }
    check(&[(0x88, b"\x03")], &[], Some(1002));
    check(&[(0x88, b"\x03\xe8\xff")], &[], Some(1007));
    check(&[(0x88, b"\x03\xe8\xce")], &[], Some(1007));
    check(&[(0x88, &[&[0x03, 0xe8][..], &[b'x'; 123]].concat())], &[Seen::Close(Some(1000))], None);
    check(&[(0x01, b"x"), (0x88, b"")], &[Seen::Part, Seen::Close(None)], None);
}

/// How many bytes of a frame must come until its violation is reported.
fn check_earliest(bytes: &[u8], after: usize, code: u16) {
    let (_, violation, come) = events(bytes, 0..bytes.len());
    assert_eq!((violation.map(|found| found.code), come), (Some(code), after), "{bytes:x?}");
}

#[test]
fn a_violation_is_reported_as_early_as_it_is_certain() {
    check_earliest(&client_frame(0xc1, b"text"), 1, 1002);
    check_earliest(&client_frame(0x83, b"text"), 1, 1002);
    check_earliest(&client_frame(0x09, b"ping"), 1, 1002);
    check_earliest(&client_frame(0x80, b"text"), 1, 1002);
    let mut unmasked = vec![TEXT, 0x04];
    unmasked.extend_from_slice(b"text");
    check_earliest(&unmasked, 2, 1002);
    check_earliest(&client_frame(PING, &[0; 126]), 2, 1002);
    check_earliest(&client_frame(TEXT, &[b'x'; MAX + 1]), 8, 1009);
    let mut endless = client_frame(TEXT, &[b'x'; 126]);
    endless.splice(1..4, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    check_earliest(&endless, 14, 1009);
    // Autobahn 6.4.3 and 6.4.4: the text is spoilt long before its frame is whole.
    let spoilt = ["κόσμε".as_bytes(), b"\xf4\x90\x80\x80edited"].concat();
    check_earliest(&client_frame(TEXT, &spoilt), 6 + "κόσμε".len() + 2, 1007);
    let mut second = client_frame(0x01, b"\xf4");
    second.extend(client_frame(0x80, b"\x90\x80\x80"));
    check_earliest(&second, 7 + 6 + 1, 1007);
}

#[test]
fn an_assembly_is_one_word_and_forgets_what_was_handed_out() {
    assert_eq!(size_of::<Assembly>(), size_of::<usize>());
    let mut assembly = Assembly::default();
    for (first, is_under_way) in [(0x01, true), (0x00, true), (0x80, false)] {
        let mut bytes = client_frame(first, b"x");
        assert!(matches!(read_frame(&mut bytes, &mut assembly, MAX), Ok(Step::Frame { used: 7, .. })));
        assert_eq!(assembly.is_under_way(), is_under_way);
    }
    assert_eq!(read_frame(&mut [], &mut assembly, MAX), Ok(Step::Incomplete));
    assert_eq!(format!("{assembly:?}"), "Assembly(None)");
}

#[test]
fn what_the_server_writes_is_read_by_another_library() {
    let mut out = Vec::new();
    frame::text_header(&mut out, 300);
    out.extend_from_slice(&[b'x'; 300]);
    frame::ping(&mut out, b"are you there");
    frame::pong(&mut out, &[1; 125]);
    frame::close(&mut out, frame::CLOSE_SLOW, &"ñ".repeat(100));
    let mut client = WebSocket::from_raw_socket(Wire(io::Cursor::new(out)), Role::Client, None);
    assert_eq!(client.read().expect("a text"), Message::text("x".repeat(300)));
    assert_eq!(client.read().expect("a ping"), Message::Ping(b"are you there".as_slice().into()));
    assert_eq!(client.read().expect("a pong"), Message::Pong(vec![1; 125].into()));
    let Message::Close(Some(close)) = client.read().expect("a close") else { panic!("a close with a code") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4008, "ñ".repeat(61).as_str()));
}

/// Bytes to read; what is written goes nowhere.
struct Wire(io::Cursor<Vec<u8>>);

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages that tungstenite's server makes of the same bytes, and whether it ends with an error.
fn second_opinion(bytes: &[u8]) -> (Vec<Seen>, bool) {
    let config = WebSocketConfig::default().max_message_size(Some(MAX)).max_frame_size(Some(MAX));
    let mut server = WebSocket::from_raw_socket(Wire(io::Cursor::new(bytes.to_vec())), Role::Server, Some(config));
    let mut seen = Vec::new();
    loop {
        match server.read() {
            Ok(Message::Text(text)) => seen.push(Seen::Text(text.as_str().to_owned())),
            Ok(Message::Binary(bytes)) => seen.push(Seen::Binary(bytes.to_vec())),
            Ok(Message::Ping(payload)) => seen.push(Seen::Ping(payload.to_vec())),
            Ok(Message::Pong(_)) => seen.push(Seen::Pong),
            // Its answer to a code that may not be sent, instead of an error.
            Ok(Message::Close(Some(close))) if close.reason == "Protocol violation" => return (seen, true),
            Ok(Message::Close(close)) => {
                seen.push(Seen::Close(close.map(|close| close.code.into())));
                return (seen, false);
            }
            Ok(Message::Frame(_)) => unreachable!("reading gives messages"),
            // The bytes are at their end, which is no fault of theirs.
            Err(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                return (seen, false);
            }
            Err(_) => return (seen, true),
        }
    }
}

/// Frames as good clients send them, and now and then one that is wrong.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => Just(TEXT),
        3 => Just(0x01_u8),
        3 => Just(0x00_u8),
        4 => Just(0x80_u8),
        1 => Just(0x82_u8),
        1 => Just(0x02_u8),
        2 => Just(PING),
        1 => Just(0x8a_u8),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        6 => "\\PC{0,12}".prop_map(String::into_bytes),
        2 => "\\PC{100,140}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => Just("é".repeat(300).into_bytes()),
    ];
    let frames = prop::collection::vec((first, payload), 0..8);
    let close = prop::option::of(prop::collection::vec(any::<u8>(), 0..4));
    (frames, close).prop_map(|(frames, close)| {
        let close = close.map(|payload| (0x88, payload));
        frames.into_iter().chain(close).flat_map(|(first, payload)| client_frame(first, &payload)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_the_bytes_are_cut_the_events_are_the_same(
        bytes in script(),
        mut cuts in prop::collection::vec(0_usize..2_000, 0..6),
    ) {
        cuts.sort_unstable();
        let (whole, violation, _) = events(&bytes, std::iter::empty());
        for (seen, found, _) in [
            events(&bytes, 0..bytes.len()),
            events(&bytes, cuts.into_iter().map(|cut| cut.min(bytes.len()))),
        ] {
            prop_assert_eq!(&seen, &whole);
            prop_assert_eq!(found, violation);
        }
    }

    #[test]
    fn tungstenite_sees_the_same(bytes in script()) {
        let (mut seen, violation, _) = events(&bytes, std::iter::empty());
        seen.retain(|event| *event != Seen::Part);
        if let Some(close) = seen.iter().position(|event| matches!(event, Seen::Close(_))) {
            seen.truncate(close + 1);
        }
        let (expected, is_wrong) = second_opinion(&bytes);
        prop_assert_eq!(&seen, &expected);
        let has_closed = matches!(seen.last(), Some(Seen::Close(_)));
        prop_assert_eq!(violation.is_some() && !has_closed, is_wrong, "{:?}", violation);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let (whole, violation, _) = events(&bytes, std::iter::empty());
        let (seen, found, _) = events(&bytes, 0..bytes.len());
        prop_assert_eq!((seen, found), (whole, violation));
    }
}
