//! Signals: what each of them means, and the thread that takes them.
//!
//! Invariants: SIGTERM and SIGINT drain, and the second one ends the process at once; SIGHUP lets keys be
//! read again; a signal without a meaning here ends nothing: a terminal that closes, a log that is rotated, a file that
//! has become too long. Never here: how a drain goes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::engine::ids::ShardId;
use crate::log;
use crate::runtime::board::Board;
use crate::runtime::mailbox::Mesh;

/// Exit code after a second signal: as if the first had not been caught.
const EXIT_SECOND_SIGNAL: i32 = 130;
/// Those that others send for a word with a server, and that end a process which does not take them.
const CALLS: [i32; 3] = [SIGHUP, SIGUSR1, SIGUSR2];
/// Those that come of a write, which fails as well and is dealt with there.
const FAILED_WRITES: [i32; 2] = [SIGPIPE, SIGXFSZ];

/// From now on only SIGTERM, SIGINT and what cannot be borne end the process. The first thing of the start.
pub(crate) fn take() -> io::Result<Signals> {
    for signal in FAILED_WRITES {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Signals::new(CALLS)
}

/// What SIGHUP lets be read again. Neither may block.
pub(crate) struct Rereads<A, K> {
    /// The keys of the API.
    pub(crate) api: Option<A>,
    /// Those of the shop's tokens.
    pub(crate) keys: Option<K>,
}

/// Starts the thread that acts on signals, SIGTERM and SIGINT included.
pub(crate) fn obey(
    mut signals: Signals,
    board: Arc<Board>,
    mesh: Mesh,
    rereads: Rereads<impl Fn() + Send + 'static, impl Fn() + Send + 'static>,
) -> io::Result<()> {
    signals.handle().add_signal(SIGTERM)?;
    signals.handle().add_signal(SIGINT)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut is_told = false;
        for signal in &mut signals {
            if signal == SIGHUP && (rereads.api.is_some() || rereads.keys.is_some()) {
                rereads.api.iter().for_each(|reread| reread());
                rereads.keys.iter().for_each(|reread| reread());
            } else if CALLS.contains(&signal) {
                tracing::info!(signal, "a signal that changes nothing");
            } else if std::mem::replace(&mut is_told, true) {
                log::finish();
                std::process::exit(EXIT_SECOND_SIGNAL);
            } else {
                tracing::info!(signal, "draining");
                if !board.begin_drain() {
                    board.drain();
                    (0..mesh.shards()).for_each(|shard| mesh.wake(ShardId::new(shard)));
                }
            }
        }
    })?;
    Ok(())
}
