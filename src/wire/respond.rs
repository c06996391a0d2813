//! Response heads of HTTP, and the few bodies that are the same for every path.
//!
//! Invariants: every response carries the CORS headers of the published service and says when it was made, how long it
//! is and whether the connection goes on; a response to HEAD has no content; nothing is cached unless the caller says
//! so. Never here: what the bodies of the paths say.

use super::http::{HttpError, Protocol, SECOND_PROTOCOL};
use super::json_text::{number, string};
use crate::engine::time::WallMillis;

const UPGRADE_REQUIRED: u16 = 426;

/// The media type of nearly every body.
pub const JSON: &str = "application/json";

/// As the published service had them, beside the origin, but for `Access-Control-Allow-Credentials`: beside `*`
/// browsers refuse it, and nothing here looks at a cookie.
const CORS: &str = "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\nAccess-Control-Allow-Headers: *\r\n";

/// What every response says beside what it is about.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// Whether the connection goes on.
    pub keep_alive: bool,
    /// Whose pages may read it: `*` or one origin. It is the same whoever asks, so there is nothing to vary by.
    pub allow_origin: &'a str,
    /// When it is made.
    pub now: WallMillis,
}

/// Appends a whole response. `extra` are further header lines; a `Cache-Control` among them replaces `no-store`.
pub fn respond(
    out: &mut Vec<u8>,
    status: u16,
    content_type: &str,
    body: &[u8],
    manner: Manner<'_>,
    head_only: bool,
    extra: &[(&str, &str)],
) {
    respond_head(out, status, content_type, Some(body.len()), manner, extra);
    if !head_only {
        out.extend_from_slice(body);
    }
}

/// Appends the head of a response with a body of so many bytes, or, to HEAD alone, with one that was not made.
pub fn respond_head(
    out: &mut Vec<u8>,
    status: u16,
    content_type: &str,
    body_len: Option<usize>,
    manner: Manner<'_>,
    extra: &[(&str, &str)],
) {
    begin(out, status, manner);
    header(out, "Content-Type", content_type);
    // RFC 9110 section 9.3.2: what is known only when the body is made may be left out.
    if let Some(len) = body_len {
        out.extend_from_slice(b"Content-Length: ");
        number(out, len as u64);
        out.extend_from_slice(b"\r\n");
    }
    header(out, "X-Content-Type-Options", "nosniff");
    if !extra.iter().any(|(name, _)| name.eq_ignore_ascii_case("cache-control")) {
        header(out, "Cache-Control", "no-store");
    }
    for (name, value) in extra {
        header(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends `{"error": message}` with this status.
pub fn respond_message(
    out: &mut Vec<u8>,
    status: u16,
    message: &str,
    manner: Manner<'_>,
    head_only: bool,
    extra: &[(&str, &str)],
) {
    let mut body = b"{\"error\":".to_vec();
    string(&mut body, message);
    body.push(b'}');
    respond(out, status, JSON, &body, manner, head_only, extra);
}

/// Appends the answer to a head that was refused; `manner` must say that the connection ends with it.
pub fn respond_error(out: &mut Vec<u8>, error: HttpError, manner: Manner<'_>, head_only: bool) {
    debug_assert!(!manner.keep_alive, "it is not known where the next request begins");
    let extra: &[(&str, &str)] = match error {
        HttpError::MethodNotAllowed => &[("Allow", "GET, HEAD, OPTIONS")],
        HttpError::UpgradeRequired => &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        HttpError::Bad
        | HttpError::BadHost
        | HttpError::BadClientId
        | HttpError::ReservedClientId
        | HttpError::BadRoomId
        | HttpError::BadKey
        | HttpError::BodyRefused
        | HttpError::TooLarge
        | HttpError::TargetTooLong
        | HttpError::UnsupportedVersion => &[],
    };
    respond_message(out, error.status(), error.message(), manner, head_only, extra);
}

/// Appends the answer to OPTIONS.
pub fn respond_options(out: &mut Vec<u8>, manner: Manner<'_>) {
    // 204 has neither a body nor a length (RFC 9110 section 8.6).
    begin(out, 204, manner);
    header(out, "Allow", "GET, HEAD, OPTIONS");
    header(out, "Access-Control-Max-Age", "600");
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer that makes the connection a WebSocket. No extension is chosen, and no subprotocol but the second,
/// when it was offered by its name.
pub fn accept_upgrade(out: &mut Vec<u8>, accept_key: &[u8; 28], protocol: Protocol) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    out.extend_from_slice(b"Sec-WebSocket-Accept: ");
    out.extend_from_slice(accept_key);
    out.extend_from_slice(b"\r\n");
    if protocol == (Protocol::Second { by_name: true }) {
        header(out, "Sec-WebSocket-Protocol", SECOND_PROTOCOL);
    }
    out.extend_from_slice(b"\r\n");
}

fn begin(out: &mut Vec<u8>, status: u16, manner: Manner<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(&manner.now.http_date());
    out.extend_from_slice(b"\r\n");
    header(out, "Access-Control-Allow-Origin", manner.allow_origin);
    out.extend_from_slice(CORS.as_bytes());
    // Who sends `Upgrade` lists it here (RFC 9110 section 7.8).
    let connection = match (manner.keep_alive, status) {
        (true, _) => "keep-alive",
        (false, UPGRADE_REQUIRED) => "close, Upgrade",
        (false, _) => "close",
    };
    header(out, "Connection", connection);
}

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The phrase beside a status. It means nothing, and may be empty.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        UPGRADE_REQUIRED => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
