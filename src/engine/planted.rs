//! Deliberate defects, to show that the simulation finds what it looks for. Compiled only with the feature
//! `planted-bugs`, and then switched on for one shard by `Shard::plant`. Never in a server.

/// A defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A select of a seat that somebody else holds is granted now and then.
    DoubleGrant,
    /// The last seat of a connection that has ended is never released.
    LostRelease,
    /// Two changes of one input are told in the wrong order.
    ReorderedView,
    /// The end of an earlier hold of a seat ends its present hold.
    StaleDeadline,
    /// A connection that has ended stays a member.
    LeakedMember,
}
