//! What was written for each setting, where it was written, and how a wrong value is refused.
//!
//! Invariants: flags win over the environment; an empty value is no value; a refusal is one line that names the
//! variable or flag, its value and what is allowed; a secret is never shown. Never here: what a setting means.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, builder::ValueParser};

use super::new_key;
use super::settings::{Default, Kind, SETTINGS, Setting};

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A flag of the command line.
    Flag,
    /// A variable of the environment.
    Environment,
    /// Nobody wrote one.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Default => "default",
        })
    }
}

/// What was written, by the name of the setting. What is missing was not written.
#[derive(std::default::Default)]
pub(super) struct Values(BTreeMap<&'static str, (OsString, Source)>);

/// The command line: one flag a setting, each with its variable.
pub(super) fn command() -> Command {
    let command = Command::new("butaca")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A real-time seat-selection server for ticket on-sales")
        .after_help(EXAMPLES)
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print every setting, its value and where it comes from, and end"),
        );
    SETTINGS.iter().fold(command.subcommand(new_key::command()), |command, setting| command.arg(arg(setting)))
}

const EXAMPLES: &str = "\
Each setting is also an environment variable: --hold-ttl-ms is HOLD_TTL_MS. The flag wins; an empty variable counts
as unset.

Examples:
  butaca                                         one shard per CPU, holds kept in ./data
  butaca --store memory --websocket-port 9001    nothing is kept
  REDIS_HOST=redis DURABILITY=durable butaca     a seat is confirmed once Redis has it
  butaca --print-config                          what would hold, and why
  butaca api-key shop sell                       a key of the API, and its line for API_KEYS_FILE";

fn arg(setting: &'static Setting) -> Arg {
    let default = match setting.default {
        Default::Text("") => "none".into(),
        Default::Text(text) | Default::Depends(text) => text.to_owned(),
        Default::Number(number) => number.to_string(),
    };
    let allowed = match setting.kind {
        Kind::Choice(words) => format!(" ({})", words.join(", ")),
        Kind::Number { .. } | Kind::Switch | Kind::Text(_) | Kind::Secret(_) => String::new(),
    };
    let is_switch = matches!(setting.kind, Kind::Switch);
    let arg = Arg::new(setting.name);
    // A switch without a value is on.
    let arg = if is_switch { arg.num_args(0..=1).default_missing_value("1") } else { arg };
    arg.long(setting.flag())
        .env(setting.name)
        .hide_env(true)
        .value_name(setting.kind.placeholder())
        .value_parser(ValueParser::os_string())
        .allow_hyphen_values(!is_switch)
        .help_heading(setting.group)
        .help(format!("{}{allowed} [default: {default}]", setting.help))
}

