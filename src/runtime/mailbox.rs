//! Mail between shards: bounded mailboxes, posted in batches.
//!
//! A shard collects what it has for each other shard and appends it once a turn as a whole: one lock and at most one
//! system call a turn and shard, where a channel costs 100-160 ns and a wake-up a message. Invariants: mail from one
//! shard to another arrives in the order in which it was posted, none is lost; a shard that went to sleep is woken by
//! the mail that comes after (it declares that it sleeps before it looks for the last time).
//!
//! At the bound ([`MESH_DEPTH_MAX`]) a sender keeps its mail and, above [`MESH_BACKLOG_MAX`], reads no more sockets; it
//! goes on taking mail in, so that two shards with full mailboxes always free each other.
//!
//! Never here: what a letter means.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::ids::ShardId;
use crate::limits::api::API_MESH_DEPTH_MAX;
use crate::limits::cluster::LETTERS_ABROAD_MAX;
use crate::limits::{MESH_BACKLOG_MAX, MESH_DEPTH_MAX, SHARDS_MAX};
use crate::node::Node;
use crate::node::letters::Letter;
use crate::persist::parts::PartLink;
use crate::runtime::mail::Mail;
use crate::runtime::readiness::Alarm;

/// One shard's mailbox.
#[derive(Debug)]
struct Mailbox {
    mail: Mutex<Vec<Mail>>,
    /// Letters in it, to be read without the lock.
    depth: AtomicUsize,
    /// Its owner sleeps or is about to, and wants the alarm.
    asleep: AtomicBool,
    alarm: Alarm,
}

/// The mailboxes of all shards.
#[derive(Clone, Debug)]
pub(crate) struct Mesh {
    boxes: Arc<[Mailbox]>,
}

impl Mesh {
    /// A mesh of as many shards as there are alarms.
    pub(crate) fn new(alarms: &[Alarm]) -> Self {
        let boxes = alarms
            .iter()
            .map(|alarm| Mailbox {
                mail: Mutex::default(),
                depth: AtomicUsize::new(0),
                asleep: AtomicBool::new(false),
                alarm: alarm.clone(),
            })
            .collect();
        Self { boxes }
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> usize {
        self.boxes.len()
    }

    /// Letters that wait for a shard.
    pub(crate) fn depth(&self, shard: ShardId) -> usize {
        self.boxes[shard.index()].depth.load(Ordering::Relaxed)
    }

    /// Wakes a shard, whatever it does.
    pub(crate) fn wake(&self, shard: ShardId) {
        self.boxes[shard.index()].alarm.ring();
    }

    /// The shard declares that it is about to sleep. Returns `false` when mail has come and it must not.
    pub(crate) fn falls_asleep(&self, shard: ShardId) -> bool {
        let own = &self.boxes[shard.index()];
        own.asleep.store(true, Ordering::SeqCst);
        // Whoever appended before this load is seen here; whoever appends after it sees `asleep`.
        if own.depth.load(Ordering::SeqCst) == 0 {
            return true;
        }
        own.asleep.store(false, Ordering::SeqCst);
        false
    }

    /// The shard is awake again.
    pub(crate) fn woke(&self, shard: ShardId) {
        self.boxes[shard.index()].asleep.store(false, Ordering::SeqCst);
    }

    /// Moves all mail of the shard into `into`, which is empty.
    pub(crate) fn take(&self, shard: ShardId, into: &mut Vec<Mail>) {
        debug_assert!(into.is_empty());
        let own = &self.boxes[shard.index()];
        if own.depth.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut mail = own.mail.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *mail, into);
        own.depth.store(0, Ordering::SeqCst);
    }

