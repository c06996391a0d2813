//! The server as it looks at one moment: what `/health`, `/stats` and `/metrics` say beside the figures of shards, for
//! every port on which they are asked.
//!
//! Never here: asking shards, how an answer leaves.

use std::sync::atomic::Ordering;

use crate::audience::budget::{KINDS, Kind as Memory};
use crate::config::Promise;
use crate::engine::time::{Now, WallMillis};
use crate::figures::nodes::{NodeRow, NodesFigures};
use crate::figures::server::{MemoryFigures, RUNTIMES, ServerFigures};
use crate::figures::stats::{self, ShardFigures};
use crate::figures::store::StoreFigures;
use crate::figures::text::{Snapshot, text};
use crate::log;
use crate::persist::status::StoreStatus;
use crate::runtime::board::{Board, Pulse};
use crate::runtime::process;
use crate::runtime::site::health::{Facts, StoreState};

/// What it is seen in.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) promise: Promise,
    pub(crate) board: &'a Board,
    /// Connections that all shards together may have.
    pub(crate) connections_max: usize,
    pub(crate) store: Option<&'a StoreStatus>,
    pub(crate) now: Now,
}

impl Sight<'_> {
    /// What `/health` follows from.
    pub(crate) fn facts(&self) -> Facts {
        let rooms = |pulse: &Pulse| pulse.rooms.load(Ordering::Relaxed);
        let state = self.store.map(|status| {
            let (is_connected, error) = status.health(self.now.mono);
            StoreState {
                may_grant: status.may_grant(self.now.mono),
                is_connected,
                is_damaged: status.is_damaged(),
                error,
            }
        });
        Facts {
            is_draining: self.board.is_draining(),
            is_serving: self.board.is_serving(),
            websockets: self.board.websockets(),
            rooms: self.board.pulses().iter().map(rooms).sum(),
            store: self.promise.store,
            durability: self.promise.durability,
            runtime: self.board.executor.name(),
            has_undeclared_proxy: self.board.undeclared_proxy.load(Ordering::Relaxed),
            state,
        }
    }

    /// The body of `/stats`. `missing` shards have not told their figures in time.
    pub(crate) fn stats(&self, shards: &mut [ShardFigures], missing: usize) -> String {
        stats::body(self.server_figures(), shards, missing, self.store_figures(), self.nodes())
    }

    /// The body of `/metrics`.
    pub(crate) fn metrics(&self, shards: Vec<ShardFigures>) -> String {
        let started = WallMillis(self.now.wall.0.saturating_sub(self.now.mono.0));
        text(Snapshot {
            shards: shards.into_iter().map(|figures| (figures.shard.index(), figures.stats)).collect(),
            server: self.server_figures(),
            store: self.store_figures().unwrap_or_default(),
            nodes: self.nodes().map(|(figures, _)| figures).unwrap_or_default(),
            process: process::read(started),
        })
    }

    fn nodes(&self) -> Option<(NodesFigures, Vec<NodeRow>)> {
        self.board.nodes.get().map(|status| status.read(self.now.mono))
    }

    fn store_figures(&self) -> Option<StoreFigures> {
        self.store.map(|status| status.figures(self.now.mono))
    }

    fn server_figures(&self) -> ServerFigures {
        let mut runtimes = [0; RUNTIMES.len()];
        runtimes[self.board.executor.index()] = 1;
        ServerFigures {
            websockets: self.board.websockets() as u64,
            connections_max: self.connections_max as u64,
            is_serving: self.board.is_serving() && !self.board.is_draining(),
            log_lines_dropped: log::lines_dropped(),
            runtimes,
            undeclared_proxy: u64::from(self.board.undeclared_proxy.load(Ordering::Relaxed)),
            memory: self.memory_figures(),
            memory_budget_bytes: KINDS.iter().map(|(kind, _)| self.board.budget.max(*kind) as u64).sum(),
        }
    }

    fn memory_figures(&self) -> MemoryFigures {
        let used = |kind| self.board.budget.used(kind) as u64;
        MemoryFigures {
            outboxes: used(Memory::Outboxes),
            logs: used(Memory::Logs),
            full_states: used(Memory::FullStates),
            http_bodies: used(Memory::HttpBodies),
            withheld: used(Memory::Withheld),
            holds: used(Memory::Holds),
            acts: used(Memory::Acts),
            api_bodies: used(Memory::ApiBodies),
        }
    }
}
