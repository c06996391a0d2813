//! The API of the shop's backend: HTTP on a port and a thread of its own.
//!
//! It never touches what a shard owns: it asks by letter and waits for the answer. The way of a request: `serve`
//! (connections) -> `dispatch` (which call) -> `gate` (who asks) -> `body` -> `perform` -> `shards` (letters). The
//! calls are rows of one table (`table`), from which routes, checks and documentation are made. Invariants: without
//! keys nobody but this machine is served; bodies, connections, calls and time are bounded; a refusal is a problem of
//! the table (`problem`). Never here: decisions about seats, the sockets of clients.

mod answers;
mod body;
mod calls;
mod dispatch;
mod docs;
mod events;
mod figures;
mod gate;
pub mod keys;
mod layouts;
mod openapi;
mod perform;
mod problem;
mod query;
mod requests;
mod rooms;
mod serve;
pub mod settings;
mod shards;
mod table;
mod words;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::body::Bytes;
use axum::http::HeaderValue;
use tokio::sync::{Notify, RwLock, Semaphore, watch};

use crate::acts::ring::Ring;
use crate::clock::Clock;
use crate::config::{self, Promise, Store};
use crate::limits::acts::LOG_READERS_MAX;
use crate::persist::link::StoreLink;
use crate::runtime::board::Board;
use crate::runtime::desk::Desk;
use crate::runtime::mailbox::Mesh;
use crate::runtime::site::sight::Sight;
use body::Bodies;
use figures::Gathering;
use gate::Gate;
use shards::Shards;

/// What the API knows of the rest of the server.
pub(crate) struct Parts {
    pub(crate) promise: Promise,
    pub(crate) board: Arc<Board>,
    pub(crate) mesh: Mesh,
    pub(crate) desk: Arc<Desk>,
    pub(crate) clock: Clock,
    pub(crate) store: Option<Arc<StoreLink>>,
    pub(crate) connections_max: usize,
    pub(crate) log: Arc<Ring>,
    /// How long a question waits for the owner of its room, in milliseconds: 0 without other nodes.
    pub(crate) patience_ms: u64,
}

/// What every request can see.
struct Server {
    gate: Gate,
    bodies: Bodies,
    shards: Shards,
    gathering: Gathering,
    clock: Clock,
    promise: Promise,
    board: Arc<Board>,
    store: Option<Arc<StoreLink>>,
    connections_max: usize,
    home: Bytes,
    docs: Bytes,
    /// What the pages may do.
    policy: HeaderValue,
    openapi: Bytes,
    /// The keys are to be read again.
    rereads: Arc<Notify>,
    /// The shards have ended.
    ends: watch::Sender<bool>,
    log: Arc<Ring>,
    /// Places of those who wait for events.
    readers: Arc<Semaphore>,
    /// Read by who gives a layout to a room, until the room has it; written by who changes layouts.
    halls: Arc<RwLock<()>>,
}

impl Server {
    /// Whether what is answered outlives the process.
    fn is_durable(&self) -> bool {
        self.promise.store != Store::Memory
    }

    /// The server as it looks now.
    fn sight(&self) -> Sight<'_> {
        Sight {
            promise: self.promise,
            board: &self.board,
            connections_max: self.connections_max,
            store: self.store.as_ref().map(|store| &*store.status),
            now: self.clock.now(),
        }
    }
}

/// An API that does not run yet: its keys are read, and its port is taken, unless it is switched off.
pub(crate) struct Listening {
    at: Option<(TcpListener, Gate)>,
    /// Where and for whom, in words.
    line: String,
    /// Told when the keys are to be read again.
    rereads: Arc<Notify>,
}

/// Why it does not listen.
pub(crate) enum NotListening {
    /// The keys cannot be read, and why.
    Keys(String),
    /// The address cannot be had.
    Address(SocketAddr, io::Error),
}

impl Listening {
    /// Reads the keys and takes the port. A port that nobody asked for is done without when another program has it: a
    /// server that sells must not fail to start for it.
    ///
    /// # Errors
    /// The keys cannot be read, or the address cannot be had.
    pub(crate) fn new(settings: Option<&config::Api>) -> Result<Self, NotListening> {
        let Some(settings) = settings else { return Ok(Self::off("off")) };
        let gate = Gate::new(settings.keys_file.clone()).map_err(NotListening::Keys)?;
        let address = SocketAddr::new(settings.host, settings.port);
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        match bound {
            Ok((bound, listener)) => {
                let whom = gate.keys().map_or_else(
                    || "no keys: for this machine only, which may do everything".into(),
                    |keys| format!("keys {keys}"),
                );
                let line = format!("http://{bound}/docs  {whom}");
                Ok(Self { at: Some((listener, gate)), line, rereads: Arc::default() })
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && !settings.is_port_given => {
                tracing::warn!(%address, "the API is off: its port is in use; choose another with API_PORT");
                Ok(Self::off(format!("off: {address} is in use; choose another port with API_PORT")))
            }
            Err(error) => Err(NotListening::Address(address, error)),
        }
    }

    fn off(line: impl Into<String>) -> Self {
        Self { at: None, line: line.into(), rereads: Arc::default() }
    }

    /// Lets the keys be read again, by the API's thread. `None`: there are none.
    pub(crate) fn reread(&self) -> Option<impl Fn() + Send + 'static> {
        let (_, gate) = self.at.as_ref()?;
        let rereads = gate.keys().is_some().then(|| Arc::clone(&self.rereads))?;
        Some(move || rereads.notify_one())
    }

    /// Starts to serve, on a thread of its own, unless it is off. The text says where it serves whom.
    ///
    /// # Errors
    /// The system gives no thread, or not what it needs.
    pub(crate) fn start(self, parts: Parts) -> io::Result<(Option<Api>, String)> {
        let Some((listener, gate)) = self.at else { return Ok((None, self.line)) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let document = serde_json::to_value(openapi::document()).expect("the document is JSON");
        let ends = watch::Sender::new(false);
        let Parts { promise, board, mesh, desk, clock, store, connections_max, log, patience_ms } = parts;
        let server = Arc::new(Server {
            gate,
            bodies: Bodies::within(&board.budget),
            shards: Shards::new(mesh, desk, (board.spread, patience_ms)),
            gathering: Gathering::default(),
            clock,
            promise,
            board,
            store,
            connections_max,
            home: docs::HOME.into(),
            policy: docs::policy(),
            docs: docs::docs(&document).into(),
            openapi: document.to_string().into(),
            rereads: self.rereads,
            ends: ends.clone(),
            log,
            readers: Arc::new(Semaphore::new(LOG_READERS_MAX)),
            halls: Arc::default(),
        });
        let thread = std::thread::Builder::new().name("api".into()).spawn(move || {
            if let Err(error) = runtime.block_on(serve::serve(listener, server)) {
                tracing::error!(%error, "the API cannot serve");
            }
        })?;
        Ok((Some(Api { thread, ends }), self.line))
    }
}

/// The running API.
pub(crate) struct Api {
    thread: JoinHandle<()>,
    ends: watch::Sender<bool>,
}

impl Api {
    /// The shards have ended: what was asked is still answered, for a moment.
    pub(crate) fn finish(self) {
        self.ends.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the API's thread panicked");
        }
    }
}
