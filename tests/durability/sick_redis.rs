//! A real server on a real Redis that is sick in every way that Redis itself can be. The network's ways are in `failing`.
//!
//! In `window` mode the sale goes on, `/health` names the failure within two seconds, and within two seconds of its end all
//! is caught up. In `durable` mode a select is refused within a second and changes nothing.

use std::time::{Duration, Instant};

use crate::failing::until_status;
use crate::harness::{Client, eventually};
use crate::home::{Home, held, kill};
use crate::redis_server::RedisServer;

struct Sickness {
    /// What `/health` must say of it.
    words: &'static str,
    /// How Redis is started.
    args: &'static [&'static str],
    begin: fn(&mut RedisServer),
    end: fn(&mut RedisServer),
}

const AOF: &[&str] = &["--appendonly", "yes", "--appendfsync", "always", "--save", ""];

const DOWN: Sickness = Sickness { words: "", args: AOF, begin: RedisServer::kill, end: |redis| redis.restart(AOF) };

/// A password that the server does not know: new connections are not let in, old ones are gone.
const NO_AUTH: Sickness = Sickness {
    words: "NOAUTH",
    args: AOF,
    begin: |redis| {
        let _: String = redis.ask(&["CONFIG", "SET", "requirepass", "secret"]);
        let _: i64 = redis.ask_with_password("secret", &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    },
    end: |redis| {
        let _: String = redis.ask_with_password("secret", &["CONFIG", "SET", "requirepass", ""]);
    },
};

/// A directory where the file should go makes every save fail, as a full disk does.
const MISCONF: Sickness = Sickness {
    words: "MISCONF",
    args: &["--save", "1 1", "--appendonly", "no"],
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
    begin: |redis| {
        let _: String = redis.ask(&["CLIENT", "PAUSE", "2500", "ALL"]);
    },
    end: |redis| eventually("the pause is over", || redis.is_loaded().then_some(())),
};

fn in_window_mode(sick: &Sickness) {
    let mut home = Home::redis_with("window", sick.args);
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
    let mut home = Home::redis_with("durable", sick.args);
    let server = home.start();
    let mut ana = Client::join(&server, "ana", "show");
    ana.select("show", "before");
    let first = ana.json();
    assert_eq!(first["type"], "seat_selected");
    (sick.begin)(home.redis.as_mut().expect("it is Redis"));
    let asked = Instant::now();
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
