//! The proof with which a client shows after a restart that it held its seats: `resume` of `room_joined`.
//!
//! Every connection has a number that no other has, and holds keep it. The proof is that number with a code over the
//! number and the client's name, which only the holder of the key can make. So no table is needed. Invariants:
//! comparing a code takes the same time whatever is wrong with it; a number is never 0, which stands for none. Never
//! here: what a proof is good for.

use std::fmt::Write as _;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::Node;
use crate::engine::ids::{ClientId, ConnId};

/// Digits of a proof: the number and two halves of a code, each of 64 bits.
const DIGITS: usize = 48;

/// Makes proofs and checks them.
#[derive(Clone, Copy)]
pub struct Proofs {
    key: [u64; 2],
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
    pub fn new(key: [u64; 2], life: u64) -> Self {
        Self { key, life }
    }

    fn hash(self, what: u8, parts: &[u64], name: &str) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.key[0], self.key[1]);
        hasher.write_u8(what);
        parts.iter().for_each(|&part| hasher.write_u64(part));
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    fn code(self, owner: u64, client: &ClientId) -> [u64; 2] {
        [1, 2].map(|half| self.hash(half, &[owner], client.as_str()))
    }

    /// The number of a connection.
    pub(super) fn owner(self, conn: ConnId) -> u64 {
        let place = u64::from(conn.slot()) << 8 | conn.shard().index() as u64;
        self.hash(0, &[self.life, place, conn.generation().into()], "").max(1)
    }

    /// What proves that one is the owner of this number.
    pub(super) fn proof(self, owner: u64, client: &ClientId) -> String {
        let [first, second] = self.code(owner, client);
        let mut proof = String::with_capacity(DIGITS);
        write!(proof, "{owner:016x}{first:016x}{second:016x}").expect("a String takes everything");
        proof
    }

    /// Whose number the client has proven to own.
    pub(super) fn proven(self, proof: &str, client: &ClientId) -> Option<u64> {
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

    /// The client proves which connection of before it was, and is that one from now on. What proves nothing changes nothing.
    pub(super) fn take_proof(&mut self, slot: u32, resume: &str) {
        let Some((proofs, session)) = self.proofs.zip(self.sessions.get_mut(slot)) else { return };
        let proven = session.client().and_then(|client| proofs.proven(resume, client));
        if let (Some(owner), Some(who)) = (proven, &mut session.who) {
            who.origin.owner = owner;
        }
    }

    /// What the client of a connection can prove with later that it was this one.
    pub(super) fn proof(&self, slot: u32) -> Option<String> {
        let (proofs, session) = (self.proofs?, self.sessions.get(slot)?);
        Some(proofs.proof(session.origin().owner, session.client()?))
    }
}

#[cfg(test)]
mod tests {
    use super::Proofs;
    use crate::engine::ids::{ClientId, ConnId, ShardId};

    #[test]
    fn a_proof_is_good_for_its_client_in_every_life_and_for_nobody_else() {
        let [ana, eve] = ["ana", "eve"].map(|name| ClientId::new(name).expect("a name"));
        let conn = |slot, generation| ConnId::new(ShardId::new(1), slot, generation);
        let (first, second, other) = (Proofs::new([1, 2], 3), Proofs::new([1, 2], 4), Proofs::new([1, 3], 3));
        let owner = first.owner(conn(7, 0));
        assert_eq!(owner, first.owner(conn(7, 0)));
        for another in [first.owner(conn(7, 1)), first.owner(conn(8, 0)), second.owner(conn(7, 0))] {
            assert_ne!(owner, another, "no two connections have one number");
        }
        let proof = first.proof(owner, &ana);
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
