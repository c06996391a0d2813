//! The pieces of work that the benchmarks repeat, one file a pure layer: `cargo bench` measures their time, and
//! `perf/counts.sh` counts their instructions.
//!
//! Invariants: a piece of work leaves the state as it found it, so that it can be repeated at will; nothing in it
//! depends on time, on chance or on the machine, so that it takes the same instructions each time. Never here:
//! measuring.

mod audience;
mod batch;
mod deadlines;
mod engine;
mod frame;
mod layout;
mod message;
mod node;

/// What a client says about itself.
const USER_INFO: &str = r#"{"name":"Ana García","email":"ana@example.org","session":"b7c1d2e3","balance":12.50}"#;

/// A prepared piece of work: a call does it once.
pub type Work = Box<dyn FnMut()>;

/// The pieces of work of one layer.
pub struct Layer {
    /// The layer.
    pub name: &'static str,
    /// Its pieces of work.
    pub works: &'static [&'static str],
    /// Prepares the piece of work with this name.
    pub prepare: fn(&str) -> Work,
}

impl Layer {
    /// The names of its pieces of work, `layer.work`.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.works.iter().map(|work| format!("{}.{work}", self.name))
    }
}

/// Prepares the piece of work of this name, `layer.work`.
#[must_use]
pub fn find(name: &str) -> Option<Work> {
    let (layer, work) = name.split_once('.')?;
    let layer = LAYERS.into_iter().find(|one| one.name == layer)?;
    layer.works.contains(&work).then(|| (layer.prepare)(work))
}

/// All layers.
pub const LAYERS: [Layer; 8] = [
    Layer { name: "engine", works: &engine::WORKS, prepare: engine::prepare },
    Layer { name: "deadlines", works: &deadlines::WORKS, prepare: deadlines::prepare },
    Layer { name: "audience", works: &audience::WORKS, prepare: audience::prepare },
    Layer { name: "message", works: &message::WORKS, prepare: message::prepare },
    Layer { name: "frame", works: &frame::WORKS, prepare: frame::prepare },
    Layer { name: "node", works: &node::WORKS, prepare: node::prepare },
    Layer { name: "layout", works: &layout::WORKS, prepare: layout::prepare },
    Layer { name: "batch", works: &batch::WORKS, prepare: batch::prepare },
];
