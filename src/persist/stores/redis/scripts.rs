//! What runs inside Redis, atomically: the lease, and a part's share of a group.
//!
//! The keys, all beginning with `{ns:`, where `ns` is the namespace:
//! `{ns:lease}:lease` a hash: `t` the writer's token, `o` its identity, `i` words about it; expires with the lease.
//! `{ns:lease}:token` the highest token ever given.
//! `{ns:lease}:layouts`, `{ns:lease}:layout_order`: layouts that were put, see [`super::layouts`].
//! `{ns:P}:fence` for each part P: `t` the token of the last writer, `n` the number of its last call there, `l` the
//! number of the last call that found something lost, `g` the last place of the log that was trimmed with one.
//! `{ns:P}:rooms` the rooms of the part with something held, by the time until which they are kept.
//! `{ns:P}:counts` for each such room how many seats it has, and until when it is kept: what a start compares.
//! `{ns:P}:room:R` the hash of room R: a field a seat, a record each.
//! `{ns:P}:log` a stream: the events of the part's rooms, `r` those of a commit ([`crate::acts::chapter`]). Its id is
//! the place of the last one in the log of all parts. A part is trimmed when it is written to, so some go further back.
//! `{ns:P}:next:R` what will take its place, while a room too large for one call is replaced.
//! What is between braces is the hash tag, so the keys of a part are in one slot of a cluster. The room's id ends its
//! key and the seat's id is a field of its own, so no two seats share a place. Invariants: a writer with an older token
//! changes nothing in any part that a newer one has claimed; the calls of a writer have growing numbers, so one that
//! was given up and comes late changes nothing either; a loss is told until it was heard.

use ::redis::{Cmd, cmd};

use crate::acts::chapter::chapters;
use crate::acts::event::Placed;
use crate::engine::ids::{RoomId, shard_of};
use crate::engine::time::WallMillis;
use crate::limits::SHARDS_MAX;
use crate::limits::acts::REDIS_CHAPTERS_PER_CALL_MAX;
use crate::limits::layout::LAYOUT_MARKS_MAX;
use crate::limits::store::{REDIS_KEEP_LASTING_MS, REDIS_PARTS, REDIS_SEATS_PER_CALL_MAX};
use crate::persist::batch::{Deltas, RoomDelta};
use crate::persist::stores::store::LogShare;

const _: () = assert!(REDIS_PARTS <= SHARDS_MAX, "the hash of shards spreads rooms over parts too");

/// Arguments: owner, words about it, now, lease in ms, keep in ms. Answers: `1 token`, or `0`, the words about the
/// holder and what is left of its lease.
const ACQUIRE: &str = "
local held = redis.call('HMGET', KEYS[1], 'o', 'i')
if held[1] and held[1] ~= ARGV[1] then return {'0', held[2] or '', redis.call('PTTL', KEYS[1])} end
local token = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, tonumber(ARGV[3]))
token = string.format('%.0f', token)
redis.call('SET', KEYS[2], token, 'PX', ARGV[5])
redis.call('HSET', KEYS[1], 't', token, 'o', ARGV[1], 'i', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'1', token}";

/// Arguments: token, owner, words about it, lease in ms, keep in ms. Answers `OK`, `LOST` when not even the token is
/// there any more, or the words about the new holder.
/// A lease that ran out, or was lost with all else, is taken again as long as nobody else has had it since.
const RENEW: &str = "
local held = redis.call('HMGET', KEYS[1], 't', 'i')
if held[1] and held[1] ~= ARGV[1] then return held[2] or '' end
local highest = redis.call('GET', KEYS[2])
if highest and highest ~= ARGV[1] then return 'a server that has ended since' end
redis.call('HSET', KEYS[1], 't', ARGV[1], 'o', ARGV[2], 'i', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[5])
return highest and 'OK' or 'LOST'";

