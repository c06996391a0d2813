//! The whole server: all threads and queues on one screen.
//!
//! Threads: one a shard ([`Executor`]), the store thread ([`Storage`]), the API's ([`Api`]), the log's, the signal
//! thread, the watchdog; `main` waits for the shards, then for the store thread, then a moment each for the API and the
//! log. Queues: one mailbox a shard ([`Mesh`]) and one for the API ([`Desk`]), one place a shard for its changes.
//! Drain: a signal sets the board to draining and wakes every shard; each tells its connections, flushes, and ends when
//! they have gone or the time is over; a second signal ends the process at once.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::acts::ring::Ring;
use crate::api::{self, Api, Listening, NotListening};
use crate::audience::budget::Budget;
use crate::audience::pace::Pace;
use crate::auth::owner_key::OwnerKey;
use crate::auth::session::SessionTokens;
use crate::clock::Clock;
use crate::config::{self, Config, EXIT_USAGE, Store, StoreSettings};
use crate::engine::ids::{ShardId, Spread};
use crate::engine::keyed::Seeds;
use crate::engine::shard::{Fairness, Rules, Shard};
use crate::keyring::Keyring;
use crate::layout::catalog::Catalog;
use crate::limits::auth::AUTH_WITHIN_MS;
use crate::limits::cluster::CLUSTER_PATIENCE_MS;
use crate::limits::{RATE_BURST_MAX, SHARDS_MAX, WATCHDOG_MS};
use crate::node::SecondRules;
use crate::node::acts::Acts;
use crate::node::parted::Parted;
use crate::node::proofs::Proofs;
use crate::node::rate::Rate;
use crate::node::{self, Bounds, Node};
use crate::opening::{Kept, Shared};
use crate::persist::stores::secret;
use crate::runtime::board::Board;
use crate::runtime::core::{Core, Parts};
use crate::runtime::desk::{Declared, Desk};
use crate::runtime::driver::Driver;
use crate::runtime::executor::{Choice, Executor, Running};
use crate::runtime::listener;
use crate::runtime::mailbox::Mesh;
use crate::runtime::origins::Origins;
use crate::runtime::preflight::{self, EXIT_MACHINE, Machine};
use crate::runtime::readiness::{Alarm, Readiness};
use crate::storage::{Storage, fresh_secret};
use crate::{log, opening, signals};

/// Exit code when the address cannot be bound (`EX_UNAVAILABLE` of sysexits).
const EXIT_ADDRESS: u8 = 69;

/// Runs the server until it is told to end.
#[must_use]
pub fn run(config: Config) -> ExitCode {
    let code = match start(config) {
        Ok(Started { shards, storage, api }) => {
            let code = wait_for(shards);
            if let Some(storage) = storage {
                storage.finish();
            }
            if let Some(api) = api {
                api.finish();
            }
            tracing::info!("stopped");
            code
        }
        Err((code, line)) => {
            log::say(&format!("butaca: {line}"));
            ExitCode::from(code)
        }
    };
    log::finish();
    code
}

type Failure = (u8, String);

/// Everything that runs.
struct Started {
    shards: Vec<Running>,
    storage: Option<Storage>,
    api: Option<Api>,
}

