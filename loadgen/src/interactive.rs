//! The prompt: one client by hand.
//!
//! Invariant: what the server says is shown as it came. Never here: verification.

use std::io::{self, BufRead, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tungstenite::{Message, WebSocket};

use crate::target::Target;

const HELP: &str = "\
join ROOM            join a room
leave [ROOM]         leave it
select SEAT [ROOM]   hold a seat
release SEAT [ROOM]  give it back
ping                 ask for a pong
raw TEXT             send TEXT as it is
help                 this list
quit                 end";

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Send(String),
    Help,
    Quit,
    Nothing,
    Wrong(String),
}

/// Reads one line; `room` is the last room that was joined.
fn read_line(line: &str, room: &mut Option<String>, client_id: &str) -> Line {
    let mut words = line.split_whitespace();
    let Some(word) = words.next() else { return Line::Nothing };
    let (first, second) = (words.next(), words.next());
    let with_room = |given: Option<&str>| given.map(str::to_owned).or_else(|| room.clone());
    let object = match (word, first) {
        ("join", Some(name)) => {
            *room = Some(name.to_owned());
            serde_json::json!({"type": "join_room", "room_id": name})
        }
        ("leave", name) => match with_room(name) {
            Some(name) => serde_json::json!({"type": "leave_room", "room_id": name}),
            None => return Line::Wrong("which room?".to_owned()),
        },
        ("select" | "release", Some(seat)) => match (word, with_room(second)) {
            ("select", Some(name)) => {
                serde_json::json!({"type": "select_seat", "room_id": name, "seat_id": seat, "user_info": {"name": client_id}})
            }
            (_, Some(name)) => serde_json::json!({"type": "release_seat", "room_id": name, "seat_id": seat}),
            (_, None) => return Line::Wrong("join a room first, or name one".to_owned()),
        },
        ("ping", _) => serde_json::json!({"type": "ping"}),
        ("raw", Some(_)) => return Line::Send(line.trim_start().trim_start_matches("raw").trim().to_owned()),
        ("help", _) => return Line::Help,
        ("quit" | "exit", _) => return Line::Quit,
        _ => return Line::Wrong(format!("not understood: {}", line.trim())),
    };
    Line::Send(object.to_string())
}

/// Runs the prompt until `quit` or the end of the input.
///
/// # Errors
/// One line when the server cannot be reached.
pub fn run(target: &Target, client_id: &str, room: Option<&str>) -> Result<u8, String> {
    let stream = TcpStream::connect_timeout(&target.addr.into(), Duration::from_secs(5))
        .map_err(|error| format!("{}: {error}", target.addr))?;
    let url = format!("ws://{}{}", target.host, target.path_of(client_id));
    let (mut socket, _) = tungstenite::client(url.as_str(), stream).map_err(|error| format!("{url}: {error}"))?;
    socket.get_mut().set_nonblocking(true).map_err(|error| error.to_string())?;
    println!("connected to {url}; `help` lists the commands");
    let mut joined = None;
    if let Some(name) = room
        && let Line::Send(text) = read_line(&format!("join {name}"), &mut joined, client_id)
    {
        send(&mut socket, text)?;
    }
    loop {
        prompt();
        let (typed, heard) = wait(&socket)?;
        if heard && !receive(&mut socket)? {
            println!("the server has closed the connection");
            return Ok(0);
        }
        if typed && !typed_line(&mut socket, &mut joined, client_id)? {
            return Ok(0);
        }
    }
}

fn prompt() {
    print!("> ");
    io::stdout().flush().expect("the terminal takes a prompt");
}

/// Waits for the keyboard or the socket.
fn wait(socket: &WebSocket<TcpStream>) -> Result<(bool, bool), String> {
    let stdin = io::stdin();
    let mut fds = [
        PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(socket.get_ref().as_fd(), PollFlags::IN),
    ];
    poll(&mut fds, None).map_err(|error| error.to_string())?;
    Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty()))
}

/// Shows what has come; `false` at the end.
fn receive(socket: &mut WebSocket<TcpStream>) -> Result<bool, String> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => println!("\r< {text}"),
            Ok(Message::Close(frame)) => println!("\r< close {frame:?}"),
            Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn send(socket: &mut WebSocket<TcpStream>, text: String) -> Result<(), String> {
    println!("\r> {text}");
    socket.send(Message::text(text)).map_err(|error| error.to_string())
}

/// Reads one line from the keyboard; `false` at the end.
fn typed_line(socket: &mut WebSocket<TcpStream>, room: &mut Option<String>, client_id: &str) -> Result<bool, String> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())? == 0 {
        return Ok(false);
    }
    match read_line(&line, room, client_id) {
        Line::Send(text) => send(socket, text)?,
        Line::Help => println!("{HELP}"),
        Line::Wrong(text) => println!("{text}"),
        Line::Quit => return Ok(false),
        Line::Nothing => {}
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{Line, read_line};

    #[test]
    fn lines_become_requests() {
        let mut room = None;
        assert_eq!(read_line("select A1", &mut room, "c"), Line::Wrong("join a room first, or name one".to_owned()));
        assert!(
            matches!(read_line("join show-1", &mut room, "c"), Line::Send(text) if text.contains("\"room_id\":\"show-1\""))
        );
        assert!(
            matches!(read_line(" release A1 ", &mut room, "c"), Line::Send(text) if text.contains("release_seat") && text.contains("show-1"))
        );
        assert!(
            matches!(read_line("raw {\"type\":\"x\"}", &mut room, "c"), Line::Send(text) if text == "{\"type\":\"x\"}")
        );
        assert_eq!(read_line("quit", &mut room, "c"), Line::Quit);
        assert_eq!(read_line("", &mut room, "c"), Line::Nothing);
        assert!(matches!(read_line("dance", &mut room, "c"), Line::Wrong(_)));
    }
}
