//! What the shop's backend asks of one node about rooms of another: answered by whoever owns the room, also when that
//! changes meanwhile, and refused when nobody does for too long.

use std::sync::Arc;

use butaca::audience::budget::Budget;
use butaca::audience::pace::Pace;
use butaca::cluster::names::PartId;
use butaca::engine::command::{BookMode, Places, Reject, RoomSettings, SaleAnswer, SaleRequest, Wanted};
use butaca::engine::ids::{OrderId, RoomId, SeatId, ShardId, ShardSet, Spread};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::layout::best::BestQuery;
use butaca::node::afar::{Reader, Stretch, Writer};
use butaca::node::errand::{Answered, Asked, Names, Outcome};
use butaca::node::hot::HotRooms;
use butaca::node::parted::Parted;
use butaca::node::{self, Bounds, Event, Moment, Node, Parts, SecondRules};
use butaca::persist::parts::{PartLink, PartNews, StoredPart};
use butaca::wire::message::BroadcastUserInfo;

fn rules() -> node::Rules {
    node::Rules {
        share: BroadcastUserInfo::Full,
        pace: Pace { factor: 1, max_ns: 10_000_000 },
        hot_room_members: 3,
        slow_consumer_ms: 500,
        silence_ms: 3_000,
        hold_ttl_ms: 60_000,
        restore_grace_ms: 0,
        is_durable: false,
        second: SecondRules::default(),
    }
}

const PATIENCE_MS: u64 = 6_000;
/// What each calls the other.
const OTHER: usize = 1;

fn room() -> RoomId {
    RoomId::new("room").expect("a name")
}

fn seat(name: &str) -> SeatId {
    SeatId::new(name).expect("a name")
}

/// A node of one shard and all parts, which are one.
struct Machine {
    node: Node,
    link: Arc<PartLink<butaca::node::letters::Letter>>,
    writer: Writer,
    reader: Reader,
}

impl Machine {
    fn new() -> Self {
        let (id, spread) = (ShardId::new(0), Spread::over(1).with_parts(1));
        let link = Arc::new(PartLink::new(spread, 5_000));
        let seat_rules = Rules { hold_ttl_ms: 60_000, seats_per_client_max: 0 };
        let node = Node::new(Parts {
            id,
            shards: 1,
            rules: rules(),
            bounds: Bounds::default(),
            seats: Shard::new(id, 1, Seeds::replayed(1, id), seat_rules).with_spread(spread),
            hot: HotRooms::default(),
            budget: Budget::default(),
            store: None,
        });
        let node = node.with_parts(Some(Parted::new(Arc::clone(&link), PATIENCE_MS)));
        let others = Stretch::new(OTHER, 1);
        Self { node, link, writer: Writer::new(1, others), reader: Reader::new(1, others, &Budget::default()) }
    }

    fn hear(&mut self, event: Event<'_>) {
        self.node.handle(event, &mut Vec::new());
    }

    fn part(&mut self, news: PartNews) {
        self.hear(Event::Part(news));
    }

    fn owns(&mut self) {
        let (part, stored) = (PartId(0), Box::<StoredPart>::default());
        self.link.grant(part, Millis(u64::MAX));
        self.part(PartNews::Load { part, fence: 1, stored });
        self.part(PartNews::Serve { part });
    }

    fn knows(&mut self, owner: Option<usize>) {
        self.part(PartNews::Moved { part: PartId(0), to: owner.map(ShardId::new) });
    }

    fn asks(&mut self, request: SaleRequest) -> u32 {
        self.node.send_errand(Asked::Sale { room: room(), request: Box::new(request) }, None)
    }

    /// The one answer of this turn.
    fn told(&mut self, number: u32) -> SaleAnswer {
        let mut outcomes = self.node.take_outcomes();
        match (outcomes.pop(), outcomes.is_empty()) {
            (Some((found, Outcome::Told(Answered::Sale { answer }))), true) if found == number => *answer,
            other => panic!("{other:?}"),
        }
    }
}

/// Two of them, and the time.
struct Cluster {
    machines: [Machine; 2],
    now: u64,
}

