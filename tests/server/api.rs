//! The API's port: who is served, what is refused and how, keys, the pages, and its end.

use std::io::Write as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::http::{Http, Response};
use crate::harness::server::command;
use crate::harness::{Client, Server, eventually};

/// One request on a connection of its own: the first line, further fields, the body.
pub(crate) fn ask(server: &Server, line: &str, fields: &str, body: &str) -> Response {
    let host = if fields.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let mut http = Http::new(server.dial_api());
    http.send(&format!("{line} HTTP/1.1\r\n{host}{fields}{length}Connection: close\r\n\r\n{body}"));
    http.response(line.starts_with("HEAD "))
}

/// The answer has this status, and as a refusal this code.
fn check(server: &Server, line: &str, fields: &str, body: &str, expected: (u16, &str)) {
    let answer = ask(server, line, fields, body);
    let case = format!("{line} {fields} {:.40}: {}", body, answer.head);
    assert_eq!(answer.status, expected.0, "{case}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{case}");
    assert_eq!(answer.header("access-control-allow-origin"), None, "{case}");
    if expected.1.is_empty() {
        return;
    }
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{case}");
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&expected.1.into(), &expected.0.into()), "{case}");
    assert!(["type", "title", "detail"].iter().all(|name| problem[name].is_string()), "{problem}");
}

#[test]
fn without_keys_this_machine_is_served_and_pages_of_others_are_not() {
    let server = Server::start(&[]);
    assert!(server.banner.contains("no keys: for this machine only"), "{}", server.banner);
    for host in ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"] {
        check(&server, "GET /stats", &format!("Host: {host}\r\n"), "", (200, ""));
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "10.0.0.1"] {
        check(&server, "GET /health", &format!("Host: {host}\r\n"), "", (403, "host_not_allowed"));
    }
    check(&server, "GET /health", "Host: localhost\r\nHost: evil.example\r\n", "", (400, "bad_request"));
    check(&server, "GET http://evil.example/health", "", "", (400, "bad_request"));
    check(&server, "GET /health", "Origin: https://evil.example\r\n", "", (403, "host_not_allowed"));
    check(&server, "GET /health", "Origin: http://localhost\r\n", "", (200, ""));
    check(&server, "GET /stats", "Authorization: Bearer whatever\r\n", "", (200, ""));
    check(&server, "OPTIONS /health", "Origin: http://localhost\r\n", "", (405, "method_not_allowed"));
}

#[test]
fn refusals_are_problems() {
    let server = Server::start(&[]);
    let json = "Content-Type: application/json\r\n";
    check(&server, "GET /nothing", "", "", (404, "not_found"));
    check(&server, "GET /health/", "", "", (404, "not_found"));
    check(&server, "POST /health", json, "{}", (405, "method_not_allowed"));
    assert_eq!(ask(&server, "PUT /docs", "", "").header("allow"), Some("GET, HEAD"));
    check(&server, "GET /health", "Content-Type: text/plain\r\n", "{}", (415, "unsupported_media_type"));
    check(&server, "GET /health", "", "{}", (415, "unsupported_media_type"));
    check(&server, "GET /health", json, "{}", (422, "invalid"));
    let long = " ".repeat(1024 * 1024 + 1);
    check(&server, "GET /health", json, &long, (413, "too_large"));
    let mut chunked = Http::new(server.dial_api());
    let head = "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.send(&format!("{head}{:x}\r\n{long}\r\n0\r\n\r\n", long.len()));
    assert_eq!(chunked.response(false).status, 413);
    // It has read all of it, so the connection goes on.
    chunked.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(chunked.response(false).status, 200);
    let mut nonsense = Http::new(server.dial_api());
    nonsense.send("what is this\r\n\r\n");
    assert_eq!(nonsense.response(false).status, 400);
}

