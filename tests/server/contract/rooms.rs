//! Rooms: their settings and defaults, states of a sale, their end, lists, counts, blocks and what the shop says.

use serde_json::{Value, json};

use super::{call, each, hall, play};
use crate::harness::client::Client;
use crate::harness::{Server, eventually};
use crate::selling::{code, has};

const NONE: Value = Value::Null;

#[test]
fn what_is_absent_has_its_default_and_null_gives_it_back() {
    let fresh = json!({"room": "r", "declared": true, "sale": "open", "opens_at": null, "hold_ms": null,
        "max_seats": null, "no_orphans": false, "ends_at": null, "message": null, "layout": null, "seq": 0,
        "members": 0, "durable": false});
    let all = json!({"sale": "scheduled", "opens_at": "2999-01-01T00:00:00Z", "hold_ms": 100, "max_seats": 0,
        "ends_at": "2999-02-01T00:00:00+01:00", "message": "soon"});
    each(&[
        ("PUT /r", NONE, 201, fresh.clone()),
        ("PUT /r", json!({}), 200, fresh.clone()),
        ("PUT /r", json!({"sale": "open", "no_orphans": false}), 200, fresh.clone()),
        ("PUT /r", json!({"sale": "paused"}), 409, code("room_differs")),
        ("PUT /r", json!({"message": "x"}), 409, code("room_differs")),
        ("PUT /r", json!({"max_seats": 3}), 409, code("room_differs")),
        ("PUT /r", json!({"ends_at": "2999-01-01T00:00:00Z"}), 409, code("room_differs")),
        (
            "PATCH /r",
            all.clone(),
            200,
            json!({"sale": "scheduled", "opens_at": "2999-01-01T00:00:00.000Z", "hold_ms": 100, "max_seats": 0,
                "ends_at": "2999-01-31T23:00:00.000Z", "message": "soon"}),
        ),
        ("PUT /r", all, 200, json!({"sale": "scheduled"})),
        ("PATCH /r", json!({}), 200, json!({"sale": "scheduled", "hold_ms": 100})),
        (
            "PATCH /r",
            json!({"sale": "open", "hold_ms": null, "max_seats": null, "ends_at": null, "message": null}),
            200,
            fresh,
        ),
        ("PATCH /r", json!({"no_orphans": true}), 409, code("no_layout")),
        ("PUT /s", json!({"no_orphans": true}), 409, code("no_layout")),
        ("GET /s", NONE, 404, code("unknown_room")),
    ]);
}

/// A room that a client made by naming it is there, and the backend may decide about it.
#[test]
fn a_room_of_a_client_is_changed_like_any_other() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let mut ana = Client::join(&server, "ana", "r");
        play(
            &server,
            &[
                ("GET /v1/rooms/r", NONE, 200, json!({"declared": false, "sale": "open", "members": 1})),
                ("PATCH /v1/rooms/r", json!({"sale": "paused"}), 200, json!({"declared": true, "sale": "paused"})),
            ],
        );
        ana.select("r", "A1");
        assert_eq!(ana.json()["code"], "sale_paused");
        play(
            &server,
            &[
                ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["A2"]}), 200, json!({})),
                ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}}), 201, json!({})),
                ("POST /v1/rooms/r/orders/o/book", NONE, 200, json!({})),
                ("PATCH /v1/rooms/r", json!({"sale": "open"}), 200, json!({"sale": "open", "seq": 3})),
                ("DELETE /v1/rooms/r", NONE, 200, json!({"deleted": true})),
            ],
        );
    }
}

#[test]
fn the_backend_sells_whatever_the_state_of_the_sale() {
    let mut lines = Vec::new();
    for (at, sale) in ["open", "paused", "closed", "scheduled"].iter().enumerate() {
        let [put, hold, order] = [
            ["PUT /a", "POST /a/hold", "PUT /a/orders/o"],
            ["PUT /b", "POST /b/hold", "PUT /b/orders/o"],
            ["PUT /c", "POST /c/hold", "PUT /c/orders/o"],
            ["PUT /d", "POST /d/hold", "PUT /d/orders/o"],
        ][at];
        lines.extend([
            (put, json!({ "sale": sale }), 201, json!({ "sale": sale })),
            (hold, json!({"holder": "k", "seats": ["1"]}), 200, json!({"seats": ["1"]})),
            (order, json!({"owner": {"holder": "k"}}), 201, json!({"state": "checkout"})),
        ]);
    }
    each(&lines);
}

