//! A real `redis-server` for a test: own directory, a unix socket, no port.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running server. It ends with the value.
pub struct RedisServer {
    dir: tempfile::TempDir,
    child: Option<Child>,
    /// Its log, kept open: a server that cannot write it while it starts ends.
    log: Option<BufReader<ChildStdout>>,
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// A server with these arguments, once it is ready for connections.
    pub fn start_with(args: &[&str]) -> Self {
        let mut server = Self { dir: tempfile::tempdir().expect("a directory"), child: None, log: None };
        server.restart(args);
        server
    }

    /// Ends the server at once and starts it again in the same directory.
    pub fn restart(&mut self, args: &[&str]) {
        self.kill();
        self.spawn(args);
        let log = self.log.as_mut().expect("it was just started");
        let ready =
            log.by_ref().lines().any(|line| line.expect("its log is text").contains("eady to accept connections"));
        assert!(ready, "redis-server did not start");
    }

    /// Starts the server again and returns when it has begun to load its file.
    pub fn restart_loading(&mut self, args: &[&str]) {
        self.kill();
        self.spawn(args);
        // The socket exists before the file is read.
        while UnixStream::connect(self.socket()).is_err() {
            let child = self.child.as_mut().expect("it was just started");
            assert!(child.try_wait().expect("it is ours").is_none(), "redis-server has ended");
            std::thread::yield_now();
        }
    }

    fn spawn(&mut self, args: &[&str]) {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--dir"]).arg(self.dir.path()).arg("--unixsocket").arg(self.socket()).args(args);
        let child = command.stdout(Stdio::piped()).spawn().expect("redis-server is installed");
        let child = self.child.insert(child);
        self.log = child.stdout.take().map(BufReader::new);
    }

    /// Ends the server without a word.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it was started");
            if self.socket().exists() {
                std::fs::remove_file(self.socket()).expect("the directory is ours");
            }
        }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its address for `REDIS_URL`.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Sends it a command as an operator would.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(&self.url(), words).expect("it answers")
    }

    /// The same for one that wants this password.
    pub fn ask_with_password<T: redis::FromRedisValue>(&self, password: &str, words: &[&str]) -> T {
        self.try_ask(&format!("{}?pass={password}", self.url()), words).expect("it answers")
    }

    /// Whether it has read its file.
    pub fn is_loaded(&self) -> bool {
        self.try_ask::<String>(&self.url(), &["PING"]).is_ok()
    }

    fn try_ask<T: redis::FromRedisValue>(&self, url: &str, words: &[&str]) -> redis::RedisResult<T> {
        let mut connection = redis::Client::open(url)?.get_connection()?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut connection)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
