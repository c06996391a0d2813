//! Several Redis processes that belong together, on ports that were free a moment ago: a master with replicas and
//! Sentinels, or a cluster.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::harness::eventually;

/// A Redis process with a directory of its own. It ends with the value.
pub(crate) struct Node {
    pub(crate) port: u16,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Node {
    fn start(port: u16, args: &[String], config: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("redis-server");
        if let Some(text) = config {
            let file = dir.path().join("node.conf");
            std::fs::write(&file, text).expect("the directory is ours");
            command.arg(file);
        }
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(dir.path()).args(args);
        let child = command.stdout(Stdio::null()).spawn().expect("redis-server is installed");
        let mut node = Self { port, child, _dir: dir };
        eventually("redis-server answers", || {
            assert!(node.child.try_wait().expect("it is ours").is_none(), "redis-server has ended");
            node.ask::<String>(&["PING"])
        });
        node
    }

    pub(crate) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its answer, if it has one of this kind.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let mut connection = redis::Client::open(format!("redis://{}", self.place())).ok()?.get_connection().ok()?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut connection).ok()
    }

    /// A line of its `INFO`.
    fn says(&self, section: &str, line: &str) -> Option<()> {
        let info: String = self.ask(&["INFO", section])?;
        info.lines().any(|found| found == line).then_some(())
    }

    pub(crate) fn is_master(&self) -> bool {
        self.says("replication", "role:master").is_some()
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// So many ports that are free now.
fn free_ports(count: usize) -> Vec<u16> {
    let bound: Vec<_> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port")).collect();
    bound.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
}

fn args(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A master with a replica, and three Sentinels that watch them.
pub(crate) struct Watched {
    pub(crate) master: Node,
    pub(crate) replica: Node,
    pub(crate) sentinels: Vec<Node>,
}

impl Watched {
    pub(crate) fn start() -> Self {
        let ports = free_ports(5);
        let plain = args(&["--save", "", "--appendonly", "no"]);
        let master = Node::start(ports[0], &plain, None);
        let follows = args(&["--replicaof", "127.0.0.1", &ports[0].to_string(), "--repl-diskless-sync-delay", "0"]);
        let replica = Node::start(ports[1], &[plain, follows].concat(), None);
        eventually("the replica follows", || replica.says("replication", "master_link_status:up"));
        let config = format!(
            "sentinel monitor mymaster 127.0.0.1 {} 2\nsentinel down-after-milliseconds mymaster 1000\n\
             sentinel failover-timeout mymaster 5000\n",
            ports[0]
        );
        let sentinel = |&port: &u16| Node::start(port, &args(&["--sentinel"]), Some(&config));
        let sentinels: Vec<Node> = ports[2..].iter().map(sentinel).collect();
        for sentinel in &sentinels {
            eventually("the Sentinels know each other", || {
                let replicas: Vec<redis::Value> = sentinel.ask(&["SENTINEL", "REPLICAS", "mymaster"])?;
                let others: Vec<redis::Value> = sentinel.ask(&["SENTINEL", "SENTINELS", "mymaster"])?;
                (replicas.len() == 1 && others.len() == 2).then_some(())
            });
        }
        Self { master, replica, sentinels }
    }
}

/// Three masters with a replica each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let ports = free_ports(12);
        let node = |pair: &[u16]| {
            let bus = pair[1].to_string();
            let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", &bus];
            let plain = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
            Node::start(pair[0], &args(&[&cluster[..], &plain[..]].concat()), None)
        };
        let nodes: Vec<Node> = ports.chunks(2).map(node).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(nodes.iter().map(Node::place));
        let output =
            create.args(["--cluster-replicas", "1", "--cluster-yes"]).output().expect("redis-cli is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        for node in &nodes {
            eventually("the cluster is whole", || {
                let info: String = node.ask(&["CLUSTER", "INFO"])?;
                let is_whole = ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:6"];
                is_whole.iter().all(|line| info.contains(line)).then_some(())
            });
        }
        for replica in &nodes[3..] {
            eventually("the replicas follow", || replica.says("replication", "master_link_status:up"));
        }
        Self { nodes }
    }
}
