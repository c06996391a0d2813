//! A node of the simulated cluster: the real member, mail and commands, with rooms that are a map of seats.

use std::collections::{BTreeMap, BTreeSet};

use butaca::cluster::call::{Answer, Call, Kind};
use butaca::cluster::commands::{Asked, Command, Verdict as Deed};
use butaca::cluster::entry::{Entry, Letter, VERSION};
use butaca::cluster::mail::{Inbox, Outbox, Verdict};
use butaca::cluster::member::{Event, Member, Order, Rules};
use butaca::cluster::names::{Life, NodeName, PartId};
use butaca::cluster::roster::Beat;
use butaca::engine::time::Millis;
use redis_model::Data;

const COMMAND: u8 = 1;
const ANSWER: u8 = 2;
const JOIN: u8 = 3;
const SNAPSHOT: u8 = 4;
const NEWS: u8 = 5;
const GIVEN: u8 = 6;

/// What a node asks of Redis.
#[derive(Clone)]
pub(crate) enum Ask {
    Call { call: Call, data: Option<Data>, version: u64 },
    Load { part: PartId, fence: u64 },
    Post { entries: Vec<(NodeName, u64, Vec<u8>)> },
    Read { after: u64, promises: u64 },
    Beat { beat: Beat },
}

/// What Redis says to that.
#[derive(Clone)]
pub(crate) enum Said {
    Call(Answer),
    Loaded(Data),
    Posted,
    Entries(Vec<(u64, Vec<u8>)>),
    Beats { beats: Vec<Beat>, era: u64 },
}

/// A part that this node owns.
struct Owned {
    fence: u64,
    data: Data,
    /// Moves with each decision; how far it is committed.
    version: u64,
    committed: u64,
    committing_since: Option<Millis>,
    followers: BTreeSet<NodeName>,
    /// Letters that wait for the commit of a version.
    withheld: Vec<(u64, NodeName, Letter)>,
    is_frozen: bool,
}

/// A part that this node looks at.
#[derive(Default)]
struct View {
    owner: Option<(Life, u64)>,
    is_joined: bool,
    asked_at: Millis,
    seq: u64,
    seats: BTreeMap<u64, u64>,
}

pub(crate) struct Node {
    pub(crate) life: Life,
    pub(crate) member: Member,
    lease_ms: u64,
    is_durable: bool,
    outbox: Outbox,
    inbox: Inbox,
    pub(crate) asked: Asked,
    owned: BTreeMap<u16, Owned>,
    /// Parts that are read: their fences, and since when.
    loading: BTreeMap<u16, (u64, Option<Millis>)>,
    views: Vec<View>,
    cursor: u64,
    era: u64,
    beaten_at: Option<Millis>,
    reading_since: Option<Millis>,
    posting_since: Option<Millis>,
    /// Counts the promises that were noted, and those before the present read.
    promises: u64,
    pub(crate) asks: Vec<Ask>,
}

fn letter(kind: u8, words: &[u64]) -> Letter {
    Letter { kind, bytes: words.iter().flat_map(|word| word.to_be_bytes()).collect() }
}

fn words(letter: &Letter) -> Vec<u64> {
    letter.bytes.chunks(8).map(|chunk| u64::from_be_bytes(chunk.try_into().expect("whole words"))).collect()
}

fn part_of(word: u64) -> PartId {
    PartId(u16::try_from(word).expect("a part"))
}

impl Node {
    pub(crate) fn new(life: Life, rules: Rules, is_durable: bool) -> Self {
        Self {
            member: Member::new(life.clone(), rules),
            lease_ms: rules.lease_ms,
            is_durable,
            outbox: Outbox::new(life.clone()),
            inbox: Inbox::default(),
            asked: Asked::default(),
            owned: BTreeMap::new(),
            loading: BTreeMap::new(),
            views: (0..rules.parts).map(|_| View::default()).collect(),
            cursor: 0,
            era: 0,
            beaten_at: None,
            reading_since: None,
            posting_since: None,
            promises: 0,
            asks: Vec::new(),
            life,
        }
    }

    fn is_due(since: Option<Millis>, now: Millis, after_ms: u64) -> bool {
        since.is_none_or(|since| now.since(since) >= after_ms)
    }

