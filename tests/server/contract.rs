//! The contract of the backend's API and of the sale, line by line, against the real binary.
//!
//! | line | tests |
//! | --- | --- |
//! | roles, keys, reread | `calls::each_role…`, `api::keys_have_roles…`, `api::starts_that_fail…` |
//! | loopback without keys, `Host`, no CORS, exit 64 | `api::without_keys…`, `api::starts…` |
//! | bodies: type, length, unknown fields, memory | `calls::a_body…`, `calls::bodies…`, `api::refusals…` |
//! | 422 and its bounds, 404 | `calls::what_means…`, `calls::what_is_not…` |
//! | OpenAPI, `/docs`, `/`, `/health`, `/stats` | `calls::the_document…`, `api::the_pages…`, schemathesis |
//! | 503 `persistence_unavailable`, asking again | `durability::second::an_order…` |
//! | checkout, book, cancel, refund: every state | `orders::every_state…`, `selling::an_order…` |
//! | a part of a cart, of a booking | `orders::a_part_of_a_cart…` |
//! | `ttl_s`, expiry | `orders::an_order_says_when_it_ends` |
//! | back to the cart, 60 s; who has gone | `orders::a_holder…`, `orders::a_cart…`, `clients::a_session…` |
//! | late book | `orders::a_late_booking…`, `selling::a_late_booking…` |
//! | owners, `ambiguous_owner` | `clients::*`, `selling::of_two_connections…` |
//! | disconnect, bans, 4503 | `clients::a_client…`, `selling::an_operator…`, `tokens::an_operator…` |
//! | layouts: versions, pretix, bounds, 8001, `DELETE` | `layouts::*`, `events::a_layout_stays…` |
//! | rooms: defaults, `room_differs`, `PATCH` | `rooms::what_is_absent…`, `rooms::a_room_of_a_client…` |
//! | states of a sale, `opens_at`; API not bound | `second::rooms`, `rooms::a_scheduled…`, `rooms::the_backend…` |
//! | `ROOMS=declared` | `second::seen::only_declared…`, `layouts::the_rooms_of_the_file…` |
//! | another layout, counts, sections | `rooms::another_layout…`, `rooms::a_layout_gives…`, `second::rooms` |
//! | `DELETE`, `force`, members | `rooms::a_room_with_orders…`, `rooms::a_deleted_room…` |
//! | `ROOM_KEEP_MS` | `rooms::a_room_that_is_over…` |
//! | `GET /v1/rooms` | `selling::rooms_of_all_shards…` |
//! | `seats?…` | `rooms::the_support_desk…` |
//! | hold, release, block, unblock, reconcile | `rooms::an_operator…`, `selling::blocks…` |
//! | log: shape, types, one event an act | `events::every_act…`, `log::every_act…` |
//! | `after`, `limit`, 410, `LOG_HOLDS` | `events::places_that_are_none…`, `log::a_stream_from_nowhere…` |
//! | `wait_s`, SSE, `Last-Event-ID` | `log::who_waits…`, `log::a_stream_begins…`, `events::a_stream_tells…` |
//! | drain | `log::a_drain…`, `api::a_drain…` |
//! | durable before the answer, same commit | `durability::booked`, `durability::log` |
//! | announced to v1 and v2 | `second::seen`, `second::carts`, `selling::the_cart_of_a_connection…` |

mod calls;
mod clients;
mod layouts;
mod log;
mod orders;
mod rooms;

use serde_json::{Value, json};

use crate::harness::Server;
pub(crate) use crate::selling::call;
use crate::selling::{Line, has};

/// Calls with their whole path, the status and what the answer has at least.
pub(crate) fn play(server: &Server, lines: &[Line]) {
    for (number, (line, body, status, expected)) in lines.iter().enumerate() {
        let (found, answer) = call(server, line, body);
        assert_eq!(found, *status, "line {number}: {line} {body}: {answer}");
        assert!(has(&answer, expected), "line {number}: {line} {body}: {answer}\n  has not {expected}");
    }
}

/// The same of rooms (`METHOD /ROOM…`), on a fresh server with one shard and with two.
pub(crate) fn each(lines: &[Line]) {
    for shards in ["1", "2"] {
        crate::selling::check(&Server::start(&[("SHARDS", shards)]), lines);
    }
}

/// A plan: sections `s0`, `s1`… of one row each, whose seats are `s0-0`, `s0-1`….
pub(crate) fn hall(sections: usize, seats: usize) -> Value {
    let seat = |section: usize, number: usize| {
        json!({"id": format!("s{section}-{number}"), "section": format!("s{section}"), "row": "1", "number": number + 1,
            "category": "c", "x": number, "y": section})
    };
    let all = (0..sections).flat_map(|section| (0..seats).map(move |number| seat(section, number)));
    json!({"categories": [{"id": "c"}], "seats": all.collect::<Vec<_>>()})
}

/// A moment as requests write it.
pub(crate) fn rfc3339(ms: u64) -> String {
    let text = butaca::engine::time::WallMillis(ms).rfc3339();
    String::from_utf8(text.to_vec()).expect("digits and signs")
}
