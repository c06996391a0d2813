//! Sessions: their names, and the tokens by which a later connection proves that it goes on with one.
//!
//! A token is the session's id, the number of the connection that was given it and the time of that, under an
//! authenticated code. So no shard keeps a table of sessions, and a later process checks tokens of an earlier one.
//! Invariants: a code is compared in the same time whatever is wrong with it; a token ends [`SESSION_TOKEN_MS`] after
//! it was given. Never here: randomness, where the key is kept.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::hmac;

use super::owner_key::OwnerKey;
use crate::engine::command::SessionId;
use crate::engine::time::WallMillis;
use crate::limits::SESSION_TOKEN_MS;
use crate::planted::{Bug, has};

/// Bytes of what a token says: version, id, incarnation, time.
const SAID: usize = 1 + 16 + 8 + 8;
/// Bytes of its code: half of an HMAC with SHA-256.
const CODE: usize = 16;
const VERSION: u8 = 1;
/// Bits of an incarnation that tell those of one millisecond apart.
const CHANCE_BITS: u32 = 20;

/// What a token proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proven {
    /// The session.
    pub session: SessionId,
    /// The number of the connection that was given the token.
    pub incarnation: u64,
}

impl Proven {
    /// The number of the connection that goes on with the session now. Whoever does that later has a higher one,
    /// whichever token it shows: the answer with the newest may have been lost. It is higher than that of the token in
    /// any case, also when the clock has been set back. `random` tells those of the same millisecond apart.
    #[must_use]
    pub fn next_incarnation(&self, now: WallMillis, random: u64) -> u64 {
        let chance = random & ((1 << CHANCE_BITS) - 1);
        let by_time = now.0.min(u64::MAX >> CHANCE_BITS) << CHANCE_BITS | chance;
        by_time.max(self.incarnation.saturating_add(1 + chance % 8))
    }
}

/// The number of the first connection of a session.
#[must_use]
pub fn first_incarnation(random: u64) -> u64 {
    random & u64::from(u32::MAX)
}

/// The name of a session as its client and the shop's backend know it: 22 characters.
#[must_use]
pub fn session_text(session: SessionId) -> String {
    BASE64.encode(session.number().to_be_bytes())
}

/// The session of this name.
#[must_use]
pub fn read_session(text: &str) -> Option<SessionId> {
    let mut bytes = [0; 18];
    let len = BASE64.decode_slice(text, &mut bytes).ok()?;
    let number: [u8; 16] = bytes[..len].try_into().ok()?;
    Some(SessionId::new(u128::from_be_bytes(number)))
}

/// Makes tokens and checks them. Clones share what they learn.
#[derive(Clone)]
pub struct SessionTokens {
    /// Made of the secret of this machine, for as long as no other is known.
    own: hmac::Key,
    /// Made of the secret that all servers of one store share.
    shared: Arc<OnceLock<hmac::Key>>,
    /// Made of that, too: see [`OwnerKey`].
    owners: Arc<OnceLock<[u64; 2]>>,
}

impl std::fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionTokens(secret)")
    }
}

impl SessionTokens {
    /// With a secret of this machine that outlives the process.
    #[must_use]
    pub fn new(secret: [u64; 2]) -> Self {
        Self { own: key(secret), shared: Arc::default(), owners: Arc::default() }
    }

    /// The store has told its secret: tokens are made by it from now on, and those of before stay good. Only the first
    /// one counts.
    pub fn learn(&self, secret: [u64; 2]) {
        self.shared.get_or_init(|| key(secret));
        self.owners.get_or_init(|| {
            let code = derive(secret, b"owners");
            [0, 8].map(|at| u64::from_le_bytes(code.as_ref()[at..at + 8].try_into().expect("8 bytes")))
        });
    }

    /// The key that all nodes of a cluster share with these tokens; before they know it, `own`.
    #[must_use]
    pub fn owner_key(&self, own: [u64; 2]) -> OwnerKey {
        OwnerKey::of_nodes(own, Arc::clone(&self.owners))
    }

    /// A token for the connection with this number of a session.
    #[must_use]
    pub fn give(&self, session: SessionId, incarnation: u64, now: WallMillis) -> String {
        let mut token = [0; SAID + CODE];
        token[0] = VERSION;
        token[1..17].copy_from_slice(&session.number().to_be_bytes());
        token[17..25].copy_from_slice(&incarnation.to_be_bytes());
        token[25..SAID].copy_from_slice(&now.0.to_be_bytes());
        let code = hmac::sign(self.shared.get().unwrap_or(&self.own), &token[..SAID]);
        token[SAID..].copy_from_slice(&code.as_ref()[..CODE]);
        BASE64.encode(token)
    }

