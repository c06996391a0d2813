//! Several nodes on one Redis: who owns a part of the rooms, and mail between nodes. The pure core.
//!
//! How it works. The rooms are in parts ([`placement`]). A part has one owner by a lease of its own, kept in Redis
//! beside a fence; every node stops deciding at nine tenths of its lease, counted on its own clock from before the call
//! was sent ([`lease`]). Who *should* own a part follows from the heartbeats alone ([`roster`]): no leader, no votes.
//!
//! Six rules keep a part from having two owners:
//! 1. *Take* compares the fence and raises it. It succeeds where no lease runs, or where the lease names the taker. So
//!    a take that comes late changes nothing.
//! 2. *Renew*, *commit* and *give* name life, fence and a growing number. Redis refuses an older fence (`Taken`) and a
//!    number that is not higher (`Stale`). So a call that was given up and comes late changes nothing.
//! 3. A hand-over: the owner stops deciding, commits, gives the lease to the other by name, and sends after it what
//!    waits. If that takes too long it renews with a higher number, and decides again only after that renewal is
//!    granted: from then on the old *give* is stale.
//! 4. A Redis that has restarted or failed over has another *era* and may have lost its last entries, leases too.
//!    Nobody takes anything, nor renews what is over or was being given, for a whole lease after it has first seen an
//!    era: whoever owned a part has renewed or stopped by then. Such calls name their era, and Redis refuses another
//!    one. A node that has just started waits as long, and is no candidate before (`Beat::ready`).
//! 5. *Lost*: Redis knows less of a part than its owner has heard. The owner writes all of it again.
//! 6. No clocks of two machines are compared; a heartbeat is fresh when its number has moved by the reader's own clock.
//!
//! Mail: entries are numbered by sender, its life and receiver ([`mail`]), encoded with a version and bounds
//! ([`entry`]). A gap is a hole; heartbeats say how far Redis has confirmed, so the loss of the *last* entries is a
//! hole, too. After a hole the views fed by that sender are resynchronised. Commands are numbered by connection and
//! part ([`commands`]): what has no answer is sent again, in order; what was done is answered again. That table is
//! committed with the part, so it survives takeover and hand-over.
//!
//! The shell is [`crate::peers`]. What Redis must do is executable in `tests/pure/cluster_simulation/redis.rs`, which
//! the scripts equal; commands done once ([`commands`]) are not used there: the protocol repeats what has no answer.
//!
//! Start reading at [`member::Member::handle`]. Never here: sockets, threads, clocks, Redis, seats.

mod beat;
pub mod call;
pub mod commands;
pub mod entry;
pub mod lease;
pub mod mail;
pub mod member;
pub mod names;
mod part;
pub mod placement;
pub mod roster;
