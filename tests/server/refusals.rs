//! Every refusal: its code, what it repeats, and that it changes nothing and closes nothing.

use crate::harness::{Client, Server, Watcher};
use crate::harness::{check, client, room_on};

#[test]
fn what_is_no_request() {
    check(
        &[],
        &[
            (
                "bad_json",
                r#"
                a> not json
                a< {"type":"error","code":"bad_json"}
                a> [1,2]
                a< {"type":"error","code":"bad_json"}
                a> "ping"
                a< {"type":"error","code":"bad_json"}
                a> {"type":"ping"
                a< {"type":"error","code":"bad_json"}
                a> {"type":"ping"} {"type":"ping"}
                a< {"type":"error","code":"bad_json"}
                a* 81 80 00000000
                a< {"type":"error","code":"bad_json"}
                a> {"type":"ping"}
                a< {"type":"pong"}
                "#,
            ),
            (
                "unknown_type",
                r#"
                a> {"type":"sell_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"error","code":"unknown_type","request_type":"sell_seat","room_id":"$1","seat_id":"A1"}
                a> {"type":"PING"}
                a< {"type":"error","code":"unknown_type","request_type":"PING"}
                a> {"type":"room_joined","room_id":"$1","client_id":"x"}
                a< {"type":"error","code":"unknown_type","request_type":"room_joined","room_id":"$1"}
                "#,
            ),
            (
                "bad_request: fields that are missing or of the wrong type",
                r#"
                a> {}
                a< {"type":"error","code":"bad_request"}
                a> {"type":7}
                a< {"type":"error","code":"bad_request"}
                a> {"type":"join_room"}
                a< {"type":"error","code":"bad_request","request_type":"join_room"}
                a> {"type":"join_room","room_id":5}
                a< {"type":"error","code":"bad_request","request_type":"join_room"}
                a> {"type":"leave_room","room_id":null}
                a< {"type":"error","code":"bad_request","request_type":"leave_room"}
                a> {"type":"select_seat","room_id":"$1"}
                a< {"type":"error","code":"bad_request","request_type":"select_seat","room_id":"$1"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1","user_info":"Ana"}
                a< {"type":"error","code":"bad_request","request_type":"select_seat","room_id":"$1","seat_id":"A1"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1","user_info":null}
                a< {"type":"error","code":"bad_request","request_type":"select_seat","room_id":"$1","seat_id":"A1"}
                a> {"type":"release_seat","seat_id":"A1"}
                a< {"type":"error","code":"bad_request","request_type":"release_seat","seat_id":"A1"}
                GET /room/$1/selections {"room_id":"$1","selections":[],"count":0}
                "#,
            ),
            (
                "bad_request: ids that are none",
                r#"
                a> {"type":"join_room","room_id":""}
                a< {"type":"error","code":"bad_request","request_type":"join_room"}
                a> {"type":"join_room","room_id":"a\u0000b"}
                a< {"type":"error","code":"bad_request","request_type":"join_room"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"line\nbreak"}
                a< {"type":"error","code":"bad_request","request_type":"select_seat","room_id":"$1"}
                "#,
            ),
        ],
    );
}

#[test]
fn ids_and_user_info_at_their_bounds() {
    let (fits, too_long) = ("é".repeat(64), "é".repeat(65));
    let hidden = "A\u{202e}1";
    let name = |bytes: usize| "x".repeat(bytes - r#"{"name":""}"#.len());
    let (whole, beyond) = (name(4_096), name(4_097));
    let text = format!(
        r#"
        a> {{"type":"join_room","room_id":"{too_long}"}}
        a< {{"type":"error","code":"bad_request","request_type":"join_room"}}
        a> {{"type":"join_room","room_id":"{hidden}"}}
        a< {{"type":"error","code":"bad_request","request_type":"join_room"}}
        a> {{"type":"select_seat","room_id":"$1","seat_id":"{hidden}"}}
        a< {{"type":"error","code":"bad_request","request_type":"select_seat","room_id":"$1"}}
        a> {{"type":"release_seat","room_id":"$1","seat_id":"\u200dA1"}}
        a< {{"type":"error","code":"bad_request","request_type":"release_seat","room_id":"$1"}}
        a> {{"type":"leave_room","room_id":"{fits}"}}
        a< {{"type":"room_left","room_id":"{fits}","client_id":"a"}}
        a> {{"type":"select_seat","room_id":"$1","seat_id":"{fits}","user_info":{{"name":"{whole}"}}}}
        a< {{"type":"seat_selected","room_id":"$1","seat_id":"{fits}","client_id":"a"}}
        a> {{"type":"select_seat","room_id":"$1","seat_id":"A2","user_info":{{"name":"{beyond}"}}}}
        a< {{"type":"error","code":"bad_request","request_type":"select_seat","room_id":"$1","seat_id":"A2"}}
        GET /room/$1/selections {{"room_id":"$1","count":1,"selections":[{{"client_id":"a","seat_id":"{fits}","room_id":"$1","user_info":{{"name":"{whole}"}}}}]}}
        "#
    );
    check(&[], &[("bounds", &text)]);
}

#[test]
fn limit_exceeded_counts_one_room_of_one_connection() {
    check(
        &[("MAX_SEATS_PER_CLIENT", "2")],
        &[(
            "limit_exceeded",
            r#"
            a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
            a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a"}
            a> {"type":"select_seat","room_id":"$1","seat_id":"A2"}
            a< {"type":"seat_selected","seat_id":"A2","room_id":"$1","client_id":"a"}
            a> {"type":"select_seat","room_id":"$1","seat_id":"A3"}
            a< {"type":"error","code":"limit_exceeded","room_id":"$1","seat_id":"A3","request_type":"select_seat"}
            a> {"type":"select_seat","room_id":"$1","seat_id":"A2"}
            a< {"type":"seat_selected","seat_id":"A2","room_id":"$1","client_id":"a"}
            a> {"type":"select_seat","room_id":"$2","seat_id":"A3"}
            a< {"type":"seat_selected","seat_id":"A3","room_id":"$2","client_id":"a"}
            a> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
            a< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","reason":"released"}
            a> {"type":"select_seat","room_id":"$1","seat_id":"A3"}
            a< {"type":"seat_selected","seat_id":"A3","room_id":"$1","client_id":"a"}
            "#,
        )],
    );
}

/// 64 rooms a connection, and a refused join takes no place.
#[test]
fn overloaded_beyond_sixty_four_rooms() {
    for shards in 1..=2 {
        let server = Server::start(&[("SHARDS", &shards.to_string())]);
        let rooms: Vec<String> = (0..66).map(|number| room_on(number % shards, shards)).collect();
        let mut client = Client::connect(&server, "a");
        rooms[..64].iter().for_each(|room| drop(client.enter(room)));
        for _ in 0..100 {
            client.send(&client::join(&rooms[64]));
            let refusal = client.json();
            assert_eq!((&refusal["code"], &refusal["room_id"]), (&"overloaded".into(), &rooms[64].as_str().into()));
        }
        client.enter(&rooms[3]);
        for (left, room) in [(0, 64), (1, 65)] {
            client.send(&format!(r#"{{"type":"leave_room","room_id":"{}"}}"#, rooms[left]));
            assert_eq!(client.json()["type"], "room_left");
            client.enter(&rooms[room]);
        }
    }
}

/// Rooms in which a connection only holds seats count too; joins that are refused for it must take no place.
#[test]
fn a_refused_join_takes_no_place() {
    for owner in 0..2 {
        let server = Server::start(&[("SHARDS", "2")]);
        let home = room_on(0, 2);
        let mut client = Client::join(&server, "a", &home);
        let rooms: Vec<String> = (0..65).map(|_| room_on(owner, 2)).collect();
        let holds = if owner == 0 { 63 } else { 64 };
        for room in &rooms[..holds] {
            client.select(room, "A1");
            assert_eq!(client.json()["type"], "seat_selected");
        }
        for _ in 0..100 {
            client.send(&client::join(&rooms[64]));
            assert_eq!(client.json()["code"], "overloaded");
        }
        for room in &rooms[..holds] {
            client.release(room, "A1");
            assert_eq!(client.json()["type"], "seat_released");
        }
        client.enter(&rooms[64]);
    }
}

/// What of `user_info` strangers see, and that its numbers come back as they were written.
#[test]
fn user_info_is_shared_as_the_setting_says() {
    let written = r#"{"name":"Ana","card":"1234","n":[1.0,1e400,-0]}"#;
    for (setting, shared) in [("full", written), ("name", r#"{"name":"Ana"}"#), ("none", "{}")] {
        for shards in ["1", "2"] {
            let server = Server::start(&[("SHARDS", shards), ("BROADCAST_USER_INFO", setting)]);
            let mut other = Watcher::join(&server, "other", &["r"]);
            let mut actor = Client::join(&server, "actor", "r");
            actor.send(&format!(r#"{{"type":"select_seat","room_id":"r","seat_id":"A1","user_info":{written}}}"#));
            assert!(!actor.text().contains("user_info"), "the holder knows it");
            let member = format!(r#""user_info":{shared}"#);
            let news = other.client.text();
            assert!(news.contains(&member), "{setting}: {news}");
            let mut late = Client::join(&server, "late", "r");
            let state = late.text();
            assert!(state.contains(&member), "{setting}: {state}");
            let body = String::from_utf8(server.get("/room/r/selections").body).expect("text");
            assert!(body.contains(&member), "{setting}: {body}");
        }
    }
}
