//! HTTP answers that need other shards: the question goes to them by mail, and the answer is put together where the
//! request came in.
//!
//! Invariants: every request is answered once; a shard that does not answer in time is left out, or its room is
//! refused. Never here: who waits for what (`gathers`), what figures look like (`figures`).

use std::sync::atomic::Ordering;

use crate::audience::budget::Kind as Memory;
use crate::audience::shared::{Shared, SharedBytes};
use crate::engine::ids::{ConnId, RoomId, ShardId};
use crate::figures::stats::ShardFigures;
use crate::figures::text::CONTENT_TYPE;
use crate::limits::site::STATS_IDS_MAX;
use crate::runtime::core::Core;
use crate::runtime::mail::Mail;
use crate::runtime::site::answer::Answer;
use crate::runtime::site::exchange::Exchange;
use crate::runtime::site::gathers::{Page, Waiter};
use crate::runtime::site::letters::{Question, Told, Wanted};
use crate::runtime::site::sight::Sight;
use crate::runtime::socket::Phase;
use crate::wire::message;

const NOBODY: &str = "nobody decides about the room at this moment";
const BUSY: &str = "too many wait for this answer";
const RETRY: &[(&str, &str)] = &[("Retry-After", "1")];

impl Page {
    /// What is said of it before its body.
    fn answer(self) -> Answer<'static> {
        match self {
            Self::Stats => Answer::json(200),
            Self::Metrics => Answer { content_type: CONTENT_TYPE, ..Answer::json(200) },
        }
    }
}

impl Core {
    /// Somebody asks for figures of all shards. For HEAD no shard is asked: nothing in the head depends on them.
    pub(super) fn ask_for_figures(&mut self, exchange: Exchange, page: Page) {
        if exchange.head_only {
            return self.respond_head(exchange, page.answer(), None);
        }
        let waiter = Waiter { conn: self.node.conn_id(exchange.slot), exchange, page };
        if self.node.is_short_of_bodies() || !self.gathers.wait(waiter) {
            return self.answer_busy(exchange);
        }
        self.awaits_answer(exchange.slot);
        self.gather();
    }

    /// Somebody asks for the selections of a room.
    pub(super) fn ask_for_selections(&mut self, exchange: Exchange, room: &RoomId) {
        let by = self.node.conn_id(exchange.slot);
        self.gathers.wait_for_room(exchange, self.now.mono.0 + self.node.patience_ms());
        self.awaits_answer(exchange.slot);
        let owner = self.board.spread.shard_of(room.as_str());
        let question = Question::Selections(Wanted { room: room.clone(), head_only: exchange.head_only });
        if owner == self.id {
            self.asked(by, question);
        } else {
            self.lanes.post(owner, Mail::Ask { by, question });
        }
    }

    fn awaits_answer(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.get_mut(slot) {
            socket.awaits_answer = true;
        }
    }

    /// Asks all shards for their figures, when somebody waits for that and it is time.
    fn gather(&mut self) {
        let shards = self.mesh.shards();
        let Some(number) = self.gathers.begin(self.now.mono.0, shards) else { return };
        // Letters are answered to a connection; these are everybody's who waits on this shard.
        let by = ConnId::new(self.id, 0, 0);
        for shard in (0..shards).map(ShardId::new).filter(|&shard| shard != self.id) {
            self.lanes.post(shard, Mail::Ask { by, question: Question::Figures(number) });
        }
        let own = self.own_figures();
        self.gathers.told(number, own);
        self.publish();
    }

    /// A shard asks, this one included.
    pub(crate) fn asked(&mut self, by: ConnId, question: Question) {
        match question {
            Question::Figures(number) => {
                let told = Told::Figures(number, Box::new(self.own_figures()));
                self.tell_shard(by, told);
            }
            Question::Selections(wanted) if !self.node.decides(wanted.room.as_str()) => self.ask_owner(by, wanted),
            Question::Selections(wanted) => {
                let told = self.selections(&wanted);
                if let Some(told) = told {
                    self.tell_shard(by, told);
                } else if self.node.is_short_of_bodies() || !self.bodies.wait(by, wanted) {
                    self.tell_shard(by, Told::Busy);
                }
            }
        }
    }

    pub(crate) fn tell_shard(&mut self, by: ConnId, told: Told) {
        if self.is_abroad(by) {
            return self.tell_abroad(by, told);
        }
        if by.shard() == self.id {
            self.told(by, told);
        } else {
            self.lanes.post(by.shard(), Mail::Told { to: by, told: Box::new(told) });
        }
    }

    /// A shard has answered.
    pub(crate) fn told(&mut self, to: ConnId, told: Told) {
        if let Told::Figures(number, figures) = told {
            self.gathers.told(number, *figures);
            return self.publish();
        }
        let Some(exchange) = self.node.find(to).and_then(|slot| self.gathers.take_room(slot)) else { return };
        match told {
            Told::Selections(body) => self.respond_with(exchange, Answer::json(200), &SharedBytes::Counted(body)),
            Told::Length(len) => self.respond_head(exchange, Answer::json(200), Some(len)),
            Told::Busy => self.answer_busy(exchange),
            Told::Nobody => self.answer_message(exchange, 503, NOBODY, RETRY),
            Told::Figures(..) => unreachable!("looked at first"),
        }
    }

