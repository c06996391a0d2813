//! Connections that come as a crowd: their requests are there before they are accepted.

use crate::harness::client::{join, text_frame, upgrade};
use crate::harness::http::Http;
use crate::harness::{Client, Server, VARIANTS, room_on};

const CROWD: usize = 40;

/// The answers to what is read before the socket is watched may be more than it takes.
#[test]
fn answers_that_do_not_fit_the_socket() {
    let requests = "GET /static/butaca-page.js HTTP/1.1\r\nHost: test\r\n\r\n".repeat(30);
    for variant in VARIANTS {
        let server = Server::start(variant);
        let mut crowd: Vec<Http> = (0..CROWD)
            .map(|_| {
                let mut http = Http::new(server.dial());
                http.send(&requests);
                http
            })
            .collect();
        let body = server.get("/static/butaca-page.js").body;
        for http in &mut crowd {
            (0..30).for_each(|_| assert!(http.response(false).body == body));
        }
    }
}

/// An upgrade and the first message behind it, in one piece, wherever the room is.
#[test]
fn upgrades_with_a_message_behind_them() {
    for variant in VARIANTS {
        let server = Server::start(variant);
        let rooms = [room_on(0, 2), room_on(1, 2)];
        let mut crowd: Vec<Client> = (0..CROWD)
            .map(|number| {
                let room = &rooms[number % 2];
                let hint = if number % 4 < 2 { format!("?room={room}") } else { String::new() };
                let mut client = Client::unanswered(server.dial(), &format!("c{number}"));
                let mut bytes = upgrade(&client.id, &hint).into_bytes();
                bytes.extend(text_frame(&join(room)));
                client.write(&bytes);
                client
            })
            .collect();
        for (number, client) in crowd.iter_mut().enumerate() {
            client.upgraded();
            let answer = client.json();
            assert_eq!(
                (&answer["type"], &answer["room_id"]),
                (&"room_joined".into(), &rooms[number % 2].as_str().into())
            );
        }
        crowd[0].select(&rooms[0], "A1");
        for client in crowd.iter_mut().step_by(2) {
            assert_eq!(client.json()["type"], "seat_selected");
        }
    }
}
