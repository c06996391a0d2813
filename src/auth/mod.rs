//! Who somebody is, by proof.
//!
//! `session` makes and checks the tokens with which a connection goes on as an earlier one. `token` checks those of the
//! shop, which say who a person is, under the keys of `keys`. `bans` is who may not come back yet. Invariants: a token
//! that cannot be checked is none; no token and no key is ever written anywhere. Never here: what somebody may do with
//! a seat; sockets, files, the network.

pub mod bans;
pub mod keys;
pub mod owner_key;
pub mod session;
pub mod token;
