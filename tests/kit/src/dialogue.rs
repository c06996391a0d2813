//! Dialogues as data: what clients send and what they must get, line by line.
//!
//! | line | meaning |
//! | --- | --- |
//! | `a+ ID QUERY` | connects `a` as `ID`; without this line `a` connects as `a` when it first sends |
//! | `a> TEXT` | sends a text message |
//! | `a* HEX` | sends these bytes as they are |
//! | `a< JSON` | the next thing that `a` gets is this message (see `expect`) |
//! | `a~ ROOM` | nothing more has come for `a` by now, as the owner of the room sees it |
//! | `a! CODE` | the server closes with this code and ends the stream |
//! | `a^ HEX` | the next frame is a pong with this payload |
//! | `a.` | drops the connection; `a/` closes its sending half |
//! | `GET PATH JSON` | the answer to an HTTP request |
//!
//! `$1`, `$2`… are rooms that nobody else uses. Each dialogue is held with one shard, with two, and with two of which
//! members stay wherever they were accepted, and each of these with whole frames and byte by byte.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::{Client, Got, text_frame, upgrade};
use super::expect::difference;
use super::rooms::unique;
use super::server::Server;

/// Settings under which every dialogue goes alike.
pub const VARIANTS: [&[(&str, &str)]; 3] =
    [&[("SHARDS", "1")], &[("SHARDS", "2")], &[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "1")]];

/// How often a dialogue is held with several shards: where its clients and rooms live differs each time.
const ROUNDS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delivery {
    Frames,
    Bytes,
    /// The upgrade and everything that is sent in one write; only for one client.
    AtOnce,
}

/// Holds the dialogues, given as `(name, text)`, with further settings.
pub fn check(settings: &[(&str, &str)], dialogues: &[(&str, &str)]) {
    for variant in VARIANTS {
        let all: Vec<(&str, &str)> = variant.iter().chain(settings).copied().collect();
        let server = Server::start(&all);
        for (name, text) in dialogues {
            for delivery in [Delivery::Frames, Delivery::Bytes, Delivery::AtOnce] {
                if delivery == Delivery::AtOnce && !is_monologue(text) {
                    continue;
                }
                let rounds = if variant.len() == 1 && variant[0].1 == "1" { 1 } else { ROUNDS };
                for round in 0..rounds {
                    let title = format!("{name}, {delivery:?}, {all:?}, round {round}");
                    Dialogue { server: &server, clients: BTreeMap::new(), delivery, title }.hold(text);
                }
            }
        }
    }
}

/// Whether it can be delivered at once: one client that only sends and gets.
fn is_monologue(text: &str) -> bool {
    lines(text).all(|(who, sign, _)| who == "a" && matches!(sign, '>' | '<' | '*' | '!' | '^'))
}

fn lines(text: &str) -> impl Iterator<Item = (&str, char, &str)> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).map(|line| {
        if let Some(rest) = line.strip_prefix("GET ") {
            return ("", 'G', rest);
        }
        let at = line.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or_else(|| panic!("no sign: {line}"));
        (&line[..at], line[at..].chars().next().expect("found"), line[at + 1..].trim())
    })
}

struct Dialogue<'a> {
    server: &'a Server,
    clients: BTreeMap<String, Client>,
    delivery: Delivery,
    title: String,
}

impl Dialogue<'_> {
    fn hold(&mut self, text: &str) {
        let mut text = text.to_owned();
        for place in ["$1", "$2", "$3"] {
            text = text.replace(place, &unique("room"));
        }
        let mut at_once = upgrade("a", "").into_bytes();
        if self.delivery == Delivery::AtOnce {
            for (_, sign, rest) in lines(&text) {
                match sign {
                    '>' => at_once.extend(text_frame(rest)),
                    '*' => at_once.extend(bytes_of(rest)),
                    _ => {}
                }
            }
            let mut client = Client::unanswered(self.server.dial(), "a");
            client.write(&at_once);
            client.upgraded();
            self.clients.insert("a".into(), client);
        }
        for (who, sign, rest) in lines(&text) {
            if self.delivery == Delivery::AtOnce && matches!(sign, '>' | '*') {
                continue;
            }
            self.step(who, sign, rest);
        }
    }

    fn step(&mut self, who: &str, sign: char, rest: &str) {
        let line = format!("{who}{sign} {rest}\n    in {}", self.title);
        match sign {
            'G' => {
                let (path, expected) = rest.split_once(' ').expect("a path and an answer");
                let found = self.server.get(path).json();
                difference(&parse(expected), &found).unwrap_or_else(|why| panic!("{why}\n    {line}\n    {found}"));
            }
            '+' => {
                let (id, query) = rest.split_once(" ?").map_or((rest, String::new()), |(id, q)| (id, format!("?{q}")));
                let client = Client::connect_on(self.server.dial(), id, &query);
                assert!(self.clients.insert(who.into(), client).is_none(), "{line}");
            }
            '>' => self.send(who, &text_frame(rest)),
            '*' => self.send(who, &bytes_of(rest)),
            '.' => drop(self.clients.remove(who).expect("it is connected")),
            '/' => self.client(who).half_close(),
            '!' => self.client(who).expect_close(rest.parse().expect("a code")),
            '~' => {
                let came = self.client(who).up_to_now(rest);
                assert!(came.is_empty(), "more came: {came:?}\n    {line}");
            }
            '^' => assert_eq!(self.client(who).got(), Got::Pong(bytes_of(rest)), "{line}"),
            '<' => {
                let found = self.client(who).json();
                difference(&parse(rest), &found).unwrap_or_else(|why| panic!("{why}\n    {line}\n    {found}"));
            }
            other => panic!("no such sign {other}: {line}"),
        }
    }

    fn client(&mut self, who: &str) -> &mut Client {
        let server = self.server;
        self.clients.entry(who.into()).or_insert_with(|| Client::connect(server, who))
    }

    fn send(&mut self, who: &str, bytes: &[u8]) {
        let delivery = self.delivery;
        let client = self.client(who);
        if delivery == Delivery::Bytes {
            bytes.iter().for_each(|byte| client.write(&[*byte]));
        } else {
            client.write(bytes);
        }
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).expect("ascii"), 16).expect("hex")).collect()
}
