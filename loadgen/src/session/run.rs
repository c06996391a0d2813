//! One load thread from its first connect to its last check.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Script, Session, Settings, Shared, Stage};
use crate::client::Reply;
use crate::clock::now_ns;
use crate::worker::{Driver, Lost, Worker};

struct Run<'a, S> {
    session: &'a mut Session,
    script: &'a mut S,
}

impl<S: Script> Driver for Run<'_, S> {
    fn opened(&mut self, worker: &mut Worker, who: usize, now: u64) {
        let who = crate::num::index32(who);
        self.session.crowd.enter(worker, who, now);
        if self.session.crowd.clients[who as usize].slow {
            self.session.settled_one();
        }
    }

    #[inline]
    fn text(&mut self, worker: &mut Worker, who: usize, payload: &[u8], now: u64) {
        let who = crate::num::index32(who);
        let reply = self.session.crowd.text(who, payload, now);
        if reply == Reply::Nothing {
            return;
        }
        if reply == Reply::Joined && !self.session.crowd.clients[who as usize].slow {
            self.session.settled_one();
        }
        self.script.reply(self.session, worker, who, reply, now);
    }

    fn lost(&mut self, _worker: &mut Worker, who: usize, why: Lost, now: u64) {
        let who = crate::num::index32(who);
        if !self.session.crowd.is_member(who) {
            self.session.settled_one();
        }
        let excused = self.script.lost(self.session, who, now);
        self.session.crowd.lost(who, &why, excused, now);
    }

    fn due(&mut self, worker: &mut Worker, now: u64) -> u64 {
        let next = self.session.advance(worker, self.script, now);
        self.session.look(worker, now);
        next.min(self.session.next_look)
    }
}

/// Runs one thread to its end and hands back what it knows.
///
/// # Errors
/// When the thread could not get its epoll set.
pub fn run(
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    thread: usize,
    script: &mut impl Script,
) -> std::io::Result<Session> {
    if !settings.cores.is_empty() {
        crate::net::socket::pin(settings.cores[thread % settings.cores.len()])?;
    }
    let mut session = Session::new(settings, shared, thread);
    let population = session.settings.room_of.len();
    let mut worker = Worker::new(Arc::clone(&session.settings.targets), population, session.settings.sources)?;
    session.marks.opening = session.mark(&worker, now_ns());
    while session.stage != Stage::Done {
        turn(&mut session, script, &mut worker);
    }
    session.shared.drained.fetch_add(1, Ordering::SeqCst);
    wait_for(&mut session, script, &mut worker, |shared| &shared.drained);
    agree(&mut session, script, &mut worker);
    session.crowd.settle(&worker);
    session.digests = (0..session.shared.highest.len()).map(|room| session.crowd.oracle.digest(room)).collect();
    if session.settings.audit {
        crate::audit::compare(&mut session, &mut |session| turn(session, script, &mut worker));
    }
    session.shared.audited.fetch_add(1, Ordering::SeqCst);
    wait_for(&mut session, script, &mut worker, |shared| &shared.audited);
    for who in session.mine.clone() {
        session.crowd.cut(&mut worker, who, false);
    }
    Ok(session)
}

/// Everybody must come to the highest number that anybody has seen, also where a room's members are in several threads.
/// The drain may have ended long ago, or in the middle of an event: holds expire at any time, and a turn can bring the
/// news to some members of a room and not yet to others. So nothing is read between the last look here and the
/// judgement.
fn agree(session: &mut Session, script: &mut impl Script, worker: &mut Worker) {
    let shared = Arc::clone(&session.shared);
    for (room, highest) in shared.highest.iter().enumerate() {
        highest.fetch_max(session.crowd.highest(room), Ordering::SeqCst);
    }
    shared.published.fetch_add(1, Ordering::SeqCst);
    wait_for(session, script, worker, |shared| &shared.published);
    for (room, highest) in shared.highest.iter().enumerate() {
        session.crowd.expect_number(room, highest.load(Ordering::SeqCst));
    }
    let give_up = now_ns() + session.settings.drain_ns;
    while !session.is_quiet(worker) && now_ns() < give_up {
        turn(session, script, worker);
    }
}

fn turn(session: &mut Session, script: &mut impl Script, worker: &mut Worker) {
    let mut run = Run { session, script };
    let next = run.due(worker, now_ns());
    worker.turn(&mut run, next);
}

fn wait_for(
    session: &mut Session,
    script: &mut impl Script,
    worker: &mut Worker,
    count: impl Fn(&Shared) -> &AtomicUsize,
) {
    while count(&session.shared).load(Ordering::SeqCst) < session.settings.threads {
        turn(session, script, worker);
    }
}
