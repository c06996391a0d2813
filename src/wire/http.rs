//! Request heads of HTTP: what is asked for, and whether it may become a WebSocket.
//!
//! Owns: the paths, the methods, the rules of the upgrade (RFC 6455 section 4.2.1), the limits of a head.
//! Invariants: a head is judged as soon as its bytes allow it; ids in a [`Target`] are valid; requests have no body.
//! Never here: what is answered (see `respond`), sockets. This is the only file that names httparse.
//!
//! `/ws/{client_id}` and `/room/{room_id}/selections` take one path segment; a `/` inside an id is written `%2F`.
//! Paths are compared as they are written: no slashes are merged or added. `Host` is not looked at: there is one site.

use std::borrow::Cow;

use httparse::{EMPTY_HEADER, Error, Header, Request, Status};
use percent_encoding::percent_decode_str;
use tungstenite::handshake::derive_accept_key;

use crate::engine::ids::{ClientId, RoomId};
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX, ID_BYTES_MAX};

const _: () = assert!(HTTP_HEAD_BYTES_MAX == 16 * 1024 && HTTP_HEADERS_MAX == 64, "the message of TooLarge says so");
const _: () = assert!(ID_BYTES_MAX == 128, "the messages about ids say so");

/// Why a request head is refused. The connection ends with the answer, since it is not known where the next request begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpError {
    /// Not a request.
    Bad,
    /// The client id of `/ws/{client_id}` is not one.
    BadClientId,
    /// The room id of `/room/{room_id}/selections` is not one.
    BadRoomId,
    /// The key of the upgrade is not 16 bytes in base64, or there are two.
    BadKey,
    /// The request has a body.
    BodyRefused,
    /// The head is longer than [`HTTP_HEAD_BYTES_MAX`] or has more than [`HTTP_HEADERS_MAX`] lines.
    TooLarge,
    /// Neither GET, HEAD nor OPTIONS.
    MethodNotAllowed,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    UnsupportedVersion,
    /// `/ws/{client_id}` without an upgrade to version 13 of the WebSocket protocol.
    UpgradeRequired,
}

impl HttpError {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Bad | Self::BadClientId | Self::BadRoomId | Self::BadKey => 400,
            Self::MethodNotAllowed => 405,
            Self::BodyRefused => 413,
            Self::UpgradeRequired => 426,
            Self::TooLarge => 431,
            Self::UnsupportedVersion => 505,
        }
    }

    /// What the answer says.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Bad => "this is not an HTTP request",
            Self::BadClientId => "client_id must be 1 to 128 bytes of UTF-8 without control characters",
            Self::BadRoomId => "room_id must be 1 to 128 bytes of UTF-8 without control characters",
            Self::BadKey => "Sec-WebSocket-Key must be 16 bytes in base64, once",
            Self::BodyRefused => "a request must have no body",
            Self::TooLarge => "the request head is longer than 16 KiB or has more than 64 headers",
            Self::MethodNotAllowed => "only GET, HEAD and OPTIONS are allowed",
            Self::UnsupportedVersion => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            Self::UpgradeRequired => "this path needs a WebSocket upgrade, version 13, by GET and HTTP/1.1",
        }
    }
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// `/ws/{client_id}`: an upgrade that is right in every respect.
    Socket {
        /// The client's name.
        client: ClientId,
        /// The room of `?room=`, which the client means to join first. A hint: what is not a room id is no hint.
        room_hint: Option<RoomId>,
        /// For `Sec-WebSocket-Accept`.
        accept_key: [u8; 28],
    },
    /// `/health`
    Health,
    /// `/ready`
    Ready,
    /// `/stats`
    Stats,
    /// `/metrics`
    Metrics,
    /// `/room/{room_id}/selections`
    Selections {
        /// The room.
        room: RoomId,
    },
    /// `/`
    Home,
    /// A name with a dot in it right below `/static/`, such as `butaca-client.js`: letters, digits, `.`, `_` and `-` only.
    Asset(&'a str),
    /// OPTIONS of any path: a CORS preflight.
    Options,
    /// Anything else.
    NotFound,
}

/// A request without its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpRequest<'a> {
    /// What is asked for.
    pub target: Target<'a>,
    /// HEAD: the answer has no body.
    pub head_only: bool,
    /// Whether the client sends further requests on this connection.
    pub keep_alive: bool,
    /// The last `X-Forwarded-For` line, which the nearest proxy wrote. To be believed from trusted proxies only.
    pub forwarded_for: Option<&'a str>,
}

/// Reads the request head at the front of `bytes`: its length, up to and including the blank line, and the request.
/// `None` when it is not whole yet.
///
/// # Errors
/// The head is refused, possibly before it is whole.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(usize, HttpRequest<'_>)>, HttpError> {
    let window = &bytes[..bytes.len().min(HTTP_HEAD_BYTES_MAX)];
    let mut headers = [EMPTY_HEADER; HTTP_HEADERS_MAX];
    let mut head = Request::new(&mut headers);
    match head.parse(window) {
        Ok(Status::Complete(used)) => Ok(Some((used, read_request(&head)?))),
        Ok(Status::Partial) if bytes.len() >= HTTP_HEAD_BYTES_MAX => Err(HttpError::TooLarge),
        Ok(Status::Partial) => Ok(None),
        Err(Error::TooManyHeaders) => Err(HttpError::TooLarge),
        Err(Error::Version) => Err(HttpError::UnsupportedVersion),
        Err(Error::HeaderName | Error::HeaderValue | Error::NewLine | Error::Status | Error::Token) => {
            Err(HttpError::Bad)
        }
    }
}

