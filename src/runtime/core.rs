//! All state of one shard, and the few things that everything does with it: queue bytes for a connection, flush them,
//! end a connection.
//!
//! Invariants: one thread owns a core and nothing in it is borrowed across an await; bytes for a connection leave in the
//! order in which they were queued; a connection that ends is known to no view and to no engine from that moment on.
//!
//! Never here: what a message means, when a turn ends.

use std::collections::VecDeque;
use std::sync::Arc;

use rustix::net::{Shutdown, shutdown};

use crate::audience::outbox::Kind;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::command::{Effects, Input};
use crate::engine::ids::{ShardId, shard_of};
use crate::engine::shard::Shard;
use crate::engine::time::Now;
use crate::figures::shard::ShardStats;
use crate::limits::{BLOCKED_RETRY_MS, FLUSH_BYTES_PER_TURN};
use crate::persist::link::StoreLink;
use crate::runtime::board::Board;
use crate::runtime::connection::{Conns, Membership, Phase, Tenths, Watched};
use crate::runtime::fanout::{Pace, Views};
use crate::runtime::full_states::FullStates;
use crate::runtime::memory::Leftovers;
use crate::runtime::mesh::{Lanes, Mail, Mesh};
use crate::runtime::readiness::Readiness;
use crate::runtime::saving::Saving;
use crate::runtime::status::Gathers;
use crate::runtime::wheel::Wheel;
use crate::wire::frame;
use crate::wire::message::BroadcastUserInfo;

/// What a shard is made of.
pub(crate) struct Parts {
    pub(crate) id: ShardId,
    pub(crate) config: Arc<Config>,
    /// Connections that all shards together may have.
    pub(crate) connections_max: usize,
    pub(crate) seats: Shard,
    pub(crate) mesh: Mesh,
    pub(crate) board: Arc<Board>,
    pub(crate) readiness: Readiness,
    pub(crate) clock: Clock,
    /// The way to the store, when there is one.
    pub(crate) store: Option<Arc<StoreLink>>,
}

