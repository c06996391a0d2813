//! What runs inside Redis for the nodes of a cluster, atomically: a call about a part, a heartbeat, the start of a
//! life.
//!
//! The keys all begin with `{ns}:`, where `ns` is the namespace, so that all of them are in one slot of a Redis
//! Cluster: `{ns}:cluster` a hash: `parts`, how many there are.
//! `{ns}:era` a random text, and `{ns}:life` the highest incarnation that was given out.
//! `{ns}:beats` what each node last said of itself, behind its incarnation and the number of the beat; `{ns}:beaten`
//! when. `{ns}:part:P` a hash a part: `o` its owner, `i` that one's incarnation, `f` the fence, `n` the number of the
//! last call, `l` that of the last call that has found something lost, `u` until when the lease lasts by the clock of
//! Redis, `e` the last share whose events are in the log.
//! `{ns}:P:rooms`, `{ns}:P:counts`, `{ns}:P:room:R`, `{ns}:P:next:R` as in the store of a single writer.
//! `{ns}:P:numbers` how many events each room has had that is in the log, `{ns}:P:spoken` the place of its last one.
//! `{ns}:log` a stream: the events of all rooms, `r` an event, `g` a gap. Their ids are places; `{ns}:place` is the
//! last. `{ns}:mail:NODE` a stream a node: `e` an entry. `{ns}:secret` that of all nodes.
//! Invariants: those of `tests/pure/cluster_simulation/redis.rs`, which the calls equal (`tests/persist/parts.rs`); a
//! share that is committed again is in the log once; places are above the clock's microsecond, so that a Redis which
//! has lost its last entries gives none again.

use ::redis::{Cmd, cmd};

use super::super::scripts::{How, Piece};
use crate::cluster::call::{Call, Kind};
use crate::cluster::names::{Life, NodeName, PartId};
use crate::engine::ids::RoomId;
use crate::limits::acts::REDIS_LOG_PER_CALL_MAX;
use crate::limits::cluster::CLUSTER_BEAT_KEPT_MS;
use crate::limits::store::REDIS_KEEP_LASTING_MS;
use crate::persist::batch::Logged;

/// What a Redis is: it changes when another server answers, when it starts again, when it becomes the master, and when
/// its keys are deleted.
const ERA: &str = "
local function era()
  local own = redis.call('GET', KEYS[2]) or 'none'
  local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
  local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
  return own .. '.' .. server .. '.' .. history
