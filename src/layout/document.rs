//! A layout as it is served: its canonical JSON, the same compressed once, and the version, which is a hash of it.
//!
//! Invariant: nothing of it ever changes. Never here: HTTP.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The bytes of a layout. A clone shares them.
#[derive(Clone, Debug)]
pub struct Document {
    json: Arc<[u8]>,
    gzip: Arc<[u8]>,
    version: Arc<str>,
}

impl Document {
    pub(super) fn new(json: Vec<u8>) -> Self {
        // Half of SHA-256 is as hard to forge as 128 bits can be; who has the document can check it by `sha256sum`.
        let version = Sha256::digest(&json).iter().take(16).fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes everything");
            text
        });
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&json).expect("a Vec takes everything");
        let gzip = gzip.finish().expect("a Vec takes everything");
        Self { json: json.into(), gzip: gzip.into(), version: version.into() }
    }

    /// The canonical JSON. Read again, it is the same layout with the same version.
    #[must_use]
    pub fn json(&self) -> &Arc<[u8]> {
        &self.json
    }

    /// The same, compressed as `gzip` (RFC 1952).
    #[must_use]
    pub fn gzip(&self) -> &Arc<[u8]> {
        &self.gzip
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }
}
