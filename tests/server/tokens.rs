//! Tokens of the shop on the real binary: how they are shown, what they allow, when they end, where their keys come
//! from.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api;
use crate::harness::client::{Client, Got, text_frame, upgrade};
use crate::harness::rooms::unique;
use crate::harness::server::command;
use crate::harness::{Server, eventually};

const SECRET: &str = "a secret of the tests, long enough for HS256";
const SHARDS: [&str; 2] = ["1", "2"];

#[allow(clippy::disallowed_methods, reason = "a token ends at a time of day")]
fn in_s(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("before the end of time") + seconds
}

/// A token under this secret, of somebody, with more claims.
fn signed(secret: &str, sub: &str, more: &Value) -> String {
    let mut claims = json!({"sub": sub, "exp": in_s(600)});
    let members = claims.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes())).expect("it is signed")
}

fn token(sub: &str, more: &Value) -> String {
    signed(SECRET, sub, more)
}

fn server(shards: &str, more: &[(&str, &str)]) -> Server {
    let mut settings = vec![("SHARDS", shards), ("AUTH", "jwt"), ("JWT_SECRET", SECRET)];
    settings.extend_from_slice(more);
    Server::start(&settings)
}

/// Connects with this query and these fields, and reads the answer to the upgrade, which is yes.
fn dial(server: &Server, id: &str, query: &str, fields: &str) -> Client {
    let mut client = Client::unanswered(server.dial(), id);
    client.write(upgrade(id, query).replace("Host: test\r\n", &format!("Host: test\r\n{fields}")).as_bytes());
    client.upgraded();
    client
}

/// The next message that is no delta has these members.
fn get(client: &mut Client, expected: &Value) -> Value {
    let found = std::iter::repeat_with(|| client.json()).find(|found| found["type"] != "delta").expect("for ever");
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&found[name], value, "{name} of {found}");
    }
    found
}

fn ask(client: &mut Client, request: &Value, expected: &Value) -> Value {
    client.write(&text_frame(&request.to_string()));
    get(client, expected)
}

fn error(id: u64, code: &str) -> Value {
    json!({"type": "error", "id": id, "code": code})
}

#[test]
fn a_token_is_shown_in_four_ways() {
    for shards in SHARDS {
        let server = server(shards, &[]);
        let good = token("u", &json!({}));
        let ok = json!({"type": "hello", "auth": "ok"});
        get(&mut dial(&server, "a", &format!("?v=2&token={good}"), ""), &ok);
        get(&mut dial(&server, "a", "?v=2", &format!("Authorization: Bearer {good}\r\n")), &ok);
        get(&mut dial(&server, "a", "", &format!("Sec-WebSocket-Protocol: seats.v2.json, bearer.{good}\r\n")), &ok);
        let mut later = dial(&server, "a", "?v=2", "");
        get(&mut later, &json!({"type": "hello", "auth": "required"}));
        let room = unique("room");
        for (id, request) in [
            (1, json!({"type": "join_room", "room_id": room})),
            (2, json!({"type": "select_seats", "room_id": room, "seats": ["A"]})),
            (3, json!({"type": "sync", "room_id": room})),
            (4, json!({"type": "resume", "session_token": "x"})),
            (5, json!({"type": "leave_room", "room_id": room})),
            // Nothing is told about what a request looks like, either.
            (15, json!({"type": "select_seats", "room_id": room, "seats": "A"})),
            (16, json!({"type": "fly"})),
            (17, json!({"room_id": room})),
        ] {
            let mut request = request;
            request["id"] = id.into();
            ask(&mut later, &request, &error(id, "unauthorized"));
        }
        ask(&mut later, &json!({"type": "auth", "id": 18}), &error(18, "bad_request"));
        ask(&mut later, &json!({"type": "ping", "id": 6, "t": 1}), &json!({"type": "pong", "id": 6, "t": 1}));
        ask(&mut later, &json!({"type": "auth", "id": 7, "token": "x.y.z"}), &error(7, "unauthorized"));
        let old = token("u", &json!({"exp": in_s(-60)}));
        ask(&mut later, &json!({"type": "auth", "id": 8, "token": old}), &error(8, "token_expired"));
        ask(&mut later, &json!({"type": "auth", "id": 9, "token": good}), &json!({"type": "authenticated", "id": 9}));
        ask(
            &mut later,
            &json!({"type": "join_room", "id": 10, "room_id": room}),
            &json!({"type": "room_joined", "id": 10}),
        );
    }
}