end
local function n(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(now_us / 1000)";

/// Keys: part, era. Arguments: kind, caller, its incarnation, fence, number, heard, era or nothing, lease in ms, keep
/// in ms, above or the receiver, the receiver's incarnation. Answers `GRANTED fence`, `LOST fence`, `STALE`,
/// `TAKEN owner incarnation fence`, `ERA text`. What was given (`g`) is to be taken before anything else: a failover
/// can have lost that the receiver had it before, under this very fence.
const CALL: &str = "
if ARGV[7] ~= '' then
  local present = era()
  if present ~= ARGV[7] then return {'ERA', present} end
end
local part = redis.call('HMGET', KEYS[1], 'o', 'i', 'f', 'n', 'l', 'u', 'g')
local owner, incarnation, fence = part[1] or '', part[2] or '0', tonumber(part[3] or '0')
local last, lost, ends = tonumber(part[4] or '0'), tonumber(part[5] or '0'), tonumber(part[6] or '0')
local is_own = owner == ARGV[2] and incarnation == ARGV[3]
local number, heard, till = tonumber(ARGV[5]), tonumber(ARGV[6]), n(now + tonumber(ARGV[8]))
if ARGV[1] == 'T' then
  if fence ~= tonumber(ARGV[4]) or (not is_own and now < ends) then return {'TAKEN', owner, incarnation, n(fence)} end
  fence = n(math.max(fence, tonumber(ARGV[10])) + 1)
  redis.call('HSET', KEYS[1], 'o', ARGV[2], 'i', ARGV[3], 'f', fence, 'n', '0', 'l', '0', 'u', till, 'e', '0', 'g', '0')
  redis.call('PEXPIRE', KEYS[1], ARGV[9])
  return {'GRANTED', fence}
end
if not is_own or part[7] == '1' or fence ~= tonumber(ARGV[4]) then return {'TAKEN', owner, incarnation, n(fence)} end
if number <= last then return {'STALE'} end
if last < heard then lost = number end
local is_lost = lost > heard
redis.call('HSET', KEYS[1], 'n', ARGV[5], 'l', n(lost), 'u', till)
redis.call('PEXPIRE', KEYS[1], ARGV[9])
if ARGV[1] == 'G' and not is_lost then
  redis.call('HSET', KEYS[1], 'o', ARGV[10], 'i', ARGV[11], 'f', n(fence + 1), 'n', '0', 'g', '1')
end";

const CALL_ENDS: &str = "
return {is_lost and 'LOST' or 'GRANTED', ARGV[4]}";

/// Further keys: rooms, counts, numbers, spoken, log, place, then a key a room, or two where a replacement ends.
/// Further arguments: number of the share, 1 for a gap, most events of the log, how long the log is kept, number of
/// events; for each its room, its number there and the event; then the rooms as in the store of a single writer.
const COMMIT: &str = "
local at, k, events = 17, 9, tonumber(ARGV[16])
if (events > 0 or ARGV[13] == '1') and tonumber(ARGV[12]) > tonumber(redis.call('HGET', KEYS[1], 'e') or '0') then
  local place = math.max(tonumber(redis.call('GET', KEYS[8]) or '0'), now_us)
  if ARGV[13] == '1' then
    place = place + 1
    redis.call('XADD', KEYS[7], n(place) .. '-0', 'g', '')
  end
  for i = 0, events - 1 do
    place = place + 1
    redis.call('XADD', KEYS[7], n(place) .. '-0', 'r', ARGV[at + 3 * i + 2])
    redis.call('HSET', KEYS[5], ARGV[at + 3 * i], ARGV[at + 3 * i + 1])
    redis.call('ZADD', KEYS[6], n(place), ARGV[at + 3 * i])
  end
  redis.call('XTRIM', KEYS[7], 'MAXLEN', '~', ARGV[14])
  redis.call('SET', KEYS[8], n(place), 'PX', ARGV[15])
  redis.call('PEXPIRE', KEYS[7], ARGV[15])
  local first = redis.call('XRANGE', KEYS[7], '-', '+', 'COUNT', 1)[1]
  local before = '(' .. (first and string.match(first[1], '%d+') or n(place))
  for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', before)) do redis.call('HDEL', KEYS[5], room) end
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', before)
  redis.call('PEXPIRE', KEYS[5], ARGV[15])
  redis.call('PEXPIRE', KEYS[6], ARGV[15])
  redis.call('HSET', KEYS[1], 'e', ARGV[12])
end
at = at + 3 * events
local kept_until = n(now + tonumber(ARGV[9]))
while k <= #KEYS do
  local key, room, how, seats = KEYS[k], ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  if how == '1' or how == '2' then redis.call('DEL', key) end
  at = at + 3
  for _ = 1, seats do
    if ARGV[at + 1] == '' then redis.call('HDEL', key, ARGV[at]) else redis.call('HSET', key, ARGV[at], ARGV[at + 1]) end
    at = at + 2
  end
  if how == '4' then
    k = k + 1
    redis.call('DEL', KEYS[k])
    if redis.call('EXISTS', key) == 1 then redis.call('RENAME', key, KEYS[k]) end
    key = KEYS[k]
  end
  local is_kept = redis.call('PEXPIRE', key, ARGV[9]) == 1
  if how ~= '2' and how ~= '3' then
    if is_kept then
      redis.call('ZADD', KEYS[3], kept_until, room)
      redis.call('HSET', KEYS[4], room, redis.call('HLEN', key) .. ' ' .. kept_until)
    else
      redis.call('ZREM', KEYS[3], room)
      redis.call('HDEL', KEYS[4], room)
    end
  end
  k = k + 1
end
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', n(now))) do redis.call('HDEL', KEYS[4], room) end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', n(now))
redis.call('PEXPIRE', KEYS[3], ARGV[9])
redis.call('PEXPIRE', KEYS[4], ARGV[9])";

/// Keys: beats, era, beaten. Arguments: node, incarnation, number, what it says, a random text, how long a silent node
/// is remembered. Answers the era and what all nodes last said.
const BEAT: &str = "
redis.call('SET', KEYS[2], ARGV[5], 'NX')
local last = redis.call('HGET', KEYS[1], ARGV[1]) or '0 0 '
local incarnation, number = string.match(last, '^(%d+) (%d+) ')
incarnation, number = tonumber(incarnation or '0'), tonumber(number or '0')
local own = tonumber(ARGV[2])
if own > incarnation or (own == incarnation and tonumber(ARGV[3]) > number) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
  redis.call('HSET', KEYS[3], ARGV[1], n(now))
