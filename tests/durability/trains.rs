//! Replies come in the order of requests, also while each waits for a commit in Redis.

use crate::harness::train::Train;
use crate::harness::{Client, room_on, unique};
use crate::home::Home;

#[test]
fn replies_come_in_the_order_of_requests_with_redis() {
    for (durability, shards) in [("durable", "1"), ("durable", "2"), ("window", "2")] {
        let mut home = Home::redis(durability);
        home.set("SHARDS", shards);
        home.set("MAX_SEATS_PER_CLIENT", "0");
        let server = home.start();
        for seed in 10..12 {
            let rooms = [room_on(0, 2), room_on(1, 2), room_on(0, 2), unique("r")];
            let mut client = Client::connect(&server, "a");
            Train::new(seed, &rooms, 300).run(&mut client, &format!("{durability}, {shards} shards, seed {seed}"));
        }
    }
}
