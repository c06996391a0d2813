//! `kill -9` in the middle of a sale: what was acknowledged is there after the restart, within what the mode promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use butaca::limits::store::STORE_WINDOW_MS;

use crate::harness::wait::size;
use crate::harness::{Client, Got, Server, Stopwatch};
use crate::home::{Home, held, kill};

/// Connections that select at once.
const CLIENTS: usize = 8;
/// How long holds live here: many times what a round takes.
const HOLD_TTL_MS: u64 = 10_000;

/// What one client was told, and when.
#[derive(Default)]
struct Told {
    /// The seats whose last acknowledgement says that they are held, with the time of it.
    held: BTreeMap<String, Instant>,
    /// Seats with a request under way, or one that was refused because the store did not answer in time: either outcome
    /// is right.
    open: BTreeSet<String>,
}

/// What a request got: `reply` is what it hopes for.
enum Outcome {
    Done,
    /// The disk was slow: the request was undone.
    Refused,
    Ended,
}

fn outcome(client: &mut Client, reply: &str) -> Outcome {
    let Got::Text(text) = client.got() else { return Outcome::Ended };
    if text.contains("persistence_unavailable") {
        return Outcome::Refused;
    }
    assert!(text.contains(reply), "{text}");
    Outcome::Done
}

/// Selects new seats and releases some until the connection ends.
fn sell(server: &Server, number: usize, round: usize) -> Told {
    let name = format!("client{number}");
    let mut client = Client::connect(server, &name);
    let mut told = Told::default();
    for n in 0.. {
        let seat = format!("{round}-{number}-{n}");
        client.select("show", &seat);
        told.open.insert(seat.clone());
        match outcome(&mut client, "seat_selected") {
            Outcome::Done => told.held.insert(seat.clone(), Instant::now()),
            Outcome::Refused => continue,
            Outcome::Ended => return told,
        };
        told.open.remove(&seat);
        if n % 3 == 0 {
            told.held.remove(&seat);
            told.open.insert(seat.clone());
            client.release("show", &seat);
            match outcome(&mut client, "seat_released") {
                Outcome::Done => told.open.remove(&seat),
                Outcome::Refused => continue,
                Outcome::Ended => return told,
            };
        }
    }
    told
}

/// What a crash cost.
#[derive(Default)]
struct Loss {
    /// Acknowledged holds that are not there.
    holds: usize,
    /// How long before the crash the oldest of them was acknowledged.
    oldest: Duration,
    /// From the blow until the next server sells.
    gap: Duration,
    /// The longest time that a change had waited for its commit before the crash: what the machine's disk made of it.
    lag_ms: u64,
    /// What the machine may have held threads up by before the crash.
    held_up: Duration,
}

/// One sale, one crash, one restart.
fn round(home: &Home, round: usize) -> Loss {
    let server = home.start();
    let began = Stopwatch::start();
    let (told, killed_at, lag_ms, held_up) = std::thread::scope(|scope| {
        let sellers: Vec<_> = (0..CLIENTS)
            .map(|n| {
                scope.spawn({
                    let server = &server;
                    move || sell(server, n, round)
                })
            })
            .collect();
        // So that the crash comes at another moment each time.
        std::thread::park_timeout(Duration::from_millis(150 + (round as u64 * 37) % 200));
        let lag_ms = server.stats()["store"]["lag_ms"]["max"].as_u64().expect("a number");
        let (killed_at, held_up) = (Instant::now(), began.held_up());
        server.signal(rustix::process::Signal::KILL);
        let told: Vec<Told> =
            sellers.into_iter().map(|seller| seller.join().expect("a seller does not panic")).collect();
        (told, killed_at, lag_ms, held_up)
    });
    drop(server.ended());
    let server = home.start();
    let mut first = Client::connect(&server, "first");
    loop {
        first.select("other", &round.to_string());
        match outcome(&mut first, "seat_selected") {
            Outcome::Done => break,
            Outcome::Refused => {}
            Outcome::Ended => panic!("the next server ends, too"),
        }
    }
    let mut lost = Loss { lag_ms, held_up, gap: killed_at.elapsed(), ..Loss::default() };
    let after: BTreeMap<String, String> = held(&server, "show").into_iter().collect();
    for (number, told) in told.iter().enumerate() {
        let name = format!("client{number}");
        for (seat, at) in &told.held {
            match after.get(seat) {
                Some(holder) => assert_eq!(*holder, name),
                None if at.elapsed() > Duration::from_millis(HOLD_TTL_MS / 2) => {}
                None => {
                    lost.holds += 1;
                    lost.oldest = lost.oldest.max(killed_at.saturating_duration_since(*at));
                }
            }
        }
    }
    // No ghosts: a seat of this round that is held was acknowledged as held, or its request was under way, or, in
    // `window` mode, its release is among what was lost.
    let known = |seat: &String| told.iter().any(|told| told.held.contains_key(seat) || told.open.contains(seat));
    let ghosts = after.keys().filter(|seat| seat.starts_with(&format!("{round}-")) && !known(seat)).count();
    assert!(!home.is_durable() || ghosts == 0, "{ghosts} ghosts");
    kill(server);
    lost
}

fn check(mut home: Home) {
    home.set("MAX_SEATS_PER_CLIENT", "0");
    // So that the holds of many rounds do not add up.
    home.set("HOLD_TTL_MS", &HOLD_TTL_MS.to_string());
    let rounds = size("KILL_ROUNDS", 5);
    let (mut lost, mut beyond) = (Loss::default(), 0);
    for number in 0..rounds {
        let one = round(&home, number);
        lost.holds += one.holds;
        lost.oldest = lost.oldest.max(one.oldest);
        lost.lag_ms = lost.lag_ms.max(one.lag_ms);
        lost.held_up = lost.held_up.max(one.held_up);
        lost.gap = lost.gap.max(one.gap);
        beyond += usize::from(one.oldest > Duration::from_millis(STORE_WINDOW_MS));
    }
    let Loss { holds, oldest, lag_ms, gap, held_up } = lost;
    println!(
        "{rounds} crashes: {holds} acknowledged holds lost, the oldest {oldest:?} before the crash ({beyond} crashes lost \
         some older than {STORE_WINDOW_MS} ms); longest wait for a commit {lag_ms} ms; longest gap {gap:?}; held up by the machine for {held_up:?} at most"
    );
    if home.is_durable() {
        assert_eq!(holds, 0, "durable loses nothing");
    } else {
        // On a disk that keeps up. A commit that the machine itself held up is not the server's to answer for.
        let bound = Duration::from_millis(STORE_WINDOW_MS.max(2 * lag_ms)) + held_up;
        assert!(oldest <= bound, "window loses only its window: {oldest:?}, lag {lag_ms} ms");
    }
}

#[test]
fn kill_embedded_durable() {
    check(Home::embedded("durable"));
}

#[test]
fn kill_embedded_window() {
    check(Home::embedded("window"));
}

#[test]
fn kill_redis_durable() {
    check(Home::redis("durable"));
}

#[test]
fn kill_redis_window() {
    check(Home::redis("window"));
}
