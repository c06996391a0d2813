//! The proof with which a client shows after a restart that it held its seats: `resume` of `room_joined`.
//!
//! Every connection has a number that no other has, and holds keep it. The proof is that number with a code over the
//! number and the client's name, which only the holder of the key can make. So no table is needed. Invariants:
//! comparing a code takes the same time whatever is wrong with it; a number is never 0, which stands for none. Never
//! here: what a proof is good for.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{self, Hasher128};

use super::Node;
use crate::auth::owner_key::OwnerKey;
use crate::engine::ids::{ClientId, ConnId};

/// Digits of a proof: the number and two halves of a code, each of 64 bits.
const DIGITS: usize = 48;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// What a client is given.
#[derive(Clone, Copy)]
pub(super) struct Proof([u8; DIGITS]);

impl Proof {
    fn new(numbers: [u64; 3]) -> Self {
        let mut digits = [0; DIGITS];
        let bytes = numbers.into_iter().flat_map(u64::to_be_bytes);
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(digits)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("digits are text")
    }
}

/// Makes proofs and checks them.
#[derive(Clone)]
pub struct Proofs {
    key: OwnerKey,
    /// Another one in each life of the process: connections of two lives have different numbers.
    life: u64,
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proofs(secret)")
    }
}

impl Proofs {
    /// With a key that outlives the process, and a random number that does not.
    #[must_use]
    pub fn new(key: OwnerKey, life: u64) -> Self {
        Self { key, life }
    }

    /// One pass of 128 bits, and bytes instead of numbers: a proof is made at every join.
    fn code(&self, owner: u64, client: &ClientId) -> [u64; 2] {
        let key = self.key.get();
        let mut hasher = sip128::SipHasher24::new_with_keys(key[0], key[1]);
        hasher.write(&owner.to_le_bytes());
        hasher.write(client.as_str().as_bytes());
        let code = hasher.finish128();
        [code.h1, code.h2]
    }

    /// The number of a connection.
    pub(super) fn owner(&self, conn: ConnId) -> u64 {
        let place = u64::from(conn.slot()) << 8 | conn.shard().index() as u64;
        let mut bytes = [0; 24];
        for (part, number) in bytes.chunks_exact_mut(8).zip([self.life, place, conn.generation().into()]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        let key = self.key.get();
        let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
        hasher.write(&bytes);
        hasher.finish().max(1)
    }

    /// What proves that one is the owner of this number.
    pub(super) fn proof(&self, owner: u64, client: &ClientId) -> Proof {
        let [first, second] = self.code(owner, client);
        Proof::new([owner, first, second])
    }

    /// Whose number the client has proven to own.
    pub(super) fn proven(&self, proof: &str, client: &ClientId) -> Option<u64> {
        let digits =
            Some(proof).filter(|proof| proof.len() == DIGITS && proof.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let number = |at: usize| u64::from_str_radix(&digits[16 * at..16 * (at + 1)], 16).ok();
        let (owner, given) = (number(0)?, [number(1)?, number(2)?]);
        let code = self.code(owner, client);
        // Both halves are looked at in any case.
        let differs = (given[0] ^ code[0]) | (given[1] ^ code[1]);
        (differs == 0 && owner != 0).then_some(owner)
    }
}

impl Node {
    /// The same node, which tells every client how it can prove after a restart who it is.
    #[must_use]
    pub fn with_proofs(mut self, proofs: Proofs) -> Self {
        self.proofs = Some(proofs);
        self
    }

    /// The client proves which connection of before it was, and is that one from now on. What proves nothing changes
    /// nothing.
    pub(super) fn take_proof(&mut self, slot: u32, resume: &str) {
        let Some((proofs, session)) = self.proofs.as_ref().zip(self.sessions.get_mut(slot)) else { return };
        let proven = session.client().and_then(|client| proofs.proven(resume, client));
        if let (Some(owner), Some(who)) = (proven, &mut session.who) {
            who.origin.owner = owner;
        }
    }

    /// What the client of a connection can prove with later that it was this one.
    pub(super) fn proof(&self, slot: u32) -> Option<Proof> {
        let (proofs, session) = (self.proofs.as_ref()?, self.sessions.get(slot)?);
        Some(proofs.proof(session.origin().owner, session.client()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{OwnerKey, Proofs};
    use crate::engine::ids::{ClientId, ConnId, ShardId};

    fn proofs(key: [u64; 2], life: u64) -> Proofs {
        Proofs::new(OwnerKey::new(key), life)
    }

    #[test]
    fn a_proof_is_good_for_its_client_in_every_life_and_for_nobody_else() {
        let [ana, eve] = ["ana", "eve"].map(|name| ClientId::new(name).expect("a name"));
        let conn = |slot, generation| ConnId::new(ShardId::new(1), slot, generation);
        let (first, second, other) = (proofs([1, 2], 3), proofs([1, 2], 4), proofs([1, 3], 3));
        let owner = first.owner(conn(7, 0));
        assert_eq!(owner, first.owner(conn(7, 0)));
        for another in [first.owner(conn(7, 1)), first.owner(conn(8, 0)), second.owner(conn(7, 0))] {
            assert_ne!(owner, another, "no two connections have one number");
        }
        let proof = first.proof(owner, &ana).as_str().to_owned();
        assert!(proof.starts_with(&format!("{owner:016x}")), "{proof} has its number in front");
        assert_eq!(first.proven(&proof, &ana), Some(owner));
        assert_eq!(second.proven(&proof, &ana), Some(owner), "after a restart");
        assert_eq!(first.proven(&proof, &eve), None);
        assert_eq!(other.proven(&proof, &ana), None, "another server");
        for at in 0..proof.len() {
            let mut forged = proof.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).expect("digits");
            assert_eq!(first.proven(&forged, &ana), None, "{forged}");
        }
        for text in ["", "0", "é", &proof[1..], &format!("{proof}0"), &"+".repeat(48), &"é".repeat(24)] {
            assert_eq!(first.proven(text, &ana), None, "{text}");
        }
    }
}