    fn answer_busy(&mut self, exchange: Exchange) {
        self.node.figures.bodies_refused += 1;
        self.answer_message(exchange, 503, BUSY, RETRY);
    }

    /// What waits for its time: the next gathering, shards that do not answer, bodies that were too much at once.
    pub(crate) fn go_on_with_answers(&mut self) {
        let now_ms = self.now.mono.0;
        self.publish();
        self.gather();
        // The connection ends with that, so that an answer that comes after all finds nobody instead of the next
        // question.
        for exchange in self.gathers.take_late_rooms(now_ms) {
            let message = "the shard that owns the room does not answer";
            self.answer_message(Exchange { keep_alive: false, ..exchange }, 503, message, &[]);
        }
        while !self.node.is_short_of_bodies()
            && let Some((by, wanted)) = self.bodies.next(now_ms)
        {
            if !self.node.decides(wanted.room.as_str()) {
                self.ask_owner(by, wanted);
                continue;
            }
            let told = self.encode(&wanted);
            self.tell_shard(by, told);
        }
        self.bodies.tidy(now_ms);
    }

    /// Answers those who wait for a gathering that is over. Each page is written once.
    fn publish(&mut self) {
        let Some(mut gathered) = self.gathers.take_gathered(self.now.mono.0) else { return };
        let has_asked = |page| gathered.waiters.iter().any(|waiter| waiter.page == page);
        let (wants_stats, wants_metrics) = (has_asked(Page::Stats), has_asked(Page::Metrics));
        let stats = wants_stats.then(|| {
            let body = self.sight().stats(&mut gathered.shards, gathered.missing);
            self.shared(body.into_bytes())
        });
        let metrics = wants_metrics.then(|| self.shared(self.sight().metrics(gathered.shards).into_bytes()));
        for Waiter { conn, exchange, page } in gathered.waiters {
            let socket = self.node.find(conn).and_then(|slot| self.sockets.get(slot));
            if socket.is_none_or(|socket| socket.phase != Phase::Http) {
                continue;
            }
            let body = match page {
                Page::Stats => &stats,
                Page::Metrics => &metrics,
            };
            self.respond_with(exchange, page.answer(), body.as_ref().expect("who waits for a page has it written"));
        }
    }

    /// What this shard tells of itself.
    pub(crate) fn own_figures(&mut self) -> ShardFigures {
        self.refresh_gauges();
        let ids_max = if self.site.stats_list_ids { STATS_IDS_MAX + 1 } else { 0 };
        ShardFigures {
            shard: self.id,
            clients: self.node.clients().take(ids_max).cloned().collect(),
            rooms: self.node.seats().rooms().take(ids_max).cloned().collect(),
            stats: self.node.figures.clone(),
        }
    }

    /// The server as this shard sees it now.
    pub(super) fn sight(&self) -> Sight<'_> {
        Sight {
            promise: self.promise,
            board: &self.board,
            connections_max: self.connections_max,
            store: self.node.store_status(),
            now: self.now,
        }
    }

    /// Brings the gauges up to date.
    fn refresh_gauges(&mut self) {
        self.node.count_memory();
        let counts = self.node.counts();
        let waiting_bytes = self.node.waiting_bytes();
        let (waiting, longest_wait_ms) = (self.node.waiting_for_full_states(), self.node.full_state_wait_ms());
        let pulse = self.board.pulse(self.id);
        let figures = &mut self.node.figures;
        figures.connections = self.sockets.len() as u64;
        figures.rooms = counts.rooms as u64;
        figures.members = counts.members as u64;
        figures.holds = counts.holds as u64;
        figures.mesh_sent = self.lanes.posted;
        figures.watchdog_pokes = pulse.pokes.load(Ordering::Relaxed);
        figures.outbound_queue_bytes = waiting_bytes;
        figures.full_states_waiting = waiting as u64;
        figures.full_state_wait_ms = longest_wait_ms;
    }

    /// The selections of a room that this shard owns; `None` when encoding them must wait.
    fn selections(&mut self, wanted: &Wanted) -> Option<Told> {
        let (room, now_ms) = (&wanted.room, self.now.mono.0);
        let moment = self.node.seats().selections(room.as_str()).map(|state| (state.epoch, state.seq));
        let kept = moment.and_then(|moment| {
            if wanted.head_only {
                self.bodies.find_length(room, moment).map(Told::Length)
            } else {
                self.bodies.find(room, moment, now_ms).map(Told::Selections)
            }
        });
        if kept.is_some() || self.node.is_short_of_bodies() || !self.bodies.may_encode(now_ms) {
            return kept;
        }
        Some(self.encode(wanted))
    }

    fn encode(&mut self, wanted: &Wanted) -> Told {
        let Wanted { room, head_only } = wanted;
        let state = self.node.seats().selections(room.as_str());
        let moment = state.as_ref().map(|state| (state.epoch, state.seq));
        let (seats, share) = (state.iter().flat_map(|state| state.iter()), self.rooms.broadcast_user_info);
        if *head_only {
            let length = message::selections_body_len(room.as_str(), seats, share);
            self.bodies.counted(room, moment, length, self.now.mono.0);
            return Told::Length(length);
        }
        let mut body = Vec::new();
        message::selections_body(&mut body, room.as_str(), seats, share);
        let body = Shared::new(body, Memory::HttpBodies, &self.board.budget);
        self.bodies.encoded(room, moment, &body, self.now.mono.0);
        Told::Selections(body)
    }
}
