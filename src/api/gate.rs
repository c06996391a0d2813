//! Who is let in: by key, or, where there are no keys, from this machine only.
//!
//! Without keys a page of any site could make a visitor's browser ask for it. So then the `Host` must be a name of
//! loopback, which a page whose name an attacker points at 127.0.0.1 has not, and an `Origin` must be this very server,
//! which is said by every browser with whatever it does to other sites. Never here: what a call does.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use super::keys::{Keys, Role};
use super::problem::{BAD_REQUEST, FORBIDDEN, HOST_NOT_ALLOWED, Problem, UNAUTHORIZED};
use crate::limits::api::API_KEYS_FILE_BYTES_MAX;

/// Whether a call has come by a connection from somebody who may do it.
#[derive(Clone, Default, Debug)]
pub(super) struct Known(Arc<AtomicBool>);

impl Known {
    /// One has.
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The keys, which may be read again.
#[derive(Debug)]
pub(super) struct Gate {
    /// Where they are from; `None`: there are none.
    file: Option<PathBuf>,
    keys: Mutex<Option<Arc<Keys>>>,
}

impl Gate {
    /// Reads the keys.
    ///
    /// # Errors
    /// One line: the file, and what is wrong with it.
    pub(super) fn new(file: Option<PathBuf>) -> Result<Self, String> {
        let keys = file.as_deref().map(read).transpose()?.map(Arc::new);
        Ok(Self { file, keys: Mutex::new(keys) })
    }

    /// Reads the keys again. What is wrong changes nothing: the old ones stay.
    pub(super) fn reread(&self) {
        let Some(file) = self.file.as_deref() else { return };
        match read(file) {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "the API's keys were read again");
                *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
            }
            Err(line) => tracing::error!("{line}; the keys stay as they were"),
        }
    }

    /// How many keys there are; `None`: nobody needs one.
    pub(super) fn keys(&self) -> Option<usize> {
        self.now().map(|keys| keys.len())
    }

    fn now(&self) -> Option<Arc<Keys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the request comes from where it may come from.
    pub(super) fn check_origin(&self, request: &Parts) -> Result<(), Problem> {
        if self.file.is_some() {
            return Ok(());
        }
        let host = host(request)?;
        let refuse = |detail| Err(Problem::new(&HOST_NOT_ALLOWED, detail));
        if !is_loopback(host) {
            return refuse("without keys the Host must be localhost or an address of loopback");
        }
        if let Some(origin) = only(&request.headers, ORIGIN)?
            && !origin.strip_prefix("http://").is_some_and(|of| of.eq_ignore_ascii_case(host))
        {
            return refuse("without keys pages of other sites may not ask");
        }
        Ok(())
    }

    /// Whether the one who asks may do what needs `role`.
    pub(super) fn check_key(&self, headers: &HeaderMap, role: Role) -> Result<(), Problem> {
        let Some(keys) = self.now() else { return Ok(()) };
        let refuse = |detail| Err(Problem::new(&UNAUTHORIZED, detail));
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return refuse("this needs a key: Authorization: Bearer KEY");
        };
        let Some(key) = bearer(value.as_bytes()) else {
            return refuse("a key is given as Authorization: Bearer KEY");
        };
        match keys.role(key) {
            None => refuse("this key is not known"),
            Some(of_key) if of_key < role => {
                let detail = format!("this needs the role {}, and the key has {}", role.word(), of_key.word());
                Err(Problem::new(&FORBIDDEN, detail))
            }
            Some(_) => Ok(()),
        }
    }
}

fn read(file: &Path) -> Result<Keys, String> {
    let failed = |why: String| format!("API_KEYS_FILE={}: {why}", file.display().to_string().escape_debug());
    let mut text = String::new();
    let opened = File::open(file).map(|opened| opened.take(API_KEYS_FILE_BYTES_MAX + 1));
    opened.and_then(|mut opened| opened.read_to_string(&mut text)).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > API_KEYS_FILE_BYTES_MAX {
        return Err(failed(format!("it has more than {API_KEYS_FILE_BYTES_MAX} bytes")));
    }
    Keys::parse(&text).map_err(failed)
}

/// The key of an `Authorization`. The scheme is written in any case (RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !key.is_empty()).then_some(key)
}