    /// One turn.
    pub(crate) fn turn(&mut self, now: Millis) {
        self.tell(now, Event::Tick);
        for (part, (fence, since)) in &mut self.loading {
            if Self::is_due(*since, now, 300) {
                *since = Some(now);
                self.asks.push(Ask::Load { part: PartId(*part), fence: *fence });
            }
        }
        for index in 0..self.views.len() {
            self.look(now, part_of(index as u64));
        }
        for command in self.asked.again(now, |_| false) {
            self.send(now, &command);
        }
        let parts: Vec<u16> = self.owned.keys().copied().collect();
        parts.into_iter().for_each(|part| self.save(now, part));
        self.outbox.seal(VERSION);
        if Self::is_due(self.posting_since, now, 400) {
            let entries: Vec<_> =
                self.outbox.unconfirmed().map(|(to, number, bytes)| (to.clone(), number, bytes.to_vec())).collect();
            if !entries.is_empty() {
                self.posting_since = Some(now);
                self.asks.push(Ask::Post { entries });
            }
        }
        if Self::is_due(self.reading_since, now, 400) {
            self.reading_since = Some(now);
            self.asks.push(Ask::Read { after: self.cursor, promises: self.promises });
        }
        if Self::is_due(self.beaten_at, now, 500) {
            self.beaten_at = Some(now);
            let beat = self.member.beat(now, self.outbox.sent());
            self.asks.push(Ask::Beat { beat });
        }
    }

    /// What Redis says to something that was asked at `sent_at`.
    pub(crate) fn said(&mut self, now: Millis, sent_at: Millis, ask: &Ask, said: Said) {
        match (ask, said) {
            (Ask::Call { call, version, .. }, Said::Call(answer)) => {
                self.saved(call, *version, &answer);
                self.check_given(call, &answer);
                self.tell(now, Event::Answered { call, sent_at, answer: &answer });
            }
            (Ask::Load { part, fence }, Said::Loaded(data)) => self.loaded(now, *part, *fence, data),
            (Ask::Post { entries }, Said::Posted) => {
                self.posting_since = None;
                entries.iter().for_each(|(to, number, _)| self.outbox.confirm(to, *number));
            }
            (Ask::Read { after, promises }, Said::Entries(entries)) => {
                // The answer to a read that was given up tells nothing new.
                if *after != self.cursor || self.reading_since != Some(sent_at) {
                    return;
                }
                self.reading_since = None;
                self.read(now, &entries);
                if *promises == self.promises {
                    for sender in self.inbox.read_through() {
                        self.resync(&sender);
                    }
                }
            }
            (Ask::Beat { .. }, Said::Beats { beats, era }) => {
                if self.era != era {
                    // The numbers of a stream begin anew in another Redis; what comes twice is dropped.
                    (self.era, self.cursor, self.reading_since) = (era, 0, None);
                }
                for beat in beats.iter().filter(|beat| beat.life.node != self.life.node) {
                    self.promises += 1;
                    self.inbox.promise(beat, &self.life.node);
                }
                self.tell(now, Event::Beats { beats: &beats, era });
            }
            _ => unreachable!("Redis answers what it was asked"),
        }
    }

    fn tell(&mut self, now: Millis, event: Event<'_>) {
        let mut orders = Vec::new();
        self.member.handle(now, event, &mut orders);
        for order in orders {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Call(call) => self.asks.push(Ask::Call { call, data: None, version: 0 }),
            Order::Load { part, fence } => _ = self.loading.insert(part.0, (fence, None)),
            Order::Serve { part, .. } => self.owned.get_mut(&part.0).expect("it was loaded").is_frozen = false,
            Order::Freeze { part, .. } => self.owned.get_mut(&part.0).expect("it is served").is_frozen = true,
            Order::Rewrite { part } => {
                if let Some(owned) = self.owned.get_mut(&part.0) {
                    owned.version += 1;
                }
            }
            Order::Forget { part, .. } => {
                self.owned.remove(&part.0);
                self.loading.remove(&part.0);
            }
            Order::Tell { part, fence, to } => self.post(&to.node, letter(GIVEN, &[u64::from(part.0), fence])),
        }
    }

    fn post(&mut self, to: &NodeName, letter: Letter) {
        assert!(self.outbox.post(to, letter), "it is short");
    }

    fn loaded(&mut self, now: Millis, part: PartId, fence: u64, data: Data) {
        if self.loading.get(&part.0).is_none_or(|(wanted, _)| *wanted != fence) {
            return;
        }
        self.loading.remove(&part.0);
        let fresh = Owned {
            fence,
            data,
            version: 0,
            committed: 0,
            committing_since: None,
            followers: BTreeSet::new(),
            withheld: Vec::new(),
            is_frozen: false,
        };
        self.owned.insert(part.0, fresh);
        self.views[part.index()] = View::default();
        self.tell(now, Event::Loaded { part, fence });
    }

    /// What was decided is committed; a part that is handed over has settled when nothing is left.
    fn save(&mut self, now: Millis, part: u16) {
        let owned = self.owned.get_mut(&part).expect("it is listed");
        if owned.version == owned.committed {
            let fence = owned.fence;
            if owned.is_frozen {
                self.tell(now, Event::Settled { part: PartId(part), fence });
            }
            return;
        }
        if Self::is_due(owned.committing_since, now, 300) {
            owned.committing_since = Some(now);
            if let Some(call) = self.member.commit(now, PartId(part)) {
                self.asks.push(Ask::Call { call, data: Some(owned.data.clone()), version: owned.version });
            }
        }
    }

