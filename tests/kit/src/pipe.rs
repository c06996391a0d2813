//! Pipes that nobody reads.

use std::io::{ErrorKind, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::fcntl_setpipe_size;

/// A pipe that is full of `x`: the next write to it waits until somebody reads.
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    fcntl_setpipe_size(&writer, 4_096).expect("a page is allowed");
    set_blocking(&writer, false);
    for size in [4_096, 1] {
        loop {
            match writer.write(&vec![b'x'; size]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    set_blocking(&writer, true);
    (reader, writer)
}

/// Says whether this end of a pipe, for all who have it, waits for the other one.
pub fn set_blocking(pipe: &impl AsFd, blocking: bool) {
    let mut flags = fcntl_getfl(pipe).expect("a pipe has flags");
    flags.set(OFlags::NONBLOCK, !blocking);
    fcntl_setfl(pipe, flags).expect("it can be set");
}
