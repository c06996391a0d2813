//! The system calls: sockets and readiness. Knows nothing of WebSockets or seats.

pub mod epoll;
pub mod socket;
