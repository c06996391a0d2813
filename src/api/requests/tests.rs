//! Bodies that mean something and bodies that do not.

use super::{
    BlockBody, BookBody, CancelBody, CheckoutBody, HoldBody, ReconcileBody, RefundBody, ReleaseBody, UnblockBody, Wrong,
};
use crate::api::settings::{RoomBody, RoomPatchBody};
use crate::api::words::Name;
use crate::engine::command::SaleRequest;
use crate::layout::catalog::Catalog;

/// What a body asks for: the call is named by the first letters of its path.
fn read(call: &str, body: &str) -> Result<SaleRequest, Wrong> {
    fn json<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Wrong> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }
    let order = Name::new("o-1").expect("a name");
    match call {
        "room" => json::<RoomBody>(body)?.request(&Catalog::default()),
        "patch" => json::<RoomPatchBody>(body)?.request(&Catalog::default()),
        "hold" => json::<HoldBody>(body)?.request(),
        "release" => json::<ReleaseBody>(body)?.request(),
        "checkout" => json::<CheckoutBody>(body)?.request(&order),
        "book" => Ok(json::<BookBody>(body)?.request(&order)),
        "cancel" => Ok(json::<CancelBody>(body)?.request(&order)),
        "refund" => json::<RefundBody>(body)?.request(&order),
        "block" => json::<BlockBody>(body)?.request(),
        "unblock" => json::<UnblockBody>(body)?.request(),
        "reconcile" => json::<ReconcileBody>(body)?.request(),
        other => panic!("no call {other}"),
    }
}

#[test]
fn what_means_something_is_read() {
    for (call, body) in [
        ("room", "{}"),
        ("room", r#"{"sale":"scheduled","opens_at":"2026-01-15T20:00:00+01:00","hold_ms":100,"max_seats":0}"#),
        ("room", r#"{"sale":"closed","no_orphans":true,"ends_at":"2026-01-15T20:00:00Z","message":"gone"}"#),
        ("patch", "{}"),
        ("patch", r#"{"sale":"paused","hold_ms":null,"max_seats":4,"ends_at":null,"message":null}"#),
        ("hold", r#"{"holder":"kiosk","seats":["A1","A2"]}"#),
        ("hold", r#"{"holder":"kiosk","best":{"quantity":2,"sections":["s"],"adjacent":false},"ttl_s":60}"#),
        ("release", r#"{"seats":["A1"],"reason":"no show"}"#),
        ("release", r#"{"session_id":"AAECAwQFBgcICQoLDA0ODw"}"#),
        ("checkout", r#"{"owner":{"client_id":"ana"}}"#),
        ("checkout", r#"{"owner":{"subject":"u1"},"seats":["A1"],"ttl_s":7200}"#),
        ("book", "{}"),
        ("book", r#"{"mode":"held_or_free"}"#),
        ("cancel", r#"{"to":"cart"}"#),
        ("refund", "{}"),
        ("refund", r#"{"seats":["A1"]}"#),
        ("block", r#"{"seats":["A1"],"label":"camera"}"#),
        ("block", r#"{"sections":["s","s"],"label":"camera","held":"release"}"#),
        ("unblock", r#"{"seats":["A1"]}"#),
        ("reconcile", "{}"),
        ("reconcile", r#"{"booked":[{"seat":"A1","order":"o"}],"blocked":[],"dry_run":true}"#),
    ] {
        assert!(read(call, body).is_ok(), "{call} {body}: {:?}", read(call, body));
    }
    let Ok(SaleRequest::Reconcile { booked, blocked, dry_run }) = read("reconcile", r#"{"blocked":[]}"#) else {
        panic!("it is one")
    };
    assert!(booked.is_none() && blocked.is_some_and(|blocked| blocked.is_empty()) && !dry_run);
}

#[test]
fn what_means_nothing_is_refused() {
    let many: Vec<String> = (0..51).map(|seat| format!("\"{seat}\"")).collect();
    let many = format!(r#"{{"holder":"k","seats":[{}]}}"#, many.join(","));
    for (call, body, why) in [
        ("room", r#"{"hold_mss":1}"#, "unknown field `hold_mss`"),
        ("room", r#"{"hold_ms":99}"#, "a whole number from 100 to"),
        ("room", r#"{"opens_at":"2026-01-15T20:00:00Z"}"#, "opens_at: it needs"),
        ("room", r#"{"sale":"on"}"#, "unknown variant `on`"),
        ("room", r#"{"sale":"open","sale":"open"}"#, "duplicate field `sale`"),
        ("patch", r#"{"opens_at":"2026-01-15T20:00:00Z"}"#, "opens_at: it needs"),
        ("hold", r#"{"holder":"k"}"#, "either seats or best"),
        ("hold", r#"{"holder":"k","seats":["A"],"best":{"quantity":1}}"#, "either seats or best"),
        ("hold", r#"{"seats":["A"]}"#, "missing field `holder`"),
        ("hold", r#"{"holder":"k","seats":[]}"#, "allowed are 1 to 50, and there are 0"),
        ("hold", &many, "allowed are 1 to 50, and there are 51"),
        ("hold", r#"{"holder":"k","seats":["A","A"]}"#, "stands there twice"),
        ("hold", r#"{"holder":"k","seats":["A"],"ttl_s":0}"#, "a whole number from 1 to 86400"),
        ("hold", r#"{"holder":"k","best":{"quantity":2,"accessible":3}}"#, "it is more than quantity"),
        ("hold", r#"{"holder":"k","best":{"quantity":51}}"#, "a whole number from 1 to 50"),
        ("release", r#"{"reason":"x"}"#, "either seats or one owner"),
        ("release", r#"{"seats":["A"],"holder":"k"}"#, "either seats or one owner"),
        ("release", r#"{"holder":"k","subject":"s"}"#, "exactly one name"),
        ("release", r#"{"client_id":"ana"}"#, "unknown field `client_id`"),
        ("release", r#"{"session_id":"short"}"#, "session_id: it is none"),
        ("checkout", r#"{}"#, "missing field `owner`"),
        ("checkout", r#"{"owner":{}}"#, "owner: it needs exactly one"),
        ("checkout", r#"{"owner":{"holder":"k"},"ttl_s":7201}"#, "a whole number from 1 to 7200"),
        ("checkout", r#"{"owner":{"holder":"k"},"seats":[]}"#, "and there are 0"),
        ("book", r#"{"mode":"free"}"#, "unknown variant `free`"),
        ("cancel", "{}", "missing field `to`"),
        ("refund", r#"{"seats":[]}"#, "and there are 0"),
        ("block", r#"{"seats":["A"]}"#, "missing field `label`"),
        ("block", r#"{"label":"x"}"#, "seats or sections"),
        ("block", r#"{"seats":["A"],"label":"x","held":"keep"}"#, "unknown variant `keep`"),
        ("unblock", r#"{"seats":[],"sections":[]}"#, "seats or sections"),
        ("reconcile", r#"{"booked":[{"seat":"A","order":"o"}],"blocked":[{"seat":"A","label":"l"}]}"#, "twice"),
        ("reconcile", r#"{"booked":[{"seat":"A"}]}"#, "missing field `order`"),
    ] {
        let refused = read(call, body).expect_err(body);
        assert!(refused.contains(why), "{call} {body}: {refused}");
    }
}
