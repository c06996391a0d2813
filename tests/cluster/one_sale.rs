//! Any node takes any socket: a room is one room, wherever its members are.

use crate::fan::Fan;
use crate::nodes::{Cluster, rooms};

#[test]
fn two_nodes_sell_the_same_rooms() {
    for durability in ["window", "durable"] {
        let cluster = Cluster::new(&[("DURABILITY", durability)]);
        let [a, b] = cluster.nodes(["a", "b"]);
        let rooms = rooms();
        let mut ana = Fan::join(&a, "ana", &rooms);
        let mut ben = Fan::join(&b, "ben", &rooms);
        for room in &rooms {
            assert_eq!(ana.select(room, "A1"), "seat_selected");
            ben.until_held(room, "A1", Some("ana"));
            assert_eq!(ben.select(room, "A1"), "seat_taken");
            assert_eq!(ben.select(room, "A2"), "seat_selected");
            ana.until_held(room, "A2", Some("ben"));
            assert_eq!(ana.release(room, "A2"), "not_owner");
            assert_eq!(ben.release(room, "A2"), "seat_released");
            ana.until_held(room, "A2", None);
        }
        drop(ana);
        for room in &rooms {
            ben.until_held(room, "A1", None);
            assert_eq!(ben.rooms[room].shown, 0, "{durability}: nobody was shown {room} anew");
        }
    }
}

/// Of many who want the same seat at the same time, on all nodes, one gets it.
#[test]
fn a_seat_has_one_winner() {
    let cluster = Cluster::new(&[]);
    let nodes = cluster.nodes(["a", "b", "c"]);
    let rooms = rooms();
    let mut fans: Vec<Fan> =
        (0..9).map(|number| Fan::join(&nodes[number % 3], &format!("fan-{number}"), &rooms)).collect();
    for room in &rooms {
        fans.iter_mut().for_each(|fan| fan.client.select(room, "A1"));
        let mut winners = Vec::new();
        for fan in &mut fans {
            let answer = loop {
                let message = fan.next();
                let is_own = message["client_id"] == fan.client.id.as_str() || message["type"] == "error";
                if message["room_id"] == room.as_str() && message["seat_id"] == "A1" && is_own {
                    break message;
                }
            };
            match answer["type"].as_str() {
                Some("seat_selected") => winners.push(fan.client.id.clone()),
                _ => assert_eq!(answer["code"], "seat_taken", "{answer}"),
            }
        }
        assert_eq!(winners.len(), 1, "{room}: {winners:?}");
        fans.iter_mut().for_each(|fan| fan.until_held(room, "A1", Some(&winners[0])));
    }
}
