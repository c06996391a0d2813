//! The real binary as a child process on a port of its own.
//!
//! Invariants: the child ends with its [`Server`]; what it logs is shown when a test fails.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::binary;
use super::http::{Http, Response};
use super::wait::{BOUND, eventually};

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Where its API listens, unless that is off.
    pub api: Option<SocketAddr>,
    pub banner: String,
    stderr: Arc<Mutex<String>>,
    log: Option<JoinHandle<()>>,
}

/// The binary with the settings that every test wants, and with `settings` on top of them.
pub fn command(settings: &[(&str, &str)]) -> Command {
    with_settings(Command::new(binary::butaca()), settings)
}

/// The binary under limits of the shell, such as `ulimit -n 64`.
pub fn limited(limits: &str, settings: &[(&str, &str)]) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{limits} && exec \"$0\"")]).arg(binary::butaca());
    with_settings(shell, settings)
}

/// The binary under a seccomp profile in which one of the calls of io_uring fails with this error, as in many
/// containers. The profile is set by a few lines of Python, because it takes a raw system call.
pub fn refused(Refused { call, errno }: Refused, settings: &[(&str, &str)]) -> Command {
    let script = format!(
        "import ctypes, os, struct, sys\n\
         steps = [(0x20, 0, 0, 0), (0x15, 0, 1, {call}), (6, 0, 0, 0x50000 | {errno}), (6, 0, 0, 0x7fff0000)]\n\
         code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))\n\
         program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(steps), ctypes.addressof(code)))\n\
         prctl = ctypes.CDLL(None, use_errno=True).prctl\n\
         assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()\n\
         os.execv(sys.argv[1], sys.argv[1:])\n"
    );
    let mut python = Command::new("python3");
    python.args(["-c", &script]).arg(binary::butaca());
    with_settings(python, settings)
}

/// A call, and the error with which it fails.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    pub call: u32,
    pub errno: i32,
}

/// What makes a ring, waits for it, and asks what it can do: the same numbers on all processors.
pub const IO_URING_SETUP: u32 = 425;
pub const IO_URING_ENTER: u32 = 426;
pub const IO_URING_REGISTER: u32 = 427;
/// `EPERM`, `ENOSYS` and `ENOMEM`.
pub const NOT_ALLOWED: i32 = 1;
pub const NO_SUCH_CALL: i32 = 38;
pub const NO_MEMORY: i32 = 12;

