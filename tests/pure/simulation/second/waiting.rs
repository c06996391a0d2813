//! A member that waits for the map of its room while something of it is not answered: rarer in a run than a test may
//! be.

use std::sync::{Arc, Mutex};

use butaca::audience::budget::Budget;
use butaca::audience::pace::Pace as PassPace;
use butaca::auth::session::SessionTokens;
use butaca::engine::ids::ShardId;
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::node::hot::HotRooms;
use butaca::node::observer::Observer;
use butaca::node::{self, Bounds, Event, Node, Opening, Random, SecondRules, Source};
use butaca::wire::message::BroadcastUserInfo;

use super::client::Client;
use super::frames;
use super::requests::{Asked, Set};
use crate::simulation::client::Pace;
use crate::simulation::frames::SECOND_NAMES;
use crate::simulation::oracle::Oracle;
use crate::simulation::pipe::{Pipe, Up};
use crate::simulation::shell::{Shared, Shell};
use crate::simulation::store::Store;
use kit::Chance;

struct Scene {
    shell: Shell,
    shared: Shared,
    store: Store,
    client: Client,
    now: Now,
}

impl Scene {
    /// One client of a durable server that remembers one change a room.
    fn new() -> Self {
        let id = ShardId::new(0);
        let now = Now { mono: Millis(1), wall: WallMillis(1_768_473_000_000) };
        let rules = Rules { hold_ttl_ms: 60_000, seats_per_client_max: 0 };
        let oracle = Arc::new(Mutex::new(Oracle::new(rules, CartRules::default(), 1)));
        let store = Store::new(1, now);
        let node_rules = node::Rules {
            share: BroadcastUserInfo::Full,
            pace: PassPace { factor: 0, max_ns: 0 },
            hot_room_members: 3,
            slow_consumer_ms: 0,
            silence_ms: 60_000,
            hold_ttl_ms: rules.hold_ttl_ms,
            restore_grace_ms: 1,
            is_durable: true,
            second: SecondRules { ring_max: 1, ..SecondRules::default() },
        };
        let seats = Shard::new(id, 1, Seeds::replayed(1, id), rules);
        let (hot, budget, link) = (HotRooms::default(), Budget::default(), Some(Arc::clone(&store.link)));
        let bounds = Bounds::default();
        let parts = node::Parts { id, shards: 1, rules: node_rules, bounds, seats, hot, budget, store: link };
        let mut node = Node::new(parts).with_tokens(SessionTokens::new([1, 1]));
        let ear = Arc::clone(&oracle);
        node.observe(Observer::new(move |observed| ear.lock().expect("one thread").hear(id, observed)));
        let (pipes, happened) = (vec![Pipe::new(100_000)], std::collections::BTreeMap::new());
        let shared = Shared { chance: Chance::new(1), pipes, oracle, happened };
        let mut client = Client::new(SECOND_NAMES);
        client.connect(0, Pace::Fast);
        let mut scene = Self { shell: Shell::new(id, 1, node), shared, store, client, now };
        scene.turn(true);
        let opening = Opening::Second(Random { session: 1, incarnation: 1 });
        scene.shell.accept(0, (SECOND_NAMES, opening), None, &mut scene.shared);
        scene
    }

    fn ask(&mut self, asked: Asked) {
        let id = self.client.ask(asked.clone());
        self.shared.pipes[0].up.push_back(Up::Second(id, asked));
        self.shell.read(0, true, &mut self.shared);
    }

    /// A turn, `ticks`: behind which every room has its tick. The store commits what it has.
    fn turn(&mut self, commits: bool) {
        self.now = Now { mono: self.now.mono.after(200), wall: self.now.wall.after(200) };
        self.shell.begin_turn(self.now);
        self.shell.node.hand_over_changes();
        if commits {
            self.store.work(self.now);
            self.store.work(self.now);
        }
        self.shell.handle(Event::Store, &mut self.shared);
        self.shell.note_writable(&mut self.shared);
        self.shell.flush(Source::Replies, &mut self.shared);
        self.shell.serve(10, self.now.mono.0 * 1_000_000, &mut self.shared);
        self.shell.note_writable(&mut self.shared);
        self.shell.flush(Source::Replies, &mut self.shared);
        self.client.inbox.append(&mut self.shared.pipes[0].down);
        while let Some((id, message)) = frames::read(&mut self.client.inbox) {
            self.client.read(id, message, &self.shared.oracle());
        }
    }
}

#[test]
fn a_map_that_could_not_be_asked_for_is_asked_for_behind_what_was_parked() {
    let mut scene = Scene::new();
    scene.ask(Asked::Join { room: 0, since: None });
    (0..3).for_each(|_| scene.turn(true));
    // More happens in a tick than is remembered, and it is told before the tick is.
    scene.ask(Asked::Select { room: 0, seats: Set(0b111), release: Set::default() });
    scene.shell.node.hand_over_changes();
    (0..2).for_each(|_| scene.store.work(scene.now));
    scene.shell.handle(Event::Store, &mut scene.shared);
    // The next request waits for the store, and an answer waits for that.
    scene.ask(Asked::Select { room: 0, seats: Set(0b1000), release: Set::default() });
    scene.ask(Asked::Ping);
    scene.turn(false);
    assert_eq!(scene.client.open.len(), 2, "what waits for the store is not answered");
    (0..5).for_each(|_| scene.turn(true));
    let known = &scene.client.rooms[&0];
    assert!(scene.client.open.is_empty());
    assert_eq!(Some((known.epoch, known.seq)), scene.shared.oracle().present(0), "the map has been asked for");
}
