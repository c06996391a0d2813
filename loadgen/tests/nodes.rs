//! Sales over three nodes of a cluster on one Redis: the sockets and the calls of the backend are spread over all, and
//! the oracle sees what each of them tells. In the middle nodes are restarted one after the other, die, stand still, or
//! are cut off from Redis.
//!
//! `scripts/long.sh cluster` runs them larger.

#![allow(clippy::disallowed_methods, reason = "a test is told how large it is")]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use kit::gate::Gate;
use kit::proxy::{Fault, Proxy};
use kit::redis_server::RedisServer;
use kit::{Server, eventually};
use rustix::process::Signal;
use support::{loadgen, printed};

const ALWAYS: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What becomes of a node in the middle of a sale.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// It ends, or dies, and is started again.
    Signal(Signal),
    /// It stands still until the others have its rooms.
    Stop,
    /// It hears nothing of Redis as long, and Redis nothing of it. What it said meanwhile arrives then.
    Cut,
}

/// How much larger than in the CI.
fn scale() -> usize {
    std::env::var("CLUSTER_SCALE").map_or(1, |scale| scale.parse().expect("CLUSTER_SCALE is a number"))
}

/// Three nodes, each behind gates that stay where they are.
struct Nodes {
    folder: tempfile::TempDir,
    _redis: RedisServer,
    /// Between each node and Redis.
    wires: [Proxy; 3],
    durability: &'static str,
    servers: [Option<Server>; 3],
    /// In front of the sockets, and of the API.
    gates: [Option<[Gate; 2]>; 3],
}

impl Nodes {
    fn new(durability: &'static str) -> Self {
        let (folder, redis) = (tempfile::tempdir().expect("a folder"), RedisServer::start_with(&ALWAYS));
        let (servers, gates) = ([const { None }; 3], [const { None }; 3]);
        let wires = std::array::from_fn(|_| Proxy::start(&redis.socket()));
        let mut nodes = Self { folder, _redis: redis, wires, durability, servers, gates };
        (0..3).for_each(|at| nodes.start(at));
        (0..3).for_each(|at| nodes.has_parts(at));
        nodes
    }

    fn start(&mut self, at: usize) {
        let (url, data) = (self.wires[at].url(), self.folder.path().join(NAMES[at]).display().to_string());
        let server = Server::start(&[
            ("CLUSTER", "1"),
            ("NODE_ID", NAMES[at]),
            ("STORE", "redis"),
            ("REDIS_URL", &url),
            ("DATA_DIR", &data),
            ("PARTS", "32"),
            ("CLUSTER_LEASE_MS", "2000"),
            ("SHARDS", if at == 0 { "2" } else { "1" }),
            ("DURABILITY", self.durability),
            ("HOLD_TTL_MS", "5000"),
            ("SESSION_GRACE_MS", "1200"),
            ("RESTORE_GRACE_MS", "500"),
            ("MAX_CONNECTIONS_PER_IP", "0"),
            ("LOG_LEVEL", "warn"),
        ]);
        let places = [server.address, server.api.expect("the API is on")];
        match &self.gates[at] {
            Some(gates) => gates.iter().zip(places).for_each(|(gate, place)| gate.lead_to(Some(place))),
            None => self.gates[at] = Some(places.map(Gate::to)),
        }
        self.servers[at] = Some(server);
    }

    fn has_parts(&self, at: usize) {
        let server = self.servers[at].as_ref().expect("it runs");
        eventually("the node has all parts that it should have", || {
            let told = &server.stats()["cluster"];
            let [owned, wanted] = ["parts_owned", "parts_wanted"].map(|name| told[name].as_u64().unwrap_or(0));
            (owned > 0 && owned == wanted && told["nodes"] == 3 && told["parts_ownerless"] == 0).then_some(())
        });
    }

