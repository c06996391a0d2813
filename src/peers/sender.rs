//! The sender: letters of this node's shards to those of others, an entry a turn and node, until Redis has them.
//!
//! Invariants: letters from one shard to another keep their order; what Redis may not have is sent again, and comes
//! twice rather than not at all. Never here: what a letter means.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::book::Book;
use super::shared::Shared;
use super::wrap::shards_letter;
use super::{Shards, Writes as _};
use crate::clock::Clock;
use crate::cluster::entry::Letter;
use crate::cluster::mail::Outbox;
use crate::cluster::names::{Life, NodeName};
use crate::limits::cluster::CLUSTER_BEAT_MS;
use crate::limits::store::{STORE_RETRY_MS, STORE_RETRY_MS_MAX};
use crate::persist::parts::{Outgoing, PartLink};
use crate::persist::queue::Queue;
use crate::persist::stores::redis::parts::mail::Streams;

pub(super) struct Sender<S: Shards> {
    pub(super) shards: S,
    pub(super) parts: Arc<PartLink<S::Letter>>,
    pub(super) shared: Arc<Shared>,
    pub(super) book: Arc<Mutex<Book>>,
    pub(super) queue: Arc<Queue>,
    pub(super) streams: Streams,
    pub(super) outbox: Outbox,
    pub(super) clock: Clock,
    /// What writes to each life, and the addresses for which it does.
    pub(super) writers: BTreeMap<Life, ((usize, usize), S::Writer)>,
}

impl<S: Shards> Sender<S> {
    /// Until the cluster's thread has ended and Redis has everything, or does not answer.
    pub(super) fn run(mut self) {
        let mut retry_ms = 0;
        loop {
            let is_last = self.shared.is_over();
            let found = self.parts.take(if retry_ms > 0 { retry_ms } else { CLUSTER_BEAT_MS });
            if !found.acks.is_empty() {
                self.shared.add_acks(found.acks);
                self.queue.nudge();
            }
            self.post(found.letters);
            self.outbox.seal(self.shared.version());
            self.tell_waiting();
            let sent = self.send();
            self.tell_waiting();
            match sent {
                Ok(()) => retry_ms = 0,
                // The cluster's thread says that Redis is away: it asks it for more.
                Err(()) => retry_ms = (retry_ms * 2).clamp(STORE_RETRY_MS, STORE_RETRY_MS_MAX),
            }
            if is_last {
                return;
            }
        }
    }

    fn post(&mut self, letters: Vec<Outgoing<S::Letter>>) {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let own_shards = book.own_shards();
        let mut written = BTreeMap::<Life, Vec<Letter>>::new();
        for Outgoing { to, letter, .. } in letters {
            // Whoever was there is no more.
            let Some((life, _)) = book.at(to) else { continue };
            let Some(stretch) = book.stretch(life) else { continue };
            let (of, writer) =
                self.writers.entry(life.clone()).or_insert_with(|| (stretch, self.shards.writer(stretch.0, stretch.1)));
            if *of != stretch {
                (*of, *writer) = (stretch, self.shards.writer(stretch.0, stretch.1));
            }
            if !writer.write(to, &letter, written.entry(life.clone()).or_default()) {
                tracing::error!(node = life.node.as_str(), "a letter cannot leave this node");
            }
        }
        self.writers.retain(|life, _| book.stretch(life).is_some());
        drop(book);
        for (life, mut letters) in written {
            if let Some((_, writer)) = self.writers.get_mut(&life) {
                writer.finish(&mut letters);
            }
            for letter in letters {
                let is_posted = self.outbox.post(&life.node, shards_letter(&life, own_shards, &letter));
                assert!(is_posted, "a letter goes in pieces that fit an entry");
            }
        }
        for (to, letter) in self.shared.take_letters() {
            assert!(self.outbox.post(&to, letter), "it is short");
        }
    }

    fn tell_waiting(&self) {
        self.parts.nodes().set_waiting(self.outbox.unconfirmed().count(), self.clock.now().mono);
    }

    fn send(&mut self) -> Result<(), ()> {
        let entries: Vec<_> =
            self.outbox.unconfirmed().map(|(to, number, bytes)| (to.clone(), number, Arc::clone(bytes))).collect();
        if entries.is_empty() {
            return Ok(());
        }
        self.streams.post(entries.iter().map(|(to, _, bytes)| (to, bytes))).map_err(|error| {
            tracing::debug!(%error, "mail is not sent yet");
        })?;
        let confirm = |(to, number, _): &(NodeName, u64, Arc<[u8]>)| self.outbox.confirm(to, *number);
        entries.iter().for_each(confirm);
        self.shared.set_sent(self.outbox.sent());
        Ok(())
    }
}