/// Arguments: token. Gives the lease back.
const RELEASE: &str = "
if redis.call('HGET', KEYS[1], 't') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'OK'";

/// Keys: fence, rooms, counts. Arguments: token, keep in ms. Answers `OK` or `DEPOSED`.
const CLAIM: &str = "
local token = redis.call('HGET', KEYS[1], 't')
if token and tonumber(token) > tonumber(ARGV[1]) then return 'DEPOSED' end
redis.call('HDEL', KEYS[1], 'l')
redis.call('HSET', KEYS[1], 't', ARGV[1], 'n', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'OK'";

/// Keys: fence, rooms, counts, log, then a key a room, or two where a replacement ends. Arguments: token, number of the
/// last call here whose answer was heard, number of this one, keep in ms, now, kept until, the place up to which the
/// log goes, or nothing, the number of its chapters; for each its place and its events, which are there already when a
/// call is made again; then for each room its id, how ([`How`]), the number of seats; for each seat its id and its
/// record, empty for a free one. Answers `OK`, `LOST` when something that was there is not any more, `DEPOSED`, `STALE`
/// when a later call of this writer has been here.
const COMMIT: &str = "
local fence = redis.call('HMGET', KEYS[1], 't', 'n', 'l')
if fence[1] and tonumber(fence[1]) > tonumber(ARGV[1]) then return 'DEPOSED' end
local last, this, answer = tonumber(ARGV[2]), tonumber(ARGV[3]), 'OK'
if fence[1] ~= ARGV[1] or tonumber(fence[2] or '0') < last then
  redis.call('HSET', KEYS[1], 'l', ARGV[3])
  answer = 'LOST'
else
  if tonumber(fence[2]) >= this then return 'STALE' end
  if fence[3] and tonumber(fence[3]) > last then answer = 'LOST' end
end
redis.call('HSET', KEYS[1], 't', ARGV[1], 'n', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local at, k = 9, 5
for _ = 1, tonumber(ARGV[8]) do
  local added = redis.pcall('XADD', KEYS[4], ARGV[at] .. '-0', 'r', ARGV[at + 1])
  if type(added) == 'table' and added.err and not string.find(added.err, 'equal or smaller') then return added end
  at = at + 2
end
if ARGV[7] ~= '' then
  redis.call('XTRIM', KEYS[4], 'MINID', '~', ARGV[7] .. '-1')
  redis.call('HSET', KEYS[1], 'g', ARGV[7])
end
redis.call('PEXPIRE', KEYS[4], ARGV[4])
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
  local is_kept = redis.call('PEXPIRE', key, ARGV[4]) == 1
  if how ~= '2' and how ~= '3' then
    if is_kept then
      redis.call('ZADD', KEYS[2], ARGV[6], room)
      redis.call('HSET', KEYS[3], room, redis.call('HLEN', key) .. ' ' .. ARGV[6])
    else
      redis.call('ZREM', KEYS[2], room)
      redis.call('HDEL', KEYS[3], room)
    end
  end
  k = k + 1
end
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])) do redis.call('HDEL', KEYS[3], room) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return answer";

/// Keys: documents, order. Arguments: field, document, keep in ms. The field is the last one then.
const PUT_LAYOUT: &str = "
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
redis.call('ZADD', KEYS[2], (last[2] or 0) + 1, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 'OK'";

/// Keys: documents, order. Arguments: name, how many such marks stay. All its versions go; a field without a version
/// says so, since what is not there may also have been lost.
const DELETE_LAYOUT: &str = "
local marks = {}
for _, field in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if string.sub(field, string.find(field, ':', 1, true) + 1) == ARGV[1] then
    redis.call('HDEL', KEYS[1], field)
    redis.call('ZREM', KEYS[2], field)
  elseif string.sub(field, 1, 1) == ':' then
    marks[#marks + 1] = field
  end
end
for old = 1, #marks + 1 - ARGV[2] do redis.call('ZREM', KEYS[2], marks[old]) end
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
redis.call('ZADD', KEYS[2], (last[2] or 0) + 1, ':' .. ARGV[1])
return 'OK'";

/// The keys of one namespace.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    namespace: String,
}

/// What every call of a writer says about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer<'a> {
    pub(super) token: &'a str,
    pub(super) owner: &'a str,
    pub(super) about: &'a str,
    pub(super) lease_ms: u64,
    pub(super) keep_ms: u64,
}