end
local beaten = redis.call('HGETALL', KEYS[3])
for i = 1, #beaten, 2 do
  if now - tonumber(beaten[i + 1]) > tonumber(ARGV[6]) then
    redis.call('HDEL', KEYS[1], beaten[i])
    redis.call('HDEL', KEYS[3], beaten[i])
  end
end
return {era(), redis.call('HVALS', KEYS[1])}";

/// Keys: beats, beaten. Arguments: node, incarnation.
const LEAVE: &str = "
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and string.match(last, '^(%d+) ') == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return 'OK'";

/// Keys: cluster, era, life. Arguments: parts, the wall clock in ms, a random text. Answers how many parts there are,
/// and the incarnation of a new life.
const BEGIN: &str = "
redis.call('HSETNX', KEYS[1], 'parts', ARGV[1])
redis.call('SET', KEYS[2], ARGV[3], 'NX')
local parts = redis.call('HGET', KEYS[1], 'parts')
if parts ~= ARGV[1] then return {parts, '0'} end
local life = n(math.max(tonumber(redis.call('GET', KEYS[3]) or '0') + 1, tonumber(ARGV[2])))
redis.call('SET', KEYS[3], life)
return {parts, life}";

/// What all calls say beside themselves.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) lease_ms: u64,
    pub(super) log_events_max: usize,
}

/// The keys of one namespace, and the texts of its scripts.
#[derive(Clone, Debug)]
pub(super) struct PartKeys {
    namespace: String,
    call: String,
    commit: String,
    beat: String,
    begin: String,
}

/// What one call writes.
#[derive(Default, Debug)]
pub(super) struct Written<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    /// The number of the share, and its events.
    pub(super) events: Option<(u64, &'a Logged)>,
}

