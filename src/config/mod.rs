//! Environment and flags, read once into one checked [`Config`].
//!
//! Invariants: nothing else in the server reads the environment; a `Config` that exists is valid, also in its
//! combinations; what is wrong is said in one line before any port is bound.
//! Never here: what the machine allows (that is `runtime/preflight.rs`).

mod network;
mod settings;
mod texts;
mod values;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;

pub use network::Network;
use settings::{Default, SETTINGS};
use texts::{address, allow_origin, host_and_port, host_name, list, namespace, origin, redis_url};
use tracing::level_filters::LevelFilter;
use values::{Source, Values};

pub use crate::engine::shard::RestoreBy;
pub use crate::wire::message::BroadcastUserInfo;

/// Exit code for a command that was used wrongly (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;

/// Where holds survive a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// Nowhere.
    Memory,
    /// In files under `data_dir`.
    Embedded,
    /// In Redis.
    Redis,
}

impl Store {
    /// Its name as it is written in `STORE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Embedded => "embedded",
            Self::Redis => "redis",
        }
    }
}

/// What an acknowledgement is worth after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Nothing.
    Memory,
    /// All but the last 100 ms.
    Window,
    /// Everything.
    Durable,
}

impl Durability {
    /// Its name as it is written in `DURABILITY`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Window => "window",
            Self::Durable => "durable",
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How to reach Redis, and under which names to write.
#[derive(Clone)]
pub struct RedisSettings {
    /// Replaces host, port and database.
    pub url: Option<String>,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Used with a URL too, when the URL has none.
    pub password: Option<String>,
    /// Database number.
    pub db: u32,
    /// Begins every key.
    pub namespace: String,
    /// How long this server stays the one writer without reaching Redis.
    pub lease_ms: u64,
    /// Whether the old service's keys are written as well.
    pub compat_keys: bool,
    /// `host:port` of the sentinels; empty: none.
    pub sentinels: Vec<String>,
    /// Name of the master at the sentinels.
    pub sentinel_master: String,
    /// `host:port` of the first nodes of a cluster; empty: none.
    pub cluster_nodes: Vec<String>,
}

/// Everything that can be set, checked.
#[derive(Clone)]
pub struct Config {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Proxies whose word about a client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// Whether trusted proxies begin with a PROXY protocol header. Then there is at least one trusted proxy.
    pub proxy_protocol: bool,
    /// How long a hold lives.
    pub hold_ttl_ms: u64,
    /// Seats one connection may hold in one room; 0 is no limit.
    pub seats_per_client_max: u32,
    /// Seats of one shard held from one address; 0 is no limit.
    pub seats_per_ip_max: u32,
    /// How long after its hold has run out a client may not take that seat again; 0: at once.
    pub reselect_after_ms: u64,
    /// How long a restored hold waits for its client.
    pub restore_grace_ms: u64,
    /// Who gets a hold back after a restart.
    pub restore_by: RestoreBy,
    /// What other members see of `user_info`.
    pub broadcast_user_info: BroadcastUserInfo,
    /// Connections of the whole server; `None`: what the file limit allows.
    pub connections_max: Option<usize>,
    /// Connections from one address; 0 is no limit.
    pub connections_per_ip_max: usize,
    /// Messages a second of one connection; 0 is no limit.
    pub rate_messages_per_s: u32,
    /// Messages of one connection at once.
    pub rate_burst: u32,
    /// Messages a second from one address to one shard; 0 is no limit.
    pub rate_messages_per_s_per_ip: u32,
    /// Longest message of a client.
    pub message_bytes_max: usize,
    /// Longest `user_info`; below `message_bytes_max`.
    pub user_info_bytes_max: usize,
    /// What may wait for one slow connection.
    pub outbound_queue_bytes: usize,
    /// Time for a whole request head from the first moment, however slowly it comes.
    pub handshake_ms: u64,
    /// Silence of a client after which it is pinged.
    pub ping_after_ms: u64,
    /// Silence after the ping after which it is closed.
    pub pong_within_ms: u64,
    /// How long a closing connection waits for the client's close frame.
    pub close_within_ms: u64,
    /// How long a full state may be on its way to a slow consumer that drops events again.
    pub slow_consumer_ms: u64,
    /// Where holds survive a restart.
    pub store: Store,
    /// What an acknowledgement is worth. `Memory` exactly when `store` is.
    pub durability: Durability,
    /// Directory of the embedded store.
    pub data_dir: PathBuf,
    /// Start empty when the store does not answer at the start.
    pub start_without_store: bool,
    /// Start with what is left of a damaged store.
    pub accept_loss: bool,
    /// How to reach Redis; meaningful when `store` is Redis.
    pub redis: RedisSettings,
    /// Threads that own rooms; `None`: one per usable CPU.
    pub shards: Option<usize>,
    /// A room's next pass starts this many times its last pass's cost after that one's start.
    pub pace_factor: u32,
    /// Longest pause between two passes over a room.
    pub pace_max_ms: u64,
    /// Members from which a room's sockets stay spread over the shards.
    pub hot_room_members: usize,
    /// Whether `/stats` and `/metrics` are answered on the port of the clients.
    pub public_stats: bool,
    /// Whether `/stats` lists clients and rooms.
    pub stats_list_ids: bool,
    /// Origins whose pages may open WebSockets; empty: all.
    pub allowed_origins: Vec<String>,
    /// The value of `Access-Control-Allow-Origin`.
    pub cors_allow_origin: String,
    /// What is logged.
    pub log_level: LevelFilter,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// Why there is no [`Config`]: a wrong value, or the command was only asked to print something.
#[derive(Debug)]
pub struct ConfigError {
    /// What to print.
    pub text: String,
    /// 0 when the text was asked for and belongs on standard output, else [`EXIT_USAGE`].
    pub exit_code: u8,
}

impl ConfigError {
    fn wrong(text: String) -> Self {
        Self { text, exit_code: EXIT_USAGE }
    }

