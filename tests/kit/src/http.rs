//! A client for HTTP/1.1 that sees every byte.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// One response.
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {}\n{}", self.head, String::from_utf8_lossy(&self.body));
        })
    }
}

/// One connection.
pub struct Http {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Http {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, bytes: Vec::new() }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server reads");
    }

    /// The same, one segment a byte.
    pub fn send_byte_by_byte(&mut self, text: &str) {
        text.as_bytes().iter().for_each(|byte| self.stream.write_all(&[*byte]).expect("the server reads"));
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("the socket is open");
    }

    /// The next response; one to HEAD has no body whatever its length says.
    pub fn response(&mut self, to_head: bool) -> Response {
        self.try_response(to_head).expect("a response and not the end")
    }

    /// Sends a request and reads the response, unless the server hangs up without one, by a goodbye or by a reset.
    pub fn ask(&mut self, request: &str) -> Option<Response> {
        self.stream.write_all(request.as_bytes()).ok()?;
        let mut byte = [0];
        match self.stream.peek(&mut byte) {
            Ok(0) => None,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Ok(_) | Err(_) => Some(self.response(false)),
        }
    }

    /// The next response, or `None` at the end of the stream.
    pub fn try_response(&mut self, to_head: bool) -> Option<Response> {
        let end = loop {
            if let Some(at) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if !self.read_more() {
                assert!(self.bytes.is_empty(), "half a head: {}", String::from_utf8_lossy(&self.bytes));
                return None;
            }
        };
        let head = String::from_utf8(self.bytes.drain(..end + 4).take(end).collect()).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status line");
        let mut response = Response { status, head, body: Vec::new() };
        let length = response.header("content-length").map_or(0, |text| text.parse().expect("a length"));
        if !to_head {
            while self.bytes.len() < length {
                assert!(self.read_more(), "the body ends early");
            }
            response.body = self.bytes.drain(..length).collect();
        }
        Some(response)
    }

    /// The server hangs up, by a goodbye or by a reset, without a word.
    pub fn expect_end(&mut self) {
        let mut bytes = [0; 1024];
        match self.stream.read(&mut bytes) {
            Ok(len) => assert_eq!(len, 0, "{}", String::from_utf8_lossy(&bytes[..len])),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        let len = self.stream.read(&mut bytes).expect("an answer in time");
        self.bytes.extend_from_slice(&bytes[..len]);
        len > 0
    }
}
