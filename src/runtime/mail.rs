//! What travels between shards: the letters of their nodes, and what only shells write to each other: sockets that
//! move, questions of the site and of the API.
//!
//! Never here: mailboxes; what a letter means.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use crate::engine::command::ApiTicket;
use crate::engine::ids::ConnId;
use crate::node::letters::{Letter, Moving};
use crate::persist::parts::PartNews;
use crate::runtime::desk::DeskQuestion;
use crate::runtime::site::letters::{Question, Told};

/// A socket on its way to the shard that will serve it from now on.
#[derive(Debug)]
pub(crate) struct Travelling {
    pub(crate) fd: OwnedFd,
    pub(crate) peer: Option<Box<IpAddr>>,
    /// Its session.
    pub(crate) moving: Moving,
    /// What has been received and not consumed.
    pub(crate) unread: Vec<u8>,
}

/// Mail for a shard.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A letter of another node.
    Letter(Letter),
    /// Serve this connection from now on.
    Socket(Box<Travelling>),
    /// Somebody asks by HTTP.
    Ask { by: ConnId, question: Question },
    /// What was asked.
    Told { to: ConnId, told: Box<Told> },
    /// The cluster's thread tells something about parts.
    Part(PartNews),
    /// The API asks.
    Desk { ticket: ApiTicket, question: DeskQuestion },
}