    /// Prints the text where it belongs and returns the exit code.
    #[must_use]
    pub fn report(&self) -> u8 {
        // Whoever reads may have had enough (`butaca --help | head`): that is no failure of ours.
        drop(if self.exit_code == 0 {
            writeln!(io::stdout(), "{}", self.text.trim_end())
        } else {
            writeln!(io::stderr(), "butaca: {}", self.text)
        });
        self.exit_code
    }
}

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// A value is wrong, or `--help`, `--version` or `--print-config` was given.
    pub fn from_process() -> Result<Self, ConfigError> {
        let matches = values::command().try_get_matches().map_err(|error| usage(&error))?;
        let values = Values::from_matches(&matches);
        let config = Self::from_values(&values).map_err(ConfigError::wrong)?;
        if matches.get_flag("print-config") {
            return Err(ConfigError { text: config.shown(&values), exit_code: 0 });
        }
        Ok(config)
    }

    fn from_values(values: &Values) -> Result<Self, String> {
        let (store, durability) = store_and_durability(values)?;
        let config = Self {
            host: values.read("WEBSOCKET_HOST", address)?.expect("it has a default"),
            port: u16::try_from(number(values, "WEBSOCKET_PORT")?).expect("the table bounds it"),
            trusted_proxies: values.read("TRUSTED_PROXIES", |text| list(text, Network::parse))?.unwrap_or_default(),
            proxy_protocol: values.switch("PROXY_PROTOCOL")?,
            hold_ttl_ms: number(values, "HOLD_TTL_MS")?,
            seats_per_client_max: number_u32(values, "MAX_SEATS_PER_CLIENT")?,
            seats_per_ip_max: number_u32(values, "MAX_SEATS_PER_IP")?,
            reselect_after_ms: number(values, "RESELECT_AFTER_MS")?,
            restore_grace_ms: number(values, "RESTORE_GRACE_MS")?,
            restore_by: match values.choice("RESTORE_BY")? {
                Some("client_id") => RestoreBy::ClientId,
                Some("proof") => RestoreBy::Proof,
                _ => RestoreBy::Address,
            },
            broadcast_user_info: match values.choice("BROADCAST_USER_INFO")? {
                Some("name") => BroadcastUserInfo::Name,
                Some("none") => BroadcastUserInfo::None,
                _ => BroadcastUserInfo::Full,
            },
            connections_max: values.number("MAX_CONNECTIONS")?.map(size),
            connections_per_ip_max: number_usize(values, "MAX_CONNECTIONS_PER_IP")?,
            rate_messages_per_s: number_u32(values, "RATE_MESSAGES_PER_S")?,
            rate_burst: number_u32(values, "RATE_BURST")?,
            rate_messages_per_s_per_ip: number_u32(values, "RATE_MESSAGES_PER_S_PER_IP")?,
            message_bytes_max: number_usize(values, "MAX_MESSAGE_BYTES")?,
            user_info_bytes_max: number_usize(values, "MAX_USER_INFO_BYTES")?,
            outbound_queue_bytes: number_usize(values, "OUTBOUND_QUEUE_BYTES")?,
            handshake_ms: number(values, "HANDSHAKE_MS")?,
            ping_after_ms: number(values, "PING_AFTER_MS")?,
            pong_within_ms: number(values, "PONG_WITHIN_MS")?,
            close_within_ms: number(values, "CLOSE_WITHIN_MS")?,
            slow_consumer_ms: number(values, "SLOW_CONSUMER_MS")?,
            store,
            durability,
            data_dir: values.read("DATA_DIR", |text| Some(PathBuf::from(text)))?.expect("it has a default"),
            start_without_store: start_without_store(values, durability)?,
            accept_loss: values.switch("ACCEPT_LOSS")?,
            redis: redis(values)?,
            shards: values.number("SHARDS")?.map(size),
            pace_factor: number_u32(values, "PACE_FACTOR")?,
            pace_max_ms: number(values, "PACE_MAX_MS")?,
            hot_room_members: number_usize(values, "HOT_ROOM_MEMBERS")?,
            public_stats: values.switch("PUBLIC_STATS")?,
            stats_list_ids: values.switch("STATS_LIST_IDS")?,
            allowed_origins: values.read("ALLOWED_ORIGINS", |text| list(text, origin))?.unwrap_or_default(),
            cors_allow_origin: values.read("CORS_ALLOW_ORIGIN", allow_origin)?.expect("it has a default"),
            log_level: values.choice("LOG_LEVEL")?.and_then(|word| word.parse().ok()).expect("every choice is a level"),
            log_format: match values.choice("LOG_FORMAT")? {
                Some("json") => LogFormat::Json,
                _ => LogFormat::Text,
            },
        };
        config.check_combinations(values)?;
        Ok(config)
    }

