//! HTTP on the same port: answers, refusals, and every way in which requests may come.

use std::collections::BTreeSet;

use butaca::limits::site::SITE_PAUSE_MS;
use serde_json::Value;

use crate::harness::client::upgrade;
use crate::harness::http::{Http, Response};
use crate::harness::wait::now;
use crate::harness::{Client, Server, VARIANTS};

fn on_each(test: impl Fn(&Server)) {
    on_each_with(&[], test);
}

/// The same with further settings.
fn on_each_with(settings: &[(&str, &str)], test: impl Fn(&Server)) {
    for variant in VARIANTS {
        let all: Vec<(&str, &str)> = variant.iter().chain(settings).copied().collect();
        test(&Server::start(&all));
    }
}

/// Sends one request and reads its answer; the connection may end with it.
fn ask(server: &Server, request: &str) -> Response {
    let mut http = Http::new(server.dial());
    http.send(request);
    http.response(request.starts_with("HEAD"))
}

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    // Whether a map keeps its order depends on what else is built with it.
    names.sort_unstable();
    names
}

#[test]
fn health_and_ready() {
    on_each(|server| {
        let mut client = Client::connect(server, "a");
        client.enter("r");
        for path in ["/health", "/ready"] {
            let answer = server.get(path);
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert!(answer.header("date").is_some_and(|date| date.len() == 29 && date.ends_with(" GMT")));
            let health = answer.json();
            assert_eq!((&health["status"], &health["service"]), (&"healthy".into(), &"websocket".into()));
            assert_eq!((&health["store"], &health["redis_connected"]), (&"memory".into(), &false.into()));
            assert!(health["active_connections"] == 1 && health["version"].is_string(), "{health}");
        }
        crate::harness::eventually("the room is counted", || {
            (server.get("/health").json()["active_rooms"] == 1).then_some(())
        });
    });
}

#[test]
fn stats_tell_of_every_shard() {
    on_each_with(&[("STATS_LIST_IDS", "1")], |server| {
        let mut client = Client::connect(server, "Ana");
        client.enter("r");
        client.select("r", "A1");
        assert_eq!(client.json()["type"], "seat_selected");
        let stats = server.stats();
        let shards = if server.banner.contains("shards   2") { 2 } else { 1 };
        assert_eq!(stats["shards"].as_array().expect("rows").len(), shards);
        assert_eq!((&stats["active_rooms"], &stats["temporary_selections"]), (&1.into(), &1.into()), "{stats}");
        assert_eq!(stats["active_connections"], 1, "the client, and none of the sockets that ask by HTTP");
        assert_eq!((&stats["clients"], &stats["rooms"]), (&serde_json::json!(["Ana"]), &serde_json::json!(["r"])));
        assert_eq!(stats["truncated"], false);
        let row = &stats["shards"][0];
        let wanted = "connections rooms members holds commands deliveries sends mesh_sent mesh_received \
                      mesh_depth_high_water outbound_queue_high_water watchdog_pokes slow_consumers handovers_in";
        wanted.split_whitespace().for_each(|name| assert!(row[name].is_u64(), "{name} in {row}"));
    });
}

/// `active_connections` is exact: a client is counted before it knows that it is let in, while it changes its shard,
/// and until it gets the close frame. Sockets that only ask by HTTP, or were refused, are not.
#[test]
fn active_connections_are_the_open_websockets_at_any_time() {
    let server = Server::start(&[("SHARDS", "2")]);
    let mut kept = Http::new(server.dial());
    let mut is_counted = |wanted: usize| {
        // Figures are gathered ten times a second, so `/stats` is asked now and then.
        let paths = if wanted % 10 == 5 { &["/health", "/stats"][..] } else { &["/health"] };
        for path in paths {
            kept.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
            assert_eq!(kept.response(false).json()["active_connections"], wanted, "{path}");
        }
    };
    let _silent = server.dial();
    assert_eq!(ask(&server, &upgrade("a", "").replace("Version: 13", "Version: 8")).status, 426);
    is_counted(0);
    let mut clients = Vec::new();
    for number in 0..20 {
        clients.push(Client::connect(&server, &format!("c{number}")));
        is_counted(number + 1);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&crate::harness::client::join(&crate::harness::room_on(number % 2, 2)));
        is_counted(20);
    }
    assert!(clients.iter_mut().all(|client| client.json()["type"] == "room_joined"));
    is_counted(20);
    for number in (0..20).rev() {
        clients[number].write(&crate::harness::client::frame(0x88, &1000_u16.to_be_bytes()));
        clients[number].expect_close(1000);
        is_counted(number);
    }
}

