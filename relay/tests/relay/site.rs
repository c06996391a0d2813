//! The least HTTP server that a test needs: one request a connection, one function for all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// What was asked.
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// A status, a further header if any, and a body.
pub(crate) type Answer = (u16, Option<String>, String);

/// Serves for as long as the process lives. No answer: the connection ends without a word.
pub(crate) fn serve(answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = listener.local_addr().expect("it is bound");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            // A peer that was killed is no error here.
            std::thread::spawn(move || one(stream, answer.as_ref()).ok());
        }
    });
    address
}

fn one(mut stream: TcpStream, answer: &(impl Fn(&Request) -> Option<Answer> + ?Sized)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        // The peer was killed before it had asked.
        return Ok(());
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { target, headers, body: String::new() };
    let len = request.header("content-length").parse().unwrap_or(0);
    reader.take(len).read_to_string(&mut request.body)?;
    if let Some((status, header, body)) = answer(&request) {
        let header = header.map(|line| line + "\r\n").unwrap_or_default();
        let len = body.len();
        write!(stream, "HTTP/1.1 {status} X\r\n{header}content-length: {len}\r\nconnection: close\r\n\r\n{body}")?;
    }
    Ok(())
}