    /// Whether a peer's word about its client's address is taken.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted_proxies.iter().any(|network| network.contains(peer)))
    }

    /// Whether whoever sends this `Origin` may open a WebSocket. Browsers always send one, for pages cannot be trusted to;
    /// programs send none.
    #[must_use]
    pub fn admits(&self, origin: Option<&[u8]>) -> bool {
        let is_listed = |origin: &[u8]| self.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin);
        self.allowed_origins.is_empty() || origin.is_none_or(is_listed)
    }

    fn check_combinations(&self, values: &Values) -> Result<(), String> {
        if self.user_info_bytes_max >= self.message_bytes_max {
            let why = format!("must be below MAX_MESSAGE_BYTES, which is {}", self.message_bytes_max);
            let default = self.user_info_bytes_max.to_string();
            return Err(format!("{}: {why}", values.shown("MAX_USER_INFO_BYTES", &default)));
        }
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err(
                values.refusal_because("PROXY_PROTOCOL", "needs TRUSTED_PROXIES, or anybody could forge an address")
            );
        }
        if !self.redis.sentinels.is_empty() && !self.redis.cluster_nodes.is_empty() {
            return Err(values.refusal_because("REDIS_SENTINELS", "cannot be combined with REDIS_CLUSTER_NODES"));
        }
        if !self.redis.cluster_nodes.is_empty() && self.redis.db != 0 {
            return Err(values.refusal_because("REDIS_DB", "a Redis Cluster has only database 0"));
        }
        Ok(())
    }

    /// Every setting on a line: name, value, where it comes from.
    fn shown(&self, values: &Values) -> String {
        let mut text = String::new();
        for setting in SETTINGS {
            let default = match (setting.name, setting.default) {
                ("STORE", _) => self.store.name().into(),
                ("DURABILITY", _) => self.durability.name().into(),
                (_, Default::Text("")) => "(none)".into(),
                (_, Default::Text(default)) => default.into(),
                (_, Default::Number(default)) => default.to_string(),
                (_, Default::Depends(on)) => format!("({on})"),
            };
            let (value, source) = (values.value_shown(setting, &default), values.source(setting.name));
            writeln!(text, "{:<28}{value:<32}  {source}", setting.name).expect("a String takes everything");
        }
        text
    }
}

