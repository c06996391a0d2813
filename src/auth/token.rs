//! Tokens of the shop (RFC 7519): who somebody is, in which rooms, and until when.
//!
//! Invariants: a token counts only under a key of ours, by the algorithm of that key; it has an end; of a token that is
//! not good nothing is believed. Never here: what somebody may do with a seat; clocks, files, the network.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Validation, decode, decode_header};

use super::keys::{KeySet, SigningKey};
use crate::engine::ids::{ClientId, is_reserved_client};
use crate::engine::time::WallMillis;
use crate::limits::auth::{JWT_KEYS_TRIED_MAX, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_ROOMS_MAX};

/// What tokens must say, as the operator decides.
#[derive(Clone, Default, Debug)]
pub struct TokenRules {
    /// Who makes them (`iss`); `None`: anybody who has the key.
    pub issuer: Option<String>,
    /// Whom they are for (`aud`); `None`: they say nothing of it.
    pub audience: Option<String>,
    /// How far the clocks of shop and server may differ, in seconds.
    pub leeway_s: u64,
}

/// What a good token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// The person (`sub`).
    pub subject: Arc<str>,
    /// What strangers see of them (`name`); `None`: what the connection calls itself.
    pub name: Option<ClientId>,
    /// The rooms that they may enter (`rooms`); `None`: all.
    pub rooms: Option<Arc<[Box<str>]>>,
    /// Seats that they may have in a room (`max_seats`); 0 is no limit.
    pub max_seats: Option<u32>,
    /// Until when it is good (`exp`).
    pub expires_at: WallMillis,
    /// And with the leeway, when the connection ends.
    pub ends_at: WallMillis,
}

impl Claims {
    /// Whether they may enter this room. A `*` at the end stands for any rest.
    #[must_use]
    pub fn may_enter(&self, room: &str) -> bool {
        let fits = |pattern: &str| pattern.strip_suffix('*').map_or(pattern == room, |start| room.starts_with(start));
        self.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|pattern| fits(pattern)))
    }
}

/// Why a token is not good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is not signed by the shop, or does not say what it must.
    Invalid(&'static str),
    /// Its time is over.
    Expired,
    /// There is no key yet by which it could be checked.
    NoKeys,
}

/// Checks tokens. All shards share one; its keys may be exchanged while they use it.
#[derive(Debug)]
pub struct Authority {
    rules: TokenRules,
    keys: Mutex<Arc<KeySet>>,
    /// A token named a key that is not there.
    wants_keys: AtomicBool,
}

/// Whether all that a token says is UTF-8: claims that are passed over are not looked at otherwise.
fn says_text(token: &str) -> bool {
    let said = token.split('.').nth(1).and_then(|said| BASE64.decode(said).ok());
    said.is_some_and(|said| str::from_utf8(&said).is_ok())
}

/// What is read of the claims. The rest is the shop's own.
#[derive(serde::Deserialize)]
struct Read {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    name: Option<String>,
    rooms: Option<Vec<Box<str>>>,
    max_seats: Option<u32>,
}

impl Authority {
    /// With the keys that there are now.
    #[must_use]
    pub fn new(rules: TokenRules, keys: KeySet) -> Self {
        Self { rules, keys: Mutex::new(Arc::new(keys)), wants_keys: AtomicBool::new(false) }
    }

    /// From now on these keys count, and no others.
    pub fn exchange(&self, keys: KeySet) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Whether there is a key.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.keys().is_empty()
    }

    /// Asks for other keys: the next look of whoever fetches them sees it.
    pub fn want_keys(&self) {
        self.wants_keys.store(true, Ordering::Relaxed);
    }

    /// Whether other keys have been asked for since the last look.
    pub fn are_keys_wanted(&self) -> bool {
        self.wants_keys.swap(false, Ordering::Relaxed)
    }

    fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a token says.
    ///
    /// # Errors
    /// It is not good, and why not.
    pub fn check(&self, token: &str, now: WallMillis) -> Result<Claims, Fault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Fault::Invalid("the token is too long"));
        }
        let header = decode_header(token).map_err(|_| Fault::Invalid("it is no token"))?;
        let keys = self.keys();
        if keys.is_empty() {
            self.want_keys();
            return Err(Fault::NoKeys);
        }
        let fits = |key: &&SigningKey| {
            let is_named = header.kid.as_deref().is_none_or(|name| key.name.as_deref().is_none_or(|own| own == name));
            key.algorithm == header.alg && is_named
        };
        let candidates: Vec<&SigningKey> = keys.keys.iter().filter(fits).take(JWT_KEYS_TRIED_MAX).collect();
        if candidates.is_empty() {
            self.want_keys();
            return Err(Fault::Invalid("the token's key is not known"));
        }
        if !says_text(token) {
            return Err(Fault::Invalid("what the token says is no text"));
        }
        let read = candidates.into_iter().find_map(|key| self.read(token, key));
        self.claims(read.ok_or(Fault::Invalid("the token is not signed by the shop for this server"))?, now)
    }

    /// The claims under this key, if it signed them and they are for this server.
    fn read(&self, token: &str, key: &SigningKey) -> Option<Read> {
        let mut validation = Validation::new(key.algorithm);
        // What depends on the time is checked below, by the time that all decisions are made at.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let mut required = vec!["exp", "sub"];
        match &self.rules.audience {
            Some(audience) => validation.set_audience(&[audience]),
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &self.rules.issuer {
            validation.set_issuer(&[issuer]);
        }
        required.extend(self.rules.audience.as_ref().map(|_| "aud"));
        required.extend(self.rules.issuer.as_ref().map(|_| "iss"));
        validation.set_required_spec_claims(&required);
        decode::<Read>(token, &key.key, &validation).ok().map(|data| data.claims)
    }

    fn claims(&self, read: Read, now: WallMillis) -> Result<Claims, Fault> {
        let leeway_ms = self.rules.leeway_s * 1_000;
        let expires_at = moment(read.exp).ok_or(Fault::Invalid("the token's exp is no time"))?;
        let ends_at = expires_at.after(leeway_ms);
        if now >= ends_at {
            return Err(Fault::Expired);
        }
        if let Some(from) = read.nbf {
            let from = moment(from).ok_or(Fault::Invalid("the token's nbf is no time"))?;
            if now.after(leeway_ms) < from {
                return Err(Fault::Invalid("the token's time has not begun"));
            }
        }
        let is_subject = (1..=SUBJECT_BYTES_MAX).contains(&read.sub.len()) && !read.sub.chars().any(char::is_control);
        if !is_subject {
            return Err(Fault::Invalid("the token's sub is no name of 1 to 128 bytes"));
        }
        let name = match read.name {
            None => None,
            Some(name) => {
                let good = ClientId::new(&name).filter(|name| !is_reserved_client(name.as_str()));
                Some(good.ok_or(Fault::Invalid("the token's name is no name that others may see"))?)
            }
        };
        if read.rooms.as_ref().is_some_and(|rooms| rooms.len() > TOKEN_ROOMS_MAX) {
            return Err(Fault::Invalid("the token names too many rooms"));
        }
        Ok(Claims {
            subject: read.sub.into(),
            name,
            rooms: read.rooms.map(Into::into),
            max_seats: read.max_seats,
            expires_at,
            ends_at,
        })
    }
}

/// A NumericDate of RFC 7519 section 2, which may have a fraction.
fn moment(seconds: f64) -> Option<WallMillis> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and the year 4000")]
    (0.0..64e9).contains(&seconds).then_some(WallMillis((seconds * 1_000.0) as u64))
}

#[cfg(test)]
mod tests;
