//! A run as a whole: threads, display, watcher, and the verdict over everything.
//!
//! Invariants: a violation is exit code 1, whatever else happened; a run whose generator was late or had no CPU left is
//! void, exit code 3, and says why. Never here: what a scenario does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::audit::left_behind;
use crate::measure::{Code, Measure, quantile_ms};
use crate::names::FREE;
use crate::num::{round, share};
use crate::oracle::violation::{Findings, Kind};
use crate::outcome::{Outcome, Verdict};
use crate::progress::Progress;
use crate::session::{self, Marks, Script, Session, Settings, Shared};
use crate::watch::{Pid, Seen, watch};

/// Share of its time a load thread may be busy.
const BUSY_MAX: f64 = 0.95;

/// What is wanted beside the run itself.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// Show progress.
    pub show: bool,
    /// Ask the server for `/stats`.
    pub stats: bool,
    /// p99 of the generator's own lateness beyond which the run is void.
    pub late_ms: f64,
    /// Whether a busy generator makes the run void.
    pub judge_busy: bool,
    /// Whether holds must be gone after the last connection.
    pub expect_empty: bool,
}

/// The threads of a run after their end.
#[derive(Debug)]
pub struct Ended<S> {
    /// The threads.
    pub sessions: Vec<Session>,
    /// Their scripts.
    pub scripts: Vec<S>,
    /// The server from outside.
    pub seen: Seen,
}

/// Runs `settings.threads` threads to their end.
///
/// # Errors
/// When a thread could not begin.
pub fn execute<S: Script + Send>(
    settings: &Arc<Settings>,
    pid: &Pid,
    scripts: Vec<S>,
    wishes: Wishes,
) -> io::Result<Ended<S>> {
    // Whole rooms stay in one thread unless there are too few of them.
    let split = if settings.names.rooms() < settings.threads { settings.names.rooms() } else { 0 };
    let highest = (0..split).map(|_| AtomicU64::new(0)).collect();
    let shared = Arc::new(Shared { highest, ..Shared::default() });
    let (stop, stopped) = channel();
    let answers = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let answers = &answers;
        let watcher = scope.spawn(move || watch(settings.targets.first().addr, pid, wishes.stats, answers, &stopped));
        let spawn = |(thread, mut script): (usize, S)| {
            let (settings, shared) = (Arc::clone(settings), Arc::clone(&shared));
            scope.spawn(move || {
                let session = session::run(settings, Arc::clone(&shared), thread, &mut script);
                shared.ended.fetch_add(1, Ordering::SeqCst);
                session.map(|session| (session, script))
            })
        };
        let threads: Vec<_> = scripts.into_iter().enumerate().map(spawn).collect();
        let mut progress = Progress::new(wishes.show, settings.warmup_ns + settings.run_ns);
        while shared.ended.load(Ordering::SeqCst) < threads.len() {
            progress.show(&shared, answers);
            std::thread::park_timeout(Duration::from_millis(50));
        }
        progress.finish();
        let parts: io::Result<Vec<_>> =
            threads.into_iter().map(|thread| thread.join().expect("a load thread panicked")).collect();
        drop(stop);
        let mut seen = watcher.join().expect("the watcher panicked");
        let (sessions, scripts): (Vec<Session>, Vec<S>) = parts?.into_iter().unzip();
        seen.count_from(sessions[0].marks.begin.ns.max(1));
        Ok(Ended { sessions, scripts, seen })
    })
}