impl Cluster {
    /// The second one owns the rooms.
    fn new() -> Self {
        let mut cluster = Self { machines: [Machine::new(), Machine::new()], now: 1_000 };
        cluster.turn();
        cluster.machines[1].owns();
        cluster.machines[0].knows(Some(OTHER));
        cluster
    }

    fn turn(&mut self) {
        let now = Now { mono: Millis(self.now), wall: WallMillis(self.now) };
        self.machines.iter_mut().for_each(|machine| machine.node.begin_turn(Moment { now, ns: self.now * 1_000_000 }));
    }

    fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.turn();
        self.machines.iter_mut().for_each(|machine| machine.hear(Event::Tick));
    }

    /// Carries what one has written to the other, as bytes; how many letters.
    fn carry(&mut self, from: usize) -> usize {
        let mut bytes = Vec::new();
        let letters: Vec<_> = self.machines[from].node.letters(ShardId::new(OTHER)).drain(..).collect();
        for letter in &letters {
            assert!(self.machines[from].writer.write(ShardId::new(OTHER), letter, &mut bytes));
        }
        self.machines[from].writer.finish(&mut bytes);
        let to = &mut self.machines[1 - from];
        let read: Vec<_> = bytes.iter().filter_map(|letter| to.reader.read(letter).expect("a letter")).collect();
        read.into_iter().for_each(|(_, letter)| to.hear(Event::Letter(letter)));
        letters.len()
    }

    fn asks(&mut self, request: SaleRequest) -> SaleAnswer {
        let number = self.machines[0].asks(request);
        assert_eq!((self.carry(0), self.carry(1)), (1, 1));
        self.machines[0].told(number)
    }
}

fn hold() -> SaleRequest {
    SaleRequest::Hold { holder: "kiosk".into(), wanted: Wanted::Seats(vec![seat("A1")]), ttl_ms: None }
}

fn best() -> SaleRequest {
    let query = BestQuery { quantity: 1, sections: vec![], categories: vec![], accessible: 0, adjacent: false };
    SaleRequest::Hold { holder: "kiosk".into(), wanted: Wanted::Best(query), ttl_ms: None }
}

#[test]
fn the_backend_asks_any_node() {
    let mut cluster = Cluster::new();
    assert!(!cluster.machines[0].node.decides("room") && cluster.machines[1].node.decides("room"));
    assert_eq!(cluster.machines[0].node.owners_abroad(), (vec![ShardId::new(OTHER)], 0));
    let put = SaleRequest::PutRoom { settings: RoomSettings::default(), plan: None };
    let told = cluster.asks(put);
    assert!(matches!(told, SaleAnswer::Room { is_new: true, .. }), "{told:?}");
    let told = cluster.asks(hold());
    assert!(matches!(&told, SaleAnswer::Held { seats, .. } if *seats == [seat("A1")]), "{told:?}");
    let block = SaleRequest::Block {
        what: Places { seats: vec![seat("A1")], sections: vec![] },
        label: "kept".into(),
        release_held: false,
    };
    let told = cluster.asks(block);
    assert!(matches!(&told, SaleAnswer::Refused { details, .. } if details.conflicts.len() == 1), "{told:?}");
    let order = OrderId::new("o").expect("a name");
    let told = cluster.asks(SaleRequest::Book { order, mode: BookMode::Held });
    assert!(matches!(told, SaleAnswer::Refused { reject: Reject::UnknownOrder, .. }), "{told:?}");
    assert!(cluster.machines[1].node.api_answers().is_empty(), "it is the other node's backend that is answered");
    assert!(!cluster.machines[0].node.has_errands());
}

#[test]
fn a_question_waits_for_an_owner_and_is_answered_by_this_node_if_that_is_it() {
    let mut cluster = Cluster::new();
    cluster.machines[0].knows(None);
    let number = cluster.machines[0].asks(hold());
    assert_eq!(cluster.carry(0), 0, "nobody is asked");
    cluster.machines[0].knows(Some(OTHER));
    assert_eq!((cluster.carry(0), cluster.carry(1)), (1, 1));
    assert!(matches!(cluster.machines[0].told(number), SaleAnswer::Held { .. }));

    let number = cluster.machines[0].asks(SaleRequest::GetRoom);
    cluster.machines[0].owns();
    let outcomes = cluster.machines[0].node.take_outcomes();
    assert!(matches!(&outcomes[..], [(of, Outcome::Yours(Asked::Sale { .. }))] if *of == number), "{outcomes:?}");
}

