//! Every call: who may do it, what it takes, and how it is refused.

use std::io::Write as _;

use serde_json::{Value, json};

use super::play;
use crate::api::{ask, new_key};
use crate::harness::Server;
use crate::selling::call;

/// Every call with the role that it needs; none: everybody.
const CALLS: &[(&str, &str, &str)] = &[
    ("GET", "/", ""),
    ("GET", "/docs", ""),
    ("GET", "/openapi.json", ""),
    ("GET", "/health", ""),
    ("GET", "/ready", ""),
    ("GET", "/stats", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/v1/layouts", "read"),
    ("PUT", "/v1/layouts/{layout}", "manage"),
    ("GET", "/v1/layouts/{layout}", "read"),
    ("DELETE", "/v1/layouts/{layout}", "manage"),
    ("GET", "/v1/rooms", "read"),
    ("PUT", "/v1/rooms/{room}", "manage"),
    ("PATCH", "/v1/rooms/{room}", "manage"),
    ("GET", "/v1/rooms/{room}", "read"),
    ("DELETE", "/v1/rooms/{room}", "manage"),
    ("GET", "/v1/rooms/{room}/seats", "read"),
    ("GET", "/v1/rooms/{room}/counts", "read"),
    ("POST", "/v1/rooms/{room}/hold", "sell"),
    ("POST", "/v1/rooms/{room}/release", "sell"),
    ("PUT", "/v1/rooms/{room}/orders/{order}", "sell"),
    ("GET", "/v1/rooms/{room}/orders/{order}", "read"),
    ("POST", "/v1/rooms/{room}/orders/{order}/book", "sell"),
    ("POST", "/v1/rooms/{room}/orders/{order}/cancel", "sell"),
    ("POST", "/v1/rooms/{room}/orders/{order}/refund", "sell"),
    ("POST", "/v1/rooms/{room}/block", "manage"),
    ("POST", "/v1/rooms/{room}/unblock", "manage"),
    ("POST", "/v1/rooms/{room}/reconcile", "manage"),
    ("POST", "/v1/clients/disconnect", "manage"),
    ("GET", "/v1/events", "read"),
    ("GET", "/v1/rooms/{room}/events", "read"),
];

const JSON: &str = "Content-Type: application/json\r\n";

fn at(path: &str) -> String {
    path.replace("{layout}", "hall").replace("{room}", "r%C3%A9%2F1").replace("{order}", "o%201")
}

#[test]
fn each_role_may_do_its_own_and_what_those_before_it_may() {
    let keys = ["read", "sell", "manage"].map(|role| new_key(role, role));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    keys.iter().for_each(|(_, line)| writeln!(file, "{line}").expect("a file takes it"));
    let path = file.path().display().to_string();
    let server = Server::start(&[("API_KEYS_FILE", &path), ("SHARDS", "2")]);
    let rank = |role: &str| ["", "read", "sell", "manage"].iter().position(|known| *known == role).expect("a role");
    for (method, path, needed) in CALLS {
        let line = format!("{method} {}", at(path));
        let mut heads = vec![line.clone()];
        if *method == "GET" {
            heads.push(line.replacen("GET", "HEAD", 1));
        }
        for line in heads {
            let status = |field: &str| ask(&server, &line, field, "").status;
            let without = status("");
            assert_eq!(without == 401, !needed.is_empty(), "{line} without a key: {without}");
            let wrong = status("Authorization: Bearer butaca_0000\r\n");
            assert_eq!(wrong == 401, !needed.is_empty(), "{line} with a wrong key: {wrong}");
            for (role, (key, _)) in ["read", "sell", "manage"].iter().zip(&keys) {
                let found = status(&format!("Authorization: Bearer {key}\r\n"));
                let may = rank(role) >= rank(needed);
                assert_eq!(found != 403 && found != 401, may, "{line} as {role}: {found}");
            }
        }
    }
}

/// The document has these calls and no others, each with the refusals that the contract names.
#[test]
fn the_document_has_the_calls_of_the_contract() {
    let server = Server::start(&[]);
    let document = ask(&server, "GET /openapi.json", "", "");
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.json();
    let count = |paths: &Value| paths.as_object().map_or(0, |paths| paths.values().map(methods).sum());
    let mut found = 0;
    for (method, path, role) in CALLS {
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path}");
        assert_eq!(operation.get("security").is_some(), !role.is_empty(), "{method} {path}");
        let answers = operation["responses"].as_object().expect("an object");
        let has_status = |status: &str| answers.contains_key(status);
        assert!(has_status("400") && has_status("403") && has_status("200"), "{method} {path}");
        assert_eq!(has_status("401"), !role.is_empty(), "{method} {path}");
        assert_eq!(has_status("503"), path.starts_with("/v1/") || path.contains("health") || path.contains("ready"));
        found += 1;
    }
    assert_eq!(count(&document["paths"]), found, "there are no others");
}

