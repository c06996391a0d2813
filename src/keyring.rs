//! The keys by which tokens of the shop are checked: read at the start, and kept fresh by a thread of their own.
//!
//! Invariants: keys that cannot be had change nothing; no shard waits for a file or for the network; what is fetched is
//! bounded in bytes and in time. Never here: how a token is checked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::auth::keys::KeySet;
use crate::auth::token::Authority;
use crate::clock::Clock;
use crate::config::{Auth, Keys};
use crate::limits::auth::{
    JWKS_AGAIN_MS, JWKS_FETCH_MS, JWKS_LOOK_MS, JWKS_REFRESH_MS, JWKS_RETRY_MS, JWKS_RETRY_MS_MAX, JWT_KEYS_BYTES_MAX,
};
use crate::opening::read_file;

/// What keeps the keys fresh.
pub(crate) struct Keyring {
    /// Who checks tokens by them.
    pub(crate) authority: Arc<Authority>,
    source: Keys,
    /// Files are to be read again.
    rereads: Arc<AtomicBool>,
}

impl Keyring {
    /// Reads the keys. Those of a URL are fetched by the thread: until then nobody is let in.
    ///
    /// # Errors
    /// A file cannot be read, or holds no key.
    pub(crate) fn open(auth: &Auth) -> Result<Self, String> {
        let keys = if matches!(auth.keys, Keys::Url(_)) { KeySet::default() } else { read(&auth.keys)? };
        let authority = Arc::new(Authority::new(auth.rules.clone(), keys));
        Ok(Self { authority, source: auth.keys.clone(), rereads: Arc::default() })
    }

    /// Lets files be read again, by the thread.
    pub(crate) fn reread(&self) -> impl Fn() + Send + 'static {
        let rereads = Arc::clone(&self.rereads);
        move || rereads.store(true, Ordering::Relaxed)
    }

    /// Starts the thread, unless the keys can never change.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(self, clock: Clock) -> io::Result<()> {
        let work: Box<dyn Fn() + Send> = match self.source {
            Keys::Secret(_) => return Ok(()),
            Keys::SecretFile(_) | Keys::File(_) => Box::new(move || self.watch_file()),
            Keys::Url(_) => Box::new(move || self.fetch_for_ever(clock)),
        };
        std::thread::Builder::new().name("keys".into()).spawn(work)?;
        Ok(())
    }

    fn watch_file(&self) {
        loop {
            std::thread::park_timeout(Duration::from_millis(JWKS_LOOK_MS));
            if self.rereads.swap(false, Ordering::Relaxed) {
                self.take(read(&self.source));
            }
        }
    }

    fn fetch_for_ever(&self, clock: Clock) {
        let Keys::Url(url) = &self.source else { unreachable!("it is a URL's thread") };
        let agent = agent();
        let (mut next_ms, mut soonest_ms, mut retry_ms) = (0, 0, JWKS_RETRY_MS);
        loop {
            let now_ms = clock.now().mono.0;
            let is_wanted = self.authority.are_keys_wanted() | self.rereads.swap(false, Ordering::Relaxed);
            // While there is none the pause after a failure holds.
            if is_wanted && self.authority.has_keys() {
                next_ms = next_ms.min(soonest_ms);
            }
            if now_ms >= next_ms {
                let is_good = self.take(fetch(&agent, url));
                let wait_ms = if is_good { JWKS_REFRESH_MS } else { retry_ms };
                retry_ms = if is_good { JWKS_RETRY_MS } else { (2 * retry_ms).min(JWKS_RETRY_MS_MAX) };
                let now_ms = clock.now().mono.0;
                (next_ms, soonest_ms) = (now_ms + wait_ms, now_ms + JWKS_AGAIN_MS);
            }
            std::thread::park_timeout(Duration::from_millis(JWKS_LOOK_MS));
        }
    }

    /// Takes the keys, if there are some. Whether there are.
    fn take(&self, read: Result<KeySet, String>) -> bool {
        match read {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "keys of the shop's tokens");
                self.authority.exchange(keys);
                true
            }
            Err(why) => {
                tracing::warn!("the keys of the shop's tokens stay as they are: {why}");
                false
            }
        }
    }
}

/// The keys of a file.
fn read(source: &Keys) -> Result<KeySet, String> {
    let about = |name: &str, why| format!("{name}: {why}");
    match source {
        Keys::Secret(keys) => Ok(keys.clone()),
        Keys::SecretFile(path) => {
            let bytes = read_file(path, JWT_KEYS_BYTES_MAX).map_err(|why| about("JWT_SECRET_FILE", why))?;
            // Editors end a file with the end of a line.
            let secret = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            KeySet::from_secret(secret).map_err(|why| about("JWT_SECRET_FILE", why))
        }
        Keys::File(path) => {
            let bytes = read_file(path, JWT_KEYS_BYTES_MAX).map_err(|why| about("JWT_KEY_FILE", why))?;
            KeySet::from_file(&bytes).map_err(|why| about("JWT_KEY_FILE", why))
        }
        Keys::Url(_) => unreachable!("it is fetched"),
    }
}

fn agent() -> ureq::Agent {
    let limit = Some(Duration::from_millis(JWKS_FETCH_MS));
    // Where a redirect leads is not where the operator said.
    ureq::Agent::config_builder().timeout_global(limit).max_redirects(0).build().into()
}

fn fetch(agent: &ureq::Agent, url: &str) -> Result<KeySet, String> {
    let about = |why: &dyn std::fmt::Display| format!("JWT_JWKS_URL: {why}");
    let mut answer = agent.get(url).call().map_err(|error| about(&error))?;
    if answer.status() != 200 {
        return Err(about(&format_args!("the answer is {}", answer.status())));
    }
    let limited = answer.body_mut().with_config().limit(JWT_KEYS_BYTES_MAX as u64);
    let bytes = limited.read_to_vec().map_err(|error| about(&error))?;
    KeySet::from_jwks(&bytes).map_err(|why| about(&why))
}
