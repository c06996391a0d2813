//! Header lines: what they say, as far as anybody here wants to know.
//!
//! Invariant: a head whose length or host two readers could understand differently is refused (RFC 9112 sections 3.2
//! and 6.3): that is what request smuggling lives on. Never here: paths, answers.

use std::net::Ipv6Addr;

use httparse::Header;
use tungstenite::handshake::derive_accept_key;

use super::encodings::Encodings;
use super::{HttpError, SECOND_PROTOCOL};

/// What the header lines say.
#[derive(Default)]
pub(super) struct Fields<'a> {
    /// The connection ends with the answer.
    pub(super) close: bool,
    /// The connection goes on, also in HTTP/1.0.
    pub(super) keep_alive: bool,
    /// The request has a body.
    pub(super) has_body: bool,
    /// The page that asks.
    pub(super) origin: Option<&'a [u8]>,
    /// The last `X-Forwarded-For` line.
    pub(super) forwarded_for: Option<&'a [u8]>,
    /// What the client has got already.
    pub(super) has: Option<&'a [u8]>,
    /// How the answer may be encoded.
    pub(super) encodings: Encodings,
    /// The second protocol is among those that are offered.
    pub(super) offers_v2: bool,
    /// The token of an `Authorization` line.
    authorization: Option<&'a [u8]>,
    /// The token that stands among the protocols, since pages cannot write header lines.
    bearer: Option<&'a [u8]>,
    has_host: bool,
    has_length: bool,
    is_chunked: bool,
    connection_upgrade: bool,
    upgrade_websocket: bool,
    version_13: bool,
    key: Option<&'a [u8]>,
    has_two_keys: bool,
}

impl<'a> Fields<'a> {
    /// Reads the lines of a request in HTTP/1.1 or, if not, HTTP/1.0.
    pub(super) fn read(headers: &[Header<'a>], is_1_1: bool) -> Result<Self, HttpError> {
        let mut fields = Self::default();
        for &Header { name, value } in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("connection") {
                fields.close |= has_token(value, "close");
                fields.keep_alive |= has_token(value, "keep-alive");
                fields.connection_upgrade |= has_token(value, "upgrade");
            } else if is("upgrade") {
                fields.upgrade_websocket |= has_token(value, "websocket");
            } else if is("sec-websocket-version") {
                fields.version_13 |= has_token(value, "13");
            } else if is("sec-websocket-key") {
                fields.has_two_keys |= fields.key.replace(value).is_some();
            } else if is("sec-websocket-protocol") {
                fields.read_protocols(value);
            } else if is("authorization") {
                fields.read_authorization(value);
            } else if is("accept-encoding") {
                fields.encodings.read(value);
            } else if is("if-none-match") {
                fields.has = Some(value);
            } else if is("x-forwarded-for") {
                fields.forwarded_for = Some(value);
            } else if is("origin") {
                if fields.origin.replace(value).is_some() {
                    return Err(HttpError::Bad);
                }
            } else if is("host") {
                if std::mem::replace(&mut fields.has_host, true) || !is_authority(value) {
                    return Err(HttpError::BadHost);
                }
            } else if is("content-length") {
                fields.read_length(value)?;
            } else if is("transfer-encoding") {
                // What comes last says where the body ends; nothing else can (RFC 9112 section 6.3).
                let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
                fields.is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
                fields.has_body = true;
                if !fields.is_chunked || !is_1_1 {
                    return Err(HttpError::Bad);
                }
            }
        }
        if fields.is_chunked && fields.has_length {
            return Err(HttpError::Bad);
        }
        if is_1_1 && !fields.has_host {
            return Err(HttpError::BadHost);
        }
        Ok(fields)
    }

    fn read_protocols(&mut self, list: &'a [u8]) {
        for protocol in list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.offers_v2 |= protocol == SECOND_PROTOCOL.as_bytes();
            if let Some(token) = protocol.strip_prefix(b"bearer.") {
                set_once(&mut self.bearer, token);
            }
        }
    }

    fn read_authorization(&mut self, value: &'a [u8]) {
        let Some((scheme, token)) = value.split_at_checked(7) else { return };
        if scheme.eq_ignore_ascii_case(b"bearer ") {
            set_once(&mut self.authorization, token.trim_ascii());
        }
    }

    /// Who asks, as the header lines say it.
    pub(super) fn token(&self) -> Option<&'a str> {
        let token = self.authorization.or(self.bearer)?;
        Some(str::from_utf8(token).unwrap_or(""))
    }

    fn read_length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if !is_number || std::mem::replace(&mut self.has_length, true) {
            return Err(HttpError::Bad);
        }
        self.has_body |= value.iter().any(|&digit| digit != b'0');
        Ok(())
    }

    /// Whether an upgrade to a WebSocket is asked for. A connection that is to end with the answer becomes none.
    pub(super) fn asks_for_upgrade(&self) -> bool {
        self.connection_upgrade && self.upgrade_websocket && self.version_13 && !self.close
    }

    /// The answer to `Sec-WebSocket-Key`.
    pub(super) fn accept_key(&self) -> Result<[u8; 28], HttpError> {
        let key = self.key.filter(|key| is_key(key) && !self.has_two_keys).ok_or(HttpError::BadKey)?;
        Ok(derive_accept_key(key).as_bytes().try_into().expect("20 bytes of SHA-1 are 28 characters of base64"))
    }
}

/// Of two tokens none counts: an empty one is never good.
fn set_once<'a>(field: &mut Option<&'a [u8]>, token: &'a [u8]) {
    *field = Some(if field.is_none() { token } else { b"" });
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

/// A host with or without a port (RFC 9110 section 7.2); an empty one, too, as the grammar has it.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let Some(text) = str::from_utf8(text).ok() else { return false };
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return port && address.parse::<Ipv6Addr>().is_ok();
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    is_port(port) && is_name(name.as_bytes())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 3986 section 3.2.2: letters, digits, a few signs, and anything behind a percent sign.
fn is_name(name: &[u8]) -> bool {
    let is_sign = |byte: u8| {
        matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || is_sign(byte);
    let mut rest = name;
    while let Some((&first, behind)) = rest.split_first() {
        rest = match (first, behind) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => behind,
            (b'%', _) => return false,
            _ if is_plain(first) => behind,
            _ => return false,
        };
    }
    true
}