/// `opens_at` opens the sale by itself, and everybody hears of it.
#[test]
fn a_scheduled_sale_opens_by_itself() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let soon = crate::harness::wait::wall_ms() + 400;
        let opens_at = super::rfc3339(soon);
        let body = json!({"sale": "scheduled", "opens_at": opens_at});
        play(&server, &[("PUT /v1/rooms/r", body.clone(), 201, json!({"sale": "scheduled"}))]);
        let mut second = Client::connect_on(server.dial(), "b", "?v=2");
        second.send(r#"{"type":"join_room","room_id":"r"}"#);
        let state = eventually("it opens", || Some(second.json()).filter(|told| told["type"] == "room_state"));
        assert!(has(&state, &json!({"room_id": "r", "sale": "open"})), "{state}");
        assert!(crate::harness::wait::wall_ms() >= soon, "not before its time");
        let mut first = Client::join(&server, "ana", "r");
        first.select("r", "A1");
        assert_eq!(first.json()["type"], "seat_selected");
        play(
            &server,
            &[
                ("GET /v1/rooms/r", NONE, 200, json!({"sale": "open", "opens_at": null})),
                ("PUT /v1/rooms/r", body, 200, json!({"sale": "open"})),
            ],
        );
    }
}

/// A room goes `ROOM_KEEP_MS` after its end, with its bookings, and not before.
#[test]
fn a_room_that_is_over_goes_after_its_time() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards), ("ROOM_KEEP_MS", "700")]);
        let mut ana = Client::join(&server, "ana", "r");
        let ends_at = crate::harness::wait::wall_ms();
        play(
            &server,
            &[
                ("PUT /v1/rooms/r", json!({"ends_at": super::rfc3339(ends_at)}), 201, json!({})),
                ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["1"]}), 200, json!({})),
                ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}}), 201, json!({})),
                ("POST /v1/rooms/r/orders/o/book", NONE, 200, json!({"state": "booked"})),
            ],
        );
        eventually("it has gone", || (call(&server, "GET /v1/rooms/r", &NONE).0 == 404).then_some(()));
        assert!(crate::harness::wait::wall_ms() >= ends_at + 700);
        assert_eq!(ana.json()["type"], "seat_selected");
        // By default a week: eight days after its end a room goes at once.
        let old = Server::start(&[("SHARDS", shards)]);
        let days = |days: u64| super::rfc3339(crate::harness::wait::wall_ms() - days * 86_400_000);
        play(&old, &[("PUT /v1/rooms/r", json!({"ends_at": days(6)}), 201, json!({}))]);
        play(&old, &[("PUT /v1/rooms/s", json!({"ends_at": days(8)}), 201, json!({}))]);
        eventually("it has gone", || (call(&old, "GET /v1/rooms/s", &NONE).0 == 404).then_some(()));
        play(&old, &[("GET /v1/rooms/r", NONE, 200, json!({}))]);
    }
}

