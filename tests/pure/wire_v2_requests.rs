//! Requests of the second protocol as clients write them, and what each wrong one is told.

use butaca::limits::USER_INFO_BYTES;
use butaca::wire::message::Code;
use butaca::wire::v2::read::Reader;
use butaca::wire::v2::request::{Ask, Best, KINDS, Kind, Message, Names, RequestId, Since, Written};

fn check(text: &str, id: Option<RequestId<'_>>, kind: Kind, ask: Ask<'_>) {
    let mut reader = Reader::new(USER_INFO_BYTES);
    assert_eq!(reader.read(&mut text.as_bytes().to_vec()), Ok(Message { id, kind, ask }), "{text}");
}

/// The code, the beginning of the message, and the id that comes back.
fn check_refused(text: &str, code: Code, message: &str, id: Option<RequestId<'_>>) {
    let mut reader = Reader::new(USER_INFO_BYTES);
    let mut bytes = text.as_bytes().to_vec();
    let bad = reader.read(&mut bytes).expect_err(text);
    assert_eq!((Code::from(bad.bad.fault), bad.id), (code, id), "{text}");
    assert!(bad.bad.message.starts_with(message), "{text}: {}", bad.bad.message);
}

fn check_bad(text: &str, message: &str) {
    check_refused(text, Code::BadRequest, message, None);
}

fn list<'a>(names: &[&'a str]) -> Names<'a> {
    Names::List(names.to_vec())
}

const ONE: Option<RequestId<'_>> = Some(RequestId::Number(1));