#[test]
fn what_is_not_good_is_closed_with_4500() {
    let server = server("2", &[("AUTH_WITHIN_MS", "100")]);
    let old = token("u", &json!({"exp": in_s(-60)}));
    let other = signed("another secret that is long enough for it", "u", &json!({}));
    for bad in [old.as_str(), other.as_str(), "", "x"] {
        dial(&server, "a", &format!("?v=2&token={bad}"), "").expect_close(4500);
        dial(&server, "a", &format!("?token={bad}"), "").expect_close(4500);
    }
    dial(&server, "a", "", "").expect_close(4500);
    let mut late = dial(&server, "a", "?v=2", "");
    get(&mut late, &json!({"type": "hello", "auth": "required"}));
    late.expect_close(4500);
    let mut guesses = dial(&server, "a", "?v=2", "");
    get(&mut guesses, &json!({"type": "hello"}));
    for id in 0..8 {
        guesses.write(&text_frame(&json!({"type": "auth", "id": id, "token": "x"}).to_string()));
    }
    let close = std::iter::repeat_with(|| guesses.got()).find(|got| !matches!(got, Got::Text(_)));
    assert!(matches!(close, Some(Got::Close(Some(4500), _))), "{close:?}");
}

#[test]
fn without_authentication_a_token_means_nothing() {
    let server = Server::start(&[("SHARDS", "1")]);
    let mut client = dial(&server, "a", "?v=2&token=x", "");
    get(&mut client, &json!({"type": "hello", "auth": "off"}));
    ask(&mut client, &json!({"type": "auth", "id": 1, "token": token("u", &json!({}))}), &error(1, "unauthorized"));
}

#[test]
fn it_says_who_where_and_how_many() {
    for shards in SHARDS {
        let server = server(shards, &[]);
        let (open, closed) = (unique("tour"), unique("room"));
        let claims = json!({"name": "Ana", "rooms": ["x", format!("{}*", &open[..open.len() - 1])], "max_seats": 2});
        let mut ana = dial(&server, "path", &format!("?v=2&token={}", token("u-1", &claims)), "");
        get(&mut ana, &json!({"type": "hello", "auth": "ok"}));
        let mut first = dial(&server, "old", &format!("?token={}", token("u-2", &json!({}))), "");
        ask(&mut first, &json!({"type": "join_room", "room_id": open}), &json!({"type": "room_joined"}));
        ask(&mut ana, &json!({"type": "join_room", "id": 1, "room_id": closed}), &error(1, "forbidden"));
        ask(
            &mut ana,
            &json!({"type": "select_seats", "id": 2, "room_id": closed, "seats": ["A"]}),
            &error(2, "forbidden"),
        );
        let resume = json!({"type": "resume", "id": 3, "session_token": "x", "rooms": [open, closed]});
        ask(&mut ana, &resume, &error(3, "forbidden"));
        ask(
            &mut ana,
            &json!({"type": "join_room", "id": 4, "room_id": open}),
            &json!({"type": "room_joined", "id": 4}),
        );
        get(&mut ana, &json!({"type": "snapshot"}));
        let select =
            |id: u64, seats: &[&str]| json!({"type": "select_seats", "id": id, "room_id": open, "seats": seats});
        ask(&mut ana, &select(5, &["A", "B", "C"]), &error(5, "limit_exceeded"));
        ask(&mut ana, &select(6, &["A", "B"]), &json!({"type": "seats_held", "id": 6}));
        for seat in ["A", "B"] {
            get(&mut first, &json!({"type": "seat_selected", "seat_id": seat, "client_id": "Ana"}));
        }
        // The same person elsewhere has the same cart, and no more seats.
        let mut again = dial(&server, "phone", &format!("?v=2&token={}", token("u-1", &claims)), "");
        get(&mut again, &json!({"type": "hello"}));
        ask(&mut again, &select(7, &["C"]), &error(7, "limit_exceeded"));
        let all = json!({"type": "release_seats", "id": 8, "room_id": open, "all": true});
        ask(&mut again, &all, &json!({"type": "seats_released", "id": 8, "seats": ["A", "B"]}));
        let mut bound = dial(&server, "old", &format!("?token={}", token("u-3", &json!({"rooms": ["x"]}))), "");
        let select = json!({"type": "select_seat", "room_id": open, "seat_id": "A"});
        ask(&mut bound, &select, &json!({"type": "error", "code": "forbidden", "room_id": open, "seat_id": "A"}));
        ask(&mut bound, &json!({"type": "ping"}), &json!({"type": "pong"}));
    }
}