fn with_settings(mut command: Command, settings: &[(&str, &str)]) -> Command {
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs([("WEBSOCKET_HOST", "127.0.0.1"), ("WEBSOCKET_PORT", "0"), ("STORE", "memory")]);
    command.env("API_PORT", "0");
    // Tests flood. What the rate does is tested where it is switched on.
    command.env("RATE_MESSAGES_PER_S", "0");
    // They all come from this machine, more than one address may have.
    command.env("MAX_CONNECTIONS_PER_IP", "0");
    // What the shards run on in this run of the tests, unless a test says so itself.
    command.envs(std::env::var_os("BUTACA_TEST_RUNTIME").map(|runtime| ("RUNTIME", runtime)));
    command.envs(settings.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Server {
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::run(command(settings))
    }

    /// Starts what [`command`] or [`limited`] prepared and waits until it serves.
    pub fn run(command: Command) -> Self {
        let server = Self::run_unready(command);
        eventually("it is ready", || (server.get("/ready").status == 200).then_some(()));
        server
    }

    /// The same, but waits only for its banner: its store may be away.
    pub fn run_unready(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        drop(command);
        let stderr = Arc::new(Mutex::new(String::new()));
        // A test may have put something else in its place.
        let log = child.stderr.take().map(|errors| {
            std::thread::spawn({
                let stderr = Arc::clone(&stderr);
                move || keep(errors, &stderr)
            })
        });
        let stdout = child.stdout.take().expect("it is piped");
        let (address, banner) = read_banner(stdout, &mut child, &stderr);
        let api = banner.lines().find_map(|line| line.trim_start().strip_prefix("api "));
        let api = api.and_then(|line| line.trim_start().strip_prefix("http://")?.split('/').next()?.parse().ok());
        Self { child, address, api, banner, stderr, log }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a pid");
        kill_process(pid, signal).expect("the child is ours");
    }

    /// Waits for its end; how it ended, and what it logged.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = eventually("the server ends", || self.child.try_wait().expect("the child is ours"));
        if let Some(log) = self.log.take() {
            log.join().expect("the log was read");
        }
        (status, self.log())
    }

    pub fn dial(&self) -> TcpStream {
        ready_to_use(TcpStream::connect(self.address).expect("the server listens"))
    }

    /// Connects to its API.
    pub fn dial_api(&self) -> TcpStream {
        ready_to_use(TcpStream::connect(self.api.expect("the API is on")).expect("the API listens"))
    }

    /// Connects from this address of the loopback range.
    pub fn dial_from(&self, from: Ipv4Addr) -> TcpStream {
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&fd, &SocketAddr::new(IpAddr::V4(from), 0)).expect("an address of loopback");
        connect(&fd, &self.address).expect("the server listens");
        ready_to_use(TcpStream::from(fd))
    }

    /// Connects one of many: each hundred from an address of its own, or a test of tens of thousands of connections
    /// would run out of ports.
    pub fn dial_in_a_crowd(&self, number: usize) -> TcpStream {
        let host = u8::try_from(number / 100 % 200 + 2).expect("small");
        self.dial_from(Ipv4Addr::new(127, 0, 1, host))
    }

    /// One request on a connection of its own. A shard that is behind is given up by the one that answers for a room:
    /// then it is asked again.
    pub fn get(&self, path: &str) -> Response {
        eventually("an answer that needs all shards", || {
            let mut http = Http::new(self.dial());
            http.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
            let answer = http.response(false);
            (answer.status != 503 || !path.starts_with("/room/")).then_some(answer)
        })
    }

    /// What all shards tell; one that is behind is left out by the one that answers, and then it is asked again.
    pub fn stats(&self) -> Value {
        eventually("figures of all shards", || {
            let stats = self.get("/stats").json();
            (stats["shards_missing"] == 0).then_some(stats)
        })
    }

    /// A figure of `/stats`, summed over all shards.
    pub fn figure(&self, name: &str) -> u64 {
        self.figures(name).iter().sum()
    }

    /// A figure of `/stats`, one for each shard.
    pub fn figures(&self, name: &str) -> Vec<u64> {
        let stats = self.stats();
        let rows = stats["shards"].as_array().expect("a row for each shard");
        rows.iter().map(|row| row[name].as_u64().unwrap_or_else(|| panic!("{name} in {row}"))).collect()
    }
}

/// Keeps what a server logs.
fn keep(mut errors: ChildStderr, log: &Mutex<String>) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = errors.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..len]);
        log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
    }
}

fn ready_to_use(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(BOUND)).expect("a socket option");
    stream.set_write_timeout(Some(BOUND)).expect("a socket option");
    stream
}

/// Reads until the line with the address. What comes after it is read and forgotten.
fn read_banner(stdout: ChildStdout, child: &mut Child, stderr: &Mutex<String>) -> (SocketAddr, String) {
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    let mut banner = String::new();
    let mut address = None;
    while let Ok(line) = lines.recv_timeout(BOUND) {
        banner.push_str(&line);
        banner.push('\n');
        let url = line.split_once("ws://").and_then(|(_, rest)| rest.split('/').next());
        address = address.or(url.and_then(|text| text.parse().ok()));
        if line.trim_start().starts_with("store ") {
            break;
        }
    }
    let Some(address) = address else {
        child.kill().ok();
        child.wait().ok();
        panic!("no banner: {banner}\n{}", stderr.lock().unwrap_or_else(PoisonError::into_inner));
    };
    (address, banner)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the server logged:\n{}---", self.log());
        }
    }
}