fn read_request<'a>(head: &Request<'_, 'a>) -> Result<HttpRequest<'a>, HttpError> {
    let method = head.method.expect("the head is whole");
    let url = head.path.expect("the head is whole");
    let is_1_1 = head.version.expect("the head is whole") == 1;
    if !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        return Err(HttpError::MethodNotAllowed);
    }
    let fields = Fields::read(head.headers)?;
    let target = if method == "OPTIONS" {
        Target::Options
    } else {
        let may_upgrade = method == "GET" && is_1_1 && fields.asks_for_upgrade();
        find_target(path_and_query(url)?, &fields, may_upgrade)?
    };
    Ok(HttpRequest {
        target,
        head_only: method == "HEAD",
        keep_alive: if is_1_1 { !fields.close } else { fields.keep_alive },
        forwarded_for: fields.forwarded_for,
    })
}

/// What the header lines say, as far as anybody here wants to know.
#[derive(Default)]
struct Fields<'a> {
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade_websocket: bool,
    version_13: bool,
    key: Option<&'a [u8]>,
    forwarded_for: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(headers: &[Header<'a>]) -> Result<Self, HttpError> {
        let mut fields = Self::default();
        for &Header { name, value } in headers {
            if name.eq_ignore_ascii_case("connection") {
                fields.close |= has_token(value, "close");
                fields.keep_alive |= has_token(value, "keep-alive");
                fields.connection_upgrade |= has_token(value, "upgrade");
            } else if name.eq_ignore_ascii_case("upgrade") {
                fields.upgrade_websocket |= has_token(value, "websocket");
            } else if name.eq_ignore_ascii_case("sec-websocket-version") {
                fields.version_13 |= has_token(value, "13");
            } else if name.eq_ignore_ascii_case("sec-websocket-key") {
                if fields.key.replace(value).is_some() {
                    return Err(HttpError::BadKey);
                }
            } else if name.eq_ignore_ascii_case("x-forwarded-for") {
                fields.forwarded_for = std::str::from_utf8(value).ok();
            } else if name.eq_ignore_ascii_case("content-length") {
                check_no_body(value)?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(HttpError::BodyRefused);
            }
        }
        Ok(fields)
    }

    fn asks_for_upgrade(&self) -> bool {
        self.connection_upgrade && self.upgrade_websocket && self.version_13
    }

    fn accept_key(&self) -> Result<[u8; 28], HttpError> {
        let key = self.key.filter(|key| is_key(key)).ok_or(HttpError::BadKey)?;
        Ok(derive_accept_key(key).as_bytes().try_into().expect("20 bytes of SHA-1 are 28 characters of base64"))
    }
}

/// Whether a comma-separated list has this member, whatever the case.
fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|&byte| byte == b',').any(|member| member.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// 16 bytes are 22 characters of base64 and two of padding.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_base64)
}

fn check_no_body(content_length: &[u8]) -> Result<(), HttpError> {
    match content_length {
        digits if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) => Err(HttpError::Bad),
        digits if digits.iter().all(|&digit| digit == b'0') => Ok(()),
        _ => Err(HttpError::BodyRefused),
    }
}

/// The path and the query of a request target, which may be a whole URL (RFC 9112 section 3.2.2).
fn path_and_query(url: &str) -> Result<(&str, &str), HttpError> {
    let local = if url.starts_with('/') {
        url
    } else {
        let (_scheme, rest) = url.split_once("://").ok_or(HttpError::Bad)?;
        rest.find(['/', '?']).map_or("/", |at| &rest[at..])
    };
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    Ok((if path.is_empty() { "/" } else { path }, query))
}

fn find_target<'a>(
    (path, query): (&'a str, &str),
    fields: &Fields<'_>,
    may_upgrade: bool,
) -> Result<Target<'a>, HttpError> {
    match path {
        "/" => return Ok(Target::Home),
        "/health" => return Ok(Target::Health),
        "/ready" => return Ok(Target::Ready),
        "/stats" => return Ok(Target::Stats),
        "/metrics" => return Ok(Target::Metrics),
        _ => {}
    }
    if let Some(segment) = path.strip_prefix("/ws/").filter(|segment| !segment.contains('/')) {
        let client = decode(segment).and_then(|text| ClientId::new(&text)).ok_or(HttpError::BadClientId)?;
        if !may_upgrade {
            return Err(HttpError::UpgradeRequired);
        }
        return Ok(Target::Socket { client, room_hint: room_hint(query), accept_key: fields.accept_key()? });
    }
    let room = path.strip_prefix("/room/").and_then(|rest| rest.strip_suffix("/selections"));
    if let Some(segment) = room.filter(|segment| !segment.contains('/')) {
        let room = decode(segment).and_then(|text| RoomId::new(&text)).ok_or(HttpError::BadRoomId)?;
        return Ok(Target::Selections { room });
    }
    Ok(path.strip_prefix("/static/").filter(|name| is_asset(name)).map_or(Target::NotFound, Target::Asset))
}

/// The text that percent signs hide, when it is UTF-8. A percent sign that hides nothing is itself, as in the old service.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// In a query a plus sign is a space: browsers write both `+` and `%20`.
fn room_hint(query: &str) -> Option<RoomId> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("room="))?;
    let spaced = value.replace('+', " ");
    RoomId::new(&decode(&spaced)?)
}

fn is_asset(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.bytes().all(is_plain) && !name.starts_with('.') && name.contains('.')
}
