//! Request targets: the forms they may have, and the places of this site.
//!
//! `/ws/{client_id}` and `/room/{room_id}/selections` take one path segment, `/layouts/{layout}/{version}` two; a `/`
//! inside an id is written `%2F`.
//! Paths are compared as they are written: no slashes are merged or added.
//! Invariant: an id in a place is valid. Never here: header lines.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::HttpError;
use super::fields::is_authority;
use crate::engine::ids::{ClientId, RoomId, is_reserved_client, is_valid_id};
use crate::files::{self, File};

/// What a path names.
pub(super) enum Place {
    Home,
    Health,
    Ready,
    Stats,
    Metrics,
    Selections(RoomId),
    /// A layout and its version. There may be none such.
    Layout(Box<str>, Box<str>),
    Socket(ClientId),
    File(&'static File),
    /// The server as a whole: `*`, or a URL without a path.
    Server,
    Nothing,
}

/// Reads a request target: the place and the query.
pub(super) fn read(target: &str, is_options: bool) -> Result<(Place, &str), HttpError> {
    if target == "*" && is_options {
        return Ok((Place::Server, ""));
    }
    // A fragment is the client's alone and never sent (RFC 9112 section 3.2).
    if target.contains('#') {
        return Err(HttpError::Bad);
    }
    let local = local_part(target)?;
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    if local.is_empty() && is_options {
        return Ok((Place::Server, query));
    }
    Ok((find(path)?, query))
}

/// What stands behind the authority of a whole URL (RFC 9112 section 3.2.2); nothing is before the path otherwise.
/// TLS ends before this server, so `https` may well be meant for it, and no other scheme.
fn local_part(target: &str) -> Result<&str, HttpError> {
    if target.starts_with('/') {
        return Ok(target);
    }
    let (scheme, rest) = target.split_once("://").ok_or(HttpError::Bad)?;
    let (authority, local) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_ours = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let has_host = !authority.is_empty() && !authority.starts_with(':') && is_authority(authority.as_bytes());
    (is_ours && has_host).then_some(local).ok_or(HttpError::Bad)
}

fn find(path: &str) -> Result<Place, HttpError> {
    match path {
        "/" | "" => return Ok(Place::Home),
        "/health" => return Ok(Place::Health),
        "/ready" => return Ok(Place::Ready),
        "/stats" => return Ok(Place::Stats),
        "/metrics" => return Ok(Place::Metrics),
        _ => {}
    }
    if let Some(segment) = path.strip_prefix("/ws/") {
        let client = id(segment, ClientId::new).ok_or(HttpError::BadClientId)?;
        let is_reserved = is_reserved_client(client.as_str());
        return if is_reserved { Err(HttpError::ReservedClientId) } else { Ok(Place::Socket(client)) };
    }
    let room = path.strip_prefix("/room/").and_then(|rest| rest.strip_suffix("/selections"));
    if let Some(segment) = room.filter(|segment| !segment.contains('/')) {
        return id(segment, RoomId::new).map(Place::Selections).ok_or(HttpError::BadRoomId);
    }
    if let Some((layout, version)) = path.strip_prefix("/layouts/").and_then(|rest| rest.split_once('/')) {
        let text = |segment| id(segment, |text| is_valid_id(text).then(|| text.into()));
        let place = text(layout).zip(text(version)).map(|(layout, version)| Place::Layout(layout, version));
        return Ok(place.unwrap_or(Place::Nothing));
    }
    let file = path.strip_prefix("/static/").and_then(files::find);
    Ok(file.map_or(Place::Nothing, Place::File))
}

/// The id in a path segment.
fn id<T>(segment: &str, make: impl Fn(&str) -> Option<T>) -> Option<T> {
    make(&decode(segment).filter(|_| !segment.contains('/'))?)
}

/// The text that percent signs hide, when it is UTF-8. A percent sign that hides nothing is itself, as in the old
/// service.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// The value of the first pair of this name in a query.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Whether a query asks for the second protocol.
pub(super) fn asks_for_v2(query: &str) -> bool {
    value(query, "v") == Some("2")
}

/// The token of a query. One that is no text is none that could be good.
pub(super) fn token(query: &str) -> Option<Cow<'_, str>> {
    value(query, "token").map(|token| decode(token).unwrap_or_default())
}

/// In a query a plus sign is a space: browsers write both `+` and `%20`. What is not a room id is no hint.
pub(super) fn room_hint(query: &str) -> Option<RoomId> {
    let spaced = value(query, "room")?.replace('+', " ");
    RoomId::new(&decode(&spaced)?)
}
