//! Two shards share the work of a room with many members.

use crate::harness::{Client, Server, Watcher, room_on};

const MEMBERS: usize = 1_000;
const EVENTS: u64 = 20;

/// What the counters grew by, for each shard.
fn growth(now: &[u64], before: &[u64]) -> Vec<u64> {
    now.iter().zip(before).map(|(now, before)| now - before).collect()
}

#[test]
fn a_thousand_members_are_shared_by_two_shards() {
    for owner in 0..2 {
        let server = Server::start(&[("SHARDS", "2"), ("MAX_SEATS_PER_CLIENT", "0")]);
        let room = room_on(owner, 2);
        let mut members: Vec<Watcher> =
            (0..MEMBERS).map(|number| Watcher::join(&server, &format!("m{number}"), &[&room])).collect();
        let mut actor = Client::join(&server, "actor", &room);
        let (deliveries, mail) = (server.figures("deliveries"), server.figure("mesh_sent"));
        for number in 0..EVENTS {
            actor.select(&room, &format!("S{number}"));
            assert_eq!(actor.json()["type"], "seat_selected");
        }
        members.iter_mut().for_each(|member| member.until_seq(&room, EVENTS));
        let delivered = growth(&server.figures("deliveries"), &deliveries);
        assert_eq!(delivered.iter().sum::<u64>(), EVENTS * (MEMBERS as u64 + 1), "everybody got every event");
        let (least, most) = (delivered[0].min(delivered[1]), delivered[0].max(delivered[1]));
        // Which shard accepts is chance with a deviation of 16 members: two thirds leaves room for more than four of
        // them.
        assert!(least * 3 >= most * 2, "both shards deliver a fair share: {delivered:?}");
        // A command may cross, and its news cross once; each of the two questions for the figures is two letters twice.
        let mail = server.figure("mesh_sent") - mail;
        assert!(mail <= 2 * EVENTS + 8, "{mail} letters for {EVENTS} events and {MEMBERS} members");
    }
}
