//! Which protocol an upgrade asks for, and who it says asks.

use butaca::wire::http::{Protocol, Target, parse_head};

const UPGRADE: &str = "Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn check(query: &str, lines: &str, protocol: Protocol, token: Option<&str>) {
    let head = format!("GET /ws/ana{query} HTTP/1.1\r\n{UPGRADE}{lines}\r\n");
    let (_, request) = parse_head(head.as_bytes()).expect("it is read").expect("it is whole");
    let Target::Socket { protocol: asked, .. } = request.target else { panic!("{head} is an upgrade") };
    assert_eq!((asked, request.token.as_ref().map(|token| token.as_str())), (protocol, token), "{head}");
}

const FIRST: Protocol = Protocol::First;
const BY_NAME: Protocol = Protocol::Second { by_name: true };
const BY_QUERY: Protocol = Protocol::Second { by_name: false };

#[test]
fn the_second_protocol_is_asked_for() {
    let check = |query, lines, protocol| check(query, lines, protocol, None);
    check("", "", FIRST);
    check("?v=1", "", FIRST);
    check("?v=22", "", FIRST);
    check("?vv=2", "", FIRST);
    check("", "Sec-WebSocket-Protocol: seats.v1.json\r\n", FIRST);
    check("", "Sec-WebSocket-Protocol: SEATS.V2.JSON\r\n", FIRST);
    check("", "Sec-WebSocket-Protocol: seats.v2.json2\r\n", FIRST);
    check("?v=2", "", BY_QUERY);
    check("?room=r&v=2&x=1", "", BY_QUERY);
    check("?v=2", "Sec-WebSocket-Protocol: chat\r\n", BY_QUERY);
    check("", "Sec-WebSocket-Protocol: seats.v2.json\r\n", BY_NAME);
    check("?v=1", "sec-websocket-protocol: chat ,\tseats.v2.json\r\n", BY_NAME);
    check("?v=2", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: seats.v2.json\r\n", BY_NAME);
}

#[test]
fn a_token_comes_by_one_of_three_ways() {
    check("", "Authorization: Bearer a.b.c\r\n", FIRST, Some("a.b.c"));
    check("", "authorization: bEARER   a.b.c  \r\n", FIRST, Some("a.b.c"));
    check("", "Authorization: Basic YTpi\r\n", FIRST, None);
    check("", "Authorization: Bearer\r\n", FIRST, None);
    check("", "Sec-WebSocket-Protocol: seats.v2.json, bearer.a.b.c\r\n", BY_NAME, Some("a.b.c"));
    check(
        "",
        "Sec-WebSocket-Protocol: bearer.a.b.c\r\nSec-WebSocket-Protocol: seats.v2.json\r\n",
        BY_NAME,
        Some("a.b.c"),
    );
    check("?token=a.b%2Ec&v=2", "", BY_QUERY, Some("a.b.c"));
    check("?token=", "", FIRST, Some(""));
    check("?token=%ff", "", FIRST, Some(""));
    check("?token=q", "Authorization: Bearer h\r\nSec-WebSocket-Protocol: bearer.p\r\n", FIRST, Some("h"));
    check("?token=q", "Sec-WebSocket-Protocol: bearer.p\r\n", FIRST, Some("p"));
    check("?token=q", "Authorization: Basic YTpi\r\n", FIRST, Some("q"));
}

/// Whoever stands in front may take the other one.
#[test]
fn of_two_tokens_none_counts() {
    check("", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", FIRST, Some(""));
    check("", "Sec-WebSocket-Protocol: bearer.a, bearer.b\r\n", FIRST, Some(""));
}

#[test]
fn a_token_is_shown_to_nobody() {
    let head = format!("GET /ws/ana?token=hush HTTP/1.1\r\n{UPGRADE}Authorization: Bearer hush\r\n\r\n");
    let (_, request) = parse_head(head.as_bytes()).expect("it is read").expect("it is whole");
    assert!(!format!("{request:?}").contains("hush"), "{request:?}");
}
