//! A real server on a real Redis that is sick in every way that Redis itself can be. The network's ways are in
//! `failing`.
//!
//! In `window` mode the sale goes on, `/health` names the failure within two seconds, and within two seconds of its end
//! all is caught up. In `durable` mode a select is refused within a second and changes nothing.

use std::time::Duration;

use crate::failing::until_status;
use crate::harness::{Client, Stopwatch, eventually};
use crate::home::{Home, held, kill};
use crate::redis_server::RedisServer;

struct Sickness {
    /// What `/health` must say of it.
    words: &'static str,
    /// How Redis is started.
    args: &'static [&'static str],
    /// The password that the server has for it.
    password: Option<&'static str>,
    begin: fn(&mut RedisServer),
    end: fn(&mut RedisServer),
}

const AOF: &[&str] = &["--appendonly", "yes", "--appendfsync", "always", "--save", ""];

const DOWN: Sickness =
    Sickness { words: "", args: AOF, password: None, begin: RedisServer::kill, end: |redis| redis.restart(AOF) };

/// A password that the server does not know: new connections are not let in, old ones are gone.
const NO_AUTH: Sickness = Sickness {
    words: "NOAUTH",
    args: AOF,
    password: None,
    begin: |redis| {
        let _: String = redis.ask(&["CONFIG", "SET", "requirepass", "secret"]);
        let _: i64 = redis.ask_with_password("secret", &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    },
    end: |redis| {
        let _: String = redis.ask_with_password("secret", &["CONFIG", "SET", "requirepass", ""]);
    },
};

/// The password is changed and the server has the old one.
const WRONG_PASSWORD: Sickness = Sickness {
    words: "assword",
    args: &["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--requirepass", "old"],
    password: Some("old"),
    begin: |redis| {
        let _: String = redis.ask_with_password("old", &["CONFIG", "SET", "requirepass", "new"]);
        let _: i64 = redis.ask_with_password("new", &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    },
    end: |redis| {
        let _: String = redis.ask_with_password("new", &["CONFIG", "SET", "requirepass", "old"]);
    },
};

/// A directory where the file should go makes every save fail, as a full disk does.
const MISCONF: Sickness = Sickness {
    words: "MISCONF",
    args: &["--save", "1 1", "--appendonly", "no"],
    password: None,
    begin: |redis| {
        std::fs::create_dir(redis.dir().join("dump.rdb")).expect("the directory is ours");
        let _: String = redis.ask(&["BGSAVE"]);
        eventually("the save fails", || {
            let info: String = redis.ask(&["INFO", "persistence"]);
            info.contains("rdb_last_bgsave_status:err").then_some(())
        });
    },
    end: |redis| {
        let _: String = redis.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    },
};

const READ_ONLY: Sickness = Sickness {
    words: "READONLY",
    args: AOF,
    password: None,
    begin: |redis| {
        let _: String = redis.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    },
    end: |redis| {
        let _: String = redis.ask(&["REPLICAOF", "NO", "ONE"]);
    },
};

/// A Redis that was started again and reads a large file.
const LOADING: Sickness = Sickness {
    words: "LOADING",
    args: &["--save", "3600 1"],
    password: None,
    begin: |redis| {
        let fill = "for i = 1, 3000 do redis.call('SET', 'other:' .. i, i) end return redis.status_reply('OK')";
        let _: String = redis.ask(&["EVAL", fill, "0"]);
        let _: String = redis.ask(&["SAVE"]);
        redis.restart_loading(&["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);
    },
    end: |redis| eventually("it has loaded", || redis.is_loaded().then_some(())),
};

/// It stands still for a while, as on a machine that swaps. Nobody can end the pause: that command would wait as well.
const PAUSED: Sickness = Sickness {
    words: "",
    args: AOF,
    password: None,
    begin: |redis| {
        let _: String = redis.ask(&["CLIENT", "PAUSE", "2500", "ALL"]);
    },
    end: |redis| eventually("the pause is over", || redis.is_loaded().then_some(())),
};

impl Sickness {
    fn home(&self, durability: &str) -> Home {
        let mut home = Home::redis_with(durability, self.args);
        self.password.iter().for_each(|password| home.set("REDIS_PASSWORD", password));
        home
    }
}

fn in_window_mode(sick: &Sickness) {
    let mut home = sick.home("window");
    let server = home.start();
    let mut ana = Client::join(&server, "ana", "show");
    let mut sell = |seat: &str| {
        ana.select("show", seat);
        assert_eq!(ana.json()["type"], "seat_selected");
    };
    sell("before");
    eventually("it is committed", || (server.stats()["store"]["changes"] == 1).then_some(()));
    (sick.begin)(home.redis.as_mut().expect("it is Redis"));
    sell("during");
    let (took, body) = until_status(&server, 200, "degraded");
    assert!(took < Duration::from_secs(2), "{took:?}");
    // The first failure may have been that the connection has ended.
    let mut named = String::new();
    eventually("the failure is named", || {
        let error = server.get("/health").json()["store_error"].as_str().unwrap_or_default().to_owned();
        if named != error {
            println!("the failure is called {error}");
            named = error;
        }
        named.contains(sick.words).then_some(())
    });
    sell("later");
    (sick.end)(home.redis.as_mut().expect("it is Redis"));
    let (took, _) = until_status(&server, 200, "healthy");
    assert!(took < Duration::from_secs(2), "{took:?} {body}");
    eventually("it has caught up", || (server.stats()["store"]["changes"] == 3).then_some(()));
    kill(server);
    assert_eq!(held(&home.start(), "show").len(), 3);
}

fn in_durable_mode(sick: &Sickness) {
    let mut home = sick.home("durable");
    let server = home.start();
    let mut ana = Client::join(&server, "ana", "show");
    ana.select("show", "before");
    let first = ana.json();
    assert_eq!(first["type"], "seat_selected");
    (sick.begin)(home.redis.as_mut().expect("it is Redis"));
    let asked = Stopwatch::start();
    ana.select("show", "during");
    let refused = ana.json();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(refused["code"], "persistence_unavailable", "{refused}");
    let (took, _) = until_status(&server, 503, "unavailable");
    assert!(took < Duration::from_secs(2), "{took:?}");
    (sick.end)(home.redis.as_mut().expect("it is Redis"));
    until_status(&server, 200, "healthy");
    ana.select("show", "after");
    let second = ana.json();
    assert_eq!(second["type"], "seat_selected", "{second}");
    assert_eq!(second["seq"].as_u64(), first["seq"].as_u64().map(|seq| seq + 1), "what was refused has left no trace");
    kill(server);
    let back: Vec<String> = held(&home.start(), "show").into_iter().map(|(seat, _)| seat).collect();
    assert_eq!(back, ["after", "before"]);
}

#[test]
fn down() {
    in_window_mode(&DOWN);
    in_durable_mode(&DOWN);
}

#[test]
fn locked_out() {
    in_window_mode(&NO_AUTH);
    in_durable_mode(&NO_AUTH);
}

#[test]
fn changed_password() {
    in_window_mode(&WRONG_PASSWORD);
    in_durable_mode(&WRONG_PASSWORD);
}

/// A server that Redis does not let in waits and says why, in `/health` and in its log, and never has its password
/// there.
#[test]
fn not_let_in_at_the_start() {
    for (given, words) in [(Some("guessed"), "assword"), (None, "NOAUTH")] {
        for durability in ["window", "durable"] {
            let mut home = Home::redis_with(durability, &["--save", "", "--requirepass", "secret"]);
            given.iter().for_each(|password| home.set("REDIS_PASSWORD", password));
            let server = home.start_waiting();
            eventually("it says why it waits", || {
                let (health, ready) = (server.get("/health"), server.get("/ready"));
                assert_eq!((health.status, ready.status), (503, 503), "{}", health.json());
                let body = health.json();
                assert_eq!((&body["status"], &body["redis_connected"]), (&"starting".into(), &false.into()), "{body}");
                body["store_error"].as_str().is_some_and(|error| error.contains(words)).then_some(())
            });
            eventually("the log says so", || server.log().contains(words).then_some(()));
            let log = server.log();
            assert!(given.is_none_or(|password| !log.contains(password)), "{log}");
            let redis = home.redis.as_ref().expect("it is Redis");
            let set = ["CONFIG", "SET", "requirepass", given.unwrap_or_default()];
            let _: String = redis.ask_with_password("secret", &set);
            until_status(&server, 200, "healthy");
            let mut ana = Client::join(&server, "ana", "show");
            ana.select("show", "A1");
            assert_eq!(ana.json()["type"], "seat_selected");
        }
    }
}

#[test]
fn unable_to_save() {
    in_window_mode(&MISCONF);
    in_durable_mode(&MISCONF);
}

#[test]
fn read_only() {
    in_window_mode(&READ_ONLY);
    in_durable_mode(&READ_ONLY);
}

#[test]
fn loading() {
    in_window_mode(&LOADING);
    in_durable_mode(&LOADING);
}

#[test]
fn paused() {
    in_window_mode(&PAUSED);
    in_durable_mode(&PAUSED);
}
