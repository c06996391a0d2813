//! The command line: flags, defaults, help. One struct a family of scenarios.
//!
//! Never here: anything that runs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plan::Model;

const EXAMPLES: &str = "\
Examples:
  loadgen check                                        walk through the whole protocol
  loadgen interactive --room show-1                    a prompt for one client
  loadgen multi --clients 10                           ten clients at once, each tells what it saw
  loadgen onsale --clients 5000 --rooms 1 --seats 2000 --secs 30
  loadgen flash --report flash.html --json flash.json --server-pid $(pidof butaca)
  loadgen stadium --rooms 100 --time-scale 2 --threads 2
  loadgen storm --restart-cmd './restart.sh' --durability durable
  loadgen arena --protocol v2 --api http://127.0.0.1:8000
  loadgen purchase --restart-cmd './restart.sh'
  loadgen fanout --rate 400 --cores 1
  loadgen compare before.json after.json

Exit code: 0 clean, 1 a promise of the protocol was broken, 2 wrong usage, 3 the run does not count (void).
Only IPv4 loopback addresses are accepted as targets.";

/// Load generator and verifier for seat-selection servers.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Walk through the whole protocol against a running server and say what passed
    Check(CheckArgs),
    /// A prompt: join, leave, select, release, ping, quit
    Interactive(InteractiveArgs),
    /// Several clients at once in one room; each tells what it saw
    Multi(MultiArgs),
    /// Commands at a fixed rate over many clients and rooms, every reply verified
    Onsale(OnsaleArgs),
    /// Open connections and join; measures what opening costs
    Connect(QuietArgs),
    /// Joined connections that do nothing; measures what they cost
    Idle(QuietArgs),
    /// One room of many members, a few of which select and release at a fixed rate
    Fanout(FlowArgs),
    /// Many small rooms, commands at a fixed rate over all
    Rooms(FlowArgs),
    /// Many small rooms, each selector with a fixed number of commands unanswered
    Closed(FlowArgs),
    /// Everybody wants the same seat at once, seat after seat
    Contend(ContendArgs),
    /// A sale: many rooms of 150 seats with 10 viewers each
    Multiplex(SaleArgs),
    /// A sale: one room of 18,000 seats with 10,000 viewers
    Arena(SaleArgs),
    /// A sale: 50,000 seats with 15,000 viewers, in one room or in 100
    Stadium(SaleArgs),
    /// A sale: 500 seats and 5,000 clients
    Flash(SaleArgs),
    /// The stadium, with every socket dropped in the middle of it, or the server restarted
    Storm(StormArgs),
    /// Multiplex with churn and expiry for a long time
    Soak(SaleArgs),
    /// Shoppers buy through sockets and the API of the shop's backend; payments fail, come late or twice
    Purchase(PurchaseArgs),
    /// Sell orders through the API, and say how many a second, how long each call took and what CPU it cost
    Orders(OrdersArgs),
    /// Write the layout of a hall of equal rows, in our JSON, for LAYOUTS_DIR
    Hall(HallArgs),
    /// Put two results of --json side by side
    Compare(CompareArgs),
    /// Draw curves of several runs from a file of points, one SVG each
    Curves(CurvesArgs),
}

/// Where the server is.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The server; only loopback addresses
    #[arg(long, default_value = "ws://127.0.0.1:8001")]
    pub url: String,
}

/// Where the nodes are.
#[derive(Clone, Debug, Args)]
pub struct Nodes {
    /// The server, or one node of a cluster each time it is given: connections are spread over all; only loopback
    /// addresses
    #[arg(long, default_value = "ws://127.0.0.1:8001")]
    pub url: Vec<String>,
}

