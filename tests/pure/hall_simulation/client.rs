//! A person at a hall: what it asks, and what it believes. It keeps its map by snapshots and deltas, its carts by its
//! own frames, and panics when it is told what cannot be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use butaca::engine::command::Owner;
use butaca::engine::time::WallMillis;
use butaca::limits::SESSION_TOKEN_MS;
use butaca::limits::auth::TOKENS_REFUSED_MAX;
use serde_json::{Value, json};

use super::truth::{Map, Truth};
use crate::simulation::frames::{self, Frame, Room, Seat};
use crate::simulation::names;

/// What a client knows of a room.
#[derive(Clone, Debug)]
struct Known {
    epoch: u64,
    seq: u64,
    /// The version of its layout.
    layout: Option<String>,
    /// Nothing while it waits for it.
    map: Option<Map>,
}

/// A token of a session, and when it was given.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) session: String,
    given: WallMillis,
}

#[derive(Default)]
pub(crate) struct Client {
    pub(crate) socket: Option<usize>,
    open: VecDeque<(u64, Value)>,
    rooms: BTreeMap<Room, Known>,
    before: BTreeMap<Room, Known>,
    /// Its carts as it was told last.
    pub(crate) carts: BTreeMap<Room, BTreeSet<Seat>>,
    inbox: Vec<u8>,
    session: Option<String>,
    pub(crate) tokens: Vec<Token>,
    /// The server has said that it goes.
    is_warned: bool,
    closed: Option<u16>,
    /// It has proven who it is, where that is asked for, until then.
    pub(crate) let_in: Option<WallMillis>,
    /// Tokens of it that were not good.
    refused_tokens: usize,
    ids: u64,
}

impl Client {
    pub(crate) fn connect(&mut self, socket: usize, let_in: Option<WallMillis>) {
        self.disconnect();
        (self.socket, self.let_in) = (Some(socket), let_in);
    }

    pub(crate) fn disconnect(&mut self) {
        let known = std::mem::take(&mut self.rooms).into_iter().filter(|(_, known)| known.map.is_some());
        self.before.extend(known);
        let (before, tokens) = (std::mem::take(&mut self.before), std::mem::take(&mut self.tokens));
        *self = Self { before, tokens, ids: self.ids, ..Self::default() };
    }

    /// Nothing is open, so all that it is told is told.
    pub(crate) fn is_answered(&self) -> bool {
        self.open.is_empty()
    }

    /// The text of a request.
    pub(crate) fn ask(&mut self, mut request: Value) -> String {
        self.ids += 1;
        request["id"] = self.ids.into();
        let text = request.to_string();
        self.open.push_back((self.ids, request));
        text
    }

    /// Up to where it knows the room.
    pub(crate) fn since(&self, room: Room) -> Option<Value> {
        let known = self.rooms.get(&room).or_else(|| self.before.get(&room))?;
        known.map.as_ref().map(|_| json!({"epoch": format!("{:016x}", known.epoch), "seq": known.seq}))
    }

    /// Who it is, where nobody asks for tokens.
    pub(crate) fn owner(&self) -> Option<Owner> {
        let session = butaca::auth::session::read_session(self.session.as_deref()?)?;
        Some(Owner::Session(session))
    }

    /// Reads all that has come. True: the server has closed it.
    pub(crate) fn read(&mut self, bytes: Vec<u8>, now: WallMillis, truth: &Truth) {
        self.inbox.extend(bytes);
        while let Some(frame) = frames::take(&mut self.inbox) {
            assert_eq!(self.closed, None, "something behind a close frame");
            match frame {
                Frame::Close(code) => self.is_closed(code, now),
                Frame::Text(json) => self.message(&json, now, truth),
            }
        }
    }

    fn is_closed(&mut self, code: u16, now: WallMillis) {
        let is_right = match code {
            1001 => self.is_warned,
            4505 => true,
            4500 => {
                let is_over = self.let_in.is_none_or(|until| until <= now.after(1));
                is_over || self.refused_tokens >= usize::from(TOKENS_REFUSED_MAX)
            }
            _ => false,
        };
        assert!(is_right, "closed with {code}, warned {}, let in {:?}", self.is_warned, self.let_in);
        self.closed = Some(code);
    }

    /// Whether the server has said its last word.
    pub(crate) fn has_ended(&self) -> bool {
        self.closed.is_some()
    }

