//! The pieces of work that the benchmarks repeat, one file a pure layer: `cargo bench` measures their time, and
//! `perf/counts.sh` counts their instructions.
//!
//! Invariants: a piece of work leaves the state as it found it, so that it can be repeated at will; nothing in it depends
//! on time, on chance or on the machine, so that it takes the same instructions each time. Never here: measuring.

pub(crate) mod audience;
pub(crate) mod batch;
pub(crate) mod deadlines;
pub(crate) mod engine;
pub(crate) mod frame;
pub(crate) mod message;
pub(crate) mod node;

/// What a client says about itself.
const USER_INFO: &str = r#"{"name":"Ana García","email":"ana@example.org","session":"b7c1d2e3","balance":12.50}"#;

/// A prepared piece of work: a call does it once.
pub(crate) type Work = Box<dyn FnMut()>;

/// The pieces of work of one layer.
pub(crate) struct Layer {
    /// The layer.
    pub(crate) name: &'static str,
    /// Its pieces of work.
    pub(crate) works: &'static [&'static str],
    /// Prepares the piece of work with this name.
    pub(crate) prepare: fn(&str) -> Work,
}

/// All layers.
pub(crate) const LAYERS: [Layer; 7] = [
    Layer { name: "engine", works: &engine::WORKS, prepare: engine::prepare },
    Layer { name: "deadlines", works: &deadlines::WORKS, prepare: deadlines::prepare },
    Layer { name: "audience", works: &audience::WORKS, prepare: audience::prepare },
    Layer { name: "message", works: &message::WORKS, prepare: message::prepare },
    Layer { name: "frame", works: &frame::WORKS, prepare: frame::prepare },
    Layer { name: "node", works: &node::WORKS, prepare: node::prepare },
    Layer { name: "batch", works: &batch::WORKS, prepare: batch::prepare },
];