#[test]
fn the_requests_of_the_table() {
    check(
        r#"{"type":"resume","id":1,"session_token":"tok","rooms":["r","s"]}"#,
        ONE,
        Kind::Resume,
        Ask::Resume { token: "tok", rooms: vec!["r", "s"] },
    );
    check(r#"{"type":"resume","session_token":""}"#, None, Kind::Resume, Ask::Resume { token: "", rooms: vec![] });
    check(r#"{"type":"auth","token":"a.b.c"}"#, None, Kind::Auth, Ask::Auth { token: "a.b.c" });
    check(
        r#"{"type":"join_room","room_id":"r"}"#,
        None,
        Kind::Join,
        Ask::Join { room: "r", since: None, packed: false },
    );
    check(
        r#"{"type":"join_room","room_id":"r","since":{"epoch":"5f0c00000000000a","seq":9001}}"#,
        None,
        Kind::Join,
        Ask::Join { room: "r", since: Some(Since { epoch: 0x5f0c_0000_0000_000a, seq: 9001 }), packed: false },
    );
    check(r#"{"type":"leave_room","room_id":"r"}"#, None, Kind::Leave, Ask::Leave { room: "r" });
    check(
        r#"{"type":"select_seats","room_id":"r","seats":["A1","A2"],"release":["B1"],"user_info":{"n": 1}}"#,
        None,
        Kind::SelectSeats,
        Ask::Select { room: "r", seats: list(&["A1", "A2"]), release: vec!["B1"], user_info: r#"{"n": 1}"# },
    );
    check(
        r#"{"type":"select_seat","room_id":"r","seat_id":"A1"}"#,
        None,
        Kind::SelectSeat,
        Ask::Select { room: "r", seats: Names::One("A1"), release: vec![], user_info: "{}" },
    );
    check(
        r#"{"type":"release_seats","room_id":"r","seats":["A1"]}"#,
        None,
        Kind::ReleaseSeats,
        Ask::Release { room: "r", seats: Some(list(&["A1"])) },
    );
    check(
        r#"{"type":"release_seats","room_id":"r","all":true}"#,
        None,
        Kind::ReleaseSeats,
        Ask::Release { room: "r", seats: None },
    );
    check(
        r#"{"type":"release_seat","room_id":"r","seat_id":"A1"}"#,
        None,
        Kind::ReleaseSeat,
        Ask::Release { room: "r", seats: Some(Names::One("A1")) },
    );
    check(r#"{"type":"extend_hold","room_id":"r"}"#, None, Kind::ExtendHold, Ask::Extend { room: "r" });
    for (packed, expected) in [("true", true), ("false", false), ("1", false), ("null", false), (r#""true""#, false)] {
        let text = format!(r#"{{"type":"sync","room_id":"r","packed":{packed}}}"#);
        check(&text, None, Kind::Sync, Ask::Sync { room: "r", packed: expected });
    }
    check(r#"{"type":"sync","room_id":"r"}"#, None, Kind::Sync, Ask::Sync { room: "r", packed: false });
    check(r#"{"type":"ping"}"#, None, Kind::Ping, Ask::Ping { t: None });
    check(r#"{"type":"ping","t":1.5e3}"#, None, Kind::Ping, Ask::Ping { t: Some(Written::Number("1.5e3")) });
    check(r#"{"type":"ping","t":"x"}"#, None, Kind::Ping, Ask::Ping { t: Some(Written::Text("x")) });
}

#[test]
fn the_best_seats() {
    let best = |quantity| Best { quantity, sections: vec![], categories: vec![], accessible: 0, adjacent: true };
    let check_best = |rest: &str, query: Best<'_>, release: Vec<&str>| {
        let text = format!(r#"{{"type":"select_best","room_id":"r"{rest}}}"#);
        check(&text, None, Kind::SelectBest, Ask::Best { room: "r", query, release, user_info: "{}" });
    };
    check_best(r#","quantity":50"#, best(50), vec![]);
    check_best(r#","quantity":1,"release":["A1"]"#, best(1), vec!["A1"]);
    check_best(r#","quantity":4,"sections":[],"categories":[],"accessible":0,"adjacent":true"#, best(4), vec![]);
    let query = Best { sections: vec!["S"], categories: vec!["a", "b"], accessible: 2, adjacent: false, ..best(4) };
    let text = r#","quantity":4,"sections":["S"],"categories":["a","b"],"accessible":2,"adjacent":false"#;
    check_best(text, query, vec![]);
    let check_wrong = |rest: &str, message: &str| {
        check_bad(&format!(r#"{{"type":"select_best","room_id":"r"{rest}}}"#), message);
    };
    check_wrong("", "quantity is missing");
    for number in ["0", "51", "-1", "1.0", "1e1", "\"4\"", "null", "[4]", "99999999999999999999"] {
        check_wrong(&format!(r#","quantity":{number}"#), "quantity must be a whole number from 1 to 50");
    }
    for number in ["3", "-1", "true"] {
        check_wrong(
            &format!(r#","quantity":2,"accessible":{number}"#),
            "accessible must be a whole number from 0 to 2",
        );
    }
    check_wrong(r#","quantity":2,"adjacent":1"#, "adjacent must be true or false");
    check_wrong(r#","quantity":2,"sections":"S""#, "sections must be a list of strings");
    check_wrong(r#","quantity":2,"categories":[1]"#, "categories must be a list of strings");
    check_wrong(r#","quantity":2,"categories":[""]"#, "each of categories must be 1 to 128 bytes");
    check_wrong(r#","quantity":2,"release":["A1","A1"]"#, "a seat is in release twice");
}

#[test]
fn an_id_comes_back_or_is_refused() {
    let sixty_four = "é".repeat(32);
    let check_id = |id: &str, expected: RequestId<'_>| {
        check(&format!(r#"{{"id":{id},"type":"ping"}}"#), Some(expected), Kind::Ping, Ask::Ping { t: None });
        let unknown = format!(r#"{{"type":"x","id":{id}}}"#);
        check_refused(&unknown, Code::UnknownType, "type must be join_room", Some(expected));
        check_refused(&format!(r#"{{"id":{id}}}"#), Code::BadRequest, "type is missing", Some(expected));
        let bad = format!(r#"{{"type":"join_room","id":{id}}}"#);
        check_refused(&bad, Code::BadRequest, "room_id is missing", Some(expected));
    };
    check_id("0", RequestId::Number(0));
    check_id("18446744073709551615", RequestId::Number(u64::MAX));
    check_id("18446744073709551616", RequestId::Digits("18446744073709551616"));
    check_id("-7", RequestId::Digits("-7"));
    check_id(&format!("1{}", "0".repeat(63)), RequestId::Digits(&format!("1{}", "0".repeat(63))));
    check_id(r#""""#, RequestId::Text(""));
    check_id(r#""a\u0022b""#, RequestId::Text("a\"b"));
    check_id(&format!(r#""{sixty_four}""#), RequestId::Text(&sixty_four));
    let too_long = [format!("1{}", "0".repeat(64)), format!(r#""{sixty_four}x""#)];
    let others = ["1.5", "1.0", "1e3", "-0.0", "null", "true", "[1]", "{}", r#"{"id":1}"#].map(str::to_owned);
    for id in others.into_iter().chain(too_long) {
        let rule = "id must be an integer or a string of at most 64 bytes";
        for kind in ["ping", "x", "join_room"] {
            check_bad(&format!(r#"{{"type":"{kind}","id":{id}}}"#), rule);
        }
        check_bad(&format!(r#"{{"id":{id}}}"#), rule);
    }
}

#[test]
fn seats_are_named_once_and_not_too_many() {
    let text = |rest: &str| format!(r#"{{"type":"select_seats","id":1,"room_id":"r"{rest}}}"#);
    let check_wrong = |rest: &str, message: &str| check_refused(&text(rest), Code::BadRequest, message, ONE);
    check_wrong("", "seats is missing");
    check_wrong(r#","seats":[]"#, "seats must be a list of 1 to 50");
    check_wrong(r#","seats":"A1""#, "seats must be a list of strings");
    check_wrong(r#","seats":{}"#, "seats must be a list of strings");
    check_wrong(r#","seats":["A1",7]"#, "seats must be a list of strings");
    check_wrong(r#","seats":["A1",""]"#, "each of seats must be 1 to 128 bytes");
    check_wrong(r#","seats":["A1","A2","A1"]"#, "a seat is in seats twice");
    check_wrong(r#","seats":["A1","\u00411"]"#, "a seat is in seats twice");
    check_wrong(r#","seats":["A1"],"release":["B1","B1"]"#, "a seat is in release twice");
    check_wrong(r#","seats":["A1"],"release":["B1","A1"]"#, "a seat is in release twice, or in release and seats");
    check_wrong(r#","seats":["A1"],"release":null"#, "release must be a list of strings");
    check_wrong(r#","seats":["A1"],"user_info":[]"#, "user_info must be an object");
    let long = format!(r#","seats":["A1"],"user_info":{{"n":"{}"}}"#, "x".repeat(USER_INFO_BYTES));
    check_wrong(&long, "user_info must be at most 4096 bytes");
    let names: Vec<String> = (0..70).map(|number| format!("A{number}")).collect();
    let json = |count: usize| format!("[\"{}\"]", names[..count].join("\",\""));
    let fifty: Vec<&str> = names[..50].iter().map(String::as_str).collect();
    check(
        &text(&format!(r#","seats":{},"release":[]"#, json(50))),
        ONE,
        Kind::SelectSeats,
        Ask::Select { room: "r", seats: list(&fifty), release: vec![], user_info: "{}" },
    );
    for count in [51, 64, 65, 70] {
        check_wrong(&format!(r#","seats":{}"#, json(count)), "seats must be a list of at most 50");
        check_wrong(&format!(r#","seats":["X"],"release":{}"#, json(count)), "release must be a list of at most 50");
        check_bad(
            &format!(r#"{{"type":"release_seats","room_id":"r","seats":{}}}"#, json(count)),
            "seats must be a list of at most 50",
        );
    }
}

#[test]
fn what_is_released_is_said_once() {
    let check_wrong = |rest: &str, message: &str| {
        check_bad(&format!(r#"{{"type":"release_seats","room_id":"r"{rest}}}"#), message);
    };
    check_wrong("", "seats is missing");
    check_wrong(r#","all":false"#, "seats is missing");
    check_wrong(r#","all":1,"seats":["A1"]"#, "all must be true or false");
    check_wrong(r#","all":true,"seats":["A1"]"#, "give seats or all, not both");
    check_wrong(r#","seats":["A1","A1"]"#, "a seat is in seats twice");
    check_bad(r#"{"type":"release_seat","room_id":"r"}"#, "seat_id is missing");
    check_bad(r#"{"type":"select_seat","room_id":"r","seats":["A1"]}"#, "seat_id is missing");
    check_bad(r#"{"type":"select_seat","room_id":"r","seat_id":["A1"]}"#, "seat_id must be a string");
    check(
        r#"{"type":"release_seats","room_id":"r","all":false,"seats":["A1"]}"#,
        None,
        Kind::ReleaseSeats,
        Ask::Release { room: "r", seats: Some(list(&["A1"])) },
    );
}

#[test]
fn a_position_that_is_none_is_as_if_there_were_none() {
    let good = r#"{"seq":7,"epoch":"00000000000000ff","x":[1]}"#;
    let check_since = |since: &str, expected: Option<Since>| {
        let text = format!(r#"{{"type":"join_room","room_id":"r","since":{since}}}"#);
        check(&text, None, Kind::Join, Ask::Join { room: "r", since: expected, packed: false });
    };
    check_since(good, Some(Since { epoch: 255, seq: 7 }));
    check_since(
        r#"{"epoch":"00000000000000ff","seq":9007199254740991}"#,
        Some(Since { epoch: 255, seq: (1 << 53) - 1 }),
    );
    let malformed = r#"null|7|"x"|[]|{}|{"epoch":"00000000000000ff"}|{"seq":7}|{"epoch":"ff","seq":7}
        |{"epoch":"00000000000000FF","seq":7}|{"epoch":255,"seq":7}|{"epoch":"00000000000000ff","seq":"7"}
        |{"epoch":"00000000000000ff","seq":7.0}|{"epoch":"00000000000000ff","seq":-7}
        |{"epoch":"00000000000000ff","seq":99999999999999999999}|{"epoch":"+0000000000000ff","seq":7}
        |{"epoch":"0000\u00300000000000ff","seq":7}|{"epoch":null,"seq":null}"#;
    malformed.split('|').for_each(|since| check_since(since.trim(), None));
    let long = format!(r#"{{"epoch":"00000000000000ff","seq":7,"x":"{}"}}"#, "x".repeat(300));
    check_since(&long, None);
}

#[test]
fn what_is_not_known_is_ignored() {
    let odd = r#"{"seats":[1e999],"quantity":"x","since":1,"rooms":7,"type":"ping","token":1,"zz":{"id":[]}}"#;
    check(odd, None, Kind::Ping, Ask::Ping { t: None });
    check(
        r#"{"type":"ping","type":"sync","room_id":"no","room_id":"\u0072","id":[],"id":1}"#,
        ONE,
        Kind::Sync,
        Ask::Sync { room: "r", packed: false },
    );
    check_bad(r#"{"type":"ping","t":{}}"#, "t must be a number or a string of at most 64 bytes");
    check_bad(r#"{"type":"auth"}"#, "token is missing");
    check_bad(r#"{"type":"auth","token":7}"#, "token must be a string");
    check_bad(r#"{"type":"resume"}"#, "session_token is missing");
    check_bad(r#"{"type":"resume","session_token":"x","rooms":["a\nb"]}"#, "each of rooms must be 1 to 128 bytes");
    let rooms = |count: usize| format!("[{}]", vec![r#""r""#; count].join(","));
    let resume = |count| format!(r#"{{"type":"resume","session_token":"x","rooms":{}}}"#, rooms(count));
    check(&resume(64), None, Kind::Resume, Ask::Resume { token: "x", rooms: vec!["r"; 64] });
    check_bad(&resume(65), "rooms must be a list of at most 64");
}

#[test]
fn what_is_no_object_and_a_wrong_type() {
    for text in ["", "ping", "{\"type\":\"ping\"", "{\"type\":\"ping\"}x"] {
        check_refused(text, Code::BadJson, "the message is not JSON", None);
    }
    check_refused("[]", Code::BadJson, "the message is not a JSON object", None);
    for text in [r#"{"type":7}"#, r#"{"type":null}"#, r#"{"type":["ping"]}"#] {
        check_bad(text, "type must be a string");
    }
    let mut reader = Reader::new(USER_INFO_BYTES);
    let mut text = br#"{"type":"book","id":"x","room_id":"r"}"#.to_vec();
    let bad = reader.read(&mut text).expect_err("there is no such type");
    assert_eq!((bad.bad.request_type, bad.bad.room), (Some("book"), Some("r")));
}

#[test]
fn every_type_has_its_name() {
    for (kind, name) in KINDS {
        assert_eq!((Kind::named(name), kind.as_str()), (Some(kind), name));
    }
    assert_eq!(Kind::named("hello"), None);
}

/// All that a request may name, each letter escaped, and beside it as many parts as a `user_info` has place for.
#[test]
fn the_longest_request_is_read_however_it_is_written() {
    let escaped = |first: char, number: usize| format!("{}{number:02}", format!("\\u{:04x}", first as u32).repeat(63));
    let names = |first| (0..50).map(|number| format!(r#""{}""#, escaped(first, number))).collect::<Vec<_>>().join(",");
    let user_info = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(2_040));
    let (seats, release, room) = (names('é'), names('ñ'), escaped('ü', 0));
    let text = format!(
        r#"{{"type":"select_seats","id":1,"room_id":"{room}","seats":[{seats}],"release":[{release}],"user_info":{user_info}}}"#
    );
    let mut bytes = text.into_bytes();
    let mut reader = Reader::new(USER_INFO_BYTES);
    let read = reader.read(&mut bytes).map(|message| message.kind);
    assert_eq!(read, Ok(Kind::SelectSeats));
}
