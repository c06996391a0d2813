//! HTTP answers: `/health`, `/ready`, `/stats`, `/metrics`, `/room/{room_id}/selections`, `/` and the files of the page.
//!
//! `/health` is answered at once from the board, so that it works while a shard does not. What only the shards know is
//! asked of them by mail and put together where the request came in; a shard that does not answer in time is left out.
//! Invariant: requests behind one that is being answered wait. Never here: sockets, seats.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{Durability, Store};
use crate::engine::ids::{ClientId, ConnId, RoomId, ShardId, shard_of};
use crate::engine::time::WallMillis;
use crate::figures::server::{self, ServerFigures};
use crate::figures::shard::ShardStats;
use crate::figures::store::{self, StoreFigures};
use crate::figures::text::{CONTENT_TYPE, Snapshot, text};
use crate::figures::{json as rows, shard};
use crate::limits::{HTTP_REQUESTS_MAX, STATS_IDS_MAX};
use crate::log;
use crate::node::Event;
use crate::persist::status::StoreStatus;
use crate::runtime::core::Core;
use crate::runtime::mail::{Mail, Question};
use crate::runtime::process;
use crate::runtime::socket::Phase;
use crate::wire::assets;
use crate::wire::http::Target;
use crate::wire::message;
use crate::wire::respond::{self, Manner};

/// How long an answer waits for the shards, in milliseconds.
const GATHER_MS: u64 = 1_000;
const JSON: &str = "application/json";

/// What a shard tells of itself.
#[derive(Debug)]
pub(crate) struct Row {
    shard: ShardId,
    stats: Box<ShardStats>,
    clients: Vec<ClientId>,
    rooms: Vec<RoomId>,
}

/// The answer to a [`Question`].
#[derive(Debug)]
pub(crate) enum Told {
    /// To [`Question::Stats`].
    Row(Row),
    /// To [`Question::Selections`]: the body of the response.
    Selections(Vec<u8>),
}

/// An answer that is being put together.
#[derive(Debug)]
struct Gather {
    rows: Vec<Row>,
    waiting: usize,
    until_ms: u64,
    /// For `/metrics` rather than `/stats`.
    for_metrics: bool,
    /// For the selections of a room, which one shard alone can tell.
    for_room: bool,
    head_only: bool,
    keep_alive: bool,
}

/// All answers that are being put together on this shard, by the connection's slot.
#[derive(Debug, Default)]
pub(crate) struct Gathers(HashMap<u32, Gather>);