#[test]
fn all_connections_of_one_person_share_a_cart_until_the_last_has_gone() {
    for shards in SHARDS {
        let server = server(shards, &[("SESSION_GRACE_MS", "0")]);
        let room = unique("room");
        let dial_as = |sub: &str| dial(&server, sub, &format!("?v=2&token={}", token(sub, &json!({}))), "");
        let mut watcher = dial(&server, "w", &format!("?token={}", token("w", &json!({}))), "");
        ask(&mut watcher, &json!({"type": "join_room", "room_id": room}), &json!({"type": "room_joined"}));
        let (mut one, mut two) = (dial_as("u"), dial_as("u"));
        for client in [&mut one, &mut two] {
            get(client, &json!({"type": "hello"}));
            ask(client, &json!({"type": "join_room", "room_id": room}), &json!({"type": "room_joined"}));
            get(client, &json!({"type": "snapshot"}));
        }
        let told = |client: &mut Client, gone: Value, seats: Value| {
            let found = get(client, &json!({"type": "cart", "reason": "other_connection", "gone": gone}));
            assert_eq!(found["cart"]["seats"], seats, "{found}");
            found["cart"]["extends_left"].clone()
        };
        let select = json!({"type": "select_seats", "id": 1, "room_id": room, "seats": ["A", "B"]});
        ask(&mut one, &select, &json!({"type": "seats_held", "id": 1}));
        assert_eq!(told(&mut two, json!([]), json!(["A", "B"])), 1);
        ask(&mut two, &json!({"type": "extend_hold", "id": 2, "room_id": room}), &json!({"type": "hold_extended"}));
        assert_eq!(told(&mut one, json!([]), json!(["A", "B"])), 0);
        let swap = json!({"type": "select_seats", "id": 3, "room_id": room, "seats": ["C"], "release": ["A"]});
        ask(&mut two, &swap, &json!({"type": "seats_held", "id": 3}));
        told(&mut one, json!(["A"]), json!(["B", "C"]));
        ask(
            &mut one,
            &json!({"type": "release_seats", "id": 4, "room_id": room, "seats": ["B"]}),
            &json!({"type": "seats_released", "id": 4}),
        );
        told(&mut two, json!(["B"]), json!(["C"]));
        drop(one);
        ask(&mut two, &json!({"type": "ping", "id": 5}), &json!({"type": "pong", "id": 5}));
        ask(&mut two, &select, &json!({"type": "seats_held", "id": 1, "seats": ["A", "B"]}));
        drop(two);
        let found = std::iter::repeat_with(|| watcher.json()).find(|found| found["reason"] == "disconnected");
        assert_eq!(found.expect("for ever")["seat_id"], "C", "in the order of selecting");
    }
}

#[test]
fn it_ends_unless_it_is_renewed_and_stays_one_persons() {
    let server = server("2", &[("JWT_LEEWAY_S", "0")]);
    let soon = token("u", &json!({"exp": in_s(2)}));
    let mut ends = dial(&server, "a", &format!("?v=2&token={soon}"), "");
    let mut first = dial(&server, "b", &format!("?token={soon}"), "");
    let mut stays = dial(&server, "c", &format!("?v=2&token={soon}"), "");
    for client in [&mut ends, &mut stays] {
        get(client, &json!({"type": "hello", "auth": "ok"}));
    }
    let other = json!({"type": "auth", "id": 1, "token": token("v", &json!({}))});
    ask(&mut stays, &other, &error(1, "forbidden"));
    let renewed = json!({"type": "auth", "id": 2, "token": token("u", &json!({}))});
    ask(&mut stays, &renewed, &json!({"type": "authenticated", "id": 2}));
    ends.expect_close(4500);
    first.expect_close(4500);
    ask(&mut stays, &json!({"type": "ping", "id": 3}), &json!({"type": "pong", "id": 3}));
}

