//! Non-blocking TCP sockets: connect from a chosen source address, send, receive; the file limit and CPU pinning.
//!
//! Invariant: a socket made here resets its connection when it is dropped, so runs leave no TIME_WAIT behind.
//! Never here: buffers that outlive a call.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// What a non-blocking call brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// This many bytes, at least one.
    Bytes(usize),
    /// Nothing at the moment.
    Nothing,
    /// The stream has ended or failed.
    Ended,
}

/// Begins to connect to `to` from a port of `from`. With few `receive_bytes` the server feels a slow reader soon.
///
/// # Errors
/// What the kernel says: no file left, no port left, refused.
pub fn connect(from: Ipv4Addr, to: SocketAddrV4, receive_bytes: usize) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    sockopt::set_socket_recv_buffer_size(&socket, receive_bytes)?;
    net::bind(&socket, &SocketAddrV4::new(from, 0))?;
    match net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// A connection on which sending waits.
///
/// # Errors
/// What the kernel says: refused, not within that time.
pub fn blocking(to: SocketAddrV4, within: Duration) -> io::Result<OwnedFd> {
    let stream = std::net::TcpStream::connect_timeout(&to.into(), within)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(within))?;
    Ok(stream.into())
}

/// How a connect that was begun ended.
///
/// # Errors
/// Why it failed.
pub fn connected(socket: &OwnedFd) -> io::Result<()> {
    sockopt::socket_error(socket)?.map_err(io::Error::from)
}

fn moved(result: Result<usize, Errno>) -> Moved {
    match result {
        Ok(0) => Moved::Ended,
        Ok(bytes) => Moved::Bytes(bytes),
        Err(Errno::AGAIN | Errno::INTR) => Moved::Nothing,
        Err(_) => Moved::Ended,
    }
}

/// Receives into `buffer`, which is not empty.
#[inline]
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Moved {
    moved(net::recv(socket, buffer, RecvFlags::empty()).map(|(_, bytes)| bytes))
}

/// Whether something has come, or the end of the stream, that was not received yet.
#[must_use]
pub fn has_unread(socket: &OwnedFd) -> bool {
    moved(net::recv(socket, &mut [0_u8; 1], RecvFlags::PEEK).map(|(_, bytes)| bytes)) != Moved::Nothing
}

/// Sends what the socket takes of `bytes`, which is not empty.
#[inline]
pub fn send(socket: &OwnedFd, bytes: &[u8]) -> Moved {
    moved(net::send(socket, bytes, SendFlags::NOSIGNAL))
}

/// Makes the file limit as high as this process may; returns it.
#[must_use]
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    now.unwrap_or(u64::MAX)
}

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// When there is no such CPU for this process.
pub fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)?;
    Ok(())
}