/// What is refused before a room is asked.
#[test]
fn calls_that_mean_nothing() {
    let server = Server::start(&[]);
    let json = "Content-Type: application/json\r\n";
    let long = format!("GET /v1/rooms/{}", "x".repeat(129));
    for (line, body, expected) in [
        ("GET /v1/rooms/%00", "", (422, "invalid")),
        ("GET /v1/rooms/%ff", "", (400, "bad_request")),
        ("GET /v1/rooms/%zz", "", (400, "bad_request")),
        (&long, "", (422, "invalid")),
        ("GET /v1/rooms/", "", (404, "not_found")),
        ("GET /v1/rooms?limit=0", "", (422, "invalid")),
        ("GET /v1/rooms?limt=1", "", (422, "invalid")),
        ("GET /v1/rooms/r/seats?state=sold", "", (422, "invalid")),
        ("GET /v1/rooms/r/counts?x=1", "", (422, "invalid")),
        ("POST /v1/rooms/r", "{}", (405, "method_not_allowed")),
        ("PUT /v1/rooms/r", "{", (400, "not_json")),
        ("PUT /v1/rooms/r", "[]", (422, "invalid")),
        ("PUT /v1/rooms/r", r#"{"hold_mss":5000}"#, (422, "invalid")),
        ("POST /v1/rooms/r/hold", "", (400, "not_json")),
        ("POST /v1/rooms/r/hold", r#"{"holder":"k","seats":["A","A"]}"#, (422, "invalid")),
        ("PUT /v1/rooms/r/orders/o", r#"{"owner":{}}"#, (422, "invalid")),
        ("POST /v1/rooms/r/orders/o/book", r#"{"mod":"held"}"#, (422, "invalid")),
        ("POST /v1/rooms/r/orders/o/book", r#"{"mode":5}"#, (422, "invalid")),
        ("POST /v1/rooms/r/orders/o/cancel", "{}", (422, "invalid")),
        ("POST /v1/rooms/r/orders/o/cancel", r#"{"to":null}"#, (422, "invalid")),
        ("POST /v1/rooms/r/orders/o/cancel", r#"{"to":null"#, (400, "not_json")),
        ("POST /v1/rooms/r/block", r#"{"seats":["A"],"label":"x","held":5}"#, (422, "invalid")),
        ("PUT /v1/rooms/r", r#"{"sale":5}"#, (422, "invalid")),
        ("DELETE /v1/rooms/r?force=yes", "", (422, "invalid")),
    ] {
        check(&server, line, if body.is_empty() { "" } else { json }, body, expected);
    }
}

#[test]
fn the_pages_and_the_figures() {
    let server = Server::start(&[("SHARDS", "2"), ("PUBLIC_STATS", "0")]);
    let mut ana = Client::join(&server, "ana", "hamlet");
    ana.select("hamlet", "A1");
    ana.json();
    for path in ["/", "/docs"] {
        let page = ask(&server, &format!("GET {path}"), "", "");
        let text = String::from_utf8_lossy(&page.body);
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
        assert!(text.contains("/openapi.json") && !text.contains("http://") && !text.contains("https://"), "{text}");
    }
    let document = ask(&server, "GET /openapi.json", "", "").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"]["/health"]["get"]["operationId"], "health");
    let health = |answer: Response| {
        let mut body = answer.json();
        body["active_rooms"].take();
        (answer.status, body)
    };
    for path in ["/health", "/ready"] {
        let other = health(server.get(path));
        assert_eq!(health(ask(&server, &format!("GET {path}"), "", "")), other, "{path} says the same on both ports");
        assert_eq!(other.1["status"], "healthy");
    }
    let head = ask(&server, "HEAD /health", "", "");
    assert!(head.status == 200 && head.header("content-length").is_some_and(|length| length != "0"), "{}", head.head);
    assert_eq!((server.get("/stats").status, server.get("/metrics").status), (404, 404));
    let stats = eventually("all shards answer", || {
        let stats = ask(&server, "GET /stats", "", "").json();
        (stats["shards_missing"] == 0).then_some(stats)
    });
    assert_eq!((&stats["temporary_selections"], stats["shards"].as_array().map(Vec::len)), (&1.into(), Some(2)));
    let metrics = ask(&server, "GET /metrics", "", "");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(String::from_utf8_lossy(&metrics.body).contains("butaca_connections_max"));
}

/// What the command prints: the key and its line.
pub(crate) fn new_key(name: &str, role: &str) -> (String, String) {
    let mut make = command(&[("HOLD_TTL_MS", "nonsense that does not matter")]);
    let output = make.args(["api-key", name, role]).output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{text}");
    let mut lines = text.lines().map(str::to_owned);
    let (key, line) = (lines.next().expect("the key"), lines.next().expect("its line"));
    assert!(lines.next().is_none() && line.starts_with(&format!("{name} {role} ")), "{line}");
    (key, line)
}

#[test]
fn keys_have_roles_and_are_read_again() {
    let ((reader, reads), (manager, manages)) = (new_key("board", "read"), new_key("office", "manage"));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "# who may look\n\n{reads}").expect("a file takes it");
    let path = file.path().display().to_string();
    let server = Server::start(&[("API_KEYS_FILE", &path)]);
    assert!(server.banner.contains("keys 1"), "{}", server.banner);
    let check = |line: &str, key: &str, expected| {
        let field = if key.is_empty() { String::new() } else { format!("Authorization: {key}\r\n") };
        check(&server, line, &format!("Host: shop.example\r\n{field}"), "", expected);
    };
    for path in ["/", "/docs", "/openapi.json", "/health", "/ready"] {
        check(&format!("GET {path}"), "", (200, ""));
    }
    for path in ["/stats", "/metrics"] {
        check(&format!("GET {path}"), "", (401, "unauthorized"));
        check(&format!("GET {path}"), &format!("Basic {reader}"), (401, "unauthorized"));
        check(&format!("GET {path}"), &format!("Bearer {reader}x"), (401, "unauthorized"));
        check(&format!("GET {path}"), &format!("Bearer {manager}"), (401, "unauthorized"));
        check(&format!("GET {path}"), &format!("Bearer {reader}"), (200, ""));
    }
    let refused = ask(&server, "GET /stats", "", "");
    assert!(refused.header("www-authenticate").is_some_and(|how| how.starts_with("Bearer")), "{}", refused.head);
    writeln!(file, "{manages}").expect("a file takes it");
    server.signal(Signal::HUP);
    eventually("the new key counts", || {
        let answer = ask(&server, "GET /stats", &format!("Authorization: Bearer {manager}\r\n"), "");
        (answer.status == 200).then_some(())
    });
    writeln!(file, "nonsense").expect("a file takes it");
    server.signal(Signal::HUP);
    eventually("it says which line is wrong", || server.log().contains("line 5: it has 1 words").then_some(()));
    check("GET /stats", &format!("Bearer {manager}"), (200, ""));
}

/// It ends with this code, one line and this in it.
fn check_start(settings: &[(&str, &str)], code: i32, what: &str) {
    let output = command(settings).output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{settings:?}: {text}");
    assert!(text.starts_with("butaca: ") && text.contains(what) && text.lines().count() == 1, "{settings:?}: {text}");
}

#[test]
fn starts_that_fail_and_those_that_do_without() {
    check_start(&[("API_HOST", "0.0.0.0")], 64, "API_HOST=0.0.0.0: needs API_KEYS_FILE");
    check_start(&[("API_PORT", "many")], 64, "API_PORT=many: allowed is off, or a whole number from 0 to 65535");
    check_start(&[("API_KEYS_FILE", "/nowhere/keys")], 64, "API_KEYS_FILE=/nowhere/keys: ");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().display().to_string();
    check_start(&[("API_KEYS_FILE", &path)], 64, "there is no key in it");
    writeln!(file, "# keys\nshop buys {}", "0".repeat(64)).expect("a file takes it");
    check_start(&[("API_KEYS_FILE", &path)], 64, "line 2: the role of shop: allowed is read, sell or manage");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    check_start(&[("API_PORT", &port)], 69, "choose another port with API_PORT");
    let off = Server::start(&[("API_PORT", "off")]);
    assert!(off.api.is_none() && off.banner.contains("api      off\n"), "{}", off.banner);
}

#[test]
fn a_drain_is_told_and_ends_what_is_idle() {
    let server = Server::start(&[]);
    let mut idle = Http::new(server.dial_api());
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    idle.send(health);
    assert_eq!(idle.response(false).status, 200);
    // A client that does not close keeps the drain waiting.
    let _slow = Client::connect(&server, "slow");
    server.signal(Signal::TERM);
    eventually("it says that it drains", || {
        let answer = ask(&server, "GET /health", "", "");
        (answer.status == 503).then(|| assert_eq!(answer.json()["status"], Value::from("draining")))
    });
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    idle.expect_end();
}
