//! Reading the rooms of parts that were taken, and committing what shards hand over.
//!
//! Invariants: what is told of a part's rooms was read under its fence; a batch is reported when Redis has it. Never
//! here: when what is due.

use crate::cluster::call::{Answer, Call};
use crate::cluster::names::PartId;
use crate::limits::cluster::CLUSTER_LOADS_AT_ONCE;
use crate::peers::Shards;
use crate::persist::batch::Batch;
use crate::persist::parts::{PartNews, StoredPart};
use crate::persist::record::StoredHold;
use crate::persist::status::Commit;
use crate::persist::stores::redis::parts::{Cut, LoadedPart, Share, Step};
use crate::persist::stores::store::StoreError;
use crate::persist::thread::restore::{Restored, sift};

use super::{Cluster, Held};

impl<S: Shards> Cluster<S> {
    /// Reads the rooms of parts that were taken.
    pub(in crate::peers) fn read_parts(&mut self) -> Result<(), StoreError> {
        let due = self.reading.iter().filter(|(part, _)| !self.forgetting.contains(*part));
        let (parts, fences): (Vec<PartId>, Vec<u64>) = due.take(CLUSTER_LOADS_AT_ONCE).unzip();
        if parts.is_empty() {
            return Ok(());
        }
        let wall = self.setup.clock.now().wall;
        let loaded = self.store.load(&parts, wall)?;
        for ((part, fence), loaded) in parts.into_iter().zip(fences).zip(loaded) {
            self.reading.remove(&part);
            if self.is_withheld(part, &loaded) {
                continue;
            }
            let (mut stored, batch) = self.restore(loaded);
            // Nobody has had it in between.
            let given = self.given.remove(&part).filter(|(given, _)| fence == given + 1);
            self.count_taken(given.is_some());
            stored.lives = given.map(|(_, lives)| lives).unwrap_or_default();
            let now = self.now();
            self.shares.begin(now, part, batch);
            self.held.insert(part, Held { fence, known_after: None });
            self.tell_shard(part, PartNews::Load { part, fence, stored: Box::new(stored) });
        }
        Ok(())
    }

    /// Whether nobody is to decide about the part, since what Redis has of it is not all that was promised to be there.
    /// Its rooms have no server until a node with `ACCEPT_LOSS=1` takes them; this one keeps the lease.
    fn is_withheld(&self, part: PartId, found: &LoadedPart) -> bool {
        let (missing, newer) = (found.missing, found.loaded.newer);
        if missing == 0 && newer == 0 {
            return false;
        }
        let is_withheld = self.setup.is_durable && !self.setup.accepts_loss;
        let hint = if is_withheld { "; its rooms are not served without ACCEPT_LOSS=1" } else { "" };
        let text = format!(
            "part {} of the Redis namespace \"{}\": {missing} records are missing, {newer} are of a later version{hint}",
            part.0, self.setup.redis.settings.namespace
        );
        tracing::error!("{text}");
        self.link.status.set_damaged(missing + newer, &text, self.setup.accepts_loss);
        is_withheld
    }

    /// What of a part is still true, and what Redis is to learn of that.
    fn restore(&mut self, found: LoadedPart) -> (StoredPart, Batch) {
        let LoadedPart { loaded, numbers, .. } = found;
        let wall = self.setup.clock.now().wall;
        let mut restored = sift(loaded, wall, self.setup.redis.hold_ttl_ms, 1, self.setup.is_user_info);
        self.shards.furnish(&mut restored);
        self.restored.0 += restored.holds() as u64;
        self.restored.1 += restored.skipped;
        self.link.status.set_restored(self.restored.0, self.restored.1);
        let mut batch = Batch::default();
        let Restored { mut shards, mut rooms, ended, expired, shortened, mut log, .. } = restored;
        expired.iter().for_each(|(room, seat)| batch.put(room, seat.clone(), None));
        for StoredHold { room, seat, held } in &shortened {
            batch.put(room, seat.clone(), Some(held.clone()));
        }
        ended.iter().for_each(|kept| batch.keep(kept));
        let mut log = log.pop().unwrap_or_default();
        for (room, n) in numbers {
            let known = log.numbers.entry(room).or_default();
            *known = n.max(*known);
        }
        let (rooms, holds) = (rooms.pop().unwrap_or_default(), shards.pop().unwrap_or_default());
        (StoredPart { rooms, holds, log, lives: Vec::new() }, batch)
    }

