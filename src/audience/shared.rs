//! Bytes that are written once for all connections that wait for them: a full state of a room, the body of an answer.
//!
//! Ten thousand members of an arena that lag together, or come back together, need the same megabytes: a copy for each
//! would be fifteen gigabytes. Invariant: they count in the budget for as long as somebody waits. Never here: whose
//! they are.

use std::sync::Arc;

use super::budget::{Budget, Kind};

/// Bytes that live as long as somebody waits for them.
#[derive(Debug)]
pub struct Shared {
    bytes: Vec<u8>,
    kind: Kind,
    budget: Budget,
}

impl Shared {
    /// Shares bytes, which count in the budget from now on.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>, kind: Kind, budget: &Budget) -> Arc<Self> {
        bytes.shrink_to_fit();
        budget.charge(kind, bytes.len());
        Arc::new(Self { bytes, kind, budget: budget.clone() })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that several connections may be sent.
#[derive(Clone, Debug)]
pub enum SharedBytes {
    /// A full state, or the body of an HTTP answer.
    Counted(Arc<Shared>),
    /// What is in memory anyway, whoever is sent it: the document of a layout.
    Kept(Arc<[u8]>),
    /// A part of the program.
    Static(&'static [u8]),
}

impl SharedBytes {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Counted(shared) => shared.bytes(),
            Self::Kept(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.budget.release(self.kind, self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::Shared;
    use crate::audience::budget::{Budget, Kind};

    #[test]
    fn what_is_alive_is_counted() {
        let budget = Budget::default();
        let one = Shared::new(vec![1; 10], Kind::FullStates, &budget);
        let same = one.clone();
        let other = Shared::new(vec![2; 5], Kind::FullStates, &budget);
        let body = Shared::new(vec![2; 7], Kind::HttpBodies, &budget);
        assert_eq!((budget.used(Kind::FullStates), budget.used(Kind::HttpBodies), same.bytes().len()), (15, 7, 10));
        drop((one, other, body));
        assert_eq!((budget.used(Kind::FullStates), budget.used(Kind::HttpBodies)), (10, 0));
        drop(same);
        assert_eq!(budget.used(Kind::FullStates), 0);
    }
}