#[test]
fn the_lists_of_stats_can_be_switched_on_and_are_cut() {
    let server = Server::start(&[("SHARDS", "2")]);
    let _client = Client::join(&server, "Ana", "r");
    let stats = server.stats();
    assert_eq!((&stats["clients"], &stats["rooms"]), (&serde_json::json!([]), &serde_json::json!([])));
    let server = Server::start(&[("STATS_LIST_IDS", "1"), ("SHARDS", "2")]);
    let clients: Vec<Client> = (0..1_001).map(|number| Client::connect(&server, &format!("c{number}"))).collect();
    let stats = server.stats();
    assert_eq!(stats["clients"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(stats["truncated"], true);
    drop(clients);
}

/// What the operator keeps inside is not there for anybody, in whatever way it is asked for.
#[test]
fn figures_can_be_taken_off_the_port() {
    let server = Server::start(&[("PUBLIC_STATS", "0"), ("SHARDS", "2")]);
    for request in ["GET /stats", "HEAD /stats", "GET /metrics", "HEAD /metrics", "GET /stats?x"] {
        let answer = ask(&server, &format!("{request} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!((answer.status, answer.header("connection")), (404, Some("keep-alive")), "{request}");
    }
    assert_eq!(server.get("/health").json()["status"], "healthy");
    assert_eq!(server.get("/room/r/selections").status, 200);
}

/// However many ask for figures, the shards are asked ten times a second: who asks in between gets the next answer,
/// the same for all.
#[test]
fn figures_are_gathered_once_for_all_who_ask_meanwhile() {
    for path in ["/stats", "/metrics"] {
        let server = Server::start(&[("SHARDS", "1")]);
        let mut asking: Vec<Http> = (0..20).map(|_| Http::new(server.dial())).collect();
        let began = now();
        let requests = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").repeat(3);
        asking.iter_mut().for_each(|http| http.send(&requests));
        let mut bodies = BTreeSet::new();
        for http in &mut asking {
            bodies.extend((0..3).map(|_| http.response(false).body));
        }
        let gatherings = began.elapsed().as_millis() / u128::from(SITE_PAUSE_MS) + 2;
        assert!(bodies.len() as u128 <= gatherings, "{} bodies of {path}, at most {gatherings}", bodies.len());
    }
}

/// What is asked for is answered as it is when it is asked, however lately somebody else has asked.
#[test]
fn figures_are_never_older_than_the_question() {
    on_each(|server| {
        let mut http = Http::new(server.dial());
        let mut clients = Vec::new();
        for number in 1..=5 {
            clients.push(Client::join(server, &format!("c{number}"), &format!("r{number}")));
            http.send("GET /stats HTTP/1.1\r\nHost: test\r\n\r\nGET /health HTTP/1.1\r\nHost: test\r\n\r\n");
            let (stats, health) = (http.response(false).json(), http.response(false).json());
            assert_eq!((&stats["active_rooms"], &stats["active_connections"]), (&number.into(), &number.into()));
            assert_eq!(health["active_connections"], number);
        }
    });
}

#[test]
fn selections_of_any_room() {
    on_each(|server| {
        let empty = server.get("/room/nobody%20was%2Fhere/selections");
        assert_eq!(empty.json(), serde_json::json!({"room_id":"nobody was/here","selections":[],"count":0}));
        let mut client = Client::connect(server, "Ana");
        for number in 0..20 {
            let room = format!("r{number}");
            client.select(&room, "A1");
            client.json();
            let answer = server.get(&format!("/room/{room}/selections")).json();
            assert_eq!((&answer["count"], &answer["selections"][0]["client_id"]), (&1.into(), &"Ana".into()));
            assert_eq!(names(&answer), ["count", "room_id", "selections"]);
        }
        for room in ["%00", "%ff", &"x".repeat(129)] {
            assert_eq!(server.get(&format!("/room/{room}/selections")).status, 400, "{room}");
        }
    });
}

#[test]
fn what_there_is_not() {
    let server = Server::start(&[]);
    let check = |request: &str, status: u16| {
        let answer = ask(&server, &format!("{request}\r\nHost: test\r\n\r\n"));
        assert_eq!(answer.status, status, "{request}");
        if status >= 400 && !request.starts_with("HEAD") {
            assert!(answer.json()["error"].is_string(), "{request}");
        }
    };
    check("GET / HTTP/1.1", 200);
    check("GET /nothing HTTP/1.1", 404);
    check("GET /ws/ HTTP/1.1", 400);
    check("GET /room/r HTTP/1.1", 404);
    check("GET /health/ HTTP/1.1", 404);
    check("HEAD /nothing HTTP/1.1", 404);
    check("POST /health HTTP/1.1", 405);
    check("DELETE /room/r/selections HTTP/1.1", 405);
    check("GET /health HTTP/1.1\r\nContent-Length: 5", 413);
    check("GET /health HTTP/1.1\r\nTransfer-Encoding: chunked", 413);
    check("GET /health HTTP/2.0", 505);
    check("hello", 400);
    check("GET /ws/a HTTP/1.1", 426);
    check("OPTIONS /nothing HTTP/1.1", 404);
    check("OPTIONS /stats HTTP/1.1\r\nOrigin: https://x.example\r\nAccess-Control-Request-Method: GET", 204);
    let allowed = ask(&server, "POST / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(allowed.header("allow"), Some("GET, HEAD, OPTIONS"));
    let preflight =
        ask(&server, "OPTIONS /room/r/selections HTTP/1.1\r\nHost: test\r\nOrigin: https://x.example\r\n\r\n");
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
}

/// With one origin, that is what every answer says, whoever asks; it is the same for all, so there is nothing to vary
/// by.
#[test]
fn cross_origin_answers_name_the_origin_that_is_set() {
    let origin = "https://tickets.example";
    let server = Server::start(&[("CORS_ALLOW_ORIGIN", origin), ("SHARDS", "2"), ("MAX_CONNECTIONS", "1")]);
    let paths =
        ["/health", "/ready", "/stats", "/metrics", "/room/r/selections", "/room/s/selections", "/", "/nothing"];
    let gets = paths.map(|path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n"));
    let others = [
        "OPTIONS /stats HTTP/1.1\r\nHost: test\r\n",
        "POST /stats HTTP/1.1\r\nHost: test\r\n",
        "GET /ws/a HTTP/1.1\r\nHost: test\r\n",
        "rubbish\r\n",
    ];
    let check = |answer: &Response, what: &str| {
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{what}: {}", answer.head);
        let named = answer.head.to_ascii_lowercase().matches("access-control-allow-origin").count();
        assert_eq!((named, answer.header("vary")), (1, None), "{what}: {}", answer.head);
    };
    for request in gets.iter().map(String::as_str).chain(others) {
        check(&ask(&server, &format!("{request}\r\n")), request);
        check(&ask(&server, &format!("{request}Origin: https://elsewhere.example\r\n\r\n")), request);
    }
    let _inside = Client::connect_when_free(&server, "a");
    let refused = ask(&server, &upgrade("b", ""));
    assert_eq!(refused.status, 503);
    check(&refused, "a refused upgrade");
}

/// A page of another origin may not open a socket; a program, which names none, may.
#[test]
fn pages_of_other_origins_are_refused_when_some_are_listed() {
    let server =
        Server::start(&[("ALLOWED_ORIGINS", "https://tickets.example,http://localhost:3000"), ("SHARDS", "2")]);
    let from = |origin: &str| upgrade("a", "").replace("Host: test", &format!("Host: test\r\nOrigin: {origin}"));
    for origin in ["https://tickets.example", "http://localhost:3000"] {
        assert_eq!(ask(&server, &from(origin)).status, 101, "{origin}");
    }
    drop(Client::connect(&server, "a program"));
    for origin in ["https://evil.example", "https://tickets.example.evil.example", "http://tickets.example", "null"] {
        let answer = ask(&server, &from(origin));
        assert_eq!((answer.status, answer.header("connection")), (403, Some("close")), "{origin}");
        assert!(answer.json()["error"].as_str().expect("a text").contains("origin"));
    }
    assert_eq!(server.figure("refused_connections"), 4);
    // What else there is can be asked for from anywhere: who may read the answers, CORS says.
    let asked = ask(&server, "GET /health HTTP/1.1\r\nHost: test\r\nOrigin: https://evil.example\r\n\r\n");
    assert_eq!(asked.status, 200);
    let open = Server::start(&[]);
    assert_eq!(ask(&open, &from("https://evil.example")).status, 101);
}

#[test]
fn client_ids() {
    on_each(|server| {
        for id in ["a", "Ana María 🎭", "a/b", "100%", "?x=1", &"é".repeat(64)] {
            let mut client = Client::connect(server, id);
            client.enter("r");
            client.send(r#"{"type":"leave_room","room_id":"r"}"#);
            assert_eq!(client.json()["client_id"], *id);
        }
        let hidden = ["\u{202e}nimda", "Ana\u{200b}", "a\u{2028}b", "\u{feff}"];
        for id in
            ["", "a\u{0}", "line\nbreak", "\u{7f}", &"é".repeat(65), "system", "holder:x"].into_iter().chain(hidden)
        {
            let answer = ask(server, &upgrade(id, ""));
            assert_eq!(answer.status, 400, "{id:?}");
            assert!(answer.json()["error"].as_str().expect("a text").contains("client_id"), "{id:?}");
        }
        assert_eq!(ask(server, &upgrade("", "").replace("/ws/", "/ws/%ff%fe")).status, 400, "not UTF-8");
    });
}

#[test]
fn upgrades_that_are_none() {
    let server = Server::start(&[]);
    let good = upgrade("a", "");
    let check = |from: &str, to: &str, status: u16| {
        assert!(good.contains(from), "{from}");
        assert_eq!(ask(&server, &good.replace(from, to)).status, status, "{from} became {to}");
    };
    check("Version: 13", "Version: 8", 426);
    check("Upgrade: websocket", "Upgrade: h2c", 426);
    check("Connection: Upgrade", "Connection: close", 426);
    check("Connection: Upgrade", "Connection: close, Upgrade", 426);
    check("/ws/a", "/ws/a/b", 400);
    check("Host: test", "Host: test\r\nHost: test", 400);
    check("dGhlIHNhbXBsZSBub25jZQ==", "short", 400);
    check("HTTP/1.1", "HTTP/1.0", 426);
    check("GET", "HEAD", 426);
    let newer = ask(&server, &good.replace("Version: 13", "Version: 8"));
    assert_eq!(newer.header("sec-websocket-version"), Some("13"));
    assert_eq!((newer.header("upgrade"), newer.header("connection")), (Some("websocket"), Some("close, Upgrade")));
}

#[test]
fn kept_alive_pipelined_and_byte_by_byte() {
    on_each(|server| {
        let mut http = Http::new(server.dial());
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        for path in ["/health", "/stats", "/room/r/selections", "/room/s/selections", "/", "/nothing"] {
            http.send(&get(path));
            let answer = http.response(false);
            assert_eq!(answer.header("connection"), Some("keep-alive"), "{path}");
            http.send_byte_by_byte(&get(path));
            assert_eq!(http.response(false).status, answer.status);
        }
        let paths = ["/stats", "/health", "/room/r/selections", "/room/s/selections", "/nothing", "/stats", "/ready"];
        let requests: String = paths.iter().map(|path| get(path)).collect();
        http.send(&format!("{requests}HEAD /health HTTP/1.1\r\nHost: test\r\n\r\n"));
        let statuses: Vec<u16> = paths.iter().map(|_| http.response(false).status).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 404, 200, 200]);
        let head = http.response(true);
        assert!(head.header("content-length").is_some_and(|length| length != "0"), "HEAD tells the length");
        http.send(
            "GET /stats HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\nGET /health HTTP/1.1\r\nHost: test\r\n\r\n",
        );
        assert_eq!(http.response(false).header("connection"), Some("close"));
        assert!(http.try_response(false).is_none(), "nothing is answered behind the last answer");
        let mut old = Http::new(server.dial());
        old.send("GET /health HTTP/1.0\r\n\r\n");
        assert_eq!(old.response(false).header("connection"), Some("close"));
        assert!(old.try_response(false).is_none());
    });
}

/// HEAD is GET without the body, on every path; what follows on the connection is understood.
#[test]
fn head_has_no_body() {
    on_each(|server| {
        let paths = ["/", "/health", "/ready", "/stats", "/metrics", "/room/r/selections", "/room/s/selections", "/no"];
        let mut http = Http::new(server.dial());
        // No refusal has one either; the connection ends behind it.
        for (refused, status) in [
            ("HEAD /ws/a HTTP/1.1\r\nHost: test\r\n\r\n", 426),
            ("HEAD /ws/%00 HTTP/1.1\r\nHost: test\r\n\r\n", 400),
            ("HEAD /health HTTP/1.1\r\n\r\n", 400),
            ("HEAD /health HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n", 413),
            ("\r\nHEAD /health HTTP/1.1\r\nHost: test\r\nno colon\r\n\r\n", 400),
        ] {
            let mut http = Http::new(server.dial());
            http.send(refused);
            let answer = http.response(true);
            assert_eq!(answer.status, status, "{refused}");
            assert!(answer.header("content-length").is_some_and(|length| length != "0"), "{refused}");
            assert!(http.try_response(true).is_none(), "{refused}");
        }
        for path in paths {
            http.send(&format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\nGET /health HTTP/1.1\r\nHost: test\r\n\r\n"));
            let head = http.response(true);
            // Of figures nothing is made for the head alone.
            let is_made = !["/stats", "/metrics"].contains(&path);
            assert_eq!(head.header("content-length").is_some(), is_made, "{path}: {}", head.head);
            assert_ne!(head.header("content-length"), Some("0"), "{path}: {}", head.head);
            assert_eq!(http.response(false).json()["status"], "healthy", "after HEAD {path}");
        }
    });
}

/// A connection is kept for 1,000 requests; the last answer says so.
#[test]
fn a_kept_connection_ends_after_a_thousand_requests() {
    let server = Server::start(&[("SHARDS", "1")]);
    let mut http = Http::new(server.dial());
    http.send(&"GET /health HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1_000));
    for number in 1..=1_000 {
        let kept = if number < 1_000 { "keep-alive" } else { "close" };
        assert_eq!(http.response(false).header("connection"), Some(kept), "answer {number}");
    }
    assert!(http.try_response(false).is_none());
}

/// An HTTP client that says goodbye with its request, and a WebSocket behind HTTP requests on one connection.
#[test]
fn requests_and_then_something_else() {
    on_each(|server| {
        for path in ["/health", "/stats", "/room/r/selections", "/room/s/selections"] {
            let mut http = Http::new(server.dial());
            http.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
            http.half_close();
            assert_eq!(http.response(false).status, 200, "{path}");
            assert!(http.try_response(false).is_none(), "{path}");
        }
        let mut http = Http::new(server.dial());
        let paths = ["/health", "/stats", "/health", "/room/r/selections", "/room/s/selections", "/health"];
        http.send(&paths.map(|path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).concat());
        http.half_close();
        paths.iter().for_each(|path| assert_eq!(http.response(false).status, 200, "{path}"));
        assert!(http.try_response(false).is_none());
        let stream = server.dial();
        let mut http = Http::new(stream.try_clone().expect("a copy"));
        http.send("GET /stats HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(http.response(false).status, 200);
        let mut client = Client::connect_on(stream, "a", "");
        client.enter("r");
    });
}

#[test]
fn heads_at_their_bounds() {
    let server = Server::start(&[]);
    let headers = |count: usize| -> String { (0..count).map(|number| format!("X-{number}: y\r\n")).collect() };
    let check = |request: &str, status: u16| assert_eq!(ask(&server, request).status, status);
    check(&format!("GET /health HTTP/1.1\r\nHost: test\r\n{}\r\n", headers(63)), 200);
    check(&format!("GET /health HTTP/1.1\r\nHost: test\r\n{}\r\n", headers(64)), 431);
    let start = "GET /health HTTP/1.1\r\nHost: test\r\nX: ";
    let padding = |total: usize| "x".repeat(total - start.len() - 4);
    check(&format!("{start}{}\r\n\r\n", padding(16 * 1024)), 200);
    check(&format!("{start}{}\r\n\r\n", padding(16 * 1024 + 1)), 431);
    check(&format!("GET /{}", "x".repeat(16 * 1024)), 414);
    let whole = ask(&server, &format!("GET /{}", "x".repeat(16 * 1024)));
    assert!(whole.json()["error"].as_str().expect("a text").contains("16 KiB"));
}

/// HEAD tells the length of what GET brings, also of what is shared by all who ask: big rooms and files.
#[test]
fn head_tells_the_length_of_the_body() {
    on_each_with(&[("MAX_SEATS_PER_CLIENT", "0")], |server| {
        let mut client = Client::connect(server, "a");
        for number in 0..64 {
            for room in ["big", "other"] {
                client.select(room, &format!("{number} {}", "x".repeat(100)));
                client.json();
            }
        }
        let (big, other) = ("/room/big/selections", "/room/other/selections");
        let paths = [big, other, "/", "/static/butaca-page.js", "/static/butaca.svg"];
        let mut http = Http::new(server.dial());
        for path in paths.into_iter().chain(paths) {
            http.send(&format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\nGET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
            let length = http.response(true).header("content-length").map(str::to_owned);
            let answer = http.response(false);
            assert_eq!(length.as_deref(), answer.header("content-length"), "{path}");
            assert!(answer.status == 200 && !answer.body.is_empty(), "{path}");
        }
    });
}

/// Answers that nobody reads are not piled up: the requests behind them wait.
#[test]
fn answers_that_nobody_reads_wait_for_their_reader() {
    for shards in ["1", "2"] {
        let server =
            Server::start(&[("SHARDS", shards), ("MAX_SEATS_PER_CLIENT", "0"), ("OUTBOUND_QUEUE_BYTES", "65536")]);
        let mut client = Client::connect(&server, "a");
        for number in 0..500 {
            client.select("big", &format!("seat {number} {}", "x".repeat(80)));
        }
        (0..500).for_each(|_| assert_eq!(client.json()["type"], "seat_selected"));
        for path in ["/room/big/selections", "/static/butaca-page.js"] {
            let body = server.get(path).body.len() as u64;
            let requests = 500;
            let mut http = Http::new(server.dial());
            http.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").repeat(requests));
            for _ in 0..requests {
                assert_eq!(http.response(false).body.len() as u64, body);
            }
            let high_water = server.figures("outbound_queue_high_water").into_iter().max().expect("a shard");
            assert!(high_water < 65_536 + 2 * body, "{high_water} bytes were queued for one reader");
        }
    }
}
