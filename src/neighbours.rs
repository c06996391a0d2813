//! The shards of this node as the threads of the cluster see them: what they tell goes by the shards' own mail, letters
//! to other nodes become bytes by [`crate::node::afar`].
//!
//! Never here: who owns what; Redis.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::audience::budget::Budget;
use crate::cluster::entry;
use crate::engine::command::{LayoutName, RoomPlan};
use crate::engine::ids::ShardId;
use crate::log;
use crate::node::afar::{self, Stretch};
use crate::node::letters::Letter;
use crate::peers::{Reads, Shards, Verdict, Writes};
use crate::persist::parts::PartNews;
use crate::persist::thread::restore::Restored;
use crate::runtime::board::Board;
use crate::runtime::mail::Mail;
use crate::runtime::mailbox::Mesh;

/// Exit code when another server has taken this one's place (`EX_TEMPFAIL` of sysexits).
const EXIT_TAKEN: u8 = 75;

/// The shards of this node.
#[derive(Clone)]
pub(crate) struct Ours {
    pub(crate) mesh: Mesh,
    pub(crate) board: Arc<Board>,
    /// Where the start waits for the first attempt to reach Redis.
    pub(crate) verdict: Sender<Verdict>,
}

impl Shards for Ours {
    type Letter = Letter;
    type Writer = afar::Writer;
    type Reader = afar::Reader;

    fn tell(&self, to: ShardId, news: PartNews) -> Result<(), PartNews> {
        self.mesh.post(to, Mail::Part(news)).map_err(|back| {
            let Mail::Part(news) = back else { unreachable!("it comes back as it went") };
            news
        })
    }

    fn deliver(&self, to: ShardId, letter: Letter) -> Result<(), Letter> {
        self.mesh.post(to, Mail::Letter(letter)).map_err(|back| {
            let Mail::Letter(letter) = back else { unreachable!("it comes back as it went") };
            letter
        })
    }

    fn wake(&self, shard: ShardId) {
        self.mesh.wake(shard);
    }

    fn writer(&self, base: usize, shards: usize) -> Self::Writer {
        afar::Writer::new(self.mesh.shards(), Stretch::new(base, shards))
    }

    fn reader(&self, base: usize, shards: usize) -> Self::Reader {
        let budget: &Budget = &self.board.budget;
        let reader = afar::Reader::new(self.mesh.shards(), Stretch::new(base, shards), budget);
        reader.with_layouts(self.board.layouts.clone())
    }

    fn furnish(&self, restored: &mut Restored) {
        let plan = |name: &LayoutName| self.board.layouts.get(&name.id, &name.version).map(RoomPlan);
        let mut bare = restored.furnish(plan);
        if !bare.is_empty() && self.board.shelf.as_ref().is_some_and(|shelf| shelf.refresh().is_ok()) {
            // Another node has put it a moment ago.
            bare = restored.furnish(plan);
        }
        for room in bare {
            tracing::warn!(%room, "its layout is not there: nobody gets a seat until it is put anew");
        }
    }

    fn decided(&self, verdict: Verdict) {
        // After the first word nobody listens any more, and that is no error.
        drop(self.verdict.send(verdict));
    }

    fn replaced(&self, line: String) {
        log::say(&format!("butaca: {line}"));
        log::finish();
        std::process::exit(EXIT_TAKEN.into());
    }

    fn drained(&self) {
        tracing::info!("the parts are handed over; saying goodbye");
        self.board.drain();
        (0..self.mesh.shards()).for_each(|shard| self.mesh.wake(ShardId::new(shard)));
    }
}

impl Writes<Letter> for afar::Writer {
    fn write(&mut self, to: ShardId, letter: &Letter, out: &mut Vec<entry::Letter>) -> bool {
        Self::write(self, to, letter, out)
    }

    fn finish(&mut self, out: &mut Vec<entry::Letter>) {
        Self::finish(self, out);
    }
}

impl Reads<Letter> for afar::Reader {
    fn read(&mut self, letter: &entry::Letter) -> Result<Option<(ShardId, Letter)>, String> {
        Self::read(self, letter).map_err(|why| format!("{why:?}"))
    }

    fn hole(&mut self) {
        Self::hole(self);
    }
}