fn start(config: Config) -> Result<Started, Failure> {
    preflight::prepare_process();
    let no_thread = |error: io::Error| (EXIT_MACHINE, format!("cannot start a thread: {error}"));
    log::start(config.log.level, config.log.format).map_err(no_thread)?;
    let machine = Machine::look();
    let no_files = |error: io::Error| (EXIT_MACHINE, format!("cannot open what a shard needs: {error}"));
    let signals = signals::take().map_err(no_files)?;
    let (layouts, (shelf, shared)) = layouts(&config)?;
    let keyring = config.auth.as_ref().map(Keyring::open).transpose().map_err(|why| (EXIT_USAGE, why))?;
    let mut declared = rooms(&config.halls, &layouts)?;
    let shards = config.cores.shards.unwrap_or(machine.cpus_usable).clamp(1, SHARDS_MAX);
    let choice = choose(&config, shards)?;
    let listening = Listening::new(config.api.as_ref()).map_err(no_api)?;
    let (bound, listeners) = bind(&config.listen, shards)?;
    let connections_max = config.connections.max.unwrap_or(usize::MAX).min(machine.connections_max(shards));

    let (alarms, mesh) = mesh(shards).map_err(no_files)?;
    let mut board = Board::new(shards, choice.0, budget(&config.connections, &machine));
    (board.layouts, board.shelf, board.spread) = (layouts, shelf, spread(&config, shards));
    board.authority = keyring.as_ref().map(|keyring| Arc::clone(&keyring.authority));
    let board = Arc::new(board);
    let (desk, clock, log) = (Arc::new(Desk::default()), Clock::new(), Arc::new(ring(&config, &board)));
    // Before anybody is served: who finds a healthy server may tell it to end.
    let rereads = signals::Rereads { api: listening.reread(), keys: keyring.as_ref().map(Keyring::reread) };
    signals::obey(signals, Arc::clone(&board), mesh.clone(), rereads).map_err(no_files)?;
    let (key, tokens) = secrets(&config.store);
    let storage = storage(&config, bound.port(), (&log, shared), (&mesh, &board), (clock, &tokens))?;
    keyring.map_or(Ok(()), |keyring| keyring.start(clock)).map_err(no_thread)?;
    let (origins, proofs) = owners(&storage, &tokens, key);
    let (listen, site) = (Arc::new(config.listen.clone()), Arc::new(config.site.clone()));

    let (mut running, mut watched) = (Vec::new(), Vec::new());
    for (index, (fd, alarm)) in listeners.into_iter().zip(alarms).enumerate() {
        let id = ShardId::new(index);
        let readiness = Readiness::new(alarm).map_err(no_files)?;
        watched.push(readiness.as_fd().try_clone_to_owned().map_err(no_files)?);
        let node =
            node(&config, (id, shards), &board, (storage.as_ref(), &log)).with_secrets(proofs.clone(), tokens.clone());
        let parts = Parts {
            id,
            listen: Arc::clone(&listen),
            connections: config.connections,
            rooms: config.rooms,
            promise: config.store.promise,
            site: Arc::clone(&site),
            connections_max,
            node,
            mesh: mesh.clone(),
            abroad: storage.as_ref().and_then(|storage| storage.parts.clone()),
            board: Arc::clone(&board),
            desk: Arc::clone(&desk),
            declared: declared.extract_if(.., |room, _| board.spread.shard_of(room.as_str()) == id).collect(),
            readiness,
            clock,
            origins: origins.clone(),
        };
        // With a store the shard serves when it has got its holds back.
        board.pulse(id).serving.store(storage.is_none(), Ordering::Release);
        running.push(spawn(parts, fd, cpu_of(&machine, index, shards))?);
    }
    let api_parts = api::Parts {
        promise: config.store.promise,
        board: Arc::clone(&board),
        mesh: mesh.clone(),
        desk,
        clock,
        store: storage.as_ref().map(|storage| Arc::clone(&storage.link)),
        connections_max,
        log,
        patience_ms: patience_ms(storage.as_ref()),
    };
    let (api, api_line) = listening.start(api_parts).map_err(no_thread)?;
    Watchdog::new(Arc::clone(&board), mesh, watched).start().map_err(no_files)?;
    banner(&config, bound, &api_line, shards, connections_max, &choice);
    Ok(Started { shards: running, storage, api })
}

/// Over what rooms are spread: the shards of this server, and the parts of a cluster when it is a node of one.
fn spread(config: &Config, shards: usize) -> Spread {
    let over = Spread::over(shards);
    config.nodes.as_ref().map_or(over, |nodes| over.with_parts(nodes.parts))
}

/// The store, when there is one: this server's own, or that of several nodes.
fn storage(
    config: &Config,
    port: u16,
    (log, shared): (&Arc<Ring>, Option<Shared>),
    (mesh, board): (&Mesh, &Arc<Board>),
    (clock, tokens): (Clock, &SessionTokens),
) -> Result<Option<Storage>, Failure> {
    if let Some(nodes) = &config.nodes {
        return Storage::join((config, nodes, port), log, (mesh, board), (clock, tokens)).map(Some);
    }
    let known = (&board.layouts, shared, log);
    Storage::start(&config.store, config.rooms.hold_ttl_ms, known, mesh, (clock, tokens))
}

/// The key of this server, and what is made of it.
fn secrets(store: &StoreSettings) -> ([u64; 2], SessionTokens) {
    let key = origins_key(store);
    (key, SessionTokens::new(key))
}

/// What tells addresses and connections apart: by a key of this server, or of all nodes.
fn owners(storage: &Option<Storage>, tokens: &SessionTokens, key: [u64; 2]) -> (Origins, Proofs) {
    let is_node = storage.as_ref().is_some_and(|storage| storage.parts.is_some());
    let key = if is_node { tokens.owner_key(key) } else { OwnerKey::new(key) };
    (Origins::new(key.clone()), Proofs::new(key, RandomState::new().hash_one("this life")))
}