    /// What a token proves; nothing when it is not one of ours, or too old.
    #[must_use]
    pub fn check(&self, token: &str, now: WallMillis) -> Option<Proven> {
        let mut bytes = [0; SAID + CODE + 2];
        if token.len() > bytes.len() * 4 / 3 {
            return None;
        }
        let len = BASE64.decode_slice(token, &mut bytes).ok()?;
        let token: &[u8; SAID + CODE] = bytes[..len].try_into().ok()?;
        // All bytes are looked at in any case.
        let is_by = |key: &hmac::Key| {
            let code = hmac::sign(key, &token[..SAID]);
            code.as_ref().iter().zip(&token[SAID..]).fold(0, |all, (one, other)| all | (one ^ other)) == 0
        };
        let number = |range: std::ops::Range<usize>| u64::from_be_bytes(token[range].try_into().expect("8 bytes"));
        let id = u128::from(number(1..9)) << 64 | u128::from(number(9..17));
        let given = number(25..SAID);
        let is_signed = has(Bug::TokenUnchecked) || is_by(&self.own) | self.shared.get().is_some_and(is_by);
        let is_in_time = now.0.saturating_sub(given) <= SESSION_TOKEN_MS || has(Bug::EndlessToken);
        let is_good = is_signed && token[0] == VERSION && is_in_time;
        is_good.then(|| Proven { session: SessionId::new(id), incarnation: number(17..25) })
    }
}

/// The key that is made of a secret, which other things are made of, too.
fn key(secret: [u64; 2]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, derive(secret, b"tokens of sessions").as_ref())
}

/// What is made of a secret for one purpose.
fn derive(secret: [u64; 2], purpose: &[u8]) -> hmac::Tag {
    let secret: Vec<u8> = secret.iter().flat_map(|half| half.to_le_bytes()).collect();
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), purpose)
}

#[cfg(test)]
mod tests {
    use super::{SessionTokens, first_incarnation, read_session, session_text};
    use crate::engine::command::SessionId;
    use crate::engine::time::WallMillis;
    use crate::limits::SESSION_TOKEN_MS;

    const NOW: WallMillis = WallMillis(1_768_473_000_000);

    #[test]
    fn a_name_is_22_characters_and_read_back() {
        for number in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            let text = session_text(SessionId::new(number));
            assert_eq!((text.len(), read_session(&text)), (22, Some(SessionId::new(number))));
        }
        for wrong in ["", "x", &"A".repeat(21), &"A".repeat(23), &"A".repeat(24), &"=".repeat(22), &"é".repeat(11)] {
            assert_eq!(read_session(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_proves_its_session_for_twelve_hours_in_every_life() {
        let (session, tokens) = (SessionId::new(7 << 70), SessionTokens::new([1, 2]));
        let token = tokens.give(session, 5, NOW);
        let check = |tokens: &SessionTokens, token: &str, now| {
            tokens.check(token, now).map(|proven| (proven.session, proven.incarnation))
        };
        assert_eq!(check(&tokens, &token, NOW), Some((session, 5)));
        assert_eq!(check(&SessionTokens::new([1, 2]), &token, NOW), Some((session, 5)), "after a restart");
        assert_eq!(check(&SessionTokens::new([1, 3]), &token, NOW), None, "another server");
        assert_eq!(check(&tokens, &token, NOW.after(SESSION_TOKEN_MS)), Some((session, 5)));
        assert_eq!(check(&tokens, &token, NOW.after(SESSION_TOKEN_MS + 1)), None, "too old");
        assert_eq!(check(&tokens, &token, WallMillis(NOW.0 - 60_000)), Some((session, 5)), "a clock that was set back");
        for at in 0..token.len() {
            for other in ["A", "B", "_", "=", "é", " "] {
                let mut forged = token.clone();
                forged.replace_range(at..=at, other);
                assert!(forged == token || check(&tokens, &forged, NOW).is_none(), "{forged}");
            }
        }
        for text in ["", "A", &token[1..], &format!("{token}A"), &format!("{token}{token}"), &"A".repeat(9_000)] {
            assert_eq!(check(&tokens, text, NOW), None, "{text}");
        }
    }

    #[test]
    fn servers_of_one_store_take_each_others_tokens() {
        let (one, other) = (SessionTokens::new([1, 2]), SessionTokens::new([3, 4]));
        let early = one.give(SessionId::new(7), 5, NOW);
        assert!(other.check(&early, NOW).is_none(), "they know nothing of each other");
        let clone = one.clone();
        one.learn([9, 9]);
        other.learn([9, 9]);
        one.learn([1, 1]);
        assert_eq!(one.owner_key([1, 1]).get(), other.owner_key([2, 2]).get(), "one key for all nodes");
        let token = clone.give(SessionId::new(7), 5, NOW);
        assert!(other.check(&token, NOW).is_some() && one.check(&token, NOW).is_some());
        assert!(one.check(&early, NOW).is_some() && other.check(&early, NOW).is_none());
    }

    #[test]
    fn whoever_goes_on_later_is_newer() {
        let tokens = SessionTokens::new([1, 2]);
        let first = first_incarnation(u64::MAX);
        let proven =
            |incarnation| tokens.check(&tokens.give(SessionId::new(1), incarnation, NOW), NOW).expect("it is good");
        let second = proven(first).next_incarnation(NOW, u64::MAX);
        assert!(first < second);
        let third = proven(second).next_incarnation(NOW.after(1), 0);
        assert!(second < third);
        assert!(third < proven(first).next_incarnation(NOW.after(2), 0), "with the oldest token, too");
        assert_ne!(second, proven(first).next_incarnation(NOW, 1), "two of one millisecond");
        let back = WallMillis(NOW.0 - 3_600_000);
        assert!(third < proven(third).next_incarnation(back, 0), "the clock was set back");
        assert_eq!(proven(u64::MAX).next_incarnation(NOW, 7), u64::MAX);
    }
}
