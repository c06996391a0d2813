//! Keys of the API: what a file of them says, and who a key belongs to.
//!
//! A key is kept as its SHA-256, so that whoever reads the file cannot use it. A key is 256 random bits, so its hash
//! needs no salt and no time. Invariants: a role may do what those before it may; looking a key up takes as long
//! whether it is there or not; a file with a wrong line gives no keys at all. Never here: requests, what a role may do.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::limits::api::{API_KEY_NAME_BYTES_MAX, API_KEYS_MAX};

/// What the name of a key looks like, in words.
pub const NAME_ALLOWED: &str = "1 to 64 letters, digits, and . _ -";

/// What a key may do. Each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Look at everything.
    Read,
    /// Sell: hold, check out, book, cancel, refund.
    Sell,
    /// Decide about rooms and layouts, block and reconcile.
    Manage,
}

impl Role {
    /// The words, for a refusal.
    pub const ALLOWED: &str = "read, sell or manage";

    /// The role of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Sell, Self::Manage].into_iter().find(|role| role.word() == word)
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Sell => "sell",
            Self::Manage => "manage",
        }
    }
}

type Hash = [u8; 32];

#[derive(Debug)]
struct Key {
    role: Role,
    hash: Hash,
}

/// All keys. There is at least one.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads lines `name role sha256-of-the-key`; empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// What is wrong, with the number of the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = parse_line(line).map_err(|why| format!("line {at}: {why}"))?;
            if keys.iter().any(|known| known.hash == key.hash) {
                return Err(format!("line {at}: this key stands there already"));
            }
            if keys.len() == API_KEYS_MAX {
                return Err(format!("line {at}: there are more than {API_KEYS_MAX} keys"));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err("there is no key in it".into()) } else { Ok(Self(keys)) }
    }

    /// How many there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The role of a key, if there is one. Every key is looked at, and none of them by its bytes.
    #[must_use]
    pub fn role(&self, presented: &[u8]) -> Option<Role> {
        let hash = hash(presented);
        // 0: none, else the role and one.
        let found = self.0.iter().fold(0_u8, |found, key| {
            let is_it: Choice = key.hash.ct_eq(&hash);
            u8::conditional_select(&found, &(key.role as u8 + 1), is_it)
        });
        [Role::Read, Role::Sell, Role::Manage].into_iter().find(|role| *role as u8 + 1 == found)
    }
}

fn parse_line(line: &str) -> Result<Key, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[name, role, hash] = words.as_slice() else {
        // The line is not repeated: it may hold a key.
        return Err(format!("it has {} words, and should be: name role sha256-of-the-key", words.len()));
    };
    if !is_name(name) {
        return Err(format!("the name: allowed is {NAME_ALLOWED}"));
    }
    let role = Role::parse(role).ok_or_else(|| format!("the role of {name}: allowed is {}", Role::ALLOWED))?;
    let hash = parse_hash(hash).ok_or_else(|| format!("the hash of {name}: allowed are 64 hexadecimal digits"))?;
    Ok(Key { role, hash })
}

fn parse_hash(text: &str) -> Option<Hash> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut hash = Hash::default();
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// Whether a key may be called this.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=API_KEY_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain)
}

fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

/// The key that is made of this randomness.
#[must_use]
pub fn new_key(random: &[u8; 32]) -> String {
    format!("butaca_{}", hex(random))
}

/// The line of a key.
#[must_use]
pub fn line(name: &str, role: Role, key: &str) -> String {
    format!("{name} {} {}", role.word(), hex(&hash(key.as_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{Keys, Role, line, new_key};
    use crate::limits::api::API_KEYS_MAX;

    #[test]
    fn a_key_is_found_with_its_role_and_no_other_text_is() {
        let keys = Keys::parse(&format!(
            "# the shop's\n\n  {}  \r\n{}\n{}",
            line("shop", Role::Sell, "secret"),
            line("box-office.1", Role::Manage, "other"),
            line("shop", Role::Read, "second of one name").to_uppercase().replace("SHOP READ", "shop read"),
        ))
        .unwrap();
        for (presented, expected) in [
            ("secret", Some(Role::Sell)),
            ("other", Some(Role::Manage)),
            ("second of one name", Some(Role::Read)),
            ("Secret", None),
            ("secret ", None),
            ("", None),
        ] {
            assert_eq!(keys.role(presented.as_bytes()), expected, "{presented:?}");
        }
        assert_eq!(keys.len(), 3);
        assert!(Role::Read < Role::Sell && Role::Sell < Role::Manage);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_never_repeated() {
        let hash = "a".repeat(64);
        let check = |text: &str, expected: &str| {
            let why = Keys::parse(text).expect_err(text);
            assert_eq!(why, expected, "{text}");
        };
        check("", "there is no key in it");
        check("# a comment\n\n", "there is no key in it");
        check("shop secret", "line 1: it has 2 words, and should be: name role sha256-of-the-key");
        check(
            &format!("#\n\nshop sell {hash} x"),
            "line 3: it has 4 words, and should be: name role sha256-of-the-key",
        );
        check(&format!("the/shop sell {hash}"), "line 1: the name: allowed is 1 to 64 letters, digits, and . _ -");
        check(&format!("shop Sell {hash}"), "line 1: the role of shop: allowed is read, sell or manage");
        check("shop sell abc", "line 1: the hash of shop: allowed are 64 hexadecimal digits");
        check(&format!("shop sell {}g", "a".repeat(63)), "line 1: the hash of shop: allowed are 64 hexadecimal digits");
        check(&format!("a sell {hash}\nb read {}", hash.to_uppercase()), "line 2: this key stands there already");
        let many: Vec<String> = (0..=API_KEYS_MAX).map(|at| line("a", Role::Read, &at.to_string())).collect();
        check(&many.join("\n"), "line 1025: there are more than 1024 keys");
    }

    #[test]
    fn a_hash_is_that_of_sha256() {
        let expected = "shop sell 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        assert_eq!(line("shop", Role::Sell, "secret"), expected);
    }

    #[test]
    fn a_key_has_all_of_its_randomness() {
        let key = new_key(&[0x0f; 32]);
        assert_eq!(key, format!("butaca_{}", "0f".repeat(32)));
    }
}
