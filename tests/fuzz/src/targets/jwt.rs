//! Tokens of the shop: bytes as a token, which is never good, and as the claims of one that the shop has signed: what
//! is believed of them is what another reader finds.

use butaca::auth::keys::KeySet;
use butaca::auth::token::{Authority, TokenRules};
use butaca::engine::time::WallMillis;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::Value;

const NOW: WallMillis = WallMillis(1_768_473_000_000);
const SECRET: &[u8] = b"a secret of the fuzzer, long enough for HS256";

/// Reads `data` both ways.
pub fn run(data: &[u8]) {
    let rules = TokenRules { leeway_s: 30, ..TokenRules::default() };
    let authority = Authority::new(rules, KeySet::from_secret(SECRET).expect("it is long enough"));
    if let Ok(text) = str::from_utf8(data) {
        assert!(authority.check(text, NOW).is_err(), "nobody guesses a signature");
    }
    let said = format!("eyJhbGciOiJIUzI1NiJ9.{}", base64(data));
    let code = sign(said.as_bytes(), &EncodingKey::from_secret(SECRET), Algorithm::HS256).expect("it is signed");
    let Ok(claims) = authority.check(&format!("{said}.{code}"), NOW) else { return };
    let text = str::from_utf8(data).expect("JSON is UTF-8");
    serde_json::from_str::<&serde_json::value::RawValue>(text).expect("another parser accepts it");
    // A number that nobody looks at may be greater than any that can be kept.
    let Ok(other) = serde_json::from_str::<Value>(text) else { return };
    assert_eq!(other["sub"], *claims.subject);
    assert_eq!(other.get("name").and_then(Value::as_str), claims.name.as_ref().map(|name| name.as_str()));
    assert!(claims.ends_at > NOW && claims.expires_at <= claims.ends_at, "it has not ended");
    if let Some(rooms) = &claims.rooms {
        assert!(rooms.iter().all(|room| claims.may_enter(room)), "a room is one that it names");
    }
}

/// RFC 4648 section 5, without padding.
fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in data.chunks(3) {
        let byte = |at: usize| u32::from(*three.get(at).unwrap_or(&0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63]));
        }
    }
    text
}