#[test]
fn who_does_not_own_the_room_says_so_and_the_question_waits() {
    let mut cluster = Cluster::new();
    cluster.machines[1].link.grant(PartId(0), Millis(0));
    let number = cluster.machines[0].asks(hold());
    assert_eq!((cluster.carry(0), cluster.carry(1)), (1, 1));
    assert!(cluster.machines[0].node.take_outcomes().is_empty() && cluster.carry(0) == 0, "not at once");
    cluster.machines[1].link.grant(PartId(0), Millis(u64::MAX));
    cluster.tick(100);
    cluster.tick(100);
    assert!(cluster.carry(0) >= 1 && cluster.carry(1) >= 1);
    assert!(matches!(cluster.machines[0].told(number), SaleAnswer::Held { .. }));
}

#[test]
fn a_question_without_an_owner_ends() {
    let mut cluster = Cluster::new();
    cluster.machines[0].knows(None);
    let number = cluster.machines[0].asks(hold());
    cluster.tick(PATIENCE_MS - 1);
    assert!(cluster.machines[0].node.take_outcomes().is_empty());
    cluster.tick(1);
    let outcomes = cluster.machines[0].node.take_outcomes();
    assert!(matches!(&outcomes[..], [(of, Outcome::Nobody)] if *of == number), "{outcomes:?}");
}

/// The old owner may have done it: what would be done twice is not asked again.
#[test]
fn a_question_to_an_owner_that_is_gone_is_asked_again_unless_it_would_be_done_twice() {
    let delete = SaleRequest::DeleteRoom { force: true };
    for (request, is_again) in [(hold(), true), (SaleRequest::Counts, true), (best(), false), (delete, false)] {
        let mut cluster = Cluster::new();
        let number = cluster.machines[0].asks(request);
        cluster.machines[0].part(PartNews::Ended { of: shard_set() });
        cluster.machines[0].knows(None);
        let outcomes = cluster.machines[0].node.take_outcomes();
        if is_again {
            assert!(outcomes.is_empty());
            cluster.machines[0].node.letters(ShardId::new(OTHER)).clear();
            cluster.machines[0].knows(Some(OTHER));
            assert_eq!(cluster.carry(0), 1);
        } else {
            assert!(matches!(&outcomes[..], [(of, Outcome::Nobody)] if *of == number), "{outcomes:?}");
        }
    }
}

fn shard_set() -> ShardSet {
    let mut set = ShardSet::EMPTY;
    set.insert(ShardId::new(OTHER));
    set
}

#[test]
fn what_only_the_shell_can_answer_waits_for_it() {
    let mut cluster = Cluster::new();
    let rooms = Asked::Rooms { after: None, limit: 5, from: 0 };
    let number = cluster.machines[0].node.send_errand(rooms.clone(), Some(ShardId::new(OTHER)));
    cluster.carry(0);
    let questions = cluster.machines[1].node.take_questions();
    let [question] = &questions[..] else { panic!("{questions:?}") };
    assert_eq!((question.by, question.number, &question.asked), (ShardId::new(OTHER), number, &rooms));
    let names = Names { found: vec![room()], next: None, parts: 1 };
    cluster.machines[1].node.errand_done(question.by, question.number, Answered::Rooms { names: names.clone() });
    cluster.carry(1);
    let outcomes = cluster.machines[0].node.take_outcomes();
    let [(_, Outcome::Told(Answered::Rooms { names: told }))] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(*told, names);
    // An answer that comes twice, or late, is nobody's.
    cluster.machines[1].node.errand_done(question.by, question.number, Answered::Busy);
    cluster.carry(1);
    assert!(cluster.machines[0].node.take_outcomes().is_empty());
}