impl Gathers {
    /// The connection has ended.
    pub(crate) fn forget(&mut self, slot: u32) {
        if !self.0.is_empty() {
            self.0.remove(&slot);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Core {
    /// Answers a request that is no upgrade.
    pub(crate) fn respond(&mut self, slot: u32, target: &Target<'_>, head_only: bool, keep_alive: bool) {
        let keep_alive = keep_alive && self.count_request(slot);
        match target {
            Target::Health | Target::Ready => {
                let (status, body) = self.health();
                self.respond_with(slot, status, JSON, body.to_string().as_bytes(), head_only, keep_alive);
            }
            Target::Stats => self.gather(slot, &Question::Stats, false, head_only, keep_alive),
            Target::Metrics => self.gather(slot, &Question::Stats, true, head_only, keep_alive),
            Target::Selections { room } if self.owner_of(room) == self.id => {
                let body = self.selections_body(room);
                self.respond_with(slot, 200, JSON, &body, head_only, keep_alive);
            }
            Target::Selections { room } => {
                self.gather(slot, &Question::Selections(room.clone()), false, head_only, keep_alive);
            }
            Target::Home => {
                self.respond_asset(slot, &assets::PAGE, head_only, keep_alive);
            }
            Target::Options => {
                let config = Arc::clone(&self.config);
                let manner = Manner { keep_alive, allow_origin: &config.cors_allow_origin, now: self.now.wall };
                self.node.answer(slot, |out| respond::respond_options(out, manner));
                self.responded(slot, keep_alive);
            }
            Target::Asset(name) if assets::find(name).is_some() => {
                let asset = assets::find(name).expect("it was found just now");
                self.respond_asset(slot, asset, head_only, keep_alive);
            }
            Target::Asset(_) | Target::NotFound | Target::Socket { .. } => {
                self.respond_message(slot, 404, "there is nothing at this path", (keep_alive, head_only), &[]);
                self.responded(slot, keep_alive);
            }
        }
    }

    fn owner_of(&self, room: &RoomId) -> ShardId {
        shard_of(room.as_str(), self.mesh.shards())
    }

    fn count_request(&mut self, slot: u32) -> bool {
        let Some(socket) = self.sockets.get_mut(slot) else { return false };
        socket.requests += 1;
        u32::from(socket.requests) < HTTP_REQUESTS_MAX && socket.surplus.is_none() && !self.board.is_draining()
    }

    fn respond_with(&mut self, slot: u32, status: u16, kind: &str, body: &[u8], head_only: bool, keep_alive: bool) {
        let config = Arc::clone(&self.config);
        let manner = Manner { keep_alive, allow_origin: &config.cors_allow_origin, now: self.now.wall };
        self.node.answer(slot, |out| respond::respond(out, status, kind, body, manner, head_only, &[]));
        self.responded(slot, keep_alive);
    }

    /// Queues a refusal or the like; `(keep_alive, head_only)`.
    pub(crate) fn respond_message(
        &mut self,
        slot: u32,
        status: u16,
        message: &str,
        (keep_alive, head_only): (bool, bool),
        extra: &[(&str, &str)],
    ) {
        let config = Arc::clone(&self.config);
        let manner = Manner { keep_alive, allow_origin: &config.cors_allow_origin, now: self.now.wall };
        self.node.answer(slot, |out| {
            respond::respond_message(out, status, message, manner, head_only, extra);
        });
    }

    /// A file of the web client. The policy binds the page; on other files browsers ignore it.
    fn respond_asset(&mut self, slot: u32, asset: &assets::Asset, head_only: bool, keep_alive: bool) {
        let extra = [("Content-Security-Policy", assets::PAGE_POLICY), ("Cache-Control", "no-cache")];
        let config = Arc::clone(&self.config);
        let manner = Manner { keep_alive, allow_origin: &config.cors_allow_origin, now: self.now.wall };
        self.node.answer(slot, |out| {
            respond::respond(out, 200, asset.content_type, asset.body, manner, head_only, &extra);
        });
        self.responded(slot, keep_alive);
    }

    /// A response has been queued: the next request may come, or the connection ends.
    fn responded(&mut self, slot: u32, keep_alive: bool) {
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        socket.awaits_answer = false;
        if keep_alive {
            self.check_after(slot, self.config.handshake_ms);
        } else {
            self.handle(Event::Finish { slot });
        }
    }

    fn health(&self) -> (u16, Value) {
        let sum = |of: fn(&crate::runtime::board::Pulse) -> usize| self.board.pulses().iter().map(of).sum::<usize>();
        let rooms = sum(|pulse| pulse.rooms.load(std::sync::atomic::Ordering::Relaxed));
        let store = self.node.store_status().map(|status| status.health(self.now.mono));
        let is_connected = store.as_ref().is_some_and(|(is_connected, _)| *is_connected);
        let (status, text) = if self.board.is_draining() {
            (503, "draining")
        } else if !self.board.is_serving() {
            (503, "starting")
        } else {
            self.store_health(is_connected)
        };
        let mut body = json!({
            "status": text,
            "service": "websocket",
            "active_connections": self.board.websockets(),
            "active_rooms": rooms,
            "redis_connected": self.config.store == Store::Redis && is_connected,
            "store": store_name(self.config.store),
            "durability": durability_name(self.config.durability),
            "version": env!("CARGO_PKG_VERSION"),
        });
        if let Some((_, Some(error))) = store {
            body["store_error"] = error.into();
        }
        (status, body)
    }

    /// Whether the server can do what its mode promises. A store that is away in `window` mode does not stop the sale.
    fn store_health(&self, is_connected: bool) -> (u16, &'static str) {
        let Some(status) = self.node.store_status() else { return (200, "healthy") };
        let may_grant = status.may_grant(self.now.mono);
        if !may_grant || (self.config.durability == Durability::Durable && !is_connected) {
            (503, "unavailable")
        } else if is_connected && !status.is_damaged() {
            (200, "healthy")
        } else {
            (200, "degraded")
        }
    }

    fn selections_body(&self, room: &RoomId) -> Vec<u8> {
        let mut body = Vec::new();
        let state = self.node.seats().selections(room.as_str());
        message::selections_body(
            &mut body,
            room.as_str(),
            state.iter().flat_map(|state| state.iter()),
            self.config.broadcast_user_info,
        );
        body
    }

    /// Asks all shards, or the owner of a room.
    fn gather(&mut self, slot: u32, question: &Question, for_metrics: bool, head_only: bool, keep_alive: bool) {
        let by = self.node.conn_id(slot);
        let asked: Vec<ShardId> = match question {
            Question::Stats => (0..self.mesh.shards()).map(ShardId::new).collect(),
            Question::Selections(room) => vec![self.owner_of(room)],
        };
        if let Some(socket) = self.sockets.get_mut(slot) {
            socket.awaits_answer = true;
        }
        let until_ms = self.now.mono.0 + GATHER_MS;
        let (rows, waiting) = (Vec::new(), asked.len());
        let for_room = matches!(question, Question::Selections(_));
        let gather = Gather { rows, waiting, until_ms, for_metrics, for_room, head_only, keep_alive };
        self.gathers.0.insert(slot, gather);
        for shard in asked {
            if shard == self.id {
                let row = self.row();
                self.told(by, Told::Row(row));
            } else {
                self.lanes.post(shard, Mail::Ask { by, question: question.clone() });
            }
        }
    }

    /// Another shard asks.
    pub(crate) fn asked(&mut self, by: ConnId, question: &Question) {
        let told = match question {
            Question::Stats => Told::Row(self.row()),
            Question::Selections(room) => Told::Selections(self.selections_body(room)),
        };
        self.lanes.post(by.shard(), Mail::Told { to: by, told: Box::new(told) });
    }

    /// A shard has answered.
    pub(crate) fn told(&mut self, to: ConnId, told: Told) {
        let Some(slot) = self.node.find(to) else { return };
        let Some(gather) = self.gathers.0.get_mut(&slot) else { return };
        gather.waiting -= 1;
        match told {
            Told::Row(row) => {
                gather.rows.push(row);
                if gather.waiting == 0 {
                    self.finish_stats(slot);
                }
            }
            Told::Selections(body) => {
                let (head_only, keep_alive) = (gather.head_only, gather.keep_alive);
                self.gathers.forget(slot);
                self.respond_with(slot, 200, JSON, &body, head_only, keep_alive);
                self.resume_reading(slot);
            }
        }
    }

    /// Answers with what there is when a shard has not answered in time. The connection ends with that, so that an answer
    /// that comes after all finds nobody instead of the next question.
    pub(crate) fn finish_late_gathers(&mut self) {
        let now = self.now.mono.0;
        let late: Vec<u32> = self.gathers.0.iter().filter(|(_, g)| g.until_ms <= now).map(|(slot, _)| *slot).collect();
        for slot in late {
            let Some(gather) = self.gathers.0.get_mut(&slot) else { continue };
            gather.keep_alive = false;
            if gather.for_room {
                let head_only = gather.head_only;
                self.gathers.forget(slot);
                let body = br#"{"error":"the shard that owns the room does not answer"}"#;
                self.respond_with(slot, 503, JSON, body, head_only, false);
            } else {
                self.finish_stats(slot);
            }
        }
    }

    fn finish_stats(&mut self, slot: u32) {
        let Some(mut gather) = self.gathers.0.remove(&slot) else { return };
        let Gather { for_metrics, head_only, keep_alive, waiting, .. } = gather;
        if self.sockets.get(slot).is_none_or(|socket| socket.phase != Phase::Http) {
            return;
        }
        gather.rows.sort_by_key(|row| row.shard);
        let (kind, body) = if for_metrics {
            (CONTENT_TYPE, text(self.snapshot(gather.rows)))
        } else {
            let mut body = stats_body(self.board.websockets(), &mut gather.rows, waiting);
            rows::object(server::ROWS, &mut self.server_figures())
                .into_iter()
                .for_each(|(key, value)| body[key] = value);
            if let Some(status) = self.node.store_status() {
                body["store"] = rows::object(store::ROWS, &mut status.figures(self.now.mono)).into();
            }
            (JSON, body.to_string())
        };
        self.respond_with(slot, 200, kind, body.as_bytes(), head_only, keep_alive);
        self.resume_reading(slot);
    }

    fn snapshot(&self, rows: Vec<Row>) -> Snapshot {
        let started = WallMillis(self.now.wall.0.saturating_sub(self.now.mono.0));
        let figures = |status: &StoreStatus| status.figures(self.now.mono);
        Snapshot {
            shards: rows.into_iter().map(|row| (row.shard.index(), *row.stats)).collect(),
            server: self.server_figures(),
            store: self.node.store_status().map_or_else(StoreFigures::default, figures),
            process: process::read(started),
        }
    }

    fn server_figures(&self) -> ServerFigures {
        ServerFigures {
            websockets: self.board.websockets() as u64,
            connections_max: self.connections_max as u64,
            is_serving: self.board.is_serving() && !self.board.is_draining(),
            log_lines_dropped: log::lines_dropped(),
        }
    }

    /// This shard's own row.
    fn row(&mut self) -> Row {
        self.refresh_gauges();
        let ids_max = if self.config.stats_list_ids { STATS_IDS_MAX + 1 } else { 0 };
        Row {
            shard: self.id,
            clients: self.node.clients().take(ids_max).cloned().collect(),
            rooms: self.node.seats().rooms().take(ids_max).cloned().collect(),
            stats: Box::new(self.node.figures.clone()),
        }
    }

    /// Brings the gauges up to date.
    fn refresh_gauges(&mut self) {
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
        figures.watchdog_pokes = pulse.pokes.load(std::sync::atomic::Ordering::Relaxed);
        figures.outbound_queue_bytes = waiting_bytes;
        figures.full_states_waiting = waiting as u64;
        figures.full_state_wait_ms = longest_wait_ms;
    }
}

fn stats_body(websockets: usize, rows: &mut [Row], missing: usize) -> Value {
    let shards: Vec<Value> = rows.iter_mut().map(shard_row).collect();
    let sum = |of: fn(&ShardStats) -> u64| rows.iter().map(|row| of(&row.stats)).sum::<u64>();
    let mut clients: Vec<&str> = rows.iter().flat_map(|row| row.clients.iter().map(ClientId::as_str)).collect();
    let mut rooms: Vec<&str> = rows.iter().flat_map(|row| row.rooms.iter().map(RoomId::as_str)).collect();
    let truncated = clients.len() > STATS_IDS_MAX || rooms.len() > STATS_IDS_MAX;
    clients.truncate(STATS_IDS_MAX);
    rooms.truncate(STATS_IDS_MAX);
    json!({
        "active_connections": websockets,
        "active_rooms": sum(|stats| stats.rooms),
        "temporary_selections": sum(|stats| stats.holds),
        "clients": clients,
        "rooms": rooms,
        "truncated": truncated,
        "shards_missing": missing,
        "shards": shards,
    })
}

fn store_name(store: Store) -> &'static str {
    match store {
        Store::Memory => "memory",
        Store::Embedded => "embedded",
        Store::Redis => "redis",
    }
}

fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "memory",
        Durability::Window => "window",
        Durability::Durable => "durable",
    }
}

fn shard_row(row: &mut Row) -> Value {
    let mut shown = rows::object(shard::ROWS, &mut row.stats);
    shown.insert("shard".into(), row.shard.index().into());
    shown.into()
}
