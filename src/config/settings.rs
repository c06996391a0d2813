//! The table of all settings: name, group, kind, default and help, one row each.
//!
//! Invariant: `--help`, `--print-config`, the checks and the texts of refusals are all made from these rows, so they
//! cannot disagree. Never here: reading a value.

use crate::limits;

/// One setting: an environment variable and the flag of the same name.
pub(super) struct Setting {
    /// The environment variable. The flag is the same in lower case with dashes.
    pub(super) name: &'static str,
    /// Under which heading `--help` shows it.
    pub(super) group: &'static str,
    /// What may be written.
    pub(super) kind: Kind,
    /// What holds when nothing is written.
    pub(super) default: Default,
    /// One sentence for `--help`.
    pub(super) help: &'static str,
}

/// What the value of a setting may be.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A whole number within these bounds.
    Number { min: u64, max: u64 },
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// 0 or 1.
    Switch,
    /// Printable text; the string says what it has to look like. Its reader checks the rest.
    Text(&'static str),
    /// Like `Text`, and never shown.
    Secret(&'static str),
}

/// What holds when a setting is not given.
#[derive(Clone, Copy)]
pub(super) enum Default {
    /// This text.
    Text(&'static str),
    /// This number.
    Number(u64),
    /// Something that depends on other settings or on the machine, in words.
    Depends(&'static str),
}

impl Setting {
    /// The flag without its dashes.
    pub(super) fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }
}

impl Kind {
    /// What is allowed, in words that follow "allowed is ".
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Switch => "0 or 1".into(),
            Self::Text(looks) | Self::Secret(looks) => looks.into(),
        }
    }

    /// What stands for the value in `--help`.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Number { .. } => "N",
            Self::Choice(_) => "WORD",
            Self::Switch => "0|1",
            Self::Text(_) | Self::Secret(_) => "TEXT",
        }
    }
}

const LISTEN: &str = "Listening";
const ROOMS: &str = "Rooms and seats";
const BOUNDS: &str = "Bounds of one connection and of all";
const STORE: &str = "Store";
const REDIS: &str = "Redis";
const NODES: &str = "Several servers on one Redis";
const CORES: &str = "Cores and pace";
const TELL: &str = "HTTP and logs";
const AUTH: &str = "Tokens of the shop";
const API: &str = "API of the shop's backend";

const fn row(name: &'static str, group: &'static str, kind: Kind, default: Default, help: &'static str) -> Setting {
    Setting { name, group, kind, default, help }
}

