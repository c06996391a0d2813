//! Layouts: versions, both forms, how large they may be, and where clients get them.

use std::path::Path;

use serde_json::{Value, json};

use super::{call, hall};
use crate::api::ask;
use crate::harness::Server;
use crate::selling::{code, has};

const NONE: Value = Value::Null;
const JSON: &str = "Content-Type: application/json\r\n";

fn check(server: &Server, line: &str, body: &Value, status: u16, expected: &Value) -> Value {
    let (found, answer) = call(server, line, body);
    assert_eq!(found, status, "{line}: {answer}");
    assert!(has(&answer, expected), "{line}: {answer}\n  has not {expected}");
    answer
}

#[test]
fn a_version_never_changes_and_clients_get_it() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        check(&server, "GET /v1/layouts", &NONE, 200, &json!({"layouts": []}));
        let path = "/v1/layouts/sala%20%C3%B1";
        let named = json!({"id": "sala ñ"});
        let put = |plan: &Value, status| check(&server, &format!("PUT {path}"), plan, status, &named);
        let first = put(&hall(1, 2), 201);
        let second = put(&hall(1, 3), 201);
        assert_eq!(second["versions"], json!([first["version"], second["version"]]));
        // The order of members is no content, the order of seats is.
        let mut turned = hall(1, 2);
        turned["seats"].as_array_mut().expect("a list").reverse();
        assert_ne!(put(&turned, 201)["version"], first["version"]);
        let again = put(&hall(1, 2), 200);
        assert_eq!(again["seats"], 2);
        assert_eq!((&again["version"], &again["durable"]), (&first["version"], &false.into()));
        let found = check(&server, &format!("GET {path}"), &NONE, 200, &json!({"version": first["version"]}));
        assert_eq!(found["plan"]["seats"].as_array().map(Vec::len), Some(2), "what was put last is the latest");
        for version in [&first, &second] {
            let version = version["version"].as_str().expect("a text");
            let got = server.get(&format!("/layouts/sala%20%C3%B1/{version}"));
            assert_eq!((got.status, got.header("content-type")), (200, Some("application/json")), "{}", got.head);
            assert!(got.header("cache-control").is_some_and(|how| how.contains("immutable")), "{}", got.head);
        }
        check(
            &server,
            "PUT /v1/rooms/r",
            &json!({"layout": {"id": "sala ñ", "version": second["version"]}}),
            201,
            &json!({}),
        );
        check(&server, &format!("DELETE {path}"), &NONE, 409, &code("layout_in_use"));
        check(&server, "DELETE /v1/rooms/r", &NONE, 200, &json!({}));
        check(&server, &format!("DELETE {path}"), &NONE, 200, &json!({"deleted": true, "durable": false}));
        check(&server, "PUT /v1/rooms/r", &json!({"layout": "sala ñ"}), 422, &code("invalid"));
        let version = first["version"].as_str().expect("a text");
        assert_eq!(server.get(&format!("/layouts/sala%20%C3%B1/{version}")).status, 404, "it has gone");
    }
}

#[test]
fn a_plan_of_pretix_is_a_layout() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/layouts/plan.pretix.json");
    let text = std::fs::read_to_string(file).expect("it is in the repository");
    let server = Server::start(&[]);
    let put = |query: &str| ask(&server, &format!("PUT /v1/layouts/plan{query}"), JSON, &text);
    assert_eq!(put("").status, 422, "it is no plan of our own");
    assert_eq!(put("?format=csv").status, 422);
    let answer = put("?format=pretix");
    assert_eq!(answer.status, 201, "{}", answer.json());
    let layout = check(&server, "GET /v1/layouts/plan", &NONE, 200, &json!({"id": "plan"}));
    let plan: Value = serde_json::from_str(&text).expect("JSON");
    let rows = plan["zones"].as_array().expect("zones").iter().flat_map(|zone| zone["rows"].as_array().expect("rows"));
    let mut seats: Vec<&Value> = rows.flat_map(|row| row["seats"].as_array().expect("seats")).collect();
    let mut found: Vec<&Value> = layout["plan"]["seats"].as_array().expect("seats").iter().collect();
    seats.sort_by_key(|seat| seat["seat_guid"].to_string());
    found.sort_by_key(|seat| seat["id"].to_string());
    assert_eq!(
        seats.iter().map(|seat| &seat["seat_guid"]).collect::<Vec<_>>(),
        found.iter().map(|seat| &seat["id"]).collect::<Vec<_>>()
    );
    check(&server, "PUT /v1/rooms/r", &json!({"layout": "plan"}), 201, &json!({"layout": {"id": "plan"}}));
}

#[test]
fn a_plan_is_checked_and_bounded() {
    let server = Server::start(&[]);
    let seat = json!({"id": "A", "section": "s", "row": "1", "number": "1a", "category": "c", "x": 0, "y": 0});
    let with = |name: &str, value: Value| {
        let mut seat = seat.clone();
        seat[name] = value;
        json!({"categories": [{"id": "c"}], "seats": [seat]})
    };
    let put = |plan: &Value| call(&server, "PUT /v1/layouts/hall", plan);
    assert_eq!(put(&with("accessible", json!(true))).0, 201);
    for bad in [
        with("accesible", json!(true)),
        with("id", json!("")),
        with("x", json!("left")),
        with("section", NONE),
        with("category", json!("other")),
        with("companion_of", json!("nobody")),
        json!({"seats": "many"}),
        json!({"seats": [seat], "stage": {}}),
        json!({"seats": [seat, seat]}),
        json!([]),
    ] {
        let (status, answer) = put(&bad);
        assert_eq!((status, &answer["code"]), (422, &"invalid".into()), "{bad}: {answer}");
    }
    let long = " ".repeat(32 * 1024 * 1024 + 1);
    let refused = ask(&server, "PUT /v1/layouts/hall", JSON, &long);
    assert_eq!((refused.status, &refused.json()["code"]), (413, &"too_large".into()));
    let text = hall(1, 1).to_string();
    let padded = format!("{text}{}", &long[..32 * 1024 * 1024 - text.len()]);
    assert_eq!(ask(&server, "PUT /v1/layouts/hall", JSON, &padded).status, 201, "as long as it may be");
    assert_eq!(ask(&server, "PUT /v1/layouts/hall", "Content-Type: text/json\r\n", "{}").status, 415);
}

#[test]
fn all_plans_together_take_no_more_than_they_may() {
    // Half of it is for plans.
    let server = Server::start(&[("MEMORY_BUDGET_BYTES", "67108864")]);
    let long = "x".repeat(100);
    let plan = |first: &str| {
        let seat = |number: usize| {
            json!({"id": format!("{first}{number}-{long}"), "section": "s", "row": "1", "number": number, "category": "c",
                "x": number, "y": 0})
        };
        json!({"categories": [{"id": "c"}], "seats": (0..40_000).map(seat).collect::<Vec<_>>()})
    };
    check(&server, "PUT /v1/layouts/hall", &plan("a"), 201, &json!({"seats": 40_000}));
    let refused = check(&server, "PUT /v1/layouts/hall", &plan("b"), 409, &code("layouts_full"));
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains("may take 33554432")), "{refused}");
    check(&server, "PUT /v1/layouts/hall", &plan("a"), 200, &json!({"seats": 40_000}));
    check(&server, "DELETE /v1/layouts/hall", &NONE, 200, &json!({}));
    check(&server, "PUT /v1/layouts/hall", &plan("b"), 201, &json!({}));
}