/// A refusal of clap in one line; `--help` and `--version` as they are.
fn usage(error: &clap::Error) -> ConfigError {
    let text = error.render().to_string();
    if error.exit_code() == 0 {
        return ConfigError { text, exit_code: 0 };
    }
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    ConfigError::wrong(format!("{line}; butaca --help lists what is allowed"))
}

fn store_and_durability(values: &Values) -> Result<(Store, Durability), String> {
    let redis_names = ["REDIS_URL", "REDIS_HOST", "REDIS_SENTINELS", "REDIS_CLUSTER_NODES"];
    let store = match values.choice("STORE")? {
        Some("memory") => Store::Memory,
        Some("redis") => Store::Redis,
        None if redis_names.iter().any(|name| values.source(name) != Source::Default) => Store::Redis,
        _ => Store::Embedded,
    };
    let durability = match values.choice("DURABILITY")? {
        Some("memory") => Durability::Memory,
        Some("durable") => Durability::Durable,
        None if store == Store::Memory => Durability::Memory,
        _ => Durability::Window,
    };
    if (store == Store::Memory) != (durability == Durability::Memory) {
        let allowed = if store == Store::Memory { "memory" } else { "window or durable" };
        let why = format!("with STORE={} allowed is {allowed}", store.name());
        return Err(values.refusal_because("DURABILITY", &why));
    }
    Ok((store, durability))
}

/// A server that starts without what it has confirmed overwrites it later, which `durable` must never do.
fn start_without_store(values: &Values, durability: Durability) -> Result<bool, String> {
    let is_set = values.switch("START_WITHOUT_STORE")?;
    if is_set && durability == Durability::Durable {
        let why = "not with DURABILITY=durable, what was confirmed would be lost";
        return Err(values.refusal_because("START_WITHOUT_STORE", why));
    }
    Ok(is_set)
}

fn redis(values: &Values) -> Result<RedisSettings, String> {
    Ok(RedisSettings {
        url: values.read("REDIS_URL", |text| redis_url(text.trim()))?,
        host: values.read("REDIS_HOST", host_name)?.unwrap_or_else(|| "localhost".into()),
        port: u16::try_from(number(values, "REDIS_PORT")?).expect("the table bounds it"),
        password: values.read("REDIS_PASSWORD", |text| Some(text.to_owned()))?,
        db: number_u32(values, "REDIS_DB")?,
        namespace: values.read("REDIS_NAMESPACE", namespace)?.expect("it has a default"),
        lease_ms: number(values, "REDIS_LEASE_MS")?,
        compat_keys: values.switch("REDIS_COMPAT_KEYS")?,
        sentinels: values.read("REDIS_SENTINELS", |text| list(text, host_and_port))?.unwrap_or_default(),
        sentinel_master: values.read("REDIS_SENTINEL_MASTER", host_name)?.expect("it has a default"),
        cluster_nodes: values.read("REDIS_CLUSTER_NODES", |text| list(text, host_and_port))?.unwrap_or_default(),
    })
}

fn number(values: &Values, name: &'static str) -> Result<u64, String> {
    Ok(values.number(name)?.expect("it has a default"))
}

fn number_u32(values: &Values, name: &'static str) -> Result<u32, String> {
    Ok(u32::try_from(number(values, name)?).expect("the table bounds it"))
}

fn number_usize(values: &Values, name: &'static str) -> Result<usize, String> {
    Ok(size(number(values, name)?))
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("the table bounds it")
}

#[cfg(test)]
mod tests;