/// What wakes each shard, and the mailboxes.
fn mesh(shards: usize) -> io::Result<(Vec<Alarm>, Mesh)> {
    let alarms: Vec<Alarm> = (0..shards).map(|_| Alarm::new()).collect::<io::Result<_>>()?;
    let mesh = Mesh::new(&alarms);
    Ok((alarms, mesh))
}

/// One shard of so many, without connections.
fn node(
    config: &Config,
    (id, shards): (ShardId, usize),
    board: &Board,
    (storage, log): (Option<&Storage>, &Arc<Ring>),
) -> Node {
    let (rules, fairness) = seat_rules(&config.rooms);
    let within_ms = config.auth.as_ref().map_or(AUTH_WITHIN_MS, |auth| auth.within_ms);
    let parts = storage.and_then(|storage| storage.parts.as_ref());
    let spread = parts.map_or(Spread::over(shards), |parts| parts.spread());
    if let Some(parts) = parts {
        board.nodes.get_or_init(|| Arc::clone(parts.nodes()));
    }
    let seats = Shard::new(id, shards, seeds(), rules).with(fairness).with_carts(config.rooms.carts);
    Node::new(node::Parts {
        id,
        shards,
        rules: node_rules(config),
        bounds: node_bounds(config),
        seats: seats.with_spread(spread),
        hot: board.hot.clone(),
        budget: board.budget.clone(),
        store: storage.map(|storage| Arc::clone(&storage.link)),
    })
    .with_entrance(board.authority.clone(), Arc::clone(&board.bans), within_ms)
    .with_acts(Some(Acts::new(Arc::clone(log), config.acts.has_holds)))
    .with_parts(parts.map(|parts| Parted::new(Arc::clone(parts), patience_ms(storage))))
}

/// How long a question waits for the owner of a room, in milliseconds: 0 without other nodes.
fn patience_ms(storage: Option<&Storage>) -> u64 {
    let parts = storage.and_then(|storage| storage.parts.as_ref());
    parts.map_or(0, |parts| parts.lease_ms() + CLUSTER_PATIENCE_MS)
}

fn choose(config: &Config, shards: usize) -> Result<Choice, Failure> {
    Executor::choose(config.cores.runtime, || preflight::io_uring(shards)).map_err(|line| (EXIT_MACHINE, line))
}

/// The layouts that there are from the start, and where those are kept that are put later.
fn layouts(config: &Config) -> Result<(Catalog, Kept), Failure> {
    let catalog = Catalog::default();
    if let Some(folder) = &config.halls.layouts_dir {
        let line = |why| (EXIT_USAGE, format!("LAYOUTS_DIR: {why}"));
        opening::read_layouts(folder, &catalog).map_err(line)?;
    }
    let is_node = config.nodes.is_some();
    let at_once = config.halls.rooms_file.is_some() || is_node;
    let kept = opening::read_kept(&config.store, (at_once, is_node), &catalog).map_err(|why| (EXIT_USAGE, why))?;
    Ok((catalog, kept))
}

/// The rooms that are to be there from the start.
fn rooms(halls: &config::Halls, layouts: &Catalog) -> Result<Declared, Failure> {
    let read = halls.rooms_file.as_deref().map(|file| opening::read_rooms(file, layouts));
    read.transpose().map(Option::unwrap_or_default).map_err(|why| (EXIT_USAGE, format!("ROOMS_FILE: {why}")))
}

fn budget(connections: &config::Connections, machine: &Machine) -> Budget {
    Budget::of(connections.memory_budget_bytes.unwrap_or(machine.memory_budget_bytes()))
}

fn ring(config: &Config, board: &Board) -> Ring {
    Ring::within(&board.budget, config.acts.events_max)
}

fn bind(listen: &config::Listen, shards: usize) -> Result<(SocketAddr, Vec<OwnedFd>), Failure> {
    let address = SocketAddr::new(listen.host, listen.port);
    listener::bind_all(address, shards).map_err(|error| (EXIT_ADDRESS, address_line(address, "WEBSOCKET", &error)))
}

fn no_api(why: NotListening) -> Failure {
    match why {
        NotListening::Keys(line) => (EXIT_USAGE, line),
        NotListening::Address(address, error) => (EXIT_ADDRESS, address_line(address, "API", &error)),
    }
}

/// The secrets of one shard, from the system's randomness. Each is the hash of another question under a key that nobody
/// is told.
fn seeds() -> Seeds {
    let system = RandomState::new();
    let key = |what: &str| [system.hash_one((what, 0)), system.hash_one((what, 1))];
    Seeds { ids: key("ids"), connections: key("connections"), epochs: key("epochs") }
}

