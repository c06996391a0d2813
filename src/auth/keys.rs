//! The keys under which a shop signs its tokens.
//!
//! Invariants: a key is good for one algorithm, that of its kind, whatever a token says; a private key is refused; a
//! set that cannot be read changes nothing. Never here: files, the network.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::limits::auth::{JWT_KEYS_MAX, JWT_SECRET_BYTES_MAX, JWT_SECRET_BYTES_MIN};

/// One key, what it is good for, and its name if it has one.
#[derive(Clone)]
pub(super) struct SigningKey {
    pub(super) name: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// All keys that count at one time.
#[derive(Clone, Default)]
pub struct KeySet {
    pub(super) keys: Vec<SigningKey>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet({} keys)", self.keys.len())
    }
}

impl KeySet {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none, so that no token can be good.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A secret that shop and server share, for HS256.
    ///
    /// # Errors
    /// It is shorter than [`JWT_SECRET_BYTES_MIN`], or absurdly long.
    pub fn from_secret(secret: &[u8]) -> Result<Self, String> {
        if !(JWT_SECRET_BYTES_MIN..=JWT_SECRET_BYTES_MAX).contains(&secret.len()) {
            return Err(format!(
                "a secret has {JWT_SECRET_BYTES_MIN} to {JWT_SECRET_BYTES_MAX} bytes, such as: openssl rand -base64 48"
            ));
        }
        Ok(Self::one(Algorithm::HS256, DecodingKey::from_secret(secret)))
    }

    /// What a key file says: a public key in PEM, or a set of keys in JSON (RFC 7517).
    ///
    /// # Errors
    /// It is neither, or holds no key that could be used.
    pub fn from_file(bytes: &[u8]) -> Result<Self, String> {
        let text = bytes.trim_ascii_start();
        if text.starts_with(b"{") {
            return Self::from_jwks(text);
        }
        if bytes.windows(11).any(|word| word == b"PRIVATE KEY") {
            return Err("it holds a private key, which only the shop needs: give the server the public one".into());
        }
        let rsa = DecodingKey::from_rsa_pem(bytes).map(|key| (Algorithm::RS256, key));
        let ec = || DecodingKey::from_ec_pem(bytes).map(|key| (Algorithm::ES256, key));
        let ed = || DecodingKey::from_ed_pem(bytes).map(|key| (Algorithm::EdDSA, key));
        let found = rsa.or_else(|_| ec()).or_else(|_| ed()).ok();
        let (algorithm, key) =
            found.ok_or("it is no public key (RSA, EC P-256 or Ed25519) in PEM, and no set of keys")?;
        Ok(Self::one(algorithm, key))
    }

    /// A set of keys in JSON (RFC 7517 section 5). Keys that are for something else are left out.
    ///
    /// # Errors
    /// It is no such set, or no key of it could be used.
    pub fn from_jwks(json: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Listed {
            keys: Vec<serde_json::Value>,
        }
        let listed: Listed = serde_json::from_slice(json).map_err(|_| "it is no JSON object with a list of keys")?;
        // One key that is not understood must not take the others along (RFC 7517 section 5).
        let read = |value| serde_json::from_value::<Jwk>(value).ok();
        let keys: Vec<SigningKey> =
            listed.keys.into_iter().filter_map(read).filter_map(|key| signing_key(&key)).take(JWT_KEYS_MAX).collect();
        if keys.is_empty() {
            return Err("it has no key for RS256, ES256 or EdDSA".into());
        }
        Ok(Self { keys })
    }

    fn one(algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { keys: vec![SigningKey { name: None, algorithm, key }] }
    }
}

/// A key of a set, if it is one that signs tokens in a way that is understood here.
fn signing_key(jwk: &Jwk) -> Option<SigningKey> {
    let common = &jwk.common;
    if common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(params) if params.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(params) if params.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        // A secret has no place in a set that others can read.
        AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::OctetKey(_) => return None,
    };
    let named = common.key_algorithm.map(|named| named.to_string());
    if named.is_some_and(|named| named != format!("{algorithm:?}")) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(SigningKey { name: common.key_id.as_deref().map(Into::into), algorithm, key })
}
