//! Where holds survive a restart, and what an acknowledgement is worth after a crash.
//!
//! Invariant: nothing is kept exactly when nothing is promised. Never here: how a store is written.

use std::path::PathBuf;

use super::redis::RedisSettings;
use super::values::{Source, Values};

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

/// What clients are promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// Where holds survive a restart.
    pub store: Store,
    /// What an acknowledgement is worth. `Memory` exactly when `store` is.
    pub durability: Durability,
}

impl Promise {
    fn read(values: &Values) -> Result<Self, String> {
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
        Ok(Self { store, durability })
    }

    /// Whether a reply waits until what it says is stored.
    #[must_use]
    pub fn is_durable(self) -> bool {
        self.durability == Durability::Durable
    }
}

/// How the promise is kept.
#[derive(Clone)]
pub struct StoreSettings {
    /// What clients are promised.
    pub promise: Promise,
    /// Directory of the embedded store.
    pub data_dir: PathBuf,
    /// Start empty when the store does not answer at the start.
    pub start_without_store: bool,
    /// Start with what is left of a damaged store.
    pub accept_loss: bool,
    /// How to reach Redis; meaningful when the store is Redis.
    pub redis: RedisSettings,
}

impl StoreSettings {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        let promise = Promise::read(values)?;
        Ok(Self {
            promise,
            data_dir: values.read("DATA_DIR", |text| Some(PathBuf::from(text)))?.expect("it has a default"),
            start_without_store: start_without_store(values, promise.durability)?,
            accept_loss: values.switch("ACCEPT_LOSS")?,
            redis: RedisSettings::read(values)?,
        })
    }
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
