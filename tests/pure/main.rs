//! Proofs without a process, a socket or a clock: the layers of the source, the engine against a naive model, and a
//! whole cluster run from one seed. Seconds, and the same on every machine.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on everything that it did not expect")]

mod acts;
mod afar;
mod carts;
mod cluster_simulation;
mod corpus;
mod epochs;
mod errands;
mod example_layouts;
mod hall_simulation;
mod halls;
mod kept;
mod model;
mod parted;
#[cfg(debug_assertions)]
mod planted;
mod room_model;
mod sale;
mod sale_simulation;
mod simulation;
mod small_scopes;
mod store_simulation;
mod takeover_simulation;
mod tidy;
mod wire_frames;
mod wire_golden;
mod wire_http;
mod wire_negotiation;
mod wire_requests;
mod wire_user_info;
mod wire_v2_golden;
mod wire_v2_requests;