/// Members are told, and are members no more.
#[test]
fn a_deleted_room_ends_for_its_members() {
    for settings in [&[("SHARDS", "1")][..], &[("SHARDS", "2")], &[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "1")]] {
        let server = Server::start(settings);
        let mut first = Client::join(&server, "ana", "r");
        let mut second = Client::connect_on(server.dial(), "b", "?v=2");
        second.json();
        second.send(r#"{"type":"join_room","room_id":"r"}"#);
        assert_eq!(second.json()["type"], "room_joined");
        assert_eq!(second.json()["type"], "snapshot");
        first.select("r", "A1");
        assert_eq!(first.json()["type"], "seat_selected");
        play(&server, &[("DELETE /v1/rooms/r", NONE, 200, json!({"deleted": true}))]);
        let released = first.json();
        assert!(
            has(&released, &json!({"type": "seat_released", "seat_id": "A1", "reason": "room_deleted"})),
            "{released}"
        );
        let told = eventually("it is told", || Some(second.json()).filter(|told| told["type"] == "room_state"));
        assert!(has(&told, &json!({"room_id": "r", "sale": "deleted"})), "{told}");
        second.send(r#"{"type":"sync","id":7,"room_id":"r"}"#);
        let refused = eventually("it is refused", || Some(second.json()).filter(|told| told["type"] == "error"));
        assert_eq!((&refused["id"], &refused["code"]), (&7.into(), &"bad_request".into()), "{refused}");
        eventually("they have left", || (call(&server, "GET /v1/rooms/r", &NONE).0 == 404).then_some(()));
    }
}

#[test]
fn a_room_with_orders_in_checkout_is_deleted_by_force_alone() {
    each(&[
        ("POST /r/hold", json!({"holder": "k", "seats": ["1", "2"]}), 200, json!({})),
        ("PUT /r/orders/o", json!({"owner": {"holder": "k"}, "seats": ["1"]}), 201, json!({})),
        ("DELETE /r", NONE, 409, code("orders_in_checkout")),
        ("DELETE /r?force=0", NONE, 409, code("orders_in_checkout")),
        ("POST /r/orders/o/book", NONE, 200, json!({})),
        ("DELETE /r", NONE, 200, json!({"deleted": true, "durable": false})),
        ("GET /r/orders/o", NONE, 404, code("unknown_room")),
        ("DELETE /r", NONE, 404, code("unknown_room")),
        ("POST /r/hold", json!({"holder": "k", "seats": ["1"]}), 200, json!({"cart": {"seats": ["1"]}})),
        ("PUT /r/orders/o", json!({"owner": {"holder": "k"}}), 201, json!({"state": "checkout"})),
        ("DELETE /r?force=1", NONE, 200, json!({"deleted": true})),
        ("GET /r", NONE, 404, code("unknown_room")),
    ]);
}

#[test]
fn a_layout_gives_counts_sections_and_free_seats() {
    let settings = [&[("SHARDS", "1")][..], &[("SHARDS", "2")]];
    for settings in settings {
        let server = Server::start(settings);
        let version = call(&server, "PUT /v1/layouts/hall", &hall(2, 3)).1["version"].clone();
        let free = |free: u32| json!({"free": free, "held": 0, "checkout": 0, "booked": 0, "blocked": 0});
        let pinned = json!({"layout": {"id": "hall", "version": version}});
        play(
            &server,
            &[
                ("PUT /v1/rooms/r", json!({"layout": "hall"}), 201, pinned.clone()),
                ("PUT /v1/rooms/r", pinned.clone(), 200, pinned.clone()),
                (
                    "GET /v1/rooms/r/counts",
                    NONE,
                    200,
                    json!({"total": free(6), "sections": {"s0": free(3), "s1": free(3)}, "categories": {"c": free(6)}}),
                ),
                ("GET /v1/rooms/r/seats", NONE, 200, json!({"seats": [], "next": null})),
                (
                    "GET /v1/rooms/r/seats?state=free&limit=2",
                    NONE,
                    200,
                    json!({"seats": [{"seat": "s0-0", "state": "free"}, {"seat": "s0-1"}], "next": "s0-1"}),
                ),
                ("GET /v1/rooms/r/seats?state=free&after=s1-1", NONE, 200, json!({"seats": [{"seat": "s1-2"}]})),
                (
                    "POST /v1/rooms/r/hold",
                    json!({"holder": "k", "seats": ["nope"]}),
                    422,
                    json!({"code": "unknown_seat",
                    "conflicts": [{"seat": "nope", "state": "unknown"}]}),
                ),
                (
                    "POST /v1/rooms/r/hold",
                    json!({"holder": "k", "best": {"quantity": 2, "sections": ["s1"]}}),
                    200,
                    json!({"cart": {}}),
                ),
                (
                    "POST /v1/rooms/r/hold",
                    json!({"holder": "m", "best": {"quantity": 2, "sections": ["s1"]}}),
                    409,
                    code("not_enough_seats"),
                ),
                (
                    "POST /v1/rooms/r/hold",
                    json!({"holder": "m", "best": {"quantity": 4}}),
                    409,
                    code("no_adjacent_seats"),
                ),
                (
                    "POST /v1/rooms/r/block",
                    json!({"sections": ["s0"], "label": "x"}),
                    200,
                    json!({"changed": ["s0-0", "s0-1", "s0-2"], "released": [], "durable": false}),
                ),
                ("POST /v1/rooms/r/block", json!({"sections": ["s0"], "label": "y"}), 200, json!({"changed": []})),
                ("POST /v1/rooms/r/block", json!({"sections": ["s1"], "label": "x"}), 409, code("seats_unavailable")),
                ("POST /v1/rooms/r/block", json!({"sections": ["nope"], "label": "x"}), 422, code("unknown_seat")),
                (
                    "POST /v1/rooms/r/unblock",
                    json!({"sections": ["s0", "s1"]}),
                    200,
                    json!({"changed": ["s0-0", "s0-1", "s0-2"]}),
                ),
                (
                    "GET /v1/rooms/r/counts",
                    NONE,
                    200,
                    json!({"total": {"free": 4, "held": 2}, "sections": {"s1": {"free": 1, "held": 2}}}),
                ),
            ],
        );
    }
}

#[test]
fn another_layout_must_have_all_seats_that_are_taken() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let first = call(&server, "PUT /v1/layouts/hall", &hall(1, 3)).1["version"].clone();
        let second = call(&server, "PUT /v1/layouts/hall", &hall(1, 2)).1["version"].clone();
        let old = json!({"layout": {"id": "hall", "version": first}});
        let new = json!({"layout": {"id": "hall", "version": second}});
        play(
            &server,
            &[
                ("PUT /v1/rooms/r", old.clone(), 201, old.clone()),
                ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["s0-2"]}), 200, json!({})),
                (
                    "PATCH /v1/rooms/r",
                    json!({"layout": "hall"}),
                    409,
                    json!({"code": "layout_mismatch", "conflicts": [{"seat": "s0-2", "state": "held"}]}),
                ),
                ("GET /v1/rooms/r", NONE, 200, old.clone()),
                ("PUT /v1/rooms/r", json!({"layout": "hall"}), 409, code("room_differs")),
                ("POST /v1/rooms/r/release", json!({"holder": "k", "reason": "x"}), 200, json!({"seats": ["s0-2"]})),
                ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["s0-1"]}), 200, json!({})),
                ("PATCH /v1/rooms/r", json!({"layout": "hall"}), 200, new.clone()),
                ("GET /v1/rooms/r/counts", NONE, 200, json!({"total": {"free": 1, "held": 1}})),
                ("PATCH /v1/rooms/r", old, 200, json!({})),
                ("PATCH /v1/rooms/r", json!({"layout": null}), 200, json!({"layout": null})),
                ("GET /v1/rooms/r/counts", NONE, 200, json!({"total": {"free": null, "held": 1}})),
                ("GET /v1/rooms/r/seats?state=free", NONE, 409, code("no_layout")),
            ],
        );
    }
}

