//! Where holds survive: what a store must do ([`store`]), Redis ([`redis`]), and the files of the embedded one
//! ([`embedded`]). [`identity`] says who this server is beyond its process.
//!
//! Never here: batches of shards, decisions about seats.

pub mod embedded;
pub mod identity;
pub mod redis;
pub mod secret;
pub mod shelf;
pub mod store;