    fn message(&mut self, json: &Value, now: WallMillis, truth: &Truth) {
        let kind = json["type"].as_str().expect("a type");
        assert!(self.session.is_some() || matches!(kind, "hello" | "goaway"), "{json} before hello");
        let asked = json.get("id").map(|id| {
            let (first, asked) = self.open.pop_front().expect("a reply without a request");
            assert_eq!(id.as_u64(), Some(first), "replies come in the order of requests");
            asked
        });
        match kind {
            "hello" => self.hello(json, asked.as_ref(), now),
            "authenticated" => self.let_in = json["expires_at"].as_str().map(frames::time),
            "room_joined" => self.joined(json, asked.as_ref()),
            "room_left" => {
                let room = room_of(json);
                let known = self.rooms.remove(&room).filter(|known| known.map.is_some());
                self.before.extend(known.map(|known| (room, known)));
            }
            "snapshot" => self.snapshot(json, truth),
            "delta" => self.delta(json, truth),
            "seats_held" | "seats_released" | "hold_extended" => {
                self.cart(json, truth);
                let own = &self.carts[&room_of(json)];
                let all_have = seats_of(&json["seats"]).iter().all(|seat| own.contains(seat) == (kind == "seats_held"));
                assert!(kind == "hold_extended" || all_have, "{json}: all or nothing");
            }
            "cart" | "hold_expiring" => self.cart(json, truth),
            "error" => self.refused(json, &asked.expect("no error without a request"), now),
            "goaway" => self.is_warned = true,
            "pong" | "room_state" => {}
            other => panic!("{other} is not a message of v2"),
        }
    }

    fn hello(&mut self, json: &Value, asked: Option<&Value>, now: WallMillis) {
        let text = |name: &str| json[name].as_str().expect("a text").to_owned();
        let token = Token { text: text("session_token"), session: text("session_id"), given: now };
        if let Some(asked) = asked {
            let shown = self.token(&asked["session_token"]);
            assert!(json["resumed"] == true && shown.is_some(), "a proof that is none is believed");
            let shown = shown.expect("looked at above");
            assert_eq!(token.session, shown.session, "it goes on as somebody else");
            assert!(now.0 - shown.given.0 <= SESSION_TOKEN_MS, "a token goes on for ever");
            for of in json["carts"].as_array().expect("a list") {
                let room = names::number_of(of["room_id"].as_str().expect("a room"));
                self.carts.insert(room, seats_of(&of["cart"]["seats"]));
            }
        } else {
            assert!(self.session.is_none() && json["resumed"] == false, "hello comes first, and once");
        }
        self.session = Some(token.session.clone());
        self.tokens.push(token);
    }

    fn token(&self, text: &Value) -> Option<&Token> {
        self.tokens.iter().find(|token| *text == *token.text)
    }

    fn joined(&mut self, json: &Value, asked: Option<&Value>) {
        let (room, (epoch, seq)) = (room_of(json), (epoch_of(json), number(json, "seq")));
        let layout = json["layout"]["version"].as_str().map(str::to_owned);
        let has_said = asked.is_some_and(|asked| asked.get("since").is_some());
        let before = self.before.get(&room).cloned().filter(|_| has_said);
        let known = self.rooms.remove(&room).or(before).filter(|known| known.epoch == epoch);
        let known = known.unwrap_or(Known { epoch, seq, layout: None, map: None });
        self.rooms.insert(room, Known { layout, ..known });
    }

    fn snapshot(&mut self, json: &Value, truth: &Truth) {
        self.cart(json, truth);
        let room = room_of(json);
        let known = self.rooms.get_mut(&room).expect("only who looks at a room gets its map");
        if known.epoch != epoch_of(json) {
            // It asked while the room got another layout: `room_joined` follows, and a map that it can read.
            return assert!(json.get("id").is_some(), "the map of another life");
        }
        let map = match &known.layout {
            Some(version) => {
                let order = &truth.hall_of_version(version).expect("a hall of ours").order;
                let states = BASE64_STANDARD.decode(json["states"].as_str().expect("a map")).expect("base64");
                assert_eq!(states.len(), order.len().div_ceil(4));
                let is_taken = |at: &usize| states[at / 4] >> (2 * (at % 4)) & 3 != 0;
                (0..order.len()).filter(is_taken).map(|at| order[at]).collect()
            }
            None => json["seats"].as_array().expect("a list").iter().map(|pair| seat(&pair[0])).collect(),
        };
        (known.seq, known.map) = (number(json, "seq"), Some(map));
        self.check_map(room, truth);
    }

