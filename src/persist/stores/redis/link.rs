//! A connection to Redis, of whichever kind, with a limit on every wait.
//!
//! Invariant: nothing here takes longer than [`STORE_CONNECT_MS`] to connect to a node or [`STORE_ANSWER_MS`] for the
//! next bytes of an answer, so a black hole is noticed within a second. Never here: what is asked.

use std::time::Duration;

use ::redis::cluster::{ClusterClientBuilder, ClusterConnection, cluster_pipe};
use ::redis::{Arg, Client, Cmd, Connection, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value, cmd};

use crate::limits::store::{STORE_ANSWER_MS, STORE_CONNECT_MS};

use super::address::{Address, moved};

const CONNECT: Duration = Duration::from_millis(STORE_CONNECT_MS);
const ANSWER: Duration = Duration::from_millis(STORE_ANSWER_MS);

/// An open connection. After an error it is of no more use: answers to earlier commands may still be under way.
pub(super) enum Link {
    Single(Box<Connection>),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    /// Connects.
    pub(super) fn open(address: &Address) -> RedisResult<Self> {
        match address {
            Address::Single(node) => Ok(Self::Single(Box::new(connect(node)?))),
            Address::Sentinel { sentinels, master, node } => {
                Ok(Self::Single(Box::new(connect(&master_node(sentinels, master, node)?)?)))
            }
            Address::Cluster(nodes) => {
                let client = ClusterClientBuilder::new(nodes.iter().cloned())
                    .connection_timeout(CONNECT)
                    .response_timeout(ANSWER)
                    .retries(2)
                    .max_retry_wait(100)
                    .build()?;
                Ok(Self::Cluster(Box::new(client.get_connection()?)))
            }
        }
    }

    /// Sends the commands at once and returns their answers, or the first error.
    pub(super) fn call(&mut self, commands: Vec<Cmd>) -> Result<Vec<Value>, CallError> {
        match self {
            Self::Single(connection) => {
                let mut pipe = ::redis::Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipe.add_command(command);
                }
                pipe.query(connection).map_err(|error| CallError::new(error, pipe.cmd_iter()))
            }
            Self::Cluster(connection) => {
                let mut pipe = cluster_pipe();
                for command in commands {
                    pipe.add_command(command);
                }
                pipe.query(connection).map_err(|error| CallError::new(error, pipe.cmd_iter()))
            }
        }
    }
}

/// Why commands were not done.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) error: RedisError,
    /// The keys of the command that met a key of another type than it needs.
    pub(super) mistyped: Vec<String>,
}

impl CallError {
    fn new<'a>(error: RedisError, mut commands: impl Iterator<Item = &'a Cmd>) -> Self {
        let failed = error.clone().into_server_errors();
        let mut mistyped = failed.iter().flat_map(|errors| errors.iter()).filter(|(_, said)| {
            // A script says it in the text of its own error.
            said.code() == "WRONGTYPE" || said.details().is_some_and(|text| text.contains("WRONGTYPE"))
        });
        let at = mistyped.next().map(|(at, _)| *at);
        let mistyped = at.and_then(|at| commands.nth(at)).map(keys).unwrap_or_default();
        Self { error, mistyped }
    }
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        Self { error, mistyped: Vec::new() }
    }
}

/// The keys that a command names: all that it says it has, or the first argument.
fn keys(command: &Cmd) -> Vec<String> {
    let args: Vec<String> = command
        .args_iter()
        .map(
            |arg| {
                if let Arg::Simple(bytes) = arg { String::from_utf8_lossy(bytes).into_owned() } else { String::new() }
            },
        )
        .collect();
    match args.as_slice() {
        [name, _, count, rest @ ..] if name == "EVAL" => {
            rest.iter().take(count.parse().unwrap_or_default()).cloned().collect()
        }
        [_, key, ..] => vec![key.clone()],
        _ => Vec::new(),
    }
}

fn connect(node: &ConnectionInfo) -> RedisResult<Connection> {
    let connection = Client::open(node.clone())?.get_connection_with_timeout(CONNECT)?;
    connection.set_read_timeout(Some(ANSWER))?;
    connection.set_write_timeout(Some(ANSWER))?;
    Ok(connection)
}

/// Asks the Sentinels, in turn, where the master is. The library's own Sentinel client waits without a limit for one
/// that does not answer, so the two commands are here. A node that no longer is the master shows by refusing to write.
fn master_node(sentinels: &[ConnectionInfo], master: &str, node: &ConnectionInfo) -> RedisResult<ConnectionInfo> {
    let mut last: RedisError = (ErrorKind::EmptySentinelList, "no Sentinel is known").into();
    for sentinel in sentinels {
        let found = connect(sentinel).and_then(|mut connection| {
            let place: Option<(String, u16)> =
                cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master).query(&mut connection)?;
            place.ok_or_else(|| (ErrorKind::MasterNameNotFoundBySentinel, "the Sentinels know no such master").into())
        });
        match found {
            Ok((host, port)) => return Ok(moved(node, host, port)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// An error in one line, short enough for `/health`: what Redis said, or what happened on the way to it.
pub(super) fn words(error: RedisError) -> String {
    let plain = error.to_string();
    let said = error.into_server_errors().and_then(|errors| {
        let (_, first) = errors.first()?;
        if first.details().is_some_and(|text| text.contains("unauthenticated")) {
            // What it says to a long command on a connection without a password.
            return Some("Redis says NOAUTH Authentication required.".into());
        }
        Some(format!("Redis says {} {}", first.code(), first.details().unwrap_or_default()))
    });
    said.unwrap_or(plain).lines().next().unwrap_or_default().trim().chars().take(200).collect()
}
