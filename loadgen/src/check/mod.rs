//! `check`: a walk through the protocol against a running server, sentence by sentence.
//!
//! The client is tungstenite's, not the hand-made one of the load: a second opinion. Invariant: each step has rooms and
//! clients of its own. Never here: load.

mod closing;
mod http;
mod peer;
mod seats;
mod wrong;

use crate::names::fresh_tag;
use crate::target::Target;

/// What a step says: nothing, or what was wrong.
type Outcome = Result<(), String>;

/// What the steps need.
struct Context<'a> {
    target: &'a Target,
    tag: String,
}

type Step = (&'static str, fn(&Context<'_>) -> Outcome);

/// Walks through everything; returns the exit code.
#[must_use]
pub fn run(target: &Target) -> u8 {
    let context = Context { target, tag: fresh_tag(0) };
    let groups: [(&str, &[Step]); 4] = [
        ("HTTP", http::STEPS),
        ("Rooms and seats", seats::STEPS),
        ("Refusals", wrong::STEPS),
        ("Closing", closing::STEPS),
    ];
    let (mut passed, mut failed) = (0, 0);
    for (title, steps) in groups {
        println!("\n{title}");
        for (name, step) in steps {
            match step(&context) {
                Ok(()) => {
                    passed += 1;
                    println!("  pass  {name}");
                }
                Err(why) => {
                    failed += 1;
                    println!("  FAIL  {name}\n        {why}");
                }
            }
        }
    }
    println!("\n{passed} passed, {failed} failed against {}", target.addr);
    u8::from(failed > 0)
}

/// `Ok` when `condition` holds.
fn ensure(condition: bool, what: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(what()) }
}