/// Puts the threads together into `outcome` and judges the run.
pub fn conclude<S>(
    mut ended: Ended<S>,
    settings: &Settings,
    wishes: Wishes,
    mut outcome: Outcome,
) -> (Outcome, Vec<S>) {
    let mut findings = Findings::default();
    if settings.audit && wishes.expect_empty {
        left_behind(&mut ended.sessions[0], Duration::from_secs(10));
    }
    compare_threads(&mut ended.sessions);
    let plain = ended.sessions.iter().any(|session| session.crowd.plain);
    outcome.plain = plain;
    if plain {
        outcome.notes.push("the server sends no seq: order and gaps could not be checked, only counted".to_owned());
        let missing: u64 = ended.sessions.iter().map(Session::plain_missing).sum();
        findings.count(Kind::LostEvent, missing);
        if !settings.plain {
            findings.count(Kind::NoSequence, 1);
        }
    }
    let unjudged: u64 = ended.sessions.iter().map(|session| session.crowd.oracle.unjudged).sum();
    if unjudged > 0 {
        outcome
            .notes
            .push(format!("{unjudged} refusals or rooms could not be judged: nobody was told all of their events"));
    }
    let marks = ended.sessions[0].marks;
    costs(&mut outcome, &ended.sessions, &marks);
    let measure = merge(&mut ended.sessions, settings, &mut findings, &mut outcome);
    let secs = (marks.end.ns.saturating_sub(marks.begin.ns) as f64 / 1e9).max(1e-3);
    outcome.take(&measure, secs);
    outcome.shape.secs = round(secs, 3);
    outcome.server = ended
        .seen
        .samples
        .iter()
        .filter(|sample| sample.t <= secs && (sample.rss_mib.is_some() || !sample.stats.is_empty()))
        .cloned()
        .collect();
    outcome.shards = ended.seen.shards();
    outcome.findings = findings;
    let unasked: Vec<String> =
        ended.sessions.iter_mut().flat_map(|session| std::mem::take(&mut session.unasked)).collect();
    let void = void(&outcome, &measure, wishes, &unasked);
    let cut = measure.totals.cut_as_slow;
    if cut > 0 {
        outcome.notes.push(format!("the server closed {cut} connections as too slow (4008)"));
        // A generator that was late has only itself to blame.
        outcome.findings.count(Kind::ConnectionLost, if void.is_empty() { cut } else { 0 });
    }
    outcome.verdict = verdict(&outcome, void);
    (outcome, ended.scripts)
}

/// A room whose members are spread over threads must look the same in all of them.
fn compare_threads(sessions: &mut [Session]) {
    for room in 0..sessions[0].digests.len() {
        let digests: Vec<_> = sessions.iter().filter_map(|session| session.digests[room].clone()).collect();
        if digests.windows(2).any(|pair| pair[0] != pair[1]) {
            let detail = format!(
                "threads that watched the room ended with different maps: {:?}",
                digests.iter().map(|digest| digest.seq).collect::<Vec<_>>()
            );
            sessions[0].crowd.oracle.tell_in(Kind::Diverged, room, FREE, None, detail);
        }
    }
}

fn merge(sessions: &mut [Session], settings: &Settings, findings: &mut Findings, outcome: &mut Outcome) -> Measure {
    let one_room_many_threads = settings.names.rooms() < settings.threads;
    let mut measure: Option<Measure> = None;
    let (mut resyncs, mut expired, mut late_max) = (0, 0, 0);
    for session in sessions.iter_mut() {
        findings.merge(std::mem::take(&mut session.crowd.oracle.findings));
        resyncs += session.crowd.oracle.resyncs;
        let lateness = session.crowd.oracle.lateness();
        (expired, late_max) = (expired + lateness.count, late_max.max(lateness.max_ms));
        match &mut measure {
            None => measure = Some(session.crowd.measure.clone()),
            Some(sum) => {
                if one_room_many_threads {
                    session.crowd.measure.slices.iter_mut().for_each(|slice| slice.held = 0);
                }
                sum.merge(&session.crowd.measure);
            }
        }
    }
    let second = sessions.iter().filter_map(|session| session.crowd.second.as_ref());
    let mut carts = [0; 4];
    for second in second {
        resyncs += second.resyncs;
        (expired, late_max) = (expired + second.lateness.count, late_max.max(second.lateness.max_ms));
        for (sum, more) in carts.iter_mut().zip([1, second.resumed, second.resumed_rooms, second.compared]) {
            *sum += more;
        }
    }
    if carts[0] > 0 {
        outcome.figure("sessions_resumed", carts[1] as f64);
        outcome.figure("rooms_resumed", carts[2] as f64);
        outcome.figure("snapshots_compared", carts[3] as f64);
    }
    outcome.figure("resyncs", resyncs as f64);
    if expired > 0 {
        outcome.figure("expiries", expired as f64);
        outcome.figure("expiry_late_ms_max", late_max as f64);
    }
    measure.expect("there is at least one thread")
}

