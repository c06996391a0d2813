//! Whether clients must bring a token of the shop, and by which keys it is checked.
//!
//! Invariant: where tokens are asked for there is one way, and only one, to check them. Never here: keys, tokens.

use std::path::PathBuf;

use super::values::{Source, Values};
use crate::auth::keys::KeySet;
use crate::auth::token::TokenRules;

/// Where the keys come from.
#[derive(Clone, Debug)]
pub enum Keys {
    /// A secret that was written as a setting.
    Secret(KeySet),
    /// A file that holds the secret.
    SecretFile(PathBuf),
    /// A file with a public key in PEM, or a set of keys in JSON.
    File(PathBuf),
    /// A set of keys in JSON that is fetched, and again now and then.
    Url(String),
}

/// What tokens must be.
#[derive(Clone, Debug)]
pub struct Auth {
    /// By which keys they are checked.
    pub keys: Keys,
    /// What they must say.
    pub rules: TokenRules,
    /// How long a connection may take to bring one.
    pub within_ms: u64,
}

const KEYS: [&str; 4] = ["JWT_SECRET", "JWT_SECRET_FILE", "JWT_KEY_FILE", "JWT_JWKS_URL"];

impl Auth {
    /// `None`: nobody needs one.
    pub(super) fn read(values: &Values) -> Result<Option<Self>, String> {
        let path = |text: &str| Some(PathBuf::from(text));
        let secret = values.read("JWT_SECRET", |text| KeySet::from_secret(text.as_bytes()).ok())?.map(Keys::Secret);
        let secret_file = values.read("JWT_SECRET_FILE", path)?.map(Keys::SecretFile);
        let file = values.read("JWT_KEY_FILE", path)?.map(Keys::File);
        let url = values.read("JWT_JWKS_URL", keys_url)?.map(Keys::Url);
        let rules = TokenRules {
            issuer: values.read("JWT_ISSUER", |text| Some(text.to_owned()))?,
            audience: values.read("JWT_AUDIENCE", |text| Some(text.to_owned()))?,
            leeway_s: values.u64("JWT_LEEWAY_S")?,
        };
        let within_ms = values.u64("AUTH_WITHIN_MS")?;
        let given: Vec<Keys> = [secret, secret_file, file, url].into_iter().flatten().collect();
        if values.choice("AUTH")?.expect("it has a default") == "off" {
            let stray = KEYS.into_iter().find(|name| values.source(name) != Source::Default);
            return stray.map_or(Ok(None), |name| Err(values.refusal_because(name, "means nothing without AUTH=jwt")));
        }
        let [keys] = <[Keys; 1]>::try_from(given).map_err(|given| {
            let why = format!("needs one of {}, and not {}", KEYS.join(", "), given.len());
            values.refusal_because("AUTH", &why)
        })?;
        Ok(Some(Self { keys, rules, within_ms }))
    }
}

/// Whoever can change what is fetched can let anybody in: it comes by TLS, or from this machine.
fn keys_url(text: &str) -> Option<String> {
    let host = |rest: &str| rest.split(['/', '?']).next().unwrap_or_default().to_owned();
    let is_here = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        ["localhost", "127.0.0.1", "[::1]"].contains(&name)
    };
    let is_good = match text.split_once("://")? {
        ("https", rest) => !host(rest).is_empty(),
        ("http", rest) => is_here(&host(rest)),
        _ => false,
    };
    (is_good && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}