    /// Posts mail of a thread that is no shard and keeps none: at its bound, which leaves the most to the shards, the
    /// mail comes back.
    pub(crate) fn post(&self, to: ShardId, mail: Mail) -> Result<(), Mail> {
        let other = &self.boxes[to.index()];
        {
            let mut box_of_other = other.mail.lock().unwrap_or_else(PoisonError::into_inner);
            if box_of_other.len() >= API_MESH_DEPTH_MAX {
                return Err(mail);
            }
            box_of_other.push(mail);
            other.depth.store(box_of_other.len(), Ordering::SeqCst);
        }
        if other.asleep.swap(false, Ordering::SeqCst) {
            other.alarm.ring();
        }
        Ok(())
    }

    /// Appends a batch to a shard's mailbox as far as its bound allows; what does not fit stays in `batch`.
    fn append(&self, to: ShardId, batch: &mut Vec<Mail>) {
        let other = &self.boxes[to.index()];
        {
            let mut mail = other.mail.lock().unwrap_or_else(PoisonError::into_inner);
            let free = MESH_DEPTH_MAX.saturating_sub(mail.len());
            if batch.len() <= free && mail.is_empty() {
                std::mem::swap(&mut *mail, batch);
            } else {
                mail.extend(batch.drain(..free.min(batch.len())));
            }
            other.depth.store(mail.len(), Ordering::SeqCst);
        }
        if other.asleep.swap(false, Ordering::SeqCst) {
            other.alarm.ring();
        }
    }
}

/// What one shard has for the others in this turn.
#[derive(Debug)]
pub(crate) struct Lanes {
    own: ShardId,
    mesh: Mesh,
    out: Vec<Vec<Mail>>,
    /// The way to other nodes, when there are some.
    abroad: Option<Arc<PartLink<Letter>>>,
    /// Letters that could not be delivered at the last [`Lanes::flush`].
    kept: usize,
    /// Mail posted since the start.
    pub(crate) posted: u64,
}

impl Lanes {
    pub(crate) fn new(own: ShardId, mesh: Mesh) -> Self {
        let out = (0..mesh.shards()).map(|_| Vec::new()).collect();
        Self { own, mesh, out, abroad: None, kept: 0, posted: 0 }
    }

    /// The same, with a way to other nodes.
    pub(crate) fn with_abroad(mut self, abroad: Option<Arc<PartLink<Letter>>>) -> Self {
        self.abroad = abroad;
        self
    }

    /// Posts mail to another shard at the end of this turn.
    pub(crate) fn post(&mut self, to: ShardId, mail: Mail) {
        debug_assert_ne!(to, self.own, "a shard writes no letters to itself");
        self.posted += 1;
        self.out[to.index()].push(mail);
    }

    /// Takes in the letters that a node has for the others.
    pub(crate) fn take_letters(&mut self, node: &mut Node) {
        for (index, lane) in self.out.iter_mut().enumerate() {
            let letters = node.letters(ShardId::new(index));
            self.posted += letters.len() as u64;
            lane.extend(letters.drain(..).map(Mail::Letter));
        }
        let Some(abroad) = &self.abroad else { return };
        for address in (self.out.len()..SHARDS_MAX).map(ShardId::new) {
            let letters = node.letters(address);
            self.posted += letters.len() as u64;
            abroad.post(self.own, address, letters);
        }
    }

    /// Delivers what the mailboxes take.
    pub(crate) fn flush(&mut self) {
        self.kept = 0;
        for (index, batch) in self.out.iter_mut().enumerate() {
            if !batch.is_empty() {
                self.mesh.append(ShardId::new(index), batch);
                self.kept += batch.len();
            }
        }
    }

    /// Whether so much waits for full mailboxes that no more commands may be read.
    pub(crate) fn is_congested(&self) -> bool {
        let is_abroad = self.abroad.as_ref().is_some_and(|abroad| abroad.waiting() >= LETTERS_ABROAD_MAX);
        self.kept >= MESH_BACKLOG_MAX || is_abroad
    }