    /// Commits what waits.
    pub(in crate::peers) fn commit(&mut self) -> Result<(), StoreError> {
        self.drop_strange();
        while self.commit_once()? > 0 {}
        Ok(())
    }

    /// What a shard says of a part that it was not given. That cannot be; its batch must not wait for ever.
    fn drop_strange(&mut self) {
        let is_known = |part: &PartId| self.held.contains_key(part) || self.forgetting.contains(part);
        for part in self.shares.waiting().into_iter().filter(|part| !is_known(part)).collect::<Vec<_>>() {
            tracing::error!(part = part.0, "changes of a part that this node has not");
            self.shares.lost(part);
            self.shares.forgotten(part);
        }
    }

    /// Commits one share of each part, and says how many were committed.
    fn commit_once(&mut self) -> Result<usize, StoreError> {
        let parts = self.shares.waiting();
        for part in &parts {
            let Some(share) = self.shares.current(*part) else { continue };
            if share.group.has_resets() {
                let stored = self.store.rooms(*part)?;
                share.group.resolve(&stored, 1);
            }
            self.store.note_lasting(*part, share.group.deltas());
        }
        let (started, at_us) = (self.now(), self.setup.clock.micros());
        let (mut made, mut calls) = (Vec::new(), Vec::new());
        let mut cuts = Vec::new();
        for part in parts {
            let Some(share) = self.shares.present(part) else { continue };
            let (number, deltas, logged) = (share.number, share.group.deltas(), &share.logged);
            let cut = Cut::new(&Share { number, deltas, logged });
            let headers: Option<Vec<Call>> = (0..cut.calls()).map(|_| self.member.commit(started, part)).collect();
            // It may not be this node's any more: that is asked first.
            let Some(headers) = headers else { continue };
            made.push((part, headers.len()));
            calls.push(headers);
            cuts.push(cut);
        }
        let steps: Vec<Step<'_>> = cuts.into_iter().zip(&calls).flat_map(|(cut, calls)| cut.steps(calls)).collect();
        if steps.is_empty() {
            return Ok(0);
        }
        let answers = self.store.calls(&steps)?;
        drop(steps);
        let mut granted = 0;
        let took_us = self.setup.clock.micros().saturating_sub(at_us);
        let mut answers = answers.into_iter();
        for ((part, count), calls) in made.into_iter().zip(calls) {
            let answers: Vec<Answer> = answers.by_ref().take(count).collect();
            let is_done = |answer: &Answer| matches!(answer, Answer::Granted { .. } | Answer::Lost { .. });
            if answers.iter().all(is_done)
                && let Some(share) = self.shares.granted(part)
            {
                granted += 1;
                let (entries, since) = (share.group.entries(), share.since);
                self.link.status.add_commit(Commit { entries, started, took_us, since: since.min(started) });
            }
            calls.iter().zip(&answers).for_each(|(call, answer)| self.answered(started, call, answer));
        }
        self.note_back();
        Ok(granted)
    }

    /// Tells shards which of their batches are committed.
    pub(in crate::peers) fn report(&mut self) {
        for (shard, number) in self.shares.take_whole() {
            self.link.note_committed(shard, number);
            self.shards.wake(shard);
        }
        let (entries, bytes, oldest) = self.shares.backlog();
        self.link.status.set_backlog(entries, bytes, oldest);
    }
}
