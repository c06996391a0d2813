//! What a shard's thread runs on: a glommio executor, or a plain thread where io_uring is refused.
//!
//! Two things differ and both are here: how the thread begins, and how it parks when it is quiet. While there is
//! traffic a shard waits in its epoll set on either, so what clients notice is the same. Invariant: on a plain thread
//! the driver never waits in a future; only parking in glommio does. Never here: what a shard does in its turn, and
//! why io_uring is refused.

use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use futures_lite::future::or;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::config::Runtime;
use crate::figures::server::RUNTIMES;
use crate::limits::{PARK_MS_MAX, RING_ENTRIES, RING_MEMORY_BYTES};
use crate::runtime::readiness::Readiness;

/// What shards run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Executor {
    /// glommio, which parks in io_uring.
    Glommio,
    /// Threads, which park in epoll.
    Threads,
}

/// What was chosen. With [`Runtime::Auto`], why it is not glommio: one line.
pub(crate) type Choice = (Executor, Option<String>);

impl Executor {
    /// Follows the setting, asking for `io_uring` only where it matters. Errors: glommio is demanded and cannot run;
    /// the line that says why.
    pub(crate) fn choose(wanted: Runtime, io_uring: impl FnOnce() -> Result<(), String>) -> Result<Choice, String> {
        match wanted {
            Runtime::Threads => Ok((Self::Threads, None)),
            Runtime::Glommio => io_uring().map(|()| (Self::Glommio, None)),
            Runtime::Auto => Ok(match io_uring() {
                Ok(()) => (Self::Glommio, None),
                Err(why) => (Self::Threads, Some(why)),
            }),
        }
    }

    /// Its number among [`RUNTIMES`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Glommio => 0,
            Self::Threads => 1,
        }
    }

    /// Its name in the settings and figures.
    pub(crate) fn name(self) -> &'static str {
        RUNTIMES[self.index()]
    }

    /// Starts a thread that runs what `shard` makes, pinned to `cpu` if one is named. Errors: no thread can be
    /// started.
    pub(crate) fn spawn<S, F>(self, name: &str, cpu: Option<usize>, shard: S) -> io::Result<Running>
    where
        S: FnOnce() -> F + Send + 'static,
        F: Future<Output = io::Result<()>> + 'static,
    {
        match self {
            // The ring only carries the wait for the epoll set and glommio's own timers. The preempt timer stays at
            // its 100 ms: with a short one glommio 0.9.0 can park with runnable tasks.
            Self::Glommio => LocalExecutorBuilder::new(cpu.map_or(Placement::Unbound, Placement::Fixed))
                .name(name)
                .io_memory(RING_MEMORY_BYTES)
                .ring_depth(RING_ENTRIES as usize)
                .spawn(shard)
                .map(Running::Glommio)
                .map_err(|error| io::Error::other(error.to_string())),
            Self::Threads => {
                let thread = std::thread::Builder::new().name(name.to_owned());
                let run = move || {
                    cpu.inspect(|&cpu| pin_to(cpu));
                    run_to_its_end(shard())
                };
                thread.spawn(run).map(Running::Thread)
            }
        }
    }

    /// Parks until something in the set is ready, for `until_due` at most. Returns how long the shard has still to
    /// wait in the set itself: not at all after glommio has parked; on a plain thread that wait is the parking.
    pub(crate) async fn park(self, readiness: &Readiness, until_due: Duration) -> io::Result<Duration> {
        match self {
            Self::Glommio => {
                let most = Duration::from_millis(PARK_MS_MAX);
                readiness.wake_after(until_due.min(most))?;
                // It needs a descriptor; without one the shard waits as a plain thread does.
                let parked = readable_within(readiness.as_fd(), 2 * most).await;
                Ok(if parked.is_ok() { Duration::ZERO } else { until_due })
            }
            Self::Threads => Ok(until_due),
        }
    }
}

/// A shard's thread.
pub(crate) enum Running {
    Glommio(ExecutorJoinHandle<io::Result<()>>),
    Thread(JoinHandle<io::Result<()>>),
}

impl Running {
    /// Waits for its end. Errors: it ended otherwise than by a drain; why.
    pub(crate) fn join(self) -> Result<(), String> {
        let ended = match self {
            Self::Glommio(executor) => executor.join().map_err(|error| error.to_string())?,
            Self::Thread(thread) => thread.join().map_err(|_| "it panicked")?,
        };
        ended.map_err(|error| error.to_string())
    }
}

/// Keeps the calling thread on one CPU. Some sandboxes refuse that; then the scheduler chooses, as it does for one
/// shard.
fn pin_to(cpu: usize) {
    let mut only = CpuSet::new();
    only.set(cpu);
    if let Err(error) = sched_setaffinity(None, &only) {
        tracing::warn!(%error, cpu, "a shard is not pinned to its CPU");
    }
}

