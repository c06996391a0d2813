//! Every claim and every algorithm, right and wrong. The keys are made here.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{Authority, Claims, Fault, TokenRules};
use crate::auth::keys::KeySet;
use crate::engine::time::WallMillis;

const NOW: WallMillis = WallMillis(1_768_473_000_000);
const NOW_S: u64 = NOW.0 / 1_000;
const SECRET: &[u8] = b"a secret of the tests, long enough for HS256";

fn rules() -> TokenRules {
    TokenRules { issuer: Some("shop".into()), audience: Some("seats".into()), leeway_s: 30 }
}

fn good() -> Value {
    json!({"sub": "u-1", "iss": "shop", "aud": "seats", "exp": NOW_S + 600})
}

/// The same with other members; `null` takes one away.
fn with(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().expect("an object") {
        let members = claims.as_object_mut().expect("an object");
        if value.is_null() {
            members.remove(name)
        } else {
            members.insert(name.clone(), value.clone())
        };
    }
    claims
}

fn signed(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET)).expect("it is signed")
}

fn authority() -> Authority {
    Authority::new(rules(), KeySet::from_secret(SECRET).expect("it is long enough"))
}

fn checked(changes: &Value) -> Result<Claims, Fault> {
    authority().check(&signed(&with(changes)), NOW)
}

#[test]
fn what_a_token_must_say() {
    let is_good = |changes: Value| assert!(checked(&changes).is_ok(), "{changes}: {:?}", checked(&changes));
    let is_bad = |changes: Value| assert!(matches!(checked(&changes), Err(Fault::Invalid(_))), "{changes}");
    let has_ended = |changes: Value| assert_eq!(checked(&changes), Err(Fault::Expired), "{changes}");
    is_good(json!({}));
    is_good(json!({"aud": ["others", "seats"]}));
    is_good(json!({"exp": NOW_S - 29}));
    is_good(json!({"nbf": NOW_S + 30}));
    is_good(json!({"nbf": NOW_S + 29, "iat": NOW_S, "email": "x", "deep": {"er": [1]}}));
    is_good(json!({"exp": (NOW_S + 600) as f64 + 0.5}));
    is_good(json!({"rooms": []}));
    has_ended(json!({"exp": NOW_S - 30}));
    has_ended(json!({"exp": 0}));
    for missing in ["sub", "iss", "aud", "exp"] {
        is_bad(json!({ missing: null }));
    }
    for wrong in [json!("other"), json!(7), json!({}), json!("")] {
        is_bad(json!({"iss": wrong}));
        is_bad(json!({"aud": wrong}));
    }
    is_bad(json!({"aud": ["others"]}));
    for exp in [json!("soon"), json!(-1), json!(1e300), json!([NOW_S])] {
        is_bad(json!({"exp": exp}));
    }
    is_bad(json!({"nbf": NOW_S + 31}));
    is_bad(json!({"nbf": "later"}));
    for sub in [json!(""), json!("x".repeat(129)), json!("a\nb"), json!(7)] {
        is_bad(json!({"sub": sub}));
    }
    for name in [json!("system"), json!("holder:x"), json!(""), json!("x".repeat(129)), json!("a\u{200b}b"), json!(1)] {
        is_bad(json!({"name": name}));
    }
    for rooms in [json!("all"), json!([1]), json!(vec!["r"; 65])] {
        is_bad(json!({"rooms": rooms}));
    }
    for max_seats in [json!(-1), json!("4"), json!(4.5)] {
        is_bad(json!({"max_seats": max_seats}));
    }
}

#[test]
fn what_it_says_is_believed() {
    let claims = checked(&json!({"name": "Ana", "rooms": ["a", "tour-*"], "max_seats": 4})).expect("it is good");
    assert_eq!((&*claims.subject, claims.name.as_ref().map(|name| name.as_str())), ("u-1", Some("Ana")));
    assert_eq!(claims.max_seats, Some(4));
    assert_eq!((claims.expires_at, claims.ends_at), (NOW.after(600_000), NOW.after(630_000)));
    for (room, may) in [("a", true), ("ab", false), ("tour-", true), ("tour-9", true), ("Tour-9", false), ("b", false)]
    {
        assert_eq!(claims.may_enter(room), may, "{room}");
    }
    assert!(checked(&json!({})).expect("it is good").may_enter("any"));
    assert!(!checked(&json!({"rooms": []})).expect("it is good").may_enter("any"));
    assert!(checked(&json!({"rooms": ["*"]})).expect("it is good").may_enter("any"));
}

