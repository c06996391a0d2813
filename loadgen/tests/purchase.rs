//! A small purchase run with all that is real: server, store, relay; killed in the middle, all of them at once.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kit::gate::Gate;
use kit::redis_server::RedisServer;
use kit::wait::at_once;
use kit::{Server, binary};

/// What Redis must do for a booking to outlive its `kill -9`.
const ALWAYS: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

/// Server, store and relay, and how they come back.
struct House {
    folder: tempfile::TempDir,
    redis: Option<RedisServer>,
    durability: &'static str,
    server: Option<Server>,
    relay: Option<Relay>,
    /// In front of the sockets, and of the API.
    gates: Option<[Gate; 2]>,
    sink: String,
}

/// A running relay. It ends with the value.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl House {
    fn new((has_redis, durability): (bool, &'static str)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let redis = has_redis.then(|| RedisServer::start_with(&ALWAYS));
        // The key of the example of Standard Webhooks.
        std::fs::write(folder.path().join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a file");
        let mut house = Self { folder, redis, durability, server: None, relay: None, gates: None, sink: String::new() };
        house.start_server();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_server(&mut self) {
        let data = self.path("data").display().to_string();
        let url = self.redis.as_ref().map_or(String::new(), RedisServer::url);
        let store = if self.redis.is_some() { "redis" } else { "embedded" };
        let mut settings =
            vec![("SHARDS", "2"), ("DURABILITY", self.durability), ("DATA_DIR", &data), ("STORE", store)];
        // What nobody adopts after a crash is free soon.
        settings.extend([("RESTORE_GRACE_MS", "500"), ("LOG_LEVEL", "warn")]);
        if self.redis.is_some() {
            settings.push(("REDIS_URL", &url));
        }
        let server = Server::start(&settings);
        let places = [server.address, server.api.expect("the API is on")];
        match &self.gates {
            Some(gates) => gates.iter().zip(places).for_each(|(gate, place)| gate.lead_to(Some(place))),
            None => self.gates = Some(places.map(Gate::to)),
        }
        self.server = Some(server);
    }

    fn addresses(&self) -> [String; 2] {
        let gates = self.gates.as_ref().expect("the server has started");
        [format!("ws://{}", gates[0].address), format!("http://{}", gates[1].address)]
    }

    fn start_relay(&mut self) {
        let mut command = Command::new(binary::relay());
        command.args(["--server", &self.addresses()[1], "--webhook", &self.sink, "--from", "cursor"]);
        command.arg("--secret-file").arg(self.path("secret")).arg("--cursor-file").arg(self.path("cursor"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.relay = Some(Relay(child.expect("the relay starts")));
    }

    /// `kill -9` for all of them at once, and back.
    fn strike(&mut self) {
        self.server.as_ref().expect("it runs").signal(rustix::process::Signal::KILL);
        self.relay = None;
        if let Some(redis) = &mut self.redis {
            redis.restart(&ALWAYS);
        }
        drop(self.server.take());
        self.start_server();
        self.start_relay();
    }

    /// Whether there is this file; then it is none any more.
    fn takes(&self, name: &str) -> bool {
        std::fs::remove_file(self.path(name)).is_ok()
    }
}

/// A shell that asks for a blow, and waits until it is over.
fn asks(folder: &Path) -> String {
    let [ask, done] = ["ask", "done"].map(|name| folder.join(name).display().to_string());
    format!("touch {ask}; until rm {done} 2>/dev/null; do sleep 0.01; done")
}

fn check(store: (bool, &'static str)) {
    let mut house = House::new(store);
    let [url, api] = house.addresses();
    let blow = asks(house.folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(["purchase", "--url", &url, "--api", &api, "--sink", "127.0.0.1:0", "--restart-cmd", &blow]);
    command.args(["--restarts", "2", "--shoppers", "40", "--seats", "220", "--orders", "4", "--hold-ms", "5000"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary is built with the tests");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("it says where its sink is");
    line.trim().strip_prefix("sink ").expect("it says so first").clone_into(&mut house.sink);
    house.start_relay();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        out.read_to_string(&mut said).expect("it is text");
        said
    });
    let mut blows = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            break status;
        }
        if house.takes("ask") {
            house.strike();
            blows += 1;
            std::fs::write(house.path("done"), "").expect("a file");
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    };
    let said = reader.join().expect("it was read");
    let is_clean = status.success() && said.contains("violations: 0");
    assert!(is_clean && blows == 2, "{store:?}, {blows} blows: {line}{said}");
}

#[test]
fn what_was_sold_is_sold_once_whatever_dies() {
    at_once([(false, "window"), (false, "durable"), (true, "window"), (true, "durable")], check);
}