    /// What was decided before a part is given is committed: the next owner knows it.
    fn check_given(&self, call: &Call, answer: &Answer) {
        let owned = self.owned.get(&call.part.0).filter(|owned| owned.fence == call.fence);
        if let (Kind::Give { .. }, Answer::Granted { .. }, Some(owned)) = (&call.kind, answer, owned) {
            assert_eq!(owned.version, owned.committed, "a hand-over loses what was decided");
        }
    }

    fn saved(&mut self, call: &Call, version: u64, answer: &Answer) {
        let Some(owned) = self.owned.get_mut(&call.part.0).filter(|owned| owned.fence == call.fence) else { return };
        if version == 0 || !matches!(answer, Answer::Granted { .. } | Answer::Lost { .. }) {
            return;
        }
        owned.committing_since = None;
        owned.committed = owned.committed.max(version);
        let committed = owned.committed;
        let ready = owned.withheld.extract_if(.., |(version, ..)| *version <= committed).collect::<Vec<_>>();
        ready.into_iter().for_each(|(_, to, letter)| self.deliver(&to, letter));
    }

    /// A letter to any node, this one too.
    fn deliver(&mut self, to: &NodeName, letter: Letter) {
        if *to != self.life.node {
            return self.post(to, letter);
        }
        if letter.kind == ANSWER {
            self.answer(&words(&letter));
        }
    }

    /// When committed in durable mode, otherwise at once.
    fn when_safe(&mut self, part: PartId, to: &NodeName, letter: Letter) {
        let owned = self.owned.get_mut(&part.0).expect("it decides");
        if self.is_durable && owned.version > owned.committed {
            owned.withheld.push((owned.version, to.clone(), letter));
        } else {
            self.deliver(to, letter);
        }
    }

    fn read(&mut self, now: Millis, entries: &[(u64, Vec<u8>)]) {
        for (id, bytes) in entries {
            self.cursor = *id;
            let entry = Entry::read(bytes).expect("a node wrote it");
            match self.inbox.accept(&entry.from, entry.number) {
                Verdict::Drop => continue,
                Verdict::Hole => self.resync(&entry.from.node),
                Verdict::Next => {}
            }
            entry.letters.iter().for_each(|letter| self.letter(now, &entry.from, letter));
        }
    }

    fn resync(&mut self, sender: &NodeName) {
        for view in &mut self.views {
            if view.owner.as_ref().is_some_and(|(life, _)| life.node == *sender) {
                (view.is_joined, view.asked_at) = (false, Millis(0));
            }
        }
    }

    fn letter(&mut self, now: Millis, from: &Life, letter: &Letter) {
        let words = words(letter);
        match letter.kind {
            COMMAND => self.command(now, from, &words),
            ANSWER => self.answer(&words),
            JOIN => self.join(now, from, part_of(words[0])),
            SNAPSHOT => self.snapshot(from, &words),
            NEWS => self.news(from, &words),
            GIVEN => self.tell(now, Event::Given { part: part_of(words[0]), fence: words[1] }),
            kind => unreachable!("no letter has kind {kind}"),
        }
    }

    /// A connection wants a seat, or no longer.
    pub(crate) fn want(&mut self, now: Millis, part: PartId, conn: u64, (seat, is_select): (u64, bool)) {
        let wanted = vec![u8::try_from(seat).expect("small"), u8::from(is_select)];
        if let Some(command) = self.asked.ask(now, part, conn, wanted) {
            self.send(now, &command);
        }
    }

    fn send(&mut self, now: Millis, command: &Command) {
        let Some(owner) = self.member.owner_of(command.part, now).cloned() else { return };
        let (seat, is_select) = (u64::from(command.wanted[0]), u64::from(command.wanted[1]));
        let (part, asked) = (u64::from(command.part.0), [command.number, command.oldest, command.before]);
        let words = [part, command.conn, asked[0], asked[1], asked[2], seat, is_select];
        if owner == self.life {
            return self.command(now, &owner, &words);
        }
        self.post(&owner.node, letter(COMMAND, &words));
    }

    fn command(&mut self, now: Millis, from: &Life, words: &[u64]) {
        let part = part_of(words[0]);
        if !self.member.may_decide(part, now) {
            return;
        }
        let wanted = words[5..7].iter().map(|word| u8::try_from(*word).expect("small")).collect();
        let command = Command { part, conn: words[1], number: words[2], oldest: words[3], before: words[4], wanted };
        let owned = self.owned.get_mut(&part.0).expect("it decides");
        let result = match owned.data.done.meet(from, &command) {
            Deed::Do => self.decide(part, from, &command),
            Deed::Again(answer) => u64::from(answer[0]),
            Deed::Ignore => return,
        };
        let answer = [from.incarnation, words[0], words[1], words[2], result];
        self.when_safe(part, &from.node, letter(ANSWER, &answer));
    }

