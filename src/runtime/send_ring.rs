//! Sends of a slice, all by one call: an io_uring of its own, used for nothing else.
//!
//! Entering and leaving the kernel for each of twenty members costs a small room 5 to 10 % of its pass. Where the ring
//! is refused, or the shard runs on a plain thread, each send is a call. Invariant: when [`SendRing::send_all`]
//! returns, the kernel is done with every byte that it was given. Never here: who is sent what.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, types};
use rustix::net::SendFlags;

use crate::limits::SLICE_MEMBERS;
use crate::runtime::executor::Executor;

/// How sends are made that belong together, and what became of them.
pub(crate) struct Sender {
    /// Without one, each is a call of its own.
    pub(crate) ring: Option<SendRing>,
    /// Of those that are being reported: the slot, how many bytes were offered, what the socket took.
    pub(crate) done: Vec<(u32, usize, io::Result<usize>)>,
}

impl Sender {
    /// The sender of this thread: with a ring where the shard has others, too.
    pub(crate) fn new(executor: Executor) -> Self {
        let ring = (executor == Executor::Glommio).then(SendRing::new).and_then(|ring| {
            ring.inspect_err(|error| tracing::debug!(%error, "sends are calls: no ring is to be had for them")).ok()
        });
        Self { ring, done: Vec::new() }
    }
}

/// A ring for sends.
pub(crate) struct SendRing {
    ring: IoUring,
    /// What became of them: bytes, or an error of the kernel's as a negative number.
    results: Vec<i32>,
}

impl SendRing {
    /// A ring for the sends of this thread. Errors: the kernel has none, or refuses it.
    pub(crate) fn new() -> io::Result<Self> {
        let entries = u32::try_from(SLICE_MEMBERS.next_power_of_two()).expect("a slice is small");
        // Its work is done where the thread waits for it: no other processor is interrupted for that.
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(entries)?;
        Ok(Self { ring, results: Vec::with_capacity(SLICE_MEMBERS) })
    }

    /// Sends to each socket what it takes now, at most [`SLICE_MEMBERS`] of them; returns, in their order, how many
    /// bytes that were: 0 means that the socket is full. Errors: that connection is broken.
    pub(crate) fn send_all<'a>(
        &mut self,
        sends: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>,
    ) -> impl ExactSizeIterator<Item = io::Result<usize>> {
        let flags = (SendFlags::NOSIGNAL | SendFlags::DONTWAIT).bits().cast_signed();
        self.results.clear();
        for ((fd, bytes), number) in sends.zip(0_u64..) {
            let len = u32::try_from(bytes.len()).expect("a log is bounded");
            let fd = types::Fd(fd.as_raw_fd());
            let entry = opcode::Send::new(fd, bytes.as_ptr(), len).flags(flags).build().user_data(number);
            #[allow(unsafe_code, reason = "the kernel reads the bytes while we hold a pointer only")]
            // SAFETY: descriptor and bytes are borrowed for as long as this function runs, which does not return before
            // `finish` has seen the completion of every entry.
            unsafe { self.ring.submission().push(&entry) }.expect("the ring has a place for each member of a slice");
            self.results.push(0);
        }
        self.finish();
        self.results.iter().map(|&result| match result {
            sent if sent >= 0 => Ok(usize::try_from(sent).expect("it is not negative")),
            refused if is_no_error(-refused) => Ok(0),
            error => Err(io::Error::from_raw_os_error(-error)),
        })
    }

    /// Waits for all that was submitted; a send that does not wait is over at once.
    fn finish(&mut self) {
        let mut left = self.results.len();
        while left > 0 {
            match self.ring.submit_and_wait(left) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The kernel may hold pointers into memory that we are about to use again.
                Err(error) => panic!("the ring for sends fails: {error}"),
            }
            for completion in self.ring.completion() {
                let number = usize::try_from(completion.user_data()).expect("it was made from a small number");
                self.results[number] = completion.result();
                left -= 1;
            }
        }
    }
}

fn is_no_error(number: i32) -> bool {
    [rustix::io::Errno::AGAIN, rustix::io::Errno::INTR].iter().any(|errno| errno.raw_os_error() == number)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::SendRing;
    use crate::limits::SLICE_MEMBERS;

    #[test]
    fn each_socket_takes_what_it_can_and_a_broken_one_is_named() {
        let Ok(mut ring) = SendRing::new() else { return };
        let (mut pairs, mut text) = (Vec::new(), vec![0; 9]);
        for _ in 0..SLICE_MEMBERS {
            pairs.push(UnixStream::pair().expect("a pair"));
        }
        for round in 0..3 {
            let sends = pairs.iter().map(|(here, _)| (here.as_fd(), b"something".as_slice()));
            let sent: Vec<usize> = ring.send_all(sends).map(|sent| sent.expect("it takes that")).collect();
            assert_eq!(sent, vec![9; SLICE_MEMBERS], "round {round}");
            for (_, there) in &mut pairs {
                there.read_exact(&mut text).expect("it has come");
                assert_eq!(text, b"something");
            }
        }
        let (full, _reader) = UnixStream::pair().expect("a pair");
        let (broken, gone) = UnixStream::pair().expect("a pair");
        drop(gone);
        let much = vec![7; 64 << 20];
        let sends = [(full.as_fd(), much.as_slice()), (full.as_fd(), b"more"), (broken.as_fd(), b"lost")];
        let sent: Vec<_> = ring.send_all(sends.into_iter()).collect();
        assert!(sent[0].as_ref().is_ok_and(|&sent| sent < much.len()), "{sent:?}");
        assert!(sent[1].as_ref().is_ok_and(|&sent| sent == 0) && sent[2].is_err(), "{sent:?}");
    }
}