#[test]
fn what_is_not_signed_by_the_shop_is_no_token() {
    let authority = authority();
    let token = signed(&good());
    let parts: Vec<&str> = token.split('.').collect();
    let other = encode(&Header::new(Algorithm::HS256), &good(), &EncodingKey::from_secret(&[7; 32])).expect("signed");
    let longer = encode(&Header::new(Algorithm::HS512), &good(), &EncodingKey::from_secret(SECRET)).expect("signed");
    let none = format!("{}.{}.", BASE64.encode(br#"{"alg":"none","typ":"JWT"}"#), parts[1]);
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    let changed = format!("{}.{}.{}", parts[0], BASE64.encode(with(&json!({"sub": "u-2"})).to_string()), parts[2]);
    for wrong in
        ["", ".", "..", "x", "a.b.c", &token[1..], &other, &longer, &none, &unsigned, &changed, &"A".repeat(9_000)]
    {
        assert!(matches!(authority.check(wrong, NOW), Err(Fault::Invalid(_))), "{wrong}");
    }
    assert!(authority.check(&token, NOW).is_ok());
    assert!(KeySet::from_secret(b"short").is_err() && KeySet::from_secret(&[0; 5_000]).is_err());
}

/// A key pair of a curve: how it signs, and its public half as JSON.
fn pairs() -> [(Algorithm, EncodingKey, Value); 2] {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).expect("a key");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let public = json!({"kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y)});
    let ec = (Algorithm::ES256, EncodingKey::from_ec_der(pkcs8.as_ref()), public);
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
    let public = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(pair.public_key().as_ref())});
    [ec, (Algorithm::EdDSA, EncodingKey::from_ed_der(pkcs8.as_ref()), public)]
}

#[test]
fn a_set_of_keys_is_used_by_name_and_by_kind() {
    let pairs = pairs();
    let named = |at: usize, name: &str| {
        let mut key = pairs[at].2.clone();
        key["kid"] = name.into();
        key
    };
    let odd =
        [json!({"kty": "oct", "k": "AAAA"}), json!({"kty": "what"}), json!(7), json!({"kty": "EC", "crv": "P-521"})];
    let all = json!({"keys": [odd[0], odd[1], odd[2], odd[3], named(0, "ec"), named(1, "ed")]});
    let keys = KeySet::from_file(all.to_string().as_bytes()).expect("two keys");
    assert_eq!(keys.len(), 2);
    let authority = Authority::new(rules(), keys);
    let token = |at: usize, name: Option<&str>| {
        let header = Header { kid: name.map(Into::into), ..Header::new(pairs[at].0) };
        encode(&header, &good(), &pairs[at].1).expect("it is signed")
    };
    for (at, name, is_good) in [
        (0, Some("ec"), true),
        (1, Some("ed"), true),
        (0, None, true),
        (1, None, true),
        (0, Some("ed"), false),
        (0, Some("new"), false),
    ] {
        assert_eq!(authority.check(&token(at, name), NOW).is_ok(), is_good, "{at} {name:?}");
    }
    assert!(authority.are_keys_wanted() && !authority.are_keys_wanted(), "a key that is not known is asked for");
    // A public key is no secret: nobody signs with it.
    let public = BASE64.decode(pairs[1].2["x"].as_str().expect("a text")).expect("bytes");
    let forged = encode(&Header::new(Algorithm::HS256), &good(), &EncodingKey::from_secret(&public)).expect("signed");
    assert!(authority.check(&forged, NOW).is_err());
    let encrypts = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "enc", "x": pairs[1].2["x"]}]});
    for wrong in ["{}", "{\"keys\":[]}", "{\"keys\":7}", &encrypts.to_string(), "[", "{"] {
        assert!(KeySet::from_file(wrong.as_bytes()).is_err(), "{wrong}");
    }
    authority.exchange(KeySet::default());
    assert_eq!(authority.check(&token(0, None), NOW), Err(Fault::NoKeys));
}

#[test]
fn a_public_key_in_pem_is_read_and_a_private_one_refused() {
    let [_, (algorithm, signs, public)] = pairs();
    // RFC 8410 section 4: what stands before the 32 bytes of an Ed25519 key.
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend(BASE64.decode(public["x"].as_str().expect("a text")).expect("bytes"));
    let pem =
        |label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(&der));
    let authority = Authority::new(rules(), KeySet::from_file(pem("PUBLIC KEY").as_bytes()).expect("a key"));
    let token = encode(&Header::new(algorithm), &good(), &signs).expect("it is signed");
    assert!(authority.check(&token, NOW).is_ok());
    let why = KeySet::from_file(pem("PRIVATE KEY").as_bytes()).expect_err("only the shop needs it");
    assert!(why.contains("private key"), "{why}");
    for wrong in ["", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        assert!(KeySet::from_file(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

/// The example of RFC 7515 appendix A.2: its key, and what it signed.
#[test]
fn a_key_for_rs256_is_read() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let set = json!({"keys": [{"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "use": "sig"}]});
    let keys = KeySet::from_file(set.to_string().as_bytes()).expect("a key");
    let mut validation = jsonwebtoken::Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    let read = jsonwebtoken::decode::<Value>(token, &keys.keys[0].key, &validation).expect("it is signed by it");
    assert_eq!(read.claims["iss"], "joe");
    let other = json!({"keys": [{"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS512"}]});
    assert!(KeySet::from_file(other.to_string().as_bytes()).is_err(), "a key for another algorithm");
}