impl PartKeys {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            call: [ERA, CALL, CALL_ENDS].concat(),
            commit: [ERA, CALL, COMMIT, CALL_ENDS].concat(),
            beat: [ERA, BEAT].concat(),
            begin: [ERA, BEGIN].concat(),
        }
    }

    fn key(&self, what: &str) -> String {
        format!("{{{}}}:{what}", self.namespace)
    }

    fn part(&self, part: PartId, what: &str) -> String {
        format!("{{{}}}:{}:{what}", self.namespace, part.0)
    }

    pub(super) fn mail(&self, of: &NodeName) -> String {
        self.key(&format!("mail:{}", of.as_str()))
    }

    pub(super) fn log(&self) -> String {
        self.key("log")
    }

    /// A call about a part. `era`: the text of the era in which alone it is to be done, or nothing.
    pub(super) fn call(&self, call: &Call, era: &str, terms: &Terms, keep_ms: u64, written: &Written<'_>) -> Cmd {
        let mut made = cmd("EVAL");
        let is_commit = call.kind == Kind::Commit;
        let keys = if is_commit { 8 + piece_keys(&written.pieces) } else { 2 };
        made.arg(if is_commit { &self.commit } else { &self.call }).arg(keys);
        made.arg(self.key(&format!("part:{}", call.part.0))).arg(self.key("era"));
        if is_commit {
            ["rooms", "counts", "numbers", "spoken"].iter().for_each(|what| _ = made.arg(self.part(call.part, what)));
            made.arg(self.log()).arg(self.key("place"));
            written.pieces.iter().for_each(|piece| self.add_keys(&mut made, call.part, piece));
        }
        let (kind, above, to) = match &call.kind {
            Kind::Take { above } => ("T", above.to_string(), 0),
            Kind::Renew => ("R", String::new(), 0),
            Kind::Commit => ("C", String::new(), 0),
            Kind::Give { to } => ("G", to.node.as_str().to_owned(), to.incarnation),
        };
        made.arg(kind).arg(call.by.node.as_str()).arg(call.by.incarnation);
        made.arg(call.fence).arg(call.number).arg(call.heard).arg(era);
        made.arg(terms.lease_ms).arg(keep_ms.max(terms.lease_ms)).arg(above).arg(to);
        if is_commit {
            add_written(&mut made, terms, written);
        }
        made
    }

    fn add_keys(&self, made: &mut Cmd, part: PartId, piece: &Piece<'_>) {
        let room = piece.room.as_str();
        if matches!(piece.how, How::ReplacementBegins | How::ReplacementGoesOn | How::ReplacementEnds) {
            made.arg(self.part(part, &format!("next:{room}")));
        }
        if matches!(piece.how, How::Changes | How::Replaces | How::ReplacementEnds) {
            made.arg(self.part(part, &format!("room:{room}")));
        }
    }

    /// What a node says of itself, for what all say.
    pub(super) fn beat(&self, life: &Life, number: u64, says: &[u8], fresh: &str) -> Cmd {
        let mut made = cmd("EVAL");
        made.arg(&self.beat).arg(3).arg(self.key("beats")).arg(self.key("era")).arg(self.key("beaten"));
        made.arg(life.node.as_str()).arg(life.incarnation).arg(number).arg(says).arg(fresh).arg(CLUSTER_BEAT_KEPT_MS);
        made
    }

    /// A life is over.
    pub(super) fn leave(&self, life: &Life) -> Cmd {
        let mut made = cmd("EVAL");
        made.arg(LEAVE).arg(2).arg(self.key("beats")).arg(self.key("beaten"));
        made.arg(life.node.as_str()).arg(life.incarnation);
        made
    }

    /// A node starts.
    pub(super) fn begin(&self, parts: u16, wall_ms: u64, fresh: &str) -> Cmd {
        let mut made = cmd("EVAL");
        made.arg(&self.begin).arg(3).arg(self.key("cluster")).arg(self.key("era")).arg(self.key("life"));
        made.arg(parts).arg(wall_ms).arg(fresh);
        made
    }

    /// Whether a single writer has used the namespace lately.
    pub(super) fn has_single_writer(&self) -> Cmd {
        let mut made = cmd("EXISTS");
        made.arg(format!("{{{}:lease}}:token", self.namespace));
        made
    }

    /// The secret of all nodes, which is `fresh` when there was none.
    pub(super) fn secret(&self, fresh: &str) -> [Cmd; 2] {
        let (mut set, mut get) = (cmd("SET"), cmd("GET"));
        set.arg(self.key("secret")).arg(fresh).arg("NX");
        get.arg(self.key("secret"));
        [set, get]
    }

    /// Questions about a part: its rooms, what was counted of them, how many events they have had.
    pub(super) fn look(&self, part: PartId) -> [Cmd; 3] {
        let (mut counts, mut numbers) = (cmd("HGETALL"), cmd("HGETALL"));
        counts.arg(self.part(part, "counts"));
        numbers.arg(self.part(part, "numbers"));
        [self.rooms(part), counts, numbers]
    }

    /// All rooms of a part.
    pub(super) fn rooms(&self, part: PartId) -> Cmd {
        let mut made = cmd("ZRANGE");
        made.arg(self.part(part, "rooms")).arg(0).arg(-1);
        made
    }

    /// All records of a room.
    pub(super) fn room(&self, part: PartId, room: &RoomId) -> Cmd {
        let mut made = cmd("HGETALL");
        made.arg(self.part(part, &format!("room:{room}")));
        made
    }

    /// The last place of the log, and the first events behind this one.
    pub(super) fn log_behind(&self, place: u64) -> [Cmd; 2] {
        let (mut last, mut range) = (cmd("GET"), cmd("XRANGE"));
        last.arg(self.key("place"));
        range.arg(self.log()).arg(format!("{place}-1")).arg("+").arg("COUNT").arg(REDIS_LOG_PER_CALL_MAX);
        [last, range]
    }
}

fn piece_keys(pieces: &[Piece<'_>]) -> usize {
    pieces.len() + pieces.iter().filter(|piece| piece.how == How::ReplacementEnds).count()
}

fn add_written(made: &mut Cmd, terms: &Terms, written: &Written<'_>) {
    let (share, logged) = written.events.unzip();
    let events = logged.map_or(&[][..], |logged| &logged.events);
    made.arg(share.unwrap_or(0)).arg(u8::from(logged.is_some_and(|logged| logged.has_gap)));
    made.arg(terms.log_events_max).arg(REDIS_KEEP_LASTING_MS).arg(events.len());
    for event in events {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        made.arg(event.room.as_str()).arg(event.n).arg(bytes);
    }
    for piece in &written.pieces {
        made.arg(piece.room.as_str()).arg(piece.how as u8).arg(piece.records.len());
        for (name, bytes) in &piece.records {
            made.arg(name).arg(bytes.as_deref().unwrap_or_default());
        }
    }
}
