//! Lines that wait for the thread that writes them.
//!
//! Invariants: the queue never holds more than its bounds, except for last words; no thread does anything slow while it
//! holds the lock, so no thread waits for it longer than a copy takes; a line is written once or counted as dropped.
//! Never here: descriptors.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::park_timeout;
use std::time::Duration;

use crate::limits::log::{LOG_LOCK_TRIES, LOG_QUEUE_BYTES_MAX, LOG_QUEUE_LINES_MAX};

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// A line has come, or all are written.
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A line was taken and is being written.
    is_writing: bool,
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.is_writing
    }

    fn push(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }
}

impl Queue {
    pub(super) const fn new() -> Self {
        let waiting = Waiting { lines: VecDeque::new(), bytes: 0, is_writing: false };
        Self { waiting: Mutex::new(waiting), changed: Condvar::new(), dropped: AtomicU64::new(0) }
    }

    /// Puts in a line with its end, or drops and counts it when the queue is full.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() >= LOG_QUEUE_LINES_MAX || waiting.bytes + line.len() > LOG_QUEUE_BYTES_MAX {
            self.drop_one();
            return;
        }
        waiting.push(line);
        self.changed.notify_all();
    }

    /// Puts in the words with which the process ends, full or not. The thread may hold the lock already, if it panics.
    pub(super) fn push_last(&self, line: Vec<u8>) {
        match self.lock_soon() {
            Some(mut waiting) => waiting.push(line),
            None => self.drop_one(),
        }
        self.changed.notify_all();
    }

    /// Waits for a line and takes it. [`Queue::written`] must follow.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            debug_assert!(!waiting.is_writing, "one thread writes");
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.len();
                waiting.is_writing = true;
                return line;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The line that was taken is written, or could not be. Says whether nothing waits behind it.
    pub(super) fn written(&self, is_written: bool) -> bool {
        if !is_written {
            self.drop_one();
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        debug_assert!(waiting.is_writing, "a line was taken");
        waiting.is_writing = false;
        self.changed.notify_all();
        waiting.lines.is_empty()
    }

    /// Waits until all lines are written, for as long as that may take.
    pub(super) fn finish(&self, within: Duration) {
        let Some(waiting) = self.lock_soon() else { return };
        drop(self.changed.wait_timeout_while(waiting, within, |waiting| !waiting.is_idle()));
    }

    /// Lines that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The lock, unless this very thread holds it.
    fn lock_soon(&self) -> Option<MutexGuard<'_, Waiting>> {
        for _ in 0..LOG_LOCK_TRIES {
            match self.waiting.try_lock() {
                Ok(waiting) => return Some(waiting),
                Err(TryLockError::Poisoned(waiting)) => return Some(waiting.into_inner()),
                Err(TryLockError::WouldBlock) => park_timeout(Duration::from_millis(1)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Queue;
    use crate::limits::log::{LOG_QUEUE_BYTES_MAX, LOG_QUEUE_LINES_MAX};

    fn line(bytes: usize) -> Vec<u8> {
        let mut line = vec![b'x'; bytes - 1];
        line.push(b'\n');
        line
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted_at_either_bound() {
        let check = |length: usize, fit: usize| {
            let queue = Queue::new();
            (0..fit).for_each(|_| queue.push(line(length)));
            assert_eq!(queue.dropped(), 0, "{length}");
            (0..3).for_each(|_| queue.push(line(length)));
            assert_eq!(queue.dropped(), 3, "{length}");
            assert_eq!(queue.take().len(), length);
            assert!(!queue.written(true));
            queue.push(line(length));
            assert_eq!(queue.dropped(), 3, "there is room again");
        };
        check(1, LOG_QUEUE_LINES_MAX);
        check(LOG_QUEUE_BYTES_MAX / 4, 4);
    }

    #[test]
    fn last_words_come_in_when_it_is_full() {
        let queue = Queue::new();
        queue.push(line(LOG_QUEUE_BYTES_MAX));
        queue.push_last(line(7));
        assert_eq!((queue.dropped(), queue.take().len()), (0, LOG_QUEUE_BYTES_MAX));
        assert!(!queue.written(false));
        assert_eq!((queue.dropped(), queue.take().len()), (1, 7));
        assert!(queue.written(true), "nothing waits any more");
    }

    #[test]
    fn who_ends_waits_for_the_writer_but_not_for_ever() {
        let queue = Queue::new();
        queue.finish(Duration::from_secs(3_600));
        queue.push(line(1));
        queue.finish(Duration::from_millis(1));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                queue.take();
                queue.written(true);
            });
            queue.finish(Duration::from_secs(3_600));
        });
        queue.push(line(1));
        queue.take();
        queue.finish(Duration::from_millis(1));
    }

    #[test]
    fn a_panic_that_holds_the_lock_does_not_wait_for_itself() {
        let queue = Queue::new();
        let held = queue.waiting.lock().unwrap();
        queue.push_last(line(1));
        queue.finish(Duration::from_secs(3_600));
        drop(held);
        assert_eq!(queue.dropped(), 1);
    }
}