#[test]
fn an_operator_frees_blocks_and_the_shop_is_right() {
    each(&[
        ("POST /r/hold", json!({"holder": "k", "seats": ["1", "2", "3"], "ttl_s": 60}), 200, json!({})),
        ("PUT /r/orders/o", json!({"owner": {"holder": "k"}, "seats": ["3"]}), 201, json!({})),
        (
            "POST /r/release",
            json!({"seats": ["1", "3"], "reason": "x"}),
            409,
            json!({"code": "in_checkout", "conflicts": [{"seat": "3", "state": "checkout"}]}),
        ),
        ("POST /r/release", json!({"seats": ["7"], "reason": "x"}), 409, code("not_held")),
        ("POST /r/release", json!({"seats": ["1"], "reason": "x"}), 200, json!({"room": "r", "seats": ["1"]})),
        (
            "POST /r/block",
            json!({"seats": ["1", "3"], "label": "x", "held": "release"}),
            409,
            json!({"code": "seats_unavailable", "conflicts": [{"seat": "3", "state": "checkout"}]}),
        ),
        (
            "POST /r/block",
            json!({"seats": ["1", "2"], "label": "x", "held": "release"}),
            200,
            json!({"changed": ["1", "2"], "released": ["2"]}),
        ),
        ("POST /r/unblock", json!({"seats": ["3"]}), 409, json!({"conflicts": [{"seat": "3", "state": "checkout"}]})),
        (
            "GET /r/seats?state=blocked",
            NONE,
            200,
            json!({"seats": [{"seat": "1", "label": "x", "expires_at": null}, {"seat": "2", "label": "x"}]}),
        ),
        // The order's own seat is booked from checkout; a list that is absent leaves its kind alone.
        (
            "POST /r/reconcile",
            json!({"booked": [{"seat": "3", "order": "p"}], "dry_run": false}),
            409,
            json!({"conflicts": [{"seat": "3", "state": "checkout"}]}),
        ),
        (
            "POST /r/reconcile",
            json!({"booked": [{"seat": "3", "order": "o"}], "dry_run": false}),
            200,
            json!({"booked": ["3"], "blocked": [], "freed": []}),
        ),
        ("GET /r/orders/o", NONE, 200, json!({"state": "booked"})),
        (
            "POST /r/reconcile",
            json!({"blocked": [{"seat": "3", "label": "x"}], "dry_run": false}),
            409,
            json!({"conflicts": [{"seat": "3", "state": "booked"}]}),
        ),
        ("POST /r/hold", json!({"holder": "m", "seats": ["4", "5"]}), 200, json!({})),
        (
            "POST /r/reconcile",
            json!({"booked": [{"seat": "4", "order": "q"}], "blocked": [{"seat": "5", "label": "y"}],
            "dry_run": true}),
            200,
            json!({"booked": ["4"], "blocked": ["5"], "freed": ["3", "1", "2", "5"]}),
        ),
        ("GET /r/counts", NONE, 200, json!({"total": {"held": 2, "booked": 1, "blocked": 2}})),
        (
            "POST /r/reconcile",
            json!({"booked": [{"seat": "4", "order": "q"}], "blocked": [{"seat": "5", "label": "y"}],
            "dry_run": false}),
            200,
            json!({"booked": ["4"], "blocked": ["5"]}),
        ),
        ("GET /r/counts", NONE, 200, json!({"total": {"held": 0, "booked": 1, "blocked": 1}})),
        ("GET /r/orders/o", NONE, 200, json!({"state": "refunded", "refunded": ["3"]})),
        ("GET /r/orders/q", NONE, 200, json!({"state": "booked", "seats": ["4"]})),
        ("POST /r/reconcile", json!({}), 200, json!({"booked": [], "blocked": [], "freed": []})),
        ("POST /r/reconcile", json!({"booked": [], "blocked": []}), 200, json!({"freed": ["4", "5"]})),
        ("GET /r/seats", NONE, 200, json!({"seats": []})),
    ]);
}

