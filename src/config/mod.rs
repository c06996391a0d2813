//! Environment and flags, read once into one checked [`Config`].
//!
//! A file a part: it says what its module is given, and reads and checks that. A new setting is a row in `settings.rs`,
//! and a field and a line in the part of whoever asks for it.
//!
//! Invariants: nothing else in the server reads the environment; a part that exists is valid, also in its combinations;
//! what is wrong is said in one line before any port is bound; nobody is given the whole.
//! Never here: what the machine allows (that is `runtime/preflight`).

mod api;
mod auth;
mod connections;
mod cores;
mod halls;
mod listen;
mod log;
mod network;
mod new_key;
mod nodes;
mod redis;
mod rooms;
mod settings;
mod site;
mod store;
mod texts;
mod values;

use std::fmt::Write as _;
use std::io::{self, Write as _};

pub use self::redis::RedisSettings;
pub use api::{Acts, Api};
pub use auth::{Auth, Keys};
pub use connections::{Connections, Rates};
pub use cores::{Cores, Runtime};
pub use halls::Halls;
pub use listen::Listen;
pub use log::{Log, LogFormat};
pub use network::Network;
pub use nodes::Nodes;
pub use rooms::{BroadcastUserInfo, RestoreBy, Rooms};
use settings::{Default, SETTINGS};
pub use site::Site;
pub use store::{Durability, Promise, Store, StoreSettings};
use values::Values;

/// Exit code for a command that was used wrongly (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;

/// Everything that can be set, checked.
#[derive(Clone)]
pub struct Config {
    /// Where the server listens.
    pub listen: Listen,
    /// What holds in rooms.
    pub rooms: Rooms,
    /// Which files say what halls there are.
    pub halls: Halls,
    /// The bounds of one connection and of all.
    pub connections: Connections,
    /// How fast messages may come.
    pub rates: Rates,
    /// Where holds survive a restart.
    pub store: StoreSettings,
    /// How this server is one of several; `None`: it is the only one.
    pub nodes: Option<Nodes>,
    /// Threads, and the pace of rooms.
    pub cores: Cores,
    /// What is answered by HTTP.
    pub site: Site,
    /// What is logged.
    pub log: Log,
    /// Where the API listens; `None`: nowhere.
    pub api: Option<Api>,
    /// What tokens clients must bring; `None`: none.
    pub auth: Option<Auth>,
    /// What the log of acts has.
    pub acts: Acts,
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
    /// A value is wrong, or `--help`, `--version`, `--print-config` or `api-key` was given.
    pub fn from_process() -> Result<Self, ConfigError> {
        let matches = values::command().try_get_matches().map_err(|error| usage(&error))?;
        if let Some((_, key)) = matches.subcommand() {
            return Err(new_key::printed(key));
        }
        let values = Values::from_matches(&matches);
        let config = Self::from_values(&values).map_err(ConfigError::wrong)?;
        if matches.get_flag("print-config") {
            return Err(ConfigError { text: config.shown(&values), exit_code: 0 });
        }
        Ok(config)
    }

    fn from_values(values: &Values) -> Result<Self, String> {
        let store = StoreSettings::read(values)?;
        Ok(Self {
            listen: Listen::read(values)?,
            rooms: Rooms::read(values)?,
            halls: Halls::read(values)?,
            connections: Connections::read(values)?,
            rates: Rates::read(values)?,
            nodes: Nodes::read(values, &store)?,
            store,
            cores: Cores::read(values)?,
            site: Site::read(values)?,
            log: Log::read(values)?,
            api: Api::read(values)?,
            auth: Auth::read(values)?,
            acts: Acts::read(values)?,
        })
    }

    /// Every setting on a line: name, value, where it comes from.
    fn shown(&self, values: &Values) -> String {
        let mut text = String::new();
        for setting in SETTINGS {
            let default = match (setting.name, setting.default) {
                ("STORE", _) => self.store.promise.store.name().into(),
                ("DURABILITY", _) => self.store.promise.durability.name().into(),
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

#[cfg(test)]
mod tests;
