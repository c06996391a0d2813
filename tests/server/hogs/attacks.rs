//! The attacks. Each is bounded in number and time, and returns the sockets that stay open until the end.
//!
//! Never here: judgement.

use std::time::Duration;

use super::sockets::Hostile;
use super::{api, second};
use crate::harness::Server;
use crate::harness::client::{frame, join, release, select};
use crate::harness::wait::now;

/// Where an attack happens, and how large it is.
pub(super) struct Scene<'a> {
    pub(super) server: &'a Server,
    pub(super) full: bool,
}

impl Scene<'_> {
    /// The full number, or the small one.
    pub(super) fn many(&self, full: usize, small: usize) -> usize {
        if self.full { full } else { small }
    }

    fn open(&self, id: &str) -> Hostile {
        Hostile::open(self.server, id, false)
    }

    /// One with a narrow window.
    fn mute(&self, id: &str) -> Hostile {
        Hostile::open(self.server, id, true)
    }

    /// Does something again and again for a while.
    pub(super) fn for_a_while(&self, mut what: impl FnMut()) {
        let (began, time) = (now(), Duration::from_millis(if self.full { 4_000 } else { 400 }));
        while began.elapsed() < time {
            what();
        }
    }

    /// So many connections that hold ten seats with long names in the room each.
    fn hoard(&self, room: &str, conns: usize) -> Vec<Hostile> {
        let hold = |number| {
            let mut holder = self.open(&format!("h{number}"));
            holder.train((0..10).map(|seat| long_select(room, &format!("{number} {seat}"))));
            holder
        };
        let holders = (0..conns).map(hold).collect();
        let text = format!("/room/{room}/selections");
        crate::harness::eventually("the seats are held", || {
            let count = self.server.get(&text).json()["count"].as_u64()?;
            (count >= conns as u64 * 10).then_some(())
        });
        holders
    }
}

