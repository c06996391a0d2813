//! The second witness: a room as the server tells it over HTTP against what its members were told.
//!
//! Invariants: a difference counts only when it stays; a room that cannot be asked is no difference, and is told as
//! such. Never here: the sockets of the run.

use std::time::Duration;

use serde::Deserialize;

use crate::clock::now_ns;
use crate::http::get;
use crate::names::{FREE, Seat, Who};
use crate::oracle::violation::Kind;
use crate::scan;
use crate::session::Session;
use crate::target::Target;

const WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at a room whose last connection has ended.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a difference may stay until it counts: events may be on their way. A server that does not answer for so
/// long is not asked again.
const PATIENCE_NS: u64 = 2_000_000_000;

/// The held seats of a room as `GET /room/{id}/selections` of a node tells them.
fn told(session: &Session, node: &Target, room: usize) -> Result<Vec<(Seat, Who)>, String> {
    let names = &session.settings.names;
    let path = format!("/room/{}/selections", names.room(room));
    let answer = get(node.addr, &path, WITHIN).map_err(|error| format!("{path}: {error}"))?;
    if answer.status != 200 {
        return Err(format!("{path}: status {}", answer.status));
    }
    let mut list = Vec::new();
    for object in scan::objects(scan::message(&answer.body).selections) {
        let selection = scan::message(object);
        let seat = names.seat_of(selection.seat).ok_or_else(|| format!("{path}: a seat that is none"))?;
        list.push((seat, names.who(selection.client)));
    }
    list.sort_unstable();
    Ok(list)
}

/// Compares every room of this thread. `turn` lets the sockets go on meanwhile.
pub fn compare(session: &mut Session, turn: &mut dyn FnMut(&mut Session)) {
    let (rooms, threads, thread) = (session.settings.names.rooms(), session.settings.threads, session.thread);
    for room in (thread..rooms).step_by(threads) {
        if !session.crowd.knows(room) {
            continue;
        }
        if session.crowd.second.is_some() {
            for node in session.settings.clone().targets.iter() {
                compare_second(session, (node, room), turn);
            }
            continue;
        }
        for node in session.settings.clone().targets.iter() {
            compare_first(session, (node, room), turn);
        }
    }
}

/// The same by the first protocol, as one node tells it.
fn compare_first(session: &mut Session, (node, room): (&Target, usize), turn: &mut dyn FnMut(&mut Session)) {
    let give_up = now_ns() + PATIENCE_NS;
    loop {
        let told = told(session, node, room);
        turn(session);
        let known = session.crowd.oracle.held(room);
        if told.as_ref() == Ok(&known) {
            break;
        }
        if now_ns() >= give_up {
            match told {
                Err(error) => session.unasked.push(error),
                Ok(_) if session.crowd.oracle.has_hole(room) => session.crowd.oracle.unjudged += 1,
                Ok(told) => differs(session, room, &told, &known),
            }
            break;
        }
    }
}

fn differs(session: &mut Session, room: usize, told: &[(Seat, Who)], known: &[(Seat, Who)]) {
    let only_told = told.iter().find(|pair| !known.contains(pair));
    let only_known = known.iter().find(|pair| !told.contains(pair));
    let (seat, who) = *only_told.or(only_known).expect("the lists differ");
    let other = if only_told.is_some() { known } else { told };
    let there = other.iter().find(|(other, _)| *other == seat).map_or(FREE, |(_, who)| *who);
    let (http, events) = if only_told.is_some() { (who, there) } else { (there, who) };
    let names = &session.settings.names;
    let detail = format!("over HTTP it is held by {}, by the events by {}", names.client(http), names.client(events));
    session.crowd.oracle.tell_in(Kind::MapDiffers, room, FREE, Some(seat), detail);
}

/// What `GET /room/{id}/selections` says of a seat that is not free.
#[derive(Deserialize)]
struct Listed {
    seat_id: String,
    client_id: String,
    status: String,
}

#[derive(Deserialize)]
struct Listing {
    selections: Vec<Listed>,
}