fn methods(path: &Value) -> usize {
    let known = ["get", "put", "post", "patch", "delete"];
    known.iter().filter(|method| path.get(method).is_some()).count()
}

/// A body that every call takes: it is told to each what it knows.
fn bodies() -> Vec<(&'static str, &'static str, Value)> {
    let holder = json!({"holder": "k"});
    vec![
        ("PUT", "/v1/rooms/{room}", json!({})),
        ("PATCH", "/v1/rooms/{room}", json!({"sale": "open"})),
        ("POST", "/v1/rooms/{room}/hold", json!({"holder": "k", "seats": ["A1"]})),
        ("POST", "/v1/rooms/{room}/hold", json!({"holder": "k", "best": {"quantity": 1}})),
        ("POST", "/v1/rooms/{room}/release", json!({"seats": ["A1"], "reason": "x"})),
        ("PUT", "/v1/rooms/{room}/orders/{order}", json!({ "owner": holder })),
        ("POST", "/v1/rooms/{room}/orders/{order}/book", json!({"mode": "held"})),
        ("POST", "/v1/rooms/{room}/orders/{order}/cancel", json!({"to": "cart"})),
        ("POST", "/v1/rooms/{room}/orders/{order}/refund", json!({"seats": ["A1"]})),
        ("POST", "/v1/rooms/{room}/block", json!({"seats": ["A1"], "label": "x"})),
        ("POST", "/v1/rooms/{room}/unblock", json!({"seats": ["A1"], "label": "x"})),
        ("POST", "/v1/rooms/{room}/reconcile", json!({"booked": [], "blocked": [], "dry_run": true})),
        ("POST", "/v1/clients/disconnect", json!({"client_id": "x"})),
    ]
}

#[test]
fn a_body_is_json_of_known_fields_and_not_too_long() {
    let server = Server::start(&[]);
    let check = |line: &str, fields: &str, body: &str, status: u16, code: &str| {
        let answer = ask(&server, line, fields, body);
        let case = format!("{line} {body:.60}: {}", answer.head);
        assert_eq!(answer.status, status, "{case}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{case}");
        assert_eq!(answer.json()["code"], code, "{case}");
    };
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(1024 * 1024));
    for (method, path, body) in bodies() {
        let line = format!("{method} {}", at(path));
        let good = body.to_string();
        for fields in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
            check(&line, fields, &good, 415, "unsupported_media_type");
        }
        for broken in ["{", "{\"a\":}", "nothing", "{}{}", "\u{feff}{}"] {
            check(&line, JSON, broken, 400, "not_json");
        }
        let mut typo = body.clone();
        typo["seat"] = json!(["A1"]);
        check(&line, JSON, &typo.to_string(), 422, "invalid");
        for other in ["[]", "null", "7", "\"x\""] {
            check(&line, JSON, other, 422, "invalid");
        }
        check(&line, JSON, &long, 413, "too_large");
        check(&format!("{line}?x=1"), JSON, &good, 422, "invalid");
    }
    // Also inside of it.
    for (line, body) in [
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "best": {"quantity": 1, "row": "A"}})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k", "name": "x"}})),
        ("POST /v1/rooms/r/reconcile", json!({"booked": [{"seat": "A", "order": "o", "label": "x"}]})),
        ("POST /v1/rooms/r/reconcile", json!({"blocked": [{"seat": "A", "label": "x", "order": "o"}]})),
    ] {
        check(line, JSON, &body.to_string(), 422, "invalid");
    }
}

