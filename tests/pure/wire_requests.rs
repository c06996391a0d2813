//! Requests as clients write them, and what each wrong one is told.

use butaca::engine::command::Request;
use butaca::limits::USER_INFO_BYTES;
use butaca::wire::message::{Code, Message, Reader};

fn check(text: &str, expected: Request<'_>) {
    check_message(text, Message::Request(expected));
}

fn check_message(text: &str, expected: Message<'_>) {
    let mut reader = Reader::new(USER_INFO_BYTES);
    assert_eq!(reader.read(&mut text.as_bytes().to_vec()), Ok(expected), "{text}");
}

/// The code, the beginning of the message, and what is known of the request.
fn check_refused(text: &str, code: Code, message: &str, known: (Option<&str>, Option<&str>, Option<&str>)) {
    let mut reader = Reader::new(USER_INFO_BYTES);
    let mut bytes = text.as_bytes().to_vec();
    let bad = reader.read(&mut bytes).expect_err(text);
    assert_eq!(Code::from(bad.fault), code, "{text}");
    assert!(bad.message.starts_with(message), "{text}: {}", bad.message);
    assert_eq!((bad.room, bad.seat, bad.request_type), known, "{text}");
}

#[test]
fn the_requests_of_the_protocol() {
    check(r#"{"type":"join_room","room_id":"r"}"#, Request::Join { room: "r" });
    check(r#"{"type":"leave_room","room_id":"r"}"#, Request::Leave { room: "r" });
    check(
        r#"{"type":"select_seat","room_id":"r","seat_id":"s","user_info":{"name": "Ana"}}"#,
        Request::Select { room: "r", seat: "s", user_info: r#"{"name": "Ana"}"# },
    );
    check(
        r#"{"type":"select_seat","room_id":"r","seat_id":"s"}"#,
        Request::Select { room: "r", seat: "s", user_info: "{}" },
    );
    check(r#"{"type":"release_seat","room_id":"r","seat_id":"s"}"#, Request::Release { room: "r", seat: "s" });
    check_message(r#"{"type":"ping"}"#, Message::Ping);
}

#[test]
fn what_is_not_known_is_ignored_and_order_does_not_matter() {
    let odd = r#" { "seat_id" : [1e999] , "type" : "ping", "user_info": 3, "x": {"type":"join_room"} } "#;
    check_message(odd, Message::Ping);
    check(
        r#"{"user_info":{"type":"ping"},"seat_id":"\u0041\"","room_id":"κ","type":"select\u005fseat"}"#,
        Request::Select { room: "κ", seat: "A\"", user_info: r#"{"type":"ping"}"# },
    );
    check(r#"{"type":"ping","type":"join_room","room_id":"no","room_id":"yes"}"#, Request::Join { room: "yes" });
    check(
        r#"{"type":"select_seat","room_id":"r","seat_id":"s","user_info":1,"user\u005finfo":{"n":1.0}}"#,
        Request::Select { room: "r", seat: "s", user_info: r#"{"n":1.0}"# },
    );
}

#[test]
fn what_is_not_json_says_so() {
    for text in ["", "ping", "{\"type\":\"ping\"", "\u{feff}{\"type\":\"ping\"}", "{\"type\":\"ping\"}x"] {
        check_refused(text, Code::BadJson, "the message is not JSON", (None, None, None));
    }
    for text in ["[]", "null", "\"ping\"", "1"] {
        check_refused(text, Code::BadJson, "the message is not a JSON object", (None, None, None));
    }
    let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(120), "]".repeat(120));
    check_refused(&deep, Code::BadJson, "the message is nested too deeply", (None, None, None));
    let surrogate = r#"{"type":"select_seat","room_id":"r","seat_id":"s","user_info":{"name":"\ud800"}}"#;
    let half = "a string has a lone surrogate, half a character, which has no UTF-8";
    check_refused(surrogate, Code::BadJson, half, (None, None, None));
}

#[test]
fn a_wrong_type_says_so() {
    check_refused(r#"{"room_id":"r"}"#, Code::BadRequest, "type is missing", (Some("r"), None, None));
    check_refused(r#"{"type":7}"#, Code::BadRequest, "type must be a string", (None, None, None));
    check_refused(r#"{"type":{}}"#, Code::BadRequest, "type must be a string", (None, None, None));
    check_refused(
        r#"{"type":"book_seat","room_id":"r","seat_id":"s"}"#,
        Code::UnknownType,
        "type must be join_room",
        (Some("r"), Some("s"), Some("book_seat")),
    );
    let longest = "x".repeat(64);
    let text = format!(r#"{{"type":"{longest}"}}"#);
    check_refused(&text, Code::UnknownType, "type must be", (None, None, Some(&longest)));
    check_refused(&format!(r#"{{"type":"{longest}x"}}"#), Code::UnknownType, "type must be", (None, None, None));
}

#[test]
fn a_wrong_id_names_its_field() {
    let kinds = ["join_room", "leave_room", "select_seat", "release_seat"];
    for kind in kinds {
        let check_room = |rest: &str, message: &str| {
            let text = format!(r#"{{"type":"{kind}"{rest},"seat_id":"s"}}"#);
            check_refused(&text, Code::BadRequest, message, (None, Some("s"), Some(kind)));
        };
        check_room("", "room_id is missing");
        check_room(r#","room_id":null"#, "room_id must be a string");
        check_room(r#","room_id":7"#, "room_id must be a string");
        check_room(r#","room_id":{}"#, "room_id must be a string");
        check_room(r#","room_id":["r"]"#, "room_id must be a string");
        check_room(r#","room_id":"""#, "room_id must be 1 to 128 bytes");
        check_room(r#","room_id":"a\nb""#, "room_id must be 1 to 128 bytes");
        check_room(r#","room_id":"\u0080""#, "room_id must be 1 to 128 bytes");
        check_room(&format!(r#","room_id":"{}""#, "é".repeat(65)), "room_id must be 1 to 128 bytes");
    }
    for kind in &kinds[2..] {
        let check_seat = |rest: &str, message: &str| {
            let text = format!(r#"{{"type":"{kind}"{rest},"room_id":"r"}}"#);
            check_refused(&text, Code::BadRequest, message, (Some("r"), None, Some(kind)));
        };
        check_seat("", "seat_id is missing");
        check_seat(r#","seat_id":true"#, "seat_id must be a string");
        check_seat(r#","seat_id":"""#, "seat_id must be 1 to 128 bytes");
    }
    let longest = "é".repeat(64);
    check(&format!(r#"{{"type":"join_room","room_id":"{longest}"}}"#), Request::Join { room: &longest });
}

#[test]
fn a_wrong_user_info_says_so() {
    let select =
        |user_info: &str| format!(r#"{{"type":"select_seat","room_id":"r","seat_id":"s","user_info":{user_info}}}"#);
    let known = (Some("r"), Some("s"), Some("select_seat"));
    for user_info in ["null", "[]", "\"{}\"", "1e400", "false"] {
        check_refused(&select(user_info), Code::BadRequest, "user_info must be an object", known);
    }
    let fits = format!(r#"{{"n":"{}"}}"#, "x".repeat(USER_INFO_BYTES - 8));
    check(&select(&fits), Request::Select { room: "r", seat: "s", user_info: &fits });
    let long = format!(r#"{{"n":"{}"}}"#, "x".repeat(USER_INFO_BYTES - 7));
    check_refused(&select(&long), Code::BadRequest, "user_info must be at most 4096 bytes", known);
}
