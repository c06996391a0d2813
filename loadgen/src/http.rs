//! A small blocking HTTP client for `/health`, `/stats` and `/room/{id}/selections`.
//!
//! Invariant: every call ends within its time-out. Never here: the meaning of an answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use crate::limits::HTTP_BODY_MAX;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, for looking at headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Asks once, on a connection of its own. With `head_only` (HEAD) no body is read.
///
/// # Errors
/// When the server does not answer within `within`, or not in HTTP.
pub fn request(addr: SocketAddrV4, method: &str, path: &str, within: Duration) -> io::Result<Answer> {
    send(addr, (method, path), "", b"", within)
}

/// Asks with more lines of the head (each with its end) and a body.
///
/// # Errors
/// As [`request`].
pub fn send(
    addr: SocketAddrV4,
    (method, path): (&str, &str),
    head: &str,
    body: &[u8],
    within: Duration,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&addr.into(), within)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let first = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{length}{head}\r\n");
    stream.write_all(first.as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let (head_length, status, length) = loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(invalid("the connection ended inside the response head"));
        }
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(parsed) = parse_head(&bytes)? {
            break parsed;
        }
    };
    let want = if method == "HEAD" { Some(0) } else { length };
    while want.is_none_or(|want| bytes.len() - head_length < want) {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
        if bytes.len() > HTTP_BODY_MAX {
            return Err(invalid("the body is too long"));
        }
    }
    let body = bytes.split_off(head_length);
    if want.is_some_and(|want| want != body.len()) {
        return Err(invalid("the body is not as long as announced"));
    }
    Ok(Answer { status, head: String::from_utf8_lossy(&bytes).into_owned(), body })
}

/// `None` while the head is not whole; else its length, the status and the announced length of the body.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(usize, u16, Option<usize>)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let announced = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let announced = announced.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
            Ok(Some((length, response.code.unwrap_or(0), announced)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(invalid("this is not an HTTP response")),
    }
}

/// `GET path`.
///
/// # Errors
/// As [`request`].
pub fn get(addr: SocketAddrV4, path: &str, within: Duration) -> io::Result<Answer> {
    request(addr, "GET", path, within)
}