const fn up_to(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

/// Every setting, in the order in which it is shown.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    row("WEBSOCKET_HOST", LISTEN, Kind::Text("an IPv4 or IPv6 address, or localhost"), Default::Text("0.0.0.0"), "Address to listen on"),
    row("WEBSOCKET_PORT", LISTEN, up_to(0, 65_535), Default::Number(8001), "Port to listen on; 0 takes any free one"),
    row("TRUSTED_PROXIES", LISTEN, Kind::Text("addresses or networks such as 10.0.0.0/8, separated by commas"), Default::Text(""), "Proxies whose word about a client's address is taken"),
    row("PROXY_PROTOCOL", LISTEN, Kind::Switch, Default::Number(0), "Expect a PROXY protocol header from the trusted proxies"),

    row("HOLD_TTL_MS", ROOMS, up_to(1, limits::HOLD_TTL_MS_MAX), Default::Number(limits::HOLD_TTL_MS), "How long a hold lives"),
    row("MAX_SEATS_PER_CLIENT", ROOMS, up_to(0, limits::ROOM_HOLDS_MAX as u64), Default::Number(limits::SEATS_PER_CLIENT_DEFAULT as u64), "Seats one connection may hold in one room; 0 is no limit"),
    row("MAX_SEATS_PER_IP", ROOMS, up_to(0, limits::SHARD_HOLDS_MAX as u64), Default::Number(0), "Seats of one shard held from one address; 0 is no limit"),
    row("RESELECT_AFTER_MS", ROOMS, up_to(0, limits::RESELECT_AFTER_MS_MAX), Default::Number(limits::RESELECT_AFTER_MS), "How long after its hold has run out a client may not take that seat again; 0 is at once"),
    row("SESSION_GRACE_MS", ROOMS, up_to(0, limits::SESSION_GRACE_MS_MAX), Default::Number(limits::SESSION_GRACE_MS), "How long a cart waits for its owner when the last connection has ended; 0 is not at all"),
    row("HOLD_EXTENDS_MAX", ROOMS, up_to(0, limits::HOLD_EXTENDS_MAX_MAX), Default::Number(limits::HOLD_EXTENDS_MAX as u64), "How often a cart may be extended"),
    row("HOLD_LIFE_MAX_MS", ROOMS, up_to(1, limits::HOLD_TTL_MS_MAX), Default::Number(limits::HOLD_LIFE_MAX_MS), "How long a cart may live after its first seat, however often it is extended"),
    row("HOLD_WARN_MS", ROOMS, up_to(0, limits::HOLD_TTL_MS_MAX), Default::Number(limits::HOLD_WARN_MS), "How long before its end the owner of a cart is warned; 0 is never"),
    row("ROOMS", ROOMS, Kind::Choice(&["open", "declared"]), Default::Text("open"), "Whether clients make rooms by naming them, or only the backend does"),
    row("ROOM_KEEP_MS", ROOMS, up_to(0, limits::ROOM_KEEP_MS_MAX), Default::Number(limits::ROOM_KEEP_MS), "How long a room is kept, with its bookings, after its ends_at"),
    row("LAYOUTS_DIR", ROOMS, Kind::Text("a path"), Default::Text(""), "Folder of layouts: NAME.json, or NAME.pretix.json as pretix writes it"),
    row("ROOMS_FILE", ROOMS, Kind::Text("a path"), Default::Text(""), "JSON object of rooms and their settings, which are there from the start"),
    row("TICK_V2_MS", ROOMS, up_to(1, limits::TICK_V2_MS_MAX), Default::Number(limits::TICK_V2_MS), "Time between two deltas of a room, for members of the second protocol"),
    row("ROOM_RING_MAX", ROOMS, up_to(1, limits::ROOM_RING_MAX_MAX as u64), Default::Number(limits::ROOM_RING_MAX as u64), "Changes of a room that are remembered for members of the second protocol who come back"),
    row("RESTORE_GRACE_MS", ROOMS, up_to(0, limits::RESTORE_GRACE_MS_MAX), Default::Number(limits::RESTORE_GRACE_MS), "How long a restored hold waits for its client after a restart"),
    row("RESTORE_BY", ROOMS, Kind::Choice(&["address", "proof", "client_id"]), Default::Text("address"), "Who gets a hold back after a restart: the same client from the same address, only with the proof of room_joined, or from anywhere"),
    row("BROADCAST_USER_INFO", ROOMS, Kind::Choice(&["full", "name", "none"]), Default::Text("full"), "What other members see of user_info"),

    row("MAX_CONNECTIONS", BOUNDS, up_to(1, limits::CONNECTIONS_MAX), Default::Depends("what the file limit allows"), "Connections of the whole server"),
    row("MAX_CONNECTIONS_PER_IP", BOUNDS, up_to(0, limits::CONNECTIONS_MAX), Default::Number(limits::CONNECTIONS_PER_IP), "Connections from one address, or one IPv6 network of 64 bits; 0 is no limit"),
    row("RATE_MESSAGES_PER_S", BOUNDS, up_to(0, limits::MESSAGES_PER_S_MAX as u64), Default::Number(limits::RATE_MESSAGES_PER_S as u64), "Messages a second of one connection; 0 is no limit"),
    row("RATE_BURST", BOUNDS, up_to(1, limits::RATE_BURST_MAX as u64), Default::Number(limits::RATE_BURST as u64), "Messages of one connection at once; beyond both: rate_limited, and 4013 for who goes on"),
    row("RATE_MESSAGES_PER_S_PER_IP", BOUNDS, up_to(0, limits::MESSAGES_PER_S_MAX as u64), Default::Number(0), "Messages a second from one address to one shard; 0 is no limit"),
    row("MAX_MESSAGE_BYTES", BOUNDS, up_to(limits::MESSAGE_BYTES_MIN as u64, limits::MESSAGE_BYTES_MAX as u64), Default::Number(limits::MESSAGE_BYTES as u64), "Longest message of a client"),
    row("MAX_USER_INFO_BYTES", BOUNDS, up_to(2, limits::MESSAGE_BYTES_MAX as u64), Default::Number(limits::USER_INFO_BYTES as u64), "Longest user_info; below MAX_MESSAGE_BYTES"),
    row("OUTBOUND_QUEUE_BYTES", BOUNDS, up_to(limits::OUTBOUND_QUEUE_BYTES_MIN as u64, limits::OUTBOUND_QUEUE_BYTES_MAX as u64), Default::Number(limits::OUTBOUND_QUEUE_BYTES as u64), "What may wait for one slow connection"),
    row("MEMORY_BUDGET_BYTES", BOUNDS, up_to(limits::MEMORY_BUDGET_BYTES_MIN as u64, limits::MEMORY_BUDGET_BYTES_MAX), Default::Depends("half of what the cgroup or the machine has"), "What clients can make grow, all of it together"),
    row("HANDSHAKE_MS", BOUNDS, up_to(limits::TIMEOUT_MS_MIN, limits::TIMEOUT_MS_MAX), Default::Number(limits::HANDSHAKE_MS), "Time for a whole request head, however slowly it comes"),
    row("PING_AFTER_MS", BOUNDS, up_to(limits::TIMEOUT_MS_MIN, limits::TIMEOUT_MS_MAX), Default::Number(limits::PING_AFTER_MS), "Silence of a client after which it is pinged"),
    row("PONG_WITHIN_MS", BOUNDS, up_to(limits::TIMEOUT_MS_MIN, limits::TIMEOUT_MS_MAX), Default::Number(limits::PONG_WITHIN_MS), "Silence after the ping after which it is closed with 4012"),
    row("CLOSE_WITHIN_MS", BOUNDS, up_to(limits::TIMEOUT_MS_MIN, limits::TIMEOUT_MS_MAX), Default::Number(limits::CLOSE_WITHIN_MS), "How long a closing connection waits for the client's close frame"),
    row("SLOW_CONSUMER_MS", BOUNDS, up_to(0, limits::SLOW_CONSUMER_MS_MAX), Default::Number(limits::SLOW_CONSUMER_MS), "How long a slow consumer's full state may take before it is closed with 4008"),

    row("STORE", STORE, Kind::Choice(&["memory", "embedded", "redis"]), Default::Depends("redis when a REDIS_ address is set, else embedded"), "Where holds survive a restart"),
    row("DURABILITY", STORE, Kind::Choice(&["memory", "window", "durable"]), Default::Depends("window, or memory with STORE=memory"), "window: commit within 100 ms; durable: answer after the commit"),
    row("DATA_DIR", STORE, Kind::Text("a path"), Default::Text("./data"), "Directory of the embedded store"),
    row("START_WITHOUT_STORE", STORE, Kind::Switch, Default::Number(0), "With window: start empty when the store does not answer at the start, and overwrite what is in it later"),
    row("ACCEPT_LOSS", STORE, Kind::Switch, Default::Number(0), "Start with what is left when something that was stored is missing"),

    row("REDIS_URL", REDIS, Kind::Secret("a URL that begins with redis://, rediss:// or unix://"), Default::Text(""), "Address of Redis; replaces host, port and database"),
    row("REDIS_HOST", REDIS, Kind::Text("a host name or address"), Default::Depends("localhost with STORE=redis"), "Host of Redis"),
    row("REDIS_PORT", REDIS, up_to(1, 65_535), Default::Number(6379), "Port of Redis"),
    row("REDIS_PASSWORD", REDIS, Kind::Secret("printable text"), Default::Text(""), "Password of Redis"),
    row("REDIS_DB", REDIS, up_to(0, 65_535), Default::Number(0), "Database number of Redis"),
    row("REDIS_NAMESPACE", REDIS, Kind::Text("1 to 64 letters, digits, and . _ - :"), Default::Text("butaca"), "Every key begins with {NAMESPACE:, so a Redis user needs ~{butaca:*; one server at a time may use it, unless CLUSTER=1"),
    row("REDIS_LEASE_MS", REDIS, up_to(limits::store::REDIS_LEASE_MS_MIN, limits::store::REDIS_LEASE_MS_MAX), Default::Number(limits::store::REDIS_LEASE_MS), "How long the sale goes on without Redis before another server may take over"),
    row("REDIS_COMPAT_KEYS", REDIS, Kind::Switch, Default::Number(0), "Also write the old service's selection:{room}:{seat} keys"),
    row("REDIS_SENTINELS", REDIS, Kind::Text("host:port, several separated by commas"), Default::Text(""), "Sentinels to ask for the master"),
    row("REDIS_SENTINEL_MASTER", REDIS, Kind::Text("a name"), Default::Text("mymaster"), "Name of the master at the sentinels"),
    row("REDIS_CLUSTER_NODES", REDIS, Kind::Text("host:port, several separated by commas"), Default::Text(""), "First nodes of a Redis Cluster"),

    row("CLUSTER", NODES, Kind::Switch, Default::Number(0), "Share the rooms with all servers that have the same REDIS_NAMESPACE and CLUSTER=1; every key then begins with {NAMESPACE}:"),
    row("NODE_ID", NODES, Kind::Text("1 to 128 visible ASCII characters"), Default::Depends("host name and port"), "Name of this server among them, which no other one has"),
    row("PARTS", NODES, up_to(1, limits::cluster::CLUSTER_PARTS_MAX as u64), Default::Number(limits::cluster::CLUSTER_PARTS as u64), "Parts of the rooms, each of which one server has at a time; the same for all, for ever"),
    row("CLUSTER_LEASE_MS", NODES, up_to(limits::cluster::CLUSTER_LEASE_MS_MIN, limits::cluster::CLUSTER_LEASE_MS_MAX), Default::Number(limits::cluster::CLUSTER_LEASE_MS), "How long the sale goes on without Redis, and how long the rooms of a server that died wait for another one; the same for all"),

    row("SHARDS", CORES, up_to(1, limits::SHARDS_MAX as u64), Default::Depends("one per usable CPU"), "Threads that own rooms"),
    row("RUNTIME", CORES, Kind::Choice(&["auto", "glommio", "threads"]), Default::Text("auto"), "What the shards run on; auto is glommio, and plain threads where io_uring is refused"),
    row("PACE_FACTOR", CORES, up_to(0, limits::PACE_FACTOR_MAX), Default::Number(limits::PACE_FACTOR), "A busy room's next pass starts so many times its last pass's cost after that one's start; 2 while the shard has time"),
    row("PACE_MAX_MS", CORES, up_to(0, limits::PACE_MS_MAX), Default::Number(limits::PACE_MS), "Longest pause between two passes over a room"),
    row("HOT_ROOM_MEMBERS", CORES, up_to(1, limits::ROOM_MEMBERS_MAX as u64), Default::Number(limits::HOT_ROOM_MEMBERS as u64), "Members from which a room's sockets stay spread over the shards"),

    row("PUBLIC_STATS", TELL, Kind::Switch, Default::Number(1), "Answer /stats and /metrics on the port of the clients"),
    row("STATS_LIST_IDS", TELL, Kind::Switch, Default::Number(0), "List clients and rooms in /stats"),
    row("ALLOWED_ORIGINS", TELL, Kind::Text("origins such as https://tickets.example, as browsers write them, separated by commas"), Default::Text(""), "Whose pages may open WebSockets; none given: all. Programs send no origin and always may"),
    row("CORS_ALLOW_ORIGIN", TELL, Kind::Text("* or one origin such as https://tickets.example"), Default::Text("*"), "Answer to cross-origin requests"),
    row("LOG_LEVEL", TELL, Kind::Choice(&["off", "error", "warn", "info", "debug"]), Default::Text("info"), "What is logged"),
    row("LOG_FORMAT", TELL, Kind::Choice(&["text", "json"]), Default::Text("text"), "How it is logged"),

    row("AUTH", AUTH, Kind::Choice(&["off", "jwt"]), Default::Text("off"), "Whether clients must bring a token of the shop"),
    row("AUTH_WITHIN_MS", AUTH, up_to(limits::auth::AUTH_WITHIN_MS_MIN, limits::auth::AUTH_WITHIN_MS_MAX), Default::Number(limits::auth::AUTH_WITHIN_MS), "A connection of protocol v2 must bring its token within this time"),
    row("JWT_SECRET", AUTH, Kind::Secret("32 to 4096 printable bytes"), Default::Text(""), "Secret that shop and server share (HS256); a file is safer, since others may see the environment"),
    row("JWT_SECRET_FILE", AUTH, Kind::Text("a path"), Default::Text(""), "File with that secret; read again on SIGHUP"),
    row("JWT_KEY_FILE", AUTH, Kind::Text("a path"), Default::Text(""), "Public key in PEM (RS256, ES256, EdDSA by its kind) or a set of keys in JSON (JWKS); read again on SIGHUP"),
    row("JWT_JWKS_URL", AUTH, Kind::Text("a URL that begins with https://, or http:// and this machine"), Default::Text(""), "Where such a set is fetched: at the start, every five minutes, and when a token names a key that is not in it"),
    row("JWT_ISSUER", AUTH, Kind::Text("a name"), Default::Text(""), "What tokens must say as iss; none given: anything"),
    row("JWT_AUDIENCE", AUTH, Kind::Text("a name"), Default::Text(""), "What tokens must say as aud; none given: anything"),
    row("JWT_LEEWAY_S", AUTH, up_to(0, limits::auth::JWT_LEEWAY_S_MAX), Default::Number(limits::auth::JWT_LEEWAY_S), "How far the clocks of shop and server may differ"),

    row("LOG_EVENTS_MAX", API, up_to(1, limits::acts::LOG_EVENTS_MAX_MAX as u64), Default::Number(limits::acts::LOG_EVENTS_MAX as u64), "Events that the log of acts has; the oldest go, and so do they beyond 128 MiB or a sixteenth of MEMORY_BUDGET_BYTES"),
    row("LOG_HOLDS", API, Kind::Switch, Default::Number(1), "Whether the log of acts has holds and releases: nine tenths of it"),
    row("API_PORT", API, Kind::Text("off, or a whole number from 0 to 65535"), Default::Text("8000"), "Port of the API; 0 takes any free one. One that is written here must be free; the default is done without, with a warning, when another program has it"),
    row("API_HOST", API, Kind::Text("an IPv4 or IPv6 address, or localhost"), Default::Text("127.0.0.1"), "Address of the API; another one than loopback needs keys"),
    row("API_KEYS_FILE", API, Kind::Text("a path"), Default::Text(""), "Who may ask the API for what: a line `name role sha256-of-the-key` each; read again on SIGHUP. None given: loopback may do everything"),
];

#[cfg(test)]
mod tests {
    use super::{Default, Kind, SETTINGS};

    #[test]
    fn every_row_is_consistent() {
        let mut names: Vec<_> = SETTINGS.iter().map(|s| s.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len(), "a name stands twice");
        for setting in SETTINGS {
            let fits = match (setting.kind, setting.default) {
                (Kind::Number { min, max }, Default::Number(n)) => (min..=max).contains(&n),
                (Kind::Switch, Default::Number(n)) => n <= 1,
                (Kind::Choice(words), Default::Text(text)) => words.contains(&text),
                (Kind::Text(_) | Kind::Secret(_), Default::Text(_)) | (_, Default::Depends(_)) => true,
                (_, Default::Text(_) | Default::Number(_)) => false,
            };
            assert!(fits, "the default of {} is not allowed", setting.name);
        }
    }
}