#[test]
fn an_operator_removes_a_person_and_a_session() {
    let server = server("2", &[]);
    let remove = |body: &Value| {
        let json = "Content-Type: application/json\r\n";
        let answer = api::ask(&server, "POST /v1/clients/disconnect", json, &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer.json()["closed"].clone()
    };
    let dial_as = |sub: &str| dial(&server, "a", &format!("?v=2&token={}", token(sub, &json!({}))), "");
    let (mut one, mut two, mut other) = (dial_as("u"), dial_as("u"), dial_as("v"));
    for client in [&mut one, &mut two, &mut other] {
        get(client, &json!({"type": "hello"}));
    }
    assert_eq!(remove(&json!({"subject": "u", "ban_s": 600})), 2);
    one.expect_close(4503);
    two.expect_close(4503);
    ask(&mut other, &json!({"type": "ping", "id": 1}), &json!({"type": "pong", "id": 1}));
    let mut back = dial_as("u");
    get(&mut back, &json!({"type": "hello"}));
    back.expect_close(4503);
    let plain = Server::start(&[("SHARDS", "2")]);
    let mut client = dial(&plain, "a", "?v=2", "");
    let hello = get(&mut client, &json!({"type": "hello"}));
    let body = json!({"session_id": hello["session_id"], "ban_s": 600}).to_string();
    let answer = api::ask(&plain, "POST /v1/clients/disconnect", "Content-Type: application/json\r\n", &body);
    assert_eq!(answer.json()["closed"], 1);
    client.expect_close(4503);
    let mut again = dial(&plain, "a", "?v=2", "");
    get(&mut again, &json!({"type": "hello"}));
    again.write(&text_frame(&json!({"type": "resume", "session_token": hello["session_token"]}).to_string()));
    again.expect_close(4503);
}

#[test]
fn a_secret_file_is_read_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("it is written");
    let path = file.to_str().expect("a path");
    let server = Server::start(&[("SHARDS", "1"), ("AUTH", "jwt"), ("JWT_SECRET_FILE", path)]);
    let next = "the next secret of the tests, as long as it must be";
    let is_good = |secret: &str| {
        let mut client = dial(&server, "a", &format!("?v=2&token={}", signed(secret, "u", &json!({}))), "");
        matches!(client.got(), Got::Text(_))
    };
    assert!(is_good(SECRET) && !is_good(next));
    std::fs::write(&file, next).expect("it is written");
    server.signal(Signal::HUP);
    eventually("the new secret counts", || is_good(next).then_some(()));
    assert!(!is_good(SECRET));
}

/// Answers each request with this body, until the listener's thread ends with the test.
fn publish(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/keys", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4_096];
            if stream.read(&mut head).is_err() {
                continue;
            }
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    url
}

#[test]
fn keys_are_fetched_and_without_them_nobody_comes_in() {
    use base64::Engine as _;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
    let x = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let url = publish(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}).to_string());
    let server = Server::start(&[("SHARDS", "1"), ("AUTH", "jwt"), ("JWT_JWKS_URL", &url)]);
    let header = Header { kid: Some("k".into()), ..Header::new(Algorithm::EdDSA) };
    let claims = json!({"sub": "u", "exp": in_s(600)});
    let token = encode(&header, &claims, &EncodingKey::from_ed_der(pkcs8.as_ref())).expect("it is signed");
    eventually("the keys have come", || {
        let mut client = Client::unanswered(server.dial(), "a");
        client.write(upgrade("a", &format!("?v=2&token={token}")).as_bytes());
        client.is_let_in().then(|| get(&mut client, &json!({"type": "hello", "auth": "ok"})))
    });
    // Nobody answers at port 1.
    let lost = Server::start(&[("SHARDS", "1"), ("AUTH", "jwt"), ("JWT_JWKS_URL", "http://127.0.0.1:1/keys")]);
    let mut client = Client::unanswered(lost.dial(), "a");
    client.write(upgrade("a", &format!("?v=2&token={token}")).as_bytes());
    assert!(!client.is_let_in(), "503: it is to come back");
}

#[test]
fn what_is_set_wrongly_is_said_in_one_line() {
    let check = |settings: &[(&str, &str)], expected: &str| {
        let output = command(settings).output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{settings:?}: {said}");
        assert!(said.contains(expected) && said.trim_end().lines().count() == 1, "{settings:?}: {said}");
    };
    check(&[("AUTH", "jwt")], "AUTH=jwt: needs one of");
    check(&[("AUTH", "jwt"), ("JWT_SECRET", "short")], "JWT_SECRET");
    check(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET), ("JWT_KEY_FILE", "/x")], "needs one of");
    check(&[("AUTH", "jwt"), ("JWT_KEY_FILE", "/no/such/file")], "JWT_KEY_FILE: /no/such/file");
    check(&[("AUTH", "jwt"), ("JWT_KEY_FILE", "/dev/null")], "JWT_KEY_FILE: it is no public key");
    check(&[("AUTH", "jwt"), ("JWT_JWKS_URL", "http://keys.example/jwks")], "JWT_JWKS_URL");
    check(&[("JWT_SECRET", SECRET)], "means nothing without AUTH=jwt");
}
