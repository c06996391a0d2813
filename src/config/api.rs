//! Where the API of the shop's backend listens, and for whom.
//!
//! Invariant: without keys it is loopback, or anybody who reaches the port could sell. Never here: keys, sockets.

use std::net::IpAddr;
use std::path::PathBuf;

use super::texts::{address, port_or_off};
use super::values::{Source, Values};

/// Where the API listens, and for whom.
#[derive(Clone, Debug)]
pub struct Api {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Somebody wrote the port, so that the server does not start without it.
    pub is_port_given: bool,
    /// The keys; `None`: whoever asks from this machine may do everything.
    pub keys_file: Option<PathBuf>,
}

/// What the log of acts has.
#[derive(Clone, Copy, Debug)]
pub struct Acts {
    /// Events at most.
    pub events_max: usize,
    /// Whether holds and releases are among them.
    pub has_holds: bool,
}

impl Acts {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        Ok(Self { events_max: values.usize("LOG_EVENTS_MAX")?, has_holds: values.switch("LOG_HOLDS")? })
    }
}

impl Api {
    /// `None`: it is off.
    pub(super) fn read(values: &Values) -> Result<Option<Self>, String> {
        let port = values.read("API_PORT", port_or_off)?.expect("it has a default");
        let host = values.read("API_HOST", address)?.expect("it has a default");
        let keys_file = values.read("API_KEYS_FILE", |text| Some(PathBuf::from(text)))?;
        let Some(port) = port else { return Ok(None) };
        if keys_file.is_none() && !host.to_canonical().is_loopback() {
            let why = "needs API_KEYS_FILE, or anybody could sell; without keys allowed is loopback";
            return Err(values.refusal_because("API_HOST", why));
        }
        Ok(Some(Self { host, port, is_port_given: values.source("API_PORT") != Source::Default, keys_file }))
    }
}
