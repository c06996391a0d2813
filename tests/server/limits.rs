//! How many may come: in all, from one address, and what those who may not are told.

use std::net::{Ipv4Addr, TcpStream};

use crate::harness::client::upgrade;
use crate::harness::http::Http;
use crate::harness::{Client, Server, eventually, room_on};

fn is_refused(stream: TcpStream) {
    let mut http = Http::new(stream);
    http.send(&upgrade("late", ""));
    let answer = http.response(false);
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{}", answer.head);
    assert!(answer.json()["error"].is_string());
    assert!(http.try_response(false).is_none());
}

#[test]
fn beyond_the_limit_a_socket_is_refused_and_health_is_answered() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("MAX_CONNECTIONS", "5"), ("SHARDS", shards)]);
        assert!(server.banner.contains("5 connections"), "{}", server.banner);
        let mut clients: Vec<Client> =
            (0..5).map(|number| Client::connect_when_free(&server, &format!("c{number}"))).collect();
        is_refused(server.dial());
        assert_eq!(server.get("/health").status, 200);
        assert_eq!(server.get("/ready").status, 200);
        for client in &mut clients {
            client.send(r#"{"type":"ping"}"#);
            assert_eq!(client.json()["type"], "pong", "who is in stays in");
        }
        assert!(server.figure("refused_connections") >= 1);
        drop(clients.pop());
        drop(Client::connect_when_free(&server, "next"));
    }
}

/// Far beyond the limit connections are closed at once; those who are in do not notice.
#[test]
fn a_crowd_at_the_door_changes_nothing_inside() {
    let server = Server::start(&[("MAX_CONNECTIONS", "2"), ("SHARDS", "2")]);
    let mut client = Client::join(&server, "a", "r");
    let crowd: Vec<TcpStream> = (0..400).map(|_| server.dial()).collect();
    client.select("r", "A1");
    assert_eq!(client.json()["type"], "seat_selected");
    drop(crowd);
    eventually("the crowd is gone", || {
        let stats =
            Http::new(server.dial()).ask("GET /stats HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?.json();
        assert_eq!(stats["active_connections"], 1, "the crowd was not let in");
        let sockets = stats["shards"].as_array()?.iter().map(|row| row["connections"].as_u64()).sum::<Option<u64>>()?;
        (sockets <= 2 && stats["shards_missing"] == 0).then_some(())
    });
}

#[test]
fn each_address_has_its_limit() {
    let server = Server::start(&[("MAX_CONNECTIONS_PER_IP", "3"), ("SHARDS", "2")]);
    let one = Ipv4Addr::new(127, 0, 0, 2);
    let connect = |from: Ipv4Addr| Client::connect_on(server.dial_from(from), "a", "");
    let mut clients: Vec<Client> = (0..3).map(|_| connect(one)).collect();
    is_refused(server.dial_from(one));
    let _others: Vec<Client> = (0..3).map(|_| connect(Ipv4Addr::new(127, 0, 0, 3))).collect();
    is_refused(server.dial_from(one));
    // The address is counted with the connection, wherever that goes.
    for (shard, client) in clients.iter_mut().enumerate() {
        client.enter(&room_on(shard % 2, 2));
    }
    is_refused(server.dial_from(one));
    let answer = server.get("/metrics");
    let metrics = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(metrics.contains(r#"butaca_refused_connections_total{reason="per_ip"} 3"#), "each once: {metrics}");
    assert!(metrics.contains(r#"butaca_refused_connections_total{reason="limit"} 0"#), "and for one reason: {metrics}");
    drop(clients);
    eventually("the address has its places back", || {
        let mut http = Http::new(server.dial_from(one));
        http.send(&upgrade("again", ""));
        (http.response(false).status == 101).then_some(())
    });
}

/// Connections that say nothing count for their address, too: it cannot fill the server with them.
#[test]
fn an_address_far_beyond_its_limit_is_closed_at_once() {
    let server = Server::start(&[("MAX_CONNECTIONS_PER_IP", "1"), ("SHARDS", "1")]);
    let greedy = Ipv4Addr::new(127, 0, 0, 2);
    let _silent: Vec<TcpStream> = (0..17).map(|_| server.dial_from(greedy)).collect();
    Http::new(server.dial_from(greedy)).expect_end();
    let mut other = Client::connect_on(server.dial_from(Ipv4Addr::new(127, 0, 0, 3)), "other", "");
    other.enter("r");
}

/// A proxy that nobody declared is noticed when it reaches the limit of one address: nearly everybody comes from it.
#[test]
fn a_proxy_that_nobody_declared_is_noticed() {
    let server = Server::start(&[("MAX_CONNECTIONS_PER_IP", "20"), ("SHARDS", "2")]);
    let proxy = Ipv4Addr::new(127, 0, 0, 2);
    let notice = || server.get("/health").json()["notice"].as_str().map(str::to_owned);
    let _clients: Vec<Client> = (0..20).map(|_| Client::connect_on(server.dial_from(proxy), "a", "")).collect();
    assert_eq!(notice(), None, "a full house is no news");
    is_refused(server.dial_from(proxy));
    assert!(notice().expect("it is said").contains("set TRUSTED_PROXIES"));
    let answer = server.get("/metrics");
    assert!(String::from_utf8_lossy(&answer.body).contains("butaca_undeclared_proxy 1"));
    eventually("it is logged", || server.log().contains("set TRUSTED_PROXIES").then_some(()));
}

/// Who begins to ask and never goes on has the places for a moment only: the oldest of them goes when another one
/// comes.
#[test]
fn half_a_head_keeps_nobody_out() {
    let server = Server::start(&[("MAX_CONNECTIONS", "10"), ("SHARDS", "1"), ("HANDSHAKE_MS", "60000")]);
    let half = |_| {
        let mut stream = server.dial();
        std::io::Write::write_all(&mut stream, b"GET /health HTTP/1.1\r\nHost:").expect("the server reads");
        stream
    };
    let _halves: Vec<TcpStream> = (0..150).map(half).collect();
    assert_eq!(server.get("/health").status, 200, "it is answered, though there is no place to be refused in");
    let mut clients: Vec<Client> =
        (0..10).map(|number| Client::connect_when_free(&server, &format!("c{number}"))).collect();
    is_refused(server.dial());
    for client in &mut clients {
        client.send(r#"{"type":"ping"}"#);
        assert_eq!(client.json()["type"], "pong", "who has asked for a WebSocket stays in");
    }
}

/// Half a head on every place of the API locks nobody out, and who has asked before stays.
#[test]
fn half_a_head_keeps_no_backend_out() {
    let server = Server::start(&[("SHARDS", "1")]);
    let ask = "GET /v1/rooms HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut known = Http::new(server.dial_api());
    assert_eq!(known.ask(ask).map(|answer| answer.status), Some(200));
    let half = |_| {
        let mut stream = server.dial_api();
        std::io::Write::write_all(&mut stream, b"GET /v1/rooms HTTP/1.1\r\nHost:").ok();
        stream
    };
    let _strangers: Vec<_> = (0..1_100).map(half).collect();
    for _ in 0..10 {
        let mut next = Http::new(server.dial_api());
        assert_eq!(next.ask(ask).map(|answer| answer.status), Some(200));
    }
    assert_eq!(known.ask(ask).map(|answer| answer.status), Some(200));
}
