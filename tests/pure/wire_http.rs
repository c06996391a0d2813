//! Request heads as data, what each is answered, and the same result however the bytes are cut.

use butaca::engine::ids::{ClientId, RoomId};
use butaca::engine::time::WallMillis;
use butaca::files::find;
use butaca::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX};
use butaca::wire::http::{HttpError, HttpRequest, Protocol, Target, is_head, parse_head};
use butaca::wire::respond::{JSON, Manner, accept_upgrade, respond, respond_error, respond_message, respond_options};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

const UPGRADE: &str = "Host: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn parse(text: &str) -> Result<Option<(usize, HttpRequest<'_>)>, HttpError> {
    parse_head(text.as_bytes())
}

fn check_head(text: &str, expected: Result<Target, HttpError>) {
    let parsed = parse(text).map(|head| head.map(|(used, request)| (used, request.target)));
    assert_eq!(parsed, expected.map(|target| Some((text.len(), target))), "{text:?}");
}

fn check_get(path: &str, expected: Result<Target, HttpError>) {
    check_head(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
}

fn check_socket(path: &str, client: &str, room_hint: Option<&str>) {
    let socket = Target::Socket {
        client: ClientId::new(client).expect("valid"),
        room_hint: room_hint.map(|room| RoomId::new(room).expect("valid")),
        accept_key: *b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        protocol: Protocol::First,
    };
    check_head(&format!("GET {path} HTTP/1.1\r\n{UPGRADE}\r\n"), Ok(socket));
}

#[test]
fn paths() {
    check_get("/", Ok(Target::Home));
    check_get("/?x=1", Ok(Target::Home));
    check_get("/health", Ok(Target::Health));
    check_get("/ready", Ok(Target::Ready));
    check_get("/stats?pretty", Ok(Target::Stats));
    check_get("/metrics", Ok(Target::Metrics));
    check_get("/static/butaca-client.js", Ok(Target::File(find("butaca-client.js").expect("it is there"))));
    check_get("http://example.org:8001/health", Ok(Target::Health));
    check_get("http://example.org", Ok(Target::Home));
    check_get("http://example.org?x=/y", Ok(Target::Home));
    for unknown in [
        "/healthz",
        "/health/",
        "//health",
        "/Health",
        "/ws",
        "/room/r",
        "/room/r/s/selections",
        "/.env",
        "/butaca-client.js",
        "/static/",
        "/static/../x",
        "/static/a/b.js",
        "/..",
        "/static/a%2e.js",
        "/static/nothing.js",
    ] {
        check_get(unknown, Ok(Target::NotFound));
    }
    check_get("health", Err(HttpError::Bad));
    check_get("/ws/a/b", Err(HttpError::BadClientId));
}

#[test]
fn ids_in_paths() {
    let room = |text: &str| Ok(Target::Selections { room: RoomId::new(text).expect("valid") });
    check_get("/room/r/selections", room("r"));
    check_get("/room/hall%201%2Fa:b/selections?x", room("hall 1/a:b"));
    check_get("/room/%F0%9F%8E%AD/selections", room("🎭"));
    check_get("/room/100%/selections", room("100%"));
    for wrong in ["", "%0a", "%ff", "%C2%80", "a%E2%80%AE", "%E2%80%8B", "a\u{200d}b", &"x".repeat(129)] {
        check_get(&format!("/room/{wrong}/selections"), Err(HttpError::BadRoomId));
        check_get(&format!("/ws/{wrong}"), Err(HttpError::BadClientId));
    }
    for reserved in ["system", "s%79stem", "holder:x", "holder%3Ax"] {
        check_get(&format!("/ws/{reserved}"), Err(HttpError::ReservedClientId));
    }
    check_get("/room/system/selections", room("system"));
}

#[test]
fn layouts() {
    let check = |path: &str, fields: &str, parts: Option<(&str, &str, bool)>| {
        let target = parts.map_or(Target::NotFound, |(layout, version, takes_gzip)| Target::Layout {
            layout: layout.into(),
            version: version.into(),
            takes_gzip,
        });
        check_head(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"), Ok(target));
    };
    check("/layouts/hall/9f3a", "", Some(("hall", "9f3a", false)));
    check(
        "/layouts/a%2Fb%20c/9f3a?x",
        "Accept-Encoding: br\r\naccept-encoding: gzip\r\n",
        Some(("a/b c", "9f3a", true)),
    );
    for nothing in ["/layouts/", "/layouts/hall", "/layouts/hall/", "/layouts//v", "/layouts/a/b/c", "/layouts/%ff/v"] {
        check(nothing, "", None);
    }
}

#[test]
fn upgrades() {
    check_socket("/ws/ana", "ana", None);
    check_socket("/ws/Jos%C3%A9%20%2F?x=1", "José /", None);
    check_socket("/ws/a+b?room=hall+1%2B", "a+b", Some("hall 1+"));
    check_socket("/ws/a?x=2&room=r&room=s", "a", Some("r"));
    check_socket("/ws/a?room=", "a", None);
    check_socket("/ws/a?room=%00", "a", None);
    check_socket("/ws/a?room=%ff", "a", None);
    check_socket("/ws/a?classroom=x", "a", None);
    check_socket(&format!("/ws/{}", "x".repeat(128)), &"x".repeat(128), None);
}

#[test]
fn an_upgrade_without_one_of_its_parts_is_refused() {
    let check_with = |from: &str, to: &str, expected| {
        assert!(UPGRADE.contains(from), "{from}");
        check_head(&format!("GET /ws/a HTTP/1.1\r\n{}\r\n", UPGRADE.replace(from, to)), Err(expected));
    };
    check_get("/ws/a", Err(HttpError::UpgradeRequired));
    check_with("keep-alive, Upgrade", "keep-alive", HttpError::UpgradeRequired);
    check_with("keep-alive, Upgrade", "upgrades", HttpError::UpgradeRequired);
    check_with("websocket", "h2c", HttpError::UpgradeRequired);
    check_with("Version: 13", "Version: 8", HttpError::UpgradeRequired);
    check_with("Version: 13", "Protocol: 13", HttpError::UpgradeRequired);
    check_with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=", HttpError::BadKey);
    check_with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQAA", HttpError::BadKey);
    check_with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q==", HttpError::BadKey);
    check_with("Sec-WebSocket-Key", "X-Key", HttpError::BadKey);
    check_with("Host: h", "Host: h\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", HttpError::BadKey);
    check_with("keep-alive, Upgrade", "close, Upgrade", HttpError::UpgradeRequired);
    check_head(&format!("GET /ws/a HTTP/1.0\r\n{UPGRADE}\r\n"), Err(HttpError::UpgradeRequired));
    check_head(&format!("HEAD /ws/a HTTP/1.1\r\n{UPGRADE}\r\n"), Err(HttpError::UpgradeRequired));
    check_head(&format!("POST /ws/a HTTP/1.1\r\n{UPGRADE}\r\n"), Err(HttpError::MethodNotAllowed));
    let shouted = UPGRADE.to_uppercase().replace("DGHLIHNHBXBSZSBUB25JZQ==", "dGhlIHNhbXBsZSBub25jZQ==");
    assert!(matches!(
        parse(&format!("GET /ws/a HTTP/1.1\r\n{shouted}\r\n")),
        Ok(Some((_, HttpRequest { target: Target::Socket { .. }, .. })))
    ));
}

#[test]
fn methods_versions_and_bodies() {
    check_head("OPTIONS /room/r/selections HTTP/1.1\r\nHost: h\r\n\r\n", Ok(Target::Options));
    check_head("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", Ok(Target::Options));
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get"] {
        check_head(
            &format!("{method} /health HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"),
            Err(HttpError::MethodNotAllowed),
        );
    }
    check_head("GET /health HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", Ok(Target::Health));
    for (value, error) in
        [("5", HttpError::BodyRefused), ("", HttpError::Bad), ("-1", HttpError::Bad), ("1,0", HttpError::Bad)]
    {
        check_head(&format!("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: {value}\r\n\r\n"), Err(error));
    }
    check_head("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", Err(HttpError::BodyRefused));
    check_head("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(HttpError::UnsupportedVersion));
    for garbage in [
        "\x16\x03\x01",
        "{\"type\":\"ping\"}",
        "GET  / HTTP/1.1\r\nHost: h\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n",
        " GET /",
    ] {
        check_head(garbage, Err(HttpError::Bad));
    }
}

#[test]
fn several_requests_in_one_write() {
    let text =
        "GET /health HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stats HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\nGET";
    let mut rest = text;
    let mut seen = Vec::new();
    while let Ok(Some((used, request))) = parse(rest) {
        seen.push((request.target, request.head_only, request.keep_alive));
        rest = &rest[used..];
    }
    assert_eq!(seen, [(Target::Health, false, true), (Target::Stats, true, true), (Target::Home, false, false)]);
    assert_eq!(rest, "GET");
}

#[test]
fn keeping_the_connection_and_proxies() {
    let check = |version: &str, headers: &str, keep_alive, forwarded_for: Option<&str>| {
        let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{headers}\r\n");
        let (_, request) = parse(&text).expect("good").expect("whole");
        assert_eq!(
            (request.keep_alive, request.forwarded_for),
            (keep_alive, forwarded_for.map(str::as_bytes)),
            "{text:?}"
        );
    };
    check("1.1", "", true, None);
    check("1.1", "Connection: close\r\n", false, None);
    check("1.1", "connection: x, CLOSE\r\n", false, None);
    check("1.0", "", false, None);
    check("1.0", "Connection: Keep-Alive\r\n", true, None);
    check("1.0", "Connection: close, keep-alive\r\n", false, None);
    check("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false, None);
    check("1.1", "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", true, Some("10.0.0.1, 10.0.0.2"));
    check("1.1", "X-Forwarded-For: 10.0.0.1\r\nx-forwarded-for: ::1\r\n", true, Some("::1"));
    check("1.1", "X-Forwarded-For: 10.0.0.1\r\nx-forwarded-for: \u{80}\r\n", true, Some("\u{80}"));
}

/// What RFC 9110 and RFC 9112 say about requests, a row each: the status that a request head gets, 0 when it is served.
const RULES: &[(&str, &str, u16)] = &[
    // RFC 9112 section 2.2: lines end with CR LF; empty ones before a request are no part of it.
    ("a line feed alone ends no line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400),
    ("nor a header line", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
    ("nor a head", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400),
    ("a carriage return alone is no end either", "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400),
    ("empty lines before a request", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0),
    ("an empty line that is a line feed alone", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("a space before the first header line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    // Section 2.3 and 3: one space, the version in capitals.
    ("two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("no version", "GET /\r\nHost: h\r\n\r\n", 400),
    ("another version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    // Section 3.2: request targets.
    ("a whole URL", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 0),
    ("one that TLS brought", "GET HTTPS://h:443/ HTTP/1.1\r\nHost: h\r\n\r\n", 0),
    ("one of another scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("one without a host", "GET http:///health HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("one with a port alone", "GET http://:80/health HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("one with a password", "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("a fragment", "GET /#x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("a path without a slash", "GET health HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("the server as a whole", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 0),
    ("the same by a URL", "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", 0),
    ("which only OPTIONS may ask about", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    // Section 3.2: one valid Host in HTTP/1.1.
    ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("no host with another method", "POST / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", "GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", 400),
    ("two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", 400),
    ("no host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 0),
    ("a host with a port", "GET / HTTP/1.1\r\nHost: my_host.example:8001\r\n\r\n", 0),
    ("an address with a port", "GET / HTTP/1.1\r\nHost: [::1]:8001\r\n\r\n", 0),
    ("an encoded host", "GET / HTTP/1.1\r\nHost: m%C3%BCnchen\r\n\r\n", 0),
    ("a host that is empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0),
    ("two hosts in one", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("a host and a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", 400),
    ("a host and a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
    ("a port that is none", "GET / HTTP/1.1\r\nHost: h:x\r\n\r\n", 400),
    ("an address that is none", "GET / HTTP/1.1\r\nHost: [::x]\r\n\r\n", 400),
    ("half an address", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ("half an encoding", "GET / HTTP/1.1\r\nHost: h%2\r\n\r\n", 400),
    ("bytes that are not ASCII", "GET / HTTP/1.1\r\nHost: m\u{fc}nchen\r\n\r\n", 400),
    // Section 5: header lines.
    ("a space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
    ("a line that goes on", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
    ("no colon", "GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400),
    ("no name", "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", 400),
    ("a zero byte", "GET / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n", 400),
    // Section 6: no request here has a body, and nobody may doubt where a head ends.
    ("a body of nothing", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 0),
    ("a body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 413),
    ("two lengths", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
    ("two lengths in one", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n", 400),
    ("a length with a sign", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n", 400),
    ("chunks", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 413),
    ("chunks that do not come last", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
    ("another encoding", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    (
        "a length and chunks",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    (
        "chunks and a length",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        400,
    ),
    ("chunks in HTTP/1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("two origins", "GET / HTTP/1.1\r\nHost: h\r\nOrigin: a\r\nOrigin: a\r\n\r\n", 400),
    // RFC 9110 section 9: methods.
    ("a method of others", "POST / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    ("one that is unknown", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    ("one in small letters", "get / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    ("a tunnel", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    // Section 7.8: an upgrade is asked for whole, in HTTP/1.1, on a connection that goes on.
    ("a socket without an upgrade", "GET /ws/a HTTP/1.1\r\nHost: h\r\n\r\n", 426),
    ("options of a socket", "OPTIONS /ws/a HTTP/1.1\r\nHost: h\r\n\r\n", 0),
    ("an upgrade elsewhere is ignored", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 0),
];

#[test]
fn the_rules_of_http() {
    for &(rule, text, status) in RULES {
        // A letter beyond ASCII stands for its byte.
        let bytes: Vec<u8> = text.chars().map(|letter| u8::try_from(letter).expect("Latin-1")).collect();
        let found = parse_head(&bytes).map(|head| head.map(|(used, _)| used));
        let expected = found.map_or_else(HttpError::status, |used| u16::from(used != Some(bytes.len())));
        assert_eq!(expected, status, "{rule}: {found:?}");
        let first = (0..=bytes.len()).map(|end| parse_head(&bytes[..end])).find(|parsed| *parsed != Ok(None));
        assert_eq!(first, Some(parse_head(&bytes)), "{rule}: another cut, another result");
    }
}

#[test]
fn options_of_what_there_is_not() {
    for (path, expected) in [
        ("/nothing", Ok(Target::NotFound)),
        ("/static/nothing.js", Ok(Target::NotFound)),
        ("/static/butaca-client.js", Ok(Target::Options)),
        ("/ws/a/b", Err(HttpError::BadClientId)),
        ("/room/%00/selections", Err(HttpError::BadRoomId)),
    ] {
        check_head(&format!("OPTIONS {path} HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
    }
}

/// The bytes of a head that is refused tell whether its answer may have content.
#[test]
fn a_refused_head_is_known_by_its_method() {
    for (text, expected) in [
        ("HEAD /ws/a HTTP/1.1\r\n\r\n", true),
        ("\r\n\r\nHEAD  / HTTP", true),
        ("HEADS / HTTP/1.1", false),
        ("GET /?HEAD / HTTP/1.1", false),
        ("\r\n", false),
        ("", false),
    ] {
        assert_eq!(is_head(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn the_limits_of_a_head_hold_as_soon_as_they_are_certain() {
    let line = "X: y\r\n";
    let with_headers = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", line.repeat(count - 1));
    check_head(&with_headers(HTTP_HEADERS_MAX), Ok(Target::Home));
    let many = with_headers(HTTP_HEADERS_MAX + 1);
    assert_eq!(parse(&many[..many.len() - 2]), Err(HttpError::TooLarge));
    let long = |bytes: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(bytes - "GET / HTTP/1.1\r\nHost: h\r\n\r\n".len()))
    };
    check_head(&long(HTTP_HEAD_BYTES_MAX), Ok(Target::NotFound));
    let too_long = long(HTTP_HEAD_BYTES_MAX + 1);
    assert_eq!(parse(&too_long), Err(HttpError::TooLarge));
    assert_eq!(parse(&too_long[..HTTP_HEAD_BYTES_MAX]), Err(HttpError::TooLarge));
    assert_eq!(parse(&too_long[..HTTP_HEAD_BYTES_MAX - 1]), Ok(None));
    let one_line = format!("GET /{}", "x".repeat(HTTP_HEAD_BYTES_MAX - 5));
    assert_eq!(parse(&one_line), Err(HttpError::TargetTooLong));
    assert_eq!(parse(&one_line[1..]), Ok(None));
    assert_eq!(parse(&"\r\n".repeat(HTTP_HEAD_BYTES_MAX)), Err(HttpError::TooLarge));
}

/// Status, header lines and body of a response.
fn read_response(bytes: &[u8]) -> (u16, Vec<(String, String)>, &str) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(used)) = response.parse(bytes) else { panic!("a whole response") };
    let lines = response.headers.iter().map(|line| (line.name.to_owned(), String::from_utf8_lossy(line.value).into()));
    (response.code.expect("whole"), lines.collect(), std::str::from_utf8(&bytes[used..]).expect("text"))
}

fn has(lines: &[(String, String)], name: &str, value: &str) -> bool {
    lines.iter().filter(|line| line.0 == name).eq([&(name.to_owned(), value.to_owned())])
}

fn manner(keep_alive: bool) -> Manner<'static> {
    Manner { keep_alive, allow_origin: "*", now: WallMillis(784_111_777_000) }
}

#[test]
fn responses() {
    let mut out = Vec::new();
    respond(&mut out, 200, JSON, b"{}", manner(true), false, &[("X-Y", "z")]);
    let (status, lines, body) = read_response(&out);
    assert_eq!((status, body), (200, "{}"));
    for (name, value) in [
        ("Content-Type", "application/json"),
        ("Content-Length", "2"),
        ("Connection", "keep-alive"),
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Y", "z"),
    ] {
        assert!(has(&lines, name, value), "{name}: {lines:?}");
    }
    let mut out = Vec::new();
    respond(&mut out, 200, "text/html", b"<p>", manner(false), true, &[("Cache-Control", "max-age=60")]);
    let (_, lines, body) = read_response(&out);
    assert!(body.is_empty() && has(&lines, "Content-Length", "3") && has(&lines, "Connection", "close"));
    assert!(has(&lines, "Cache-Control", "max-age=60"));
    let mut out = Vec::new();
    respond_message(&mut out, 503, "no \"place\"", manner(false), false, &[("Retry-After", "1")]);
    let (status, lines, body) = read_response(&out);
    assert_eq!((status, body), (503, r#"{"error":"no \"place\""}"#));
    assert!(has(&lines, "Retry-After", "1"));
    let mut out = Vec::new();
    respond_options(&mut out, manner(true));
    let (status, lines, body) = read_response(&out);
    assert!(status == 204 && body.is_empty() && !lines.iter().any(|line| line.0 == "Content-Length"));
    assert!(has(&lines, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"));
}

#[test]
fn every_error_is_answered_as_json_and_ends_the_connection() {
    for (error, expected) in [
        (HttpError::Bad, 400),
        (HttpError::BadHost, 400),
        (HttpError::BadClientId, 400),
        (HttpError::ReservedClientId, 400),
        (HttpError::BadRoomId, 400),
        (HttpError::BadKey, 400),
        (HttpError::BodyRefused, 413),
        (HttpError::TooLarge, 431),
        (HttpError::TargetTooLong, 414),
        (HttpError::MethodNotAllowed, 405),
        (HttpError::UnsupportedVersion, 505),
        (HttpError::UpgradeRequired, 426),
    ] {
        let manner = Manner { allow_origin: "https://a.example", ..manner(false) };
        let mut out = Vec::new();
        respond_error(&mut out, error, manner, true);
        let (status, lines, body) = read_response(&out);
        assert_eq!((status, body), (expected, ""), "no answer to HEAD has content");
        assert!(lines.iter().any(|(name, value)| name == "Content-Length" && value != "0"));
        let mut out = Vec::new();
        respond_error(&mut out, error, manner, false);
        let (status, lines, body) = read_response(&out);
        assert_eq!((status, body), (expected, format!(r#"{{"error":"{}"}}"#, error.message()).as_str()));
        // Who sends `Upgrade` lists it in `Connection` (RFC 9110 section 7.8).
        assert!(has(&lines, "Connection", if expected == 426 { "close, Upgrade" } else { "close" }));
        assert!(has(&lines, "Content-Type", JSON));
        assert!(has(&lines, "Access-Control-Allow-Origin", "https://a.example"));
        assert!(!lines.iter().any(|line| line.0 == "Access-Control-Allow-Credentials"), "nothing here has cookies");
        assert_eq!(has(&lines, "Allow", "GET, HEAD, OPTIONS"), expected == 405);
        assert_eq!(has(&lines, "Upgrade", "websocket"), expected == 426);
        assert_eq!(has(&lines, "Sec-WebSocket-Version", "13"), expected == 426);
    }
}

#[test]
fn an_upgrade_is_accepted_as_the_rfc_shows() {
    for protocol in [Protocol::First, Protocol::Second { by_name: false }, Protocol::Second { by_name: true }] {
        let mut out = Vec::new();
        accept_upgrade(&mut out, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", protocol);
        let (status, lines, body) = read_response(&out);
        assert_eq!((status, body), (101, ""));
        assert!(has(&lines, "Upgrade", "websocket") && has(&lines, "Connection", "Upgrade"));
        assert!(has(&lines, "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        let is_echoed = has(&lines, "Sec-WebSocket-Protocol", "seats.v2.json");
        assert_eq!(is_echoed, protocol == (Protocol::Second { by_name: true }));
        assert_eq!(lines.len(), 3 + usize::from(is_echoed));
    }
}

fn head() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof![5 => "GET", 1 => "HEAD", 1 => "OPTIONS", 1 => "[A-Z]{1,7}"];
    let path = prop_oneof![
        "/(health|stats|ready|metrics|nothing|a\\.js)?(\\?[a-z=&%+]{0,6})?",
        "/ws/[a-z%0-9/]{0,10}(\\?room=[a-z%0-9+]{0,6})?",
        "/room/[a-z%0-9/]{0,10}/selections",
        "\\PC{0,10}",
    ];
    let line = prop_oneof![
        "(Host|Connection|connection|Upgrade|Sec-WebSocket-Version|Sec-WebSocket-Key|Content-Length): ?[a-zA-Z0-9, =-]{0,24}",
        "[a-zA-Z-]{1,8}:\\PC{0,12}",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: [a-zA-Z]{22}==",
    ];
    let version = prop_oneof![5 => "HTTP/1\\.[01]", 1 => "\\PC{0,9}"];
    let lines = prop::collection::vec(line, 0..6);
    let mutation = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    let with_host = prop::bool::weighted(0.8);
    (method, path, version, with_host, lines, mutation).prop_map(
        |(method, path, version, with_host, lines, mutation)| {
            let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let host = if with_host { "Host: h\r\n" } else { "" };
            let mut head = format!("{method} {path} {version}\r\n{host}{lines}\r\n").into_bytes();
            if let Some((at, byte)) = mutation {
                let at = at.index(head.len());
                head[at] = byte;
            }
            head
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The first answer that is not "not whole yet" is the answer, wherever the bytes were cut.
    #[test]
    fn a_head_is_read_the_same_byte_by_byte(head in head()) {
        let mut bytes = head.clone();
        bytes.extend_from_slice(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let whole = parse_head(&bytes);
        let cut = (0..=bytes.len()).map(|end| parse_head(&bytes[..end])).find(|parsed| *parsed != Ok(None));
        prop_assert_eq!(cut.unwrap_or(Ok(None)), whole);
    }
}