    fn strike(&mut self, at: usize, blow: Blow) {
        let server = self.servers[at].as_ref().expect("it runs");
        let other = self.servers[(at + 1) % 3].as_ref().expect("it runs");
        let others_have_all = || {
            eventually("the others have all parts", || {
                let told = &other.stats()["cluster"];
                (told["nodes"] == 2 && told["parts_ownerless"] == 0).then_some(())
            });
        };
        match blow {
            Blow::Signal(signal) => self.restart(at, signal),
            Blow::Stop => {
                server.signal(Signal::STOP);
                others_have_all();
                server.signal(Signal::CONT);
            }
            Blow::Cut => {
                self.wires[at].set(Fault::BlackHole);
                others_have_all();
                self.wires[at].set(Fault::None);
            }
        }
        self.has_parts(at);
    }

    /// A node ends, or dies, and comes back.
    fn restart(&mut self, at: usize, signal: Signal) {
        let server = self.servers[at].take().expect("it runs");
        server.signal(signal);
        let (status, log) = server.ended();
        assert!(status.success() || signal == Signal::KILL, "{log}");
        self.start(at);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The flag with the address of each node.
    fn flags(&self, flag: &str, scheme: &str, gate: usize) -> Vec<String> {
        let addresses = self.gates.iter().map(|gates| gates.as_ref().expect("it has started")[gate].address);
        addresses.flat_map(|address| [flag.to_owned(), format!("{scheme}://{address}")]).collect()
    }
}

#[test]
fn three_nodes_are_as_one() {
    let nodes = Nodes::new("window");
    let clients = (120 * scale()).to_string();
    let rate = (300 * scale()).to_string();
    let onsale = ["onsale", "--clients", &clients, "--rooms", "6", "--seats", "40", "--rate", &rate, "--secs", "2"];
    let storm = ["storm", "--viewers", &clients, "--rooms", "5", "--time-scale", "0.05"];
    for (scenario, protocol) in [(&onsale[..], "v1"), (&onsale, "v2"), (&storm, "v1"), (&storm, "v2")] {
        let urls = nodes.flags("--url", "ws", 0);
        let more = ["--quiet", "--protocol", protocol];
        let args: Vec<&str> = scenario.iter().copied().chain(more).chain(urls.iter().map(String::as_str)).collect();
        let output = loadgen(&args);
        let code = output.status.code();
        assert!(code == Some(0) || code == Some(3), "{args:?} ended with {code:?}: {}", printed(&output));
    }
}

/// A sale through sockets and the API of all nodes, of which one after the other is struck.
fn sell_while_each_is_struck(durability: &'static str, blow: Blow) {
    let mut nodes = Nodes::new(durability);
    let (ask, done) = (nodes.path("ask"), nodes.path("done"));
    let (asks, is_done) = (ask.display(), done.display());
    let strike = format!("touch {asks}; until rm {is_done} 2>/dev/null; do sleep 0.01; done");
    let (shoppers, seats) = ((30 * scale()).to_string(), (180 * scale()).to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(["purchase", "--restart-cmd", &strike, "--restarts", "3", "--shoppers", &shoppers, "--seats", &seats]);
    command.args(["--orders", "4", "--hold-ms", "5000"]);
    command.args(nodes.flags("--url", "ws", 0)).args(nodes.flags("--api", "http", 1));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary is built with the tests");
    let mut restarted = 0;
    while child.try_wait().expect("it is ours").is_none() {
        if std::fs::remove_file(&ask).is_ok() {
            nodes.strike(restarted % 3, blow);
            restarted += 1;
            std::fs::write(&done, "").expect("a file");
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("it has ended");
    let is_clean = output.status.success() && printed(&output).contains("violations: 0");
    assert!(is_clean && restarted == 3, "{durability} {blow:?}, {restarted} blows: {}", printed(&output));
}

#[test]
fn a_rolling_restart_closes_no_sale() {
    sell_while_each_is_struck("window", Blow::Signal(Signal::TERM));
}

#[test]
fn what_was_sold_stays_sold_though_each_node_dies() {
    sell_while_each_is_struck("durable", Blow::Signal(Signal::KILL));
}

#[test]
fn what_was_sold_stays_sold_though_each_node_stands_still() {
    sell_while_each_is_struck("durable", Blow::Stop);
}

#[test]
fn what_was_sold_stays_sold_though_each_node_is_cut_off() {
    sell_while_each_is_struck("durable", Blow::Cut);
}
