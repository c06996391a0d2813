//! The bytes of a room's recent broadcasts, so that another member's copy is checked by comparing memory.
//!
//! Invariant: two buffers of bounded size; when the newer is full, the older is forgotten.
//! Never here: what the bytes say.

/// Where a frame's bytes are. The default is nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    generation: u32,
    start: u32,
    length: u32,
}

/// The recent bytes of one room.
#[derive(Debug)]
pub(super) struct Recent {
    limit: usize,
    generation: u32,
    newer: Vec<u8>,
    older: Vec<u8>,
}

impl Recent {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, generation: 1, newer: Vec::new(), older: Vec::new() }
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) -> Place {
        if self.newer.len() + bytes.len() > self.limit {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.clear();
            self.generation = self.generation.wrapping_add(1).max(1);
        }
        let (Ok(start), Ok(length)) = (u32::try_from(self.newer.len()), u32::try_from(bytes.len())) else {
            return Place::default();
        };
        self.newer.extend_from_slice(bytes);
        Place { generation: self.generation, start, length }
    }

    /// Whether `place` is still known and holds exactly `bytes`.
    #[inline]
    pub(super) fn holds(&self, place: Place, bytes: &[u8]) -> bool {
        let buffer = match self.generation.wrapping_sub(place.generation) {
            _ if place.generation == 0 => return false,
            0 => &self.newer,
            1 => &self.older,
            _ => return false,
        };
        let (start, length) = (place.start as usize, place.length as usize);
        length == bytes.len() && buffer.get(start..start + length) == Some(bytes)
    }

    /// Whether the bytes at `place` can still be compared with.
    pub(super) fn knows(&self, place: Place) -> bool {
        place.generation != 0 && self.generation.wrapping_sub(place.generation) <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn two_generations_are_kept() {
        let mut recent = Recent::new(10);
        let first = recent.keep(b"abcdef");
        let second = recent.keep(b"ghijkl");
        assert!(recent.holds(first, b"abcdef") && recent.holds(second, b"ghijkl") && !recent.holds(first, b"abcdeX"));
        let third = recent.keep(b"mnopqr");
        assert!(!recent.knows(first) && recent.holds(second, b"ghijkl") && recent.holds(third, b"mnopqr"));
    }
}
