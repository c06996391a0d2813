//! Addresses as a shard and a store keep them: hashed.
//!
//! Invariants: an address has the same hash in every process with the same key; of an IPv6 address only the network of
//! 64 bits counts, because one line has 2^64 addresses in it. Never here: which proxies are believed.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::auth::owner_key::OwnerKey;
use crate::engine::ids::Origin;

/// Hashes addresses with a key that nobody is told.
#[derive(Clone)]
pub(crate) struct Origins {
    key: OwnerKey,
}

impl Origins {
    pub(crate) fn new(key: OwnerKey) -> Self {
        Self { key }
    }

    /// Where connections from this address come from.
    pub(crate) fn of(&self, ip: IpAddr) -> Origin {
        let key = self.key.get();
        let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
        match ip.to_canonical() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()[..8]),
        }
        // The one hash in 2^64 that would read as no origin at all reads as its neighbour.
        Origin::of_address(hasher.finish().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{Origins, OwnerKey};

    #[test]
    fn an_origin_is_an_address_or_a_network() {
        let (ours, other) = (Origins::new(OwnerKey::new([1, 2])), Origins::new(OwnerKey::new([1, 3])));
        let of = |text: &str| ours.of(text.parse().expect("an address"));
        for (a, b, is_same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::2:3", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(of(a) == of(b), is_same, "{a} {b}");
        }
        assert_ne!(of("192.0.2.1"), other.of("192.0.2.1".parse().expect("an address")), "another key, other hashes");
    }
}
