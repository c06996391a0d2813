//! Too many messages of one connection: refused, read more slowly, and closed when it goes on; nobody else notices.

use serde_json::Value;

use crate::harness::client::{frame, text_frame};
use crate::harness::{Client, Got, Server, eventually};

const PING: &str = r#"{"type":"ping"}"#;

/// A rate that a test can see: what is refused comes back within a tick or two.
const FAST: &[(&str, &str)] = &[("SHARDS", "1"), ("RATE_MESSAGES_PER_S", "50"), ("RATE_BURST", "20")];

fn train(text: &str, count: usize) -> Vec<u8> {
    text_frame(text).repeat(count)
}

/// What a train of pings was answered with: pongs, refusals, and whether the connection was closed with 4013.
fn answers(client: &mut Client, count: usize) -> (usize, usize, bool) {
    let (mut pongs, mut refused) = (0, 0);
    while pongs + refused < count {
        match client.got() {
            Got::Text(text) => {
                let got: Value = serde_json::from_str(&text).expect("JSON");
                match got["type"].as_str() {
                    Some("pong") => pongs += 1,
                    Some("error") => {
                        assert_eq!(
                            (&got["code"], &got["request_type"]),
                            (&"rate_limited".into(), &"ping".into()),
                            "{got}"
                        );
                        let retry_after_ms = got["retry_after_ms"].as_u64().expect("a number");
                        assert!((1..=1_000).contains(&retry_after_ms), "{got}");
                        refused += 1;
                    }
                    _ => panic!("{got}"),
                }
            }
            Got::Close(code, _) => {
                assert_eq!(code, Some(4013));
                return (pongs, refused, true);
            }
            other => panic!("{other:?}"),
        }
    }
    (pongs, refused, false)
}

#[test]
fn a_burst_passes_and_what_comes_behind_it_is_refused() {
    let server = Server::start(FAST);
    let mut client = Client::connect(&server, "a");
    client.write(&train(PING, 40));
    let (pongs, refused, closed) = answers(&mut client, 40);
    assert!(pongs >= 20 && refused > 0 && !closed, "{pongs} pongs, {refused} refused");
}

/// A `ping` with a list of so many numbers, which nobody looks at.
fn dear(numbers: usize) -> String {
    format!(r#"{{"type":"ping","a":[{}0]}}"#, "1,".repeat(numbers))
}

#[test]
fn a_message_of_many_parts_counts_as_many() {
    let server = Server::start(&[("SHARDS", "1"), ("RATE_MESSAGES_PER_S", "1"), ("RATE_BURST", "20")]);
    let mut client = Client::connect(&server, "a");
    client.write(&[text_frame(&dear(4_000)), train(PING, 1)].concat());
    assert_eq!(answers(&mut client, 2), (1, 1, false), "it has taken all there was");
    let mut client = Client::connect(&server, "b");
    client.write(&[text_frame(&dear(10)), text_frame(&dear(500)), train(PING, 14)].concat());
    assert_eq!(answers(&mut client, 16), (15, 1, false), "five more");
}

#[test]
fn a_message_of_too_many_parts_is_not_read() {
    let server = Server::start(&[("SHARDS", "1")]);
    let mut client = Client::connect(&server, "a");
    client.write(&[text_frame(&dear(20_000)), train(PING, 1)].concat());
    let refused = client.json();
    assert_eq!((&refused["code"], &refused["message"]), (&"bad_json".into(), &"the message has too many parts".into()));
    assert_eq!(client.json()["type"], "pong");
    client.write(&text_frame(&format!(r#"{{"type":"ping","a":"{}"}}"#, ",".repeat(60_000))));
    assert_eq!(client.json()["type"], "pong", "a text may hold anything");
}

#[test]
fn who_goes_on_is_closed_and_nobody_else_is_refused() {
    let server = Server::start(FAST);
    let mut other = Client::join(&server, "b", "r");
    let mut client = Client::connect(&server, "a");
    client.write(&train(PING, 1_000));
    let (pongs, refused, closed) = answers(&mut client, 1_000);
    assert!(closed, "{pongs} pongs, {refused} refused");
    assert!(refused >= 50, "who is refused a few times is not closed: {refused}");
    other.select("r", "A1");
    assert_eq!(other.json()["type"], "seat_selected");
}

/// What is refused changes nothing, names what it was about, and is taken once the time that was named is over.
#[test]
fn a_refused_select_holds_nothing() {
    let server = Server::start(&[("SHARDS", "1"), ("RATE_MESSAGES_PER_S", "2"), ("RATE_BURST", "2")]);
    let mut client = Client::join(&server, "a", "r");
    client.send(PING);
    client.select("r", "A1");
    assert_eq!(client.json()["type"], "pong");
    let refused = client.json();
    let about = ["code", "room_id", "seat_id", "request_type"].map(|name| refused[name].as_str().unwrap_or_default());
    assert_eq!(about, ["rate_limited", "r", "A1", "select_seat"], "{refused}");
    assert_eq!(server.get("/room/r/selections").json()["count"], 0);
    let selected = eventually("the seat is held", || {
        client.select("r", "A1");
        let answer = client.json();
        (answer["code"] != "rate_limited").then_some(answer)
    });
    assert_eq!(selected["type"], "seat_selected", "{selected}");
}

/// Pings of the WebSocket take tokens, too; they are answered, in their time.
#[test]
fn control_frames_are_slowed_down() {
    let server = Server::start(&[("SHARDS", "1"), ("RATE_MESSAGES_PER_S", "1000"), ("RATE_BURST", "1")]);
    let mut client = Client::connect(&server, "a");
    client.write(&frame(0x89, b"x").repeat(30));
    for _ in 0..30 {
        assert_eq!(client.got(), Got::Pong(b"x".to_vec()));
    }
}

/// Without a setting the bound is there, and an ordinary client does not meet it.
#[test]
fn the_default_lets_a_burst_of_two_hundred_pass() {
    let mut command = crate::harness::server::command(&[("SHARDS", "1")]);
    command.env_remove("RATE_MESSAGES_PER_S");
    let server = Server::run(command);
    let mut client = Client::connect(&server, "a");
    client.write(&train(PING, 200));
    assert_eq!(answers(&mut client, 200), (200, 0, false));
    client.write(&train(PING, 300));
    let (_, refused, _) = answers(&mut client, 300);
    assert!(refused > 0);
}

#[test]
fn off_is_off() {
    let server = Server::start(&[("SHARDS", "1"), ("RATE_BURST", "1")]);
    let mut client = Client::connect(&server, "a");
    client.write(&train(PING, 2_000));
    assert_eq!(answers(&mut client, 2_000), (2_000, 0, false));
}

#[test]
fn what_is_no_message_takes_a_token_too() {
    let server = Server::start(&[("SHARDS", "1"), ("RATE_MESSAGES_PER_S", "1"), ("RATE_BURST", "2")]);
    let mut client = Client::connect(&server, "a");
    for (text, code) in
        [("nonsense", "bad_json"), (r#"{"type":"x"}"#, "unknown_type"), (r#"{"type":"y"}"#, "rate_limited")]
    {
        client.send(text);
        assert_eq!(client.json()["code"], code);
    }
}
