//! This node among others: the threads between Redis and the shards of a node of a cluster.
//!
//! Three threads. The cluster's ([`thread`]) drives [`crate::cluster::member::Member`]: heartbeats, calls about parts,
//! what shards hand over as commits by part, rooms of parts that are taken. The sender makes entries of letters to
//! other nodes; the reader waits for theirs and for the log of all. Each has a connection of its own. Invariants: a
//! Redis that is away ends nothing and loses nothing but mail, of which the loss is seen; no shard waits for a thread
//! of these; a part's grant is set before anybody is told that it serves, and taken back before anybody else can have
//! it. Never here: decisions about seats; what a letter means (that is behind [`Shards`]).

mod book;
mod owners;
mod parts;
mod reader;
mod sender;
mod shared;
mod shares;
mod thread;
mod wrap;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use self::shared::Shared;
use crate::acts::ring::Ring;
use crate::auth::session::SessionTokens;
use crate::clock::Clock;
use crate::cluster::entry;
use crate::cluster::names::NodeName;
use crate::engine::ids::ShardId;
use crate::persist::link::StoreLink;
use crate::persist::parts::{PartLink, PartNews};
use crate::persist::stores::redis::parts::PartsConfig;
use crate::persist::thread::restore::Restored;

/// What the threads need of the rest of the server. Nothing here may wait.
pub trait Shards: Clone + Send + 'static {
    /// A letter from shard to shard.
    type Letter: Send + 'static;
    /// What writes letters to one life.
    type Writer: Writes<Self::Letter>;
    /// What reads those of one life.
    type Reader: Reads<Self::Letter>;

    /// Tells a shard something about a part; it comes back when the shard's mailbox is full.
    ///
    /// # Errors
    /// The news.
    fn tell(&self, to: ShardId, news: PartNews) -> Result<(), PartNews>;

    /// Gives a shard a letter of another node; it comes back when the shard's mailbox is full.
    ///
    /// # Errors
    /// The letter.
    fn deliver(&self, to: ShardId, letter: Self::Letter) -> Result<(), Self::Letter>;

    /// Wakes a shard: something of it is committed.
    fn wake(&self, shard: ShardId);

    /// Writes letters to a life with so many shards, behind these addresses from the first on.
    fn writer(&self, base: usize, shards: usize) -> Self::Writer;

    /// Reads those of such a life.
    fn reader(&self, base: usize, shards: usize) -> Self::Reader;

    /// Gives restored rooms their layouts.
    fn furnish(&self, restored: &mut Restored);

    /// The first attempt to reach Redis is over: the server may start, or must end with this exit code and line.
    fn decided(&self, verdict: Verdict);

    /// Others have the parts, as far as they take them: the shards may end.
    fn drained(&self);

    /// Another server has begun with the name of this one, which has to end. One line for the operator.
    fn replaced(&self, line: String);
}

/// What the first attempt to reach Redis has come to.
pub type Verdict = Result<(), (u8, String)>;

/// Writes letters to one life of another node.
pub trait Writes<L>: Send + 'static {
    /// Appends a letter to one of its addresses. `false`: it cannot leave the node, and nothing was written.
    fn write(&mut self, to: ShardId, letter: &L, out: &mut Vec<entry::Letter>) -> bool;

    /// The turn is over.
    fn finish(&mut self, out: &mut Vec<entry::Letter>);
}

/// Reads the letters of one life of another node.
pub trait Reads<L>: Send + 'static {
    /// What this is: a letter for one of the own shards, or nothing yet.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    fn read(&mut self, letter: &entry::Letter) -> Result<Option<(ShardId, L)>, String>;

    /// Something was lost.
    fn hole(&mut self);
}

/// What the threads are given.
#[derive(Clone)]
pub struct Setup {
    /// How Redis is used.
    pub redis: PartsConfig,
    /// This node.
    pub node: NodeName,
    /// Parts of the key space.
    pub parts: u16,
    /// Whether somebody waits for each commit: then nothing is gathered.
    pub is_durable: bool,
    /// Whether rooms are served with what is left of them, when records are missing.
    pub accepts_loss: bool,
    /// Whether a text may be sent to clients as `user_info`.
    pub is_user_info: fn(&str) -> bool,
    /// The clocks.
    pub clock: Clock,
    /// Where events are shown once they are committed.
    pub log: Arc<Ring>,
    /// The tokens of sessions, whose secret all nodes share.
    pub tokens: SessionTokens,
    /// Something random.
    pub fresh: [u64; 2],
}

/// The threads of a node.
pub struct Peers {
    shared: Arc<Shared>,
    link: Arc<StoreLink>,
    thread: JoinHandle<()>,
}

impl Peers {
    /// Starts the cluster's thread, which starts the others when Redis answers.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start<S: Shards>(
        setup: Setup,
        shards: S,
        link: &Arc<StoreLink>,
        parts: &Arc<PartLink<S::Letter>>,
    ) -> io::Result<Self> {
        let (shared, link) = (Arc::new(Shared::default()), Arc::clone(link));
        let start = thread::Start {
            setup,
            shards,
            link: Arc::clone(&link),
            parts: Arc::clone(parts),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new().name("cluster".into()).spawn(move || start.run())?;
        Ok(Self { shared, link, thread })
    }

    /// What lets others have the parts, and then says that it is over ([`Shards::drained`]).
    #[must_use]
    pub fn drain(&self) -> Box<dyn Fn() + Send + Sync> {
        let (shared, link) = (Arc::clone(&self.shared), Arc::clone(&self.link));
        Box::new(move || {
            shared.drain();
            link.queue.nudge();
        })
    }

    /// The shards have ended: commits what they left, sends what they wrote, and ends.
    pub fn finish(self) {
        self.link.queue.close();
        if self.thread.join().is_err() {
            tracing::error!("the cluster's thread panicked");
        }
    }
}