#[test]
fn what_means_nothing_is_422_and_changes_nothing() {
    let server = Server::start(&[("SHARDS", "2")]);
    let names: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    for (line, body) in [
        ("PUT /v1/rooms/r", json!({"hold_ms": 99})),
        ("PUT /v1/rooms/r", json!({"hold_ms": 86_400_001})),
        ("PUT /v1/rooms/r", json!({"sale": "opened"})),
        ("PUT /v1/rooms/r", json!({"opens_at": "2030-01-01T00:00:00Z"})),
        ("PUT /v1/rooms/r", json!({"sale": "scheduled", "opens_at": "soon"})),
        ("PUT /v1/rooms/r", json!({"max_seats": -1})),
        ("PUT /v1/rooms/r", json!({"layout": "nowhere"})),
        ("PUT /v1/rooms/r", json!({"layout": {"id": "nowhere"}})),
        ("PUT /v1/rooms/r", json!({"no_orphans": "yes"})),
        ("POST /v1/rooms/r/hold", json!({"holder": "", "seats": ["A"]})),
        ("POST /v1/rooms/r/hold", json!({"seats": ["A"]})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k"})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": []})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": names})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["A", "A"]})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["A"], "best": {"quantity": 1}})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "best": {"quantity": 0}})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "best": {"quantity": 2, "accessible": 3}})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["A"], "ttl_s": 0})),
        ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["x".repeat(129)]})),
        ("POST /v1/rooms/r/release", json!({"reason": "x"})),
        ("POST /v1/rooms/r/release", json!({"seats": ["A"], "holder": "k", "reason": "x"})),
        ("POST /v1/rooms/r/release", json!({"holder": "k", "subject": "s", "reason": "x"})),
        ("POST /v1/rooms/r/release", json!({"client_id": "k", "reason": "x"})),
        ("PUT /v1/rooms/r/orders/o", json!({})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {}})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": "k"})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k", "subject": "s"}})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"session_id": "none"}})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}, "seats": []})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}, "seats": ["A", "A"]})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}, "ttl_s": 0})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}, "ttl_s": 7_201})),
        ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}, "ttl_s": 1.5})),
        ("POST /v1/rooms/r/orders/o/book", json!({"mode": "free"})),
        ("POST /v1/rooms/r/orders/o/cancel", json!({"to": "held"})),
        ("POST /v1/rooms/r/orders/o/refund", json!({"seats": []})),
        ("POST /v1/rooms/r/block", json!({"label": "x"})),
        ("POST /v1/rooms/r/block", json!({"seats": ["A"]})),
        ("POST /v1/rooms/r/block", json!({"seats": ["A"], "label": "x", "held": "keep"})),
        ("POST /v1/rooms/r/unblock", json!({"label": "x"})),
        ("POST /v1/rooms/r/reconcile", json!({"booked": [{"seat": "A"}]})),
        ("POST /v1/rooms/r/reconcile", json!({"blocked": [{"seat": "A"}]})),
        (
            "POST /v1/rooms/r/reconcile",
            json!({"booked": [{"seat": "A", "order": "o"}], "blocked": [{"seat": "A", "label": "x"}]}),
        ),
        ("POST /v1/clients/disconnect", json!({})),
        ("POST /v1/clients/disconnect", json!({"client_id": "x", "subject": "y"})),
        ("POST /v1/clients/disconnect", json!({"session_id": "x"})),
        ("POST /v1/clients/disconnect", json!({"client_id": "x", "ban_s": -1})),
    ] {
        let (status, answer) = call(&server, line, &body);
        assert_eq!((status, &answer["code"]), (422, &"invalid".into()), "{line} {body}: {answer}");
    }
    play(&server, &[("GET /v1/rooms", Value::Null, 200, json!({"rooms": [], "next": null}))]);
}