/// The key under which addresses are hashed: with a store it outlives the process, as the holds do.
fn origins_key(store: &StoreSettings) -> [u64; 2] {
    let fresh = fresh_secret("addresses");
    if store.promise.store == Store::Memory {
        return fresh;
    }
    secret::keep(&store.data_dir, fresh).unwrap_or_else(|error| {
        let dir = store.data_dir.display();
        tracing::warn!(%error, "no key for addresses in {dir}: after this start nobody gets a hold back by address");
        fresh
    })
}

/// What the engine is told about seats.
fn seat_rules(rooms: &config::Rooms) -> (Rules, Fairness) {
    let rules = Rules { hold_ttl_ms: rooms.hold_ttl_ms, seats_per_client_max: rooms.seats_per_client_max };
    let fairness = Fairness {
        reselect_after_ms: rooms.reselect_after_ms,
        restore_by: rooms.restore_by,
        seats_per_origin_max: rooms.seats_per_ip_max,
    };
    (rules, fairness)
}

/// The bounds of a node, as far as they are configured.
fn node_bounds(config: &Config) -> Bounds {
    let rate = Rate { per_s: config.rates.messages_per_s, burst: config.rates.burst };
    let per_s = config.rates.messages_per_s_per_ip;
    // Whoever shares an address has bursts at different times: as many messages at once as in four seconds.
    let origin_rate = Rate { per_s, burst: (4 * per_s).clamp(1, RATE_BURST_MAX) };
    Bounds { queue_bytes: config.connections.outbound_queue_bytes, rate, origin_rate, ..Bounds::default() }
}

/// What a node needs of the configuration.
fn node_rules(config: &Config) -> node::Rules {
    node::Rules {
        share: config.rooms.broadcast_user_info,
        pace: Pace { factor: u64::from(config.cores.pace_factor), max_ns: config.cores.pace_max_ms * 1_000_000 },
        hot_room_members: config.cores.hot_room_members,
        slow_consumer_ms: config.connections.slow_consumer_ms,
        silence_ms: config.connections.ping_after_ms + config.connections.pong_within_ms,
        hold_ttl_ms: config.rooms.hold_ttl_ms,
        restore_grace_ms: config.rooms.restore_grace_ms,
        is_durable: config.store.promise.is_durable(),
        second: SecondRules {
            tick_ms: config.rooms.tick_v2_ms,
            ring_max: config.rooms.ring_max,
            grace_ms: config.rooms.carts.grace_ms,
            ping_ms: config.connections.ping_after_ms,
            extends_max: config.rooms.carts.extends_max,
        },
    }
}

/// Several shards are pinned; a single one moves where the scheduler has room.
fn cpu_of(machine: &Machine, index: usize, shards: usize) -> Option<usize> {
    machine.cpu_ids.get(index).copied().filter(|_| shards > 1)
}

fn spawn(parts: Parts, fd: OwnedFd, cpu: Option<usize>) -> Result<Running, Failure> {
    let (executor, name) = (parts.board.executor, format!("shard-{}", parts.id.index()));
    executor
        .spawn(&name, cpu, move || async move { Driver::new(Core::new(parts), fd)?.run().await })
        .map_err(|error| (EXIT_MACHINE, format!("cannot start a shard's thread: {error}")))
}

fn wait_for(shards: Vec<Running>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (index, shard) in shards.into_iter().enumerate() {
        if let Err(problem) = shard.join() {
            tracing::error!(shard = index, problem, "a shard ended");
            code = ExitCode::from(EXIT_MACHINE);
        }
    }
    code
}

/// Wakes a shard whose turns stand still while work waits for it: glommio 0.9.0 can lose a wake-up.
struct Watchdog {
    board: Arc<Board>,
    mesh: Mesh,
    /// The epoll set of each shard.
    watched: Vec<OwnedFd>,
    /// The turns of each shard at the last look.
    seen: Vec<u64>,
}

impl Watchdog {
    fn new(board: Arc<Board>, mesh: Mesh, watched: Vec<OwnedFd>) -> Self {
        let seen = vec![u64::MAX; watched.len()];
        Self { board, mesh, watched, seen }
    }