/// The value of a field that may be given once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    let text = first.map(|value| value.to_str()).transpose();
    match (text, second) {
        (Ok(text), None) => Ok(text),
        (Ok(_) | Err(_), _) => Err(Problem::new(&BAD_REQUEST, format!("{name} cannot be read"))),
    }
}

/// Which server is asked: by the request line if it says so, which must agree with `Host`.
fn host(request: &Parts) -> Result<&str, Problem> {
    let field = only(&request.headers, HOST)?.ok_or_else(|| Problem::new(&BAD_REQUEST, "there is no Host"))?;
    match request.uri.authority() {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(field) => {
            Err(Problem::new(&BAD_REQUEST, "the request line and Host name two servers"))
        }
        Some(_) | None => Ok(field),
    }
}

/// Whether this names loopback, whoever resolves it: `localhost` or a literal address, with a port or without.
fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else { return false };
        let is_end = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        return is_end && address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    }
    let name = match host.split_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return false,
        None => host,
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use axum::http::Request;

    use super::{Gate, Role, bearer, is_loopback};
    use crate::api::keys::line;

    #[test]
    fn only_names_that_nobody_can_point_elsewhere_are_loopback() {
        for good in
            ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8000", "[::ffff:127.0.0.1]"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "localhost.",
            "127.1",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "localhost:",
            "localhost:x",
            "localhost:123456",
            "a@localhost",
            "localhost:80@evil.example",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn a_key_is_given_as_bearer() {
        for (value, key) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic abc", None),
            ("abc", None),
        ] {
            assert_eq!(bearer(value.as_bytes()), key.map(str::as_bytes), "{value:?}");
        }
    }

    /// The status of the refusal; 200: there is none.
    fn check(gate: &Gate, head: &[(&str, &str)], role: Role) -> u16 {
        let request = head.iter().fold(Request::builder(), |builder, (name, value)| builder.header(*name, *value));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let verdict = gate.check_origin(&parts).and_then(|()| gate.check_key(&parts.headers, role));
        verdict.map_or_else(|problem| problem.kind.status, |()| 200)
    }

    #[test]
    fn without_keys_this_machine_may_do_everything_and_pages_of_others_nothing() {
        let gate = Gate::new(None).unwrap();
        for (head, expected) in [
            (&[("host", "localhost:8000")][..], 200),
            (&[("host", "localhost:8000"), ("authorization", "Bearer anything")], 200),
            (&[("host", "localhost:8000"), ("origin", "http://localhost:8000")], 200),
            (&[("host", "localhost:8000"), ("origin", "http://localhost:3000")], 403),
            (&[("host", "localhost:8000"), ("origin", "https://evil.example")], 403),
            (&[("host", "localhost:8000"), ("origin", "null")], 403),
            (&[("host", "evil.example")], 403),
            (&[], 400),
            (&[("host", "localhost"), ("host", "evil.example")], 400),
        ] {
            assert_eq!(check(&gate, head, Role::Manage), expected, "{head:?}");
        }
    }

    #[test]
    fn keys_are_asked_for_and_read_again() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{}\n{}", line("a", Role::Read, "reads"), line("b", Role::Sell, "sells")).unwrap();
        let gate = Gate::new(Some(file.path().to_owned())).unwrap();
        let check = |key: &str, role, expected| {
            let key = format!("Bearer {key}");
            assert_eq!(
                check(&gate, &[("host", "any.example"), ("authorization", &key)], role),
                expected,
                "{key} {role:?}"
            );
        };
        check("reads", Role::Read, 200);
        check("reads", Role::Sell, 403);
        check("sells", Role::Read, 200);
        check("sells", Role::Sell, 200);
        check("sells", Role::Manage, 403);
        check("others", Role::Read, 401);
        writeln!(file, "{}", line("c", Role::Manage, "manages")).unwrap();
        check("manages", Role::Manage, 401);
        gate.reread();
        check("manages", Role::Manage, 200);
        writeln!(file, "nonsense").unwrap();
        gate.reread();
        check("manages", Role::Manage, 200);
        let why = Gate::new(Some(file.path().to_owned())).expect_err("a wrong line");
        assert!(why.starts_with("API_KEYS_FILE=/") && why.contains(": line 4: it has 1 words"), "{why}");
    }
}
