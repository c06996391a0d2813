//! Request heads of HTTP: what is asked for, and whether it may become a WebSocket.
//!
//! Owns: what the rules of RFC 9110, RFC 9112 and RFC 6455 section 4.2.1 ask of a request, in four leaves: `fields`
//! the header lines, `encodings` one of them, `target` the paths, `error` the refusals. Invariants: a head is judged as
//! soon as its bytes allow it, and the same however they are cut; ids in a [`Target`] are valid; requests have no body.
//! Never here: what is answered (see `respond`), sockets. This is the only folder that names httparse.
//!
//! What `Host` says does not matter, since there is one site; that it says one thing does.

mod encodings;
mod error;
mod fields;
mod target;

use std::borrow::Cow;
use std::fmt;

use httparse::{EMPTY_HEADER, Error, Request, Status};
use memchr::memchr_iter;

pub use self::error::HttpError;
use self::fields::Fields;
use self::target::Place;
use crate::engine::ids::{ClientId, RoomId};
use crate::files::File;
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX};

/// The name of the second protocol among those that a WebSocket may offer.
pub const SECOND_PROTOCOL: &str = "seats.v2.json";

/// What a WebSocket speaks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Protocol {
    /// The first protocol, for all who ask for nothing else.
    #[default]
    First,
    /// The second.
    Second {
        /// It was offered by its name, which the answer repeats; otherwise the query asks for it.
        by_name: bool,
    },
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// `/ws/{client_id}`: an upgrade that is right in every respect.
    Socket {
        /// The client's name.
        client: ClientId,
        /// The room of `?room=`, which the client means to join first. A hint: what is not a room id is no hint.
        room_hint: Option<RoomId>,
        /// For `Sec-WebSocket-Accept`.
        accept_key: [u8; 28],
        /// What is spoken.
        protocol: Protocol,
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
    /// `/layouts/{layout}/{version}`
    Layout {
        /// The layout. There may be none of this name.
        layout: Box<str>,
        /// Its version, the same.
        version: Box<str>,
        /// Whether the answer may be compressed by gzip, and had better be.
        takes_gzip: bool,
    },
    /// `/`
    Home,
    /// A file below `/static/` that there is, such as `butaca-client.js`.
    File(&'static File),
    /// OPTIONS of something that there is, or of the server: a CORS preflight.
    Options,
    /// Anything else.
    NotFound,
}

/// A token, which is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer<'a>(Cow<'a, str>);

impl Bearer<'_> {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(secret)")
    }
}

/// A request without its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpRequest<'a> {
    /// What is asked for.
    pub target: Target,
    /// HEAD: the answer has no body.
    pub head_only: bool,
    /// Whether the client sends further requests on this connection.
    pub keep_alive: bool,
    /// Whose page asks, when a browser does (RFC 6454).
    pub origin: Option<&'a [u8]>,
    /// The last `X-Forwarded-For` line, which the nearest proxy wrote. To be believed from trusted proxies only.
    pub forwarded_for: Option<&'a [u8]>,
    /// What the client has got already (`If-None-Match`, RFC 9110 section 13.1.2).
    pub has: Option<&'a [u8]>,
    /// With what the client says who it is: of an `Authorization` line, else among the protocols, else in the query.
    /// Never to be written anywhere.
    pub token: Option<Bearer<'a>>,
}

/// Reads the request head at the front of `bytes`: its length, up to and including the blank line, and the request.
/// `None` when it is not whole yet.
///
/// # Errors
/// The head is refused, possibly before it is whole.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(usize, HttpRequest<'_>)>, HttpError> {
    let window = &bytes[..bytes.len().min(HTTP_HEAD_BYTES_MAX)];
    if has_bare_line(window) {
        return Err(HttpError::Bad);
    }
    let mut headers = [EMPTY_HEADER; HTTP_HEADERS_MAX];
    let mut head = Request::new(&mut headers);
    match head.parse(window) {
        Ok(Status::Complete(used)) => Ok(Some((used, read_request(&head)?))),
        Ok(Status::Partial) if bytes.len() < HTTP_HEAD_BYTES_MAX => Ok(None),
        Ok(Status::Partial) if !has_a_line(window) => Err(HttpError::TargetTooLong),
        Ok(Status::Partial) | Err(Error::TooManyHeaders) => Err(HttpError::TooLarge),
        Err(Error::Version) => Err(HttpError::UnsupportedVersion),
        Err(Error::HeaderName | Error::HeaderValue | Error::NewLine | Error::Status | Error::Token) => {
            Err(HttpError::Bad)
        }
    }
}

