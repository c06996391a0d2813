//! What the three threads share. Each lock is held for moments; who has news for the cluster's thread nudges its queue.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wrap::Given;
use crate::cluster::entry::{Letter, VERSION};
use crate::cluster::names::NodeName;
use crate::cluster::roster::Beat;
use crate::persist::parts::PartAck;

#[derive(Debug)]
pub(super) struct Shared {
    slips: Mutex<Slips>,
    /// The version that all live nodes read.
    version: AtomicU8,
    era: AtomicU64,
    is_draining: AtomicBool,
    is_over: AtomicBool,
}

/// What one thread leaves for another.
#[derive(Default, Debug)]
struct Slips {
    /// For the cluster's thread: what shards have answered, and parts that were given to this node.
    acks: Vec<PartAck>,
    given: Vec<Given>,
    /// For the sender: letters of the cluster's thread.
    letters: Vec<(NodeName, Letter)>,
    /// From the sender: the last entries that Redis has.
    sent: Vec<(NodeName, u64)>,
    /// For the reader: heartbeats that were read.
    beats: Vec<Beat>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            slips: Mutex::default(),
            version: AtomicU8::new(VERSION),
            era: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }
}

impl Shared {
    fn slips(&self) -> MutexGuard<'_, Slips> {
        self.slips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_acks(&self, acks: Vec<PartAck>) {
        self.slips().acks.extend(acks);
    }

    pub(super) fn add_given(&self, given: Given) {
        self.slips().given.push(given);
    }

    pub(super) fn take_news(&self) -> (Vec<PartAck>, Vec<Given>) {
        let mut slips = self.slips();
        (std::mem::take(&mut slips.acks), std::mem::take(&mut slips.given))
    }

    pub(super) fn add_letter(&self, to: &NodeName, letter: Letter) {
        self.slips().letters.push((to.clone(), letter));
    }

    pub(super) fn take_letters(&self) -> Vec<(NodeName, Letter)> {
        std::mem::take(&mut self.slips().letters)
    }

    pub(super) fn set_sent(&self, sent: Vec<(NodeName, u64)>) {
        self.slips().sent = sent;
    }

    pub(super) fn sent(&self) -> Vec<(NodeName, u64)> {
        self.slips().sent.clone()
    }

    pub(super) fn add_beats(&self, beats: impl Iterator<Item = Beat>) {
        self.slips().beats.extend(beats);
    }

    pub(super) fn take_beats(&self) -> Vec<Beat> {
        std::mem::take(&mut self.slips().beats)
    }

    pub(super) fn set_version(&self, version: u8) {
        self.version.store(version, Ordering::Relaxed);
    }

    pub(super) fn version(&self) -> u8 {
        self.version.load(Ordering::Relaxed)
    }

    pub(super) fn set_era(&self, era: u64) {
        self.era.store(era, Ordering::Release);
    }

    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// The cluster's thread has ended.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}