/// What the run cost the server and the generator.
fn costs(outcome: &mut Outcome, sessions: &[Session], lead: &Marks) {
    let deliveries: u64 =
        sessions.iter().map(|session| session.marks.end.deliveries - session.marks.begin.deliveries).sum();
    let reads: u64 =
        sessions.iter().map(|session| session.marks.end.traffic.reads - session.marks.begin.traffic.reads).sum();
    let bytes: u64 =
        sessions.iter().map(|session| session.marks.end.traffic.bytes_in - session.marks.begin.traffic.bytes_in).sum();
    let wall = lead.end.ns.saturating_sub(lead.begin.ns).max(1);
    let opening = lead.opened.ns.saturating_sub(lead.opening.ns).max(1);
    let joins: u64 = sessions.iter().map(|session| session.crowd.measure.totals.joins).sum();
    let busy = sessions.iter().map(|session| {
        let (begin, end) = (&session.marks.begin, &session.marks.end);
        1.0 - share(end.traffic.idle_ns - begin.traffic.idle_ns, end.ns.saturating_sub(begin.ns).max(1))
    });
    outcome.figure("gen_busy", round(busy.fold(0.0, f64::max), 3));
    outcome
        .figure("gen_wait_share", round(share(lead.end.own.wait_ns.saturating_sub(lead.begin.own.wait_ns), wall), 3));
    outcome.figure("connections_per_s", round(joins as f64 * 1e9 / opening as f64, 1));
    outcome.figure("open_s", round(opening as f64 / 1e9, 3));
    if deliveries > 0 {
        let own = lead.end.own.cpu_ns.saturating_sub(lead.begin.own.cpu_ns);
        outcome.figure("gen_cpu_ns_per_delivery", round(own as f64 / deliveries as f64, 1));
        outcome.figure("deliveries_per_read", round(deliveries as f64 / reads.max(1) as f64, 2));
        outcome.figure("bytes_per_delivery", round(bytes as f64 / deliveries as f64, 1));
    }
    // A server that was restarted in between has no sums over the run.
    if lead.opening.server.rss_bytes > 0 && lead.end.server.rss_bytes > 0 {
        server_costs(outcome, lead, (deliveries, joins), (wall, opening));
    }
}

fn server_costs(outcome: &mut Outcome, lead: &Marks, (deliveries, joins): (u64, u64), (wall, opening): (u64, u64)) {
    let used = lead.end.server.cpu_ns.saturating_sub(lead.begin.server.cpu_ns);
    outcome.figure("server_cpus", round(share(used, wall), 3));
    outcome.figure(
        "server_wait_share",
        round(share(lead.end.server.wait_ns.saturating_sub(lead.begin.server.wait_ns), wall), 3),
    );
    if deliveries > 0 {
        outcome.figure("server_cpu_ns_per_delivery", round(used as f64 / deliveries as f64, 1));
    }
    let to_open = lead.opened.server.cpu_ns.saturating_sub(lead.opening.server.cpu_ns);
    let grown = lead.end.server.rss_bytes.saturating_sub(lead.opening.server.rss_bytes);
    if joins > 0 {
        outcome.figure("server_cpu_us_per_connection", round(to_open as f64 / 1e3 / joins as f64, 2));
        outcome.figure("server_rss_bytes_per_connection", round(grown as f64 / joins as f64, 0));
    }
    outcome.figure("server_opening_cpus", round(share(to_open, opening), 3));
    outcome.figure("server_rss_mib", round(lead.end.server.rss_bytes as f64 / 1_048_576.0, 1));
}

/// Why the figures do not count.
fn void(outcome: &Outcome, measure: &Measure, wishes: Wishes, unasked: &[String]) -> Vec<String> {
    let mut void = Vec::new();
    if let Some(first) = unasked.first() {
        void.push(format!("{} times a room could not be asked what is held in it: {first}", unasked.len()));
    }
    let limited = measure.refusals.get(&Code::RateLimited).copied().unwrap_or(0);
    if limited > 0 {
        void.push(format!(
            "the server refused {limited} requests as too many: for load tests switch its rate limit off, RATE_MESSAGES_PER_S=0"
        ));
    }
    let late = quantile_ms(&measure.lag, 0.99);
    if late > wishes.late_ms {
        void.push(format!(
            "the generator was late: p99 of its own delay is {late:.1} ms (allowed {:.0} ms)",
            wishes.late_ms
        ));
    }
    let busy = outcome.figures.get("gen_busy").copied().unwrap_or(0.0);
    if wishes.judge_busy && busy > BUSY_MAX {
        void.push(format!(
            "the generator was CPU-bound: busy {:.0} % of the time (allowed {:.0} %)",
            busy * 100.0,
            BUSY_MAX * 100.0
        ));
    }
    void
}

fn verdict(outcome: &Outcome, void: Vec<String>) -> Verdict {
    let (name, exit_code) = match (outcome.findings.total(), void.is_empty()) {
        (0, true) => ("clean", 0),
        (0, false) => ("void", 3),
        _ => ("violated", 1),
    };
    Verdict { name: name.to_owned(), exit_code, void }
}
