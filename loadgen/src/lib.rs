//! A load generator that is also a judge: it plays an on-sale against a seat server, checks every message, and shows
//! what happened.
//!
//! Reading order: [`names`] and [`scan`] (the protocol as bytes), [`oracle`] (what can be true), [`plan`] (what people
//! do), [`worker`] (sockets), [`client`], [`second`] and [`session`] (a load thread), [`scenario`], [`run`] (everything
//! together), [`report`]. Nothing of the server is imported: a drift of the protocol must show here.

pub mod limits;
pub mod num;
pub mod out;

pub mod clock;
pub mod names;
pub mod scan;
pub mod target;
pub mod ws;

pub mod oracle;
pub mod plan;

pub mod hall;
pub mod http;
pub mod net;
pub mod proc;
pub mod worker;

pub mod client;
pub mod measure;
pub mod second;

pub mod audit;
pub mod progress;
pub mod scenario;
pub mod session;
pub mod watch;

pub mod check;
pub mod compare;
pub mod interactive;

pub mod orders;
pub mod purchase;

pub mod outcome;
pub mod report;
pub mod run;

pub mod cli;
pub mod launch;