/// Runs a future that waits for nothing but what it waits for itself.
fn run_to_its_end<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => end,
        Poll::Pending => unreachable!("on a plain thread a shard waits in its epoll set only"),
    }
}

/// Waits in glommio until `fd`, an epoll set, is readable, or for so long.
///
/// glommio 0.9.0 can lose that it has become readable, on a machine that is short of processors: then the thread
/// sleeps in its ring, and no alarm reaches it any more. A timer of glommio's own bounds that sleep.
async fn readable_within(fd: BorrowedFd<'_>, most: Duration) -> io::Result<()> {
    or(readable_through_glommio(fd), async {
        glommio::timer::sleep(most).await;
        Ok(())
    })
    .await
}

/// Waits in glommio until `fd`, an epoll set, is readable.
///
/// glommio has no public wait for a foreign descriptor. What it has: a `TcpStream` made from a raw descriptor arms a
/// poll at once, and its first read ends exactly when the descriptor is ready, here with `ENOTSOCK`. Dropping the
/// stream closes the copy. It is a fact of 0.9.0's code and not a contract: the test below fails when it changes.
/// Three cheap calls once a quiet period.
async fn readable_through_glommio(fd: BorrowedFd<'_>) -> io::Result<()> {
    let copy = fd.try_clone_to_owned()?;
    #[allow(unsafe_code, reason = "the raw descriptor changes hands here: the stream owns the copy and closes it")]
    // SAFETY: the descriptor is open and owned by nobody else.
    let mut stream = unsafe { glommio::net::TcpStream::from_raw_fd(copy.into_raw_fd()) };
    let mut byte = [0];
    match stream.read(&mut byte).await {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOTSOCK.raw_os_error()) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("an epoll set was read like a socket")),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::Executor;
    use crate::config::Runtime;
    use crate::runtime::readiness::{Alarm, Events, Readiness, Ready};

    #[test]
    fn io_uring_decides_unless_the_setting_does() {
        let refused = || Err("no".to_owned());
        let check = |wanted, io_uring: Result<(), String>, chosen| {
            assert_eq!(Executor::choose(wanted, || io_uring), chosen, "{wanted:?}");
        };
        check(Runtime::Auto, Ok(()), Ok((Executor::Glommio, None)));
        check(Runtime::Auto, refused(), Ok((Executor::Threads, Some("no".into()))));
        check(Runtime::Glommio, Ok(()), Ok((Executor::Glommio, None)));
        check(Runtime::Glommio, refused(), Err("no".into()));
        let unasked = Executor::choose(Runtime::Threads, || unreachable!("who wants threads needs no io_uring"));
        assert_eq!(unasked, Ok((Executor::Threads, None)));
        for executor in [Executor::Glommio, Executor::Threads] {
            assert_eq!(format!("{executor:?}").to_lowercase(), executor.name());
        }
    }

    /// What nobody wakes wakes by itself, as after a wake-up that was lost.
    #[test]
    fn a_wake_up_that_is_lost_costs_a_bounded_time() {
        let shard = Executor::Glommio.spawn("sleeps", None, move || async move {
            let readiness = Readiness::new(Alarm::new()?)?;
            super::readable_within(readiness.as_fd(), Duration::from_millis(5)).await?;
            Err(io::Error::other("it woke"))
        });
        assert_eq!(shard.expect("a thread").join(), Err("it woke".into()));
    }

    /// Both park until the set is ready and not longer: by an alarm of another thread, or by the time. On glommio this
    /// fails when it no longer ends the first read of a foreign descriptor by its readiness.
    #[test]
    fn both_park_until_an_alarm_or_the_time() {
        for executor in [Executor::Glommio, Executor::Threads] {
            let alarm = Alarm::new().expect("an eventfd");
            let ringer = alarm.clone();
            let shard = executor.spawn("parks", None, move || async move {
                let readiness = Readiness::new(alarm)?;
                let (mut events, mut ready) = (Events::new(), Vec::new());
                for round in 0..100 {
                    let rings = round % 2 == 0;
                    let other = ringer.clone();
                    let thread = rings.then(|| std::thread::spawn(move || other.ring()));
                    let until_due = if rings { Duration::from_mins(1) } else { Duration::from_micros(300) };
                    let rest = executor.park(&readiness, until_due).await?;
                    ready.clear();
                    readiness.wait(rest, &mut events, &mut ready)?;
                    let by_time: &[Ready] = if executor == Executor::Glommio { &[Ready::Timer] } else { &[] };
                    let expected = if rings { &[Ready::Alarm] } else { by_time };
                    assert_eq!(ready, expected, "{executor:?} woke by something else");
                    thread.into_iter().for_each(|thread| thread.join().expect("the ringer ends"));
                }
                Err(io::Error::other("the last words"))
            });
            assert_eq!(shard.expect("a thread").join(), Err("the last words".into()), "{executor:?}");
        }
    }
}