/// The seats of a room that are not free, by their names' order, with state and holder.
fn listed(session: &Session, node: &Target, room: usize) -> Result<Vec<(Seat, u8, Who)>, String> {
    let names = &session.settings.names;
    let path = format!("/room/{}/selections", names.room(room));
    let answer = get(node.addr, &path, WITHIN).map_err(|error| format!("{path}: {error}"))?;
    let listing: Listing = serde_json::from_slice(&answer.body).map_err(|error| format!("{path}: {error}"))?;
    let one = |listed: &Listed| {
        let state = match &*listed.status {
            "held" | "checkout" => 1,
            "booked" => 2,
            "blocked" => 3,
            _ => return None,
        };
        Some((names.seat_of(listed.seat_id.as_bytes())?, state, names.who(listed.client_id.as_bytes())))
    };
    let mut list: Vec<_> = listing
        .selections
        .iter()
        .map(|listed| one(listed).ok_or_else(|| format!("{path}: {} is {}", listed.seat_id, listed.status)))
        .collect::<Result<_, _>>()?;
    list.sort_unstable();
    Ok(list)
}

/// The same by the second protocol: the map of the members, and the carts of those who are here.
fn compare_second(session: &mut Session, (node, room): (&Target, usize), turn: &mut dyn FnMut(&mut Session)) {
    let give_up = now_ns() + PATIENCE_NS;
    loop {
        let listed = listed(session, node, room);
        turn(session);
        let wrong = match &listed {
            Err(error) => Some(error.clone()),
            Ok(list) => second_difference(session, room, list),
        };
        let Some(detail) = wrong else { return };
        if now_ns() >= give_up {
            match listed {
                Err(error) => session.unasked.push(error),
                Ok(_) => session.crowd.oracle.tell_in(Kind::MapDiffers, room, FREE, None, detail),
            }
            return;
        }
    }
}

fn second_difference(session: &Session, room: usize, listed: &[(Seat, u8, Who)]) -> Option<String> {
    let (names, second) = (&session.settings.names, session.crowd.second.as_ref()?);
    let by_http: Vec<(Seat, u8)> = listed.iter().map(|&(seat, state, _)| (seat, state)).collect();
    let by_deltas = second.taken_in(room, names.seats());
    if by_http != by_deltas {
        let only_http = by_http.iter().find(|pair| !by_deltas.contains(pair));
        let only_deltas = by_deltas.iter().find(|pair| !by_http.contains(pair));
        return Some(format!("over HTTP alone (seat, state) {only_http:?}, by the deltas alone {only_deltas:?}"));
    }
    let members = session.mine.iter().filter(|who| session.crowd.room_of(**who) == room);
    members.copied().find_map(|who| {
        let mine = second.client(who);
        let lost = mine.cart.iter().find(|seat| mine.joined && !listed.contains(&(**seat, 1, who)))?;
        let (name, client) = (names.seat(*lost), names.client(who));
        Some(format!("{name} is in the cart of {client}, but over HTTP it is not"))
    })
}

/// After all connections have ended, their holds must end too. Tells what is left behind in the first rooms.
pub fn left_behind(session: &mut Session, mut within: Duration) {
    if let Some(second) = &session.crowd.second {
        within += Duration::from_millis(second.grace_ms());
    }
    let begun = now_ns();
    let give_up =
        |asked: bool| begun + if asked { u64::try_from(within.as_nanos()).expect("seconds") } else { PATIENCE_NS };
    let known = |room: &usize| session.crowd.knows(*room);
    let rooms: Vec<usize> = (0..session.settings.names.rooms()).filter(known).take(50).collect();
    for room in rooms {
        let left = loop {
            let left = told(session, session.settings.targets.first(), room).map(|list| list.len());
            if left == Ok(0) || now_ns() >= give_up(left.is_ok()) {
                break left;
            }
            std::thread::park_timeout(PAUSE);
        };
        match left {
            Ok(0) => {}
            Ok(count) => {
                let detail =
                    format!("{count} seats are still held {} s after the last connection ended", within.as_secs());
                session.crowd.oracle.tell_in(Kind::LeftBehind, room, FREE, None, detail);
            }
            Err(error) => session.unasked.push(error),
        }
    }
}