impl Keys {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// The part a room is in.
    pub(super) fn part_of(room: &RoomId) -> usize {
        shard_of(room.as_str(), REDIS_PARTS).index()
    }

    fn lease(&self, what: &str) -> String {
        format!("{{{}:lease}}:{what}", self.namespace)
    }

    fn part(&self, part: usize, what: &str) -> String {
        format!("{{{}:{part}}}:{what}", self.namespace)
    }

    fn room(&self, part: usize, room: &str) -> String {
        format!("{{{}:{part}}}:room:{room}", self.namespace)
    }

    fn next(&self, part: usize, room: &str) -> String {
        format!("{{{}:{part}}}:next:{room}", self.namespace)
    }

    pub(super) fn acquire(&self, writer: &Writer<'_>, now: WallMillis) -> Cmd {
        let mut call = self.lease_call(ACQUIRE);
        call.arg(writer.owner).arg(writer.about).arg(now.0).arg(writer.lease_ms).arg(writer.keep_ms);
        call
    }

    pub(super) fn renew(&self, writer: &Writer<'_>) -> Cmd {
        let mut call = self.lease_call(RENEW);
        call.arg(writer.token).arg(writer.owner).arg(writer.about).arg(writer.lease_ms).arg(writer.keep_ms);
        call
    }

    pub(super) fn release(&self, writer: &Writer<'_>) -> Cmd {
        let mut call = self.lease_call(RELEASE);
        call.arg(writer.token);
        call
    }

    fn lease_call(&self, script: &str) -> Cmd {
        let mut call = cmd("EVAL");
        call.arg(script).arg(2).arg(self.lease("lease")).arg(self.lease("token"));
        call
    }

    pub(super) fn claim(&self, writer: &Writer<'_>, part: usize) -> Cmd {
        let mut call = self.part_call(CLAIM, part, &[]);
        call.arg(writer.token).arg(writer.keep_ms);
        call
    }

    /// Whether several nodes share the namespace.
    pub(super) fn has_nodes(&self) -> Cmd {
        let mut call = cmd("EXISTS");
        call.arg(format!("{{{}}}:cluster", self.namespace));
        call
    }

    /// All rooms of a part.
    pub(super) fn rooms(&self, part: usize) -> Cmd {
        let mut call = cmd("ZRANGE");
        call.arg(self.part(part, "rooms")).arg(0).arg(-1);
        call
    }

    /// Questions about a part that is not claimed yet, for [`super::survey::Survey::add`].
    pub(super) fn survey(&self, part: usize) -> [Cmd; 3] {
        let (mut fence, mut left, mut counts) = (cmd("HMGET"), cmd("PTTL"), cmd("HGETALL"));
        fence.arg(self.part(part, "fence")).arg("t").arg("n");
        left.arg(self.part(part, "fence"));
        counts.arg(self.part(part, "counts"));
        [fence, left, counts]
    }

    /// Whether a key that we may use can be of this type.
    pub(super) fn is_type(key: &str, found: &str) -> bool {
        let (_, what) = key.split_once("}:").unwrap_or_default();
        found == "none"
            || found
                == match what {
                    "token" | "secret" => "string",
                    "rooms" | "layout_order" => "zset",
                    "log" => "stream",
                    _ => "hash",
                }
    }

