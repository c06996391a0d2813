//! Who a client is behind a proxy: its word is taken from those who are trusted, and from nobody else.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::harness::client::upgrade;
use crate::harness::http::Http;
use crate::harness::{BOUND, Client, Server, eventually};

/// The one that is trusted, and somebody else.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn start(settings: &[(&str, &str)]) -> Server {
    let common = [("TRUSTED_PROXIES", "127.0.0.9,fd00::/8"), ("MAX_CONNECTIONS_PER_IP", "1"), ("SHARDS", "2")];
    Server::start(&[&common, settings].concat())
}

fn forwarded(claim: &str) -> String {
    upgrade("a", "").replace("Host: test", &format!("Host: test\r\nX-Forwarded-For: {claim}"))
}

/// A connection from `peer` begins with `bytes`: the status of the answer, and what keeps it open.
fn ask(server: &Server, peer: Ipv4Addr, bytes: &[u8]) -> (u16, TcpStream) {
    let mut stream = server.dial_from(peer);
    stream.write_all(bytes).expect("the server reads");
    let mut http = Http::new(stream.try_clone().expect("a copy"));
    (http.response(false).status, stream)
}

fn check(server: &Server, peer: Ipv4Addr, bytes: &[u8], status: u16) -> TcpStream {
    let (found, stream) = ask(server, peer, bytes);
    assert_eq!(found, status, "{peer} {}", String::from_utf8_lossy(bytes));
    stream
}

#[test]
fn x_forwarded_for_counts_from_a_trusted_proxy_only() {
    let server = start(&[]);
    let check = |peer, claim: &str, status| check(&server, peer, forwarded(claim).as_bytes(), status);
    let one = check(PROXY, "192.0.2.1", 101);
    check(PROXY, "192.0.2.1", 503);
    check(PROXY, "10.9.9.9, 192.0.2.1", 503);
    let _two = check(PROXY, "192.0.2.1, 192.0.2.2", 101);
    let _own = check(STRANGER, "192.0.2.3", 101);
    check(STRANGER, "192.0.2.4", 503);
    let _three = check(PROXY, "192.0.2.3", 101);
    // Without an address, or with one that is none, a connection counts for the proxy.
    let _nobody = check(PROXY, "unknown", 101);
    check(PROXY, "192.0.2.9, ", 503);
    check(PROXY, "_hidden", 503);
    let (status, _) = ask(&server, PROXY, &not_utf8());
    assert_eq!(status, 101, "the bytes before the last comma are the client's claims, whatever they are");
    // Who only asks is not counted, however often.
    let get = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n";
    let _asking: Vec<TcpStream> = (0..3).map(|_| self::check(&server, PROXY, get, 200)).collect();
    // All addresses of one line count together.
    let _line = check(PROXY, "2001:db8::1", 101);
    check(PROXY, "2001:db8::2", 503);
    let _next = check(PROXY, "2001:db8:0:1::2", 101);
    drop(one);
    eventually("the client's place is free again", || {
        let (status, _stream) = ask(&server, PROXY, forwarded("192.0.2.1").as_bytes());
        (status == 101).then_some(())
    });
}

/// A claim before the last comma that is no text.
fn not_utf8() -> Vec<u8> {
    let text = forwarded("~, 192.0.2.8");
    text.bytes().map(|byte| if byte == b'~' { 0xff } else { byte }).collect()
}

/// Version 2 for a client on IPv4, or for the proxy itself.
fn version_2(client: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    match client {
        Some(ip) => {
            bytes.extend_from_slice(&[0x21, 0x11, 0, 12]);
            bytes.extend_from_slice(&ip);
            bytes.extend_from_slice(&[127, 0, 0, 1, 0x30, 0x39, 0x1f, 0x41]);
        }
        None => bytes.extend_from_slice(&[0x20, 0, 0, 0]),
    }
    bytes
}

#[test]
fn the_proxy_protocol_tells_the_client_in_both_versions() {
    let server = start(&[("PROXY_PROTOCOL", "1")]);
    let one = "PROXY TCP4 192.0.2.1 127.0.0.1 40000 8001\r\n".as_bytes();
    let six = "PROXY TCP6 2001:db8::1 ::1 40000 8001\r\n".as_bytes();
    let plain = upgrade("a", "");
    let check = |header: &[u8], status| check(&server, PROXY, &[header, plain.as_bytes()].concat(), status);
    let _one = check(one, 101);
    check(&version_2(Some([192, 0, 2, 1])), 503);
    let _two = check(&version_2(Some([192, 0, 2, 2])), 101);
    let _six = check(six, 101);
    check(six, 503);
    // What the client itself claims does not count beside it.
    let claims = [one, forwarded("192.0.2.77").as_bytes()].concat();
    self::check(&server, PROXY, &claims, 503);
    let _own = check(&version_2(None), 101);
    check(&version_2(None), 503);
}

#[test]
fn a_header_may_come_in_pieces_and_a_dialogue_follows_it() {
    let server = start(&[("PROXY_PROTOCOL", "1")]);
    for (number, header) in [version_2(Some([192, 0, 2, 1])), b"PROXY UNKNOWN\r\n".to_vec()].iter().enumerate() {
        let mut stream = server.dial_from(PROXY);
        header.iter().for_each(|byte| stream.write_all(&[*byte]).expect("the server reads"));
        let mut client = Client::connect_on(stream, "a", "");
        client.enter("r");
        client.select("r", &format!("A{number}"));
        assert_eq!(client.json()["type"], "seat_selected");
    }
}

#[test]
fn what_is_no_header_is_refused_and_a_stranger_may_not_send_one() {
    let server = start(&[("PROXY_PROTOCOL", "1")]);
    let get = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n".as_bytes();
    check(&server, PROXY, get, 400);
    check(&server, PROXY, b"PROXY TCP4 192.0.2.1\r\n", 400);
    check(&server, PROXY, &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat(), 400);
    check(&server, PROXY, &[b"\r\n\r\n\0\r\nQUIT\n\x21\x11".as_slice(), &60_000_u16.to_be_bytes()].concat(), 400);
    check(&server, STRANGER, &[b"PROXY UNKNOWN\r\n".as_slice(), get].concat(), 400);
    check(&server, STRANGER, get, 200);
}

/// A header has the time that a request head has, also when it comes byte by byte.
#[test]
fn a_slow_header_has_a_deadline() {
    let server = start(&[("PROXY_PROTOCOL", "1"), ("HANDSHAKE_MS", "500")]);
    let mut slow = server.dial_from(PROXY);
    slow.write_all(b"PROXY UNKNOWN ").expect("the server reads");
    slow.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket option");
    // The line has room for 93 bytes more. After these the deadline is waited for, however busy the machine is.
    for _ in 0..60 {
        match slow.read(&mut [0; 64]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            end => return assert!(matches!(end, Ok(0) | Err(_)), "it is closed without a word: {end:?}"),
        }
        if slow.write_all(b"x").is_err() {
            return;
        }
    }
    slow.set_read_timeout(Some(BOUND)).expect("a socket option");
    Http::new(slow).expect_end();
}