/// What is not there, by its own code.
#[test]
fn what_is_not_there_is_404() {
    let server = Server::start(&[("SHARDS", "2")]);
    let owner = json!({"owner": {"holder": "k"}});
    for (line, body, code) in [
        ("GET /v1/rooms/r", Value::Null, "unknown_room"),
        ("PATCH /v1/rooms/r", json!({"sale": "open"}), "unknown_room"),
        ("DELETE /v1/rooms/r", Value::Null, "unknown_room"),
        ("GET /v1/rooms/r/seats", Value::Null, "unknown_room"),
        ("GET /v1/rooms/r/counts", Value::Null, "unknown_room"),
        ("POST /v1/rooms/r/release", json!({"holder": "k", "reason": "x"}), "unknown_room"),
        ("GET /v1/rooms/r/orders/o", Value::Null, "unknown_room"),
        ("PUT /v1/rooms/r/orders/o", owner, "unknown_room"),
        ("POST /v1/rooms/r/orders/o/book", json!({}), "unknown_room"),
        ("POST /v1/rooms/r/orders/o/cancel", json!({"to": "free"}), "unknown_room"),
        ("POST /v1/rooms/r/orders/o/refund", json!({}), "unknown_room"),
        ("GET /v1/layouts/hall", Value::Null, "unknown_layout"),
        ("DELETE /v1/layouts/hall", Value::Null, "unknown_layout"),
        ("GET /v1/seats", Value::Null, "not_found"),
    ] {
        let (status, answer) = call(&server, line, &body);
        assert_eq!((status, &answer["code"]), (404, &code.into()), "{line} {body}: {answer}");
    }
    play(
        &server,
        &[
            ("PUT /v1/rooms/r", json!({}), 201, json!({})),
            ("GET /v1/rooms/r/orders/o", Value::Null, 404, json!({"code": "unknown_order"})),
            ("POST /v1/rooms/r/orders/o/book", json!({}), 404, json!({"code": "unknown_order"})),
            ("POST /v1/rooms/r/orders/o/cancel", json!({"to": "free"}), 404, json!({"code": "unknown_order"})),
            ("POST /v1/rooms/r/orders/o/refund", json!({}), 404, json!({"code": "unknown_order"})),
            ("POST /v1/rooms/r/release", json!({"holder": "k", "reason": "x"}), 200, json!({"seats": []})),
        ],
    );
}

/// Bodies are counted in the budget of memory: a sixteenth of it, and one in any case.
#[test]
fn bodies_beyond_the_budget_of_memory_wait_for_others() {
    let server = Server::start(&[("MEMORY_BUDGET_BYTES", "67108864")]);
    // Bodies of unknown length count as long as they may be: four of them are the share.
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = server.dial_api();
            let head = "POST /v1/rooms/r/hold HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n";
            stream.write_all(format!("{head}{JSON}\r\n").as_bytes()).expect("the server reads");
            stream
        })
        .collect();
    let most = format!("{{}}{}", " ".repeat(1024 * 1024 - 2));
    let one = || {
        let answer = ask(&server, "PUT /v1/rooms/r", JSON, &most);
        (answer.status, answer.header("retry-after").map(str::to_owned))
    };
    crate::harness::eventually("there is no place", || (one() == (503, Some("1".into()))).then_some(()));
    drop(slow);
    crate::harness::eventually("there is a place again", || (one().0 < 300).then_some(()));
    let hall = super::hall(1, 1).to_string();
    let long = format!("{hall}{}", " ".repeat(8 << 20));
    assert_eq!(ask(&server, "PUT /v1/layouts/hall", JSON, &long).status, 201, "more than its share, but alone");
}
