//! What Redis should have, and whether it has it: looked at when a server starts, before it claims anything.
//!
//! Each part counts the holds of its rooms in the same script that writes them, and keeps a fence for as long as a hold
//! can live. So keys that were evicted or deleted show, and so does a node of a cluster that came back empty. Only what
//! a hold can still be in is asked for: all else may have expired. Pure. Never here: connections.

use std::collections::BTreeMap;

use ::redis::Value;

use crate::engine::ids::RoomId;
use crate::engine::time::WallMillis;
use crate::limits::store::{REDIS_KEEP_MS, REDIS_PARTS};
use crate::persist::stores::store::Damage;

use super::answer::{array, number, pairs, text};

/// A part that was looked at this long before it expires must be there when any other is.
const FENCE_IS_YOUNG_MS: u64 = REDIS_KEEP_MS / 2;

/// How many holds a room had when it was last written, and until when it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Count {
    holds: u64,
    until: WallMillis,
}

/// What should be there.
#[derive(Debug, Default)]
pub(super) struct Survey {
    counts: BTreeMap<RoomId, Count>,
    /// Parts without a fence, and the youngest fence of the others that a writer has used.
    without_fence: usize,
    youngest_ms: u64,
    /// Holds that are missing, in rooms that were looked at.
    missing: u64,
}

impl Survey {
    /// Takes in what one part answered: `t` and `n` of its fence, how long that lives, and its counts.
    pub(super) fn add(&mut self, fence: Value, left: &Value, counts: Value) -> Option<()> {
        let mut fields = array(fence)?.into_iter();
        let (token, called) = (fields.next()?, fields.next()?);
        if matches!(token, Value::Nil) {
            self.without_fence += 1;
        } else if text(called).is_some_and(|called| called != "0") {
            self.youngest_ms = self.youngest_ms.max(number(left).unwrap_or_default());
        }
        for (room, count) in pairs(counts)? {
            let room = std::str::from_utf8(&room).ok().and_then(RoomId::new);
            let count = std::str::from_utf8(&count).ok().and_then(read);
            self.counts.extend(room.zip(count));
        }
        Some(())
    }

    /// The rooms that were counted.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.counts.keys()
    }

    /// This many holds of the room were found. Says whether that is another number than was counted.
    pub(super) fn found(&mut self, room: &RoomId, holds: u64, now: WallMillis) -> bool {
        let Some(count) = self.counts.get(room) else { return false };
        // It was written so short a time ago that a hold can still be alive, and the room's key too.
        if count.until > now.after(REDIS_KEEP_MS) {
            self.missing += count.holds.saturating_sub(holds);
        }
        count.holds != holds
    }

    /// What is missing. So many records were there and could not be read.
    pub(super) fn damage(&self, namespace: &str, unreadable: usize) -> Option<Damage> {
        assert!(self.without_fence <= REDIS_PARTS, "no part is looked at twice");
        let is_part_lost = self.without_fence > 0 && self.youngest_ms > FENCE_IS_YOUNG_MS;
        let missing = self.missing + unreadable as u64;
        let lost_parts = if is_part_lost { self.without_fence } else { 0 };
        let text = format!(
            "the Redis namespace \"{namespace}\" is damaged: at least {missing} holds are missing or cannot be read, and \
             {lost_parts} of {REDIS_PARTS} parts are gone"
        );
        (missing > 0 || is_part_lost).then_some(Damage { missing, text })
    }
}

/// As the script writes it: the number of holds, and until when the room is kept.
fn read(text: &str) -> Option<Count> {
    let (holds, until) = text.split_once(' ')?;
    Some(Count { holds: holds.parse().ok()?, until: WallMillis(until.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMillis = WallMillis(1_768_473_000_000);

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    /// Parts with their fence's last call (`None`: no fence) and its life, and the counts of one of them.
    fn survey(fences: &[Option<(&str, i64)>], counts: &[(&str, &str)]) -> Survey {
        let mut survey = Survey::default();
        for (at, fence) in fences.iter().enumerate() {
            let (fields, left) = match fence {
                Some((called, left)) => (vec![bulk("7"), bulk(called)], *left),
                None => (vec![Value::Nil, Value::Nil], -2),
            };
            let counts: &[_] = if at == 0 { counts } else { &[] };
            let counts = counts.iter().flat_map(|(room, count)| [bulk(room), bulk(count)]).collect();
            survey.add(Value::Array(fields), &Value::Int(left), Value::Array(counts)).expect("an answer");
        }
        survey
    }

    #[test]
    fn a_part_that_is_gone_while_others_are_young_is_a_loss() {
        let young = i64::try_from(REDIS_KEEP_MS).expect("short");
        let check = |fences: &[Option<(&str, i64)>], is_lost: bool, why: &str| {
            assert_eq!(survey(fences, &[]).damage("n", 0).is_some(), is_lost, "{why}");
        };
        check(&[Some(("3", young)), None, Some(("1", young))], true, "one was lost");
        check(&[None, None], false, "nobody was here yet");
        check(&[Some(("0", young)), None], false, "the first server was killed while it claimed");
        check(&[Some(("3", 1_000)), None], false, "all are about to expire");
        check(&[Some(("3", young)), Some(("0", young))], false, "a server was killed while it claimed");
    }

    #[test]
    fn holds_that_are_missing_are_counted_while_they_can_be_alive() {
        let fences = [Some(("3", 1_000))];
        let count = |holds: u64, until: u64| format!("{holds} {until}");
        let (alive, over) = (count(5, NOW.after(REDIS_KEEP_MS + 1).0), count(5, NOW.after(REDIS_KEEP_MS).0));
        let mut found = survey(&fences, &[("a", &alive), ("b", &over), ("c", &alive), ("d", "nonsense")]);
        for (room, holds) in [("a", 3), ("b", 0), ("c", 5), ("d", 1), ("e", 1)] {
            found.found(&RoomId::new(room).expect("a valid id"), holds, NOW);
        }
        assert_eq!(found.damage("n", 0).map(|damage| damage.missing), Some(2));
        assert_eq!(found.damage("n", 4).map(|damage| damage.missing), Some(6));
        assert_eq!(survey(&fences, &[("a", &alive)]).damage("n", 0), None);
    }
}