    fn start(mut self) -> io::Result<()> {
        std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            loop {
                std::thread::park_timeout(Duration::from_millis(WATCHDOG_MS));
                self.look();
            }
        })?;
        Ok(())
    }

    fn look(&mut self) {
        for (index, (epoll, seen)) in self.watched.iter().zip(&mut self.seen).enumerate() {
            let shard = ShardId::new(index);
            let pulse = self.board.pulse(shard);
            let turns = pulse.turns.load(Ordering::Relaxed);
            let stands = std::mem::replace(seen, turns) == turns;
            if stands && (self.mesh.depth(shard) > 0 || is_readable(epoll)) {
                tracing::error!(shard = index, turns, "a shard stands still while work waits; waking it");
                pulse.pokes.fetch_add(1, Ordering::Relaxed);
                self.mesh.wake(shard);
            }
        }
    }
}

fn is_readable(epoll: &OwnedFd) -> bool {
    let mut fds = [rustix::event::PollFd::new(epoll, rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// `settings` is how the settings of the port and the host begin.
fn address_line(address: SocketAddr, settings: &str, error: &io::Error) -> String {
    let cure = if error.kind() == io::ErrorKind::AddrInUse {
        format!("is in use; stop what listens there, or choose another port with {settings}_PORT")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        format!("needs a privilege; choose a port from 1024 up with {settings}_PORT")
    } else if error.kind() == io::ErrorKind::AddrNotAvailable {
        format!("is not an address of this machine; choose another with {settings}_HOST")
    } else {
        return format!("cannot listen on {address}: {error}");
    };
    format!("{address} {cure}")
}

fn banner(config: &Config, bound: SocketAddr, api: &str, shards: usize, connections_max: usize, choice: &Choice) {
    let (executor, refusal) = choice;
    let runtime = executor.name();
    let (store, durability) = (config.store.promise.store.name(), config.store.promise.durability.name());
    log::print_aside(format!(
        "butaca {version}\n  sockets  ws://{bound}/ws/{{client_id}}\n  http     http://{bound}/health  /stats  /room/{{room_id}}/selections\n  \
         api      {api}\n  \
         shards   {shards}\n  runtime  {runtime}\n  limits   {connections_max} connections, {seats} seats a client, \
         holds of {ttl} s\n  \
         store    {store}, durability {durability}\n",
        version = env!("CARGO_PKG_VERSION"),
        seats = config.rooms.seats_per_client_max,
        ttl = config.rooms.hold_ttl_ms / 1_000,
    ));
    if let Some(why) = refusal {
        // The figures are those of `perf/notes/threads.md`.
        let cost = "as fast under load, about 7 % more CPU while little happens";
        tracing::warn!("the shards run on plain threads ({cost}), because {why}");
    }
    tracing::info!(%bound, api, shards, runtime, connections_max, store, durability, "serving");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::Watchdog;
    use crate::audience::budget::Budget;
    use crate::engine::ids::{ConnId, ShardId};
    use crate::node::letters::Letter;
    use crate::runtime::board::Board;
    use crate::runtime::executor::Executor;
    use crate::runtime::mail::Mail;
    use crate::runtime::mailbox::{Lanes, Mesh};
    use crate::runtime::readiness::{Alarm, Readiness};

    #[test]
    fn the_watchdog_wakes_who_stands_still_with_work_and_nobody_else() {
        let alarms = [Alarm::new().expect("an eventfd"), Alarm::new().expect("an eventfd")];
        let board = Arc::new(Board::new(2, Executor::Threads, Budget::default()));
        let mesh = Mesh::new(&alarms);
        let sets = alarms.clone().map(|alarm| Readiness::new(alarm).expect("an epoll set"));
        let watched = sets.iter().map(|set| set.as_fd().try_clone_to_owned().expect("a file")).collect();
        let mut watchdog = Watchdog::new(Arc::clone(&board), mesh.clone(), watched);
        let mut check = |pokes: [u64; 2], why: &str| {
            watchdog.look();
            let found = [0, 1].map(|shard| board.pulse(ShardId::new(shard)).pokes.load(Ordering::Relaxed));
            assert_eq!(found, pokes, "{why}");
        };
        check([0, 0], "nobody stands at the first look");
        check([0, 0], "who has no work may stand");
        let mut lanes = Lanes::new(ShardId::new(0), mesh);
        lanes.post(ShardId::new(1), Mail::Letter(Letter::Gone { conn: ConnId::new(ShardId::new(0), 0, 0) }));
        lanes.flush();
        check([0, 1], "mail waits");
        alarms[1].wait_for_test();
        board.pulse(ShardId::new(1)).turns.store(1, Ordering::Relaxed);
        check([0, 1], "it has taken a turn");
        alarms[0].ring();
        board.pulse(ShardId::new(1)).turns.store(2, Ordering::Relaxed);
        check([1, 1], "a descriptor of the other is ready");
    }
}
