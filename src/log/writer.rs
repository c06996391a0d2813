//! The one thread that writes the log, and how it writes to a descriptor that may be slow, full or closed.
//!
//! Invariants: it writes without the locks of the standard library, so a write that hangs holds up nobody else; a
//! descriptor that somebody made non-blocking loses no line. Never here: what is written.

use std::io::{self, stderr, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};

use super::queue::Queue;

/// Starts the thread that writes `queue` to standard error, for as long as the process lives.
pub(super) fn start(queue: &'static Queue) -> io::Result<()> {
    thread::Builder::new().name("log".into()).spawn(move || {
        let mut told = 0;
        loop {
            let line = queue.take();
            let is_written = write_all(stderr().as_fd(), &line).is_ok();
            let is_empty = queue.written(is_written);
            let lost = queue.dropped() - told;
            // Only somebody who takes lines again, and has taken all, can learn that some were lost.
            if is_written && is_empty && lost > 0 {
                told += lost;
                tracing::warn!(lost, "lines of the log were lost: nobody took them");
            }
        }
    })?;
    Ok(())
}

/// Prints `text` on standard output, on a thread of its own: nobody has to read it. What cannot be printed is lost.
pub fn print_aside(text: String) {
    let print = move || write_all(stdout().as_fd(), text.as_bytes()).unwrap_or_default();
    // Without a thread there is no banner, and that is no reason not to serve.
    drop(thread::Builder::new().name("banner".into()).spawn(print));
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for_room(fd)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until a descriptor that does not block by itself takes something.
fn wait_for_room(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}