/// What every measured run knows.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The server, or the nodes
    #[command(flatten)]
    pub place: Nodes,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Length of the measured window, in seconds
    #[arg(long)]
    pub secs: Option<f64>,
    /// Running time before the measured window, in seconds
    #[arg(long)]
    pub warmup: Option<f64>,
    /// Longest silence while late events are awaited afterwards, in seconds
    #[arg(long, default_value_t = 10.0)]
    pub drain: f64,
    /// Longest wait for all connections, in seconds
    #[arg(long, default_value_t = 60.0)]
    pub open_timeout: f64,
    /// Load threads
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// CPUs for the load threads, for example 1 or 2,3; not given: wherever the kernel puts them
    #[arg(long, value_delimiter = ',')]
    pub cores: Vec<usize>,
    /// Connections that may be opening at once
    #[arg(long, default_value_t = 256)]
    pub inflight: usize,
    /// Source addresses (127.0.0.2 and up)
    #[arg(long, default_value_t = 8)]
    pub sources: usize,
    /// Process id of the server: adds its CPU and memory to the result
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the result as one self-contained page
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Do not compare the rooms over HTTP at the end
    #[arg(long)]
    pub no_audit: bool,
    /// Do not ask for /stats during the run
    #[arg(long)]
    pub no_stats: bool,
    /// Accept a server that sends no seq; then there is nothing but counting
    #[arg(long)]
    pub plain_v1: bool,
    /// How late a hold may expire, delivery included, in milliseconds
    #[arg(long, default_value_t = 1_000)]
    pub expiry_grace_ms: u64,
    /// p99 of the generator's own delay beyond which the run is void, in milliseconds
    #[arg(long, default_value_t = 50.0)]
    pub late_ms: f64,
    /// No progress display
    #[arg(long, short)]
    pub quiet: bool,
    /// Which protocol the clients speak
    #[arg(long, value_enum, default_value = "v1")]
    pub protocol: Protocol,
    /// Where the rooms get their layout from
    #[command(flatten)]
    pub halls: Halls,
}

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Single clicks, every change told to everybody
    V1,
    /// Carts, sessions, and a map of two bits a seat
    V2,
}

/// Rooms with a layout.
#[derive(Clone, Debug, Args)]
pub struct Halls {
    /// The API of the shop's backend, for example http://127.0.0.1:8000: the rooms of the run are made there with a
    /// layout
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
    /// The key for --api
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// The rooms have the seats of this layout, in our JSON, instead of the scenario's own
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// What the names of rooms, seats and clients begin with, for rooms that ROOMS_FILE has made (TAGr0, TAGr1, ...)
    #[arg(long)]
    pub tag: Option<String>,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The server
    #[command(flatten)]
    pub place: Where,
    /// Which protocol to walk through
    #[arg(long, value_enum, default_value = "v1")]
    pub protocol: Protocol,
    /// The API of the shop's backend (v2): rooms with a layout are walked through as well
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
    /// The key for --api
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
}

/// Flags of `purchase`.
#[derive(Debug, Args)]
pub struct PurchaseArgs {
    /// The server, or the nodes
    #[command(flatten)]
    pub place: Nodes,
    /// The API of the shop's backend, of one node each time it is given: every call goes to the next one
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub api: Vec<String>,
    /// The key for --api, of the role manage
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Shoppers, each with a socket of its own
    #[arg(long, default_value_t = 300)]
    pub shoppers: usize,
    /// Seats of the room
    #[arg(long, default_value_t = 1_500)]
    pub seats: usize,
    /// How long carts live, in milliseconds
    #[arg(long, default_value_t = 60_000)]
    pub hold_ms: u64,
    /// Orders that each shopper tries
    #[arg(long, default_value_t = 4)]
    pub orders: usize,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run by a shell in the middle of the sale; it kills and starts again what it likes: server, Redis, relay
    #[arg(long, value_name = "COMMAND")]
    pub restart_cmd: Option<String>,
    /// How often, spread over the sale
    #[arg(long, default_value_t = 1)]
    pub restarts: usize,
    /// Receive here, as the webhook of a relay, what must be the log in the end; port 0 chooses one, which is printed
    #[arg(long, value_name = "ADDRESS")]
    pub sink: Option<String>,
}

