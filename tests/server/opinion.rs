//! A second opinion: tungstenite's client, which shares no line with ours, talks to the server.

use std::net::TcpStream;

use serde_json::Value;
use tungstenite::{Message, WebSocket};

use crate::harness::{Server, VARIANTS};

fn connect(server: &Server, id: &str) -> WebSocket<TcpStream> {
    let url = format!("ws://{}/ws/{id}", server.address);
    tungstenite::client(url, server.dial()).expect("an upgrade").0
}

fn ask(socket: &mut WebSocket<TcpStream>, text: &str) -> Value {
    socket.send(Message::text(text)).expect("it is sent");
    json(socket)
}

fn json(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        match socket.read().expect("a message") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other}"),
        }
    }
}

#[test]
fn tungstenite_understands_everything() {
    for variant in VARIANTS {
        let server = Server::start(variant);
        let mut one = connect(&server, "one");
        let mut two = connect(&server, "two");
        assert_eq!(ask(&mut one, r#"{"type":"join_room","room_id":"r"}"#)["type"], "room_joined");
        assert_eq!(ask(&mut two, r#"{"type":"join_room","room_id":"r"}"#)["type"], "room_joined");
        let info = "x".repeat(4_000);
        let select =
            format!(r#"{{"type":"select_seat","room_id":"r","seat_id":"A1","user_info":{{"name":"{info}"}}}}"#);
        assert_eq!(ask(&mut one, &select)["type"], "seat_selected");
        assert_eq!(json(&mut two)["user_info"]["name"], info, "a frame with a length of two bytes");
        assert_eq!(ask(&mut two, &select)["code"], "seat_taken");
        assert_eq!(ask(&mut two, r#"{"type":"ping"}"#)["type"], "pong");
        one.send(Message::Ping(b"hello".to_vec().into())).expect("it is sent");
        assert_eq!(one.read().expect("a pong"), Message::Pong(b"hello".to_vec().into()));
        // So many seats that the full state needs a length of eight bytes.
        for number in 0..9 {
            for name in ["two"] {
                let seat = format!("{name} {number}");
                let select = select.replace("A1", &seat);
                assert_eq!(ask(&mut two, &select)["seat_id"], seat);
            }
        }
        let mut rooms = 0;
        while rooms < 9 {
            rooms += u32::from(json(&mut one)["type"] == "seat_selected");
        }
        let mut three = connect(&server, "three");
        ask(&mut three, &select.replace("A1", "B1"));
        (0..8).for_each(|number| drop(ask(&mut three, &select.replace("A1", &format!("B{}", number + 2)))));
        assert_eq!(ask(&mut three, r#"{"type":"join_room","room_id":"r"}"#)["type"], "room_joined");
        assert_eq!(json(&mut three)["selections"].as_array().map(Vec::len), Some(19));
        one.close(None).expect("it is sent");
        let end = loop {
            match one.read() {
                Ok(Message::Close(frame)) => break frame.map(|frame| u16::from(frame.code)),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(end, Some(1000));
    }
}
