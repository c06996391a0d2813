//! Two servers on one store.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Client, eventually};
use crate::home::{Home, held, kill};

#[test]
fn a_second_server_refuses_to_start_with_one_clear_line() {
    for mut home in Home::all() {
        // It waits as long as a lease lasts: the other server may be dead.
        home.set("REDIS_LEASE_MS", "5000");
        let _first = home.start();
        let second = home.command().output().expect("it runs");
        let said = String::from_utf8(second.stderr).expect("a text");
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("butaca: ")).collect();
        assert_eq!(second.status.code(), Some(75), "{said}");
        assert!(lines.len() == 1 && lines[0].contains("another server"), "{said}");
    }
}

/// Servers that are started at the same moment: all but one end with the code that says why.
fn race(mut commands: Vec<Command>) {
    let spawn = |command: &mut Command| command.stderr(Stdio::null()).spawn().expect("it runs");
    let mut racing: Vec<_> = commands.iter_mut().map(spawn).collect();
    while racing.len() > 1 {
        let loser = eventually("one gives up", || {
            racing.iter_mut().position(|child| child.try_wait().expect("it is ours").is_some())
        });
        assert_eq!(racing.remove(loser).wait().expect("it has ended").code(), Some(75));
    }
    let mut winner = racing.remove(0);
    std::thread::park_timeout(Duration::from_millis(50));
    assert!(winner.try_wait().expect("it is ours").is_none(), "one serves");
    winner.kill().expect("it is ours");
    winner.wait().expect("it is ours");
}

#[test]
fn of_servers_that_race_for_one_directory_one_starts() {
    for _ in 0..5 {
        let home = Home::embedded("window");
        race((0..3).map(|_| home.command()).collect());
    }
}

#[test]
fn while_a_dead_server_s_lease_stands_in_the_way_the_next_one_waits_and_says_for_whom() {
    let mut home = Home::redis("window");
    home.set("REDIS_LEASE_MS", "5000");
    let first = home.start();
    let mut ana = Client::join(&first, "ana", "show");
    ana.select("show", "A1");
    assert_eq!(ana.json()["type"], "seat_selected");
    eventually("it is committed", || (first.stats()["store"]["changes"] == 1).then_some(()));
    kill(first);
    // Without the directory of the dead one this is another machine.
    let mut elsewhere = Home::redis("window");
    elsewhere.set("REDIS_URL", &home.redis.as_ref().expect("it is Redis").url());
    elsewhere.set("REDIS_LEASE_MS", "5000");
    let second = elsewhere.start_waiting();
    eventually("it says for whom it waits", || {
        let health = second.get("/health");
        let error = health.json()["store_error"].as_str().unwrap_or_default().to_owned();
        let is_said = error.contains("is the writer") && error.contains("its lease ends in");
        (health.status == 503 && health.json()["status"] == "starting" && is_said).then_some(())
    });
    eventually("it takes over", || (second.get("/health").json()["status"] == "healthy").then_some(()));
    assert_eq!(held(&second, "show").len(), 1);
}

#[test]
fn of_servers_that_race_for_one_namespace_one_starts() {
    for _ in 0..2 {
        // The first two share a directory too, the third one is as if on another machine.
        let (mut home, mut other) = (Home::redis("window"), Home::embedded("window"));
        other.set("STORE", "redis");
        other.set("REDIS_LEASE_MS", "5000");
        home.set("REDIS_LEASE_MS", "5000");
        other.set("REDIS_URL", &home.redis.as_ref().expect("it is Redis").url());
        race(vec![home.command(), other.command(), home.command()]);
    }
}

#[test]
fn a_server_that_lost_its_lease_grants_nothing_more_and_says_so() {
    for durability in ["window", "durable"] {
        let home = Home::redis(durability);
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        ana.select("show", "A1");
        assert_eq!(ana.json()["type"], "seat_selected");
        let redis = home.redis.as_ref().expect("it is Redis");
        let _: i64 = redis.ask(&["DEL", "{butaca:lease}:lease"]);
        let mut second = Home::redis(durability);
        second.set("REDIS_URL", &redis.url());
        let rival = second.start();
        eventually("the first says so", || {
            let health = server.get("/health");
            (health.status == 503 && health.json()["status"] == "unavailable").then_some(())
        });
        ana.select("show", "A2");
        assert_eq!(ana.json()["code"], "persistence_unavailable");
        let mut eve = Client::connect(&rival, "eve");
        eve.select("show", "A2");
        assert_eq!(eve.json()["type"], "seat_selected");
        kill(server);
    }
}