    fn decide(&mut self, part: PartId, from: &Life, command: &Command) -> u64 {
        let owned = self.owned.get_mut(&part.0).expect("it decides");
        let asker = from.incarnation * 100 + command.conn;
        let (seat, is_select) = (u64::from(command.wanted[0]), command.wanted[1] == 1);
        let holder = owned.data.seats.get(&seat).copied();
        let is_done = if is_select { holder.is_none() } else { holder == Some(asker) };
        owned.data.log.push((from.incarnation, command.conn, command.number));
        owned.data.done.did(from, command, vec![u8::from(is_done)]);
        owned.version += 1;
        if !is_done {
            return 0;
        }
        if is_select {
            owned.data.seats.insert(seat, asker);
        } else {
            owned.data.seats.remove(&seat);
        }
        owned.data.seq += 1;
        let now_held = if is_select { asker } else { 0 };
        let news = [u64::from(part.0), owned.fence, owned.data.seq, seat, now_held];
        let followers: Vec<_> = owned.followers.iter().cloned().collect();
        followers.iter().for_each(|to| self.when_safe(part, to, letter(NEWS, &news)));
        1
    }

    fn answer(&mut self, words: &[u64]) {
        if words[0] == self.life.incarnation {
            self.asked.answered(part_of(words[1]), words[2], words[3]);
        }
    }

    fn join(&mut self, now: Millis, from: &Life, part: PartId) {
        if !self.member.may_decide(part, now) {
            return;
        }
        let owned = self.owned.get_mut(&part.0).expect("it decides");
        owned.followers.insert(from.node.clone());
        let mut words = vec![u64::from(part.0), owned.fence, owned.data.seq];
        owned.data.seats.iter().for_each(|(seat, holder)| words.extend([*seat, *holder]));
        self.when_safe(part, &from.node, letter(SNAPSHOT, &words));
    }

    fn snapshot(&mut self, from: &Life, words: &[u64]) {
        let view = &mut self.views[part_of(words[0]).index()];
        if view.owner != Some((from.clone(), words[1])) {
            return;
        }
        (view.is_joined, view.seq) = (true, words[2]);
        view.seats = words[3..].chunks(2).map(|pair| (pair[0], pair[1])).collect();
    }

    fn news(&mut self, from: &Life, words: &[u64]) {
        let view = &mut self.views[part_of(words[0]).index()];
        if !view.is_joined || view.owner != Some((from.clone(), words[1])) || words[2] <= view.seq {
            return;
        }
        assert_eq!(words[2], view.seq + 1, "a hole that nobody has seen");
        view.seq = words[2];
        if words[4] == 0 {
            view.seats.remove(&words[3]);
        } else {
            view.seats.insert(words[3], words[4]);
        }
    }

    /// Joins at whoever owns the part now; what has no answer goes there, too.
    fn look(&mut self, now: Millis, part: PartId) {
        if self.owned.contains_key(&part.0) {
            return;
        }
        let owner = self.member.roster().owner_of(part, now, self.lease_ms);
        let owner = owner.filter(|(life, _)| life.node != self.life.node).map(|(life, fence)| (life.clone(), fence));
        let view = &mut self.views[part.index()];
        let is_new = owner.is_some() && view.owner != owner;
        if is_new {
            *view = View { owner, ..View::default() };
        }
        if let Some((life, _)) = view.owner.clone()
            && (is_new || !view.is_joined && now.since(view.asked_at) >= 1_000)
        {
            view.asked_at = now;
            self.post(&life.node, letter(JOIN, &[u64::from(part.0)]));
        }
        if is_new {
            for command in self.asked.again(now, |of| of == part) {
                self.send(now, &command);
            }
        }
    }

    /// The fence under which this node has the part.
    pub(crate) fn fence(&self, part: u16) -> Option<u64> {
        self.owned.get(&part).map(|owned| owned.fence)
    }

    /// What this node says of a part when all is quiet: who owns it, and what is there.
    pub(crate) fn sees(&self, part: u16, now: Millis) -> (Option<Life>, Option<&BTreeMap<u64, u64>>) {
        let owner = self.member.owner_of(PartId(part), now).cloned();
        let view = &self.views[usize::from(part)];
        let seats = self.owned.get(&part).map(|owned| &owned.data.seats);
        (owner, seats.or_else(|| view.is_joined.then_some(&view.seats)))
    }
}
