//! The reader: mail of other nodes to this one, and the log of all.
//!
//! Invariants: letters of one shard to another keep their order; what is missing is told to all shards before what
//! comes after it; the log is shown in the order of its places. Never here: what a letter means.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::book::Book;
use super::shared::Shared;
use super::wrap::{self, Said};
use super::{Reads as _, Shards};
use crate::acts::ring::Ring;
use crate::clock::Clock;
use crate::cluster::entry::{Entry, Letter};
use crate::cluster::mail::{Inbox, Verdict};
use crate::cluster::names::{Life, NodeName};
use crate::engine::ids::{ShardId, ShardSet};
use crate::engine::time::Millis;
use crate::limits::cluster::MAIL_TRIM_MS;
use crate::limits::store::{STORE_RETRY_MS, STORE_RETRY_MS_MAX};
use crate::persist::nodes::NodesStatus;
use crate::persist::parts::PartNews;
use crate::persist::queue::Queue;
use crate::persist::stores::redis::parts::mail::{Streamed, Streams};
use crate::persist::stores::store::StoreError;

/// The id before all others.
const FIRST: &str = "0";

pub(super) struct Reader<S: Shards> {
    pub(super) shards: S,
    pub(super) shared: Arc<Shared>,
    pub(super) book: Arc<Mutex<Book>>,
    pub(super) queue: Arc<Queue>,
    pub(super) nodes: Arc<NodesStatus>,
    pub(super) streams: Streams,
    pub(super) own: Life,
    pub(super) log: Arc<Ring>,
    pub(super) clock: Clock,
    /// The last place of the log that was read.
    pub(super) place: u64,
}

/// How far the mail is read.
struct Progress<R> {
    inbox: Inbox,
    /// What reads the letters of each life, and the addresses for which it does.
    readers: BTreeMap<Life, ((usize, usize), R)>,
    cursor: String,
    /// What of it was taken away.
    trimmed: String,
    trimmed_at: Millis,
    era: u64,
}

impl<S: Shards> Reader<S> {
    /// Until the cluster's thread has ended.
    pub(super) fn run(mut self) {
        let mut progress = Progress {
            inbox: Inbox::default(),
            readers: BTreeMap::new(),
            cursor: FIRST.into(),
            trimmed: FIRST.into(),
            trimmed_at: Millis::default(),
            era: self.shared.era(),
        };
        let mut retry_ms = STORE_RETRY_MS;
        while !self.shared.is_over() {
            if self.turn(&mut progress).is_ok() {
                retry_ms = STORE_RETRY_MS;
            } else {
                std::thread::park_timeout(Duration::from_millis(retry_ms));
                retry_ms = (retry_ms * 2).min(STORE_RETRY_MS_MAX);
            }
        }
    }

    fn turn(&mut self, progress: &mut Progress<S::Reader>) -> Result<(), StoreError> {
        let era = self.shared.era();
        if era != progress.era {
            // The ids of a stream begin anew in another Redis; what comes twice is dropped.
            (progress.era, progress.cursor, progress.trimmed) = (era, FIRST.into(), FIRST.into());
        }
        self.shared.take_beats().iter().for_each(|beat| progress.inbox.promise(beat, &self.own.node));
        let found = self.streams.read(&self.own.node, &progress.cursor, self.place)?;
        let is_whole = found.is_whole();
        let Streamed { mail, log } = found;
        self.show(log);
        for (id, bytes) in mail {
            self.entry(progress, &bytes);
            progress.cursor = id;
        }
        if is_whole {
            for node in progress.inbox.read_through() {
                self.hole(progress, &node);
            }
        }
        let now = self.clock.now().mono;
        if progress.cursor != progress.trimmed && now.since(progress.trimmed_at) >= MAIL_TRIM_MS {
            self.streams.trim(&self.own.node, &progress.cursor)?;
            (progress.trimmed, progress.trimmed_at) = (progress.cursor.clone(), now);
        }
        Ok(())
    }

    fn show(&mut self, log: Vec<(u64, Option<crate::acts::event::Event>)>) {
        if let Some((last, _)) = log.last() {
            self.place = *last;
            self.log.follow(log);
        }
    }

    fn entry(&self, progress: &mut Progress<S::Reader>, bytes: &[u8]) {
        let entry = match Entry::read(bytes) {
            Ok(entry) => entry,
            // What is missing is seen by the next one.
            Err(why) => return tracing::warn!(?why, "an entry of the mail cannot be read"),
        };
        match progress.inbox.accept(&entry.from, entry.number) {
            Verdict::Drop => return,
            Verdict::Hole => self.hole(progress, &entry.from.node),
            Verdict::Next => {}
        }
        for letter in &entry.letters {
            match wrap::read(&self.own, letter) {
                Said::Letter { shards, letter } => self.letter(progress, &entry.from, shards, &letter),
                Said::Given(given) => {
                    self.shared.add_given(given);
                    self.queue.nudge();
                }
                Said::Forgotten => {
                    tracing::warn!(node = entry.from.node.as_str(), "this node was taken for dead");
                    self.hole(progress, &entry.from.node);
                }
                Said::Nothing => {}
            }
        }
    }

    fn letter(&self, progress: &mut Progress<S::Reader>, from: &Life, shards: usize, letter: &Letter) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let stretch = if book.meet(from, shards) { book.stretch(from) } else { None };
        let Some(stretch) = stretch else { return };
        progress.readers.retain(|life, _| book.stretch(life).is_some());
        drop(book);
        let fresh = || (stretch, self.shards.reader(stretch.0, stretch.1));
        let reader = progress.readers.entry(from.clone()).or_insert_with(fresh);
        if reader.0 != stretch {
            *reader = fresh();
        }
        let (to, mut letter) = match reader.1.read(letter) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(why) => {
                let (kind, node) = (letter.kind, from.node.as_str());
                return tracing::warn!(kind, node, why, "a letter cannot be read");
            }
        };
        while let Err(back) = self.shards.deliver(to, letter) {
            if self.shared.is_over() {
                return;
            }
            letter = back;
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Mail of this node is missing.
    fn hole(&self, progress: &mut Progress<S::Reader>, node: &NodeName) {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = ShardSet::EMPTY;
        let lives = book.lives().filter(|life| life.node == *node);
        lives.flat_map(|life| book.addresses(life).iter()).for_each(|address| from.insert(address));
        let shards = book.own_shards();
        drop(book);
        let readers = progress.readers.iter_mut().filter(|(life, _)| life.node == *node);
        readers.for_each(|(_, (_, reader))| reader.hole());
        if from.is_empty() {
            return;
        }
        self.nodes.change(|figures| figures.mail_holes += 1);
        tracing::warn!(node = node.as_str(), "mail is missing: what it feeds is asked for again");
        for shard in 0..shards {
            let mut news = PartNews::Hole { from };
            while let Err(back) = self.shards.tell(ShardId::new(shard), news) {
                if self.shared.is_over() {
                    return;
                }
                news = back;
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
    }
}
