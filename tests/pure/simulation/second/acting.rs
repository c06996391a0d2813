//! What chance lets clients of the second protocol do in a world, and what they must have at rest.

use butaca::node::{Opening, Random};

use super::client::Client;
use super::frames;
use super::requests::{Asked, Set};
use crate::simulation::client::Pace;
use crate::simulation::oracle::Oracle;
use crate::simulation::pipe::{Peer, Up};
use crate::simulation::world::{PIPELINED_MAX, World};
use kit::Chance;

impl World {
    /// The client connects, or sends so many requests at most.
    pub(crate) fn act_second(&mut self, client: usize, requests_max: usize) {
        let Some(pipe) = self.seconds[client].pipe else { return self.connect_second(client) };
        if self.shared.pipes[pipe].is_closed {
            return;
        }
        for _ in 0..self.shared.chance.between(1, requests_max) {
            let (rooms, seats) = (self.rooms, self.seats);
            let asked = choose(&mut self.shared.chance, &self.seconds[client], rooms, seats);
            self.ask_second(client, asked);
        }
    }

    fn ask_second(&mut self, client: usize, asked: Asked) {
        let Some(pipe) = self.seconds[client].pipe else { return };
        let up = &mut self.shared.pipes[pipe].up;
        if up.len() < PIPELINED_MAX {
            let id = self.seconds[client].ask(asked.clone());
            up.push_back(Up::Second(id, asked));
        }
    }

    fn connect_second(&mut self, client: usize) {
        let (pipe, pace) = self.new_pipe();
        let chance = &mut self.shared.chance;
        let session = u128::from(chance.next()) << 64 | u128::from(chance.next());
        let random = Random { session, incarnation: chance.next() };
        let of = &mut self.seconds[client];
        of.connect(pipe, pace);
        let name = of.name;
        self.accept(pipe, name, Opening::Second(random));
        let chance = &mut self.shared.chance;
        if self.seconds[client].proof.is_some() && chance.percent(80) {
            let rooms = Set(u8::try_from(chance.below(1 << self.rooms)).expect("few rooms"));
            if let Some(resume) = resume(chance, &self.seconds[client], rooms) {
                self.ask_second(client, resume);
            }
        }
    }

    pub(crate) fn drop_second(&mut self, client: usize, peer: Peer, what: &'static str) {
        if let Some(pipe) = self.seconds[client].pipe {
            self.shared.note(what);
            self.shared.pipes[pipe].peer = peer;
            self.seconds[client].disconnect();
        }
    }

    /// A client reads some of what has come, or all of it.
    pub(crate) fn second_reads(&mut self, client: usize, all: bool) {
        let client = &mut self.seconds[client];
        let Some(number) = client.pipe else { return };
        let pipe = &mut self.shared.pipes[number];
        let count = match client.pace {
            _ if all => pipe.down.len(),
            Pace::Fast => pipe.down.len(),
            Pace::Slow => self.shared.chance.below(250).min(pipe.down.len()),
            Pace::Never => return,
        };
        client.inbox.extend(pipe.down.drain(..count));
        let is_over = pipe.is_closed && pipe.down.is_empty();
        let oracle = self.shared.oracle();
        while let Some((id, message)) = frames::read(&mut client.inbox) {
            client.read(id, message, &oracle);
        }
        drop(oracle);
        if is_over {
            let is_said = matches!(client.closed, Some(1001 | 4505));
            assert!(!self.is_draining || is_said, "a drain that says no goodbye: {:?}", client.closed);
            if client.closed == Some(4505) && self.shared.chance.percent(50) {
                client.proof = None;
            }
            client.disconnect();
        }
    }

    /// Everybody has read everything: every request is answered, and maps and carts are the truth.
    pub(crate) fn check_seconds_at_rest(&self, oracle: &Oracle) {
        for client in &self.seconds {
            assert!(client.open.is_empty() && client.inbox.is_empty(), "requests without a reply: {:?}", client.open);
            for (&room, known) in &client.rooms {
                let present = oracle.present(room);
                assert_eq!(Some((known.epoch, known.seq)), present, "the last that is known of room {room}");
                client.check_map(room, oracle);
            }
            let (Some(pipe), Some(me)) = (client.pipe, &client.me) else { continue };
            for (&room, cart) in &client.carts {
                let Some(truth) = oracle.cart_told_to(&me.session, room, pipe) else { continue };
                assert_eq!((cart.seats.clone(), cart.expires_at), truth, "the cart in room {room}");
            }
        }
    }
}

fn seat_set(chance: &mut Chance, seats: usize, most: usize) -> Set {
    Set::of((0..chance.between(1, most)).map(|_| chance.below(seats)).collect::<Vec<_>>())
}

/// To go on with a session: with its proof, or with one that is none.
fn resume(chance: &mut Chance, client: &Client, rooms: Set) -> Option<Asked> {
    let mut token = client.proof.as_ref()?.token.clone();
    if chance.percent(10) {
        let at = chance.below(token.len() - 1);
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        token.replace_range(at..=at, other);
    }
    Some(Asked::Resume { token, rooms })
}

fn choose(chance: &mut Chance, client: &Client, rooms: usize, seats: usize) -> Asked {
    let room = chance.below(rooms);
    let own = client.carts.get(&room).map(|cart| Set::of(cart.seats.iter().copied())).unwrap_or_default();
    match chance.below(100) {
        0..25 => {
            let since = client.since(room).filter(|_| chance.percent(80));
            Asked::Join { room, since }
        }
        25..32 => Asked::Leave(room),
        32..62 => {
            let seats = seat_set(chance, seats, 3);
            let release = if chance.percent(30) { own.without(seats) } else { Set::default() };
            let release = if chance.percent(5) { seat_set(chance, 5, 2) } else { release };
            Asked::Select { room, seats, release }
        }
        62..74 if !own.is_empty() => {
            let some = own.without(Set(1 << chance.below(8)));
            Asked::Release { room, seats: if some.is_empty() { own } else { some } }
        }
        62..76 => Asked::Release { room, seats: seat_set(chance, seats, 2) },
        76..82 => Asked::ReleaseAll(room),
        82..88 => Asked::Extend(room),
        88..92 => Asked::Sync(room),
        92..94 => {
            let rooms = Set(u8::try_from(chance.below(1 << rooms)).expect("few rooms"));
            resume(chance, client, rooms).unwrap_or(Asked::Ping)
        }
        94..96 => Asked::Bad,
        _ => Asked::Ping,
    }
}
