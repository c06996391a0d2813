//! The storm: every socket gone at one moment, by our hand or because the server is killed and started again.
//!
//! Owns: who is away, and the restart command. Never here: timers of users.

use std::process::{Child, Command, Stdio};

use crate::client::Restart;
use crate::names::Who;
use crate::session::Session;

/// One storm in one thread.
#[derive(Debug)]
pub struct Storm {
    /// Everybody is back within this time.
    pub back_secs: f64,
    /// How many were away.
    pub dropped: u64,
    command: Option<String>,
    /// How long before the end of its connection a hold must have been acknowledged to be sure to survive a restart.
    window_ns: u64,
    at: u64,
    away: Vec<bool>,
    missing: usize,
    child: Option<Child>,
    begun: bool,
    over: bool,
}

impl Storm {
    /// A storm over `population` clients; with `command` the server is restarted by it.
    #[must_use]
    pub fn new(population: usize, back_secs: f64, command: Option<String>, window_ns: u64) -> Self {
        let away = vec![false; population];
        Self {
            back_secs,
            dropped: 0,
            command,
            window_ns,
            at: u64::MAX,
            away,
            missing: 0,
            child: None,
            begun: false,
            over: false,
        }
    }

    /// When it breaks.
    pub fn set_time(&mut self, at: u64) {
        self.at = at;
    }

    /// Whether it breaks now.
    #[must_use]
    pub fn breaks(&self, now: u64) -> bool {
        !self.begun && now >= self.at
    }

    /// Whether the server is restarted rather than the sockets dropped.
    #[must_use]
    pub fn by_server(&self) -> bool {
        self.command.is_some()
    }

    /// Whether everybody is where they should be.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        !self.begun || self.over
    }

    /// It breaks. The first thread runs the command.
    pub fn begin(&mut self, session: &mut Session, now: u64) {
        let due = self.at.min(now);
        (self.begun, self.at) = (true, now);
        if let Some(command) = &self.command {
            session.crowd.restarting = Some(Restart { window_ns: self.window_ns, killed: due });
            if session.thread == 0 {
                let child =
                    Command::new("sh").arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
                match child {
                    Ok(child) => self.child = Some(child),
                    Err(error) => eprintln!("loadgen: --restart-cmd could not be run: {error}"),
                }
            }
        }
    }

    /// Looks after the command and ends the storm when everybody is back.
    pub fn look(&mut self, session: &mut Session) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            if !status.success() {
                eprintln!("loadgen: --restart-cmd ended with {status}");
            }
            self.child = None;
        }
        if self.begun && !self.over && self.dropped > 0 && self.missing == 0 && self.child.is_none() {
            self.over = true;
            session.crowd.restarting = None;
        }
    }

    /// A client's connection is gone.
    pub fn away(&mut self, who: Who) {
        if !self.away[who as usize] {
            self.away[who as usize] = true;
            self.missing += 1;
            self.dropped += 1;
        }
    }

    /// Whether a client has not come back yet.
    #[must_use]
    pub fn is_away(&self, who: Who) -> bool {
        self.away[who as usize]
    }

    /// A client is a member again; returns how long that took.
    pub fn back(&mut self, session: &Session, who: Who, now: u64) -> Option<u64> {
        if !std::mem::take(&mut self.away[who as usize]) {
            return None;
        }
        debug_assert!(session.crowd.is_member(who) || session.crowd.plain, "back means joined");
        self.missing -= 1;
        Some(now - self.at)
    }

    /// When it wants to be looked at again.
    #[must_use]
    pub fn next(&self, now: u64) -> u64 {
        if self.begun && !self.over {
            now + 20_000_000
        } else if self.begun {
            u64::MAX
        } else {
            self.at
        }
    }
}