    /// Whether letters wait for a mailbox that was full.
    pub(crate) fn is_waiting(&self) -> bool {
        self.kept > 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Lanes, Mail, Mesh};
    use crate::engine::ids::{ConnId, ShardId};
    use crate::limits::MESH_DEPTH_MAX;
    use crate::limits::api::API_MESH_DEPTH_MAX;
    use crate::node::letters::Letter;
    use crate::runtime::readiness::Alarm;

    fn letter(number: u32) -> Mail {
        Mail::Letter(Letter::Gone { conn: ConnId::new(ShardId::new(0), 0, number) })
    }

    fn numbers(mail: &[Mail]) -> Vec<u32> {
        let number = |mail: &Mail| {
            let Mail::Letter(Letter::Gone { conn }) = mail else { unreachable!("only letters of this test: {mail:?}") };
            conn.generation()
        };
        mail.iter().map(number).collect()
    }

    fn mesh() -> Mesh {
        let alarm = || Alarm::new().expect("an eventfd");
        Mesh::new(&[alarm(), alarm()])
    }

    #[test]
    fn mail_keeps_its_order_and_a_full_mailbox_loses_nothing() {
        let mesh = mesh();
        let mut lanes = Lanes::new(ShardId::new(0), mesh.clone());
        let to = ShardId::new(1);
        let count = u32::try_from(MESH_DEPTH_MAX + 10).expect("small");
        (0..count).for_each(|number| lanes.post(to, letter(number)));
        lanes.flush();
        assert!(lanes.is_waiting() && mesh.depth(to) == MESH_DEPTH_MAX);
        let mut got = Vec::new();
        let mut mail = Vec::new();
        while {
            mesh.take(to, &mut mail);
            !mail.is_empty()
        } {
            got.extend(numbers(&mail));
            mail.clear();
            lanes.flush();
        }
        assert_eq!(got, (0..count).collect::<Vec<u32>>());
        assert!(!lanes.is_waiting());
    }

    #[test]
    fn who_is_no_shard_is_refused_while_there_is_room_for_shards() {
        let (mesh, to) = (mesh(), ShardId::new(1));
        for number in 0..u32::try_from(API_MESH_DEPTH_MAX).expect("small") {
            mesh.post(to, letter(number)).expect("there is room");
        }
        assert_eq!(numbers(&[mesh.post(to, letter(7)).expect_err("the bound")]), [7]);
        let mut lanes = Lanes::new(ShardId::new(0), mesh.clone());
        lanes.post(to, letter(8));
        lanes.flush();
        assert!(!lanes.is_waiting() && mesh.depth(to) == API_MESH_DEPTH_MAX + 1);
    }

    /// The race of the sleeping mailbox: whatever the interleaving, a shard that sleeps is rung.
    #[test]
    fn a_shard_never_sleeps_on_mail() {
        // One letter at a time, because the next one would wake a shard that sleeps on the one before.
        const LETTERS: u32 = 50_000;
        let mesh = mesh();
        let to = ShardId::new(1);
        let taken = Arc::new(AtomicUsize::new(0));
        let sender = std::thread::spawn({
            let mut lanes = Lanes::new(ShardId::new(0), mesh.clone());
            let taken = Arc::clone(&taken);
            move || {
                for number in 0..LETTERS {
                    lanes.post(to, letter(number));
                    lanes.flush();
                    let mut spins = 0;
                    while taken.load(Ordering::Acquire) <= number as usize {
                        spins += 1;
                        // A spin meets the window; giving way lets the other one run on a single core.
                        if spins > 1_000 { std::thread::yield_now() } else { std::hint::spin_loop() }
                    }
                }
            }
        });
        let mut got = 0;
        let mut mail = Vec::new();
        while got < LETTERS {
            mesh.take(to, &mut mail);
            got += u32::try_from(mail.len()).expect("small");
            taken.store(got as usize, Ordering::Release);
            mail.clear();
            if got < LETTERS && mesh.falls_asleep(to) {
                mesh.boxes[1].alarm.wait_for_test();
                mesh.woke(to);
            }
        }
        sender.join().expect("the sender ends");
    }
}
