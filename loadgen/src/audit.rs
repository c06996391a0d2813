//! The second witness: a room as the server tells it over HTTP against what its members were told.
//!
//! Invariants: a difference counts only when it stays; a room that cannot be asked is no difference, and is told as such.
//! Never here: the sockets of the run.

use std::time::Duration;

use crate::clock::now_ns;
use crate::http::get;
use crate::names::{FREE, Seat, Who};
use crate::oracle::violation::Kind;
use crate::scan;
use crate::session::Session;

const WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at a room whose last connection has ended.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a difference may stay until it counts: events may be on their way. A server that does not answer for so long is
/// not asked again.
const PATIENCE_NS: u64 = 2_000_000_000;

/// The held seats of a room as `GET /room/{id}/selections` tells them.
fn told(session: &Session, room: usize) -> Result<Vec<(Seat, Who)>, String> {
    let names = &session.settings.names;
    let path = format!("/room/{}/selections", names.room(room));
    let answer = get(session.settings.target.addr, &path, WITHIN).map_err(|error| format!("{path}: {error}"))?;
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
        if !session.crowd.oracle.knows(room) {
            continue;
        }
        let give_up = now_ns() + PATIENCE_NS;
        loop {
            let told = told(session, room);
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

/// After all connections have ended, their holds must end too. Tells what is left behind in the first rooms.
pub fn left_behind(session: &mut Session, within: Duration) {
    let begun = now_ns();
    let give_up =
        |asked: bool| begun + if asked { u64::try_from(within.as_nanos()).expect("seconds") } else { PATIENCE_NS };
    let known = |room: &usize| session.crowd.oracle.knows(*room);
    let rooms: Vec<usize> = (0..session.settings.names.rooms()).filter(known).take(50).collect();
    for room in rooms {
        let left = loop {
            let left = told(session, room).map(|list| list.len());
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
