//! One client of `check`: sends, and insists on what must come next.
//!
//! Invariant: a message that is not expected is an error; nothing is skipped.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::{Context, Outcome, ensure};

const WITHIN: Duration = Duration::from_secs(5);

/// A client.
pub(super) struct Peer {
    socket: WebSocket<TcpStream>,
    /// Its id.
    pub(super) id: String,
}

impl Context<'_> {
    /// A name that only this run uses.
    pub(super) fn name(&self, text: &str) -> String {
        format!("{}-{text}", self.tag)
    }

    /// Connects under an id.
    pub(super) fn connect(&self, id: &str) -> Result<Peer, String> {
        let stream = TcpStream::connect_timeout(&self.target.addr.into(), WITHIN).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(WITHIN)).map_err(|error| error.to_string())?;
        stream.set_write_timeout(Some(WITHIN)).map_err(|error| error.to_string())?;
        let query = if self.speaks_second { "?v=2" } else { "" };
        let url = format!("ws://{}{}{query}", self.target.host, self.target.path_of(id));
        let (socket, _) =
            tungstenite::client(url.as_str(), stream).map_err(|error| format!("upgrade of {url}: {error}"))?;
        Ok(Peer { socket, id: id.to_owned() })
    }

    /// Connects with a subprotocol, which must be echoed.
    pub(super) fn connect_with(&self, id: &str, subprotocol: &str) -> Result<Peer, String> {
        let stream = TcpStream::connect_timeout(&self.target.addr.into(), WITHIN).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(WITHIN)).map_err(|error| error.to_string())?;
        let url = format!("ws://{}{}", self.target.host, self.target.path_of(id));
        let uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let request = tungstenite::ClientRequestBuilder::new(uri).with_sub_protocol(subprotocol);
        let (socket, answer) =
            tungstenite::client(request, stream).map_err(|error| format!("upgrade of {url}: {error}"))?;
        let echoed = answer.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
        ensure(echoed == Some(subprotocol), || format!("echoed {echoed:?}"))?;
        Ok(Peer { socket, id: id.to_owned() })
    }

    /// Connects and joins; returns the client and `room_joined`.
    pub(super) fn member(&self, id: &str, room: &str) -> Result<(Peer, Value), String> {
        let mut peer = self.connect(&self.name(id))?;
        let joined = peer.ask(&json!({"type": "join_room", "room_id": room}), "room_joined")?;
        Ok((peer, joined))
    }
}

impl Peer {
    /// Sends a text as it is.
    pub(super) fn send_text(&mut self, text: &str) -> Outcome {
        self.socket.send(Message::text(text)).map_err(|error| format!("sending {text}: {error}"))
    }

    /// Sends a request.
    pub(super) fn send(&mut self, request: &Value) -> Outcome {
        self.send_text(&request.to_string())
    }

    /// Writes bytes beside the WebSocket layer.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> Outcome {
        self.socket.get_mut().write_all(bytes).map_err(|error| error.to_string())
    }

    /// The next message, which must be JSON.
    pub(super) fn next(&mut self) -> Result<Value, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return serde_json::from_str(&text).map_err(|error| format!("not JSON: {text}: {error}"));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(other) => return Err(format!("not a text message: {other:?}")),
                Err(error) => return Err(format!("waiting for a message: {error}")),
            }
        }
    }

    /// The next message, which must be of this type.
    pub(super) fn expect(&mut self, kind: &str) -> Result<Value, String> {
        let message = self.next()?;
        ensure(message["type"] == kind, || format!("expected {kind}, got {message}"))?;
        Ok(message)
    }

    /// Sends a request and takes the reply, which must be the next message.
    pub(super) fn ask(&mut self, request: &Value, reply: &str) -> Result<Value, String> {
        self.send(request)?;
        self.expect(reply)
    }

    /// Sends a request that must be refused with this code.
    pub(super) fn refused(&mut self, request: &Value, code: &str) -> Result<Value, String> {
        let message = self.ask(request, "error")?;
        ensure(message["code"] == code, || format!("{request}: expected code {code}, got {message}"))?;
        let complete = message["message"].is_string() && is_time(&message["timestamp"]);
        ensure(complete, || format!("an error needs message and timestamp: {message}"))?;
        Ok(message)
    }

    /// Nothing has come: the answer to a ping is the next message.
    pub(super) fn quiet(&mut self) -> Outcome {
        self.ask(&json!({"type": "ping"}), "pong").map(|_| ())
    }

    /// Selects a seat.
    pub(super) fn select(&mut self, room: &str, seat: &str) -> Result<Value, String> {
        self.ask(
            &json!({"type": "select_seat", "room_id": room, "seat_id": seat, "user_info": {"name": "Eva"}}),
            "seat_selected",
        )
    }

    /// Gives a seat back.
    pub(super) fn release(&mut self, room: &str, seat: &str) -> Result<Value, String> {
        self.ask(&json!({"type": "release_seat", "room_id": room, "seat_id": seat}), "seat_released")
    }

    /// The code with which the server closes.
    pub(super) fn close_code(&mut self) -> Result<u16, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(Some(frame))) => return Ok(frame.code.into()),
                Ok(Message::Close(None)) => return Ok(1005),
                Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                }
                Err(error) => return Err(format!("no close frame came: {error}")),
            }
        }
    }

    /// Begins the closing handshake.
    pub(super) fn close(&mut self) -> Outcome {
        self.socket.close(None).map_err(|error| error.to_string())
    }
}

/// Whether a value is a time of the wire.
pub(super) fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| crate::clock::parse_wire_time(text.as_bytes()).is_some())
}