/// Flags of `orders`.
#[derive(Debug, Args)]
pub struct OrdersArgs {
    /// The API of the shop's backend
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub api: String,
    /// The key for --api, of the role manage
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Sellers, each with a connection and one call at a time
    #[arg(long, default_value_t = 256)]
    pub sellers: usize,
    /// Rooms that they sell
    #[arg(long, default_value_t = 8)]
    pub rooms: usize,
    /// Seats of an order
    #[arg(long, default_value_t = 2)]
    pub seats: usize,
    /// Calls a second of all sellers; not given: as many as there can be
    #[arg(long)]
    pub rate: Option<f64>,
    /// Length of the measured window, in seconds
    #[arg(long, default_value_t = 10.0)]
    pub secs: f64,
    /// Running time before it, in seconds
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// The server's process, for the CPU of its threads
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Seed of the names of the rooms
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Flags of `interactive`.
#[derive(Debug, Args)]
pub struct InteractiveArgs {
    /// The server
    #[command(flatten)]
    pub place: Where,
    /// Name of the client
    #[arg(long, default_value = "human")]
    pub client_id: String,
    /// Room to join at once
    #[arg(long)]
    pub room: Option<String>,
}

/// Flags of `multi`.
#[derive(Debug, Args)]
pub struct MultiArgs {
    /// What every run knows
    #[command(flatten)]
    pub common: Common,
    /// Clients
    #[arg(long, default_value_t = 10)]
    pub clients: usize,
}

/// Flags of `onsale`.
#[derive(Debug, Args)]
pub struct OnsaleArgs {
    /// What every run knows
    #[command(flatten)]
    pub common: Common,
    /// Clients over all rooms
    #[arg(long, default_value_t = 1_000)]
    pub clients: usize,
    /// Rooms
    #[arg(long, default_value_t = 1)]
    pub rooms: usize,
    /// Seats of a room
    #[arg(long, default_value_t = 2_000)]
    pub seats: u32,
    /// Commands a second; not given: a fifth of the clients, at most what makes 200,000 events a second
    #[arg(long)]
    pub rate: Option<f64>,
}

/// Flags of `connect` and `idle`.
#[derive(Debug, Args)]
pub struct QuietArgs {
    /// What every run knows
    #[command(flatten)]
    pub common: Common,
    /// Connections
    #[arg(long, default_value_t = 5_000)]
    pub conns: usize,
    /// Members of a room
    #[arg(long, default_value_t = 20)]
    pub members: usize,
}

/// Flags of `fanout`, `rooms` and `closed`.
#[derive(Debug, Args)]
pub struct FlowArgs {
    /// What every run knows
    #[command(flatten)]
    pub common: Common,
    /// Rooms [default: 1 in fanout, else 500]
    #[arg(long)]
    pub rooms: Option<usize>,
    /// Members of a room [default: 1000 in fanout, else 20]
    #[arg(long)]
    pub members: Option<usize>,
    /// Members that select [default: 50 in fanout, 2 in closed, else all]
    #[arg(long)]
    pub selectors: Option<usize>,
    /// Commands a second over all rooms (fanout, rooms) [default: 100 in fanout, 1000 in rooms]
    #[arg(long)]
    pub rate: Option<f64>,
    /// Unanswered commands of each selector (closed)
    #[arg(long, default_value_t = 1)]
    pub window: usize,
}

/// Flags of `contend`.
#[derive(Debug, Args)]
pub struct ContendArgs {
    /// What every run knows
    #[command(flatten)]
    pub common: Common,
    /// Clients
    #[arg(long, default_value_t = 200)]
    pub conns: usize,
    /// Seats, one after the other
    #[arg(long, default_value_t = 200)]
    pub seats: u32,
}

/// Flags of the sales.
#[derive(Debug, Args)]
pub struct SaleArgs {
    /// What every run knows
    #[command(flatten)]
    pub common: Common,
    /// All durations of the user model and of the run times this
    #[arg(long, default_value_t = 1.0)]
    pub time_scale: f64,
    /// Rooms instead of the scenario's own number; a stadium of several rooms has its blocks spread over them
    #[arg(long)]
    pub rooms: Option<usize>,
    /// Viewers over all rooms instead of the scenario's own number
    #[arg(long)]
    pub viewers: Option<usize>,
    /// The people
    #[command(flatten)]
    pub model: Model,
}

/// What a server promises about acknowledged holds and crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Nothing survives
    Memory,
    /// All but the last 100 ms survives
    Window,
    /// Everything survives
    Durable,
}

/// Flags of `storm`.
#[derive(Debug, Args)]
pub struct StormArgs {
    /// The sale
    #[command(flatten)]
    pub sale: SaleArgs,
    /// Everybody is back within so many seconds
    #[arg(long, default_value_t = 5.0)]
    pub back_secs: f64,
    /// Shell command that kills the server and starts it again, instead of dropping the sockets
    #[arg(long)]
    pub restart_cmd: Option<String>,
    /// What must have survived the restart
    #[arg(long, value_enum, default_value = "window")]
    pub durability: Durability,
    /// File with the process id of the server, read again and again, for a restart that changes it
    #[arg(long)]
    pub server_pid_file: Option<PathBuf>,
}

/// Flags of `hall`.
#[derive(Debug, Args)]
pub struct HallArgs {
    /// Blocks of rows
    #[arg(long, default_value_t = 100)]
    pub blocks: u32,
    /// Rows of a block
    #[arg(long, default_value_t = 25)]
    pub rows: u32,
    /// Seats of a row
    #[arg(long, default_value_t = 20)]
    pub row_seats: u32,
}

/// Flags of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// A result
    pub a: PathBuf,
    /// Another result
    pub b: PathBuf,
}

/// Flags of `curves`.
#[derive(Debug, Args)]
pub struct CurvesArgs {
    /// The points, as JSON: charts with a name, a title, what stands on x and y, and curves of named points
    pub from: PathBuf,
    /// The folder for the pictures
    pub into: PathBuf,
}