    fn delta(&mut self, json: &Value, truth: &Truth) {
        let room = room_of(json);
        let known = self.rooms.get_mut(&room).expect("only who looks at a room is told what happens");
        assert_eq!(known.epoch, epoch_of(json), "a change of another life");
        let order = known.layout.as_ref().map(|version| &truth.hall_of_version(version).expect("a hall of ours").order);
        let map = known.map.as_mut().expect("a delta without a map");
        let (from, to) = (number(json, "from"), number(json, "to"));
        assert!(from <= known.seq + 1, "a hole in room {room}: {from} after {}", known.seq);
        if to <= known.seq {
            return;
        }
        for pair in json["changes"].as_array().expect("a list") {
            let seat = order.map_or_else(
                || seat(&pair[0]),
                |order| order[usize::try_from(pair[0].as_u64().expect("an index")).expect("a small one")],
            );
            if pair[1] == 0 {
                map.remove(&seat)
            } else {
                map.insert(seat)
            };
        }
        known.seq = to;
        self.check_map(room, truth);
    }

    fn cart(&mut self, json: &Value, _: &Truth) {
        self.carts.insert(room_of(json), seats_of(&json["cart"]["seats"]));
    }

    fn refused(&mut self, json: &Value, asked: &Value, now: WallMillis) {
        let (code, kind) = (json["code"].as_str().expect("a code"), asked["type"].as_str().expect("a type"));
        self.refused_tokens += usize::from(kind == "auth" && matches!(code, "unauthorized" | "token_expired"));
        let is_right = match code {
            "session_unknown" => {
                let shown = self.token(&asked["session_token"]);
                kind == "resume" && shown.is_none_or(|token| now.0 - token.given.0 > SESSION_TOKEN_MS)
            }
            "unauthorized" => kind == "auth" || self.let_in.is_none(),
            "token_expired" | "forbidden" => true,
            "seats_unavailable" | "unknown_seat" => kind == "select_seats",
            "not_enough_seats" | "no_adjacent_seats" | "no_layout" => kind == "select_best",
            "not_held" | "not_owner" => kind != "extend_hold",
            "limit_exceeded" | "hold_expired" | "extend_limit" => true,
            "bad_request" => matches!(kind, "resume" | "sync" | "select_seats" | "select_best"),
            _ => false,
        };
        assert!(is_right, "{asked} is refused with {json}");
    }

    /// Its map is the room after the change that it has seen last.
    fn check_map(&self, room: Room, truth: &Truth) {
        let known = &self.rooms[&room];
        let there = truth.map(room, known.epoch, known.seq);
        assert_eq!(known.map.as_ref(), there, "the map of room {room} at {} of {:x}", known.seq, known.epoch);
    }

    /// Everything has come to rest: it knows all there is to be known, of the rooms that it looks at and of its carts.
    pub(crate) fn check_at_rest(&self, owner: &Owner, truth: &Truth) {
        assert!(self.open.is_empty(), "without a reply: {:?}", self.open);
        for (room, known) in &self.rooms {
            let (epoch, seq) = truth.present[room];
            assert_eq!((known.epoch, known.seq), (epoch.0, seq), "the last that is known of room {room}");
            assert!(known.map.is_some(), "nobody has told the map of room {room}");
        }
        for (&room, cart) in &self.carts {
            assert_eq!(*cart, truth.cart(owner, room), "the cart of {owner:?} in room {room}");
        }
    }
}

fn room_of(json: &Value) -> Room {
    names::number_of(json["room_id"].as_str().expect("a room"))
}

fn epoch_of(json: &Value) -> u64 {
    u64::from_str_radix(json["epoch"].as_str().expect("an epoch"), 16).expect("an epoch")
}

fn number(json: &Value, name: &str) -> u64 {
    json[name].as_u64().unwrap_or_else(|| panic!("{name} in {json}"))
}

fn seat(json: &Value) -> Seat {
    names::number_of(json.as_str().expect("a seat"))
}

fn seats_of(json: &Value) -> BTreeSet<Seat> {
    json.as_array().into_iter().flatten().map(seat).collect()
}
