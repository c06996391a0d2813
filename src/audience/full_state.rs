//! One full state of a room, encoded once, for all connections that wait for it.
//!
//! Ten thousand members of an arena that lag together, or come back together, need the same megabytes: a copy for each
//! would be fifteen gigabytes. Invariant: the count of bytes alive is exact. Never here: whose state it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of all full states and bodies of HTTP answers that are alive, those of other shards included.
#[derive(Clone, Debug, Default)]
pub struct Alive(Arc<AtomicUsize>);

impl Alive {
    /// How many there are.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One frame, or the body of an HTTP answer. It lives as long as somebody waits for it.
#[derive(Debug)]
pub struct FullState {
    frame: Vec<u8>,
    alive: Alive,
}

impl FullState {
    /// Shares a frame, which counts as alive from now on.
    #[must_use]
    pub fn new(mut frame: Vec<u8>, alive: &Alive) -> Arc<Self> {
        frame.shrink_to_fit();
        alive.0.fetch_add(frame.len(), Ordering::Relaxed);
        Arc::new(Self { frame, alive: alive.clone() })
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }
}

/// Bytes that several connections may be sent.
#[derive(Clone, Debug)]
pub enum SharedBytes {
    /// A full state, or the body of an HTTP answer.
    State(Arc<FullState>),
    /// A part of the program.
    Static(&'static [u8]),
}

impl SharedBytes {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::State(state) => state.frame(),
            Self::Static(bytes) => bytes,
        }
    }
}

impl Drop for FullState {
    fn drop(&mut self) {
        self.alive.0.fetch_sub(self.frame.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Alive, FullState};

    #[test]
    fn what_is_alive_is_counted() {
        let alive = Alive::default();
        let one = FullState::new(vec![1; 10], &alive);
        let same = one.clone();
        let other = FullState::new(vec![2; 5], &alive);
        assert_eq!((alive.bytes(), same.frame().len()), (15, 10));
        drop((one, other));
        assert_eq!(alive.bytes(), 10);
        drop(same);
        assert_eq!(alive.bytes(), 0);
    }
}