/// Whether what was received is a HEAD, as far as it is there: no answer to one has content, a refusal neither.
#[must_use]
pub fn is_head(bytes: &[u8]) -> bool {
    without_empty_lines(bytes).starts_with(b"HEAD ")
}

/// Empty lines before a request are no part of it (RFC 9112 section 2.2).
fn without_empty_lines(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    &bytes[start.unwrap_or(bytes.len())..]
}

fn has_a_line(bytes: &[u8]) -> bool {
    let rest = without_empty_lines(bytes);
    rest.is_empty() || rest.contains(&b'\n')
}

/// Whether a line of the head ends without a carriage return. httparse lets it pass, as it may (RFC 9112 section 2.2);
/// whoever stands in front of this server may not, and then they disagree about where a head ends.
fn has_bare_line(bytes: &[u8]) -> bool {
    let is_bare = |&at: &usize| at == 0 || bytes[at - 1] != b'\r';
    let Some(at) = memchr_iter(b'\n', bytes).find(is_bare) else { return false };
    let mut headers = [EMPTY_HEADER; HTTP_HEADERS_MAX];
    match Request::new(&mut headers).parse(&bytes[..=at]) {
        Ok(Status::Partial) => true,
        // What ends before it is whole; the rest is another head.
        Ok(Status::Complete(used)) => used == at + 1,
        Err(_) => false,
    }
}

fn read_request<'a>(head: &Request<'_, 'a>) -> Result<HttpRequest<'a>, HttpError> {
    let method = head.method.expect("the head is whole");
    let target = head.path.expect("the head is whole");
    let is_1_1 = head.version.expect("the head is whole") == 1;
    let fields = Fields::read(head.headers, is_1_1)?;
    if !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        return Err(HttpError::MethodNotAllowed);
    }
    if fields.has_body {
        return Err(HttpError::BodyRefused);
    }
    let token = |query| fields.token().map(Cow::Borrowed).or_else(|| target::token(query));
    let answerable = |target, query| HttpRequest {
        token: token(query).map(Bearer),
        target,
        head_only: method == "HEAD",
        keep_alive: !fields.close && (is_1_1 || fields.keep_alive),
        origin: fields.origin,
        forwarded_for: fields.forwarded_for,
        has: fields.has,
    };
    let is_options = method == "OPTIONS";
    let (place, query) = target::read(target, is_options)?;
    if is_options && !matches!(place, Place::Nothing) {
        return Ok(answerable(Target::Options, ""));
    }
    let target = match place {
        Place::Nothing => Target::NotFound,
        Place::Socket(client) if method == "GET" && is_1_1 && fields.asks_for_upgrade() => {
            let accept_key = fields.accept_key()?;
            let protocol = if fields.offers_v2 || target::asks_for_v2(query) {
                Protocol::Second { by_name: fields.offers_v2 }
            } else {
                Protocol::First
            };
            Target::Socket { client, room_hint: target::room_hint(query), accept_key, protocol }
        }
        Place::Socket(_) => return Err(HttpError::UpgradeRequired),
        Place::Home | Place::Server => Target::Home,
        Place::Health => Target::Health,
        Place::Ready => Target::Ready,
        Place::Stats => Target::Stats,
        Place::Metrics => Target::Metrics,
        Place::Selections(room) => Target::Selections { room },
        Place::Layout(layout, version) => Target::Layout { layout, version, takes_gzip: fields.encodings.takes_gzip() },
        Place::File(file) => Target::File(file),
    };
    Ok(answerable(target, query))
}
