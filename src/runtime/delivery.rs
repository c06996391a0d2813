//! How what a connection is owed of its rooms leaves: with a pass, with its replies, or from the rooms' logs, at its own
//! pace, once its socket was full.
//!
//! Invariants: what an outbox names of a log is there, because its connection is a member that is behind; a member is
//! dropped by its room only when it needs more of the log than a full state would cost, or than may wait for any slow
//! connection. Never here: what gives way in which order (`audience`), when a pass is due (`fanout`).

use crate::audience::frames::count_frames;
use crate::audience::outbox::LogPart;
use crate::audience::view::Serve;
use crate::limits::{ROOM_LOG_BYTES_MAX, STATE_SEAT_BYTES};
use crate::runtime::connection::Membership;
use crate::runtime::core::Core;

impl Core {
    /// Sends a member what it is owed, or leaves it behind what waits for its socket.
    pub(crate) fn serve(&mut self, index: u32, step: Serve) {
        let Serve { index: at, slot, from } = step;
        let generation = self.conns.generation(slot);
        let view = &mut self.views.get_mut(index).view;
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if conn.blocked || conn.out.is_some() {
            view.fall_behind(at, from, 0);
            if !conn.blocked {
                self.queue_flush(slot);
            }
            return;
        }
        let owed = view.tail(from);
        let Ok(sent) = conn.send(owed) else {
            self.broken.push((slot, generation));
            return;
        };
        self.stats.sends += 1;
        self.stats.bytes_sent += sent as u64;
        self.stats.merged_frames += count_frames(owed) as u64 - 1;
        if sent == owed.len() {
            return;
        }
        let waits = (owed.len() - sent) as u64;
        let rest = view.fall_behind(at, from, sent);
        if !rest.is_empty()
            && let Some(out) = self.conns.outbox(slot)
        {
            out.finish_first(rest);
        }
        self.note_waiting(waits);
        self.blocked(slot);
    }

    fn note_waiting(&mut self, bytes: u64) {
        self.stats.outbound_queue_high_water = self.stats.outbound_queue_high_water.max(bytes);
    }

    /// Moves what the connection is owed of all its rooms into its outbox, so that one send takes it along. While its
    /// socket is full that is not copied: the outbox names the parts of the logs.
    pub(crate) fn take_owed(&mut self, slot: u32) {
        let mut index = 0;
        while let Some(conn) = self.conns.get(slot)
            && let Some(Membership { view, at }) = conn.memberships.nth(index)
        {
            index += 1;
            let blocked = conn.blocked;
            let room_view = &mut self.views.get_mut(view).view;
            let owed = room_view.owed(at);
            if owed.is_empty() {
                continue;
            }
            let Some(out) = self.conns.outbox(slot) else { return };
            let copies = !blocked && !room_view.is_behind(at);
            if copies && out.push_events(owed, self.config.outbound_queue_bytes) {
                room_view.settle(at);
            } else {
                let span = room_view.claim(at);
                out.push_log(LogPart { view, span });
            }
        }
    }

    /// Sends what is queued as far as the socket takes it.
    pub(crate) fn send_queued(&mut self, slot: u32) {
        let generation = self.conns.generation(slot);
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let (mut full, mut most) = (false, 0);
        while let Some(out) = conn.out.as_deref().filter(|out| !conn.blocked && !out.is_empty()) {
            let part = out.next_log();
            let bytes = part.map_or(out.unsent(), |part| self.views.get(part.view).view.read(part.span));
            let wanted = bytes.len();
            most = most.max(out.unsent_len() + if part.is_some() { wanted } else { 0 });
            let Ok(sent) = conn.send(bytes) else {
                self.broken.push((slot, generation));
                return;
            };
            self.stats.sends += 1;
            self.stats.bytes_sent += sent as u64;
            self.flush_bytes_left = self.flush_bytes_left.saturating_sub(sent as u64);
            full = sent < wanted;
            conn.blocked = full;
            let Some(out) = conn.out.as_deref_mut() else { break };
            match part {
                None => out.advance(sent),
                Some(LogPart { view, span }) => {
                    let at = conn.memberships.find(view).expect("who left a view is sent nothing of its log").at;
                    let (next, rest) = self.views.get_mut(view).view.took(at, span.from, sent);
                    out.advance_log(next, rest);
                }
            }
        }
        let is_empty = conn.out.as_ref().is_none_or(|out| out.is_empty());
        // A socket that is still full has not drained, though nothing may be queued for it.
        let drained = is_empty && !conn.blocked;
        let reads_on = conn.stalled && conn.queue_weight() <= self.config.outbound_queue_bytes / 2;
        self.note_waiting(most as u64);
        if full {
            self.blocked(slot);
        }
        if drained {
            self.drained(slot);
        } else if reads_on {
            self.resume_reading(slot);
        }
    }