impl Values {
    /// What the parsed command line and the environment say.
    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        let mut values = Self::default();
        for setting in SETTINGS {
            let Some(text) = matches.get_one::<OsString>(setting.name) else { continue };
            let source = match matches.value_source(setting.name) {
                Some(ValueSource::CommandLine) => Source::Flag,
                _ => Source::Environment,
            };
            values.write(setting.name, text, source);
        }
        values
    }

    /// Notes a value; an empty one is none.
    pub(super) fn write(&mut self, name: &'static str, text: &OsStr, source: Source) {
        if !text.is_empty() {
            self.0.insert(name, (text.to_owned(), source));
        }
    }

    /// Where the value of this setting comes from.
    pub(super) fn source(&self, name: &'static str) -> Source {
        self.0.get(name).map_or(Source::Default, |(_, source)| *source)
    }

    /// The number of a setting, or its default; `None` when that depends on something else.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, String> {
        let setting = setting(name);
        let Kind::Number { min, max } = setting.kind else { panic!("{name} is no number") };
        let Some(text) = self.text(name)? else {
            let Default::Number(number) = setting.default else { return Ok(None) };
            return Ok(Some(number));
        };
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|text| text.parse().ok()).filter(|number| (min..=max).contains(number));
        number.map(Some).ok_or_else(|| self.refusal(name))
    }

    /// Whether a setting is switched on.
    pub(super) fn switch(&self, name: &'static str) -> Result<bool, String> {
        let setting = setting(name);
        assert!(matches!(setting.kind, Kind::Switch), "{name} is no switch");
        match self.text(name)? {
            None => Ok(matches!(setting.default, Default::Number(1))),
            Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(self.refusal(name)),
        }
    }

    /// The chosen word of a setting, or its default; `None` when that depends on something else.
    pub(super) fn choice(&self, name: &'static str) -> Result<Option<&'static str>, String> {
        let setting = setting(name);
        let Kind::Choice(words) = setting.kind else { panic!("{name} is no choice") };
        let Some(text) = self.text(name)? else {
            let Default::Text(word) = setting.default else { return Ok(None) };
            return Ok(Some(word));
        };
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
        word.copied().map(Some).ok_or_else(|| self.refusal(name))
    }

    /// The text of a setting, or its default, read by `read`, which returns `None` for what is not allowed.
    pub(super) fn read<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, String> {
        let text = match (self.text(name)?, setting(name).default) {
            (Some(text), _) | (None, Default::Text(text)) if !text.is_empty() => text,
            _ => return Ok(None),
        };
        read(text).map(Some).ok_or_else(|| self.refusal(name))
    }

    /// The number of a setting that has a default.
    pub(super) fn u64(&self, name: &'static str) -> Result<u64, String> {
        Ok(self.number(name)?.expect("it has a default"))
    }

    /// The same for a setting whose row bounds it by 32 bits.
    pub(super) fn u32(&self, name: &'static str) -> Result<u32, String> {
        Ok(u32::try_from(self.u64(name)?).expect("the table bounds it"))
    }

    /// The same for a port.
    pub(super) fn u16(&self, name: &'static str) -> Result<u16, String> {
        Ok(u16::try_from(self.u64(name)?).expect("the table bounds it"))
    }

    /// The same for what is counted in memory.
    pub(super) fn usize(&self, name: &'static str) -> Result<usize, String> {
        Ok(usize::try_from(self.u64(name)?).expect("the table bounds it"))
    }

    /// The number of a setting that depends on something else when it is not written.
    pub(super) fn usize_if_set(&self, name: &'static str) -> Result<Option<usize>, String> {
        Ok(self.number(name)?.map(|number| usize::try_from(number).expect("the table bounds it")))
    }

    /// What was written for a setting, without spaces around it; a secret only without the end of its line, since a
    /// password may begin and end with any other character. Control characters are refused.
    fn text(&self, name: &'static str) -> Result<Option<&str>, String> {
        let Some((text, _)) = self.0.get(name) else { return Ok(None) };
        let trim = |text| match setting(name).kind {
            Kind::Secret(_) => str::trim_end_matches(text, ['\r', '\n']),
            Kind::Number { .. } | Kind::Choice(_) | Kind::Switch | Kind::Text(_) => str::trim(text),
        };
        let text = text.to_str().map(trim).ok_or_else(|| self.refusal(name))?;
        if text.chars().any(char::is_control) {
            return Err(self.refusal(name));
        }
        Ok((!text.is_empty()).then_some(text))
    }

    /// The one line that refuses the value of a setting because of its kind.
    pub(super) fn refusal(&self, name: &'static str) -> String {
        self.refusal_because(name, &format!("allowed is {}", setting(name).kind.allowed()))
    }

    /// The one line that refuses the value of a setting for this reason.
    pub(super) fn refusal_because(&self, name: &'static str, why: &str) -> String {
        format!("{}: {why}", self.shown(name, ""))
    }

    /// The setting as its writer wrote it, `HOLD_TTL_MS=0` or `--hold-ttl-ms=0`; `default` when nobody did.
    pub(super) fn shown(&self, name: &'static str, default: &str) -> String {
        let setting = setting(name);
        let flag = if self.source(name) == Source::Flag { format!("--{}", setting.flag()) } else { name.into() };
        format!("{flag}={}", self.value_shown(setting, default))
    }

    /// The value of a setting as it may be shown on one line.
    pub(super) fn value_shown(&self, setting: &Setting, default: &str) -> String {
        match (self.0.get(setting.name), setting.kind) {
            (None, _) => default.into(),
            (Some(_), Kind::Secret(_)) => "***".into(),
            (Some((text, _)), _) => text.to_string_lossy().escape_debug().collect(),
        }
    }
}

/// The row with this name.
fn setting(name: &'static str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.name == name).expect("every name that is asked for has a row")
}
