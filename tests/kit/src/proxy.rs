//! A small proxy that makes a network go wrong: TCP on loopback in front, the unix socket of a server behind.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What happens to bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// They pass.
    None,
    /// Each answer waits.
    Delay { ms: u64 },
    /// Nothing passes, nothing is closed.
    BlackHole,
    /// Each connection is cut after this time.
    CutAfter { ms: u64 },
    /// Answers are replaced by noise.
    Garbage,
    /// Requests pass, answers do not.
    Mute,
    /// What open connections ask for is delivered when the fault ends, even if nobody waits for the answer any more.
    /// Connections that are opened meanwhile are well.
    Late,
    /// New connections are closed at once and open ones are cut.
    Refuse,
}

/// A running proxy. Its threads end when it does.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    fault: Mutex<Fault>,
    changed: Condvar,
    upstream: PathBuf,
}

impl Proxy {
    /// A proxy to this socket.
    pub fn start(upstream: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared =
            Arc::new(Shared { fault: Mutex::new(Fault::None), changed: Condvar::new(), upstream: upstream.to_owned() });
        let proxy = Self { port, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            listener.incoming().for_each(|client| serve(&client.expect("a connection"), &shared))
        });
        proxy
    }

    /// Its address for `REDIS_URL`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on this goes wrong.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().expect("nobody panics with it") = fault;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().expect("nobody panics with it")
    }

    /// Waits, but not longer than the fault lasts.
    fn wait_while(&self, ms: u64, fault: Fault) {
        let guard = self.fault.lock().expect("nobody panics with it");
        let wait = self.changed.wait_timeout_while(guard, Duration::from_millis(ms), |now| *now == fault);
        drop(wait.expect("nobody panics with it"));
    }
}

fn serve(client: &TcpStream, shared: &Arc<Shared>) {
    if shared.fault() == Fault::Refuse {
        return;
    }
    let Ok(server) = UnixStream::connect(&shared.upstream) else { return };
    let tick = Some(Duration::from_millis(5));
    client.set_nodelay(true).expect("a socket");
    client.set_read_timeout(tick).expect("a socket");
    server.set_read_timeout(tick).expect("a socket");
    let (opened, is_new) = (Instant::now(), shared.fault() == Fault::Late);
    let (to_server, from_server) = (server.try_clone().expect("a socket"), server);
    let (from_client, to_client) = (client.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    for is_answer in [false, true] {
        let shared = Arc::clone(shared);
        let (mut reader, mut writer): (Box<dyn Read + Send>, Box<dyn Write + Send>) = if is_answer {
            (Box::new(from_server.try_clone().expect("a socket")), Box::new(to_client.try_clone().expect("a socket")))
        } else {
            (Box::new(from_client.try_clone().expect("a socket")), Box::new(to_server.try_clone().expect("a socket")))
        };
        let (client, server) = (to_client.try_clone().expect("a socket"), from_server.try_clone().expect("a socket"));
        std::thread::spawn(move || {
            let way = Way { is_answer, opened, is_new, shared: &shared };
            way.pump(&mut *reader, &mut *writer);
            // Either side may be gone already.
            client.shutdown(Shutdown::Both).ok();
            server.shutdown(Shutdown::Both).ok();
        });
    }
}

/// One direction of a connection.
struct Way<'a> {
    is_answer: bool,
    opened: Instant,
    /// Whether it was opened during [`Fault::Late`], which is then no fault of its own.
    is_new: bool,
    shared: &'a Shared,
}

impl Way<'_> {
    fn fault(&self) -> Fault {
        let fault = self.shared.fault();
        if fault == Fault::Late && (self.is_new || self.is_answer) { Fault::None } else { fault }
    }

    /// Moves bytes until an end, or until the fault says that it is over.
    fn pump(&self, from: &mut dyn Read, to: &mut dyn Write) {
        let mut buffer = [0; 64 * 1024];
        loop {
            let fault = self.fault();
            match fault {
                Fault::BlackHole => {
                    self.shared.wait_while(60_000, fault);
                    continue;
                }
                Fault::Refuse => return,
                Fault::CutAfter { ms } if self.opened.elapsed() >= Duration::from_millis(ms) => return,
                Fault::None | Fault::Delay { .. } | Fault::CutAfter { .. } | Fault::Garbage => {}
                Fault::Mute | Fault::Late => {}
            }
            let got = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(got) => got,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => return,
            };
            match self.fault() {
                fault @ Fault::Delay { ms } if self.is_answer => self.shared.wait_while(ms, fault),
                Fault::Garbage if self.is_answer => buffer[..got].fill(b'?'),
                Fault::Mute if self.is_answer => continue,
                fault @ (Fault::BlackHole | Fault::Late) => self.shared.wait_while(60_000, fault),
                Fault::None | Fault::Delay { .. } | Fault::CutAfter { .. } | Fault::Garbage => {}
                Fault::Refuse | Fault::Mute => {}
            }
            if to.write_all(&buffer[..got]).is_err() {
                return;
            }
        }
    }
}