/// One shard.
pub(crate) struct Core {
    pub(crate) id: ShardId,
    pub(crate) shards: usize,
    pub(crate) config: Arc<Config>,
    pub(crate) connections_max: usize,
    pub(crate) share: BroadcastUserInfo,
    pub(crate) seats: Shard,
    pub(crate) conns: Conns,
    pub(crate) views: Views,
    pub(crate) mesh: Mesh,
    pub(crate) lanes: Lanes,
    pub(crate) board: Arc<Board>,
    pub(crate) readiness: Readiness,
    pub(crate) wheel: Wheel,
    pub(crate) gathers: Gathers,
    pub(crate) stats: ShardStats,
    pub(crate) clock: Clock,
    /// What persistence needs, when there is a store.
    pub(crate) saving: Option<Saving>,
    /// This turn's time.
    pub(crate) now: Now,
    /// This turn's time in nanoseconds, for pacing.
    pub(crate) now_ns: u64,
    pub(crate) effects: Effects,
    /// Decisions taken, to measure one in so many.
    pub(crate) decisions: u64,
    /// One public frame while it is being delivered.
    pub(crate) frame: Vec<u8>,
    /// Connections with bytes to flush at the end of the phase.
    pub(crate) flushes: Vec<u32>,
    /// Sockets to be read: slot and generation.
    pub(crate) reads: VecDeque<(u32, u32)>,
    /// Broken connections, ended at the end of the phase.
    pub(crate) broken: Vec<(u32, u32)>,
    /// Connections too slow to be served, closed at the end of the phase.
    pub(crate) too_slow: Vec<(u32, u32)>,
    pub(crate) full_states: FullStates,
    pub(crate) leftovers: Leftovers,
    /// What may still be sent for replies and full states in this turn.
    pub(crate) flush_bytes_left: u64,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { id, config, connections_max, seats, mesh, board, readiness, clock, store } = parts;
        let full_states = FullStates::new(board.full_states.clone());
        let pace = Pace { factor: u64::from(config.pace_factor), max_ns: config.pace_max_ms * 1_000_000 };
        Self {
            id,
            shards: mesh.shards(),
            connections_max,
            share: config.broadcast_user_info,
            saving: store.map(|link| Saving::new(id, link, config.durability)),
            config,
            seats,
            conns: Conns::new(id),
            views: Views::new(pace),
            lanes: Lanes::new(id, mesh.clone()),
            mesh,
            board,
            readiness,
            wheel: Wheel::default(),
            gathers: Gathers::default(),
            stats: ShardStats::default(),
            now: clock.now(),
            now_ns: clock.nanos(),
            clock,
            effects: Effects::new(),
            decisions: 0,
            frame: Vec::new(),
            flushes: Vec::new(),
            reads: VecDeque::new(),
            broken: Vec::new(),
            too_slow: Vec::new(),
            full_states,
            leftovers: Leftovers::default(),
            flush_bytes_left: FLUSH_BYTES_PER_TURN,
        }
    }

    /// This turn's time as connections keep it.
    pub(crate) fn tenths(&self) -> Tenths {
        Tenths::try_from(self.now.mono.0 / 100).unwrap_or(Tenths::MAX)
    }

    /// Who owns a room.
    pub(crate) fn owner(&self, room: &str) -> ShardId {
        shard_of(room, self.shards)
    }

    /// Looks at the connection again after `ms`.
    pub(crate) fn check_after(&mut self, slot: u32, ms: u64) {
        let at = self.tenths() + Tenths::try_from(ms / 100).unwrap_or(0);
        let generation = self.conns.generation(slot);
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.check_at = at;
            self.wheel.put(slot, generation, at);
        }
    }

    /// Queues frames for one connection that are never dropped, behind what it is owed of its rooms.
    pub(crate) fn reply(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        self.take_owed(slot);
        self.write(slot, Kind::Reply, write);
    }

    /// Queues frames of a kind that is never dropped.
    pub(crate) fn write(&mut self, slot: u32, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(out) = self.conns.outbox(slot) else { return };
        out.write(kind, write);
        self.queue_flush(slot);
    }

    pub(crate) fn queue_flush(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if !conn.flush_queued {
            conn.flush_queued = true;
            self.flushes.push(slot);
        }
    }

    /// Sends what has been queued for the connections of this phase, each with one send, and ends what broke. At
    /// [`FLUSH_BYTES_PER_TURN`] the rest waits for the next turn.
    pub(crate) fn flush_all(&mut self) {
        while !(self.flushes.is_empty() && self.broken.is_empty() && self.too_slow.is_empty()) {
            for (slot, generation) in std::mem::take(&mut self.too_slow) {
                // It may have drained in the meantime and got its full state: then it is not too slow.
                let out = self.conns.live(slot, generation).and_then(|conn| conn.out.as_ref());
                if out.is_some_and(|out| out.is_lagging()) {
                    self.cut_off(slot, frame::CLOSE_SLOW, "too slow");
                }
            }
            self.flush_some();
            for (slot, generation) in std::mem::take(&mut self.broken) {
                if self.conns.live(slot, generation).is_some() {
                    self.end(slot);
                }
            }
            if self.flush_bytes_left == 0 {
                return;
            }
        }
    }

    fn flush_some(&mut self) {
        let mut flushes = std::mem::take(&mut self.flushes);
        let mut done = 0;
        while done < flushes.len() && self.flush_bytes_left > 0 {
            self.flush(flushes[done]);
            done += 1;
        }
        if done > 0 {
            // The whole phase counts for each of its replies: the clock is read once.
            self.stats.reply.record(self.clock.nanos().saturating_sub(self.now_ns), done as u64);
        }
        flushes.drain(..done);
        flushes.append(&mut self.flushes);
        self.flushes = flushes;
    }

    /// Sends what has been queued for one connection.
    pub(crate) fn flush(&mut self, slot: u32) {
        match self.conns.get_mut(slot) {
            Some(conn) if conn.flush_queued => conn.flush_queued = false,
            Some(_) | None => return,
        }
        self.take_owed(slot);
        self.send_queued(slot);
    }

    /// The kernel forgets to say that a socket is writable when it was refused memory, rather than room in the socket,
    /// while nothing was in flight (the limit `tcp_mem`): nothing comes back then that could wake anybody. So a blocked
    /// connection tries again by itself.
    pub(crate) fn look_again(&mut self, slot: u32) {
        let within = self.tenths() + Tenths::try_from(BLOCKED_RETRY_MS / 100).unwrap_or(1);
        if self.conns.get(slot).is_some_and(|conn| conn.check_at > within) {
            self.check_after(slot, BLOCKED_RETRY_MS);
        }
    }

    /// The socket is full: its connection waits until it is writable.
    pub(crate) fn blocked(&mut self, slot: u32) {
        let generation = self.conns.generation(slot);
        let Some(conn) = self.conns.get_mut(slot) else { return };
        conn.blocked = true;
        let (open, watched) = (conn.phase == Phase::Open, conn.watched);
        // One that is not watched yet will be, for this as well.
        if watched == Watched::Reads {
            conn.watched = Watched::Writes;
        }
        if open {
            self.look_again(slot);
        }
        if watched != Watched::Reads {
            return;
        }
        let Some(conn) = self.conns.get(slot) else { return };
        // Edge-triggered, but asking for it reports at once when the socket has become writable in between.
        if self.readiness.watch_writes(&conn.fd, slot, generation).is_err() {
            self.broken.push((slot, generation));
        }
    }

    /// The connection's outbox is empty: what waited for that goes on.
    pub(crate) fn drained(&mut self, slot: u32) {
        if !self.catch_up(slot) {
            return self.queue_flush(slot);
        }
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let lagging = conn.out.as_ref().is_some_and(|out| out.is_lagging());
        let (phase, hung_up, stalled) = (conn.phase, conn.hung_up, conn.stalled);
        match phase {
            Phase::Closing if hung_up => self.end(slot),
            Phase::Closing => {
                // The peer sees the end at once; what it still sends is read and dropped, since unread bytes would turn
                // our close into a reset that could overtake the close frame.
                if let Some(conn) = self.conns.get(slot) {
                    shutdown(&conn.fd, Shutdown::Write).ok();
                }
                self.conns.put_outbox_away(slot);
            }
            Phase::Preamble | Phase::Http | Phase::Open => {
                if self.full_states.finish(slot, self.conns.generation(slot)) {
                    self.begin_waiting();
                }
                if lagging {
                    self.resynchronise(slot);
                }
                self.conns.put_outbox_away(slot);
                if stalled {
                    self.resume_reading(slot);
                }
            }
        }
    }

    /// Puts the connection into the list of sockets to be read.
    pub(crate) fn resume_reading(&mut self, slot: u32) {
        let generation = self.conns.generation(slot);
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if !conn.read_queued {
            conn.read_queued = true;
            self.reads.push_back((slot, generation));
        }
    }

    /// Ends the WebSocket with our close frame: the connection's holds are released now, and it goes when the peer has
    /// hung up or [`Config::close_within_ms`] are over.
    pub(crate) fn close(&mut self, slot: u32, code: u16, reason: &str) {
        if self.conns.get(slot).is_none_or(|conn| conn.phase == Phase::Closing) {
            return;
        }
        self.take_owed(slot);
        self.write(slot, Kind::Reply, |out| frame::close(out, code, reason));
        self.begin_closing(slot);
    }

    /// Ends a WebSocket that does not take what is queued for it: that is dropped. Nothing newer may follow it, or the
    /// client would see a hole in its rooms before it sees our close frame.
    pub(crate) fn cut_off(&mut self, slot: u32, code: u16, reason: &str) {
        self.skip_rooms(slot);
        if let Some(out) = self.conns.get_mut(slot).and_then(|conn| conn.out.as_mut()) {
            out.abandon();
        }
        self.close(slot, code, reason);
    }

    /// Everything that will be sent has been queued: from now on the connection is no participant.
    pub(crate) fn begin_closing(&mut self, slot: u32) {
        self.keep_all_owed(slot);
        self.retire(slot);
        if let Some(conn) = self.conns.get_mut(slot) {
            if conn.phase == Phase::Open {
                self.board.websocket_ended();
            }
            conn.phase = Phase::Closing;
            conn.unread = None;
        }
        self.check_after(slot, self.config.close_within_ms);
        self.queue_flush(slot);
    }

    /// Takes the connection out of its rooms and tells the owners. Doing it twice does nothing.
    pub(crate) fn retire(&mut self, slot: u32) {
        let id = self.conns.id(slot);
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let touched = std::mem::take(&mut conn.touched);
        let memberships: Vec<Membership> = conn.memberships.iter().collect();
        conn.memberships = Default::default();
        for Membership { view, at } in memberships {
            self.leave_view(view, at);
        }
        // The end of the server is no end of a hold: with a store the next start gives it back, and without one there is
        // nobody left to be told.
        if self.board.is_draining() {
            return;
        }
        for shard in touched.iter() {
            if shard == self.id {
                self.decide(Input::Gone { conn: id });
            } else {
                self.lanes.post(shard, Mail::Gone { conn: id });
            }
        }
    }

    /// Takes a member out of a view and tells those that moved where they are now.
    pub(crate) fn leave_view(&mut self, view: u32, at: u32) {
        for moved in self.views.remove(view, at).into_iter().flatten() {
            if let Some(conn) = self.conns.get_mut(moved.slot) {
                conn.memberships.moved(view, moved.index);
            }
        }
    }

    /// Ends the connection now.
    pub(crate) fn end(&mut self, slot: u32) {
        self.retire(slot);
        self.full_states.finish(slot, self.conns.generation(slot));
        let conn = self.conns.remove(slot);
        self.gathers.forget(slot);
        self.leftovers.ended();
        self.uncount(conn.phase, conn.peer.as_deref().copied());
    }
}