    /// The secret of all servers with this namespace, which is `fresh` when there was none. It stays as long as
    /// bookings.
    pub(super) fn secret(&self, fresh: &str) -> [Cmd; 3] {
        let key = self.lease("secret");
        let mut set = cmd("SET");
        set.arg(&key).arg(fresh).arg("NX");
        let mut keep = cmd("PEXPIRE");
        keep.arg(&key).arg(REDIS_KEEP_LASTING_MS);
        let mut get = cmd("GET");
        get.arg(key);
        [set, keep, get]
    }

    /// The fields of all layouts, the latest last.
    pub(super) fn layout_order(&self) -> Cmd {
        let mut call = cmd("ZRANGE");
        call.arg(self.lease("layout_order")).arg(0).arg(-1);
        call
    }

    /// A layout's document.
    pub(super) fn layout(&self, field: &str) -> Cmd {
        let mut call = cmd("HGET");
        call.arg(self.lease("layouts")).arg(field);
        call
    }

    /// Keeps a layout, as the latest.
    pub(super) fn put_layout(&self, field: &str, document: &[u8]) -> Cmd {
        let mut call = self.layout_call(PUT_LAYOUT);
        call.arg(field).arg(document).arg(REDIS_KEEP_LASTING_MS);
        call
    }

    /// Forgets all versions of a layout.
    pub(super) fn delete_layout(&self, name: &str) -> Cmd {
        let mut call = self.layout_call(DELETE_LAYOUT);
        call.arg(name).arg(LAYOUT_MARKS_MAX);
        call
    }

    fn layout_call(&self, script: &str) -> Cmd {
        let mut call = cmd("EVAL");
        call.arg(script).arg(2).arg(self.lease("layouts")).arg(self.lease("layout_order"));
        call
    }

    /// The first chapters of a part's log behind this place.
    pub(super) fn log(&self, part: usize, behind: u64) -> Cmd {
        let mut call = cmd("XRANGE");
        let from = format!("{behind}-1");
        call.arg(self.part(part, "log")).arg(from).arg("+").arg("COUNT").arg(REDIS_CHAPTERS_PER_CALL_MAX);
        call
    }

    /// Up to which place the log of all parts was gone when this part was last trimmed.
    pub(super) fn log_gone(&self, part: usize) -> Cmd {
        let mut call = cmd("HGET");
        call.arg(self.part(part, "fence")).arg("g");
        call
    }

    /// All seats of a room.
    pub(super) fn seats(&self, room: &RoomId) -> Cmd {
        let mut call = cmd("HGETALL");
        call.arg(self.room(Self::part_of(room), room.as_str()));
        call
    }

    /// A part's share of a group, or, without rooms, the question whether everything is still there.
    pub(super) fn commit(&self, writer: &Writer<'_>, step: Step, share: &Share<'_>) -> Cmd {
        let mut call = self.part_call(COMMIT, step.part, &share.pieces);
        call.arg(writer.token).arg(step.last).arg(step.this).arg(writer.keep_ms);
        call.arg(step.now.0).arg(step.now.after(writer.keep_ms).0);
        let chapters = chapters(share.coming.iter().copied());
        call.arg(share.goes_to.map(|place| place.to_string()).unwrap_or_default()).arg(chapters.len());
        for (place, events) in chapters {
            call.arg(place).arg(events);
        }
        for piece in &share.pieces {
            call.arg(piece.room.as_str()).arg(piece.how as u8).arg(piece.records.len());
            for (name, bytes) in &piece.records {
                call.arg(name).arg(bytes.as_deref().unwrap_or_default());
            }
        }
        call
    }