    /// Nothing is queued for the connection: who was behind has caught up, and is served by passes again. Returns whether
    /// that is so in all its rooms.
    pub(crate) fn catch_up(&mut self, slot: u32) -> bool {
        let (mut index, mut all) = (0, true);
        while let Some(Membership { view, at }) = self.conns.get(slot).and_then(|conn| conn.memberships.nth(index)) {
            index += 1;
            let room_view = &mut self.views.get_mut(view).view;
            if room_view.is_behind(at) {
                all &= room_view.catch_up(at);
                // Nobody may be behind any more: a pass cuts the log.
                self.views.schedule(view, self.now_ns);
            }
        }
        all
    }

    /// A room's log has grown beyond what may wait for one connection: who is too far behind is dropped.
    pub(crate) fn drop_laggards(&mut self, index: u32) {
        let entry = self.views.get(index);
        let held = if entry.owner == self.id {
            self.seats.selections(entry.room.as_str()).map_or(0, |state| state.len())
        } else {
            entry.held
        };
        let lag_bytes = self.config.outbound_queue_bytes.max(held * STATE_SEAT_BYTES).min(ROOM_LOG_BYTES_MAX);
        let dropped = self.views.get_mut(index).view.drop_laggards(lag_bytes, ROOM_LOG_BYTES_MAX);
        for slot in dropped {
            self.lag(slot);
        }
    }

    /// A room has dropped the connection: it gets a full state of each of its rooms once its socket has drained.
    fn lag(&mut self, slot: u32) {
        self.stats.slow_consumers += 1;
        self.skip_rooms(slot);
        let Some(out) = self.conns.outbox(slot) else { return };
        let (resync_waits, since) = (out.lag(), out.resynced());
        self.queue_flush(slot);
        let waits_ms = u64::from(self.tenths().saturating_sub(since)) * 100;
        if resync_waits && waits_ms >= self.config.slow_consumer_ms {
            // Closing releases holds, which is a decision: it must not overtake the effects being performed.
            self.too_slow.push((slot, self.conns.generation(slot)));
        }
    }

    /// Lets all rooms' frames pass the connection by until it gets full states.
    pub(crate) fn skip_rooms(&mut self, slot: u32) {
        let Some(conn) = self.conns.get(slot) else { return };
        for Membership { view, at } in conn.memberships.iter() {
            self.views.get_mut(view).view.skip(at);
        }
    }

    /// The connection is about to leave a view: what its outbox names of that log is copied, within the bound of what may
    /// wait for one connection, and dropped beyond it, since no full state of the room will follow.
    pub(crate) fn keep_owed(&mut self, slot: u32, view: u32) {
        let room_view = &self.views.get(view).view;
        let is_behind = |member: Membership| room_view.is_behind(member.at);
        if let Some(conn) = self.conns.get_mut(slot)
            && conn.memberships.find(view).is_some_and(is_behind)
            && let Some(out) = conn.out.as_mut()
        {
            out.keep_log(view, self.config.outbound_queue_bytes, |span| room_view.read(span));
        }
    }

    /// The same for all its views.
    pub(crate) fn keep_all_owed(&mut self, slot: u32) {
        let mut index = 0;
        while let Some(Membership { view, .. }) = self.conns.get(slot).and_then(|conn| conn.memberships.nth(index)) {
            index += 1;
            self.keep_owed(slot, view);
        }
    }

    /// Whether anything is still to be sent to the connection.
    pub(crate) fn is_owed(&self, slot: u32) -> bool {
        self.conns.get(slot).and_then(|conn| conn.out.as_ref()).is_some_and(|out| !out.is_empty())
    }
}