/// One attack.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) settings: &'static [(&'static str, &'static str)],
    /// What is there before the attack, and is no part of it.
    pub(super) prepare: fn(&Scene<'_>),
    pub(super) run: fn(&Scene<'_>) -> Vec<Hostile>,
}

const MEMORY: &[(&str, &str)] = &[];
const DURABLE: &[(&str, &str)] = &[("STORE", "embedded"), ("DURABILITY", "durable")];
const FULL_HOUSE: &[(&str, &str)] = &[("MAX_CONNECTIONS", "100")];

pub(super) const ATTACKS: &[Attack] = &[
    Attack { name: "joins behind a select, durable", settings: DURABLE, prepare: nothing, run: join_train },
    Attack { name: "JSON that is dear to read", settings: MEMORY, prepare: nothing, run: dear_json },
    Attack { name: "joining again and not reading", settings: MEMORY, prepare: nothing, run: join_unread },
    Attack { name: "refusals that nobody reads", settings: MEMORY, prepare: nothing, run: refusals_unread },
    Attack { name: "joining again and reading", settings: MEMORY, prepare: nothing, run: join_and_read },
    Attack { name: "select and release in a large room, 4 KiB", settings: MEMORY, prepare: nothing, run: large_room },
    Attack { name: "a stream of joiners who do not read", settings: MEMORY, prepare: nothing, run: joiners },
    Attack { name: "GET selections, not read", settings: MEMORY, prepare: nothing, run: get_selections },
    Attack { name: "HEAD selections, pipelined", settings: MEMORY, prepare: nothing, run: head_selections },
    Attack { name: "joins that wait for the store", settings: DURABLE, prepare: nothing, run: withheld_joins },
    Attack { name: "logs of many rooms, pongs and no reading", settings: MEMORY, prepare: nothing, run: logs },
    Attack { name: "/stats, pipelined", settings: MEMORY, prepare: nothing, run: stats },
    Attack { name: "holds with all the user_info that fits", settings: MEMORY, prepare: nothing, run: holds },
    Attack {
        name: "half a request head, more than there are places",
        settings: FULL_HOUSE,
        prepare: nothing,
        run: half_heads,
    },
    Attack { name: "WebSocket pings", settings: MEMORY, prepare: nothing, run: pings },
    Attack { name: "fragments that never end", settings: MEMORY, prepare: nothing, run: fragments },
    Attack { name: "many rooms with the longest names", settings: MEMORY, prepare: nothing, run: long_rooms },
    Attack { name: "joining and leaving 64 rooms", settings: MEMORY, prepare: nothing, run: churn },
    Attack { name: "HEAD pipelined, half closed", settings: MEMORY, prepare: nothing, run: half_closed },
    Attack { name: "connecting and resetting", settings: MEMORY, prepare: nothing, run: resets },
    Attack { name: "a full state for each change, under one name", settings: MEMORY, prepare: nothing, run: versions },
    Attack {
        name: "select and release trains, durable, not read",
        settings: DURABLE,
        prepare: nothing,
        run: withheld_changes,
    },
    Attack { name: "reading a byte at a time", settings: MEMORY, prepare: nothing, run: sippers },
    Attack { name: "the page, not read", settings: MEMORY, prepare: nothing, run: page },
    Attack { name: "a burst in each of many rooms", settings: MEMORY, prepare: nothing, run: bursts },
    Attack {
        name: "v2: a fresh map again and again, not read",
        settings: MEMORY,
        prepare: second::stadium,
        run: second::syncs,
    },
    Attack {
        name: "v2: joining and leaving a hall of 50,000",
        settings: MEMORY,
        prepare: second::stadium,
        run: second::joins_and_leaves,
    },
    Attack {
        name: "v2: going on as sessions, proven and not",
        settings: MEMORY,
        prepare: nothing,
        run: second::resumes,
    },
    Attack { name: "v2: histories of many rooms", settings: MEMORY, prepare: nothing, run: second::histories },
    Attack { name: "API: bodies that do not end", settings: MEMORY, prepare: nothing, run: api::half_bodies },
    Attack { name: "API: plans that are dear to read", settings: MEMORY, prepare: nothing, run: api::plans },
    Attack { name: "API: readers of events who do not read", settings: MEMORY, prepare: nothing, run: api::readers },
    Attack { name: "API: long answers, not read", settings: MEMORY, prepare: second::stadium, run: api::unread },
    Attack { name: "API: half a head, more than places", settings: MEMORY, prepare: nothing, run: api::half_heads },
];

fn nothing(_: &Scene<'_>) {}

fn long_select(room: &str, seat: &str) -> String {
    let name = "y".repeat(4_000);
    format!(r#"{{"type":"select_seat","room_id":"{room}","seat_id":"{seat}","user_info":{{"x":"{name}"}}}}"#)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn head(path: &str) -> String {
    format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn join_train(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |number| {
        let mut socket = scene.open(&format!("t{number}"));
        let room = format!("train {number}");
        socket.train(std::iter::once(select(&room, "A")).chain(std::iter::repeat_n(join(&room), 1_000)));
        socket.drain();
        socket
    };
    (0..scene.many(20, 3)).map(one).collect()
}

fn dear_json(scene: &Scene<'_>) -> Vec<Hostile> {
    let text = format!(r#"{{"type":"x","a":1e400,"b":[{}0]}}"#, "1e400,".repeat(6_000));
    let mut sockets: Vec<Hostile> = (0..scene.many(8, 2)).map(|number| scene.open(&format!("j{number}"))).collect();
    scene.for_a_while(|| {
        for socket in &mut sockets {
            socket.train([text.clone()]);
            socket.sip(64 * 1024);
        }
    });
    sockets
}

fn join_unread(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("rj", 6);
    for number in 0..scene.many(1_000, 100) {
        let mut socket = scene.mute(&format!("j{number}"));
        socket.train((0..3).map(|_| join("rj")));
        kept.push(socket);
    }
    kept
}

fn refusals_unread(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |number| {
        let mut socket = scene.mute(&format!("r{number}"));
        let seat = "s".repeat(128);
        let train: Vec<String> = (0..100).map(|_| release("r", &seat)).collect();
        (0..30).all(|_| socket.train(train.iter().cloned()));
        socket
    };
    (0..scene.many(600, 30)).map(one).collect()
}

fn join_and_read(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("rr", 6);
    let mut joiners: Vec<Hostile> = (0..scene.many(20, 5)).map(|number| scene.open(&format!("j{number}"))).collect();
    scene.for_a_while(|| {
        for socket in &mut joiners {
            socket.train((0..200).map(|_| join("rr")));
            socket.sip(256 * 1024);
        }
    });
    kept.append(&mut joiners);
    kept
}

fn large_room(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut members: Vec<Hostile> =
        (0..scene.many(1_000, 100)).map(|number| scene.open(&format!("m{number}"))).collect();
    members.iter_mut().for_each(|member| _ = member.train([join("large")]));
    let mut actor = scene.open("actor");
    scene.for_a_while(|| {
        actor.train((0..20).flat_map(|_| [long_select("large", "A"), release("large", "A")]));
        actor.sip(256 * 1024);
    });
    members.push(actor);
    members
}

fn joiners(scene: &Scene<'_>) -> Vec<Hostile> {
    let holders = scene.hoard("rs", 7);
    let mut waves: Vec<Vec<Hostile>> = Vec::new();
    scene.for_a_while(|| {
        let join_one = |number| {
            let mut socket = scene.mute(&format!("j{number}"));
            socket.train([join("rs")]);
            socket
        };
        waves.push((0..scene.many(40, 10)).map(join_one).collect());
        if waves.len() > 8 {
            waves.remove(0);
        }
    });
    holders
}

fn get_selections(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("hoard", scene.many(120, 20));
    for _ in 0..scene.many(400, 60) {
        let mut socket = Hostile::dial(scene.server, true);
        socket.push(get("/room/hoard/selections").as_bytes());
        kept.push(socket);
    }
    kept
}

fn head_selections(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("hoard", scene.many(120, 20));
    for _ in 0..3 {
        let mut socket = Hostile::dial(scene.server, false);
        socket.push(head("/room/hoard/selections").repeat(scene.many(300, 100)).as_bytes());
        socket.drain();
        kept.push(socket);
    }
    kept
}

fn withheld_joins(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("big", scene.many(20, 10));
    let mut sockets: Vec<Hostile> = (0..scene.many(100, 20)).map(|number| scene.mute(&format!("j{number}"))).collect();
    sockets.iter_mut().for_each(|socket| _ = socket.train([join("big")]));
    for (number, socket) in sockets.iter_mut().enumerate() {
        let own = long_select("big", &format!("own {number}"));
        socket.train(std::iter::once(own).chain((0..60).map(|_| join("big"))));
    }
    kept.append(&mut sockets);
    kept
}

fn logs(scene: &Scene<'_>) -> Vec<Hostile> {
    let members = scene.many(30, 4);
    let member = |number| {
        let mut socket = scene.mute(&format!("m{number}"));
        socket.train((0..64).map(|room| join(&format!("log {number} {room}"))));
        socket
    };
    let mut kept: Vec<Hostile> = (0..members).map(member).collect();
    let mut writers: Vec<Hostile> = (0..8).map(|number| scene.open(&format!("w{number}"))).collect();
    for number in 0..members {
        for room in 0..64 {
            let room_id = format!("log {number} {room}");
            let writer = &mut writers[room % 8];
            writer.train((0..25).flat_map(|_| [long_select(&room_id, "A"), release(&room_id, "A")]));
            writer.sip(1024 * 1024);
        }
        kept[number].push(&frame(0x8a, b""));
    }
    kept.append(&mut writers);
    kept
}

fn stats(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept: Vec<Hostile> = (0..scene.many(200, 20)).map(|number| scene.open(&format!("c{number}"))).collect();
    for (number, socket) in kept.iter_mut().enumerate() {
        socket.train((0..scene.many(60, 20)).map(|room| join(&format!("stats {number} {room}"))));
    }
    let mut askers: Vec<Hostile> = (0..scene.many(50, 10)).map(|_| Hostile::dial(scene.server, false)).collect();
    scene.for_a_while(|| {
        for socket in &mut askers {
            socket.push(get("/stats").repeat(5).as_bytes());
            socket.sip(256 * 1024);
        }
    });
    kept.append(&mut askers);
    kept
}

fn holds(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |number| {
        let mut socket = scene.open(&format!("h{number}"));
        for room in 0..scene.many(64, 8) {
            let room = format!("holds {number} {room}");
            socket.train((0..10).map(|seat| long_select(&room, &seat.to_string())));
            socket.sip(64 * 1024);
        }
        socket.drain();
        socket
    };
    (0..scene.many(100, 10)).map(one).collect()
}

fn half_heads(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |_| {
        let mut socket = Hostile::dial(scene.server, false);
        socket.push(b"GET /health HTTP/1.1\r\nHost:");
        socket
    };
    // Fewer than the places that are left: the innocent is in, and `/health` is asked for at the end.
    (0..scene.many(220, 110)).map(one).collect()
}

fn pings(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut sockets: Vec<Hostile> = (0..scene.many(40, 5)).map(|number| scene.open(&format!("p{number}"))).collect();
    let train: Vec<u8> = frame(0x89, b"").repeat(2_000);
    scene.for_a_while(|| {
        for socket in &mut sockets {
            socket.push(&train);
            socket.sip(64 * 1024);
        }
    });
    sockets
}

fn fragments(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |number| {
        let mut socket = scene.open(&format!("f{number}"));
        socket.push(&frame(0x01, &[b'x'; 30 * 1024]));
        socket.push(&frame(0x00, b"x").repeat(1_000));
        // A frame of which a half never comes.
        socket.push(&frame(0x00, &[b'x'; 30 * 1024])[..20 * 1024]);
        socket
    };
    (0..scene.many(1_000, 100)).map(one).collect()
}

fn long_rooms(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |number: usize| {
        let mut socket = scene.open(&format!("l{number}"));
        socket.train((0..60).map(|room| select(&format!("{number:064}{room:064}"), &"s".repeat(128))));
        socket.drain();
        socket
    };
    (0..scene.many(400, 20)).map(one).collect()
}

fn churn(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut sockets: Vec<Hostile> = (0..scene.many(40, 5)).map(|number| scene.open(&format!("c{number}"))).collect();
    let leave = |room: usize| format!(r#"{{"type":"leave_room","room_id":"churn {room}"}}"#);
    scene.for_a_while(|| {
        for socket in &mut sockets {
            socket.train((0..64).map(|room| join(&format!("churn {room}"))));
            socket.train((0..64).map(leave));
            socket.sip(64 * 1024);
        }
    });
    sockets
}

fn half_closed(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("half", 10);
    for _ in 0..scene.many(300, 30) {
        let mut socket = Hostile::dial(scene.server, true);
        socket.push(head("/room/half/selections").repeat(50).as_bytes());
        socket.half_close();
        kept.push(socket);
    }
    kept
}

fn resets(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut number = 0;
    scene.for_a_while(|| {
        number += 1;
        let mut socket = scene.open(&format!("r{number}"));
        socket.train([join("resets"), long_select("resets", &number.to_string())]);
        socket.reset();
    });
    Vec::new()
}

fn versions(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("versions", scene.many(60, 20));
    let mut actor = scene.open("same");
    for _ in 0..scene.many(600, 60) {
        actor.train([select("versions", "A"), release("versions", "A")]);
        actor.sip(64 * 1024);
        let mut socket = scene.mute("same");
        socket.train([join("versions")]);
        kept.push(socket);
    }
    kept.push(actor);
    kept
}

fn withheld_changes(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut sockets: Vec<Hostile> = (0..scene.many(100, 10)).map(|number| scene.mute(&format!("w{number}"))).collect();
    for (number, socket) in sockets.iter_mut().enumerate() {
        let room = format!("withheld {number}");
        socket.train((0..300).flat_map(|_| [long_select(&room, "A"), release(&room, "A")]));
    }
    sockets
}

fn sippers(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut kept = scene.hoard("sip", 20);
    let mut sockets: Vec<Hostile> = (0..scene.many(200, 30)).map(|number| scene.mute(&format!("s{number}"))).collect();
    sockets.iter_mut().for_each(|socket| _ = socket.train([join("sip")]));
    scene.for_a_while(|| sockets.iter_mut().for_each(|socket| socket.sip(1)));
    kept.append(&mut sockets);
    kept
}

fn page(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |_| {
        let mut socket = Hostile::dial(scene.server, true);
        socket.push(get("/").repeat(20).as_bytes());
        socket
    };
    (0..scene.many(1_000, 100)).map(one).collect()
}

fn bursts(scene: &Scene<'_>) -> Vec<Hostile> {
    let one = |number| {
        let mut socket = scene.open(&format!("b{number}"));
        for room in 0..scene.many(60, 20) {
            let room = format!("burst {number} {room}");
            let burst = (0..7).flat_map(|_| [long_select(&room, "A"), release(&room, "A")]);
            socket.train(std::iter::once(join(&room)).chain(burst));
            socket.sip(256 * 1024);
        }
        socket
    };
    (0..scene.many(150, 10)).map(one).collect()
}