    fn part_call(&self, script: &str, part: usize, rooms: &[Piece<'_>]) -> Cmd {
        let mut call = cmd("EVAL");
        let keys = rooms.len() + rooms.iter().filter(|piece| piece.how == How::ReplacementEnds).count();
        call.arg(script).arg(keys + 4);
        call.arg(self.part(part, "fence")).arg(self.part(part, "rooms")).arg(self.part(part, "counts"));
        call.arg(self.part(part, "log"));
        for piece in rooms {
            let room = piece.room.as_str();
            if matches!(piece.how, How::ReplacementBegins | How::ReplacementGoesOn | How::ReplacementEnds) {
                call.arg(self.next(part, room));
            }
            if matches!(piece.how, How::Changes | How::Replaces | How::ReplacementEnds) {
                call.arg(self.room(part, room));
            }
        }
        call
    }
}

/// Which part, and where the writer is in its sequence of calls there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) part: usize,
    pub(super) last: u64,
    pub(super) this: u64,
    pub(super) now: WallMillis,
}

/// What a piece does to its room. The numbers are those of the script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// These seats change.
    Changes = 0,
    /// What was there is forgotten first.
    Replaces = 1,
    /// The same for a room that is too large for one call: it is written beside the old one, which goes when all is
    /// there.
    ReplacementBegins = 2,
    ReplacementGoesOn = 3,
    ReplacementEnds = 4,
}

/// What one call changes.
#[derive(Default, Debug)]
pub(super) struct Share<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    /// Events of these rooms.
    pub(super) coming: Vec<&'a Placed>,
    /// The last place of what goes from the log.
    pub(super) goes_to: Option<u64>,
}

/// Changes of one room in one call.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) room: &'a RoomId,
    pub(super) how: How,
    /// By name; `None` for one that is to be removed.
    pub(super) records: Vec<(&'a str, Option<Vec<u8>>)>,
}

/// Cuts a group into calls, by part. The changes of a part and the events of its rooms are one call, however many, so
/// that an act is there with its event or not at all; only rooms that are replaced are written before, in pieces of
/// [`REDIS_SEATS_PER_CALL_MAX`], which changes nothing until the last of them.
pub(super) fn cut<'a>(deltas: &'a Deltas, log: LogShare<'a>) -> Vec<(usize, Share<'a>)> {
    let goes_to = log.going.last().copied();
    let mut last: Vec<Share<'a>> = std::iter::repeat_with(Share::default).take(REDIS_PARTS).collect();
    let mut calls = Vec::new();
    for (room, delta) in deltas {
        let part = Keys::part_of(room);
        for piece in pieces(room, delta) {
            let is_large = delta.replace && piece.how != How::ReplacementEnds && piece.how != How::Replaces;
            if is_large {
                calls.push((part, Share { pieces: vec![piece], ..Share::default() }));
            } else {
                last[part].pieces.push(piece);
            }
        }
    }
    log.coming.iter().for_each(|placed| last[Keys::part_of(&placed.1.room)].coming.push(placed));
    for (part, mut share) in last.into_iter().enumerate() {
        if !share.pieces.is_empty() || !share.coming.is_empty() {
            share.goes_to = goes_to;
            calls.push((part, share));
        }
    }
    if calls.is_empty() && goes_to.is_some() {
        calls.push((0, Share { goes_to, ..Share::default() }));
    }
    calls
}

/// The changes of a room in pieces.
pub(super) fn pieces<'a>(room: &'a RoomId, delta: &'a RoomDelta) -> Vec<Piece<'a>> {
    let records: Vec<_> = delta.records(room).collect();
    if !delta.replace {
        return vec![Piece { room, how: How::Changes, records }];
    }
    let count = records.len().div_ceil(REDIS_SEATS_PER_CALL_MAX).max(1);
    let how = |piece: usize| match piece {
        0 if count == 1 => How::Replaces,
        0 => How::ReplacementBegins,
        _ if piece + 1 == count => How::ReplacementEnds,
        _ => How::ReplacementGoesOn,
    };
    let mut records = records.into_iter();
    let mut piece = |i| Piece { room, how: how(i), records: records.by_ref().take(REDIS_SEATS_PER_CALL_MAX).collect() };
    (0..count).map(&mut piece).collect()
}
