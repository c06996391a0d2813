//! Readers for the texts of settings. A reader returns `None` for a text that is not allowed.
//!
//! Never here: which setting is which.

use std::net::{IpAddr, Ipv4Addr};

/// What `read` makes of each item between commas.
pub(super) fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|item| read(item.trim())).collect()
}

pub(super) fn address(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { text.parse().ok() }
}

/// An origin as browsers write it (RFC 6454 section 6.1), since it is compared as it is written: in small letters,
/// without a path, without the port that its scheme has anyway. `null` is that of a page without one, such as an opened
/// file.
pub(super) fn origin(text: &str) -> Option<String> {
    if text == "null" {
        return Some(text.into());
    }
    let (scheme, host) = text.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let is_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte);
    let usual_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => ":",
    };
    let is_whole = !scheme.is_empty() && !host.is_empty() && !host.ends_with(usual_port) && !host.ends_with(':');
    (is_whole && scheme.bytes().all(is_scheme) && host.bytes().all(is_host)).then(|| text.into())
}

/// Any origin, or one.
pub(super) fn allow_origin(text: &str) -> Option<String> {
    if text == "*" { Some(text.into()) } else { origin(text) }
}

pub(super) fn redis_url(text: &str) -> Option<String> {
    let schemes = ["redis://", "rediss://", "unix://", "redis+unix://"];
    schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)).then(|| text.into())
}

pub(super) fn host_name(text: &str) -> Option<String> {
    (!text.contains(['/', ',', ' ', '@'])).then(|| text.into())
}

pub(super) fn host_and_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    (!host.is_empty() && host_name(host).is_some() && port.parse::<u16>().is_ok_and(|port| port > 0))
        .then(|| text.into())
}

/// A port, or `off`: none.
pub(super) fn port_or_off(text: &str) -> Option<Option<u16>> {
    if text.eq_ignore_ascii_case("off") { Some(None) } else { text.parse().ok().map(Some) }
}

pub(super) fn namespace(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    (text.len() <= 64 && text.bytes().all(plain)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for good in [
            "https://tickets.example",
            "http://localhost:8080",
            "https://[2001:db8::1]:8443",
            "capacitor://localhost",
            "http://tickets.example:443",
            "null",
        ] {
            assert_eq!(origin(good).as_deref(), Some(good));
        }
        for bad in [
            "*",
            "",
            "tickets.example",
            "https://",
            "://tickets.example",
            "https://Tickets.example",
            "https://tickets.example/",
            "https://tickets.example/shop",
            "https://tickets.example:443",
            "http://tickets.example:80",
            "https://tickets.example:",
            "https://a b",
            "https://*.example",
            "https://ñandú.example",
        ] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
