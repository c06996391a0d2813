//! The shop of a run: it signs tokens, and somebody else who has no key does so, too.

use std::sync::Arc;

use butaca::auth::keys::KeySet;
use butaca::auth::token::{Authority, TokenRules};
use butaca::engine::command::Owner;
use butaca::engine::time::WallMillis;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::truth::Proven;
use crate::simulation::names;
use kit::chance::Chance;

const SECRET: &[u8] = b"a secret of the tests, long enough for HS256";
const OTHER: &[u8] = b"another secret, which the server does not know";

/// A token, and what it proves.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) ends_at: WallMillis,
    pub(crate) proves: Option<Proven>,
}

pub(crate) fn authority() -> Arc<Authority> {
    let keys = KeySet::from_secret(SECRET).expect("it is long enough");
    Arc::new(Authority::new(TokenRules::default(), keys))
}

/// Who person number so many is: two of them are one.
pub(crate) fn subject(person: usize) -> String {
    format!("person {}", person.saturating_sub(1))
}

/// A token of the person: good, over already, or signed by somebody else. Some may have fewer seats, or see one room.
pub(crate) fn token(chance: &mut Chance, person: usize, now: WallMillis) -> Shown {
    let kind = chance.below(10);
    let ends_at = if kind == 0 {
        WallMillis(now.0 - chance.between(1, 5_000) as u64)
    } else {
        now.after(chance.between(50, 3_000) as u64)
    };
    let exp = f64::from(u32::try_from(ends_at.0 / 1_000).expect("seconds"))
        + f64::from(u32::try_from(ends_at.0 % 1_000).expect("ms")) / 1_000.0;
    let subject = subject(person);
    let (mut claims, mut proven) = (json!({"sub": subject, "exp": exp}), Proven::default());
    if person == 2 {
        (claims["max_seats"], proven.seats_max) = (2.into(), Some(2));
    }
    if person == 3 {
        (claims["rooms"], proven.room) = (json!([names::room_id(0).as_str()]), Some(0));
    }
    proven.owners.insert(Owner::Subject(subject.into()), ends_at.after(1));
    let secret = if kind == 1 { OTHER } else { SECRET };
    let text =
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret)).expect("it is signed");
    Shown { text, ends_at, proves: (kind > 1).then_some(proven) }
}
