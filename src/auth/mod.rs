//! Who somebody is, by proof.
//!
//! `session` makes and checks the tokens with which a connection goes on as an earlier one. Invariants: a token that
//! cannot be checked is none; no token and no key is ever written anywhere. Never here: what somebody may do; sockets.

pub mod session;
