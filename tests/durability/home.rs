//! Where a server of these tests keeps its holds, over several lives of it.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::server::command;
use crate::harness::{Server, eventually};
use crate::redis_server::RedisServer;

/// A store that outlives the servers on it.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) redis: Option<RedisServer>,
    settings: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn embedded(durability: &str) -> Self {
        Self::new(None, durability)
    }

    pub(crate) fn redis(durability: &str) -> Self {
        Self::new(Some(RedisServer::start()), durability)
    }

    /// With a Redis that was started with these arguments.
    pub(crate) fn redis_with(durability: &str, args: &[&str]) -> Self {
        Self::new(Some(RedisServer::start_with(args)), durability)
    }

    /// With a Redis that somebody else runs and this setting names.
    pub(crate) fn elsewhere(durability: &str, name: &str, places: &str) -> Self {
        let mut home = Self::new(None, durability);
        home.set("STORE", "redis");
        home.set(name, places);
        home
    }

    /// Both stores in both modes.
    pub(crate) fn all() -> Vec<Self> {
        vec![Self::embedded("window"), Self::embedded("durable"), Self::redis("window"), Self::redis("durable")]
    }

    fn new(redis: Option<RedisServer>, durability: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut home = Self { dir, redis, settings: Vec::new() };
        home.set("DURABILITY", durability);
        home.set("SHARDS", "2");
        let data = home.data_dir().display().to_string();
        home.set("DATA_DIR", &data);
        match home.redis.as_ref().map(RedisServer::url) {
            Some(url) => {
                home.set("STORE", "redis");
                home.set("REDIS_URL", &url);
            }
            None => home.set("STORE", "embedded"),
        }
        home
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.into(), value.into()));
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.settings.contains(&("DURABILITY".into(), "durable".into()))
    }

    pub(crate) fn command(&self) -> Command {
        let settings: Vec<(&str, &str)> = self.settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        command(&settings)
    }

    /// Starts a server and waits until it serves.
    pub(crate) fn start(&self) -> Server {
        let server = self.start_waiting();
        eventually("it serves", || (server.get("/health").json()["status"] == "healthy").then_some(()));
        server
    }

    /// Starts a server that may have to wait for its store.
    pub(crate) fn start_waiting(&self) -> Server {
        Server::run_unready(self.command())
    }
}

/// Ends a server as a deploy does.
pub(crate) fn stop(server: Server) {
    server.signal(Signal::TERM);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Ends a server as a power cut does.
pub(crate) fn kill(server: Server) {
    server.signal(Signal::KILL);
    drop(server.ended());
}

/// The seats of a room that are held, with their holders, as `/room/{id}/selections` tells them.
pub(crate) fn held(server: &Server, room: &str) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    // A shard that is behind is given up by the one that answers, with 503.
    let body = eventually("the room answers", || {
        let answer = server.get(&format!("/room/{room}/selections"));
        (answer.status == 200).then(|| answer.json())
    });
    let selections = body["selections"].as_array().expect("a list");
    let mut held: Vec<_> = selections.iter().map(|one| (text(&one["seat_id"]), text(&one["client_id"]))).collect();
    held.sort();
    held
}
