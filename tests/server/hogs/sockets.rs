//! Sockets of a hostile client: they send what they are told to and need not read. Never here: what is sent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use rustix::net::{AddressFamily, SocketType, connect, socket};

use crate::harness::Server;
use crate::harness::client::{text_frame, upgrade};

/// The smallest window that the kernel grants.
const NARROW_BYTES: usize = 2_304;

/// One socket.
pub(super) struct Hostile(pub(super) TcpStream);

impl Hostile {
    /// Connected, and nothing said.
    pub(super) fn dial(server: &Server, narrow: bool) -> Self {
        Self::dial_to(server.address, narrow)
    }

    /// The same, to another of its ports.
    pub(super) fn dial_to(address: SocketAddr, narrow: bool) -> Self {
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        if narrow {
            set_socket_recv_buffer_size(&fd, NARROW_BYTES).expect("a socket option");
        }
        connect(&fd, &address).expect("the server listens");
        let stream = TcpStream::from(fd);
        stream.set_nodelay(true).expect("a socket option");
        stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a socket option");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
        Self(stream)
    }

    /// A WebSocket.
    pub(super) fn open(server: &Server, id: &str, narrow: bool) -> Self {
        Self::open_with(server, id, narrow, "")
    }

    /// The same with a query, such as that of the second protocol.
    pub(super) fn open_with(server: &Server, id: &str, narrow: bool, query: &str) -> Self {
        let mut socket = Self::dial(server, narrow);
        socket.push(upgrade(id, query).as_bytes());
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && matches!(socket.0.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        socket
    }

    /// Sends what the server takes in a moment. Says whether that was everything.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Sends everything, however slowly the server takes it, unless it hangs up.
    pub(super) fn send_whole(&mut self, bytes: &[u8]) {
        self.0.set_write_timeout(Some(Duration::from_secs(20))).expect("a socket option");
        self.push(bytes);
    }

    /// Waits for an answer, or the end.
    pub(super) fn first_byte(&mut self) {
        drop(self.0.read(&mut [0]));
    }

    /// Sends messages in one train.
    pub(super) fn train(&mut self, texts: impl IntoIterator<Item = String>) -> bool {
        let bytes: Vec<u8> = texts.into_iter().flat_map(|text| text_frame(&text)).collect();
        self.push(&bytes)
    }

    /// Reads and forgets what is there; gives up when nothing comes for a moment.
    pub(super) fn drain(&mut self) {
        self.0.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket option");
        let mut bytes = [0; 64 * 1024];
        while matches!(self.0.read(&mut bytes), Ok(1..)) {}
    }

    /// Reads up to `len` bytes that are there.
    pub(super) fn sip(&mut self, len: usize) {
        self.0.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket option");
        drop(self.0.read(&mut vec![0; len]));
    }

    /// Says that nothing more will be sent.
    pub(super) fn half_close(&self) {
        self.0.shutdown(Shutdown::Write).ok();
    }

    /// Ends with a reset.
    pub(super) fn reset(self) {
        set_socket_linger(&self.0, Some(Duration::ZERO)).expect("a socket option");
    }
}