/// Who has what until when, by every filter.
#[test]
fn the_support_desk_finds_every_seat() {
    each(&[
        ("POST /r/hold", json!({"holder": "k", "seats": ["1", "2", "3"]}), 200, json!({})),
        ("POST /r/hold", json!({"holder": "m", "seats": ["4"]}), 200, json!({})),
        ("PUT /r/orders/o", json!({"owner": {"holder": "k"}, "seats": ["3"]}), 201, json!({})),
        ("POST /r/block", json!({"seats": ["5"], "label": "sound"}), 200, json!({})),
        ("GET /r/seats?seat=4", NONE, 200, json!({"seats": [{"seat": "4", "owner": {"holder": "m"}}]})),
        ("GET /r/seats?seat=9", NONE, 200, json!({"seats": []})),
        (
            "GET /r/seats?owner=holder:k",
            NONE,
            200,
            json!({"seats": [{"seat": "1"}, {"seat": "2"}, {"seat": "3", "order": "o"}]}),
        ),
        (
            "GET /r/seats?owner=holder%3Ak&state=checkout",
            NONE,
            200,
            json!({"seats": [{"seat": "3", "state": "checkout"}]}),
        ),
        ("GET /r/seats?owner=nobody", NONE, 200, json!({"seats": []})),
        ("GET /r/seats?owner=m", NONE, 200, json!({"seats": [{"seat": "4"}]})),
        ("GET /r/seats?owner=system", NONE, 200, json!({"seats": [{"seat": "5"}]})),
        ("POST /r/hold", json!({"holder": "h".repeat(121), "seats": ["6"]}), 200, json!({})),
        ("POST /r/release", json!({"seats": ["6"]}), 200, json!({})),
        (
            "POST /r/hold",
            json!({"holder": "h".repeat(122), "seats": ["6"]}),
            422,
            json!({"detail": "holder: allowed are 1 to 121 bytes"}),
        ),
        ("GET /r/seats?order=o", NONE, 200, json!({"seats": [{"seat": "3"}]})),
        ("GET /r/seats?order=p", NONE, 200, json!({"seats": []})),
        ("GET /r/seats?state=blocked", NONE, 200, json!({"seats": [{"seat": "5", "label": "sound"}]})),
        ("GET /r/seats?limit=2", NONE, 200, json!({"seats": [{"seat": "1"}, {"seat": "2"}], "next": "2"})),
        (
            "GET /r/seats?limit=3&after=2",
            NONE,
            200,
            json!({"seats": [{"seat": "3"}, {"seat": "4"}, {"seat": "5"}], "next": null}),
        ),
        ("GET /r/seats?after=5", NONE, 200, json!({"seats": [], "next": null})),
        ("GET /r/seats?limit=1001", NONE, 422, code("invalid")),
        ("GET /r/seats?limit=0", NONE, 422, code("invalid")),
        ("GET /r/seats?status=held", NONE, 422, code("invalid")),
    ]);
}
