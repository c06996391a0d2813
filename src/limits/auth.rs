//! The bounds of tokens, and of the keys under which they are signed.

/// Bytes of a token of the shop. At the bound it is none.
pub const TOKEN_BYTES_MAX: usize = 8 * 1_024;
/// Bytes of a subject, as of ids. At the bound the token is none.
pub const SUBJECT_BYTES_MAX: usize = 128;
/// Rooms, or beginnings of their ids, that a token names. At the bound it is none.
pub const TOKEN_ROOMS_MAX: usize = 64;
/// Default of `AUTH_WITHIN_MS`: how long a connection may take to bring a token. At the bound it is closed with 4500.
pub const AUTH_WITHIN_MS: u64 = 10_000;
/// The bounds of that setting.
pub const AUTH_WITHIN_MS_MIN: u64 = 100;
pub const AUTH_WITHIN_MS_MAX: u64 = 120_000;
/// Tokens of a connection that were not good. At the bound it is closed with 4500: checking one costs up to 0.1 ms.
pub const TOKENS_REFUSED_MAX: u8 = 8;
/// Default of `JWT_LEEWAY_S`: how far the clocks of shop and server may differ.
pub const JWT_LEEWAY_S: u64 = 30;
/// Largest that is accepted.
pub const JWT_LEEWAY_S_MAX: u64 = 600;
/// The shortest secret: as long as what HS256 makes of it (RFC 7518 section 3.2).
pub const JWT_SECRET_BYTES_MIN: usize = 32;
/// The longest secret.
pub const JWT_SECRET_BYTES_MAX: usize = 4 * 1_024;
/// Keys of a set. Those beyond are left out, with a warning.
pub const JWT_KEYS_MAX: usize = 64;
/// Keys that are tried for a token that names none. At the bound it is not good.
pub const JWT_KEYS_TRIED_MAX: usize = 4;
/// Bytes of a file or an answer with keys. At the bound it is refused, and the keys stay what they are.
pub const JWT_KEYS_BYTES_MAX: usize = 256 * 1_024;
/// How long fetching keys may take.
pub const JWKS_FETCH_MS: u64 = 5_000;
/// Keys are fetched anew so often.
pub const JWKS_REFRESH_MS: u64 = 300_000;
/// And sooner when a token names a key that is not there, but not more often than this.
pub const JWKS_AGAIN_MS: u64 = 10_000;
/// The pause after a fetch that failed: this, and twice as long each time, up to [`JWKS_RETRY_MS_MAX`].
pub const JWKS_RETRY_MS: u64 = 1_000;
/// See [`JWKS_RETRY_MS`].
pub const JWKS_RETRY_MS_MAX: u64 = 60_000;
/// How often the thread of the keys looks whether it is wanted.
pub const JWKS_LOOK_MS: u64 = 250;
const _: () = assert!(JWKS_AGAIN_MS < JWKS_REFRESH_MS && JWKS_RETRY_MS_MAX <= JWKS_REFRESH_MS);
