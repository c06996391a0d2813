//! Random bits of the system, for names that nobody may guess. Never here: what they name.

use ring::rand::{SecureRandom, SystemRandom};

use crate::node::Random;

/// What a fresh session is made of.
pub(crate) fn session() -> Random {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).expect("the system always has random bytes once it has started");
    let (name, rest) = bytes.split_at(16);
    Random {
        session: u128::from_le_bytes(name.try_into().expect("16 bytes")),
        incarnation: u64::from_le_bytes(rest.try_into().expect("8 bytes")),
    }
}
