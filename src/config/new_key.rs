//! `butaca api-key NAME ROLE`: a key of the API, and its line for `API_KEYS_FILE`.
//!
//! Never here: what a key may do.

use std::fs::File;
use std::io::Read;

use clap::{Arg, ArgMatches, Command};

use super::ConfigError;
use crate::api::keys::{NAME_ALLOWED, Role, is_name, line, new_key};

/// The subcommand.
pub(super) fn command() -> Command {
    Command::new("api-key")
        .about("Make a key of the API: prints the key, which is kept nowhere, and its line for API_KEYS_FILE")
        .arg(Arg::new("name").required(true).value_name("NAME").help("Whose key it is, for people"))
        .arg(Arg::new("role").required(true).value_name("ROLE").help("read, sell (and read), or manage (everything)"))
}

/// What it prints.
pub(super) fn printed(asked: &ArgMatches) -> ConfigError {
    let text = |name: &str| asked.get_one::<String>(name).expect("it is required").as_str();
    let refusal = |what: &str, allowed: &str| {
        ConfigError::wrong(format!("api-key: {}: allowed is {allowed}", what.escape_debug()))
    };
    if !is_name(text("name")) {
        return refusal(text("name"), NAME_ALLOWED);
    }
    let Some(role) = Role::parse(text("role")) else { return refusal(text("role"), Role::ALLOWED) };
    let mut random = [0; 32];
    match File::open("/dev/urandom").and_then(|mut system| system.read_exact(&mut random)) {
        Ok(()) => {
            let key = new_key(&random);
            ConfigError { text: format!("{key}\n{}", line(text("name"), role, &key)), exit_code: 0 }
        }
        Err(error) => ConfigError::wrong(format!("api-key: the system gives no randomness: {error}")),
    }
}
